"""uplink.batch: what goes into a message, and that nothing waits longer than it may."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.record import ABSENT, Event, Round
from gateway.core.schema import Schema
from gateway.uplink.batch import Batch

SCHEMAS = [Schema(cls, 10, [1, 2, 3], [0, 0, 0]) for cls in range(3)]
EPOCH = 5


class Queued:
    def __init__(self, content, size=20):
        self.content = content
        self.size = size
        self.samples = len(list(content.stream_ids()))


def a_round(seq, cls=2, uptime_ms=0, count=3, epoch=EPOCH):
    marks = bytearray([0] * count + [ABSENT] * (3 - count))
    return Queued(Round(SCHEMAS[cls], epoch, seq, True, 0, uptime_ms, array("q", [0, 0, 0]), marks))


def an_event(seq):
    return Queued(Event(0, EPOCH, seq, True, 0, 0, 0, b"{}"))


def chosen(entries, now_ms=0, urgent=False, most_bytes=1000, most_samples=1000, sample_bytes=10):
    batch = Batch(EPOCH, sample_bytes, most_bytes, most_samples, 10_000)
    return [entry.content.seq for entry in batch.choose(entries, now_ms, urgent)]


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
    entries = [a_round(1), a_round(2, cls=0), a_round(3), a_round(4, cls=0)]
    assert chosen(entries) == [2, 4]
    assert chosen([*entries, an_event(5)]) == [5]


def test_what_is_from_before_the_start_is_history_and_does_not_wait():
    old, late, fresh = a_round(1, epoch=4), a_round(2), a_round(3, uptime_ms=200_000)
    assert chosen([old, late, fresh], 200_000) == [1, 2]
    assert chosen([late, fresh], 200_000) == [2]
    assert chosen([fresh], 200_000) == []


ENTRIES = st.lists(
    st.one_of(
        st.builds(a_round, st.just(0), st.integers(0, 2), st.integers(0, 300_000), st.integers(0, 3), st.sampled_from([4, 5])),
        st.builds(an_event, st.just(0)),
    ),
    max_size=20,
)  # fmt: skip


@given(ENTRIES, st.integers(300_000, 400_000), st.booleans(), st.integers(1, 300), st.integers(1, 30))
def test_a_message_is_of_one_kind_in_order_and_within_its_limits(entries, now_ms, urgent, most_bytes, most_samples):
    for seq, entry in enumerate(entries):
        entry.content.seq = seq
    batch = Batch(EPOCH, 10, most_bytes, most_samples, 10_000)
    run = batch.choose(entries, now_ms, urgent)
    contents = [entry.content for entry in run]
    assert [content.seq for content in contents] == sorted(content.seq for content in contents)
    if any(entry.content.is_event for entry in entries):
        assert len(run) == 1 and contents[0].is_event
    elif entries and (urgent or entries[0].content.uptime_ms <= now_ms - 10_000):
        assert run
    assert len({content.cls for content in contents}) <= 1
    assert len({batch.is_history(content, now_ms) for content in contents}) <= 1
    if len(run) > 1:
        assert sum(entry.samples for entry in run) <= min(most_samples, most_bytes // 10)
