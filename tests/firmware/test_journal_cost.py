"""What a day of 100 points a minute costs in flash: the journal, its acknowledgements, the ledger, what flash keeps of the counters."""

import random
from array import array

from journals import FlashPartition, key
from workload import DEVICES

from gateway.core.record import Round
from gateway.core.schema import Schema
from gateway.journal.blocks import BLOCK
from gateway.journal.journal import Journal
from gateway.journal.ledger import Ledger
from gateway.journal.state import State, share
from gateway.process.counter import Counter
from gateway.process.counters import Counters

POINTS, MINUTES, BLOCKS = 100, 1440, 384
CLASS = {"counter": 1, "gauge": 2, "state": 2}
START = 846_000_000


def hundred():
    """The 40 points of the workload, the same ones once more, and the first 20 a third time: (kind, start, step)."""
    forty = [point[3:6] for points in DEVICES.values() for point in points]
    return (forty * 3)[:POINTS]


def a_day(points, rng):
    """Yield what the points read, minute by minute."""
    now = [start for _, start, _ in points]
    for _ in range(MINUTES):
        for at, (kind, _, step) in enumerate(points):
            if kind == "counter":
                now[at] += rng.randint(0, step)
            elif kind == "state":
                now[at] = int(rng.random() < 0.1)
            else:
                now[at] += rng.randint(-step, step)
        yield list(now)


class Costs:
    """A gateway's flash, sent and acknowledged every minute."""

    def __init__(self):
        self.points = hundred()
        self.partition = FlashPartition(BLOCKS)
        first, count = share(BLOCKS)
        classes = {at: CLASS[kind] for at, (kind, _, _) in enumerate(self.points)}
        self.state = State(self.partition, first, count)
        self.ledger = Ledger(sorted(classes))
        self.journal = Journal(self.partition, self.ledger, self.state, 0, first, (5, 35), classes)
        self.journal.epoch = 3
        self.kept = Counters(self.state)
        self.counters = {}
        for at, (kind, _, step) in enumerate(self.points):
            if kind == "counter":
                self.counters[at] = Counter(at, lambda *_: None, 0, 1000 * step, 60, 3)
                self.kept.adopt(self.counters[at], f"device/{at}", 0)
        self.groups = {cls: sorted(at for at in classes if classes[at] == cls) for cls in (1, 2)}
        self.schemas = {cls: Schema(cls, 60, ids, [0] * len(ids)) for cls, ids in self.groups.items()}
        self.bytes_of_records = 0

    def run(self, minutes):
        seq = 0
        for minute, values in enumerate(a_day(self.points, random.Random(7))):
            if minute == minutes:
                return
            for at, counter in self.counters.items():
                counter.apply(values[at], 0, minute * 60)
            for cls, schema in self.schemas.items():
                seq += 1
                mine = array("q", [values[at] for at in self.groups[cls]])
                uptime_ms = minute * 60_000 + 3 + seq % 7
                self.journal.append(
                    cls, Round(schema, 3, seq, True, START + minute * 60, uptime_ms, mine, bytearray(len(mine)))
                )
            self.kept.tend(minute * 60)
            taken = [self.journal.take_live(cls) for cls in (1, 2)]
            self.bytes_of_records += sum(entry.size for entry in taken)
            self.journal.acknowledged([key(entry) for entry in taken])


def test_a_day_of_100_points_a_minute_costs_less_than_two_bytes_a_sample():
    costs = Costs()
    costs.run(MINUTES)
    flash, samples = costs.partition.flash, POINTS * MINUTES
    produced, acknowledged, *_ = costs.ledger.totals()
    assert produced == acknowledged == samples and costs.ledger.balanced()
    programmed, erases = flash.programmed_bytes / samples, sum(flash.erases)
    taken = erases * BLOCK / samples
    amplification = flash.programmed_bytes / costs.bytes_of_records
    print(
        f"{programmed:.2f} bytes programmed a sample, {taken:.2f} with what is left free in blocks, {erases} erases, "
        f"write amplification {amplification:.2f}, {flash.programs} programs"
    )
    assert programmed <= 2.0 and taken <= 2.0
    assert amplification < 1.25
    assert max(flash.erases) == 1  # nothing is written over within a day
