"""`satama decode`: a payload - SenML in CBOR or JSON, or a compact packet - as readable rows, JSON lines, or resolved SenML."""

import json
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from ..broker import live
from ..collecting.collector import District
from ..collecting.names import Names
from ..collecting.rows import time_text
from ..core.problems import Problems
from ..payloads.compact import decode_compact
from ..payloads.sample import Sample
from ..payloads.senml import format_of
from ..payloads.senml_json import dumps, number
from ..payloads.senml_resolve import Resolved, SenmlError, records, resolve
from .shared import WRONG_USE, CaOption, ForOption, PasswordOption, RootOption, UserOption, fail, refuse

_LARGEST = 1 << 24  # bytes; MQTT payloads of ours are a few thousand


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command()(decode)


def decode(
    source: Annotated[str | None, typer.Argument(help="a file, hex text, or - for standard input")] = None,
    birth: Annotated[list[Path], typer.Option("--birth", help="a saved birth/<device>: names and units")] = [],  # noqa: B006
    schema: Annotated[list[Path], typer.Option("--schema", help="a saved schema/<id>, for compact packets")] = [],  # noqa: B006
    site: Annotated[Path | None, typer.Option("--site", help="the site file: names, units and schemas")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for tools: one JSON object a sample")] = False,
    senml: Annotated[bool, typer.Option("--senml", help="resolved SenML in JSON (RFC 8428, 4.6)")] = False,
    broker: Annotated[str, typer.Option("--broker", help="listen live: HOST or HOST:PORT")] = "",
    topic: Annotated[str, typer.Option("--topic", help="with --broker: what to listen to; ROOT/# if left out")] = "",
    root: RootOption = "district/v1",
    duration: ForOption = None,
    count: Annotated[int | None, typer.Option(min=1, help="with --broker: end after so many samples")] = None,
    user: UserOption = "",
    password_file: PasswordOption = None,
    ca: CaOption = None,
) -> None:
    """Show what a payload holds: from a file, hex text, standard input, or live from a broker."""
    if bool(source) == bool(broker) or (as_json and senml):
        what = "--json or --senml, not both" if as_json and senml else "name a payload (file, hex, -), or --broker HOST"
        refuse(what, False, WRONG_USE)
    if not broker and (topic or duration or count):
        refuse("--topic, --for and --count go with --broker", False, WRONG_USE)
    names = Names()
    try:
        for path in birth:
            names.add_birth(path)
        for path in schema:
            names.add_schema(path)
        if site:
            names.add_site(site)
    except Problems as error:
        fail(error, False, code=WRONG_USE)
    if broker:
        try:
            where = live.access(broker, user, password_file, ca)
            for_s = live.seconds(duration) if duration else None
        except ValueError as error:
            refuse(str(error), False, WRONG_USE)
        _live(where, names, topic or f"{root}/#", root, for_s, count, as_json, senml)
        return
    payload = _payload(str(source))
    try:
        if senml:
            typer.echo(dumps(record.as_record() for record in _resolved(payload, names)))
        else:
            _show(_samples(payload, names), as_json)
    except SenmlError as error:
        refuse(f"{_short(str(source))}: {error}", False, 1)


# --- one payload


def _payload(source: str) -> bytes:
    """Of standard input, a file or hex text; a file may hold hex text too."""
    if source == "-":
        return _unhexed(sys.stdin.buffer.read(_LARGEST))
    path = Path(source)
    try:
        if path.is_file():
            with open(path, "rb") as file:
                return _unhexed(file.read(_LARGEST))
    except OSError as error:
        refuse(f"{source}: cannot be read: {error.strerror}", False, WRONG_USE)
    found = _hex(source)
    if found is None:
        refuse(
            f"{_short(source)}: no such file, and no hex text either (an even number of digits 0-9 a-f)",
            False,
            WRONG_USE,
        )
    return found


def _hex(text: str) -> bytes | None:
    digits = re.sub(r"\s|0x", "", text)
    return bytes.fromhex(digits) if re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", digits) else None


def _unhexed(data: bytes) -> bytes:
    if format_of(data) in ("cbor", "compact") or not data.isascii():
        return data
    return _hex(data.decode()) or data


def _short(source: str) -> str:
    return source if len(source) <= 40 else source[:37] + "..."


def _samples(payload: bytes, names: Names) -> Iterator[tuple[str, str, Sample | Resolved]]:
    """(name, unit, sample) in the order of the payload; of packs of others, the resolved records as they are."""
    if format_of(payload) == "compact":
        for sample in decode_compact(payload, names.schemas):
            yield (*names.of(sample.name), sample)
        return
    from ..payloads.senml import samples_of
    from ..payloads.senml_resolve import apply_bases

    pack = records(payload)
    resolved = apply_bases(pack)
    if not any("ep" in record for record in pack):  # not of our gateways
        yield from ((record.name, record.unit, record) for record in resolved)
        return
    for sample, record in zip(samples_of(pack)[1], resolved, strict=True):
        name, unit = names.of(sample.name)
        yield name, unit or record.unit, sample


def _resolved(payload: bytes, names: Names) -> list[Resolved]:
    now = int(time.time())
    if format_of(payload) != "compact":
        pack = records(payload)
        base = pack[0].get("bn", "") if pack else ""
        return [_named(record, base, names) for record in resolve(pack, now)]
    return [_of_sample(sample, *names.of(sample.name)) for sample in decode_compact(payload, names.schemas)]


def _named(record: Resolved, base: str, names: Names) -> Resolved:
    short = record.name.removeprefix(base)
    bare = short.removesuffix("/q") if isinstance(record.value, str) else short
    name, unit = names.of(bare)
    full = base + name + short[len(bare) :] if name != bare else record.name
    return Resolved(full, record.unit or unit, record.time, record.value, record.sum, record.update_s, record.extra)


def _of_sample(sample: Sample, name: str, unit: str) -> Resolved:
    extra: dict[str, Any] = {"ep": sample.epoch, "sq": sample.seq}
    if sample.uptime_ms is not None:
        extra["ms"] = sample.uptime_ms
    if sample.value is None:
        return Resolved(f"{name}/q", unit, sample.time, sample.reason, extra=extra)
    return Resolved(
        name, unit, sample.time, sample.value, extra=extra | ({"ql": sample.reason} if sample.reason else {})
    )


# --- showing


def _facts(name: str, unit: str, item: Sample | Resolved) -> dict[str, Any]:
    at = time_text(int(item.time * 1000)) if item.time >= 1 << 28 else ""
    facts: dict[str, Any] = {"time": at, "name": name}
    value = item.value
    exact = not isinstance(value, bool | str | bytes | None)
    facts["value"] = number(value) if exact else value.hex() if isinstance(value, bytes) else value
    facts["unit"] = unit
    if isinstance(item, Sample):
        facts |= {"quality": item.quality, "reason": item.reason, "ep": item.epoch, "sq": item.seq}
        if item.uptime_ms is not None:
            facts["ms"] = item.uptime_ms
    elif item.sum is not None:
        facts["sum"] = number(item.sum)
    if not at:
        facts["relative_s"] = number(item.time)
    return facts


def _row(facts: dict[str, Any]) -> str:
    at = facts["time"] or (f"uptime {facts['ms']} ms" if "ms" in facts else f"{facts['relative_s']} s")
    shown = "-" if facts["value"] is None else str(facts["value"])
    text = f"{at:<20}  {facts['name']:<32}  {shown:>16} {facts['unit']:<6}"
    if "quality" in facts:
        quality = facts["quality"] + (f" ({facts['reason']})" if facts["reason"] else "")
        text += f"  {quality:<24}  ep {facts['ep']} sq {facts['sq']}"
    if "sum" in facts:
        text += f"  sum {facts['sum']}"
    return "".join(c if c.isprintable() else "?" for c in text.rstrip())  # a payload must not steer the terminal


def _show(found: Iterable[tuple[str, str, Sample | Resolved]], as_json: bool) -> None:
    for facts in [_facts(*one) for one in found]:
        typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else _row(facts))


# --- live


def _live(
    where: live.Access,
    names: Names,
    topic: str,
    root: str,
    for_s: float | None,
    count: int | None,
    as_json: bool,
    senml: bool,
) -> None:
    """Rows as they come. Births and schemas are listened to as well, so that names are known; damaged payloads are told."""
    district = District(root, keep=False)
    helpers = [f"{district.root}/+/+/birth/+", f"{district.root}/+/+/schema/+"]
    shown, errors = 0, 0
    try:
        with closing(live.messages(where, [*helpers, topic], for_s)) as arriving:
            for name, payload in arriving:
                collector = district.collector(name)
                if collector is None:
                    continue
                before = collector.errors
                samples = collector.feed(name, payload)
                if collector.errors > before:
                    errors += 1
                    typer.echo(collector.last_error, err=True)
                for sample in samples:
                    view = collector.named(sample.name)
                    readable = (view.name, view.unit) if view and view.name else names.of(sample.name)
                    if senml:
                        base = name[len(district.root) + 1 :].split("/")
                        full = ":".join(base[:2]) + ":" + readable[0]
                        typer.echo(dumps([_of_sample(sample, full, readable[1]).as_record()]))
                    else:
                        _show([(*readable, sample)], as_json)
                shown += len(samples)
                if count is not None and shown >= count:
                    break
    except KeyboardInterrupt:
        pass
    except live.LiveError as error:
        refuse(str(error), False, 1)
    if errors:
        raise typer.Exit(1)
