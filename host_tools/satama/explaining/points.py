"""What there is to tell of one point of a site, as plain data: where it comes from, what is done with it, what leaves."""

from collections.abc import Iterator
from typing import Any

from ..compiling.ids import assign_ids, ids_path, load_ids
from ..compiling.retired import meanings
from ..core.quantities import symbol
from ..core.scale import Scale
from ..profiles.values import CLASSES
from ..profiles.words import wires
from ..resolving.resolved import Channel, Resolved, Signal
from ..resolving.window_rules import told_output
from ..site_file.filters import whole_chain
from ..site_file.privacy import FEWEST_HOUSEHOLDS, Privacy, reduction

_AREAS = {1: "coil", 2: "discrete input", 3: "holding register", 4: "input register"}
_CLASS_WORDS = {number: word for word, number in CLASSES.items()}
_ORDERS = {"ABCD": "most significant byte first", "CDAB": "low word first", "BADC": "bytes of a word swapped"}
_ORDERS |= {"DCBA": "least significant byte first"}
BUS_REASONS = ("timeout", "crc", "exception", "short", "wrong_unit", "invalid", "overflow")
PUSHED_REASONS = ("timeout", "crc", "stale", "invalid", "overflow")
WINDOW_REASONS = ("partial", "no_data", "overflow")


def as_data(resolved: Resolved, signal: Signal) -> dict[str, Any]:
    """All that is known of a point. Raises Problems when the file of stream ids is damaged."""
    point, options = signal.point, signal.options
    scale = Scale(point.exponent, point.unit)
    from_here = _read if isinstance(signal, Channel) else _derived
    return {
        "ok": True,
        "point": signal.name,
        "quantity": point.quantity,
        "kind": point.kind,
        "class": _CLASS_WORDS[point.klass],
        "unit": point.unit,
        "exponent": point.exponent,
        "read_s": signal.read_s,
        "period_s": signal.period_s,
        **from_here(resolved, signal),
        "privacy": _privacy(resolved, signal),
        "filters": [
            {
                "kind": step.kind,
                "from": origin,
                **step.explain(scale)._asdict(),
                "reasons": list(step.reasons),
                "compiled": step.compile(scale),
            }
            for origin, step in _chain(signal)
        ],
        "window": options.window
        and {
            "period_s": options.window.period_s,
            "outputs": {output: told_output(output) for output in options.window.outputs},
            "reasons": list(WINDOW_REASONS),
        },
        "report": options.report
        and {
            "change": scale.shown(signal.report[0]),
            "heartbeat_s": options.report.heartbeat_s,
            "compiled": signal.report,
        },
        "streams": _streams(resolved, signal),
    }


def _read(resolved: Resolved, channel: Channel) -> dict[str, Any]:
    point, profile = channel.point, channel.profile
    return {
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
    }


def _derived(resolved: Resolved, signal: Signal) -> dict[str, Any]:
    step = next(step for step in resolved.site.derived if step.id == signal.owner)
    sources = [{"key": str(key[0]), "point": name, "unit": resolved.known[name].unit} for key, name in step.sources()]
    return {
        "derived": {
            "id": step.id,
            "kind": step.kind,
            **step.explain()._asdict(),
            "sources": sources,
            "reasons": list(step.reasons),
        }
    }


def _chain(signal: Signal) -> Iterator[tuple[str, Any]]:
    """(where it is from, filter): what the profile of a device knows comes first."""
    if isinstance(signal, Channel):
        return whole_chain(signal.point, signal.options.filters, signal.options.per_pulse)
    return (("site", step) for step in signal.options.filters)


# --- privacy


def _privacy(resolved: Resolved, signal: Signal) -> dict[str, Any] | None:
    """None where there is nothing to keep. What is derived of a device with a pseudonym has one without a profile."""
    privacy, pseudonym = signal.privacy, signal.owner in resolved.pseudonymous
    if privacy is None and not pseudonym:
        return None
    name = signal.options.privacy
    if isinstance(signal, Channel):
        name = name or signal.device.privacy
    facts = {"profile": name, "pseudonym": pseudonym, "words": list(_words(signal, privacy, pseudonym))}
    if privacy:
        kept = {key: getattr(privacy, key) for key in ("local_only", "aggregate_only", "retention_h")}
        facts |= {"floor_s": signal.period_s, "output": reduction(privacy, signal.point.kind, 0).output, **kept}
    return facts


def _words(signal: Signal, privacy: Privacy | None, pseudonym: bool) -> Iterator[str]:
    if privacy and isinstance(signal, Channel):
        which = {"mean": "the mean", "last": "the last one"}[reduction(privacy, signal.point.kind, 0).output]
        yield f"of all readings {which} in every {signal.period_s} s goes on, the others are forgotten"
    if pseudonym:
        yield f"outside, '{signal.owner}' and its streams are called by a pseudonym that only this gateway can make"
    if privacy and privacy.local_only:
        yield "local_only: the console shows it, nothing of it is stored or sent"
    if privacy and privacy.aggregate_only:
        yield f"aggregate_only: nobody sees it; it enters sums over at least {FEWEST_HOUSEHOLDS} devices"
    if privacy and privacy.retention_h and signal.outputs:
        yield f"flash is wiped of it after {privacy.retention_h} h at the latest, sent or not"


# --- streams


def _streams(resolved: Resolved, signal: Signal) -> list[dict[str, Any]]:
    ids = assign_ids(load_ids(ids_path(resolved.source.path)), meanings(resolved)).streams
    return [
        {
            "name": made.name,
            "id": ids[made.name],
            "kind": made.kind,
            "class": _CLASS_WORDS[made.klass],
            "period_s": made.period_s,
            "unit": made.unit,
            "exponent": made.exponent,
        }
        for made in map(signal.stream, signal.outputs)
    ]


# --- where a device keeps it


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
        return [*PUSHED_REASONS, "no_data"] if channel.profile.interface == "h1" else list(PUSHED_REASONS)
    bus = next(bus for bus in resolved.site.bus if bus.id == channel.device.bus)
    return [*BUS_REASONS, "bus_down"] if bus.kind == "modbus-tcp" else list(BUS_REASONS)
