"""The ring of one class: its records are appended at the head, and read by two cursors, the fresh ones and the backlog.

What the uplink has not sent when a connection begins (or falls behind) is backlog; what comes after that is fresh. The backlog never
holds up what is fresh.
"""

from micropython import const

from gateway.core import record_writer
from gateway.journal import ledger
from gateway.journal.blocks import BLOCK, DONE, HEADER, head
from gateway.journal.cursor import Cursor

_KEY_EVERY = const(64)  # rounds: damage to one makes those up to the next key frame unreadable
_TRIES = const(3)  # blocks tried before the flash counts as failing
_SAVE_EVERY = const(16)  # blocks: so many are counted anew at a start


class Ring:
    """`journal` has what all rings share: flash, blocks, pool, ledger, epoch; its give_up() is told before a block is written over."""

    def __init__(self, journal, cls):
        self._journal = journal
        self._pool = journal.pool
        self._flash = journal.flash
        self.buffer = journal.blocks.buffer
        self.cls = cls
        self.head = -1  # block that is being written
        self.offset = BLOCK  # where in it
        self._writers = {}  # slot -> record_writer.Writer
        self._told = {}  # slot: its schema stands in this block
        self._last = {}  # slot -> ((sequence, offset), uptime in ms) of its last record
        self._on_way = {}  # (sequence, offset) -> tally
        self.live = None
        self.backlog = None
        self.fresh_bytes = 0  # of records that `live` has not taken yet
        self.fresh_samples = 0
        self.bytes = 0  # written since the start
        self.unreadable = False  # a cursor met something that is no record
        self.saved = 0  # sequence number of the head when the ledger's page was written
        self.dropped = 0  # the last block that was given up with something waiting in it
        self.last = (0, 0)  # (epoch, seq) of the last record

    # --- writing

    def append(self, slot, content):
        """Write a Round of the schema with that slot (0..255), or an Event. True when it survives a power cut."""
        data = self._encoded(slot, content)
        for _ in range(_TRIES):
            if self._offset_after(data) > BLOCK:
                if not self._open_block():
                    break
                data = self._encoded(slot, content)
            if self._write(data, slot, content):
                self.last = (content.epoch, content.seq)
                return True
            self.offset = BLOCK  # nothing more goes into this block
        self.restart()  # what was to stand before it does not
        return False

    def _encoded(self, slot, content):
        """(bytes of the schema that has to stand before it, bytes of the record)."""
        if content.is_event:
            return b"", record_writer.encode_event(content)
        writer = self._writers.get(slot)
        if writer is None:
            writer = self._writers[slot] = record_writer.Writer(slot)
        if writer.since_key >= _KEY_EVERY or slot not in self._told:
            writer.restart()
        schema = b"" if slot in self._told else b"\0" + record_writer.encode_schema(content.schema)
        self._told[slot] = True
        return schema, writer.encode(content)

    def _offset_after(self, data):
        return self.offset + len(data[0]) + 1 + len(data[1])

    def _write(self, data, slot, content):
        schema, body = data
        if schema and not self._flash.program(self.head, schema, self.offset):
            return False
        at = self.offset + len(schema)
        if not self._flash.program(self.head, body, at + 1):
            return False
        self._last[slot] = (self.sequence_of(self.head), at), content.uptime_ms
        self.bytes += at + 1 + len(body) - self.offset
        self.offset = at + 1 + len(body)
        self._pool.wait(self.head, 1)
        self.fresh_bytes += len(body)
        self.fresh_samples += 1 if content.is_event else len(content.marks)
        return True

    def _open_block(self):
        full = self.head
        for _ in range(_TRIES):
            if self._take_block():
                self.restart()
                if full >= 0:
                    self.settle(full)
                if self._pool.sequence - self.saved >= self.save_every():
                    self._journal.save(self)
                return True
        return False

    def save_every(self):
        """Blocks between two pages of the ledger: before any of them is written over."""
        return max(1, min(_SAVE_EVERY, self._pool.count(self.cls) // 2))

    def _take_block(self):
        block, owner = self._pool.choose(self.cls, self.head)
        if block < 0:
            return False
        if owner >= 0:
            self._journal.give_up(owner, block)
        if not self._flash.erase(block):
            self._pool.free(block, worn=True)
            return False
        self._pool.sequence += 1
        if not self._flash.program(block, head(self._pool.sequence, self._journal.epoch, self.cls), 0):
            self._pool.free(block, worn=True)
            return False
        self._pool.taken(block, self.cls)
        if self.head >= 0:
            self.bytes += BLOCK - self.offset
        self.bytes += HEADER
        self.head = block
        self.offset = HEADER
        return True

    def restart(self):
        """The next round of every schema is a key frame with its schema before it."""
        self._told = {}

    # --- reading

    def start(self, head, offset):
        """After a start: go on at `offset` of the block `head`. What waits is backlog."""
        self.head, self.offset = head, offset
        self.saved = min(self.saved, self._pool.sequence)
        self.live = self._from(self._end())
        self._read_again()

    def _from(self, floor):
        """A cursor for what comes from there on."""
        self.fresh_bytes = self.fresh_samples = 0
        return Cursor(self, self.head, floor)

    def _end(self):
        return (self.sequence_of(self.head) if self.head >= 0 else self._pool.sequence), self.offset

    def jump(self, since_ms):
        """What is fresh begins with the last record of each schema, as far as it is from that uptime or later; what comes before and was
        not taken until now is backlog."""
        floor = self._end()
        for slot in sorted(self._last):
            place, uptime_ms = self._last[slot]
            if uptime_ms >= since_ms and place[0] == floor[0]:
                floor = min(floor, place)
        behind, self.live = self.live, self._from(max(floor, self.live.place()))
        if self.backlog is None:
            self.backlog = behind
        self.backlog.limit = self.live.place()

    def take_live(self):
        entry = self.live.take()
        if entry:
            self.fresh_bytes = max(0, self.fresh_bytes - entry.size)
            samples = 1 if entry.content.is_event else len(entry.content.marks)
            self.fresh_samples = max(0, self.fresh_samples - samples)
        return entry

    def peek_backlog(self):
        """The oldest Entry of the backlog, None without one."""
        entry = self.backlog.peek() if self.backlog else None
        if entry is None:
            self.backlog = None
        return entry

    def rewind(self):
        """What was on its way will never be acknowledged: it waits again, as backlog."""
        self._on_way = {}
        self._read_again()

    def put_back(self, sequence, offset):
        """That record was not sent after all."""
        if self._on_way.pop((sequence, offset), None):
            self._read_again()

    def _read_again(self):
        """The backlog begins with whatever waits and is not on its way."""
        first = self.after(0)
        if first >= 0:
            self.backlog = Cursor(self, first, (self.sequence_of(first), HEADER), self.live.place())

    # --- what cursors ask

    def holds(self, block, sequence):
        """The block is still the one with that sequence number."""
        return block >= 0 and self._pool.sequence_of(block) == sequence

    def sequence_of(self, block):
        return self._pool.sequence_of(block)

    def end_of(self, block):
        return self.offset if block == self.head else BLOCK

    def after(self, sequence):
        """The next block with something in it to read, behind that sequence number; -1 without one."""
        return self._pool.next_waiting(self.cls, sequence, self.head)

    def read(self, block, buffer, offset, start, end):
        """Fill buffer[start:end] from offset + start on."""
        return self._flash.read(block, memoryview(buffer)[start:end], offset + start)

    def waits_for(self, entry):
        return (entry.sequence, entry.offset) not in self._on_way

    def still(self, entry):
        """An entry found earlier is there, and not on its way."""
        return self.holds(entry.block, entry.sequence) and self.waits_for(entry)

    def depart(self, entry):
        self._on_way[entry.sequence, entry.offset] = (entry.block, ledger.tally(entry.content))

    # --- leaving

    def acknowledge(self, sequence, offset):
        """The broker has confirmed this record."""
        block, what = self._on_way.pop((sequence, offset), (-1, None))
        if block < 0:
            return  # given up while it was on its way
        self._flash.clear(block, offset)
        self._journal.ledger.leave(ledger.ACKNOWLEDGED, what)
        self._pool.wait(block, -1)
        self.settle(block)

    def settle(self, block):
        """Mark a full block in which nothing waits any more, so that the next start need not read it."""
        if block != self.head and not self._pool.waits(block):
            self._flash.clear(block, DONE)

    def no_longer(self, sequence, offset):
        """That record is given up: if it is on its way, what the broker says of it counts no more."""
        self._on_way.pop((sequence, offset), None)

    def forget(self, block):
        """That block is given up: nothing of it is on its way any more."""
        sequence = self._pool.sequence_of(block)
        for key in sorted(self._on_way):
            if key[0] == sequence:
                del self._on_way[key]
        if block == self.head:
            self.head, self.offset = -1, BLOCK
