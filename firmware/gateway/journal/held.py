"""Records that wait in RAM while the flash fails: few, counted, and the oldest give way."""

from micropython import const

from gateway.journal import ledger
from gateway.journal.cursor import Entry

MOST = const(32)  # records
MOST_SAMPLES = const(1000)  # about 9 KB


class Held:
    """`counts`: the Ledger. Entries have the sequence number 0, and a number of their own for an offset."""

    def __init__(self, counts):
        self._counts = counts
        self._rows = []  # [number, slot, tally, on its way, Entry]
        self._number = 0
        self._samples = 0
        self.dropped = 0  # records

    @property
    def waits(self):
        """How many records are not on flash."""
        return len(self._rows)

    def put(self, slot, content, what):
        """Take a record; older ones are dropped when there are too many."""
        self._number += 1
        entry = Entry(-1, 0, self._number, 0, content)
        self._rows.append([self._number, slot, what, False, entry])
        self._samples += entry.samples
        while len(self._rows) > MOST or self._samples > MOST_SAMPLES and len(self._rows) > 1:
            row = self._remove(0)
            self.dropped += 1
            self._counts.leave(ledger.DROPPED, row[2])

    def _remove(self, at):
        row = self._rows.pop(at)
        self._samples -= row[4].samples
        return row

    def first(self):
        """(slot, content) of the oldest."""
        return self._rows[0][1], self._rows[0][4].content

    def written(self):
        """The oldest is on flash now, and waits there."""
        self._remove(0)

    def peek(self, cls):
        """The oldest Entry of a class that is not on its way."""
        row = self._find(cls)
        return row[4] if row else None

    def take(self, cls):
        row = self._find(cls)
        if row:
            row[3] = True
            return row[4]
        return None

    def _find(self, cls):
        for row in self._rows:
            if row[4].content.cls == cls and not row[3]:
                return row
        return None

    def acknowledge(self, number):
        for at, row in enumerate(self._rows):
            if row[0] == number:
                self._remove(at)
                self._counts.leave(ledger.ACKNOWLEDGED, row[2])
                return

    def read(self, number):
        for row in self._rows:
            if row[0] == number:
                return row[4].content
        return None

    def put_back(self, number):
        for row in self._rows:
            if row[0] == number:
                row[3] = False

    def rewind(self):
        for row in self._rows:
            row[3] = False

    def count(self, counts):
        """Add them to what another Ledger has queued."""
        for row in self._rows:
            counts.count(ledger.QUEUED, row[2])
