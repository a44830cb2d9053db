"""uplink.batch: what goes into a message, that nothing waits longer than it may, and that the backlog never holds up what is fresh."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.record import ABSENT, Event, Round
from gateway.core.schema import Schema
from gateway.uplink.batch import Batch

SCHEMAS = [Schema(cls, 10, [1, 2, 3], [0, 0, 0]) for cls in range(3)]


class Queued:
    def __init__(self, content, size=20):
        self.content = content
        self.size = size
        self.sequence = 1
        self.samples = len(list(content.stream_ids()))


class Lists:
    """In the place of the journal: fresh entries and backlog, a list a class."""

    def __init__(self, fresh=(), backlog=()):
        self.live = [[entry for entry in fresh if entry.content.cls == cls] for cls in range(3)]
        self.old = [[entry for entry in backlog if entry.content.cls == cls] for cls in range(3)]

    def peek_live(self, cls):
        return self.live[cls][0] if self.live[cls] else None

    def take_live(self, cls):
        return self.live[cls].pop(0)

    def peek_backlog(self, cls):
        return self.old[cls][0] if self.old[cls] else None

    def take_backlog(self, cls):
        return self.old[cls].pop(0)

    def fresh(self, cls):
        return sum(entry.size for entry in self.live[cls]), sum(entry.samples for entry in self.live[cls])

    def fall_behind(self, cls, since_ms):
        self.old[cls] += self.live[cls]
        self.live[cls] = []


def a_round(seq, cls=2, uptime_ms=0, count=3):
    marks = bytearray([0] * count + [ABSENT] * (3 - count))
    return Queued(Round(SCHEMAS[cls], 5, seq, True, 0, uptime_ms, array("q", [0, 0, 0]), marks))


def an_event(seq):
    return Queued(Event(0, 5, seq, True, 0, 0, 0, b"{}"))


def batch(journal, most_bytes=1000, most_samples=1000, sample_bytes=10, pace=0):
    return Batch(journal, sample_bytes, most_bytes, most_samples, 10_000, pace)


def numbers(found):
    return [] if found is None else [entry.content.seq for entry in found[1]]


def chosen(entries, now_ms=0, urgent=False, **limits):
    return numbers(batch(Lists(entries), **limits).next(now_ms, urgent, True))


def test_little_waits_for_more_until_it_is_old():
    entries = [a_round(1), a_round(2, uptime_ms=5000)]
    assert chosen(entries, 9_999) == []
    assert chosen(entries, 10_000) == [1, 2]
    assert chosen(entries, 0, urgent=True) == [1, 2]
    assert chosen([], 10**9, urgent=True) == []


def test_enough_goes_at_once_by_bytes_and_by_count():
    entries = [a_round(seq) for seq in range(1, 9)]
    assert chosen(entries, most_bytes=300) == []
    assert chosen(entries, most_bytes=240) == list(range(1, 9))
    assert chosen(entries, most_bytes=100) == [1, 2, 3]
    assert chosen(entries, most_samples=25) == []
    assert chosen(entries, most_samples=24) == list(range(1, 9))
    assert chosen(entries, most_samples=7) == [1, 2]
    assert chosen(entries, most_bytes=100, sample_bytes=0) == [1, 2, 3, 4, 5]  # as kept: 20 bytes each
    assert chosen(entries, most_bytes=1) == [1]  # one round always fits


def test_an_alarm_waits_for_nobody_and_takes_nobody_with_it():
    entries = [a_round(1), a_round(2, cls=0), a_round(3), a_round(4, cls=0), an_event(5), a_round(6, cls=0)]
    made = batch(Lists(entries))
    assert [numbers(made.next(0, False, True)) for _ in range(4)] == [[2, 4], [5], [6], []]


@pytest.mark.parametrize("cls", [0, 1, 2])
def test_the_backlog_goes_when_nothing_fresh_is_due_and_alarms_first(cls):
    old = [a_round(seq, cls) for seq in range(1, 4)]
    made = batch(Lists([a_round(9)], [a_round(20, 2), *old]))
    found = made.next(0, False, True)
    assert found[0] and numbers(found)[:3] == ([1, 2, 3] if cls < 2 else [20, 1, 2])
    assert numbers(made.next(10_000, False, True)) == [9]  # which is due by now, whatever is left of the backlog


def test_only_alarms_of_the_backlog_go_when_the_window_is_for_what_is_fresh():
    made = batch(Lists([], [a_round(1), an_event(2), a_round(3, 1)]))
    assert numbers(made.next(0, False, False)) == [2]
    assert made.next(0, False, False) is None


def test_the_backlog_keeps_its_pace_and_what_is_fresh_does_not_wait_for_it():
    journal = Lists([], [a_round(seq) for seq in range(1, 50)])
    made = batch(journal, most_bytes=100, pace=1000)
    sent, now = [], 0
    while now < 5000:
        found = made.next(now, False, True)
        if found:
            sent += numbers(found)
            made.sent(90, now)
        else:
            wait = made.pause_ms(now, 1000)
            assert 0 < wait <= 90 or len(sent) == 49
            now += wait
    assert len(sent) == 49 and sent == sorted(sent)
    late = Lists([a_round(99)], [a_round(1)])
    made = batch(late, pace=1)
    assert made.next(0, False, True)[0]
    made.sent(10_000, 0)
    assert numbers(made.next(10_000, False, True)) == [99]


def test_what_could_not_be_sent_for_long_joins_the_backlog():
    journal = Lists([a_round(1), a_round(2, uptime_ms=85_000)])
    found = batch(journal).next(90_000, False, True)
    assert found[0] and numbers(found) == [1, 2]


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(1, 3), st.booleans()), max_size=40),
    st.integers(1, 200),
    st.integers(1, 30),
)
def test_everything_goes_once_in_the_order_of_its_class_and_no_message_is_too_long(rows, most_bytes, most_samples):
    entries = [a_round(seq, cls, count=count) for seq, (cls, count, _) in enumerate(rows, 1)]
    fresh = [entry for entry, row in zip(entries, rows, strict=True) if row[2]]
    old = [entry for entry, row in zip(entries, rows, strict=True) if not row[2]]
    made = batch(Lists(fresh, old), most_bytes, most_samples)
    sent = []
    while found := made.next(20_000, True, True):
        run = found[1]
        assert len({entry.content.cls for entry in run}) == 1
        size = sum(entry.samples for entry in run)
        assert len(run) == 1 or (size <= most_samples and 10 * size <= most_bytes)
        sent += run
    for part in (fresh, old):
        for cls in range(3):
            assert [e for e in sent if e in part and e.content.cls == cls] == [e for e in part if e.content.cls == cls]
    assert len(sent) == len(entries)
