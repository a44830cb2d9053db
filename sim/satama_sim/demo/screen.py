"""The demo's screen: what has arrived at the broker, drawn to any size of terminal. A pure function of a moment's view."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from satama.collecting.collector import Collector, StreamView
from satama.core.quantities import symbol

_BLOCKS = "▁▂▃▄▅▆▇"  # not the full block: neighbouring rows shall not touch
_LATEST_DATE_S = 253_402_300_800  # the year 10000
_MAX_ADJUSTED = 30  # a number beyond 10^±30 is written with an exponent, and not drawn
_SIDE_WIDTH, _SIDE_FROM_WIDTH = 32, 112
_SMALL_HEIGHT = 30  # up to here every line that is saved shows a stream
_BLOCK_WIDTH = 78  # two blocks of streams stand side by side where both get so much
_BAR = 12
_TROUBLE = ("bad", "uncertain")
_GAP = "  "


@dataclass
class BusView:
    """One bus: `busy` is its share (0..1) of the last seconds; `requests` and `errors` count since the start."""

    name: str
    baud: int
    busy: float
    requests: int
    errors: int


@dataclass
class DemoView:
    """All that the screen shows, at one moment. `broker` is host:port; `ptys` are paths by what they lead to."""

    collector: Collector
    title: str
    vm: str
    clock: str
    now_unix_s: float
    elapsed_s: float
    broker: str
    buses: list[BusView] = field(default_factory=list)
    ptys: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass
class _Fact:
    figure: str
    words: str | Text
    style: str = ""


@dataclass
class _Section:
    label: str
    more: str
    facts: list[_Fact]
    minor: bool = False


@dataclass
class _Column:
    title: str
    width: int
    right: bool
    cells: list[Text]


def render(view: DemoView, width: int, height: int) -> RenderableType:
    """At most `height` lines, none wider than `width` cells."""
    top = [*_header(view, width), Text("─" * width, "dim")]
    foot = [_fit(Text(_clean(view.note), "yellow"), width)] if view.note else []
    sections = _sections(view)
    label = _label_width(sections)
    join = Text.assemble((f"{'join':{label}}", "bold"), _subscribe_line(view, width - label))
    side = _side(sections, height - len(top) - len(foot) - 1)
    if width >= _SIDE_FROM_WIDTH and side:
        room = max(0, height - len(top) - len(foot) - 2)
        left_width = width - _SIDE_WIDTH - 3
        body = _beside([_body(view, left_width, room), side], [left_width, _SIDE_WIDTH], room, " │ ")
        lines = [*top, *body, Text("─" * width, "dim"), join, *foot]
    else:
        below = [Text("─" * width, "dim"), *_below(sections, width, roomy=height > _SMALL_HEIGHT), join, *foot]
        room = max(height - len(top) - len(below), min(8, height - len(top)), 0)
        body = _body(view, width, room)
        body += [Text()] * (room - len(body))
        lines = [*top, *body, *below]
    for line in lines[:height]:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True, overflow="crop", end="").join(lines[:height])


# --- the header


def _header(view: DemoView, width: int) -> list[Text]:
    state = _mapping(view.collector.state)
    if not state:
        online = Text("○ not heard yet", "yellow")
    elif state.get("online") is True:
        online = Text("● online", "green")
    else:
        online = Text("✗ offline", "bold red")
    gateway = Text(_clean(view.title), "bold")
    site = view.collector.base.rstrip("/").split("/")[-2:-1]
    if site and site[0] not in view.title:
        gateway.append(f" in {_clean(site[0])}", "not bold")
    first = [gateway, online]
    if state:
        first.append(Text(f"firmware {_clean(state.get('version', '?'))}"))
        first.append(Text(f"epoch {_clean(state.get('ep', '?'))}"))
    running = Text(f"running {_duration(view.elapsed_s)}")
    date = _date(view.now_unix_s)
    seconds = [
        Text(f"{when}, {_clean(view.clock)} clock{_GAP}{_clean(view.vm)}") for when in (date, date.partition(" ")[2])
    ]
    second = next((left for left in seconds if left.cell_len + len(_GAP) + running.cell_len <= width), seconds[0])
    lines = [_spread(Text(_GAP).join(first), _summary(view), width), _spread(second, running, width)]
    lines[1].stylize("dim")
    return lines


def _summary(view: DemoView) -> Text:
    streams = _present(view)
    bad, uncertain = (sum(_quality(stream) == word for stream in streams) for word in _TROUBLE)
    text = Text(f"{len(streams)} stream{'s' * (len(streams) != 1)}")
    if bad:
        text.append(f", ✗ {bad} bad", "red")
    if uncertain:
        text.append(f", ? {uncertain} uncertain", "yellow")
    return text


# --- the streams


def _present(view: DemoView) -> list[StreamView]:
    """Without those of which only a backlog speaks."""
    return [stream for stream in view.collector.streams.values() if not stream.retired]


def _body(view: DemoView, width: int, height: int) -> list[Text]:
    if height <= 0:
        return []
    streams = _grouped(_present(view))
    if not streams:
        return _waiting(view, width)[:height]
    rows = max(1, height - 1)
    blocks = max(1, min(math.ceil(len(streams) / rows), (width + 3) // (_BLOCK_WIDTH + 3)))
    if len(streams) <= rows * blocks:
        return _streams(view, streams, width, rows, blocks)
    rows = max(1, rows - 1)
    shown = _choose(streams, rows * blocks)
    hidden = len(streams) - len(shown)
    lines = _streams(view, shown, width, rows, blocks)
    trouble = sum(_quality(stream) in _TROUBLE for stream in streams) - sum(
        _quality(stream) in _TROUBLE for stream in shown
    )
    also = f", {trouble} of them bad or uncertain" if trouble else ""
    lines.append(Text(f"and {hidden} more{also}: a larger window shows them", "yellow" if trouble else "dim italic"))
    return lines[:height]


def _grouped(streams: Iterable[StreamView]) -> list[StreamView]:
    """By device, in the order of the streams' ids."""
    ordered = sorted(streams, key=lambda stream: stream.id)
    first: dict[str, int] = {}
    for stream in ordered:
        first.setdefault(_names(stream)[0], stream.id)
    return sorted(ordered, key=lambda stream: (first[_names(stream)[0]], stream.id))


def _choose(streams: Sequence[StreamView], room: int) -> list[StreamView]:
    """What is in trouble first, then every device's first stream, every device's second, ...; shown in the usual order."""
    seen: dict[str, int] = {}
    ranked = []
    for at, stream in enumerate(streams):
        device = _names(stream)[0]
        seen[device] = seen.get(device, 0) + 1
        quality = _quality(stream)
        ranked.append((_TROUBLE.index(quality) if quality in _TROUBLE else len(_TROUBLE), seen[device], at))
    return [streams[at] for at in sorted(at for _, _, at in sorted(ranked)[:room])]


def _streams(view: DemoView, streams: Sequence[StreamView], width: int, rows: int, blocks: int) -> list[Text]:
    if blocks == 1:
        return _table(view, streams, width, rows)
    each = (width - 3 * (blocks - 1)) // blocks
    parts = [streams[at : at + rows] for at in range(0, len(streams), rows)]
    return _beside([_table(view, part, each, rows) for part in parts], [each] * len(parts), rows + 1, "   ")


def _table(view: DemoView, streams: Sequence[StreamView], width: int, rows: int) -> list[Text]:
    """A line of titles and a line for each stream; empty lines between devices where there is room for all of them."""
    columns = _columns(view, streams, width)
    devices = [_names(stream)[0] for stream in streams]
    starts = [at == 0 or device != devices[at - 1] for at, device in enumerate(devices)]
    airy = len(streams) + sum(starts) - 1 <= rows
    lines = [_row([Text(column.title, "dim") for column in columns], columns)]
    for at, starts_device in enumerate(starts):
        if starts_device and at and airy:
            lines.append(Text())
        cells = [column.cells[at] if column.title != "device" or starts_device else Text() for column in columns]
        lines.append(_row(cells, columns))
    return lines


def _row(cells: Sequence[Text], columns: Sequence[_Column]) -> Text:
    """Two spaces between columns, but one between a value and its unit."""
    row = Text()
    for at, (cell, column) in enumerate(zip(cells, columns, strict=True)):
        row.append(" " * _gap(columns, at))
        row.append_text(_fit(cell, column.width, column.right))
    return row


def _gap(columns: Sequence[_Column], at: int) -> int:
    return 0 if at == 0 else 1 if columns[at].title == "unit" else len(_GAP)


def _columns(view: DemoView, streams: Sequence[StreamView], width: int) -> list[_Column]:
    """What fits of the columns; what is left of the width goes to the trend."""

    def column(title: str, cells: Iterable[Text], least: int, most: int, right: bool = False) -> _Column:
        made = list(cells)
        return _Column(title, max(least, min(most, max(cell.cell_len for cell in made))), right, made)

    named = [_names(stream) for stream in streams]
    columns = [
        column("device", (Text(device, "bold") for device, _ in named), 6, 16),
        column("stream", (Text(name) for _, name in named), 10, 24),
        column("value", (_value(stream) for stream in streams), 7, 22, right=True),
        column("unit", (Text(_clean(symbol(stream.unit)), "dim") for stream in streams), 4, 6),
        column("quality", (_quality_text(stream) for stream in streams), 11, 19),
        column("age", (_age(stream, view.now_unix_s) for stream in streams), 5, 6, right=True),
        column("trend", (Text() for _ in streams), 5, 48),
        column("count", (Text(str(stream.count), "dim") for stream in streams), 5, 8, right=True),
    ]
    for title in ("count", "trend", "unit", "device", "age", "quality"):
        if _total(columns) <= width:
            break
        columns = [column for column in columns if column.title != title]
    for trend in columns:
        if trend.title == "trend":
            trend.width = min(48, trend.width + width - _total(columns))
            trend.cells = [Text(_spark(list(stream.recent)[-trend.width :]), "cyan") for stream in streams]
    return columns


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width + _gap(columns, at) for at, column in enumerate(columns))


def _names(stream: StreamView) -> tuple[str, str]:
    """Device and the rest; before its birth a stream has only the id it is sent by."""
    if not stream.name:
        return "?", f"id {stream.id:x}, no name yet"
    device, _, rest = _clean(stream.name).partition("/")
    return (device, rest) if rest else ("", device)


def _quality(stream: StreamView) -> str:
    sample = stream.last
    if sample is None:
        return "waiting"
    return "bad" if sample.value is None else "uncertain" if sample.reason else "good"


def _quality_text(stream: StreamView) -> Text:
    quality = _quality(stream)
    reason = _clean(stream.last.reason).replace("_", " ") if stream.last else ""
    if quality == "bad":
        return Text(f"✗ {reason or 'bad'}", "red")
    if quality == "uncertain":
        return Text(f"? {reason}", "yellow")
    return Text(quality, "dim" if quality == "waiting" else "dim green")


def _value(stream: StreamView) -> Text:
    if stream.last is None or stream.last.value is None:
        return Text("–", "dim")
    return Text(exact_text(stream.last.value, stream.exponent), "bold" if _quality(stream) == "good" else "yellow")


def exact_text(value: int | Decimal, exponent: int) -> str:
    """With the stream's fixed number of decimals, and more where the value has more: nothing is rounded away."""
    number = Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _MAX_ADJUSTED:
        return str(number)
    given = number.as_tuple().exponent
    decimals = max(0, min(_MAX_ADJUSTED, -exponent), -given if isinstance(given, int) else 0)
    return f"{number:.{decimals}f}"


def _age(stream: StreamView, now_unix_s: float) -> Text:
    sample = stream.last
    if sample is None:
        return Text("–", "dim")
    if not sample.absolute:  # the gateway did not know the time yet: so long before it was sent
        return Text(f"≥{_span(-sample.time)}", "yellow")
    age = math.floor(now_unix_s) - sample.time
    return Text(_span(age), "yellow" if age > 2 * stream.period_s + 30 else "")


def _spark(values: Sequence[int | Decimal | None]) -> str:
    """Between the lowest and the highest of them; a gap for what is missing."""
    numbers = [None if value is None else Decimal(value) for value in values]
    numbers = [n if n is not None and n.is_finite() and abs(n.adjusted()) <= _MAX_ADJUSTED else None for n in numbers]
    present = [number for number in numbers if number is not None]
    if not present:
        return " " * len(values)
    low, high = min(present), max(present)
    if low == high:  # a valve that stays open looks different from one that stays shut
        return "".join(" " if number is None else _BLOCKS[3 if number else 0] for number in numbers)
    return "".join(" " if n is None else _BLOCKS[min(6, int((n - low) * 7 / (high - low)))] for n in numbers)


def _waiting(view: DemoView, width: int) -> list[Text]:
    heard = bool(view.collector.messages)
    steps = [
        ("state", bool(view.collector.state), "who the gateway is, and that it is online"),
        ("birth", False, "the names and units of its streams"),
        ("data", False, "the first readings; they come at once"),
        ("diag", bool(view.collector.diag), "its ledger and its health"),
    ]
    lines = [
        Text(),
        Text("The gateway has been heard." if heard else "Nothing has arrived at the broker yet.", "bold"),
        Text("The gateway starts, joins its network and connects to the broker. Awaited:"),
        Text(),
    ]
    for name, there, what in steps:
        lines.append(
            Text.assemble(("  ✓ " if there else "  ○ ", "green" if there else "yellow"), f"{name:7}", (what, "dim"))
        )
    return [_fit(line, width) for line in lines]


# --- the account beside or below them


def _sections(view: DemoView) -> list[_Section]:
    collector = view.collector
    return [_ledger(view), *map(_bus, view.buses), _arrivals(view), _event(collector.events), *_ports(view)]


def _ledger(view: DemoView) -> _Section:
    diag = _mapping(view.collector.diag)
    ledger = _mapping(diag.get("ledger"))
    if not ledger:
        return _Section("ledger", "", [_Fact("", "not yet told", "dim")])
    facts = [_Fact(_clean(ledger.get(word, "?")), word) for word in ("produced", "acknowledged", "queued")]
    for word in ("dropped", "quarantined"):
        facts.append(_Fact(_clean(ledger.get(word, "?")), word, "yellow" if ledger.get(word) else ""))
    balanced = ledger.get("balanced") is True
    facts.append(_Fact("✓", "balanced", "green") if balanced else _Fact("✗", "not balanced", "bold red"))
    told = diag.get("unix_s")
    more = f"told {_span(math.floor(view.now_unix_s) - told)} ago" if isinstance(told, int) and told else ""
    return _Section("ledger", more, facts)


def _bus(bus: BusView) -> _Section:
    share = min(1.0, max(0.0, bus.busy))
    full = round(share * _BAR)
    bar = Text.assemble("busy ", ("━" * full, "cyan"), ("─" * (_BAR - full), "dim"))
    errors = _Fact(str(bus.errors), "errors", "yellow" if bus.errors else "")
    facts = [_Fact(f"{round(share * 100)} %", bar), _Fact(str(bus.requests), "requests"), errors]
    return _Section(_clean(bus.name), f"{bus.baud} baud", facts)


def _arrivals(view: DemoView) -> _Section:
    collector = view.collector
    facts = [_Fact(str(collector.decoded), "samples"), _Fact(str(collector.messages), "messages")]
    amount, unit = _bytes(collector.payload_bytes)
    facts.append(_Fact(amount, f"{unit} data"))
    if collector.decoded:
        facts.append(_Fact(f"{collector.payload_bytes / collector.decoded:.1f}", "B/sample"))
    facts.append(_Fact(str(collector.duplicates), "duplicates"))
    if collector.errors:
        facts.append(_Fact(f"✗ {collector.errors}", "damaged", "red"))
        facts.append(_Fact("", _clean(collector.last_error), "red"))
    return _Section("broker", _clean(view.broker), facts)


def _event(events: Sequence[Any]) -> _Section:
    if not events:
        return _Section("event", "", [_Fact("", "none yet", "dim")], minor=True)
    last = _mapping(events[-1])
    details = [f"{key} {value}" for key, value in last.items() if key not in ("event", "ep", "ms", "utc")]
    facts = [
        _Fact("", _clean(last.get("event", "?"))),
        *(_Fact("", _clean(text).replace("_", " ")) for text in details),
    ]
    return _Section("event", f"the last of {len(events)}", facts)


def _ports(view: DemoView) -> list[_Section]:
    facts = [_Fact(_clean(what), _clean(path)) for what, path in view.ptys.items()]
    return [_Section("ports", "for other programs", facts)] if facts else []


def _subscribe_line(view: DemoView, width: int) -> Text:
    """How to listen with another program; `cat -v` because data packs are CBOR, not text."""
    host, _, port = view.broker.rpartition(":")
    if not host or not port.isdigit():
        return Text("no broker to join: this one is part of the simulated world", "dim")
    base = view.collector.base.rstrip("/")
    lines = []
    for topic in (base, base.rsplit("/", 1)[0], base.rsplit("/", 2)[0]):
        lines.append(f'mosquitto_sub -h {_clean(host)} -p {port} -v -t "{_clean(topic)}/#" | cat -v')
    return Text(next((line for line in lines if len(line) <= width), lines[-1]), "cyan")


def _side(sections: Sequence[_Section], height: int) -> list[Text]:
    """One fact a line; nothing where that would not fit."""
    lines: list[Text] = []
    for section in sections:
        if lines:
            lines.append(Text())
        lines.append(Text.assemble((section.label, "bold"), "  ", (section.more, "dim")))
        for fact in section.facts:
            words = fact.words if isinstance(fact.words, Text) else Text(fact.words)
            figure = f"{fact.figure:>9} " if fact.figure else "  "
            lines.append(_fit(Text.assemble(figure, words, style=fact.style), _SIDE_WIDTH))
    return lines if len(lines) <= height else []


def _below(sections: Sequence[_Section], width: int, roomy: bool) -> list[Text]:
    """A line for each section, or two."""
    label = _label_width(sections)
    lines = []
    for section in sections:
        if section.minor and not roomy:
            continue
        line = Text.assemble((f"{section.label[: label - len(_GAP)]:{label}}", "bold"))
        pieces = [
            Text.assemble(f"{fact.figure} " if fact.figure else "", fact.words, style=fact.style)
            for fact in section.facts
        ]
        if section.more and (roomy or line.cell_len + sum(len(_GAP) + piece.cell_len for piece in pieces) < width - 20):
            pieces.append(Text(section.more, "dim"))
        for at, piece in enumerate(pieces):
            if at and line.cell_len + len(_GAP) + piece.cell_len > width:
                lines.append(line)
                line = Text(" " * label)
            elif at:
                line.append(_GAP)
            line.append_text(piece)
        lines.append(line)
    return lines


def _label_width(sections: Sequence[_Section]) -> int:
    return min(12, max(len(section.label) for section in sections)) + len(_GAP)


# --- text


def _fit(text: Text, width: int, right: bool = False) -> Text:
    fitted = text.copy()
    fitted.truncate(max(0, width), overflow="ellipsis")
    fitted.align("right" if right else "left", max(0, width))
    return fitted


def _spread(left: Text, right: Text, width: int) -> Text:
    """`right` stands at the right edge, where there is room for both."""
    space = width - left.cell_len - right.cell_len
    return Text.assemble(left, " " * space, right) if space >= len(_GAP) else left


def _beside(blocks: Sequence[list[Text]], widths: Sequence[int], height: int, between: str) -> list[Text]:
    lines = []
    for at in range(height):
        cells = [
            _fit(block[at] if at < len(block) else Text(), width) for block, width in zip(blocks, widths, strict=True)
        ]
        lines.append(_join(cells, Text(between, "dim")))
    return lines


def _join(cells: Sequence[Text], between: Text) -> Text:
    """As Text.join, but the style of what stands between does not spread."""
    return Text().join(piece for at, cell in enumerate(cells) for piece in ((between, cell) if at else (cell,)))


def _clean(text: Any) -> str:
    """What arrives is shown as it is, but cannot move the cursor."""
    return "".join(character if character.isprintable() else "·" for character in str(text))


def _mapping(content: Any) -> dict[str, Any]:
    return content if isinstance(content, dict) else {}


def _date(unix_s: float) -> str:
    if not 0 <= unix_s < _LATEST_DATE_S:
        return "no date"
    return f"{datetime.fromtimestamp(math.floor(unix_s), UTC):%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: int) -> str:
    """In the largest unit that fits: 42 s, 3 min, 2 h, 4 d."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{sign}{seconds // size} {unit}"
    return f"{sign}{seconds} s"


def _duration(seconds: float) -> str:
    """In the two largest units: 42 s, 3 min 05 s, 2 h 10 min, 4 d 3 h."""
    whole = max(0, math.floor(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    return f"{minutes} min {whole % 60:02} s" if minutes else f"{whole} s"


def _bytes(count: int) -> tuple[str, str]:
    for size, unit in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if count >= size:
            return f"{count / size:.1f}", unit
    return str(count), "B"
