"""Small values that outlive power cuts, in a ring of flash blocks: the newest of each key counts.

A block of 4 KiB begins with 16 bytes: magic, block sequence number (u32), CRC-32 of both. Records follow: length of the value (u16,
0xFFFF is free flash), key (u8), a zero, CRC-32 of these four bytes and the value, the value. Every block starts as a copy of all values,
and its header is written last: a block with a right header lacks nothing, so the one with the highest number counts, and the others are
spares. What is written next goes behind the copy, until the block is full.

Keys: 0 pulse totals, 1 calibrations of analog inputs, 2 what was learned about the units on a bus, 4 the last crash and the count of
starts, 5 addresses of brokers, 16 to 47 counters, 48 to 50 the ledger, a page a class, 52 derived totals. The rest is free.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

BLOCK = const(4096)
LONGEST = const(1024)  # bytes of a value
MOST = const(3072)  # bytes of all records together: a quarter of a block is left for changes
_HEADER = const(16)
_RECORD = const(8)  # bytes of a record beside its value
_MAGIC = b"SATS"
_SHARE = const(24)  # blocks
_TRIES = const(3)  # blocks tried for one copy
_ERASE = const(6)  # ioctl


def share(blocks):
    """(first, count): the blocks of the state ring in a partition of so many; the journal has those before."""
    count = min(_SHARE, max(2, blocks // 8))
    return blocks - count, count


def record_bytes(length):
    """What a value of that many bytes takes on flash."""
    return _RECORD + length


def _record(key, value):
    head = pack(">HBB", len(value), key, 0)
    return head + pack(">I", crc32(value, crc32(head))) + value


class State:
    """`partition`: an esp32.Partition, of which the ring has `count` blocks from `first` on, at least two.

    All values are in RAM as well, so that a flash that fails costs no more than what a power cut then takes; `failures` counts the
    values that could not be kept since the start, `unsaved` says whether one is not kept even now, `damaged` counts the records found unreadable at the start (one that a cut left unfinished is usual).
    """

    def __init__(self, partition, first, count):
        self._partition = partition
        self._first = first
        self._end = first + count
        self._values = {}
        self._size = 0  # bytes of all values as records
        self._sequence = 0
        self._head = -1  # block in use
        self._offset = BLOCK  # where free flash begins in it
        self._tried = -1  # block that was opened last, well or not
        self.unsaved = False
        self.failures = 0
        self.damaged = 0
        self.writes = self.bytes = 0  # since the start
        self._recover()

    @property
    def blocks(self):
        """How many it has."""
        return self._end - self._first

    @property
    def room(self):
        """Bytes of a block that are free for changes."""
        return BLOCK - _HEADER - self._size

    def get(self, key):
        """The value of a key as bytes, None when it never had one."""
        return self._values.get(key)

    def put(self, key, value):
        """Keep at most LONGEST bytes under a key from 0 to 255. True as soon as a power cut cannot take them.

        False when the flash fails: the value is in RAM only, and the next `put` of any key tries again. False too, and nothing is
        changed, when the value is too long or all values together are.
        """
        old = self._values.get(key)
        if old == value and not self.unsaved:
            return True
        size = self._size + _RECORD + len(value) - (0 if old is None else _RECORD + len(old))
        if len(value) > LONGEST or size > MOST:
            self.failures += 1
            return False
        self._values[key] = bytes(value)
        self._size = size
        self.unsaved = not (self._append(_record(key, value)) or self._move())
        if self.unsaved:
            self.failures += 1
        return not self.unsaved

    def _append(self, record):
        if self._offset + len(record) > BLOCK:
            return False
        at = self._offset
        if not self._program(self._head, record, at):
            self._offset = BLOCK  # nothing more goes into this block: the values in RAM are ahead of it
            return False
        self._offset = at + len(record)
        return True

    def _move(self):
        """Copy all values to another block. The one in use stays untouched until the copy is whole."""
        self._offset = BLOCK
        for _ in range(_TRIES):
            self._tried = self._after(self._tried)
            if self._tried != self._head and self._copy_to(self._tried):
                return True
        return False

    def _copy_to(self, block):
        copy = b"".join([_record(key, self._values[key]) for key in sorted(self._values)])
        self._sequence += 1
        head = _MAGIC + pack(">I", self._sequence)
        try:
            self._partition.ioctl(_ERASE, block)
        except OSError:
            return False
        if not self._program(block, copy, _HEADER) or not self._program(block, head + pack(">I", crc32(head)), 0):
            return False
        self._head = block
        self._offset = _HEADER + len(copy)
        return True

    def _after(self, block):
        return block + 1 if self._first <= block < self._end - 1 else self._first

    def _program(self, block, data, offset):
        """Write, and believe only what can be read again."""
        self.writes += 1
        self.bytes += len(data)
        read = bytearray(len(data))
        try:
            self._partition.writeblocks(block, data, offset)
            self._partition.readblocks(block, read, offset)
        except OSError:
            return False
        return read == data

    # --- start

    def _recover(self):
        """The newest block has everything; where it is damaged, older ones may have what it lacks."""
        found = []  # (sequence, block)
        head = bytearray(_HEADER)
        for block in range(self._first, self._end):
            self._partition.readblocks(block, head, 0)
            if head[:4] == _MAGIC and unpack_from(">I", head, 8)[0] == crc32(head[:8]):
                found.append((unpack_from(">I", head, 4)[0], block))
        found.sort()
        buffer = bytearray(BLOCK)
        for at in range(len(found) - 1, -1, -1):
            sequence, block = found[at]
            damaged, free = self._take(block, buffer)
            self.damaged += damaged
            if self._head < 0:
                self._sequence, self._head, self._tried, self._offset = sequence, block, block, free
            if not damaged:
                break
        self._size = sum([_RECORD + len(self._values[key]) for key in sorted(self._values)])

    def _take(self, block, buffer):
        """Values of a block, where no newer block has one. Returns (damaged records, where free flash begins: at the end after damage)."""
        self._partition.readblocks(block, buffer, 0)
        values = {}
        damaged = 0
        at = _HEADER
        free = BLOCK
        while at + _RECORD <= BLOCK:
            length, key = unpack_from(">HB", buffer, at)
            if length == 0xFFFF:
                if buffer[at:] == b"\xff" * (BLOCK - at):
                    free = at
                else:
                    damaged += 1
                break
            end = at + _RECORD + length
            if length > LONGEST or end > BLOCK:
                damaged += 1
                break
            value = bytes(buffer[at + _RECORD : end])
            if unpack_from(">I", buffer, at + 4)[0] == crc32(value, crc32(buffer[at : at + 4])):
                values[key] = value
            else:
                damaged += 1
            at = end
        for key in sorted(values):
            if key not in self._values:
                self._values[key] = values[key]
        return damaged, BLOCK if damaged else free
