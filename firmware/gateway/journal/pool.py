"""Which block of the journal belongs to which ring, and which one a ring gets next.

Every ring has a share of the blocks. While it has fewer, it takes erased ones, and then, after a re-deploy that moved the shares, the
oldest one of a ring that has too many; else its own oldest one. So each ring wears its blocks evenly and never costs another one its data.
"""

from array import array

from micropython import const

_NONE = const(0xFF)  # in the place of a class: nobody's
_WORN = const(0xFE)  # the chip refused it: never to be used again in this run


class Pool:
    """`blocks`: a blocks.Blocks; there are `count` blocks from `first` on, of which the classes have `shares` (numbers of blocks)."""

    def __init__(self, blocks, first, count, shares):
        self._blocks = blocks
        self.first = first
        self.shares = shares
        self.sequences = array("I", bytearray(4 * count))  # by block minus `first`; 0: holds no journal
        self._classes = bytearray([_NONE] * count)
        self.waiting = array("H", bytearray(2 * count))  # records in it that are not acknowledged
        self._last = -1  # taken last, to go round among the erased ones
        self.sequence = 0  # the highest of all
        self.epoch = 0  # likewise
        self.worn = 0

    def load(self):
        """Look at the header of every block. Returns the blocks in which something may wait, as a set of flags by block minus first."""
        count = len(self.sequences)
        flags = bytearray(count)
        for at in range(count):
            found = self._blocks.header(self.first + at)
            if found:
                self.sequences[at], epoch, self._classes[at], flags[at] = found
                self.epoch = max(self.epoch, epoch)
                if self.sequences[at] > self.sequence:
                    self.sequence = self.sequences[at]
                    self._last = at
        return flags

    def sequence_of(self, block):
        return self.sequences[block - self.first]

    def count(self, cls):
        """Blocks of a class."""
        return sum([1 for found in self._classes if found == cls])

    def next(self, cls, after):
        """The block of a class with the lowest sequence number above `after`; -1 when there is none."""
        best = -1
        sequences = self.sequences
        for at, found in enumerate(self._classes):
            if found == cls and sequences[at] > after and (best < 0 or sequences[at] < sequences[best]):
                best = at
        return best + self.first if best >= 0 else -1

    def next_waiting(self, cls, after, head):
        """As next(), of the blocks in which something waits, and of `head`."""
        best = -1
        sequences, waiting = self.sequences, self.waiting
        head -= self.first
        for at, found in enumerate(self._classes):
            if found == cls and (waiting[at] or at == head) and sequences[at] > after:
                if best < 0 or sequences[at] < sequences[best]:
                    best = at
        return best + self.first if best >= 0 else -1

    def newest(self, cls):
        """The block of a class with the highest sequence number; -1 when there is none."""
        best = -1
        sequences = self.sequences
        for at, found in enumerate(self._classes):
            if found == cls and (best < 0 or sequences[at] > sequences[best]):
                best = at
        return best + self.first if best >= 0 else -1

    def choose(self, cls, head):
        """The block that a ring whose head is `head` gets next, -1 when there is none: (block, class that has it now or -1)."""
        count = len(self._classes)
        if self.count(cls) < self.shares[cls]:
            for step in range(1, count + 1):
                at = (self._last + step) % count
                if self._classes[at] == _NONE:
                    return at + self.first, -1
            for other in range(len(self.shares)):
                if other != cls and self.count(other) > self.shares[other]:
                    return self.next(other, 0), other
        oldest = self.next(cls, 0)
        if oldest == head:  # a ring needs two
            return -1, -1
        return oldest, cls

    def taken(self, block, cls):
        """The ring of that class has written its header into it. Returns the sequence number that it has."""
        at = block - self.first
        self.sequences[at] = self.sequence
        self._classes[at] = cls
        self.waiting[at] = 0
        self._last = at

    def free(self, block, worn=False):
        """It holds nothing of ours any more."""
        at = block - self.first
        self.sequences[at] = 0
        self._classes[at] = _WORN if worn else _NONE
        self.waiting[at] = 0
        if worn:
            self.worn += 1

    def wait(self, block, records):
        """So many more (or, below 0, fewer) records wait in it. Returns how many do now."""
        at = block - self.first
        self.waiting[at] += records
        return self.waiting[at]

    def waits(self, block):
        return self.waiting[block - self.first]
