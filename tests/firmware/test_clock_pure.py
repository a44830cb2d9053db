"""The clock: ticks that wrap, a floor, steps and slews, and how far off it can be."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock import Clock

FLOOR = 848_000_000
WRAP = 1 << 30


class Chip:
    """time.ticks_ms and ticks_diff as on the ESP32."""

    def __init__(self, now_ms=0):
        self.now_ms = now_ms

    def ticks_ms(self):
        return self.now_ms % WRAP

    @staticmethod
    def ticks_diff(end, start):
        return (end - start + WRAP // 2) % WRAP - WRAP // 2


def clock(chip=None):
    chip = chip or Chip()
    return Clock(chip.ticks_ms, chip.ticks_diff, FLOOR), chip


@given(st.integers(0, WRAP - 1), st.lists(st.integers(0, WRAP // 2 - 1), max_size=9))
def test_uptime_goes_on_where_the_ticks_wrap(start, waits):
    made, chip = clock(Chip(start))
    for wait in waits:
        chip.now_ms += wait
        assert made.uptime_ms() == chip.now_ms


def test_nothing_before_the_release_is_believed_nor_what_was_read_before_it():
    made, chip = clock(Chip(5_000))
    assert made.set_utc(FLOOR - 1, 999, "ntp", 1) is False
    assert made.set_utc(FLOOR + 36525 * 86400, 0, "ntp", 1) is False
    chip.now_ms += 60_000  # a reading of a minute ago must not be older than the release either
    assert made.set_utc(FLOOR + 59, 999, "ntp", 1) is False
    assert not made.synced and made.source == "none" and made.uncertainty_ms == -1 and made.steps == 0
    assert made.set_utc(FLOOR + 60, 0, "ntp", 1) is None
    assert made.utc_of(5_000) == FLOOR


def test_small_errors_are_slewed_and_larger_ones_stepped():
    for error, moved in ((0, 0), (500, 0), (-500, 0), (501, 501), (-501, -501), (-3_600_000, -3_600_000)):
        made, chip = clock(Chip(1_000))
        assert made.set_utc(FLOOR + 10_000, 0, "ntp", 3) is None
        chip.now_ms += 7_000
        target = (FLOOR + 10_007) * 1000 + error
        assert made.set_utc(target // 1000, target % 1000, "ntp", 3) == moved
        assert made.steps == 1 + (moved != 0)
        assert made.now_ms() == (FLOOR + 10_007) * 1000 + moved
        chip.now_ms += 100_000
        assert made.now_ms() == target + 100_000


@given(
    st.lists(st.tuples(st.integers(-500, 500), st.integers(0, 120_000)), min_size=1, max_size=5),
    st.lists(st.integers(1, 3_000), min_size=1, max_size=30),
)
def test_a_slewing_clock_never_goes_back_and_stays_within_five_ms_a_second(corrections, steps):
    made, chip = clock()
    made.set_utc(FLOOR + 9_999, 0, "ntp", 1)
    truth = made.now_ms()
    for error, wait in corrections:
        chip.now_ms += wait
        target = made.now_ms() + error
        assert made.set_utc(target // 1000, target % 1000, "ntp", 1) == 0
        shown = made.now_ms()
        for step in steps:
            chip.now_ms += step
            truth = made.now_ms()
            # one ms more than the rate: both ends are rounded to whole ms
            assert abs(truth - shown - step) <= Fraction(5, 1000) * step + 1
            assert truth >= shown
            shown = truth
        gone = sum(steps)
        left = max(0, abs(error) - gone * 5 // 1000) * (1 if error > 0 else -1)
        assert shown == target + gone - left


def test_the_uncertainty_grows_with_the_drift_that_is_declared():
    made, chip = clock()
    made.set_utc(FLOOR + 9_999, 0, "ntp", 12)
    assert made.uncertainty_ms == 12
    chip.now_ms += 3_600_000
    assert made.uncertainty_ms == 12 + 180  # 50 ppm of an hour
    target = made.now_ms() + 400
    made.set_utc(target // 1000, target % 1000, "ntp", 5)
    assert made.uncertainty_ms == 405  # known to be wrong until it is slewed
    chip.now_ms += 80_000
    assert made.uncertainty_ms == 5 + 4
    carried, chip = clock()
    carried.set_utc(FLOOR + 9_999, 0, "rtc", 60_000)
    chip.now_ms += 3_600_000
    assert carried.uncertainty_ms == 60_000 + 1_800


def test_what_was_taken_before_the_first_setting_keeps_its_place_among_what_was_stamped():
    """Readings at 1 s and 9 s of uptime, the clock set at 10 s, a step back of an hour at 100 s: its event moves all of them."""
    made, chip = clock(Chip(0))
    assert made.utc_of(1_000) is None
    chip.now_ms = 10_000
    made.set_utc(FLOOR + 50_000, 0, "ntp", 1)
    stamped = made.slot_at(20_000)
    chip.now_ms = 100_000
    made.set_utc(FLOOR + 50_090 - 3600, 0, "ntp", 1)
    assert (made.utc_of(1_000), made.utc_of(9_000), stamped) == (FLOOR + 49_991, FLOOR + 49_999, FLOOR + 50_010)
    assert made.slot_at(100_000) == FLOOR + 50_090 - 3600
    assert (made.slot_at(99_501), made.slot_at(100_499)) == (made.slot_at(100_000),) * 2
    assert made.uptime_s(FLOOR + 50_095 - 3600) == 105
