"""process.window against a calculation from all readings at once."""

import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.core.errors import SettingError
from gateway.process.window import SUMS, Window

TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
STALE = quality.pack(quality.UNCERTAIN, quality.STALE)
PARTIAL = quality.pack(quality.UNCERTAIN, quality.PARTIAL)
NO_DATA = (0, quality.pack(quality.BAD, quality.NO_DATA))
OVERFLOW = (0, quality.pack(quality.BAD, quality.OVERFLOW))
QUANTILES = ["p1", "p50", "p90", "p99"]
ALL = ["mean", "min", "max", "last", "delta", "count", "time_mean", *QUANTILES]
LIMIT = 2**63 - 1
MOST = 4

MANTISSAS = st.integers(-3, 3) | st.integers(-LIMIT, LIMIT)
# Seconds since the reading before; the clock of a restarted caller may fall.
STEPS = st.sampled_from([0, 1, 1, 7, 7, 60, -5, 2**31])
READINGS = st.lists(st.tuples(MANTISSAS, st.sampled_from([0, 0, 0, TIMEOUT, STALE]), STEPS), max_size=6)
WINDOWS = st.lists(st.tuples(READINGS, st.booleans(), STEPS), max_size=6)


def usable(window):
    return [mantissa for mantissa, quality_byte, _ in window if quality_byte >> 6 != 2]


def expected(output, windows, whole):
    """The result of the last of these windows: lists of readings (mantissa, quality byte, second)."""
    now = usable(windows[-1])
    if output == "count":
        return len(now), 0 if whole else PARTIAL
    if not now:
        return NO_DATA
    qualities = [quality_byte for _, quality_byte, _ in windows[-1]]
    flaw = PARTIAL if TIMEOUT in qualities or not whole else next(filter(None, qualities), 0)
    if output == "delta":
        earlier = [mantissa for window in windows[:-1] for mantissa in usable(window)]
        if len(windows) < 2 or not usable(windows[-2]):
            flaw = PARTIAL
        delta = now[-1] - (earlier[-1] if earlier else now[0])
        return (delta, flaw) if abs(delta) <= LIMIT else OVERFLOW
    if output in QUANTILES:
        kept = now[:MOST]
        return nearest_rank(kept, Fraction(int(output[1:]), 100)), flaw if kept == now else PARTIAL
    mean = round(statistics.mean(map(Fraction, now)))
    return {"mean": mean, "min": min(now), "max": max(now), "last": now[-1]}[output], flaw


def nearest_rank(values, share):
    place = share * (len(values) - 1)
    rank = max(range(len(values)), key=lambda at: (-abs(at - place), at))  # of two equally near the upper
    return next(x for x in values if sum(y < x for y in values) <= rank < sum(y <= x for y in values))


def expected_time_mean(windows, bounds, whole):
    """`windows` as above; `bounds`: at which second each of them begins, and the last one ends."""
    if not usable(windows[-1]):
        return NO_DATA
    start, end = bounds[-2:]
    held = []  # (from, mantissa or None, quality byte), ascending
    for window, began in zip(windows, bounds, strict=False):
        if not usable(window) and window is not windows[-1]:
            window = [*window, (0, TIMEOUT, began)]
        held += [(second, None if byte >> 6 == 2 else mantissa, byte) for mantissa, byte, second in window]
    held = sorted(held, key=lambda part: part[0])
    parts = []  # (seconds within the window, mantissa or None, quality byte)
    for (since, mantissa, byte), until in zip(held, [since for since, _, _ in held[1:]] + [end], strict=True):
        parts.append((max(0, until - max(since, start)), mantissa, byte))
    known = [(seconds, mantissa, byte) for seconds, mantissa, byte in parts if seconds and mantissa is not None]
    total = sum(seconds for seconds, _, _ in known)
    last = expected("last", windows, whole)
    value = round(Fraction(sum(s * m for s, m, _ in known), total)) if total else last[0]
    if total < end - max(start, held[0][0]):
        return value, PARTIAL
    return value, last[1] or next((byte for _, _, byte in known if byte), 0)


@given(WINDOWS, st.permutations(ALL), st.integers(1, len(ALL)))
def test_windows(windows, outputs, many):
    outputs = outputs[:many]
    window = Window(outputs, MOST)
    now_s, passed = 1000, 0  # what the caller says, and what time has passed in truth
    told, bounds = [], [0]
    for readings, whole, rest in windows:
        assert not window.fed
        told.append([])
        for mantissa, quality_byte, step in readings:
            now_s, passed = now_s + step, passed + max(0, step)
            window.add(mantissa, quality_byte, now_s)
            told[-1].append((mantissa, quality_byte, passed))
            assert window.fed
        now_s, passed = now_s + rest, passed + max(0, rest)
        bounds.append(passed)
        results = dict(zip(outputs, window.close(whole, now_s), strict=True))
        if "time_mean" in outputs:
            assert results.pop("time_mean") == expected_time_mean(told, bounds, whole)
        assert results == {output: expected(output, told, whole) for output in results}


def test_the_deltas_of_a_counter_add_up_over_an_outage():
    window = Window(["delta"])
    deltas = []
    for readings in ([100, 104], [], [TIMEOUT], [130], [131]):
        for reading in readings:
            window.add(reading, TIMEOUT if reading == TIMEOUT else 0)
        deltas += window.close()
    assert deltas == [(4, PARTIAL), NO_DATA, NO_DATA, (26, PARTIAL), (1, 0)]


def test_the_mean_is_rounded_half_even():
    window = Window(["mean"])
    for pair, mean in (((0, 1), 0), ((1, 2), 2), ((-1, 0), 0), ((-2, -1), -2)):
        for mantissa in pair:
            window.add(mantissa, 0)
        assert window.close() == [(mean, 0)]


def test_a_value_weighs_as_long_as_it_holds_and_that_of_the_window_before_from_the_start_on():
    window = Window(["time_mean", "mean"])
    window.add(10, 0, 0)
    window.add(40, 0, 50)
    assert window.close(True, 60) == [(15, 0), (25, 0)]
    window.add(100, 0, 90)  # 40 holds for the first half of this window
    assert window.close(True, 120) == [(70, 0), (100, 0)]
    window.add(100, STALE, 120)
    assert window.close(True, 180) == [(100, STALE), (100, STALE)]
    window.add(0, 0, 210)  # a value that was uncertain makes what it weighs in uncertain
    assert window.close(True, 240) == [(50, STALE), (0, 0)]


def test_time_of_which_nothing_is_known_has_no_weight():
    window = Window(["time_mean"])
    window.add(10, 0, 0)
    window.add(0, TIMEOUT, 10)
    window.add(50, 0, 50)
    assert window.close(True, 60) == [(30, PARTIAL)]
    assert window.close(True, 120) == [NO_DATA]
    window.add(80, 0, 150)  # the 50 of two windows ago is no longer believed to hold
    assert window.close(True, 180) == [(80, PARTIAL)]


def test_quantiles_are_of_all_readings_of_one_window():
    window = Window(["p1", "p50", "p99"], 100)
    for mantissa in [*range(99, -1, -1)]:
        window.add(mantissa, 0)
    assert window.close() == [(1, 0), (50, 0), (98, 0)]
    window.add(7, 0)
    assert window.close() == [(7, 0)] * 3


def test_more_readings_than_a_window_can_have_are_told():
    window = Window(["p50", "mean"], 3)
    for mantissa in (1, 2, 3, 1000):
        window.add(mantissa, 0)
    assert window.close() == [(2, PARTIAL), (252, 0)]
    window.add(5, 0)
    assert window.close() == [(5, 0), (5, 0)]


def test_nothing_counted_is_a_count():
    window = Window(["count", "last"])
    window.add(1, TIMEOUT)
    assert window.close() == [(0, 0), NO_DATA]
    window.add(1, 0)
    window.add(1, TIMEOUT)
    window.add(1, STALE)
    assert window.close() == [(2, 0), (1, PARTIAL)]
    assert window.close(False) == [(0, PARTIAL), NO_DATA]


@pytest.mark.parametrize("output", ["", "p", "p0", "p01", "p100", "p-1", "p5.", "q50", "median", "each", "p\u0665"])
def test_an_unknown_output_is_refused(output):
    with pytest.raises(SettingError):
        Window([output])


def test_quantiles_need_room():
    with pytest.raises(SettingError):
        Window(["p50"], 0)


def test_the_sums_are_outputs():
    assert len(Window(SUMS).close()) == len(SUMS) == 2


def test_memory_is_constant():
    window = Window(ALL, MOST)

    def kept(thing):
        return {name: type(value) for name, value in vars(thing).items() if not isinstance(value, int)}

    for mantissa in range(1000):
        window.add(mantissa, 0, mantissa)
    parts = [window, window._ranks, window._time_mean]
    before = [kept(part) for part in parts]
    for mantissa in range(1000):
        window.add(mantissa, 0, 1000 + mantissa)
    assert [kept(part) for part in parts] == before
    assert len(window._ranks._kept) == MOST and window._ranks._kept.typecode == "q"
    assert not any(isinstance(value, list | dict) for name, value in vars(window).items() if name != "outputs")
    small = Window(["mean", "min", "max", "last", "delta", "count"])
    assert small._ranks is None and small._time_mean is None
