"""Analogue and pulse inputs of a site: every device has a pin that can do it, and no pin serves two."""

from collections.abc import Iterator
from decimal import Decimal

from ..boards.pins import find_input, port_pins
from ..core.problems import Key, Problem, Wrong
from ..planning.pulse_bounds import counters, interrupt_hz
from ..profiles.profile import Profile
from ..site_file.site import Device
from .buses import ON_BUS
from .resolved import Resolved


def check_inputs(resolved: Resolved) -> Iterator[Problem]:
    """Analogue and pulse inputs: every device has a pin that can do it, and no pin serves two."""
    source, board = resolved.source, resolved.board
    taken: dict[int, str] = {}
    for bus in resolved.site.bus:
        port = None if bus.kind == "modbus-tcp" else board.ports.get(bus.port)
        for gpio in port_pins(port) if port else ():
            taken[gpio] = f"bus '{bus.id}'"
    if resolved.site.network.kind == "lan" and board.lan:
        taken |= dict.fromkeys(board.lan.pins, "the network")
    for index, device in enumerate(resolved.site.device):
        profile = resolved.profiles.get(device.id)
        if profile is None or profile.interface in ON_BUS:
            continue
        for key, what in _misplaced(device, profile):
            yield source.problem(("device", index, key), what, "remove it")
        wanted = [("pin", device.pin, resolved.gpios)]
        if profile.analog and profile.analog.ratiometric:
            wanted.append(("reference_pin", device.reference_pin, resolved.references))
        for name, pin, found in wanted:
            key: Key = ("device", index, name)
            try:
                gpio = find_input(board, profile.interface, pin, name)
            except Wrong as wrong:
                yield source.problem(key, wrong.what, wrong.hint)
                continue
            # Several sensors on one supply share its measurement.
            if gpio in taken and not (found is resolved.references and gpio in found.values()):
                yield source.problem(key, f"GPIO {gpio} is already used by {taken[gpio]}", "another pin")
            taken.setdefault(gpio, f"device '{device.id}'")
            found[device.id] = gpio
        resolved.warnings += _input_warnings(resolved, index, device, profile)
    yield from _too_many_counters(resolved)


def _too_many_counters(resolved: Resolved) -> Iterator[Problem]:
    """The chip's counters go to the first inputs without a debounce time, as the device builds them: by period, then as they stand."""
    site, board = resolved.site, resolved.board
    units = left = counters(board)
    found = [(device.period_s, at, resolved.profiles.get(device.id)) for at, device in enumerate(site.device)]
    for _, at, profile in sorted(found, key=lambda row: row[:2]):
        if profile is None or profile.pulse is None or profile.pulse.debounce_ms:
            continue
        left -= 1
        if units and left < 0 and profile.pulse.max_hz > interrupt_hz(board, 0):
            what = f"up to {profile.pulse.max_hz} pulses a second need one of the chip's {units} counters, and all are in use"
            hint = f"an interrupt is exact up to {interrupt_hz(board, 0)} a second: slower pulses, or fewer such inputs"
            yield resolved.source.problem(("device", at, "pin"), what, hint)


def _misplaced(device: Device, profile: Profile) -> Iterator[tuple[str, str]]:
    """Options that belong to inputs of another kind."""
    given = device.model_fields_set
    if "persist_s" in given and profile.interface != "pulse":
        yield "persist_s", f"'persist_s' is for pulse totals, but {profile.name} is {profile.interface}"
    if "reference_pin" in given and not (profile.analog and profile.analog.ratiometric):
        yield "reference_pin", f"'reference_pin' is for ratiometric sensors, but {profile.name} is none"


def _input_warnings(resolved: Resolved, index: int, device: Device, profile: Profile) -> Iterator[Problem]:
    source, board = resolved.source, resolved.board
    pulse, analog = profile.pulse, profile.analog
    exact_hz = interrupt_hz(board, pulse.debounce_ms) if pulse else 0
    if pulse and pulse.max_hz > exact_hz and (pulse.debounce_ms or not board.counter):
        why = f"contacts that bounce for {pulse.debounce_ms} ms" if pulse.debounce_ms else "no hardware counter"
        what = f"up to {pulse.max_hz} pulses a second, but {why} and flash that is written beside"
        yield source.problem(("device", index), what, f"above {exact_hz} a second pulses can be lost, and are reported")
    if analog and analog.loop_ohm and 20_000 * analog.loop_ohm > board.gpio.adc_linear_uv[1]:
        what = (
            f"20 mA make {20 * analog.loop_ohm} mV over {analog.loop_ohm} ohm, where this board's ADC is not straight"
        )
        best = board.gpio.adc_linear_uv[1] // 20_000
        yield source.problem(("device", index), what, f"a shunt of {best} ohm or less, and a profile that says so")
    channel = next((c for c in resolved.channels if c.device is device), None)
    volts = analog and analog.attenuation_db == 11 and not analog.ratiometric
    if volts and channel and channel.calibration:
        low, high = board.gpio.adc_linear_uv
        for uv, _ in channel.calibration:
            if not low <= uv <= high:
                what = f"a calibration point at {Decimal(uv) / 1000} mV lies where this board's ADC is not straight"
                hint = f"{low // 1000} to {high // 1000} mV are; use a divider or calibrate within"
                yield source.problem(("device", index), what, hint)
