"""What a bus knows of a device: its response time, and whether it is alive."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.acquire.modbus.unit import Unit
from gateway.core.quality import CRC, EXCEPTION, TIMEOUT

TURNAROUND_MS, TIMEOUT_MS = 20, 1000


def unit():
    return Unit([0, 1, "meter", TURNAROUND_MS, TIMEOUT_MS, 100, [], 0])


def test_a_stranger_gets_the_whole_declared_time():
    fresh = unit()
    assert fresh.patience_us(TURNAROUND_MS, TIMEOUT_MS) == 1_000_000
    assert fresh.earliest_us(TURNAROUND_MS) == 20_000


@given(st.lists(st.integers(1, 1_200_000), min_size=1, max_size=60))
def test_patience_stays_within_the_declared_bounds_whatever_is_learned(answers):
    device = unit()
    for took_us in answers:
        device.answered(TURNAROUND_MS, took_us)
    assert device.earliest_us(TURNAROUND_MS) >= 0
    assert 0 < device.patience_us(TURNAROUND_MS, TIMEOUT_MS) <= TIMEOUT_MS * 1000


@given(st.integers(1_000, 400_000), st.integers(0, 5_000))
def test_a_steady_device_is_waited_for_little_longer_than_it_takes(took_us, spread_us):
    device = unit()
    for at in range(100):
        device.answered(TURNAROUND_MS, took_us + (spread_us if at % 2 else -spread_us) // 2)
    patience = device.patience_us(TURNAROUND_MS, TIMEOUT_MS)
    assert took_us + spread_us // 2 < patience < took_us + took_us // 8 + 6 * spread_us + 30_000
    assert device.earliest_us(TURNAROUND_MS) <= took_us + spread_us


def test_slow_and_fast_points_of_a_device_teach_the_same_figure():
    """An ultrasonic sensor measures while you wait: 300 ms for one register, 20 ms for the others."""
    device = unit()
    for _ in range(50):
        device.answered(300, 305_000)
        device.answered(20, 25_000)
    assert device.patience_us(20, 1000) < 60_000
    assert 300_000 < device.patience_us(300, 1000) < 380_000


def test_after_a_failure_the_whole_time_is_granted_again():
    device = unit()
    for _ in range(20):
        device.answered(TURNAROUND_MS, 21_000)
    assert device.patience_us(TURNAROUND_MS, TIMEOUT_MS) < 100_000
    device.failed(TIMEOUT, 0)
    assert device.patience_us(TURNAROUND_MS, TIMEOUT_MS) == 1_000_000


def test_three_silences_in_a_row_make_a_device_dead_and_one_answer_brings_it_back():
    device = unit()
    for now_ms in (0, 1000):
        device.failed(TIMEOUT, now_ms)
        assert not device.dead and device.due(now_ms)
    device.failed(TIMEOUT, 2000)
    assert device.dead and not device.due(2001)
    assert device.due(7000)
    device.answered(TURNAROUND_MS, 20_000)
    assert not device.dead and device.due(2001)


def test_each_probe_without_answer_doubles_the_back_off_up_to_a_minute():
    device = unit()
    now_ms, waits = 0, []
    for _ in range(3):
        device.failed(TIMEOUT, now_ms)
    for _ in range(7):
        due = next(ms for ms in range(now_ms, now_ms + 100_000, 100) if device.due(ms))
        waits.append(due - now_ms)
        now_ms = due
        device.failed(TIMEOUT, now_ms)
    assert waits == [5000, 10000, 20000, 40000, 60000, 60000, 60000]


def test_noise_is_not_silence():
    """A third of all frames damaged: whoever answers now and then is alive."""
    device = unit()
    for _ in range(100):
        for _ in range(11):
            device.failed(CRC, 0)
        device.answered(TURNAROUND_MS, 20_000)
    assert not device.dead
    for _ in range(12):
        device.failed(CRC, 0)
    assert device.dead


def test_a_silence_between_damaged_answers_does_not_add_up():
    device = unit()
    for reason in (TIMEOUT, TIMEOUT, CRC, TIMEOUT, TIMEOUT):
        device.failed(reason, 0)
    assert not device.dead


def test_errors_are_counted_by_kind():
    device = unit()
    device.count(CRC, 0)
    device.count(EXCEPTION, 2)
    device.count(EXCEPTION, 6)
    assert device.errors[CRC] == 1 and device.errors[EXCEPTION] == 2 and device.exception == 6


def test_a_sunspec_device_that_was_away_is_searched_anew():
    device = Unit([0, 1, "inverter", 20, 1000, 0, [103, 40000], 0])
    assert device.base == -1
    device.base = 40070
    for _ in range(3):
        device.failed(TIMEOUT, 0)
    device.answered(20, 20_000)
    assert device.base == -1
