"""Whole numbers in as few bytes as they need: 7 bits a byte, least significant first, bit 7 set on all but the last one.

Signed ones are folded first (zigzag): 0, -1, 1, -2 become 0, 1, 2, 3.
"""

from micropython import const

from gateway.core.errors import FrameError
from gateway.core.quality import INVALID

_LONGEST = const(10)  # bytes: 70 bits, a difference of two 64-bit values and its sign


def put(out, value):
    """Append a number that is not negative to a bytearray."""
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def get(buf, at, end):
    """(number, index behind it); FrameError(INVALID) when it does not end before `end` or is longer than any of ours."""
    value = shift = 0
    end = min(end, at + _LONGEST)
    while at < end:
        byte = buf[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise FrameError(INVALID)


def put_signed(out, value):
    """Append any whole number."""
    put(out, value << 1 if value >= 0 else ~(value << 1))


def get_signed(buf, at, end):
    """As get(), for what put_signed() wrote."""
    folded, at = get(buf, at, end)
    return ~(folded >> 1) if folded & 1 else folded >> 1, at
