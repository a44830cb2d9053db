"""From the data of a Modbus answer to (mantissa, quality byte). No number becomes (0, bad), never an exception."""

from gateway.core import exact
from gateway.core.quality import BAD, INVALID, OVERFLOW, SHORT, pack

_WIDTH = {
    "u16": 16,
    "s16": 16,
    "bcd16": 16,
    "u32": 32,
    "s32": 32,
    "f32": 32,
    "bcd32": 32,
    "u64": 64,
    "s64": 64,
    "f64": 64,
    "bcd64": 64,
}
_NO_NUMBER = {"f32": 0x7F80_0000, "f64": 0x7FF0_0000_0000_0000}  # all bits of the exponent: infinity or NaN

_INVALID = (0, pack(BAD, INVALID))
_OVERFLOW = (0, pack(BAD, OVERFLOW))
_SHORT = (0, pack(BAD, SHORT))


def value(buf, at, field):
    """What `field` says of the data that begin at buf[at]; bad/short beyond the end of the buffer.

    field: [point, offset, type, order, m, shift, invalid] and perhaps `more`, as host_tools/satama/compiling/compiler.py tells; the value
    is raw * m * 10 ** shift.
    """
    try:
        return _value(buf, at, field)
    except IndexError:
        return _SHORT


def _value(buf, at, field):
    rule = None
    if len(field) == 7:
        _, offset, kind, order, m, shift, invalid = field
    else:
        _, offset, kind, order, m, shift, invalid, more = field
        rule = more[0]
    width = 0
    if kind == "bool":
        raw = buf[at + (offset >> 3)] >> (offset & 7) & 1
    elif kind == "string":
        raw = _code(buf, at + 2 * offset, more)
    else:
        width = _WIDTH[kind]
        raw = _raw(buf, at + 2 * offset, width, order)
    if raw is None or invalid and _is_marked(raw, invalid):
        return _INVALID
    if rule == "bits":
        raw = raw >> more[1] & (1 << more[2]) - 1
        width = 0
    elif rule == "scale":
        power = _signed(_raw(buf, at + 2 * more[1], 16, order), 16)
        if not -10 <= power <= 10:
            return _INVALID
        shift += power
    family = kind[0]
    if not width or family == "u":
        mantissa = exact.scale(raw, m, shift)
    elif family == "s":
        mantissa = exact.scale(_signed(raw, width), m, shift)
    elif family == "f":
        ones = _NO_NUMBER[kind]
        if raw & ones == ones:
            return _INVALID
        mantissa = exact.float_bits(raw, width, m, shift)
    else:
        digits = "%x" % raw
        if not digits.isdigit():
            return _INVALID
        mantissa = exact.scale(int(digits), m, shift)
    return _OVERFLOW if mantissa is None else (mantissa, 0)


def _raw(buf, at, width, order):
    """The bits as an unsigned number. order: where its bytes (A the most significant) stand on the wire."""
    if order == "ABCD":
        raw = 0
        for i in range(at, at + (width >> 3)):
            raw = raw << 8 | buf[i]
        return raw
    step = 2
    if order[0] == "C" or order[0] == "D":
        at += (width >> 3) - 2
        step = -2
    low = 1 if order[0] == "A" or order[0] == "C" else 0
    raw = 0
    for _ in range(width >> 4):
        raw = raw << 16 | buf[at + 1 - low] << 8 | buf[at + low]
        at += step
    return raw


def _signed(raw, width):
    return raw - (1 << width) if raw >> width - 1 else raw


def _is_marked(raw, invalid):
    """Whether the device says "no value": by one of these patterns, or one of these [mask, pattern]."""
    for mark in invalid:
        if raw == mark if isinstance(mark, int) else raw & mark[0] == mark[1]:
            return True
    return False


def _code(buf, at, more):
    """The number that stands for the text, None for a text that is not known."""
    _, registers, codes = more
    if at + 2 * registers > len(buf):
        raise IndexError
    found = text(buf, at, registers)
    for known, number in codes:
        if known == found:
            return number
    return None


def text(buf, at, registers):
    """The text in so many registers, up to a NUL and without blanks at its end; "?" for what is not printable ASCII."""
    data = bytes(buf[at : at + 2 * registers])
    end = data.find(b"\x00")
    if end >= 0:
        data = data[:end]
    return "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in data]).rstrip(" ")
