"""A place in a ring from which its records are read one after the other."""

from micropython import const

from gateway.core import record
from gateway.core.errors import FrameError
from gateway.core.record_reader import Reader
from gateway.journal.blocks import HEADER, waits

_PIECE = const(256)  # bytes that are read at once; longer records take a second reading


class Entry:
    """A record that waits: where it lies (`block`, `sequence` number of that block, `offset`), how many bytes it takes there, how many
    samples it has, and what it says (`content`, a Round or an Event)."""

    def __init__(self, block, sequence, offset, size, content):
        self.block = block
        self.sequence = sequence
        self.offset = offset
        self.size = size
        self.content = content
        self.samples = 1 if content.is_event else len(content.marks) - _absent(content.marks)


def _absent(marks):
    return sum([mark == record.ABSENT for mark in marks]) if max(marks) == record.ABSENT else 0


class Cursor:
    """Begins with the first record at `floor` = (sequence, offset) or behind it, in the block with that sequence number, and reads up to
    the one at `limit`, likewise; None: up to the end of the ring.
    """

    def __init__(self, ring, block, floor, limit=None):
        self._ring = ring
        self._block = block
        self._floor = floor
        self.sequence = floor[0]
        self.offset = HEADER  # what stands before the floor must be read: differences begin there
        self.limit = limit
        self._reader = Reader({})
        self._next = None  # the Entry that peek() found

    def peek(self):
        """The next Entry that waits and is not on its way, None while there is none."""
        if self._next is None or not self._ring.still(self._next):
            self._next = self._find()
        return self._next

    def take(self):
        """As peek(), and it is on its way from now on."""
        entry = self.peek()
        if entry:
            self._next = None
            self._ring.depart(entry)
        return entry

    def place(self):
        """(sequence, offset) of the next record to look at."""
        if self._next:
            return self._next.sequence, self._next.offset
        return max(self._floor, (self.sequence, self.offset))

    def _find(self):
        ring = self._ring
        while True:
            if self.limit and (self.sequence, self.offset) >= self.limit:
                return None
            if not ring.holds(self._block, self.sequence):  # never had one, or it was given up meanwhile
                if not self._step():
                    return None
                continue
            end = ring.end_of(self._block)
            found = self._read(end) if self.offset + 1 + record.SHORTEST <= end else None
            if found is None:
                if self._block == ring.head or not self._step():
                    return None
            elif found.content and (found.sequence, found.offset) >= self._floor and ring.waits_for(found):
                return found

    def _step(self):
        """On to the next block in which something waits, or to the one that is being written. False when there is none."""
        block = self._ring.after(self.sequence)
        if block < 0:
            return False
        self._block = block
        self.sequence = self._ring.sequence_of(block)
        self.offset = HEADER
        self._reader = Reader({})
        return True

    def _read(self, end):
        """The Entry at the offset, which moves behind it; without content when it is no record that waits. None at the block's end."""
        buffer, offset = self._ring.buffer, self.offset
        have = min(_PIECE, end - offset)
        if not self._ring.read(self._block, buffer, offset, 0, have):
            self._ring.unreadable = True
            return None
        if buffer[1] == 0xFF and buffer[2] == 0xFF:
            return None
        try:
            length = record.measure(buffer, 1, end - offset)[1]
        except FrameError:
            self._ring.unreadable = True
            return None
        if length > have and not self._ring.read(self._block, buffer, offset, have, length):
            self._ring.unreadable = True
            return None
        self.offset = offset + length
        content = None
        try:
            if not record.is_wiped(buffer, 1, length):
                content = self._reader.read(buffer, 1, length)[1]
        except FrameError:
            self._ring.unreadable = True
            self._reader.forget()
        if not hasattr(content, "seq") or not waits(buffer[0]):  # a schema, or one that is done
            return _NOTHING
        return Entry(self._block, self.sequence, offset, length - 1, content)


class _Nothing:
    content = None


_NOTHING = _Nothing()
