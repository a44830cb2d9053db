"""The journal: a ring of records on a raw flash partition, written once, acknowledged by clearing one byte.

A block of 4 KiB begins with 16 bytes: magic, block sequence number (u32), CRC-32 of both, one byte that is cleared when every record
of the block is acknowledged. Records (journal.record) follow; 0xFFFF in the place of a length is free flash. Where the ring begins and
ends is found by looking at the blocks.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from gateway.core.errors import FrameError
from gateway.journal import record

BLOCK = const(4096)
_HEADER = const(16)
_DONE = const(12)  # offset of the byte that says that nothing in the block waits any more
_MAGIC = b"SATJ"
MOST_SAMPLES = const(250)  # of the longest kind (16 bytes) they still fit a block
_WINDOW = const(48)  # records kept in RAM, at the front of the queue
_BLOCKS = const(4)  # ioctl
_ERASE = const(6)


class Entry:
    """A queued record: where it lies, and what it says (as record.decode gives it)."""

    def __init__(self, block, offset, content):
        self.block = block
        self.offset = offset
        self.content = content


class Journal:
    """`partition`: an esp32.Partition; `ledger` counts every sample that enters, leaves or is lost.

    It has `count` blocks of the partition from block `first` on, all of them unless told otherwise.
    `window` holds the oldest queued records, at most 48, in order: the uplink takes them from there and says when they are acknowledged.
    """

    def __init__(self, partition, ledger, first=0, count=0):
        self._partition = partition
        self._ledger = ledger
        self._first = first
        self._end = first + (count or partition.ioctl(_BLOCKS, 0) - first)
        self._buffer = bytearray(BLOCK)
        self._sequence = 0
        self._head = -1  # block that is being written
        self._offset = BLOCK  # where in it
        self._reader = -1  # block and offset of the first queued record that is not in the window; -1: none
        self._reader_offset = _HEADER
        self.window = []
        self.damaged = 0  # records found unreadable at the start
        self._free = BLOCK
        self._torn = 0
        self.epoch_found = 0
        self._recover()

    # --- writing

    def append(self, cls, epoch, seq, synced, seconds, uptime_ms, samples):
        """Write one round of at most MOST_SAMPLES; when this returns it survives a power cut."""
        data = record.encode(cls, epoch, seq, synced, seconds, uptime_ms, samples)
        if self._offset + len(data) > BLOCK:
            self._open_block()
        self._partition.writeblocks(self._head, data, self._offset)
        for sample in samples:
            self._ledger.produced(sample[0])
        if self._reader < 0 and len(self.window) < _WINDOW:
            content = (len(data), cls, epoch, seq, synced, seconds, uptime_ms, samples)
            self.window.append(Entry(self._head, self._offset, content))
        elif self._reader < 0:
            self._reader, self._reader_offset = self._head, self._offset
        self._offset += len(data)

    def _after(self, block):
        """The next block of the ring; the first one after -1."""
        return block + 1 if self._first <= block < self._end - 1 else self._first

    def _open_block(self):
        full = self._head
        block = self._after(full)
        self._give_up(block)
        self._head = block
        self._offset = _HEADER
        self._sequence += 1
        self._partition.ioctl(_ERASE, block)
        head = _MAGIC + pack(">I", self._sequence)
        self._partition.writeblocks(block, head + pack(">I", crc32(head)), 0)
        if full >= 0:
            self._settle(full)

    def _give_up(self, block):
        """The ring is full: what still waits in its oldest block is dropped, and counted as that."""
        if not self._waiting(block):
            return
        for entry in self._walk(block):
            for sample in entry.content[7]:
                self._ledger.dropped(sample[0])
        self.window = [entry for entry in self.window if entry.block != block]
        if self._reader == block:
            self._reader, self._reader_offset = self._after(block), _HEADER

    # --- reading

    def refill(self):
        """Bring the window up to date from flash. Call before taking from it."""
        while self._reader >= 0 and len(self.window) < _WINDOW:
            if self._waiting(self._reader):
                for entry in self._walk(self._reader):
                    if entry.offset < self._reader_offset:
                        continue
                    if len(self.window) == _WINDOW:
                        self._reader_offset = entry.offset
                        return
                    self.window.append(entry)
            if self._reader == self._head:
                self._reader = -1
            else:
                self._reader, self._reader_offset = self._after(self._reader), _HEADER

    def acknowledged(self, entries):
        """The broker has confirmed these: clear their byte on flash, and let them go."""
        for entry in entries:
            if entry in self.window:
                self.window.remove(entry)
                self._partition.writeblocks(entry.block, b"\0", entry.offset + record.ACK_OFFSET)
                for sample in entry.content[7]:
                    self._ledger.acknowledged(sample[0])
                if entry.block != self._head:
                    self._settle(entry.block)

    def _settle(self, block):
        """Mark a full block whose records are all acknowledged, so that the next start need not read it."""
        for entry in self.window:
            if entry.block == block:
                return
        if self._reader != block and not any(True for _ in self._walk(block)):
            self._partition.writeblocks(block, b"\0", _DONE)

    def _header(self, block):
        """Sequence number of a block, -1 when it holds no journal."""
        head = bytearray(_HEADER)
        self._partition.readblocks(block, head, 0)
        if head[:4] != _MAGIC or unpack_from(">I", head, 8)[0] != crc32(head[:8]):
            return -1, False
        return unpack_from(">I", head, 4)[0], head[_DONE] == 0xFF

    def _waiting(self, block):
        sequence, waiting = self._header(block)
        return sequence >= 0 and waiting

    def _scan(self, block):
        """Yield (offset, content) of every intact record of a block.

        Afterwards `_free` is where free flash begins: the block's end where a cut left something unfinished.
        """
        buffer = self._buffer
        self._partition.readblocks(block, buffer)
        self._free = BLOCK
        self._torn = 0
        at = _HEADER
        while at + 2 < BLOCK:
            length = buffer[at] << 8 | buffer[at + 1]
            if length == 0xFFFF:
                if not self._torn and buffer[at:] == b"\xff" * (BLOCK - at):
                    self._free = at
                return
            try:
                yield at, record.decode(buffer, at, BLOCK)
            except FrameError:
                self._torn += 1
                if not record.SHORTEST <= length <= BLOCK - at:
                    return
            at += length

    def _walk(self, block):
        """Yield an Entry for every record of a block that is not acknowledged."""
        for at, content in self._scan(block):
            if self._buffer[at + record.ACK_OFFSET] == 0xFF:
                yield Entry(block, at, content)

    # --- start

    def _recover(self):
        """Find the head, and what still waits."""
        found = []  # (sequence, block, something waits)
        for block in range(self._first, self._end):
            sequence, waiting = self._header(block)
            if sequence >= 0:
                found.append((sequence, block, waiting))
        found.sort()
        for sequence, block, waiting in found:
            if waiting:
                self._recover_block(block)
            self._sequence, self._head = sequence, block
        if self._head >= 0:
            for _, content in self._scan(self._head):
                self.epoch_found = max(self.epoch_found, content[2])
            self._offset = self._free

    def _recover_block(self, block):
        for entry in self._walk(block):
            if self._reader < 0:
                self._reader = block
            for sample in entry.content[7]:
                self._ledger.recovered(sample[0])
            self.epoch_found = max(self.epoch_found, entry.content[2])
        self.damaged += self._torn
