"""SenML records in CBOR (RFC 8428 section 6, RFC 8949): maps of definite length, exact numbers."""

from micropython import const

# Major types
_UNSIGNED = const(0x00)
_NEGATIVE = const(0x20)
_TEXT = const(0x60)
_ARRAY = const(0x80)
_MAP = const(0xA0)
_DECIMAL_FRACTION = b"\xc4\x82"  # tag 4, array of exponent and mantissa
_LABELS = {"bn": b"\x21", "bt": b"\x22", "n": b"\x00", "v": b"\x02", "vs": b"\x03"}  # -2, -3, 0, 2, 3


def _head(out, major, n):
    if n < 24:
        out.append(major | n)
    elif n < 0x100:
        out.append(major | 24)
        out.append(n)
    elif n < 0x1_0000:
        out.append(major | 25)
        out.append(n >> 8)
        out.append(n & 0xFF)
    elif not n >> 32:
        out.append(major | 26)
        out.extend(n.to_bytes(4, "big"))
    else:
        out.append(major | 27)
        out.extend(n.to_bytes(8, "big"))


def _integer(out, value):
    if value < 0:
        _head(out, _NEGATIVE, ~value)
    else:
        _head(out, _UNSIGNED, value)


def _text(out, text):
    data = text.encode()
    _head(out, _TEXT, len(data))
    out.extend(data)


def put_record(out, fields):
    """Append a record to a bytearray. fields: (label, value), the value a text, an integer or (mantissa, decimal exponent)."""
    _head(out, _MAP, len(fields))
    for label, value in fields:
        code = _LABELS.get(label)
        if code:
            out.extend(code)
        else:
            _text(out, label)
        if isinstance(value, str):
            _text(out, value)
        elif isinstance(value, tuple):
            out.extend(_DECIMAL_FRACTION)
            _integer(out, value[1])
            _integer(out, value[0])
        else:
            _integer(out, value)


def finish(body, count):
    """The pack of `count` records: an array of definite length, as RFC 8428 asks for."""
    pack = bytearray()
    _head(pack, _ARRAY, count)
    return bytes(pack) + body
