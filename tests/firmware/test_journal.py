"""The journal on a NOR flash: whatever is appended, acknowledged and cut, queue and ledger are what a plain model says."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import (
    ALARMS,
    CLASSES,
    COUNTERS,
    PERCENTS,
    SCHEMA,
    START,
    STATE_BLOCKS,
    STREAMS,
    FlashPartition,
    Start,
    key,
)

from gateway.core.record import EVENTS, Event, Round
from gateway.core.schema import MOST_STREAMS, Schema
from gateway.journal.blocks import BLOCK, Blocks
from gateway.journal.flash import Flash
from gateway.journal.held import MOST
from gateway.journal.journal import shares
from gateway.journal.wiping import Wiper
from satama_sim.board.flash import NorFlash

SIZES = {0: 1, 1: 2, 2: 40}
SCHEMAS = (ALARMS, COUNTERS, SCHEMA)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2)),
        st.tuples(st.just("append"), st.just(2)),
        st.tuples(st.just("event"), st.just(0)),
        st.tuples(st.just("send"), st.integers(1, 60)),
        st.tuples(st.just("confirm"), st.integers(1, 60)),
        st.tuples(st.just("jump"), st.integers(0, 2)),
        st.tuples(st.just("rewind"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=250,
)


@settings(max_examples=80)
@given(STEPS, st.randoms(use_true_random=False))
def test_the_queue_is_what_a_plain_list_says(steps, order):
    partition = FlashPartition(64)  # large enough: nothing is dropped here
    gateway = Start(partition)
    waiting, on_way, acknowledged, made = {}, [], 0, 0
    for what, amount in steps:
        if what in ("append", "event"):
            identity = gateway.event() if what == "event" else gateway.append(SCHEMAS[amount])
            waiting[identity] = 0 if what == "event" else SIZES[amount]
            made += waiting[identity]
        elif what == "send":
            on_way += gateway.take(amount)
        elif what == "confirm":
            order.shuffle(on_way)
            for entry in on_way[:amount]:
                acknowledged += waiting.pop((entry.content.epoch, entry.content.seq))
            gateway.acknowledge(on_way[:amount])
            del on_way[:amount]
        elif what == "jump":
            gateway.journal.rings[amount].jump(gateway.seq * 1000 - amount * 3000)
        else:
            on_way = []
            if what == "rewind":
                gateway.journal.rewind()
            else:
                gateway = Start(partition)
        assert gateway.totals() == (made, acknowledged, 0, 0, made - acknowledged)
    gone = {(entry.content.epoch, entry.content.seq) for entry in on_way}
    rest = gateway.drain()
    assert sorted(rest) == sorted(set(waiting) - gone)
    assert Start(partition).totals()[4] == sum(waiting[identity] for identity in gone)


def test_what_is_fresh_does_not_wait_behind_a_backlog_and_keeps_its_order():
    gateway = Start(FlashPartition(64))
    old = [gateway.append() for _ in range(200)]
    for ring in gateway.journal.rings:
        ring.jump(10**12)
    new = [gateway.append() for _ in range(30)]
    taken = []
    while entry := gateway.journal.take_live(2):
        taken.append((entry.content.epoch, entry.content.seq))
    assert taken == new
    backlog = []
    while entry := gateway.backlog(2):
        backlog.append((entry.content.epoch, entry.content.seq))
    assert backlog == old


def test_every_round_and_event_comes_back_as_it_was_whatever_site_runs_now():
    partition = FlashPartition(64)
    gateway = Start(partition)
    schemas = [Schema(cls, 10 + cls, list(range(cls, 30, 3)), [-cls] * len(range(cls, 30, 3))) for cls in range(3)]
    wanted = {}
    for seq in range(1, 700):
        gateway.seq = seq
        if seq % 50 == 0:
            event = Event(0, 1, seq, True, START, seq % 1000, seq, b'{"event": "test"}')
            gateway.journal.append_event(event)
            wanted[seq] = event.body
            continue
        of = schemas[seq * seq % 3]
        values = array("q", [seq * at * (-1) ** seq for at in range(len(of.ids))])
        marks = bytearray([129 if (seq + at) % 7 == 0 else 0 for at in range(len(of.ids))])
        round = Round(of, 1, seq, True, START + seq, seq * 1000, values, marks)
        gateway.journal.append(of.cls, round)
        wanted[seq] = of.id, samples(round)
    found = {
        entry.content.seq: entry.content.body
        if entry.content.is_event
        else (entry.content.schema.id, samples(entry.content))
        for entry in Start(partition, (), {}).take()
    }
    assert found == wanted


def samples(round):
    return [sample if sample[3] < 128 else sample[3] for sample in round.samples()]


def test_what_was_sent_can_be_read_again_for_a_retransmission():
    gateway = Start(FlashPartition(64))
    for _ in range(150):
        gateway.append()
        gateway.append(COUNTERS)
    taken = gateway.take()
    keys = [key(entry) for entry in taken]
    again = gateway.journal.read(keys)
    assert [c.seq for c in again] == [entry.content.seq for entry in taken]
    assert [samples(c) for c in again] == [samples(entry.content) for entry in taken]


# --- a ring that is full


def test_a_full_ring_drops_its_oldest_says_so_and_leaves_the_others_alone():
    partition = FlashPartition(16)
    gateway = Start(partition)
    counters = [gateway.append(COUNTERS) for _ in range(20)]
    alarm = gateway.event()
    identities = [gateway.append() for _ in range(2000)]
    produced, _, dropped, _, queued = gateway.totals()
    assert produced == 2000 * 40 + 40 == dropped + queued and dropped > 0
    told = [note for note in gateway.journal.notes if note["event"] == "dropped"]
    assert told and all(note["class"] == 2 for note in told)
    restarted = Start(partition)
    assert restarted.totals() == (produced, 0, dropped, 0, queued)
    rest = restarted.drain()
    assert rest[0] == alarm and rest[1:21] == counters
    kept = rest[21:]
    assert kept == identities[-len(kept) :] and len(kept) * 40 + 40 == queued
    assert told[0]["first"] == identities[0] and told[0]["last"] < kept[0]


def test_dropped_while_on_their_way_they_are_not_acknowledged_into_the_new_block():
    gateway = Start(FlashPartition(10))
    for _ in range(20):
        gateway.append()
    on_their_way = gateway.take()
    for _ in range(2000):
        gateway.append()
    gateway.acknowledge(on_their_way)
    assert gateway.totals()[1] == 0
    assert gateway.journal.read([key(entry) for entry in on_their_way]) is None


def test_what_is_too_old_is_dropped_by_policy():
    partition = FlashPartition(64)
    gateway = Start(partition)
    for _ in range(1200):
        gateway.append()
    assert not gateway.journal.expire(2, START)
    while gateway.journal.expire(2, START + 600):
        pass
    oldest = gateway.take()[0].content.seconds
    assert START + 600 - 100 < oldest <= START + 600
    assert gateway.totals()[2] > 0


def test_shares_add_up_and_every_class_has_two():
    for blocks in range(6, 400):
        for percents in ((5, 35), (0, 0), (50, 50), (100, 0), (0, 100)):
            found = shares(blocks, percents)
            assert sum(found) == blocks and min(found) >= 2


def test_blocks_move_to_another_class_when_a_new_site_says_so():
    partition = FlashPartition(32)
    gateway = Start(partition)
    for _ in range(1500):
        gateway.append()
    waiting = gateway.totals()[4]
    again = Start(partition)
    again.journal.pool.shares = (2, 20, 7)
    seen = [again.append(COUNTERS) for _ in range(6000)]
    assert again.totals()[2] > 0 and again.totals()[4] < waiting + 12000
    assert again.journal.pool.count(1) == 20
    kept = [identity for identity in again.drain() if identity in set(seen)]
    assert kept == seen[-len(kept) :]


def test_erases_go_round():
    partition = FlashPartition(64)
    gateway = Start(partition)
    for _ in range(8000):
        gateway.append()
        gateway.drain()
    erases = [count for count in partition.flash.erases[: 64 - STATE_BLOCKS] if count]
    assert max(erases) - min(erases) <= 1 and len(erases) == shares(64 - STATE_BLOCKS, PERCENTS)[2]


# --- damage


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 20, 33])
def test_a_torn_record_is_skipped_counted_and_not_written_over(cut):
    partition = FlashPartition(16)
    gateway = Start(partition)
    whole = [gateway.append() for _ in range(5)]

    def tear(kind, address, data):
        partition.flash.before = None
        partition.flash.program(address, data[:cut])
        raise RuntimeError("power cut")

    partition.flash.before = tear
    with pytest.raises(RuntimeError):
        gateway.append()
    again = Start(partition)
    assert again.journal.damaged == 1
    whole.append(again.append())
    assert Start(partition).drain() == whole


def test_the_epoch_is_found_even_when_all_is_acknowledged():
    partition = FlashPartition(16)
    gateway = Start(partition)
    gateway.epoch = gateway.journal.epoch = 7
    for _ in range(600):
        gateway.append()
        gateway.drain()
    assert Start(partition).journal.epoch_found == 7


def test_damage_in_the_middle_costs_no_more_than_the_rounds_up_to_the_next_key_frame():
    partition = FlashPartition(16)
    gateway = Start(partition)
    one = Schema(2, 10, [0], [0])
    made = [gateway.append(one) for _ in range(100)]
    place = gateway.take()[9]
    partition.flash.program(place.block * BLOCK + place.offset + 5, b"\0\0\0\0")
    again = Start(partition)
    assert again.drain() == [*made[:9], *made[64:]]
    assert again.totals()[4] == 0


def test_damage_that_is_met_while_reading_is_counted_and_told():
    partition = FlashPartition(32)
    gateway = Start(partition)
    made = [gateway.append() for _ in range(300)]
    place = gateway.take(130)[-1]
    gateway.journal.rewind()
    for ring in gateway.journal.rings:
        ring.jump(10**12)
    partition.flash.program(place.block * BLOCK + place.offset + 5, b"\0\0\0\0")
    rest = gateway.drain()
    gateway.journal.check()
    lost = len(made) - len(rest)
    produced, acknowledged, dropped, quarantined, queued = gateway.totals()
    assert 0 < lost < 70 and set(rest) < set(made)
    assert (acknowledged, dropped, quarantined, queued) == (len(rest) * 40, 0, lost * 40, 0)
    assert gateway.journal.notes == [{"event": "journal_damaged", "records": lost}]


@pytest.mark.parametrize("fault", ["refuses", "keeps nothing"])
def test_a_failing_flash_degrades_to_ram_and_recovers(fault, monkeypatch):
    partition = FlashPartition(16)
    gateway = Start(partition)
    made = [gateway.append() for _ in range(3)]
    if fault == "refuses":

        def refuse(kind, address, data):
            raise OSError(5)

        partition.flash.before = refuse
    else:
        monkeypatch.setattr(NorFlash, "program", lambda self, address, data: None)
    made += [gateway.append() for _ in range(10)]
    made.append(gateway.event())
    assert gateway.journal.degraded and gateway.journal.notes[0]["event"] == "flash_failed"
    gateway.journal.retry(0)
    assert gateway.journal.degraded and gateway.journal.held.waits == 11
    sent = gateway.take()
    assert {(e.content.epoch, e.content.seq) for e in sent} >= set(made[3:])
    gateway.acknowledge(sent[:3])
    gateway.totals()
    made += [gateway.append() for _ in range(MOST)]
    assert gateway.totals()[2] > 0 and gateway.journal.held.waits <= MOST
    partition.flash.before = None
    monkeypatch.undo()
    kept = gateway.journal.held.waits
    gateway.journal.retry(59_999)
    assert gateway.journal.degraded  # it does not try again so soon
    gateway.journal.retry(60_000)
    assert not gateway.journal.degraded and gateway.journal.held.waits == 0
    assert gateway.journal.notes[-1]["event"] == "flash_recovered"
    assert len(Start(partition).drain()) >= kept


def test_a_worn_block_is_left_out():
    partition = FlashPartition(16)
    gateway = Start(partition)
    broken = shares(13, PERCENTS)[0] + 3

    def refuse(kind, address, data):
        if address // BLOCK == broken:
            raise OSError(5)

    partition.flash.before = refuse
    made = [gateway.append() for _ in range(180)]
    assert gateway.drain() == made and not gateway.journal.degraded


def test_the_longest_record_fits_a_block():
    gateway = Start(FlashPartition(16))
    of = Schema(2, 10, [at * 10_000_000 for at in range(MOST_STREAMS)], [0] * MOST_STREAMS)
    for seq in (1, 2, 3):
        worst = array("q", [(2**63 - 1) * (-1) ** seq] * MOST_STREAMS)
        gateway.journal.append(0, Round(of, 7, seq, True, START, 1, worst, bytearray([64] * MOST_STREAMS)))
    assert [entry.content.seq for entry in gateway.take()] == [1, 2, 3]


def test_events_are_in_the_ledger():
    gateway = Start(FlashPartition(16))
    gateway.event()
    row = {row[0]: row[1:] for row in gateway.ledger.rows()}
    assert row[EVENTS] == (1, 0, 0, 0, 1)
    gateway.drain()
    row = {row[0]: row[1:] for row in gateway.ledger.rows()}
    assert row[EVENTS] == (1, 1, 0, 0, 0) and gateway.totals() == (0, 0, 0, 0, 0)


# --- retention

PRIVATE = Schema(1, 900, [90, 91], [0, 0], True)
DAY = 86_400


def fill(gateway, days):
    """A private and an open round a quarter of an hour, an event a day; the private values are all alike on flash."""
    seq = 0
    for quarter in range(days * 96):
        seconds = START + quarter * 900
        for slot, of, values in ((0, SCHEMA, [quarter] * len(STREAMS)), (1, PRIVATE, [7_777_777, quarter])):
            seq += 1
            round = Round(of, 1, seq, True, seconds, quarter * 900_000, array("q", values), bytearray(len(values)))
            gateway.journal.append(slot, round)
        if quarter % 96 == 5:
            seq += 1
            gateway.journal.append_event(Event(0, 1, seq, True, seconds, 0, quarter * 900_000, b'{"old": "secret"}'))


def with_private(partition):
    return Start(partition, (*STREAMS, 90, 91), {**CLASSES, 90: 1, 91: 1})


def wipe(gateway, before):
    wiper = Wiper(gateway.journal)
    for _ in range(60):
        wiper.next(before)


@pytest.mark.parametrize("sent", [False, True])
def test_what_is_private_is_wiped_when_its_time_is_over_and_nothing_else(sent):
    partition = FlashPartition(64)
    gateway = with_private(partition)
    fill(gateway, 4)
    if sent:
        gateway.drain()
    before = START + 2 * DAY
    wipe(gateway, before)
    kept = [content for block in range(61) for _, _, content in Blocks(Flash(partition)).scan(block)]
    open_rounds = [c for c in kept if hasattr(c, "schema") and not c.schema.private]
    private = [c for c in kept if hasattr(c, "schema") and c.schema.private]
    assert [c.values[0] for c in sorted(open_rounds, key=lambda c: c.seq)] == list(range(4 * 96))
    youngest_block = 4096 // 18 * 900  # seconds that a block can span at most
    assert all(c.seconds >= before - youngest_block for c in private)
    assert [c.values[1] for c in private][-2 * 96 :] == list(range(2 * 96, 4 * 96))
    totals = gateway.totals()
    assert totals[2] == (0 if sent else 2 * (4 * 96 - len(private)))
    again = with_private(partition)
    assert again.journal.damaged == 0 and again.totals()[4] == totals[4]


def test_a_journal_that_was_wiped_to_its_head_goes_on():
    partition = FlashPartition(64)
    gateway = with_private(partition)
    fill(gateway, 1)
    traces = (b"secret", b"\xe2\xb7\xb5\x07")  # 7,777,777 as it stands in a key frame
    assert all(trace in bytes(partition.flash.data) for trace in traces)
    wipe(gateway, START + 40 * DAY)
    assert not any(trace in bytes(partition.flash.data) for trace in traces)
    after = Round(PRIVATE, 1, 999, True, START + 40 * DAY, 0, array("q", [5, 6]), bytearray(2))
    gateway.journal.append(1, after)
    assert (1, 999) in Start(partition).drain()
    gateway.totals()


def test_the_ledger_counts_streams_that_are_gone_once_whatever_was_saved_when():
    partition = FlashPartition(40)
    gateway = Start(partition)
    for _ in range(300):
        gateway.append()
        gateway.append(COUNTERS)
    gateway.drain(450)
    gateway.journal.save_all()
    totals = gateway.totals()
    other = Schema(2, 10, [70, 71], [0, 0])
    for classes in ({70: 2, 71: 2}, {70: 2, 71: 2, 72: 1}):
        gateway = Start(partition, tuple(classes), classes)
        assert gateway.totals() == totals
        for _ in range(400):  # only one class writes its page
            gateway.append(other)
        gateway.journal.save(gateway.journal.rings[2])
        totals = gateway.totals()
        again = Start(partition, tuple(classes), classes)
        assert again.totals() == totals
