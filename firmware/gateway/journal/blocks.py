"""The blocks of the journal, each of which can be read alone (docs/FORMAT.md, "Journal").

A block of 4 KiB begins with 24 bytes: magic, block sequence number and epoch (u32), class and version (u8), two zeros, CRC-32 of all
that, a byte that is cleared when nothing in the block waits any more, three that stay erased. Records (core.record) follow, each behind
a byte that is cleared when it is acknowledged; the rest is free flash, 0xFF. Before the first round of a schema in a block stands the
schema, and that round is a key frame.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from gateway.core import record, record_reader
from gateway.core.errors import FrameError
from gateway.core.quality import NO_DATA

BLOCK = const(4096)
HEADER = const(24)
DONE = const(20)  # offset of the byte that says that nothing in the block waits any more
MAGIC = b"SATJ"
_VERSION = const(1)
_PIECE = const(256)
_FREE = b"\xff" * _PIECE
_WAITS_BITS = const(4)  # so many bits set mean "not acknowledged": a cut may leave any of the eight half written


def head(sequence, epoch, cls):
    """What a block begins with."""
    start = MAGIC + pack(">IIBBH", sequence, epoch, cls, _VERSION, 0)
    return start + pack(">I", crc32(start))


def parse_head(start):
    """(sequence, epoch, class, something may wait) of a block's first HEADER bytes, None when it holds no journal."""
    if start[:4] != MAGIC or unpack_from(">I", start, 16)[0] != crc32(start[:16]):
        return None
    sequence, epoch, cls, version = unpack_from(">IIBB", start, 4)
    if version != _VERSION or cls > 2 or not sequence:
        return None
    return sequence, epoch, cls, waits(start[DONE])


def waits(mark):
    """Does the byte before a record, or that of a block, still say "not acknowledged"? The majority of its bits decides."""
    count = 0
    while mark:
        mark &= mark - 1
        count += 1
    return count > _WAITS_BITS


class Blocks:
    """Reads whole blocks: `buffer` holds the one that was scanned last."""

    def __init__(self, flash):
        self._flash = flash
        self.buffer = bytearray(BLOCK)
        self.free = BLOCK  # where free flash begins in it: the block's end where a cut left something unfinished
        self.torn = 0  # records in it that could not be read

    def header(self, block):
        """See parse_head()."""
        start = bytearray(HEADER)
        return parse_head(start) if self._flash.read(block, start, 0) else None

    def scan(self, block, values=True):
        """Yield (offset, size, content) of every intact round and event of a block; `free` and `torn` are known at the end.

        `values`: False leaves out the mantissas of the rounds: what counts records need not know them.
        """
        buffer = self.buffer
        self.free = BLOCK
        self.torn = 0
        if not self._flash.read(block, buffer, 0):
            self.torn = 1
            return
        reader = record_reader.Reader({}, values)
        at = HEADER
        while at + record.SHORTEST < BLOCK:
            if buffer[at + 1] == 0xFF and buffer[at + 2] == 0xFF:  # no length of ours
                if not self.torn and self._is_free(at):
                    self.free = at
                return
            try:
                end = record.measure(buffer, at + 1, BLOCK)[1]
            except FrameError:
                self.torn += 1
                return
            try:
                if not record.is_wiped(buffer, at + 1, end):
                    _, content = reader.read(buffer, at + 1, end)
                    if hasattr(content, "seq"):  # no schema
                        yield at, end - at - 1, content
            except FrameError as error:
                self.torn += 1
                if error.reason != NO_DATA:
                    reader.forget()
            at = end

    def _is_free(self, at):
        view = memoryview(self.buffer)
        while at < BLOCK:
            end = min(BLOCK, at + _PIECE)
            if view[at:end] != _FREE[: end - at]:
                return False
            at = end
        return True
