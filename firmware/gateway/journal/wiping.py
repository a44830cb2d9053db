"""Retention: what is private does not stay on flash for longer than its profile says."""

from gateway.core import record
from gateway.journal import ledger
from gateway.journal.blocks import BLOCK, waits


class Wiper:
    """Looks at one block of a Journal at a time, from the newest to the oldest of each ring and again."""

    def __init__(self, journal):
        self._journal = journal
        self._cls = 0
        self._sequence = 0  # of the block looked at last; 0: begin with the newest
        self._expired = False

    def next(self, before):
        """One more block: when all in it is older than `before`, seconds since 2000, private rounds and all events in it become zeros on
        flash, sent or not. Those not sent are dropped.

        Records without UTC are as old as the next younger ones of their ring with it.
        """
        block = self._older()
        if block < 0:
            self._cls = (self._cls + 1) % len(self._journal.rings)
            self._sequence = 0
            return
        if not self._sequence:
            self._expired = False
        self._sequence = self._journal.pool.sequence_of(block)
        newest = -1
        private = []
        for at, size, content in self._journal.blocks.scan(block, False):
            if content.synced:
                newest = max(newest, content.seconds)
            if content.is_event or content.schema.private:
                private.append((at, size, content))
        if newest >= 0:
            self._expired = newest < before
        if self._expired and private:
            self._wipe(block, private)

    def _older(self):
        pool = self._journal.pool
        if not self._sequence:
            return pool.newest(self._cls)
        best = -1
        block = pool.next(self._cls, 0)
        while block >= 0 and pool.sequence_of(block) < self._sequence:
            best = block
            block = pool.next(self._cls, pool.sequence_of(block))
        return best

    def _wipe(self, block, private):
        journal = self._journal
        ring, buffer = journal.rings[self._cls], journal.blocks.buffer
        for at, size, content in private:
            if waits(buffer[at]) and journal.pool.waits(block):
                journal.ledger.leave(ledger.DROPPED, ledger.tally(content))
                journal.pool.wait(block, -1)
                ring.no_longer(self._sequence, at)
            body = record.measure(buffer, at + 1, BLOCK)[0]
            journal.flash.clear(block, body, at + 1 + size - body)
            journal.flash.clear(block, at)
        if block == ring.head:
            ring.restart()
        else:
            ring.settle(block)
