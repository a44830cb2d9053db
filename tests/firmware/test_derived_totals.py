"""process.derived across points and between counters and rates, against definitions in fractions."""

import random
from fractions import Fraction

from derived_runs import (
    LIMIT,
    MISSING,
    OVERFLOW,
    PARTLY,
    QUALITIES,
    STALE,
    TIMEOUT,
    VALUES,
    half_even,
    histories,
    is_bad,
    readings,
    run,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality

RESET = quality.pack(quality.UNCERTAIN, quality.RESET)
WEIGHTS = st.sampled_from([1, -1, 10, -1000, 7])

NOT_YET = (0, quality.pack(quality.BAD, quality.NO_DATA))


def result(fraction, byte):
    value = half_even(fraction)
    return OVERFLOW if value is None else (value, byte)


@given(histories(3), st.lists(WEIGHTS, min_size=3, max_size=3), st.integers(1, 3), st.integers(1, 100))
def test_sum(calls, weights, least, d):
    def wanted(row):
        usable = [(x * w, byte) for (x, byte), w in zip(row, weights, strict=True) if not is_bad((x, byte))]
        if len(usable) < least:
            return 0, MISSING
        doubts = [byte for _, byte in usable if byte]
        byte = PARTLY if len(usable) < 3 else doubts[0] if doubts else 0
        return result(Fraction(sum(x for x, _ in usable), d), byte)

    spec = ["sum", [4, 5, 6], [9], least, d, weights]
    assert run(spec, calls) == [[wanted(row)] for row, _ in calls]


@given(histories(3, values=st.integers(-500, 500) | VALUES), st.integers(1, 300))
def test_imbalance(calls, floor):
    def wanted(row):
        mean = Fraction(sum(x for x, _ in row), 3)
        if any(map(is_bad, row)) or abs(mean) < floor:
            return 0, MISSING
        byte = next((byte for _, byte in row if byte), 0)
        return result(max(abs(x - mean) for x, _ in row) / abs(mean) * 1000, byte)

    assert run(["imbalance", [0, 1, 2], [3], floor, 1000, [1, 1, 1]], calls) == [[wanted(row)] for row, _ in calls]


def test_the_example_of_nema_mg_1():
    """460, 467 and 450 V: the mean is 459, the largest deviation 9, the imbalance 1.96 percent."""
    row = [(4600, 0), (4670, 0), (4500, 0)]
    assert run(["imbalance", [0, 1, 2], [3], 1000, 1000, [1, 1, 1]], [(row, 5)]) == [[(20, 0)]]


def oldest(history, over_s):
    """(time, value) that a change is counted from, of readings that never fall: by the rule, from the first on."""
    every_s, kept = -(-over_s // 16), []
    for now_s, value in history:
        while len(kept) > 1 and now_s - kept[1][0] >= over_s:
            kept = kept[1:]
        if not kept or now_s - kept[-1][0] >= every_s:
            kept.append((now_s, value))
    return kept[0]


COUNTS = st.integers(0, 9) | st.integers(0, 10**12)


@given(
    st.lists(st.tuples(COUNTS, st.integers(0, 9), QUALITIES), max_size=60),
    st.integers(1, 40),
    st.integers(1, 10**6),
    st.integers(1, 1000),
)
def test_rate(steps, over_s, n, d):
    now_s, count, history, doubts, calls, wanted = 0, 0, [], [], [], []
    for more, passed, byte in steps:
        now_s, count = now_s + passed, count + more
        calls.append(([(count, byte)], now_s))
        if is_bad((count, byte)):
            wanted.append([(0, MISSING)])
            continue
        history.append((now_s, count))
        doubts += [(now_s, byte)] * (byte != 0)
        since, before = oldest(history, over_s)
        if now_s - since < over_s:
            wanted.append([NOT_YET])
            continue
        byte = STALE if any(since <= at for at, _ in doubts) else 0
        wanted.append([result(Fraction((count - before) * n, d * (now_s - since)), byte)])
    assert run(["rate", [0], [1], n, d, over_s], calls) == wanted


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=200), st.integers(1, 3600), st.integers(0, 50), st.integers(1, 9)
)
def test_the_span_of_a_rate_is_never_short_and_at_most_a_sixteenth_and_a_reading_too_long(steps, over_s, start, rise):
    """A counter that counts seconds squared tells from which second its rate was taken."""
    times = [start + sum(steps[:at]) for at in range(len(steps))]
    found = run(["rate", [0], [1], 1, 1, over_s], [([(t * t * 10**6, 0)], t) for t in times])
    for now_s, [value] in zip(times, found, strict=True):
        if value != NOT_YET:
            span = round(2 * now_s - value[0] / 10**6)  # (b^2 - a^2) / (b - a) = a + b
            assert over_s <= span <= over_s + -(-over_s // 16) + 2 * max(steps)


def test_a_pulse_meter_makes_no_jumps_and_a_counter_that_falls_begins_anew():
    litres = [at // 6 for at in range(200)]  # a litre a minute, read every 10 s
    flows = [value for [value] in run(["rate", [0], [1], 3600, 1, 600], readings(litres))]
    assert flows[:60] == [NOT_YET] * 60 and NOT_YET not in flows[60:]
    assert all(54 <= value <= 66 for value, _ in flows[60:])
    found = run(["rate", [0], [1], 1, 1, 20], readings([100, 110, 120, 5, 15, 25]))
    assert found == [[NOT_YET], [NOT_YET], [(1, 0)], [(0, MISSING)], [NOT_YET], [(1, 0)]]


@given(
    histories(values=st.integers(-50, 50) | st.integers(-(10**9), 10**9)),
    st.integers(1, 999) | st.integers(-999, -1),
    st.integers(1, 10**6),
    st.integers(1, 100),
)
def test_total(calls, n, d, gap_s):
    total, before, wanted = Fraction(0), None, []
    for [(x, byte)], now_s in calls:
        if byte >> 6 == quality.BAD:
            wanted.append([(half_even(total), MISSING)])
            continue
        x = max(0, x if n > 0 else -x)
        passed = max(0, now_s - before[1]) if before else 0
        if not before:
            byte = RESET
        elif passed > gap_s:
            byte = PARTLY
        else:
            total += Fraction(before[0] + x, 2) * passed * abs(n) / d
        before = x, now_s
        wanted.append([(half_even(total), byte)])
    assert run(["total", [0], [1], n, d, gap_s], calls) == wanted


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=60), st.integers(1, 60))
def test_what_a_rate_makes_of_a_total_is_the_mean_between(powers, every_s):
    """Energy in mWs from power and back: the mean power of the trapezoids, exact."""
    energy = [value[0] for [value] in run(["total", [0], [1], 1000, 1, 300], readings(powers, every_s))]
    back = run(["rate", [0], [1], 1, 1000, every_s], readings(energy, every_s))
    for at in range(1, len(powers)):
        assert back[at] == [(half_even(Fraction(powers[at - 1] + powers[at], 2)), 0)]


def test_a_total_goes_on_where_it_was_kept_and_says_that_it_lacks_something():
    from gateway.process import derived

    spec = ["total", [0], [1], 1, 3600, 300]
    one, two = derived.build(spec, None), derived.build(spec, None)
    for [row], now_s in readings([7200] * 5):
        one.derive([row], (True,), now_s, now_s, False)
    two.restore(one.kept())
    assert two.derive([(7200, 0)], (True,), 3, 3, False) == [(80, RESET)]
    assert two.derive([(7200, 0)], (True,), 13, 13, False) == [(100, 0)]
    for damaged in (b"", b"\xff" * 8, bytes(7), b"\x7f" + b"\xff" * 7):
        three = derived.build(spec, None)
        three.restore(damaged)
        assert three.kept() == bytes(8)


def test_a_total_too_large_to_hold_begins_anew():
    found = run(["total", [0], [1], LIMIT, 1, 604800], readings([LIMIT] * 3, 604800))
    assert found == [[(0, RESET)], [OVERFLOW], [OVERFLOW]]


def test_a_day_of_power_counts_as_its_definition_says():
    rng = random.Random(4)
    powers = [rng.randint(0, 4000) for _ in range(8640)]
    pairs = zip(powers, powers[1:], strict=False)
    exact = sum(Fraction(a + b, 2) * 10 for a, b in pairs) / 36000  # Wh in steps of 10
    assert run(["total", [0], [1], 1, 36000, 300], readings(powers))[-1] == [(half_even(exact), 0)]


def test_nothing_is_said_before_all_were_heard_and_nothing_of_what_nobody_wants():
    spec = ["sum", [0, 1], [3], 1, 1, [1, 1]]
    assert run(spec, [([(5, 0), None], 1), ([(5, 0), (TIMEOUT, TIMEOUT)], 2)]) == [[None], [(5, PARTLY)]]
    spec[2] = [-1]
    assert run(spec, [([(5, 0), (6, 0)], 1)]) == [[]]


def test_the_floor_itself_is_enough():
    for floor, wanted in ((100, (0, 0)), (101, (0, MISSING))):
        assert run(["imbalance", [0, 1, 2], [3], floor, 1000, [1, 1, 1]], [([(100, 0)] * 3, 1)]) == [[wanted]]


def test_when_the_time_falls_a_rate_begins_anew():
    calls = [([(count, 0)], now_s) for count, now_s in ((0, 100), (10, 110), (20, 0), (30, 10))]
    assert run(["rate", [0], [1], 1, 1, 10], calls) == [[NOT_YET], [(1, 0)], [NOT_YET], [(1, 0)]]
