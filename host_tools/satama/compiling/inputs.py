"""From the inputs of the board itself to what the device builds of them."""

from binascii import crc32
from decimal import Decimal
from fractions import Fraction

from ..planning.pulse_bounds import tolerable_stall_ms
from ..resolving.resolved import Channel, Resolved

# NAMUR NE 43: a live instrument keeps to 3.8..20.5 mA; below 3.6 mA and above 21 mA it, or its wire, has failed.
BROKEN_WIRE_UA, OVER_RANGE_UA = 3600, 21000
LOOP_UA = (4000, 20000)  # what stands for the lowest and the highest value
CEILING_UV = {
    0: 950_000,
    2: 1_250_000,
    6: 1_750_000,
    11: 3_100_000,
}  # attenuation in dB -> most that an ESP32's ADC tells


def compile_input(resolved: Resolved, at: int, channel: Channel) -> list:
    """The row of the analog or pulse input that feeds point number `at`."""
    if channel.profile.interface == "analog":
        return _analog(resolved, at, channel)
    pulse, device = channel.profile.pulse, channel.device
    return [
        "pulse",
        resolved.gpios[device.id],
        pulse.edge,
        pulse.debounce_ms,
        at,
        *pulse_scale(channel.per_pulse, channel.point.exponent),
        max(device.persist_s, channel.period_s) if channel.privacy else device.persist_s,
        _number(channel.name),
        tolerable_stall_ms(pulse),
    ]


def _analog(resolved: Resolved, at: int, channel: Channel) -> list:
    analog, device = channel.profile.analog, channel.device
    gpio, reference = resolved.gpios[device.id], resolved.references.get(device.id, -1)
    table = _table(channel)
    number = _number(channel.name, gpio, analog.attenuation_db, reference, table)
    limits = fault_limits(analog.loop_ohm, analog.attenuation_db)
    return ["adc", gpio, analog.attenuation_db, analog.samples, at, reference, *limits, table, number]


def fault_limits(loop_ohm: Decimal | None, attenuation_db: int) -> tuple[int, int]:
    """(low, high) in microvolts: outside of them the current loop has failed; -1 where there is no loop.

    A shunt that is too large for the ADC: what reaches its ceiling counts as over range.
    """
    if loop_ohm is None:
        return -1, -1
    low, high = (round(current * loop_ohm) for current in (BROKEN_WIRE_UA, OVER_RANGE_UA))
    return low, min(high, CEILING_UV[attenuation_db] - 1)


def _table(channel: Channel) -> list[list[int]]:
    """[[x, mantissa], ...], x ascending. What the site says goes before the profile; a loop alone gives its current in mA."""
    loop_ohm, options = channel.profile.analog.loop_ohm, channel.options
    points = channel.calibration
    if loop_ohm is not None and not options.calibration and (options.span or not points):
        ends = options.span or (Decimal(4), Decimal(20))
        points = [(round(current * loop_ohm), value) for current, value in zip(LOOP_UA, ends, strict=True)]
    unit = Fraction(10) ** channel.point.exponent
    return sorted([x, round(Fraction(value) / unit)] for x, value in points)


def _number(*identity: object) -> int:
    """The name of an input on the device's flash, 30 bits: it stays when other inputs come or go, and when ids are lost.

    A total belongs to the name of its channel; a calibration to that, its pins and its table.
    """
    return crc32(repr(identity).encode()) & 0x3FFFFFFF


def pulse_scale(per_pulse: Fraction, exponent: int) -> tuple[int, int, int]:
    """(m, shift, denominator) with mantissa = pulses * m * 10**shift / denominator, rounded half-even once."""
    denominator, power = per_pulse.denominator, 0
    m = per_pulse.numerator
    while denominator % 10 == 0 or denominator % 2 == 0 or denominator % 5 == 0:
        factor = next(f for f in (10, 2, 5) if denominator % f == 0)
        denominator //= factor
        m *= 10 // factor
        power -= 1
    while m % 10 == 0:
        m //= 10
        power += 1
    return m, power - exponent, denominator
