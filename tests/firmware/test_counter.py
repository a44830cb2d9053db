"""process.counter: a total that never falls, against a definition that looks at the whole history of readings."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.core.errors import SettingError
from gateway.process import filters
from gateway.process.counter import BEFORE_START, Counter

LIMIT = 2**63 - 1
TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
PULSES_LOST = quality.pack(quality.UNCERTAIN, quality.PULSES_LOST)
QUARANTINED = quality.pack(quality.BAD, quality.QUARANTINED)
RESET = quality.pack(quality.UNCERTAIN, quality.RESET)
EXCHANGED = quality.pack(quality.UNCERTAIN, quality.EXCHANGED)
ESTIMATED = quality.pack(quality.UNCERTAIN, quality.ESTIMATED)
OVERFLOW = (0, quality.pack(quality.BAD, quality.OVERFLOW))


class Events(list):
    def __call__(self, event, point, about):
        self.append((event, point, dict(about)))

    @property
    def words(self):
        return [event for event, _, _ in self]


@pytest.fixture
def events():
    return Events()


def run(counter, values, every_s=10, start_s=100):
    return [counter.apply(x, 0, start_s + every_s * i) for i, x in enumerate(values)]


# --- against a definition

SMALL = st.integers(0, 30) | st.integers(-3, 130)
VALUES = SMALL | st.integers(0, 1200) | st.sampled_from([LIMIT, -LIMIT])
STEPS = st.sampled_from([0, 1, 1, 1, 5, 20, 100])
HISTORIES = st.lists(st.tuples(VALUES, STEPS, st.sampled_from([0, 0, 0, 0, TIMEOUT])), max_size=40)
SETTINGS = st.tuples(st.sampled_from([0, 100, 1000]), st.integers(0, 9), st.integers(1, 7), st.integers(1, 4))


def defined(readings, modulus, rise, per_s, confirm):
    """(total, quality byte) of readings (x, quality byte, time), and how many resets, exchanges and rollovers there were."""

    def way(earlier, later, most=None):
        """How much was counted from one reading to another, None when that is not possible."""
        allowed = Fraction(rise * max(1, later[2] - earlier[2]), per_s) + 1
        if later[0] < earlier[0]:
            if later[0] < 0 or earlier[0] > modulus:
                return None
            allowed = min(allowed, Fraction(modulus, 2))
        counted = (later[0] - earlier[0]) % modulus if later[0] < earlier[0] else later[0] - earlier[0]
        return counted if counted <= allowed else None

    last, total, row, told, seen = None, 0, [], [], []
    for reading in readings:
        if reading[1] >> 6 == quality.BAD:
            told.append(reading[:2])
            continue
        if last is None:
            total = reading[0]
        elif (counted := way(last, reading)) is None:
            row = [*row, reading] if row and way(row[-1], reading) is not None else [reading]
            if len(row) < confirm:
                told.append((reading[0], QUARANTINED))
                continue
            anew = row[0][0] < last[0] and row[0][0] >= 0 and way((0, 0, last[2]), row[0]) is not None
            total += (row[0][0] if anew else 0) + sum(way(*pair) for pair in pairwise(row))
            told.append((total, RESET if anew else EXCHANGED))
            seen.append("counter_reset" if anew else "counter_quarantine")
            last, row = reading, []
            continue
        else:
            total += counted
            seen += ["counter_rollover"] if reading[0] < last[0] else []
        told.append((total, reading[1]))
        last, row = reading, []
    return told, seen


@given(SETTINGS, HISTORIES)
def test_as_defined(settings, history):
    readings, now_s = [], 0
    for x, step, byte in history:
        now_s += step
        readings.append((x, byte, now_s))
    events = Events()
    counter = Counter(4, events, *settings)
    got = [counter.apply(*reading) for reading in readings]
    told, seen = defined(readings, *settings)
    if not any(total > LIMIT for total, _ in told):
        assert got == told and events.words == seen


# --- by hand


def test_what_can_be_counted_passes_and_what_is_more_does_not(events):
    for way, byte in ((31, 0), (32, QUARANTINED)):  # 3 a second for 10 s, and a step
        assert run(Counter(0, events, 0, 3, 1, 3), [1000, 1000 + way])[-1] == (1000 + way, byte)
    assert events == []


def test_a_single_garbage_reading_costs_nothing(events):
    got = run(Counter(0, events, 0, 3, 1, 3), [1000, 0, 1040, 4_000_000_000, 1080])
    assert got == [(1000, 0), (0, QUARANTINED), (1040, 0), (4_000_000_000, QUARANTINED), (1080, 0)]
    assert events == []


def test_a_rollover_goes_on(events):
    assert run(Counter(7, events, 1000, 3, 1, 3), [980, 995, 5, 30]) == [(980, 0), (995, 0), (1005, 0), (1030, 0)]
    assert events == [("counter_rollover", 7, {"old": 995, "new": 5, "total": 1005})]


def test_a_fall_that_is_the_longer_way_round_is_no_rollover(events):
    counter = Counter(0, events, 1000, 900, 1, 2)
    assert run(counter, [450, 5, 6])[1:] == [(5, QUARANTINED), (456, RESET)]


def test_a_counter_that_begins_anew(events):
    counter = Counter(7, events, 0, 3, 1, 3)
    got = run(counter, [1000, 1010, 12, 20, 25, 30])
    assert got == [(1000, 0), (1010, 0), (12, QUARANTINED), (20, QUARANTINED), (1035, RESET), (1040, 0)]
    assert events == [("counter_reset", 7, {"old": 1010, "new": 12})]


def test_an_undeclared_exchange_goes_on_where_it_was_and_is_told_once(events):
    got = run(Counter(7, events, 0, 3, 1, 3), [1000, 500, 510, 520, 530, 540])
    assert got[1:] == [(500, QUARANTINED), (510, QUARANTINED), (1020, EXCHANGED), (1030, 0), (1040, 0)]
    assert events == [("counter_quarantine", 7, {"old": 1000, "new": 500})]
    assert run(Counter(7, events, 0, 3, 1, 3), [1000, 5000, 5010, 5020])[-1] == (1020, EXCHANGED)


def test_what_a_jump_counts_while_it_waits_is_not_lost_in_a_rollover(events):
    assert run(Counter(0, events, 1000, 3, 1, 3), [500, 980, 995, 10])[-1] == (500 + 30, EXCHANGED)


def test_jumps_that_disagree_confirm_nothing(events):
    got = run(Counter(0, events, 0, 3, 1, 3), [1000, 9000, 5000, 9000, 5000, 9000, 1050])
    assert [byte for _, byte in got] == [0, *[QUARANTINED] * 5, 0] and events == []


def test_what_is_bad_already_changes_nothing(events):
    counter = Counter(0, events, 0, 3, 1, 3)
    assert counter.apply(5, TIMEOUT, 0) == (5, TIMEOUT)
    counter.apply(1000, 0, 10)
    assert counter.apply(7, TIMEOUT, 20) == (7, TIMEOUT)
    assert counter.apply(1060, PULSES_LOST, 30) == (1060, PULSES_LOST)


def test_time_that_goes_back_is_no_time(events):
    counter = Counter(0, events, 0, 3, 1, 3)
    counter.apply(1000, 0, 5000)
    assert counter.apply(1005, 0, 40)[1] == QUARANTINED
    assert counter.apply(1030, 0, 50) == (1030, 0)


def test_a_register_that_is_brought_up_to_date_rarely(events):
    counter = Counter(0, events, 0, 10, 900, 3, settle_s=900)
    assert run(counter, [1000, 1011])[-1] == (1011, 0)
    assert Counter(0, events, 0, 10, 900, 3).apply(1000, 0, 100) == (1000, 0)


def test_a_device_that_counts_in_large_steps(events):
    for step, byte in ((100, 0), (99, QUARANTINED)):
        assert run(Counter(0, events, 0, 1, 1000, 3, step=step), [700, 800])[-1] == (800, byte)


def test_a_float_moves_by_its_last_place_and_may_flutter_by_it(events):
    big = 1 << 30  # as 32-bit float in steps of 128
    values = [big, big + 128, big, big, big, big + 128, big + 256]
    got = run(Counter(0, events, 0, 0, 1, 2, bits=24), values)
    assert got == [(big, 0), *[(big + 128, 0)] * 5, (big + 256, 0)]
    assert run(Counter(0, events, 0, 0, 1, 9), values[:2])[-1] == (big + 128, QUARANTINED)


def test_a_total_that_does_not_fit_is_bad_and_a_right_one_comes_back(events):
    counter = Counter(0, events, 1000, 9, 1, 1)
    counter.reading, counter.total, counter.heard, counter.at = 990, LIMIT - 5, True, 90
    assert counter.apply(998, 0, 100) == OVERFLOW
    assert counter.apply(995, 0, 110) == (LIMIT, 0)


def restarted(events, reading, total, *settings):
    counter = Counter(0, events, *settings)
    counter.heard, counter.reading, counter.total = True, reading, total
    assert counter.at == BEFORE_START
    return counter


def test_after_a_start_a_month_may_have_passed(events):
    month = 31 * 86400
    for way, byte in ((month + 101, 0), (month + 102, QUARANTINED)):
        assert restarted(events, 1000, 5000, 0, 1, 1, 3).apply(1000 + way, 0, 100)[1] == byte


def test_after_a_start_a_reset_is_what_an_hour_can_have_counted(events):
    for first, byte in ((3701, RESET), (3702, EXCHANGED)):
        counter = restarted(events, 50_000, 90_000, 0, 1, 1, 2)
        assert [counter.apply(first, 0, 100), counter.apply(first, 0, 110)][-1][1] == byte
    assert events.words == ["counter_reset", "counter_quarantine"]
    assert counter.total == 90_000


def test_after_a_start_a_rollover_is_uncertain_and_only_a_short_way(events):
    assert restarted(events, 990, 5990, 1000, 1, 1, 3).apply(20, 0, 5) == (6020, ESTIMATED)
    assert restarted(events, 900, 5900, 1000, 1, 1, 3).apply(20, 0, 5) == (20, QUARANTINED)


# --- whatever comes

POSITIVE = st.integers(1, 9) | st.integers(1, LIMIT)
COUNTED = st.integers(0, 9) | st.integers(0, LIMIT)
ANY = st.tuples(COUNTED, COUNTED, POSITIVE, POSITIVE, COUNTED, st.sampled_from([0, 24, 53]), POSITIVE)
TIMES = st.integers(0, 2**40) | st.integers(0, 50)
MANTISSAS = VALUES | st.integers(-LIMIT, LIMIT)


@given(ANY | st.just((1000, 1, 1, 2, 1, 0, 1)), st.lists(st.tuples(MANTISSAS, st.integers(0, 191), TIMES), max_size=60))
def test_whatever_comes(settings, readings):
    events = Events()
    counter = Counter(3, events, *settings)
    highest, believed = None, 0
    for x, byte, now_s in readings:
        total, told = counter.apply(x, byte, now_s)
        assert abs(total) <= LIMIT and 0 <= told < 192
        if byte >> 6 == quality.BAD:
            assert (total, told) == (x, byte)
        elif told >> 6 != quality.BAD:
            assert highest is None or total >= highest
            highest, believed = total, believed + 1
        assert counter.row <= settings[3] and abs(counter.reading) <= LIMIT
    assert len(events) <= believed


@pytest.mark.parametrize(
    "arguments",
    [
        (-1, 1, 1, 3, 1, 0, 1),
        (0, -1, 1, 3, 1, 0, 1),
        (0, 1, 0, 3, 1, 0, 1),
        (0, 1, 1, 0, 1, 0, 1),
        (0, 1, 1, 3, -1, 0, 1),
        (0, 1, 1, 3, 1, -1, 1),
        (0, 1, 1, 3, 1, 0, 0),
        (2**63, 1, 1, 3, 1, 0, 1),
        (0, 1.5, 1, 3, 1, 0, 1),
        (0, 1, 1, 3),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(arguments):
    with pytest.raises(SettingError):
        filters.build(["counter", *arguments])
    filters.build(["counter", 0, 1, 1, 3, 1, 0, 1])
