"""What is kept and sent: rounds, events and schemas as records of bytes (docs/FORMAT.md, which this implements).

varint  bytes that follow, the CRC included
u8      kind in bits 0-1, flags in bits 2-4, other bits 0
...     the body of its kind
u32     CRC-32 (IEEE 802.3) of everything before it, big-endian like all fixed numbers
"""

from micropython import const

from gateway.core import varint
from gateway.core.errors import FrameError
from gateway.core.quality import SHORT

SHORTEST = const(6)  # bytes of any record
LONGEST = const(4000)  # of what follows the length
EVENTS = const(-2)  # in the place of a stream id: what the ledger counts events as
ABSENT = const(255)  # in the place of a quality byte: this round has no sample of the stream

# Kinds
KEY = const(0)  # a round that stands for itself
DELTA = const(1)  # a round as differences to the one before it of the same schema
EVENT = const(2)
SCHEMA = const(3)
# Flags
SYNCED = const(4)
SOME_ABSENT = const(8)
SOME_FLAWED = const(16)
UNKNOWN = const(0xE0)


class Round:
    """The samples of one slot and schema.

    `seconds`: the slot, since 2000-01-01 when `synced`, else since boot; `uptime_ms`: when it began; `values`: array of mantissas and
    `marks`: bytearray of quality bytes or ABSENT, both in the order of the schema. The value of an absent or bad sample means nothing.
    """

    is_event = False

    def __init__(self, schema, epoch, seq, synced, seconds, uptime_ms, values, marks):
        self.schema = schema
        self.cls = schema.cls
        self.epoch = epoch
        self.seq = seq
        self.synced = synced
        self.seconds = seconds
        self.uptime_ms = uptime_ms
        self.values = values
        self.marks = marks

    def samples(self):
        """Yield (stream id, decimal exponent, mantissa, quality byte) of each sample."""
        schema = self.schema
        for at, mark in enumerate(self.marks):
            if mark != ABSENT:
                yield schema.ids[at], schema.exponents[at], self.values[at], mark

    def stream_ids(self):
        """Yield the stream id of each sample."""
        for at, mark in enumerate(self.marks):
            if mark != ABSENT:
                yield self.schema.ids[at]


class Event:
    """Something that happened, with its moment to the millisecond. `body`: bytes of a JSON object; `cls`: as of a schema."""

    is_event = True

    def __init__(self, cls, epoch, seq, synced, seconds, ms, uptime_ms, body):
        self.cls = cls
        self.epoch = epoch
        self.seq = seq
        self.synced = synced
        self.seconds = seconds
        self.ms = ms
        self.uptime_ms = uptime_ms
        self.body = body

    def stream_ids(self):
        return (EVENTS,)


def measure(buf, at, end):
    """(index of its kind byte, index behind it) of the record at buf[at]; FrameError(SHORT) when none can be there."""
    try:
        length, body = varint.get(buf, at, end)
    except FrameError:
        raise FrameError(SHORT)
    if not SHORTEST - 1 <= length <= LONGEST or body + length > end:
        raise FrameError(SHORT)
    return body, body + length


def is_wiped(buf, at, end):
    """The record in buf[at:end] was overwritten with zeros, all but its length."""
    body = measure(buf, at, end)[0]
    return not any(buf[body:end])
