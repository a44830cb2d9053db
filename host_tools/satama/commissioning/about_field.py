"""Devices, buses and inputs: (what was seen, what to do) for each row. See checklist.py."""

from __future__ import annotations

from .cabling import Cabling
from .row import Row, Words, at, in_words

_DAMAGED = (
    "answers, but damaged {where}",
    "unplug the devices with the same number {unit}; else see that A and B are firm, and a 120 ohm resistor at both ends",
)
_DEVICE: Words = {
    "bus_down": ("cannot be reached {where}", "look at the network plug of {port}"),
    "crc": _DAMAGED,
    "short": _DAMAGED,
    "wrong_unit": ("another device answers in its place {where}", "find the second device set to number {unit}"),
    "exception": (
        "is there, but refuses the question with {said} {where}",
        "compare its type plate with the profile in the site file; type identify {of} to see what it says it is",
    ),
    "another device": (
        "what answers is not what the site file says {where}",
        "compare its type plate with the site file: are two meters exchanged, or two unit numbers?",
    ),
    "no sunspec map": (
        "answers, but its SunSpec registers were not found {where}",
        "switch SunSpec Modbus on in its menu",
    ),
}


def _device(row: Row, cabling: Cabling) -> tuple[str, str]:
    bus, unit = row.text("bus"), row.number("unit")
    model = cabling.models.get(row.of, "")
    where = f"({', '.join(filter(None, (model, f'unit {unit}' + (f' on {bus}' if bus else ''))))})"
    if row.said == "answers":
        slow = f" after {row.number('ms')} ms" if row.number("ms") else ""
        return f"answers{slow} {where}", ""
    if row.said == "timeout":
        if bus in cabling.networked:
            hint = f"is it on, and is {unit} the unit number behind {cabling.ports[bus]}?"
        else:
            settings = cabling.settings.get(bus, "the speed of the bus")
            hint = f"has it power? then A and B at its terminals, then its menu: unit number {unit}, {settings}"
        asked = "" if row.text("asked") != "False" else "; it was not asked just now: test again in half a minute"
        return f"does not answer {where}", hint + asked
    told = in_words(_DEVICE, row, where=where, unit=unit, port=cabling.ports.get(bus, bus))
    return told or (f"{row.said} {where}", "")


def _bus(row: Row, cabling: Cabling) -> tuple[str, str]:
    here, settings = at(cabling.ports.get(row.of, "")), cabling.settings.get(row.of, "")
    devices, silent = row.number("devices"), row.number("silent")
    if row.said == "silent":
        if row.of in cabling.networked:
            return f"nobody answers{here}", "look at its power and network plug, then at the address in the site file"
        what = f"none of {devices} devices answers{here}" if devices > 1 else f"its only device does not answer{here}"
        hint = f"exchange A and B at the board's terminals; then the supply of the devices, then {settings or 'their speed'}"
        return what, hint
    if row.said == "noise":
        counted = ", ".join(f"{count} {reason}" for reason, count in sorted(row.table("errors").items()))
        return (
            f"{row.number('damaged')} of the last {row.number('frames')} answers were damaged{here}"
            + (f" ({counted} since the start)" if counted else ""),
            "put 120 ohm at both ends of the line and nowhere else, the shield grounded at one end, no branches, away from mains",
        )
    if row.said == "no devices":
        return f"no device is on it{here}", ""
    heard = f", {silent} of {devices} silent" if silent else ""
    return f"{row.number('requests')} requests{here}{heard}", ""


_LISTEN: Words = {
    "crc": (
        "something comes at {port}, but no telegram is whole",
        "is the right line on the data pin? An H1 or P1 port needs its signal inverted, and an own ground wire",
    ),
    "stale": ("nothing comes at {port} any more", "push the plug in until it clicks; has the device power?"),
    "": (
        "nothing has come at {port} since the start",
        "push the plug in until it clicks; a customer port must be switched on by the grid company, and needs 5 V on its request line",
    ),
}


def _listen(row: Row, cabling: Cabling) -> tuple[str, str]:
    if row.said == "hears":
        return f"hears its device, {row.number('good')} good telegrams", ""
    return in_words(_LISTEN, row, port=cabling.ports.get(row.of, "its port")) or (row.said, "")


_ADC: Words = {
    "invalid": (
        "nothing is measured",
        "is the probe plugged in, and has it its supply? Measure between input and ground",
    ),
    "broken_wire": (
        "less than 3.6 mA flow",
        "the loop is open: its two wires exchanged, broken, or the transmitter without supply",
    ),
    "over_range": (
        "more than 21 mA flow",
        "the loop is shorted, or the transmitter faulty: unplug it; the reading must fall",
    ),
    "at the rail": (
        "the input is at its upper end",
        "unplug it at once: more than 3.1 V may be there; measure before you plug it in again",
    ),
}


def _adc(row: Row, cabling: Cabling) -> tuple[str, str]:
    volt = row.number("uv")
    seen = f"{_terminal(row, cabling)}, {volt // 1000} mV" if volt else _terminal(row, cabling)
    if row.said == "plausible":
        return f"plausible{seen}", ""
    what, advice = in_words(_ADC, row) or _value(row, cabling)
    return f"{what}{seen}", advice


def _pulse(row: Row, cabling: Cabling) -> tuple[str, str]:
    here = _terminal(row, cabling)
    if row.said == "counts":
        return f"{row.number('pulses')} pulses{here}" if row.number("pulses") else f"counts{here}", ""
    if row.said == "may be lost":
        return (
            f"pulses may be lost{here} ({row.number('suspicions')} times)",
            "compare with the meter's display; a contact that bounces needs a longer debounce_ms in its profile",
        )
    return f"no pulse yet{here}", "let something flow, or touch the two wires of the contact, and see that it counts"


_VALUE: Words = {
    "out_of_range": (
        "cannot be true",
        "compare with the display of the device: is it the right one, is its converter set?",
    ),
    "invalid": ("the device says itself that it has no value", "is what it measures connected to it?"),
    "exception": (
        "the device refuses to tell it",
        "does this version of it have that value? Leave the point out if not",
    ),
    "stuck": ("has not moved for long", "is the sensor dirty or frozen?"),
    "implausible": ("jumps faster than it can", "is the sensor firm in its place, and its wire?"),
    "near_echo": ("the sensor sees something right before it", "wipe the sensor, close the lid"),
    "no_echo": ("the sensor sees nothing", "does it look straight down? wipe it"),
    "quarantined": (
        "a total jumped",
        "was the meter exchanged? then tell the gateway: exchange POINT OLD_END NEW_START",
    ),
    "overflow": ("is too large", "compare with the display of the device, and the profile with its manual"),
    "reset": ("a total began anew", "was the meter exchanged? then tell the gateway: exchange POINT OLD_END NEW_START"),
}


def _value(row: Row, _: Cabling) -> tuple[str, str]:
    return in_words(_VALUE, row) or (row.said, "compare with the display of the device")


def _values(row: Row, _: Cabling) -> tuple[str, str]:
    if row.said == "good":
        return f"{row.number('points')} points have good values", ""
    return "no point has a value yet" if row.ok is None else row.said, "see the lines about devices and inputs"


def _terminal(row: Row, cabling: Cabling) -> str:
    """Where the input of a point is."""
    return at(cabling.pins.get(row.of.partition("/")[0], ""))


ABOUT = {
    "device": _device,
    "bus": _bus,
    "listen": _listen,
    "adc": _adc,
    "pulse": _pulse,
    "value": _value,
    "values": _values,
}
