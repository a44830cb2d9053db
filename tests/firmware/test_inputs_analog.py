"""Analog inputs: faults of the wire, the line between the points of a table, and calibrations made on the spot."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.acquire.inputs import curve
from gateway.acquire.inputs.calibrations import Calibrations
from gateway.core.errors import SettingError
from gateway.core.quality import BAD, BROKEN_WIRE, INVALID, OVER_RANGE, OVERFLOW, pack

X = st.integers(0, 5_000_000)
MANTISSA = st.integers(-(2**63) + 1, 2**63 - 1)
TABLES = st.lists(st.tuples(X, st.integers(-(10**9), 10**9)), min_size=2, max_size=16, unique_by=lambda point: point[0])


class Store:
    def __init__(self):
        self.values = {}
        self.works = True

    def get(self, key):
        return self.values.get(key)

    def put(self, key, value):
        if self.works:
            self.values[key] = bytes(value)
        return self.works


@given(TABLES.map(sorted), X)
def test_between_the_points_the_value_is_on_the_straight_line(table, x):
    mantissa, quality_byte = curve.value([list(point) for point in table], x)
    pairs = list(zip(table, table[1:], strict=False))
    (x0, v0), (x1, v1) = next((pair for pair in pairs if x < pair[1][0]), pairs[-1])
    exact = v0 + Fraction((x - x0) * (v1 - v0), x1 - x0)
    assert quality_byte == 0 and mantissa == round(exact)  # round() of a Fraction is half-even


def test_the_points_themselves_are_met_and_the_ends_go_on():
    table = [[400_000, 0], [1_000_000, 60], [2_000_000, 1060]]
    assert [curve.value(table, x)[0] for x, _ in table] == [0, 60, 1060]
    assert curve.value(table, 390_000) == (-1, 0)
    assert curve.value(table, 2_100_000) == (1160, 0)


def test_a_line_that_leaves_64_bits_gives_no_value():
    assert curve.value([[0, 0], [1, 2**62]], 3) == (0, pack(BAD, OVERFLOW))


@pytest.mark.parametrize(
    ("uv", "reason"),
    [(359_999, BROKEN_WIRE), (360_000, 0), (400_000, 0), (2_100_000, 0), (2_100_001, OVER_RANGE), (0, BROKEN_WIRE)],
)
def test_a_loop_of_100_ohm_fails_where_namur_says(uv, reason):
    assert curve.fault(uv, 360_000, 2_100_000) == (pack(BAD, reason) if reason else 0)


def test_without_limits_only_nothing_at_all_is_a_fault():
    assert curve.fault(0, -1, -1) == pack(BAD, INVALID)
    assert curve.fault(1000, -1, -1) == curve.fault(3_100_000, -1, -1) == 0


def test_two_calls_make_a_line_and_it_is_there_after_a_restart():
    store = Store()
    made = Calibrations(store)
    assert made.calibrate(77, 2_400_000, 0) and made.table(77) is None
    assert made.calibrate(77, 1_150_000, 1000)
    for known in (made, Calibrations(store)):
        assert known.table(77) == [(1_150_000, 1000), (2_400_000, 0)]
        assert known.table(78) is None and known.points(78) == []


def test_one_point_alone_is_remembered_for_the_other():
    store = Store()
    Calibrations(store).calibrate(77, 2_400_000, 0)
    again = Calibrations(store)
    assert again.points(77) == [(2_400_000, 0)]
    again.calibrate(77, 1_150_000, 1000)
    assert again.table(77) == [(1_150_000, 1000), (2_400_000, 0)]


def test_a_third_point_replaces_the_nearer_and_a_repeated_one_itself():
    made = Calibrations(Store())
    made.calibrate(1, 1_000_000, 10)
    made.calibrate(1, 1_004_000, 11)  # 4 mV beside: the same point once more
    assert made.points(1) == [(1_004_000, 11)]
    made.calibrate(1, 2_000_000, 20)
    made.calibrate(1, 1_900_000, 19)
    assert made.table(1) == [(1_004_000, 11), (1_900_000, 19)]
    made.calibrate(1, 1_100_000, 12)
    assert made.table(1) == [(1_100_000, 12), (1_900_000, 19)]


def test_two_points_of_one_value_are_no_line():
    made = Calibrations(Store())
    made.calibrate(1, 1_000_000, 10)
    with pytest.raises(SettingError):
        made.calibrate(1, 2_000_000, 10)
    assert made.points(1) == [(1_000_000, 10)]


def test_a_calibration_can_be_forgotten_and_says_when_flash_did_not_take_it():
    store = Store()
    made = Calibrations(store)
    made.calibrate(1, 1_000_000, 10)
    made.calibrate(1, 2_000_000, 20)
    made.calibrate(2, 2_000_000, 20)
    assert made.forget(1) and made.table(1) is None
    assert Calibrations(store).points(1) == [] and len(Calibrations(store).points(2)) == 1
    store.works = False
    assert not made.calibrate(2, 1_000_000, 10) and made.table(2)


@given(st.lists(st.tuples(st.integers(0, 2**30 - 1), X, MANTISSA, X, MANTISSA), min_size=1, max_size=40))
def test_a_value_of_the_state_ring_always_holds_them_and_the_newest_stay(rows):
    store = Store()
    made = Calibrations(store)
    for number, x0, v0, x1, v1 in rows:
        for x, mantissa in ((x0, v0), (x1, v1)):
            with suppress(SettingError):
                made.calibrate(number, x, mantissa)
        assert len(store.values[1]) <= 512
    assert Calibrations(store).points(rows[-1][0]) == made.points(rows[-1][0]) != []
