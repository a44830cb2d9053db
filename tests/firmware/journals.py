"""The journal on the simulator's NOR flash, without a VM: what its tests share."""

from array import array

from gateway.core.record import ABSENT, Event, Round
from gateway.core.schema import Schema
from gateway.journal.blocks import BLOCK
from gateway.journal.journal import Journal
from gateway.journal.ledger import Ledger
from gateway.journal.state import State
from satama_sim.board.flash import NorFlash

STREAMS = list(range(40))
STATE_BLOCKS = 3
PERCENTS = (10, 20)
SCHEMA = Schema(2, 10, STREAMS, [0] * len(STREAMS))
COUNTERS = Schema(1, 60, [50, 51], [0, 0])
ALARMS = Schema(0, 10, [60], [0])
CLASSES = {**dict.fromkeys(STREAMS, 2), 50: 1, 51: 1, 60: 0}
START = 800_000_000


class FlashPartition:
    """What esp32.Partition offers of it."""

    def __init__(self, blocks):
        self.flash = NorFlash(blocks * BLOCK)
        self.blocks = blocks

    def ioctl(self, request, arg):
        if request == 4:
            return self.blocks
        assert request == 6
        self.flash.erase(arg * BLOCK)
        return 0

    def readblocks(self, block, buf, offset=0):
        buf[:] = self.flash.read(block * BLOCK + offset, len(buf))

    def writeblocks(self, block, buf, offset):
        assert offset + len(buf) <= BLOCK
        self.flash.program(block * BLOCK + offset, bytes(buf))


class Start:
    """One start of the gateway on a partition: `blocks` for the journal, the last STATE_BLOCKS of it for the state ring."""

    def __init__(self, partition, streams=(*STREAMS, 50, 51, 60), classes=CLASSES):
        blocks = partition.blocks - STATE_BLOCKS
        self.state = State(partition, blocks, STATE_BLOCKS)
        self.ledger = Ledger(streams)
        self.journal = Journal(partition, self.ledger, self.state, 0, blocks, PERCENTS, classes)
        self.journal.epoch = self.epoch = self.journal.epoch_found + 1
        self.seq = 0

    def round(self, schema=SCHEMA, count=None, value=0):
        """The next one, with so many samples."""
        self.seq += 1
        size = len(schema.ids)
        count = size if count is None else count
        marks = bytearray([0] * count + [ABSENT] * (size - count))
        values = array("q", [(self.seq * 1000 + at) * (-1) ** self.seq + value for at in range(size)])
        return Round(schema, self.epoch, self.seq, True, START + self.seq, self.seq * 1000, values, marks)

    def append(self, schema=SCHEMA, count=None):
        """Write it; its identity."""
        made = self.round(schema, count)
        self.journal.append(schema.cls, made)
        return self.epoch, made.seq

    def event(self, body=b'{"event": "test"}'):
        self.seq += 1
        self.journal.append_event(Event(0, self.epoch, self.seq, True, START + self.seq, 5, self.seq * 1000, body))
        return self.epoch, self.seq

    def take(self, most=10**6, cls=None):
        """Entries, put on their way: what is fresh first, then the backlog."""
        taken = []
        for kind in range(3) if cls is None else (cls,):
            while len(taken) < most:
                entry = self.journal.take_live(kind) or self.backlog(kind)
                if entry is None:
                    break
                taken.append(entry)
        return taken

    def backlog(self, cls):
        ring = self.journal.rings[cls]
        return ring.backlog.take() if ring.peek_backlog() else None

    def acknowledge(self, entries):
        self.journal.acknowledged([key(entry) for entry in entries])

    def drain(self, most=10**6):
        """Send and confirm; identities in the order of sending."""
        taken = self.take(most)
        self.acknowledge(taken)
        return [(entry.content.epoch, entry.content.seq) for entry in taken]

    def totals(self):
        """(produced, acknowledged, dropped, quarantined, queued)."""
        assert self.ledger.balanced(), list(self.ledger.rows())
        return self.ledger.totals()


def key(entry):
    return entry.content.cls, entry.sequence, entry.offset
