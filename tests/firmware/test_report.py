"""process.report against a definition that looks at the whole history."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.process.report import ByException

LIMIT = 2**63 - 1
TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
PARTIAL = quality.pack(quality.UNCERTAIN, quality.PARTIAL)
MANTISSAS = st.integers(-9, 9) | st.sampled_from([LIMIT, -LIMIT]) | st.integers(-LIMIT, LIMIT)
QUALITIES = st.sampled_from([0, 0, 0, 0, TIMEOUT, PARTIAL])
STEPS = st.sampled_from([0, 1, 1, 1, 5, 60, -3, 2**31])
SPANS = st.integers(0, 12)


@given(st.integers(0, 8) | MANTISSAS.map(abs), SPANS, st.lists(st.tuples(MANTISSAS, QUALITIES, STEPS), max_size=40))
def test_report(change, heartbeat_s, values):
    stream = ByException(change, heartbeat_s)
    now_s, since, reported = 100, 0, None
    for mantissa, byte, step in values:
        now_s += step
        since = min(since, now_s)  # should the time fall behind its beginning, the interval begins anew
        wanted = (
            reported is None
            or abs(mantissa - reported[0]) >= change
            or byte != reported[1]
            or (heartbeat_s and now_s - since >= heartbeat_s)
        )
        assert stream.due(mantissa, byte, now_s) is bool(wanted)
        if wanted:
            reported, since = (mantissa, byte), now_s


def test_small_changes_add_up_until_they_are_reported():
    stream = ByException(5, 0)
    due = [x for x in range(0, 21) if stream.due(x, 0, x)]
    assert due == [0, 5, 10, 15, 20]


def test_silence_is_at_most_a_heartbeat_long():
    stream = ByException(5, 600)
    assert [now_s for now_s in range(0, 3600, 60) if stream.due(1, 0, now_s)] == [0, 600, 1200, 1800, 2400, 3000]


def test_a_change_of_quality_is_reported_at_once():
    stream = ByException(5, 600)
    due = [stream.due(1, byte, now_s) for now_s, byte in enumerate([0, 0, TIMEOUT, TIMEOUT, PARTIAL, 0, 0])]
    assert due == [True, False, True, False, True, True, False]
