"""`satama explain`: one point of a site from the wire to its streams, in words: where it comes from, what is done with it."""

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from .commands_profiles import wires
from .commands_site import WRONG_USE, JsonOption, SiteArgument, fail
from .filter_values import Scale
from .filters import whole_chain
from .ids import assign_ids, ids_path, load_ids
from .problems import Problem, Problems
from .profile_values import CLASSES
from .quantities import symbol
from .resolve import resolve_site
from .resolved import Channel, Resolved

PointArgument = Annotated[
    str, typer.Argument(help="DEVICE/POINT or a stream, e.g. bin-1/distance", metavar="POINT", show_default=False)
]

_AREAS = {1: "coil", 2: "discrete input", 3: "holding register", 4: "input register"}
_CLASS_WORDS = {number: word for word, number in CLASSES.items()}
_ORDERS = {"ABCD": "most significant byte first", "CDAB": "low word first", "BADC": "bytes of a word swapped"}
_ORDERS |= {"DCBA": "least significant byte first"}
_BUS_REASONS = ("timeout", "crc", "exception", "short", "wrong_unit", "invalid", "overflow")
_PUSHED_REASONS = ("timeout", "crc", "stale", "invalid", "overflow")
_WINDOW_REASONS = ("partial", "no_data", "overflow")
_OUTPUTS = {
    "mean": "sum / count, rounded half-even",
    "min": "the lowest reading",
    "max": "the highest reading",
    "last": "the last reading",
    "delta": "last reading - last one of the window before",
}


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command()(explain)


def explain(site: SiteArgument, point: PointArgument, as_json: JsonOption = False) -> None:
    """Tell in words where a point comes from, what its filters do, and which streams it makes."""
    try:
        resolved = resolve_site(site)
        channel = find(resolved, point)
        facts = as_data(resolved, channel)
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    for line in as_text(facts):
        typer.echo(line)


def find(resolved: Resolved, name: str) -> Channel:
    """The point of that name, or the one that makes the stream of that name. Raises Problems with the closest names."""
    for channel in resolved.channels:
        if name == channel.name or name in [channel.stream(output)[0] for output in channel.outputs]:
            return channel
    names = [channel.name for channel in resolved.channels]
    near = [full for full in names if full.rpartition("/")[2] == name]
    near = near or difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(near[:5])}?" if near else f"points: {', '.join(names)}"
    raise Problems([Problem(resolved.source.path, None, name, f"this site reads no point '{name}'", hint)])


# --- for tools


def as_data(resolved: Resolved, channel: Channel) -> dict[str, Any]:
    """All that is known of a point, as plain data. Raises Problems when the file of stream ids is damaged."""
    point, profile, options = channel.point, channel.profile, channel.options
    scale = Scale(point.exponent, point.unit)
    return {
        "ok": True,
        "point": channel.name,
        "quantity": point.quantity,
        "kind": point.kind,
        "class": _CLASS_WORDS[point.klass],
        "unit": point.unit,
        "exponent": point.exponent,
        "period_s": channel.period_s,
        "device": {"id": channel.device.id, "model": f"{profile.vendor} {profile.model}", "wires": wires(profile)},
        "profile": profile.name,
        "doubt": point.doubt or profile.doubt or "",
        "source": {
            "place": _place(resolved, channel),
            "value": _value(channel),
            "reasons": _reasons(resolved, channel),
        },
        "range": [f"{bound:f}" for bound in point.range or ()],
        "states": {str(code): name for code, name in sorted(point.names.items())},
        "filters": [
            {
                "kind": step.kind,
                "from": origin,
                **step.explain(scale)._asdict(),
                "reasons": list(step.reasons),
                "compiled": step.compile(scale),
            }
            for origin, step in whole_chain(point, options.filters)
        ],
        "window": options.window
        and {
            "period_s": options.window.period_s,
            "outputs": {output: _OUTPUTS[output] for output in options.window.outputs},
            "reasons": list(_WINDOW_REASONS),
        },
        "streams": _streams(resolved, channel),
    }


def _streams(resolved: Resolved, channel: Channel) -> list[dict[str, Any]]:
    known = load_ids(ids_path(resolved.source.path))
    ids = assign_ids(known, [c.stream(output)[0] for c in resolved.channels for output in c.outputs])
    return [
        {"name": name, "id": ids[name], "kind": kind, "class": _CLASS_WORDS[klass], "period_s": period_s}
        for name, kind, klass, period_s in map(channel.stream, channel.outputs)
    ]


def _place(resolved: Resolved, channel: Channel) -> str:
    """Where the device keeps it, or which input it comes in by."""
    point, device, profile = channel.point, channel.device, channel.profile
    if profile.interface == "pulse":
        return f"pulses on GPIO {resolved.gpios[device.id]}, {profile.pulse.edge} edge"
    if profile.interface == "analog":
        supply = resolved.references.get(device.id)
        beside = "" if supply is None else f", in proportion to the supply on GPIO {supply}"
        return f"voltage on GPIO {resolved.gpios[device.id]}, mean of {profile.analog.samples} conversions{beside}"
    if profile.interface == "h1":
        return f"bus {device.bus}: {point.obis} of the telegram, in {point.telegram_unit}"
    if profile.interface == "stream":
        return f"bus {device.bus}: byte {point.address} of the frame, {point.type}"
    last = point.address + point.registers - 1
    counted = f"{point.address}" if last == point.address else f"{point.address}..{last}"
    if profile.sunspec:
        counted += f" behind the id of SunSpec model {profile.sunspec.model}"
    where = f"{_AREAS[point.function]}{'s' * (last > point.address)} {counted} (function {point.function})"
    order = f", {_ORDERS[point.order]}" if point.registers > 1 and point.type != "string" else ""
    return f"bus {device.bus}, unit {device.unit}: {where}, {point.type}{order}"


def _value(channel: Channel) -> str:
    """The formula from what is read to the value in the unit."""
    point, profile = channel.point, channel.profile
    unit = f" {symbol(point.unit)}".rstrip()
    if profile.interface == "pulse":
        return f"pulses * {channel.per_pulse}{unit}"
    if profile.interface == "analog":
        span = channel.options.span
        if span and not channel.options.calibration:
            return f"straight line: 4 mA -> {span[0]:f}{unit}, 20 mA -> {span[1]:f}{unit}"
        volts = "millionths of the supply" if profile.analog.ratiometric else "µV"
        points = ", ".join(f"{x} -> {value:f}{unit}" for x, value in channel.calibration)
        return f"straight lines, {volts}: {points}"
    if point.type == "string":
        return "the number that the profile gives the text"
    raw = f"bits {point.bits[0]}..{sum(point.bits) - 1} of raw" if point.bits else "raw"
    factor = f" * {point.scale:f}" if point.scale != 1 else ""
    power = f" * 10^[register {point.scale_register}]" if point.scale_register is not None else ""
    marks = f"; no value: {', '.join(map(_mark, point.invalid))}" if point.invalid else ""
    return f"{raw}{factor}{power}{unit}{marks}"


def _mark(marker: Any) -> str:
    if isinstance(marker, tuple):
        return f"raw & {marker.mask:#x} = {marker.value:#x}"
    return f"{marker:#x}" if isinstance(marker, int) else str(marker)


def _reasons(resolved: Resolved, channel: Channel) -> list[str]:
    """What can be said against a reading before any filter."""
    if channel.profile.interface == "pulse":
        return ["pulses_lost", "stuck", "overflow"]
    if channel.profile.interface == "analog":
        return ["broken_wire", "over_range"] * (channel.profile.analog.loop_ohm is not None) + ["invalid", "overflow"]
    if channel.profile.interface in ("h1", "stream"):
        return [*_PUSHED_REASONS, "no_data"] if channel.profile.interface == "h1" else list(_PUSHED_REASONS)
    bus = next(bus for bus in resolved.site.bus if bus.id == channel.device.bus)
    return [*_BUS_REASONS, "bus_down"] if bus.kind == "modbus-tcp" else list(_BUS_REASONS)


# --- for people


def as_text(facts: dict[str, Any]) -> Iterator[str]:
    """The same, line by line."""
    unit = symbol(facts["unit"])
    shown = Scale(facts["exponent"], facts["unit"]).shown(1)
    quantity = facts["quantity"].replace("_", " ")
    yield f"{facts['point']}: {quantity}{f' in {unit}' if unit else ''}, a {facts['kind']} of class {facts['class']}"
    device, source = facts["device"], facts["source"]
    yield from _part("device", f"{device['id']}: {device['model']}, {device['wires']}, profile {facts['profile']}")
    yield from _part("read", f"every {facts['period_s']} s from {source['place']}")
    yield from _part("value", f"{source['value']}; kept in steps of {shown}", source["reasons"])
    if facts["range"]:
        yield from _part("possible", f"{facts['range'][0]} to {facts['range'][1]} {unit}".rstrip())
    if facts["states"]:
        yield from _part("states", ", ".join(f"{code} {name}" for code, name in facts["states"].items()))
    if facts["doubt"]:
        yield from _part("doubt", facts["doubt"])
    for number, step in enumerate(facts["filters"], 1):
        by = " (of the profile)" if step["from"] == "profile" else ""
        yield from _part(f"filter {number}", f"{step['kind']}{by}: {step['formula']}")
        yield from _part("", step["words"], step["reasons"])
    if not facts["filters"]:
        yield from _part("filters", "none: readings pass as they are")
    window = facts["window"]
    if window:
        yield from _part("window", f"{window['period_s']} s, aligned to the clock", window["reasons"])
        for output, words in window["outputs"].items():
            yield from _part("", f"{output}: {words}")
    else:
        yield from _part("window", "none: every reading that passes is a sample")
    for stream in facts["streams"]:
        every = f"every {stream['period_s']} s" if window else f"at most every {stream['period_s']} s"
        told = f"{stream['name']}, id {stream['id']}: a {stream['kind']} of class {stream['class']}, {every}"
        yield from _part("stream", told)


def _part(title: str, words: str, reasons: Sequence[str] = ()) -> Iterator[str]:
    yield f"  {title:<9} {words}"
    if reasons:
        yield f"  {'':<9} reasons: {', '.join(reasons)}"
