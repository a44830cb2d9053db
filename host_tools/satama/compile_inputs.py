"""From the inputs of the board itself to what the device builds of them."""

from fractions import Fraction

from .resolve import Channel, Resolved


def compile_input(resolved: Resolved, at: int, channel: Channel) -> list:
    gpio, profile, exponent = resolved.gpios[channel.device.id], channel.profile, channel.point.exponent
    if profile.interface == "analog":
        line = [number for uv, value in channel.calibration for number in (uv, int(value.scaleb(-exponent)))]
        return ["adc", gpio, profile.analog.attenuation_db, profile.analog.samples, at, *line]
    return ["pulse", gpio, profile.pulse.edge, profile.pulse.debounce_ms, at, *pulse_scale(channel.per_pulse, exponent)]


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
