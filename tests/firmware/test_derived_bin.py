"""process.derived: bins and soil, against definitions in fractions."""

from fractions import Fraction

from derived_runs import ESTIMATED, INVALID, MISSING, STALE, half_even, histories, is_bad, readings, run
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.process import derived

NEAR = quality.pack(quality.BAD, quality.NEAR_ECHO)
DOUBTED = quality.pack(quality.UNCERTAIN, quality.NEAR_ECHO)
NO_ECHO = quality.pack(quality.BAD, quality.NO_ECHO)
OUT = quality.pack(quality.BAD, quality.OUT_OF_RANGE)
CONE = [[0, 0], [400, 20], [1200, 100]]

NOT_YET = (0, quality.pack(quality.BAD, quality.NO_DATA))


def a_bin(shape=CONE, share=(1000, 80), air=(), confirm=3, rate_s=3600, points=(10, 11, 12, 13)):
    """1200 mm high, blind up to 30 mm, full at 200 mm, where the cone holds 80 of its 100."""
    sensor, course = [1200, 30, 50], [[rate_s, 36000, 1], [1, 60, 43200]]
    sources = [0, 1] if air else [0]
    return ["bin", sources, list(points), sensor, [shape, *share], 1000, list(air), [300, confirm], *course]


def volume(shape, x):
    """On straight lines through the points, flat beyond both ends."""
    if x <= shape[0][0]:
        return Fraction(shape[0][1])
    for (x0, y0), (x1, y1) in zip(shape, shape[1:], strict=False):
        if x <= x1:
            return y0 + Fraction(y1 - y0) * (x - x0) / (x1 - x0)
    return Fraction(shape[-1][1])


def fills(found):
    return [results[0] for results in found]


@given(histories(2, values=st.integers(0, 1300) | st.integers(-300, 300)))
def test_fill(calls):
    """Temperatures in tenths; a thermometer that is bad or impossible leaves the distance as it was read."""
    wanted, near, last = [], 0, None
    for (distance, warmth), _ in calls:
        x, byte = distance
        if is_bad(distance):
            wanted.append((last or 0, NO_ECHO if byte == INVALID else MISSING))
            continue
        near = near + 1 if x < 30 else 0
        if near:
            wanted.append((last, DOUBTED) if last is not None and near < 3 else (last or 0, NEAR))
            continue
        if is_bad(warmth) or not -600 <= warmth[0] <= 900:
            byte = byte or ESTIMATED
        else:
            x = x * (Fraction("331.3") + Fraction("0.606") * Fraction(warmth[0], 10)) / Fraction("343.42")
            byte = byte or warmth[1]
        if x > 1250:
            wanted.append((last or 0, NO_ECHO))
            continue
        last = half_even(max(Fraction(0), min(Fraction(1000), volume(CONE, 1200 - x) * 1000 / 80)))
        wanted.append((last, byte))
    assert fills(run(a_bin(air=(1, 10, 343_420)), calls)) == wanted


def test_known_fills():
    cases = {1250: 0, 1200: 0, 1000: 125, 800: 250, 500: 625, 200: 1000, 30: 1000}
    for distance, fill in cases.items():
        assert fills(run(a_bin(), readings([distance]))) == [(fill, 0)]
    assert fills(run(a_bin(), readings([1251]))) == [(0, NO_ECHO)]


def test_cold_air_makes_the_sensor_see_too_far():
    """At -20 Cel sound runs at 319.18 m/s: what was read as 1000 mm is 929.4 mm."""
    straight = a_bin([[0, 0], [1200, 1]], (1200, 1), (1, 10, 343_420))
    warm, cold = (run(straight, [([(1000, 0), (t, 0)], 1)])[0][0] for t in (200, -200))
    assert (warm, cold) == ((200, 0), (271, 0))


def test_an_emptying_is_confirmed_once_and_told():
    told = []
    distances = [400, 395, 390, 1190, 392, 1190, 1185, 1190, 1190, 1100]
    found = run(a_bin(), readings(distances), told)
    assert told == [("bin_emptied", 10, [("from", 762), ("to", 6)])]
    assert [results[3][0] for results in found] == [0] * 7 + [1] * 3


def test_waste_that_settles_is_no_emptying():
    told = []
    run(a_bin(), readings(range(200, 1200, 10)), told)
    assert told == []


def test_fill_rate_and_time_to_full():
    """5 percent an hour from 50 percent on; every reading a minute later."""
    straight = a_bin([[0, 0], [1200, 1]], (1000, 1), rate_s=3600)
    found = run(straight, readings([600 - at for at in range(0, 121)], 60))
    assert [results[1] for results in found[:60]] == [NOT_YET] * 60 and found[59][2] == NOT_YET
    rise = Fraction(1000, 1200) * 60  # steps of 0.1 % in an hour
    for at, (fill, rate, left, _) in enumerate(found[60:], 60):
        assert abs(rate[0] - rise * 10) <= 10 and rate[1] == 0
        assert left[1] == ESTIMATED and abs(left[0] - (1000 - fill[0]) / (rise / 60)) < 20, at
    found = run(straight, readings([600] * 70, 60))
    assert found[-1][1:3] == [(0, 0), (43200, ESTIMATED)]
    full = run(a_bin(rate_s=60), readings([200] * 9, 60))
    assert full[-1][:3] == [(1000, 0), (0, 0), (0, ESTIMATED)]


@given(histories(values=st.integers(25, 1260), most=60))
def test_emptyings_and_courses(calls):
    """From the believed fills: falls below the highest of the last three, three in a row."""
    told, spec = [], a_bin(rate_s=40)
    found = run(spec, calls, told)
    recent, row, count = [], 0, 0
    for ([reading], _), (fill, rate, left, emptied) in zip(calls, found, strict=True):
        believed = not is_bad(reading) and fill[1] in (0, STALE)
        if believed:
            if recent and max(recent) - fill[0] >= 300:
                row += 1
                if row == 3:
                    count, recent, row = count + 1, [fill[0]], 0
            else:
                recent, row = [*recent, fill[0]][-3:], 0
        assert emptied == (count, 0)
        assert rate is None or left is not None
        if believed and left not in (None, NOT_YET):
            assert 0 <= left[0] <= 43200 and left[1] == ESTIMATED
            if fill[0] < 1000 and rate[0] <= 0:
                assert left[0] == 43200 or rate[0] == 0
    assert [event for event, _, _ in told] == ["bin_emptied"] * count


def test_the_count_and_the_last_fill_outlive_a_power_cut():
    told = []
    one = derived.build(a_bin(), None)
    assert one.kept() == b""
    one.derive([(300, 0)], (True,), 5, 5, False)
    two = derived.build(a_bin(), lambda *event: told.append(event))
    two.restore(one.kept())
    for now_s in (1, 2, 3):  # it was emptied while the power was off
        two.derive([(1200, 0)], (True,), now_s, now_s, False)
    assert told == [("bin_emptied", 10, [("from", 875), ("to", 0)])]
    for damaged in (b"\xff" * 16, bytes(15), b""):
        three = derived.build(a_bin(), None)
        three.restore(damaged)
        assert three.kept() == b""


def test_a_slot_without_a_new_distance_has_nothing_to_report():
    step = derived.build(a_bin(air=(1, 10, 343_420)), None)
    assert step.derive([(500, 0), (200, 0)], (False, True), 9, 9, True) == [None] * 4


@given(histories(values=st.integers(0, 9000) | st.integers()), st.booleans())
def test_topp(calls, depletes):
    calls = [([(max(-(2**63) + 1, min(x, 2**63 - 1)), byte)], now_s) for [(x, byte)], now_s in calls]
    limits, wanted = [320, 120] if depletes else [], []
    for [(x, byte)], _ in calls:
        e = Fraction(x, 100)
        bad = MISSING if byte >> 6 == quality.BAD else None if 1 <= e <= 81 else OUT
        if bad:
            wanted.append([(0, bad)] * (1 + depletes))
            continue
        theta = -Fraction("0.053") + Fraction("0.0292") * e - Fraction("0.00055") * e**2 + Fraction("0.0000043") * e**3
        theta = max(Fraction(0), min(Fraction(1), theta))
        used = max(Fraction(0), min(Fraction(1), (Fraction("0.32") - theta) / Fraction("0.2")))
        wanted.append([(half_even(theta * 1000), byte), (half_even(used * 1000), byte)][: 1 + depletes])
    outputs = [1, 2] if depletes else [1, -1]
    assert run(["topp", [0], outputs, 1, 100, 1000, 1000, limits], calls) == wanted


def test_topp_as_in_the_paper():
    """Within the paper's range: e = 10 is 18.8 percent, e = 25 is 40.0."""
    assert run(["topp", [0], [1, -1], 1, 1, 1000, 1000, []], readings([10, 25])) == [[(188, 0)], [(400, 0)]]


@given(histories(values=st.integers(0, 4000)))
def test_table(calls):
    points = [[500, 0], [1500, 400], [3000, 100]]

    def wanted(x, byte):
        return (0, MISSING) if byte >> 6 == quality.BAD else (half_even(volume(points, x)), byte)

    spec = ["table", [0], [1, -1], points, 1000, 1000, []]
    assert run(spec, calls) == [[wanted(x, byte)] for [(x, byte)], _ in calls]


def test_echoes_too_near_are_doubted_at_first_and_then_bad_until_one_is_believed():
    found = fills(run(a_bin(), readings([20, 500, 20, 29, 20, 20, 30, 20])))
    assert found == [(0, NEAR), (625, 0), *[(625, DOUBTED)] * 2, *[(625, NEAR)] * 2, (1000, 0), (1000, DOUBTED)]


def test_the_least_fall_is_an_emptying_and_a_step_less_is_none():
    straight = a_bin([[0, 0], [1000, 1000]], (1, 1))
    for fall, events in ((300, 1), (299, 0)):
        told = []
        run(straight, readings([200 + 500] + [200 + 500 + fall] * 3), told)
        assert len(told) == events


def test_the_rate_begins_anew_with_an_emptying():
    straight = a_bin([[0, 0], [1000, 1000]], (1, 1), rate_s=20)
    found = run(straight, readings([300, 300, 300, 1100, 1100, 1100, 1100, 1099]))
    assert [results[1] for results in found] == [NOT_YET, NOT_YET, (0, 0), None, None, NOT_YET, NOT_YET, (1800, 0)]
