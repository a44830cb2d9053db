"""The short name of a stream on the wire: its id in base 62, digits 0-9 A-Z a-z. One character for the first 62 streams.

RFC 8428 section 4.5.1 allows these characters everywhere in a name.
"""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def short(stream_id):
    """0 is "0", 61 is "z", 62 is "10"."""
    name = _DIGITS[stream_id % 62]
    while stream_id > 61:
        stream_id //= 62
        name = _DIGITS[stream_id % 62] + name
    return name
