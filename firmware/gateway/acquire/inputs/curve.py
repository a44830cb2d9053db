"""From what an analog input saw to a value: faults of its wire, and a table with straight lines between its points."""

from gateway.core.exact import bounded, divide_half_even
from gateway.core.quality import BAD, BROKEN_WIRE, INVALID, OVER_RANGE, OVERFLOW, pack

_NO_SIGNAL = pack(BAD, INVALID)
_BROKEN_WIRE = pack(BAD, BROKEN_WIRE)
_OVER_RANGE = pack(BAD, OVER_RANGE)
_OVERFLOW = pack(BAD, OVERFLOW)


def fault(uv, low_uv, high_uv):
    """Quality byte of a signal that cannot be one: below `low_uv`, above `high_uv` (-1: no such limit). 0: none of that.

    Without a lower limit, nothing at all is a fault too: the ESP32 reads its first 100 mV as 0, and so a missing probe or a short.
    """
    if low_uv < 0:
        if uv <= 0:
            return _NO_SIGNAL
    elif uv < low_uv:
        return _BROKEN_WIRE
    return _OVER_RANGE if 0 <= high_uv < uv else 0


def value(table, x):
    """(mantissa, quality byte) at x. `table`: two or more [x, mantissa] with x ascending; its end lines go on beyond its ends."""
    at = len(table) - 2
    while at and x < table[at][0]:
        at -= 1
    x0, v0 = table[at]
    x1, v1 = table[at + 1]
    span = x1 - x0
    mantissa = bounded(divide_half_even(v0 * span + (x - x0) * (v1 - v0), span))
    return (0, _OVERFLOW) if mantissa is None else (mantissa, 0)
