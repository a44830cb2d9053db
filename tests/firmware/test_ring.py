"""The journal on a NOR flash: whatever is appended, acknowledged and cut, the queue and the ledger are what a plain model says."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.record import ABSENT, EVENTS, Event, Round
from gateway.core.schema import MOST_STREAMS, Schema
from gateway.journal.blocks import BLOCK, Blocks
from gateway.journal.ledger import Ledger
from gateway.journal.ring import Journal
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


SCHEMA = Schema(2, 10, STREAMS, [0] * len(STREAMS))


def queue(journal):
    """Sequence numbers of everything that waits, in order: taken and acknowledged window by window."""
    seen = []
    while True:
        journal.refill()
        if not journal.window:
            return seen
        seen += [entry.content.seq for entry in journal.window]
        journal.acknowledged(list(journal.window))


def made(seq, count):
    marks = bytearray([0] * count + [ABSENT] * (len(STREAMS) - count))
    values = array("q", [seq * 1000 + stream for stream in STREAMS])
    return Round(SCHEMA, 7, seq, True, 800_000_000 + seq, seq * 1000, values, marks)


def append(journal, seq, count):
    journal.append(0, made(seq, count))


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
    for seq in range(1, 2001):
        append(journal, seq, 10)
    produced, _, dropped, _, queued = ledger.totals()
    assert produced == 20000 == dropped + queued and dropped > 0
    assert ledger.balanced()
    rest = queue(Journal(partition, Ledger(STREAMS)))
    assert rest == list(range(2001 - len(rest), 2001))
    assert len(rest) * 10 == queued


def test_dropped_while_on_their_way_they_are_not_acknowledged_into_the_new_block():
    partition, ledger = FlashPartition(3), Ledger(STREAMS)
    journal = Journal(partition, ledger)
    for seq in range(1, 20):
        append(journal, seq, 10)
    on_their_way = list(journal.window)
    for seq in range(20, 2000):
        append(journal, seq, 10)
    journal.acknowledged(on_their_way)
    assert ledger.totals()[1] == 0 and ledger.balanced()


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 20, 33])
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
    for seq in range(1, 600):
        append(journal, seq, 10)
    queue(journal)
    assert Journal(partition, Ledger(STREAMS)).epoch_found == 7


def test_the_longest_record_fits_a_block():
    partition = FlashPartition(4)
    journal = Journal(partition, Ledger(STREAMS))
    of = Schema(2, 10, [at * 10_000_000 for at in range(MOST_STREAMS)], [0] * MOST_STREAMS)
    for seq in (1, 2, 3):
        worst = array("q", [(2**63 - 1) * (-1) ** seq] * MOST_STREAMS)
        journal.append(0, Round(of, 7, seq, True, 800_000_000, 1, worst, bytearray([64] * MOST_STREAMS)))
    assert queue(Journal(partition, Ledger(STREAMS))) == [1, 2, 3]


def contents(journal):
    found = []
    while True:
        journal.refill()
        if not journal.window:
            return found
        found += [entry.content for entry in journal.window]
        journal.acknowledged(list(journal.window))


def test_rounds_of_many_schemas_and_events_come_back_as_they_were_whatever_site_runs_now():
    partition = FlashPartition(32)
    journal = Journal(partition, Ledger(STREAMS))
    schemas = [Schema(cls, 10 + cls, list(range(cls, 30, 3)), [-cls] * len(range(cls, 30, 3))) for cls in range(3)]
    wanted = []
    for seq in range(1, 700):
        if seq % 50 == 0:
            journal.append_event(Event(0, 7, seq, True, 800_000_000, seq % 1000, seq, b'{"event": "test"}'))
            wanted.append((seq, b'{"event": "test"}'))
            continue
        of = schemas[seq * seq % 3]
        values = array("q", [seq * at * (-1) ** seq for at in range(len(of.ids))])
        marks = bytearray([129 if (seq + at) % 7 == 0 else 0 for at in range(len(of.ids))])
        round = Round(of, 7, seq, True, 800_000_000 + seq, seq * 1000, values, marks)
        journal.append(of.cls, round)
        wanted.append((seq, of.id, [sample if sample[3] < 128 else sample[3] for sample in round.samples()]))
    found = [
        (item.seq, item.body)
        if isinstance(item, Event)
        else (item.seq, item.schema.id, [sample if sample[3] < 128 else sample[3] for sample in item.samples()])
        for item in contents(Journal(partition, Ledger([])))
    ]
    assert found == wanted


def test_events_are_in_the_ledger():
    partition, ledger = FlashPartition(8), Ledger(STREAMS)
    journal = Journal(partition, ledger)
    journal.append_event(Event(0, 7, 1, True, 800_000_000, 5, 5, b"{}"))
    row = {row[0]: row[1:] for row in ledger.rows()}
    assert row[EVENTS] == (1, 0, 0, 0, 1)
    journal.acknowledged(list(journal.window))
    row = {row[0]: row[1:] for row in ledger.rows()}
    assert row[EVENTS] == (1, 1, 0, 0, 0) and ledger.balanced() and ledger.totals() == (0, 0, 0, 0, 0)


def test_damage_in_the_middle_costs_no_more_than_the_rounds_up_to_the_next_key_frame():
    partition = FlashPartition(8)
    journal = Journal(partition, Ledger(STREAMS))
    for seq in range(1, 101):
        append(journal, seq, 1)
    partition.flash.program(journal.window[9].offset + 5, b"\0\0\0\0")  # the tenth one, in block 0
    rest = queue(Journal(partition, Ledger(STREAMS)))
    assert rest == [*range(1, 10), *range(65, 101)]


PRIVATE = Schema(1, 900, [90, 91], [0, 0], True)
DAY = 86_400
START = 800_000_000


def fill(journal, days):
    """A private and an open round a quarter of an hour, an event a day; the private values are all alike on flash."""
    seq = 0
    for quarter in range(days * 96):
        seconds = START + quarter * 900
        for slot, of, values in ((0, SCHEMA, [quarter] * len(STREAMS)), (1, PRIVATE, [7_777_777, quarter])):
            seq += 1
            round = Round(of, 7, seq, True, seconds, quarter * 900_000, array("q", values), bytearray(len(values)))
            journal.append(slot, round)
        if quarter % 96 == 5:
            seq += 1
            journal.append_event(Event(0, 7, seq, True, seconds, 0, quarter * 900_000, b'{"old": "secret"}'))


def wipe(journal, before):
    for _ in range(40):
        journal.wipe_next(before)


@pytest.mark.parametrize("sent", [False, True])
def test_what_is_private_is_wiped_when_its_time_is_over_and_nothing_else(sent):
    partition, ledger = FlashPartition(32), Ledger([*STREAMS, 90, 91])
    journal = Journal(partition, ledger)
    fill(journal, 4)
    if sent:
        queue(journal)
    before = START + 2 * DAY
    wipe(journal, before)
    assert ledger.balanced()
    kept = []
    for block in range(32):
        for _, _, content in Blocks(partition).scan(block):
            kept.append(content)
    open_rounds = [c for c in kept if hasattr(c, "schema") and not c.schema.private]
    private = [c for c in kept if hasattr(c, "schema") and c.schema.private]
    assert [c.values[0] for c in sorted(open_rounds, key=lambda c: c.seq)] == list(range(4 * 96))
    youngest_block = 4096 // 60 * 900  # seconds that a block can span at most
    assert all(c.seconds >= before - youngest_block for c in private)
    assert [c.values[1] for c in private][-2 * 96 :] == list(range(2 * 96, 4 * 96))
    assert sum(not hasattr(c, "schema") for c in kept) in (2, 3)
    dropped = ledger.totals()[2]
    assert dropped == (0 if sent else 2 * (4 * 96 - len(private)))
    again = Ledger([*STREAMS, 90, 91])
    assert Journal(partition, again).damaged == 0 and again.totals()[4] == ledger.totals()[4]


def test_a_journal_that_was_wiped_to_its_head_goes_on():
    partition, ledger = FlashPartition(32), Ledger([*STREAMS, 90, 91])
    journal = Journal(partition, ledger)
    fill(journal, 1)
    traces = (b"secret", b"\xe2\xb7\xb5\x07")  # 7,777,777 as it stands in a key frame
    assert all(trace in bytes(partition.flash.data) for trace in traces)
    wipe(journal, START + 40 * DAY)
    assert not any(trace in bytes(partition.flash.data) for trace in traces)
    journal.append(1, Round(PRIVATE, 7, 999, True, START + 40 * DAY, 0, array("q", [5, 6]), bytearray(2)))
    assert queue(Journal(partition, Ledger([])))[-1] == 999
    assert ledger.balanced()


ALARMS = Schema(0, 10, [60], [0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["sample", "sample", "sample", "alarm", "event", "send", "restart"]), max_size=400))
def test_alarms_and_events_do_not_wait_behind_a_backlog_and_nothing_is_sent_twice(steps):
    partition = FlashPartition(64)
    journal = Journal(partition, Ledger(STREAMS))
    urgent, others, sent = [], [], []
    for seq, step in enumerate(steps, 1):
        if step == "sample":
            append(journal, seq, 40)
            others.append(seq)
        elif step == "alarm":
            journal.append(1, Round(ALARMS, 7, seq, True, 800_000_000, seq, array("q", [1]), bytearray(1)))
            urgent.append(seq)
        elif step == "event":
            journal.append_event(Event(0, 7, seq, True, 800_000_000, 0, seq, b"{}"))
            urgent.append(seq)
        elif step == "restart":
            journal = Journal(partition, Ledger(STREAMS))
            journal.refill()
        else:
            journal.refill()
            first = [entry for entry in journal.window if entry.content.cls == 0] or journal.window[:3]
            sent += [entry.content.seq for entry in first]
            journal.acknowledged(list(first))
        if "restart" not in steps and len(urgent) - len(set(urgent) & set(sent)) <= 16:
            assert set(urgent) <= set(sent) | {entry.content.seq for entry in journal.window}
        assert len(journal.window) <= 48 + 16
    sent += queue(journal)
    assert sorted(sent) == sorted(urgent + others)
    assert [one for one in sent if one in others] == others
