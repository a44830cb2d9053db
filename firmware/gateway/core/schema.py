"""Which streams the rounds of one class and period have, in which order: what a record's values mean (docs/FORMAT.md)."""

from binascii import crc32

from micropython import const

from gateway.core import varint
from gateway.core.errors import FrameError
from gateway.core.quality import INVALID

CLASS_NAMES = ("alarm", "counter", "telemetry")  # of a record, by number: words of topics and births
MOST_STREAMS = const(200)  # so that the longest record fits a block of flash, its schema beside it
_VERSION = const(1)
_PRIVATE = const(0x80)  # beside the class
_EXPONENT_MOST = const(40)


class Schema:
    """`ids`: stream ids, ascending, at most MOST_STREAMS; `exponents`: their decimal exponents; `period`: seconds; `private`: rounds
    are wiped from flash when their time is over."""

    def __init__(self, cls, period, ids, exponents, private=False):
        self.cls = cls
        self.period = period
        self.ids = ids
        self.exponents = exponents
        self.private = bool(private)
        self.id = crc32(self.encode())

    def encode(self):
        """Bytes; their CRC-32 is the schema's id."""
        out = bytearray((_VERSION, self.cls | _PRIVATE if self.private else self.cls))
        varint.put(out, self.period)
        varint.put(out, len(self.ids))
        expected = 0
        for at, stream_id in enumerate(self.ids):
            varint.put(out, stream_id - expected)
            varint.put_signed(out, self.exponents[at])
            expected = stream_id + 1
        return out


def decode(buf, at, end):
    """The Schema that lies in buf[at:end]. FrameError(INVALID) when it is none, or one of a later format."""
    if end - at < 4 or buf[at] != _VERSION:
        raise FrameError(INVALID)
    cls, private = buf[at + 1] & ~_PRIVATE, buf[at + 1] & _PRIVATE
    period, at = varint.get(buf, at + 2, end)
    count, at = varint.get(buf, at, end)
    if not 0 < count <= MOST_STREAMS:
        raise FrameError(INVALID)
    ids, exponents = [], []
    expected = 0
    for _ in range(count):
        gap, at = varint.get(buf, at, end)
        exponent, at = varint.get_signed(buf, at, end)
        if not -_EXPONENT_MOST <= exponent <= _EXPONENT_MOST:
            raise FrameError(INVALID)
        ids.append(expected + gap)
        exponents.append(exponent)
        expected += gap + 1
    if at != end:
        raise FrameError(INVALID)
    return Schema(cls, period, ids, exponents, private)
