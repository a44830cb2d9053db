"""The journal: every record goes through it, and leaves it only when the broker has confirmed it. A ring per class, one pool of blocks.

Where the rings begin and end is found by looking at the blocks (journal.recovery). While the flash fails, records wait in RAM.
"""

from micropython import const

from gateway.core import lend
from gateway.core.record import EVENTS
from gateway.journal import ledger, ledger_page
from gateway.journal.blocks import MAGIC, Blocks, waits
from gateway.journal.flash import Flash
from gateway.journal.held import Held
from gateway.journal.pool import Pool
from gateway.journal.ring import Ring

CLASSES = const(3)  # alarm (events too), counter, telemetry
_LEAST = const(2)  # blocks of a ring
_NOTES = const(16)
_RETRY_MS = const(60000)
_MINUTELY = const(10)
_DOUBLINGS = const(6)  # up to about an hour


def shares(blocks, percents):
    """Blocks of each class: `percents` of them for alarms and counters, the rest for telemetry; at least two each."""
    most = blocks - 2 * _LEAST
    alarm = min(max(_LEAST, blocks * percents[0] // 100), most)
    counter = min(max(_LEAST, blocks * percents[1] // 100), most + _LEAST - alarm)
    return alarm, counter, blocks - alarm - counter


class Journal:
    """`partition`: an esp32.Partition of which it has `count` blocks from `first` on; `counts`: the Ledger, which is brought up to date
    from the `state` ring and the records that are found; `percents`: see shares(); `classes`: dict of the class by stream id.

    `notes` fills with dicts for events: what happened to the journal itself. Whoever owns it takes them out.
    """

    def __init__(self, partition, counts, state, first, count, percents, classes):
        from gateway.journal import recovery

        self.flash = Flash(partition)
        self.blocks = Blocks(self.flash)
        self.ledger = counts
        self._state = state
        self._classes = classes
        self.pool = Pool(self.blocks, first, count, shares(count, percents))
        self.rings = [Ring(self, cls) for cls in range(CLASSES)]
        self.notes = []
        self.damaged = 0  # records found unreadable
        self.epoch = 0  # of this boot, once it is known
        self.held = Held(counts)
        self._failing = False
        self._retry_due_ms = 0
        self._tries = 0
        self.epoch_found = recovery.recover(self, state)

    # --- in

    def append(self, slot, round):
        """Take a Round, whose schema always has that `slot` (0..255). When this returns it survives a power cut, unless the flash fails."""
        what = ledger.tally(round)
        kept = not self.held.waits and self.rings[round.cls].append(slot, round)
        self.ledger.queue(what)
        if kept:
            return
        if not self._failing:
            self._failing = True
            self.note({"event": "flash_failed", "failures": self.flash.failures})
        self.held.put(slot, round, what)

    def append_event(self, event):
        """Take an Event likewise."""
        self.append(0, event)

    def note(self, body):
        """Something has happened to the journal itself."""
        if len(self.notes) < _NOTES:
            self.notes.append(body)

    def retry(self, now_ms):
        """Bring what the RAM holds to flash. Call once a minute; after ten tries it tries less often, for each may give up blocks in vain."""
        held = self.held
        if not held.waits:
            self._tries = 0
        elif now_ms < self._retry_due_ms:
            return
        else:
            self._tries += 1
            self._retry_due_ms = now_ms + (_RETRY_MS << min(max(0, self._tries - _MINUTELY), _DOUBLINGS))
        while held.waits:
            slot, content = held.first()
            if not self.rings[content.cls].append(slot, content):
                return
            held.written()
        if self._failing:
            self._failing = False
            self.note({"event": "flash_recovered", "failures": self.flash.failures, "dropped": held.dropped})

    @property
    def degraded(self):
        """Records wait in RAM only."""
        return self._failing

    # --- out

    def peek_live(self, cls):
        """The next fresh Entry of a class that is not on its way, None without one."""
        return self.rings[cls].live.peek() or self.held.peek(cls)

    def take_live(self, cls):
        """As peek_live(), and it is on its way."""
        return self.rings[cls].take_live() or self.held.take(cls)

    def fresh(self, cls):
        """(bytes, samples) of a class that were not taken yet, about."""
        return self.rings[cls].fresh_bytes, self.rings[cls].fresh_samples

    def fall_behind(self, cls, since_ms):
        """See Ring.jump()."""
        self.rings[cls].jump(since_ms)

    def peek_backlog(self, cls):
        """The oldest Entry of a class from before what is fresh, None without one."""
        return self.rings[cls].peek_backlog()

    def take_backlog(self, cls):
        """As peek_backlog(), and it is on its way."""
        return self.rings[cls].backlog.take() if self.rings[cls].peek_backlog() else None

    def acknowledged(self, keys):
        """The broker has confirmed the records with these keys: (class, sequence, offset) of their entries."""
        for cls, sequence, offset in keys:
            if sequence:
                self.rings[cls].acknowledge(sequence, offset)
            else:
                self.held.acknowledge(offset)

    def read(self, keys):
        """The contents of these records again, in order; None when one of them was given up meanwhile."""
        found = []
        block, sequence = -1, 0
        contents = {}
        for cls, of, offset in keys:
            if not of:
                content = self.held.read(offset)
            else:
                if of != sequence:
                    sequence = of
                    block = self.pool.next(cls, sequence - 1)
                    contents = {}
                    if block >= 0 and self.pool.sequence_of(block) == sequence:
                        wanted = [key[2] for key in keys if key[1] == sequence]
                        contents = {at: content for at, _, content in self.blocks.scan(block) if at in wanted}
                content = contents.get(offset)
            if content is None:
                return None
            found.append(content)
        return found

    def search(self, cls, stream_id, after, sequence):
        """See search.block_of()."""
        from gateway.journal.search import block_of

        return block_of(self, cls, stream_id, after, sequence)

    def put_back(self, keys):
        """These were taken, but are not on their way after all."""
        for cls, sequence, offset in keys:
            if sequence:
                self.rings[cls].put_back(sequence, offset)
            else:
                self.held.put_back(offset)

    def rewind(self):
        """The connection's memory is gone: whatever was on its way waits again."""
        for ring in self.rings:
            ring.rewind()
        self.held.rewind()

    # --- what is given up, and what is unreadable

    def give_up(self, cls, block):
        """A ring needs this block of the class: what still waits in it is dropped and counted before the block is touched."""
        ring = self.rings[cls]
        sequence = self.pool.sequence_of(block)
        records = self.pool.waits(block)
        if records:
            first = last = None
            samples = 0
            for at, _, content in self.blocks.scan(block, False):
                if waits(self.blocks.buffer[at]):
                    self.ledger.leave(ledger.DROPPED, ledger.tally(content))
                    samples += sum([1 for stream_id in content.stream_ids() if stream_id != EVENTS])
                    first = first or (content.epoch, content.seq)
                    last = (content.epoch, content.seq)
            ring.dropped = sequence
            self.save(ring)
            if first:
                self.note({
                    "event": "dropped", "class": cls, "records": records, "samples": samples, "first": first, "last": last
                })  # fmt: skip
        ring.forget(block)
        self.flash.clear(block, 0, len(MAGIC))  # a cut in the middle of the erase must not leave half of it valid
        self.pool.free(block)

    def expire(self, cls, before):
        """Give up the oldest block of a class when something waits in it and all of that is older than `before`, seconds since 2000."""
        ring = self.rings[cls]
        block = ring.after(0)
        if block < 0 or block == ring.head or not self.pool.waits(block):
            return False
        for _, _, content in self.blocks.scan(block, False):
            if not content.synced or content.seconds >= before:
                return False
        self.give_up(cls, block)
        return True

    def check(self):
        """A cursor met something unreadable: find out what is missing, and say so."""
        for ring in self.rings:
            if ring.unreadable:
                ring.unreadable = False
                from gateway.journal import recovery

                recovery.recount(self)
                lend.drop("journal.recovery")  # it takes damage for anybody to want it

    # --- the ledger outlives a restart

    def save(self, ring):
        """Write the ledger's page of a ring's class: what it says of the records that are on flash."""
        rows = []
        in_ram = {}
        if self.held.waits:
            held = self.ledger.empty()
            self.held.count(held)
            in_ram = {row[0]: row[5] for row in held.rows_of(ring.cls, self._classes)}
        for stream_id, produced, acknowledged, dropped, quarantined, queued in self.ledger.rows_of(
            ring.cls, self._classes
        ):
            if produced:
                only = in_ram.get(stream_id, 0)
                rows.append((stream_id, produced - only, queued - only, dropped, quarantined))
        rows.sort()
        sequence = self.pool.sequence_of(ring.head) if ring.head >= 0 else ring.saved
        page = ledger_page.Page(ring.last[0], ring.last[1], ring.dropped, sequence, rows)
        ring.saved = sequence
        self._state.put(ledger_page.KEY + ring.cls, page.encode())

    def save_all(self):
        """Before a restart that is planned."""
        for ring in self.rings:
            self.save(ring)
