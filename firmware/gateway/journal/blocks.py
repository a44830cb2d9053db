"""The blocks of the journal, each of which can be read alone (docs/FORMAT.md, "Journal").

A block of 4 KiB begins with 16 bytes: magic, block sequence number (u32), CRC-32 of both, one byte that is cleared when every record
of the block is acknowledged. Records (core.record) follow, each behind a byte that is cleared when it is acknowledged; the rest is free
flash, 0xFF. Before the first round of a schema in a block stands the schema, and that round is a key frame.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from gateway.core import record, record_reader
from gateway.core.errors import FrameError

BLOCK = const(4096)
HEADER = const(16)
DONE = const(12)  # offset of the byte that says that nothing in the block waits any more
WAITS = const(0xFF)  # the byte before a record that is not acknowledged
_MAGIC = b"SATR"
_PIECE = const(
    256
)  # bytes that are read and compared at once: pieces of 4 KiB are rare in a heap that has run for months
_FREE = b"\xff" * _PIECE


def head(sequence):
    """What a block begins with."""
    start = _MAGIC + pack(">I", sequence)
    return start + pack(">I", crc32(start))


class Blocks:
    """Reads them, one at a time: `buffer` holds the one that was scanned last."""

    def __init__(self, partition):
        self._partition = partition
        self.buffer = bytearray(BLOCK)
        self.free = BLOCK  # where free flash begins in it: the block's end where a cut left something unfinished
        self.torn = 0  # records in it that could not be read

    def header(self, block):
        """(sequence number, something may wait in it); (-1, False) when it holds no journal."""
        start = bytearray(HEADER)
        self._partition.readblocks(block, start, 0)
        if start[:4] != _MAGIC or unpack_from(">I", start, 8)[0] != crc32(start[:8]):
            return -1, False
        return unpack_from(">I", start, 4)[0], start[DONE] == 0xFF

    def scan(self, block):
        """Yield (offset, size, content) of every intact round and event of a block; `free` and `torn` are known at the end."""
        buffer, view = self.buffer, memoryview(self.buffer)
        for at in range(0, BLOCK, _PIECE):
            self._partition.readblocks(block, view[at : at + _PIECE], at)
        self.free = BLOCK
        self.torn = 0
        reader = record_reader.Reader({})
        at = HEADER
        while at + record.SHORTEST < BLOCK:
            if buffer[at + 1] == 0xFF and buffer[at + 2] == 0xFF:  # no length of ours
                if not self.torn and self._is_free(view, at):
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
            except FrameError:
                self.torn += 1
                reader.forget()
            at = end

    def _is_free(self, view, at):
        while at < BLOCK:
            end = min(BLOCK, at + _PIECE)
            if view[at:end] != _FREE[: end - at]:
                return False
            at = end
        return True
