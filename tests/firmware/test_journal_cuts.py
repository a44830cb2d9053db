"""Power cut at every flash operation of the journal, in every way that a NOR flash takes it: what comes back is right.

The same on the whole gateway is `satama storm powercut`; here it is the journal alone, with the state ring beside it.
"""

from typing import NamedTuple

import pytest
from journals import ALARMS, COUNTERS, SCHEMA, FlashPartition, Start

from gateway.journal.blocks import BLOCK

MODES = ("absent", "torn 25", "torn 50", "torn 90", "weak bit", "whole")
PAGE = 4096


class Cut(Exception):
    pass


def damage(flash, mode, kind, address, data, at):
    """Leave the operation in that state. `at`: number of the operation, from which the weak bit follows."""
    if mode == "absent":
        return
    share = {"torn 25": 25, "torn 50": 50, "torn 90": 90}.get(mode, 100)
    if kind == "erase":
        end = PAGE * share // 100
        flash.data[address : address + end] = b"\xff" * end
        length = PAGE
    else:
        whole = len(data) * share // 100
        for offset in range(len(data)):
            byte = data[offset] if offset < whole else data[offset] | 0x0F if offset == whole else 0xFF
            flash.data[address + offset] &= byte
        length = len(data)
    if mode == "weak bit":
        bit = at * 7919 % (8 * length)
        flash.data[address + bit // 8] ^= 1 << bit % 8


class Moment(NamedTuple):
    """The flash just before an operation, and what the journal had taken and the broker confirmed by then."""

    number: int
    operation: tuple[str, int, bytes]  # kind, address, data
    content: bytes
    made: list
    confirmed: set

    def cut(self, mode):
        """A partition on which the power went at that operation."""
        partition = FlashPartition(len(self.content) // BLOCK)
        partition.flash.data[:] = self.content
        damage(partition.flash, mode, *self.operation, self.number)
        return partition


class Run:
    """A scenario that can be cut at any operation; it notes what the journal took and what the broker confirmed.

    `stride`: so often the moment is kept, for a cut that is made later. What the cut leaves is on flash alone, so that one life serves
    all its cuts.
    """

    def __init__(self, partition, steps, stride=0):
        self.partition = partition
        self.steps, self.stride = steps, stride
        self.made, self.confirmed, self.operations = [], set(), 0
        self.moments = []
        self.cut_at = -1
        self.mode = ""
        partition.flash.before = self.before

    def before(self, *operation):
        if self.operations == self.cut_at:
            self.partition.flash.before = None
            damage(self.partition.flash, self.mode, *operation, self.operations)
            raise Cut
        if self.stride and self.operations % self.stride == 0:
            content = bytes(self.partition.flash.data)
            self.moments.append(Moment(self.operations, operation, content, list(self.made), set(self.confirmed)))
        self.operations += 1

    def go(self):
        gateway = Start(self.partition)
        for step in range(self.steps):
            self.made.append(gateway.append(SCHEMA if step % 5 else COUNTERS))
            if step % 37 == 0:
                self.made.append(gateway.append(ALARMS))
            if step % 90 < 60 and step % 8 == 0:
                taken = gateway.take(12)
                self.confirmed |= {(entry.content.epoch, entry.content.seq) for entry in taken}
                gateway.acknowledge(taken)
        return gateway


def check(runs, partition):
    """After a cut: start, look, send everything, start again."""
    gateway = Start(partition)
    produced, acknowledged, dropped, _, queued = gateway.totals()
    assert produced == acknowledged + dropped + queued
    waiting = gateway.drain()
    assert len(set(waiting)) == len(waiting)
    made = [identity for run in runs for identity in run.made]
    confirmed = set().union(*[run.confirmed for run in runs])
    # what was in the making may be there, whole
    assert set(waiting) - set(made) <= {(epoch, len(run.made) + 1) for epoch, run in enumerate(runs, 1)}
    missing = [identity for identity in made if identity not in confirmed and identity not in set(waiting)]
    if not dropped:
        assert not missing
    else:  # the oldest telemetry only
        assert not missing or max(missing) < min(identity for identity in waiting if identity[1] % 5)
    again = Start(partition)
    assert again.totals()[4] == 0 and (again.journal.epoch_found or not waiting)
    new = again.append()
    assert Start(partition).drain() == [new]


def cuts(blocks, steps, stride):
    """(moment, mode) of each kind of cut at each `stride`-th operation of a life, and that life."""
    whole = Run(FlashPartition(blocks), steps, stride)
    whole.go()
    return [(moment, mode) for moment in whole.moments for mode in MODES], whole


def cut(partition, steps, at, mode):
    """Live until the operation with that number; the Run."""
    run = Run(partition, steps)
    run.cut_at, run.mode = at, mode
    with pytest.raises(Cut):
        run.go()
    return run


@pytest.mark.parametrize("blocks, steps", [(12, 700), (40, 500)])
def test_a_cut_at_any_operation(blocks, steps):
    places, whole = cuts(blocks, steps, 31)
    assert whole.operations > 700 and len(places) > whole.operations // 31 * len(MODES)
    for moment, mode in places:
        check([moment], moment.cut(mode))


def test_a_cut_of_a_moment_is_what_a_life_leaves_that_is_cut_there():
    places, _ = cuts(12, 300, 31)
    for moment, mode in places[:: len(MODES) + 1]:
        partition = FlashPartition(12)
        run = cut(partition, 300, moment.number, mode)
        assert partition.flash.data == moment.cut(mode).flash.data
        assert (run.made, run.confirmed) == (moment.made, moment.confirmed)


def test_the_power_goes_again_soon_after_the_start():
    places, _ = cuts(12, 700, 67)
    for number, (moment, mode) in enumerate(places):
        partition = moment.cut(mode)
        check([moment, cut(partition, 60, number % 40, mode)], partition)
