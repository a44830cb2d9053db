"""From the data of a Modbus answer to (mantissa, quality byte). No number becomes (0, bad), never an exception."""

from gateway.core import exact
from gateway.core.quality import BAD, INVALID, OVERFLOW, pack

_WIDTH = {"u16": 16, "s16": 16, "u32": 32, "s32": 32, "f32": 32, "u64": 64, "s64": 64, "f64": 64}
_NO_NUMBER = {"f32": 0x7F80_0000, "f64": 0x7FF0_0000_0000_0000}  # all bits of the exponent: infinity or NaN

_INVALID = (0, pack(BAD, INVALID))
_OVERFLOW = (0, pack(BAD, OVERFLOW))


def decode(buf, at, kind, order, m, shift, invalid):
    """The number whose first register begins at buf[at], * m * 10 ** shift.

    kind: u16 s16 u32 s32 u64 s64 f32 f64; order of the words: "big" (most significant first) or "little", bytes are
    always most significant first; invalid: raw patterns, unsigned, that mean "no value".
    """
    width = _WIDTH[kind]
    step = 2
    if order == "little":
        at += (width >> 3) - 2
        step = -2
    raw = 0
    for _ in range(width >> 4):
        raw = raw << 16 | buf[at] << 8 | buf[at + 1]
        at += step
    if raw in invalid:
        return _INVALID
    if kind[0] == "f":
        ones = _NO_NUMBER[kind]
        if raw & ones == ones:
            return _INVALID
        mantissa = exact.float_bits(raw, width, m, shift)
    else:
        if kind[0] == "s" and raw >> width - 1:
            raw -= 1 << width
        mantissa = exact.scale(raw, m, shift)
    return _OVERFLOW if mantissa is None else (mantissa, 0)


def decode_bit(buf, at, bit):
    """Coil or discrete input number `bit` of the data that begins at buf[at] (functions 1 and 2)."""
    return buf[at + (bit >> 3)] >> (bit & 7) & 1, 0
