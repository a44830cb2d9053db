"""The journal on a NOR flash: whatever is appended, acknowledged and cut, the queue and the ledger are what a plain model says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.ledger import Ledger
from gateway.journal.ring import BLOCK, MOST_SAMPLES, Journal
from satama_sim.board.flash import NorFlash

STREAMS = list(range(40))


class FlashPartition:
    """What esp32.Partition offers of it, on the simulator's NOR flash."""

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


def samples(seq, count):
    return [(stream, seq * 1000 + stream, 0) for stream in range(count)]


def queue(journal):
    """Sequence numbers of everything that waits, in order: taken and acknowledged window by window."""
    seen = []
    while True:
        journal.refill()
        if not journal.window:
            return seen
        seen += [entry.content[3] for entry in journal.window]
        journal.acknowledged(list(journal.window))


def append(journal, seq, count, cls=2):
    journal.append(cls, 7, seq, True, 800_000_000 + seq, seq * 1000, samples(seq, count))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 40)),
        st.tuples(st.just("acknowledge"), st.integers(1, 60)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=250,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_queue_is_what_a_plain_list_says(steps):
    partition = FlashPartition(64)  # large enough: nothing is dropped here
    journal, ledger = Journal(partition, Ledger(STREAMS)), None
    waiting, seq = [], 0
    for what, amount in steps:
        if what == "append":
            seq += 1
            append(journal, seq, amount)
            waiting.append((seq, amount))
        elif what == "acknowledge":
            journal.refill()
            part = list(journal.window)[:amount]
            journal.acknowledged(part)
            del waiting[: len(part)]
        else:
            ledger = Ledger(STREAMS)
            journal = Journal(partition, ledger)
            assert ledger.totals()[4] == sum(count for _, count in waiting)
        if ledger:
            assert ledger.balanced()
    assert queue(Journal(partition, Ledger(STREAMS))) == [number for number, _ in waiting]


def test_a_full_ring_drops_the_oldest_and_counts_them():
    partition, ledger = FlashPartition(4), Ledger(STREAMS)
    journal = Journal(partition, ledger)
    for seq in range(1, 401):
        append(journal, seq, 10)
    produced, _, dropped, _, queued = ledger.totals()
    assert produced == 4000 == dropped + queued and dropped > 0
    assert ledger.balanced()
    rest = queue(Journal(partition, Ledger(STREAMS)))
    assert rest == list(range(401 - len(rest), 401))
    assert len(rest) * 10 == queued


def test_dropped_while_on_their_way_they_are_not_acknowledged_into_the_new_block():
    partition, ledger = FlashPartition(3), Ledger(STREAMS)
    journal = Journal(partition, ledger)
    for seq in range(1, 20):
        append(journal, seq, 10)
    on_their_way = list(journal.window)
    for seq in range(20, 400):
        append(journal, seq, 10)
    journal.acknowledged(on_their_way)
    assert ledger.totals()[1] == 0 and ledger.balanced()


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 40, 60])
def test_a_torn_record_is_skipped_counted_and_not_written_over(cut):
    partition = FlashPartition(8)
    journal = Journal(partition, Ledger(STREAMS))
    for seq in range(1, 6):
        append(journal, seq, 10)

    def tear(kind, address, data):
        partition.flash.before = None
        partition.flash.program(address, data[:cut])
        raise RuntimeError("power cut")

    partition.flash.before = tear
    with pytest.raises(RuntimeError):
        append(journal, 6, 10)
    again = Journal(partition, Ledger(STREAMS))
    assert again.damaged == 1
    append(again, 7, 10)
    assert queue(Journal(partition, Ledger(STREAMS))) == [1, 2, 3, 4, 5, 7]


def test_the_epoch_is_found_even_when_all_is_acknowledged():
    partition = FlashPartition(8)
    journal = Journal(partition, Ledger(STREAMS))
    for seq in range(1, 200):
        append(journal, seq, 10)
    queue(journal)
    assert Journal(partition, Ledger(STREAMS)).epoch_found == 7


def test_the_longest_record_fits_a_block():
    partition = FlashPartition(4)
    journal = Journal(partition, Ledger(STREAMS))
    worst = [((1 << 32) - 1 - at, -(2**63 - 1), 0) for at in range(MOST_SAMPLES)]
    journal.append(2, 7, 1, True, 800_000_000, 1, worst)
    assert queue(Journal(partition, Ledger(STREAMS))) == [1]
