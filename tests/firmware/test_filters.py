"""process.filters against definitions that look at the whole history of readings."""

import statistics
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.core.errors import SettingError
from gateway.process import filters

LIMIT = 2**63 - 1
MANTISSAS = st.integers(-LIMIT, LIMIT)
# Small ones meet each other and the limits of a filter, the largest ones its bounds.
VALUES = st.integers(-6, 6) | st.integers(-60, 60) | st.sampled_from([LIMIT, -LIMIT]) | MANTISSAS
TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
CRC = quality.pack(quality.BAD, quality.CRC)
STALE = quality.pack(quality.UNCERTAIN, quality.STALE)
OUT = quality.pack(quality.BAD, quality.OUT_OF_RANGE)
IMPLAUSIBLE = quality.pack(quality.BAD, quality.IMPLAUSIBLE)
STUCK = quality.pack(quality.BAD, quality.STUCK)
OVERFLOW = (0, quality.pack(quality.BAD, quality.OVERFLOW))
SUBSTITUTED = quality.pack(quality.UNCERTAIN, quality.SUBSTITUTED)
QUALITIES = st.sampled_from([0, 0, 0, 0, 0, TIMEOUT, CRC, STALE])
FEW = st.integers(0, 8)
SIZES = st.integers(1, 31)
COUNTS = st.integers(1, 4)
SPANS = st.integers(1, 12)
SHARES = st.tuples(st.integers(1, 9), st.integers(1, 9) | MANTISSAS.map(abs)).filter(lambda share: share[0] <= share[1])


@st.composite
def histories(draw, most=60):
    """Readings (mantissa, quality byte, slot), in which the clock is set back now and then."""
    steps = st.integers(0, 5) | st.sampled_from([1, 1, 1, 1, -1, -7, -3600, 2**31])
    slot, made = draw(st.sampled_from([0, 1000, 2**30 - 3])), []
    for mantissa, byte, step in draw(st.lists(st.tuples(VALUES, QUALITIES, steps), max_size=most)):
        slot = max(0, slot + step)
        made.append((mantissa, byte, slot))
    return made


def is_bad(reading):
    return reading[1] >> 6 == quality.BAD


def run(spec, readings):
    step = filters.build(spec)
    return [step.apply(*reading) for reading in readings]


def usable(readings):
    return [reading for reading in readings if not is_bad(reading)]


def good(readings):
    return [reading for reading in readings if reading[1] == 0]


def passed(readings):
    """Seconds from the first reading to the last one; where the clock was set back they count anew."""
    slots = [slot for _, _, slot in readings]
    return slots[-1] - min(slots)


def pairs(strategy):
    return st.tuples(strategy, strategy).map(sorted).map(tuple)


# Checks


@given(pairs(VALUES), histories())
def test_range(limits, readings):
    def wanted(x, byte):
        inside = x in range(limits[0], limits[1] + 1)
        return (x, byte) if byte >> 6 == quality.BAD or inside else (x, OUT)

    assert run(["range", *limits], readings) == [wanted(x, byte) for x, byte, _ in readings]


def test_both_ends_of_the_range_belong_to_it():
    assert [byte for _, byte in run(["range", -5, 5], [(x, 0, 0) for x in (-6, -5, 5, 6)])] == [OUT, 0, 0, OUT]


@given(FEW, st.integers(1, 5), COUNTS, histories())
def test_rate(rise, per_s, confirm, readings):
    def agree(history, first):
        """The last reading of the history follows the one at `first`."""
        way = abs(history[-1][0] - history[first][0])
        return Fraction(way, max(1, passed(history[first:]))) <= Fraction(rise, per_s)

    history, accepted, row, wanted = [], 0, 0, []
    for reading in readings:
        if is_bad(reading):
            wanted.append(reading[:2])
            continue
        history.append(reading)
        last = len(history) - 1
        confirms = row and agree(history, last - 1)
        row = 0 if agree(history, accepted) else row + 1 if confirms else 1
        if 0 < row < confirm:
            wanted.append((reading[0], IMPLAUSIBLE))
        else:
            wanted.append(reading[:2])
            accepted, row = last, 0
    assert run(["rate", rise, per_s, confirm], readings) == wanted


def test_a_spike_is_implausible_and_a_new_level_is_confirmed():
    readings = [(x, 0, 10 * i) for i, x in enumerate([0, 20, 900, 40, 500, 510, 520, 525])]
    assert [byte for _, byte in run(["rate", 2, 1, 3], readings)] == [0, 0, IMPLAUSIBLE, 0, *[IMPLAUSIBLE] * 2, 0, 0]


def test_spikes_that_disagree_confirm_nothing():
    readings = [(x, 0, i) for i, x in enumerate([0, 500, -500, 500, -500, 500])]
    assert [byte for _, byte in run(["rate", 2, 1, 3], readings)] == [0] + [IMPLAUSIBLE] * 5


def test_what_may_change_grows_with_the_time():
    for way, byte in ((30, 0), (31, IMPLAUSIBLE)):
        assert run(["rate", 3, 60, 3], [(0, 0, 0), (0, TIMEOUT, 300), (way, 0, 600)])[-1] == (way, byte)


@given(FEW, SPANS, histories())
def test_stuck(band, after_s, readings):
    runs, wanted = [], []  # runs: usable readings, cut where one left the band
    for reading in readings:
        if is_bad(reading):
            wanted.append(reading[:2])
            continue
        if not runs or abs(reading[0] - runs[-1][0][0]) > band:
            runs.append([])
        runs[-1].append(reading)
        stuck = any(passed(runs[-1][:end]) >= after_s for end in range(1, len(runs[-1]) + 1))
        wanted.append((reading[0], STUCK if stuck else reading[1]))
    assert run(["stuck", band, after_s], readings) == wanted


def test_stuck_until_it_leaves_the_band():
    readings = [(x, 0, 30 * i) for i, x in enumerate([7, 8, 6, 7, 9, 9])]
    assert [byte for _, byte in run(["stuck", 1, 60], readings)] == [0, 0, STUCK, STUCK, 0, 0]


# Smoothing


def over_the_last(size, definition, readings):
    """What a definition over the last `size` good readings says of each reading."""
    wanted = []
    for end, (x, byte, _) in enumerate(readings, 1):
        wanted.append(definition([x for x, _, _ in good(readings[:end])][-size:]) if byte == 0 else (x, byte))
    return wanted


@given(SIZES, histories())
def test_median(size, readings):
    wanted = over_the_last(size, lambda recent: (statistics.median_low(recent), 0), readings)
    assert run(["median", size], readings) == wanted


PERMILLE = st.integers(0, 1000) | st.sampled_from([0, 250, 500, 750, 1000])


@given(SIZES, PERMILLE, histories())
def test_quantile(size, permille, readings):
    def nearest_rank(recent):
        place = Fraction(permille, 1000) * (len(recent) - 1)
        rank = max(range(len(recent)), key=lambda at: (-abs(at - place), at))  # of two equally near the upper
        return next(x for x in recent if sum(y < x for y in recent) <= rank < sum(y <= x for y in recent)), 0

    assert run(["quantile", size, permille], readings) == over_the_last(size, nearest_rank, readings)


def test_quantile_between_two_ranks():
    for permille, wanted in ((0, 10), (499, 10), (500, 20), (1000, 20)):
        assert run(["quantile", 2, permille], [(20, 0, 0), (10, 0, 0)])[-1] == (wanted, 0)


@given(SIZES, histories())
def test_mean(size, readings):
    wanted = over_the_last(size, lambda recent: (round(statistics.mean(map(Fraction, recent))), 0), readings)
    assert run(["mean", size], readings) == wanted


@given(SIZES, st.integers(0, 50_000) | MANTISSAS.map(abs), st.sampled_from([1, 3, 10_000, LIMIT]), histories())
def test_hampel(size, n, d, readings):
    def identifier(recent):
        middle = statistics.median_low(recent)
        mad = statistics.median_low(abs(x - middle) for x in recent)
        outlier = len(recent) > 2 and abs(recent[-1] - middle) > Fraction(n, d) * mad
        return (middle, SUBSTITUTED) if outlier else (recent[-1], 0)

    assert run(["hampel", size, n, d], readings) == over_the_last(size, identifier, readings)


def test_hampel_replaces_a_spike_and_nothing_else():
    values = [100, 103, 99, 9000, 101, 104, 98]
    got = run(["hampel", 5, 44478, 10000], [(x, 0, 0) for x in values])
    assert got == [(x, 0) if x != 9000 else (100, SUBSTITUTED) for x in values]


@given(SHARES, histories())
def test_ema(share, readings):
    y, wanted = None, []
    for x, byte, _ in readings:
        if byte == 0:
            y = Fraction(x) if y is None else y + (x - y) * Fraction(*share)
            y = Fraction(round(y * 2**16), 2**16)
        wanted.append((round(y), 0) if byte == 0 else (x, byte))
    assert run(["ema", *share], readings) == wanted


def test_small_steps_add_up_in_the_average():
    assert run(["ema", 1, 100], [(0, 0, 0)] + [(10, 0, 0)] * 1000)[-1] == (10, 0)


# Reporting


@given(FEW | MANTISSAS.map(abs), st.integers(0, 12), histories())
def test_deadband(delta, heartbeat_s, readings):
    reported, wanted = None, []  # its place
    for at, (x, byte, _) in enumerate(readings):
        before = None if reported is None else readings[reported]
        alive = heartbeat_s and before and passed(readings[reported : at + 1]) >= heartbeat_s
        report = before is None or byte != before[1] or abs(x - before[0]) >= delta or alive
        wanted.append((x, byte) if report else None)
        reported = at if report else reported
    assert run(["deadband", delta, heartbeat_s], readings) == wanted


def test_deadband_with_heartbeat():
    readings = [(0, 0, 0), (4, 0, 1), (-5, 0, 2), (-1, 0, 3), (-1, TIMEOUT, 4), (-1, TIMEOUT, 5), (-1, TIMEOUT, 14)]
    got = run(["deadband", 5, 10], readings)
    assert got == [(0, 0), None, (-5, 0), None, (-1, TIMEOUT), None, (-1, TIMEOUT)]
    assert run(["deadband", 5, 0], readings)[-1] is None


@given(SPANS, histories())
def test_throttle(every_s, readings):
    got = run(["throttle", every_s], readings)
    reports = [at for at, result in enumerate(got) if result]
    assert [got[at] for at in reports] == [readings[at][:2] for at in reports]
    assert reports[:1] == [0][: len(readings)]
    for start, end in pairwise([*reports, len(readings)]):
        waited = [passed(readings[start : at + 1]) for at in range(start + 1, end + 1) if at < len(readings)]
        assert all(span < every_s for span in waited[: end - start - 1])
        assert end == len(readings) or waited[-1] >= every_s


@given(pairs(st.integers(-8, 8)) | pairs(VALUES), histories())
def test_hysteresis(limits, readings):
    low, high = limits

    def decided(x):
        return 1 if x >= high else 0 if x <= low else None

    wanted = []
    for end, (x, byte, _) in enumerate(readings, 1):
        decisions = [decided(x) for x, _, _ in usable(readings[:end])]
        last = next((known for known in reversed(decisions) if known is not None), 0)
        wanted.append((x if is_bad((x, byte)) else last, byte))
    assert run(["hysteresis", *limits], readings) == wanted


def test_hysteresis_at_its_ends():
    values = [5, 9, 10, 9, 5, 4, 5, 9]
    got = run(["hysteresis", 4, 10], [(x, 0, 0) for x in values])
    assert got == [(x, 0) for x in (0, 0, 1, 1, 1, 0, 0, 0)]


@given(COUNTS, histories(), st.booleans())
def test_debounce(count, readings, binary):
    if binary:
        readings = [(x & 1, byte, slot) for x, byte, slot in readings]
    seen, settled, since, wanted = [], None, 0, []
    for x, byte, _ in readings:
        if byte >> 6 != quality.BAD:
            seen.append(x)
            if settled is None or (len(seen) - since >= count and set(seen[-count:]) == {x} != {settled}):
                settled, since = x, len(seen)
        wanted.append((x if byte >> 6 == quality.BAD else settled, byte))
    assert run(["debounce", count], readings) == wanted


def test_debounce_wants_them_in_a_row():
    values = [0, 1, 1, 0, 1, 1, 1, 0, 0, 0]
    assert [x for x, _ in run(["debounce", 3], [(x, 0, 0) for x in values])] == [0, 0, 0, 0, 0, 0, 1, 1, 1, 0]


@given(SPANS, histories())
def test_hold(for_s, readings):
    wanted = []
    for end, reading in enumerate(readings, 1):
        last = max((at for at in range(end) if readings[at][1] == 0), default=None)
        since = [] if last is None else [readings[last], *[one for one in readings[last:end] if is_bad(one)]]
        over = not since or any(passed(since[:upto]) > for_s for upto in range(1, len(since) + 1))
        wanted.append((since[0][0], SUBSTITUTED) if is_bad(reading) and not over else reading[:2])
    assert run(["hold", for_s], readings) == wanted


def test_hold_expires():
    readings = [(3, TIMEOUT, 0), (7, 0, 10), (3, TIMEOUT, 40), (3, TIMEOUT, 41), (3, TIMEOUT, 5), (8, 0, 50)]
    assert run(["hold", 30], readings) == [(3, TIMEOUT), (7, 0), (7, SUBSTITUTED), (3, TIMEOUT), (3, TIMEOUT), (8, 0)]


# Scaling


def computed(definition, readings):
    """Bad ones as they are; the others by the definition, rounded once, or an overflow."""
    wanted = []
    for x, byte, _ in readings:
        value = x if byte >> 6 == quality.BAD else round(definition(Fraction(x)))
        wanted.append((value, byte) if abs(value) <= LIMIT else OVERFLOW)
    return wanted


TABLES = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=16, unique_by=lambda point: point[0]).map(sorted)


@given(TABLES, histories())
def test_calibrate(points, readings):
    def line(x):
        """Lagrange's form of the line through the two points around x, or the two nearest its end."""
        inner = sum(x >= x0 for x0, _ in points[1:-1])
        (x0, y0), (x1, y1) = points[inner : inner + 2]
        return y0 * (x - x1) / (x0 - x1) + y1 * (x - x0) / (x1 - x0)

    assert run(["calibrate", [list(point) for point in points]], readings) == computed(line, readings)


def test_calibrate_by_hand():
    points = [[0, 100], [10, 200], [20, 250]]
    got = run(["calibrate", points], [(x, 0, 0) for x in (-1, 0, 5, 10, 11, 20, 30)])
    assert [x for x, _ in got] == [90, 100, 150, 200, 205, 250, 300]


@given(VALUES, st.integers(1, 9) | MANTISSAS.map(abs).filter(bool), histories())
def test_scale(n, d, readings):
    assert run(["scale", n, d], readings) == computed(lambda x: x * Fraction(n, d), readings)


@given(VALUES, histories())
def test_offset(add, readings):
    assert run(["offset", add], readings) == computed(lambda x: x + add, readings)


@given(pairs(VALUES), histories())
def test_clamp(limits, readings):
    assert run(["clamp", *limits], readings) == computed(lambda x: statistics.median([*limits, x]), readings)


# All of them

POSITIVE = MANTISSAS.map(abs).filter(bool)
COUNTED = st.integers(0, LIMIT)
ARGUMENTS = {
    "range": pairs(VALUES),
    "rate": st.tuples(COUNTED, POSITIVE, POSITIVE | COUNTS),
    "stuck": st.tuples(COUNTED, POSITIVE),
    "median": st.tuples(SIZES),
    "quantile": st.tuples(SIZES, st.integers(0, 1000)),
    "mean": st.tuples(SIZES),
    "hampel": st.tuples(SIZES, COUNTED, POSITIVE),
    "ema": SHARES,
    "deadband": st.tuples(COUNTED, COUNTED),
    "throttle": st.tuples(POSITIVE),
    "hysteresis": pairs(VALUES),
    "debounce": st.tuples(POSITIVE | COUNTS),
    "hold": st.tuples(POSITIVE),
    "calibrate": st.tuples(TABLES),
    "scale": st.tuples(VALUES, POSITIVE),
    "offset": st.tuples(VALUES),
    "clamp": pairs(VALUES),
}
REPLACE_BAD = {"deadband", "throttle", "hold"}


def numbers(state):
    """Every number that a filter keeps."""
    if isinstance(state, int):
        return [state]
    return [] if state is None else [number for part in state for number in numbers(part)]


@pytest.mark.parametrize("kind", ARGUMENTS)
@given(st.data())
def test_whatever_comes(kind, data):
    spec = [kind, *data.draw(ARGUMENTS[kind])]
    step = filters.build(spec)
    sure = len(numbers(spec[1:]))
    for x, _, slot in data.draw(histories()):
        byte = data.draw(st.integers(0, 255))
        result = step.apply(x, byte, slot)
        if byte >> 6 == quality.BAD and kind not in REPLACE_BAD:
            assert result == (x, byte)
        if result is None:
            assert kind in ("deadband", "throttle")
        else:
            assert abs(result[0]) <= LIMIT and 0 <= result[1] <= 255
        kept = numbers(vars(step).values())
        assert len(kept) <= 31 + sure + 5 and all(abs(number) < 2**80 for number in kept)


@pytest.mark.parametrize(
    "spec",
    [
        [],
        ["other"],
        [["median"], 3],
        "median",
        ["median"],
        ["median", 3, 3],
        ["median", 0],
        ["median", 32],
        ["median", -1],
        ["median", 3.0],
        ["median", "3"],
        ["mean", 0],
        ["quantile", 3, 1001],
        ["quantile", 3, -1],
        ["quantile", 32, 500],
        ["hampel", 5, -1, 1],
        ["hampel", 5, 3, 0],
        ["hampel", 0, 3, 1],
        ["ema", 0, 5],
        ["ema", 6, 5],
        ["ema", -1, -1],
        ["range", 2, 1],
        ["range", 0, 2**63],
        ["rate", -1, 1, 3],
        ["rate", 1, 0, 3],
        ["rate", 1, 1, 0],
        ["stuck", -1, 5],
        ["stuck", 1, 0],
        ["deadband", -1, 0],
        ["deadband", 1, -1],
        ["throttle", 0],
        ["hysteresis", 2, 1],
        ["debounce", 0],
        ["hold", 0],
        ["calibrate", [[0, 0]]],
        ["calibrate", [[i, i] for i in range(17)]],
        ["calibrate", [[0, 0], [0, 1]]],
        ["calibrate", [[0, 0], [1, 1.5]]],
        ["calibrate", [[0, 0], [1, 2**63]]],
        ["calibrate", [[0, 0], [1]]],
        ["calibrate", [[0, 0], 5]],
        ["calibrate", 5],
        ["scale", 1, 0],
        ["scale", 1, -1],
        ["offset", None],
        ["offset", [1]],
        ["clamp", 2, 1],
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(spec):
    with pytest.raises(SettingError):
        filters.build(spec)
