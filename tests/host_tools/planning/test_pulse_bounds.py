"""How exact each board counts: the bounds that `satama plan` prints."""

import json
from fractions import Fraction

import pytest

from satama.boards.board import load_board
from satama.planning.pulse_bounds import PulseBounds, pulse_bounds, tolerable_stall_ms
from satama.profiles.profile import Pulse


class Profile:
    def __init__(self, **pulse):
        self.pulse = Pulse(**{"edge": "falling", "max_hz": 17, **pulse})


def site(*inputs):
    """(body, profiles) with inputs of (debounce_ms, max_hz, period_s, persist_s), each of "1/1000" kWh a pulse."""
    points, streams, polls, profiles = [], [], [], {}
    for at, (debounce_ms, max_hz, period_s, persist_s) in enumerate(inputs):
        name = f"m{at}/energy"
        profile = Profile(debounce_ms=debounce_ms, max_hz=max_hz)
        profiles[f"m{at}"] = profile
        points.append([name, -3, [], [["each", at]]])
        streams.append([at, name, "kWh", -3, "counter", 1, period_s])
        row = ["pulse", at, "falling", debounce_ms, at, 1, 0, 1, persist_s, at, tolerable_stall_ms(profile.pulse)]
        polls.append([period_s, [], [row]])
    return {"points": points, "streams": streams, "polls": polls}, profiles


def bounds(board, *inputs) -> PulseBounds:
    return pulse_bounds(load_board(board), *site(*inputs))


@pytest.mark.parametrize(
    ("debounce_ms", "max_hz", "stall_ms"), [(0, 17, 57), (20, 17, 37), (50, 2, 449), (0, 225, 3), (50, 1000, 0)]
)
def test_how_long_interrupts_may_be_held_up(debounce_ms, max_hz, stall_ms):
    assert tolerable_stall_ms(Pulse(edge="rising", debounce_ms=debounce_ms, max_hz=max_hz)) == stall_ms


def test_a_counter_is_exact_and_stands_any_stall():
    [one] = bounds("esp32-devkit", (0, 1000, 10, 0)).inputs
    assert (one.counted, one.exact, one.stall_ms, one.queued_ms) == ("counter", True, None, None)
    assert one.exact_hz >= 1000


def test_by_interrupt_an_erase_and_the_debounce_time_set_the_bound():
    first, second = bounds("esp32-c3-devkit", (0, 17, 10, 0), (20, 17, 10, 0)).inputs
    assert (first.counted, first.exact_hz, first.exact, first.stall_ms) == ("interrupt", 21, True, 57)  # erase 45 ms
    assert (second.exact_hz, second.exact, second.stall_ms) == (15, False, 37)
    assert (first.queued_ms, second.queued_ms) == (235, 37)  # eight places for 34 edges a second


def test_an_s3_has_four_counters_and_the_rest_is_counted_by_interrupt():
    counted = [bound.counted for bound in bounds("esp32-s3-devkit", *[(0, 100, 10, 0)] * 6).inputs]
    assert counted == ["counter"] * 4 + ["interrupt"] * 2
    debounced = [bound.counted for bound in bounds("esp32-s3-devkit", (20, 2, 10, 0), *[(0, 100, 10, 0)] * 4).inputs]
    assert debounced == ["interrupt"] + ["counter"] * 4


def test_what_a_power_cut_can_take():
    plain, private = bounds("esp32-devkit", (0, 17, 10, 0), (0, 2, 60, 3570)).inputs
    assert (plain.quantum_s, plain.quantum_pulses, plain.quantum) == (10, 170, Fraction(170, 1000))
    assert (private.quantum_s, private.quantum_pulses) == (3600, 7200)  # written at the reading after the interval


def test_wear():
    one = bounds("esp32-devkit", (0, 17, 10, 0))
    assert one.writes_per_day == 8640
    assert bounds("esp32-devkit", (0, 17, 10, 0), (0, 17, 10, 0)).writes_per_day == 8640  # one write for both
    assert bounds("esp32-devkit", (0, 17, 10, 0), (0, 17, 60, 0)).writes_per_day == 8640 + 1440
    assert bounds("esp32-devkit", (0, 17, 10, 3600)).writes_per_day == 24


def test_a_site_without_pulses_has_nothing_to_say():
    none = bounds("esp32-devkit")
    assert none.inputs == () and none.as_lines() == [] and none.writes_per_day == 0


def test_the_table_and_the_data_say_the_same():
    made = bounds("esp32-c3-devkit", (0, 17, 10, 0), (20, 17, 10, 0))
    text = "\n".join(made.as_lines())
    for words in (
        "exact up to 21 Hz",
        "debounced 20 ms",
        "its profile says up to 17 Hz",
        "10 s of pulses (0.17 kWh)",
        "8640 writes to flash a day",
    ):
        assert words in text
    data = json.loads(json.dumps(made.as_data()))
    assert [row["exact"] for row in data["inputs"]] == [True, False]
    assert data["inputs"][0]["quantum"] == 0.17
