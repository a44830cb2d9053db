"""The journal: a ring of blocks (journal.blocks) on a raw flash partition. Where it begins and ends is found by looking at them."""

from micropython import const

from gateway.core import record, record_writer
from gateway.journal.blocks import BLOCK, DONE, HEADER, WAITS, Blocks, head

_KEY_EVERY = const(64)  # rounds: damage to one makes those up to the next key frame unreadable
_WINDOW = const(48)  # records kept in RAM, at the front of the queue
_URGENT = const(16)  # more of them, when they are alarms and events
_ALARM = const(0)  # class
_BLOCKS = const(4)  # ioctl
_ERASE = const(6)


class Entry:
    """A queued record: where it lies, how many bytes it takes there, and what it says (a Round or an Event)."""

    def __init__(self, block, offset, size, content):
        self.block = block
        self.offset = offset
        self.size = size
        self.content = content
        self.samples = sum([1 for _ in content.stream_ids()])  # counted once: the uplink asks every second


class Journal:
    """`partition`: an esp32.Partition; `ledger` counts every sample that enters, leaves or is lost.

    It has `count` blocks of the partition from block `first` on, all of them unless told otherwise.
    `window` holds the oldest queued records, at most 48, in order, and up to 16 alarms and events before their turn: the uplink takes them from there and says when they are acknowledged.
    """

    def __init__(self, partition, ledger, first=0, count=0):
        self._partition = partition
        self._ledger = ledger
        self._first = first
        self._end = first + (count or partition.ioctl(_BLOCKS, 0) - first)
        self._blocks = Blocks(partition)
        self._sequence = 0
        self._head = -1  # block that is being written
        self._offset = BLOCK  # where in it
        self._reader = -1  # block and offset of the first queued record that is not in the window; -1: none
        self._reader_offset = HEADER
        self._writers = {}  # slot -> record_writer.Writer
        self._told = {}  # slot: its schema stands in this block
        self.window = []
        self.damaged = 0  # records found unreadable at the start
        self._wiping = -1  # the block to look at next; -1: the head
        self._expired = False
        self.epoch_found = 0
        self._recover()

    # --- writing

    def append(self, slot, round):
        """Write a Round; when this returns it survives a power cut. `slot` (0..255) is always the same for the rounds of one schema."""
        writer = self._writers.get(slot)
        if writer is None:
            writer = self._writers[slot] = record_writer.Writer(slot)
        if writer.since_key >= _KEY_EVERY:
            writer.restart()
        schema = self._schema(slot, round.schema)
        data = writer.encode(round)
        if self._offset + len(schema) + 1 + len(data) > BLOCK:
            self._open_block()
            schema = self._schema(slot, round.schema)
            data = writer.encode(round)
        if schema:
            self._partition.writeblocks(self._head, schema, self._offset)
            self._offset += len(schema)
            self._told[slot] = True
        self._write(data, round)

    def append_event(self, event):
        """Write an Event; when this returns it survives a power cut."""
        data = record_writer.encode_event(event)
        if self._offset + 1 + len(data) > BLOCK:
            self._open_block()
        self._write(data, event)

    def _schema(self, slot, schema):
        """What has to stand before a key frame: nothing where the block has it already."""
        return b"" if slot in self._told else b"\0" + record_writer.encode_schema(schema)

    def _write(self, data, content):
        self._partition.writeblocks(self._head, data, self._offset + 1)
        for stream_id in content.stream_ids():
            self._ledger.produced(stream_id)
        entry = Entry(self._head, self._offset, len(data), content)
        if self._reader < 0 and len(self.window) < _WINDOW:
            self.window.append(entry)
        else:
            if self._reader < 0:
                self._reader, self._reader_offset = self._head, self._offset
            if content.cls == _ALARM and len(self.window) < _WINDOW + _URGENT:
                self.window.append(entry)  # it does not wait for its turn
        self._offset += 1 + len(data)

    def _after(self, block):
        """The next block of the ring; the first one after -1."""
        return block + 1 if self._first <= block < self._end - 1 else self._first

    def _open_block(self):
        full = self._head
        block = self._after(full)
        self._give_up(block)
        self._head = block
        self._offset = HEADER
        self._sequence += 1
        self._partition.ioctl(_ERASE, block)
        self._partition.writeblocks(block, head(self._sequence), 0)
        self._told = {}
        self._restart_writers()
        if full >= 0:
            self._settle(full)

    def _give_up(self, block):
        """The ring is full: what still waits in its oldest block is dropped, and counted as that."""
        if not self._waiting(block):
            return
        for entry in self._walk(block):
            for stream_id in entry.content.stream_ids():
                self._ledger.dropped(stream_id)
        self.window = [entry for entry in self.window if entry.block != block]
        if self._reader == block:
            self._reader, self._reader_offset = self._after(block), HEADER

    # --- reading

    def refill(self):
        """Bring the window up to date from flash. Call before taking from it."""
        ahead = [(entry.block, entry.offset) for entry in self.window if entry.content.cls == _ALARM]
        while self._reader >= 0 and len(self.window) < _WINDOW:
            if self._waiting(self._reader):
                for entry in self._walk(self._reader):
                    if entry.offset < self._reader_offset or (entry.block, entry.offset) in ahead:
                        continue
                    if len(self.window) == _WINDOW:
                        self._reader_offset = entry.offset
                        return
                    self.window.append(entry)
            if self._reader == self._head:
                self._reader = -1
            else:
                self._reader, self._reader_offset = self._after(self._reader), HEADER

    def acknowledged(self, entries):
        """The broker has confirmed these: clear their byte on flash, and let them go."""
        for entry in entries:
            if entry in self.window:
                self.window.remove(entry)
                self._partition.writeblocks(entry.block, b"\0", entry.offset)
                for stream_id in entry.content.stream_ids():
                    self._ledger.acknowledged(stream_id)
                if entry.block != self._head:
                    self._settle(entry.block)

    def _settle(self, block):
        """Mark a full block whose records are all acknowledged, so that the next start need not read it."""
        for entry in self.window:
            if entry.block == block:
                return
        if self._reader != block and not any(True for _ in self._walk(block)):
            self._partition.writeblocks(block, b"\0", DONE)

    def _waiting(self, block):
        sequence, waiting = self._blocks.header(block)
        return sequence >= 0 and waiting

    def _walk(self, block):
        """Yield an Entry for every record of a block that is not acknowledged."""
        blocks = self._blocks
        for at, size, content in blocks.scan(block):
            if blocks.buffer[at] == WAITS:
                yield Entry(block, at, size, content)

    # --- privacy

    def wipe_next(self, before):
        """Look at one more block, from the newest to the oldest and again: when all in it is older than `before`, seconds since 2000,
        private rounds and all events in it become zeros on flash, sent or not. Those not sent are dropped.

        Records without UTC are as old as the next younger ones with it.
        """
        block = self._wiping if self._wiping >= 0 else self._head
        if block < 0:
            return
        if block == self._head:
            self._expired = False
        newest = -1
        private = []
        for at, size, content in self._blocks.scan(block):
            if content.synced:
                newest = max(newest, content.seconds)
            if content.is_event or content.schema.private:
                private.append((at, size, content))
        if newest >= 0:
            self._expired = newest < before
        if self._expired and private:
            self._wipe(block, private)
        older = block - 1 if block > self._first else self._end - 1
        self._wiping = older if older != self._head and self._blocks.header(older)[0] >= 0 else -1

    def _wipe(self, block, private):
        buffer = self._blocks.buffer
        for at, size, content in private:
            if buffer[at] == WAITS:
                for stream_id in content.stream_ids():
                    self._ledger.dropped(stream_id)
            body = record.measure(buffer, at + 1, BLOCK)[0]
            self._partition.writeblocks(block, bytes(at + 1 + size - body), body)
            self._partition.writeblocks(block, b"\0", at)
        gone = [at for at, _, _ in private]
        self.window = [entry for entry in self.window if entry.block != block or entry.offset not in gone]
        if block == self._head:
            self._restart_writers()
        else:
            self._settle(block)

    def _restart_writers(self):
        for slot in sorted(self._writers):
            self._writers[slot].restart()

    # --- start

    def _recover(self):
        """Find the head, and what still waits."""
        found = []  # (sequence, block, something waits)
        for block in range(self._first, self._end):
            sequence, waiting = self._blocks.header(block)
            if sequence >= 0:
                found.append((sequence, block, waiting))
        found.sort()
        for sequence, block, waiting in found:
            if waiting:
                self._recover_block(block)
            self._sequence, self._head = sequence, block
        if self._head >= 0:
            for _, _, content in self._blocks.scan(self._head):
                self.epoch_found = max(self.epoch_found, content.epoch)
            self._offset = self._blocks.free

    def _recover_block(self, block):
        for entry in self._walk(block):
            if self._reader < 0:
                self._reader = block
            for stream_id in entry.content.stream_ids():
                self._ledger.recovered(stream_id)
            self.epoch_found = max(self.epoch_found, entry.content.epoch)
        self.damaged += self._blocks.torn
