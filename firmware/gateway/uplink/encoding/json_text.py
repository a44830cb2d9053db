"""SenML records in JSON (RFC 8428 section 5), with numbers digit for digit."""

import json

from gateway.core import exact


def put_record(out, fields):
    """Append a record to a bytearray. fields: (label, value), the value a text, an integer or (mantissa, decimal exponent)."""
    out.extend(b",{" if out else b"{")
    comma = ""
    for label, value in fields:
        if isinstance(value, str):
            value = json.dumps(value)
        elif isinstance(value, tuple):
            value = exact.decimal(value[0], value[1])
        out.extend('{}"{}":{}'.format(comma, label, value).encode())
        comma = ","
    out.extend(b"}")


def finish(body, count):
    """The pack of the records."""
    return b"[" + bytes(body) + b"]"
