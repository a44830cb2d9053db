"""The firmware's own inputs on the virtual board: what they count and say when flash is written, garbage collected, power cut."""

import pytest
from lab import START_US

from satama.core.places import FIRMWARE

MODULES = ("acquire/**/*.py", "core/*.py", "journal/state.py", "__init__.py")
FILES = {
    path.relative_to(FIRMWARE).as_posix(): path.read_text(encoding="utf-8")
    for pattern in MODULES
    for path in sorted((FIRMWARE / "gateway").glob(pattern))
} | {f"gateway/{room}/__init__.py": "" for room in ("acquire", "acquire/inputs", "core", "journal")}

HEAD = """
import gc, machine, time
from esp32 import Partition
from gateway.acquire.inputs.analog import AnalogInput
from gateway.acquire.inputs.calibrations import Calibrations
from gateway.acquire.inputs.pulses import Pulses
from gateway.core.quality import reason_name
from gateway.journal.state import State, share
journal = Partition.find(Partition.TYPE_DATA, label="journal")[0]
state = State(journal, *share(journal.ioctl(4, 0)))
pulses = Pulses(state, machine.RTC(), time.ticks_ms)
calibrations = Calibrations(state)
def pulse(gpio, debounce_ms=0, edge="falling", number=1, stall_ms=57):
    return pulses.add(["pulse", gpio, edge, debounce_ms, 0, 1, 0, 1, 0, number, stall_ms])
def say(*some):
    for one in some:
        mantissa, quality = one.read()
        print("total", mantissa, quality >> 6, reason_name(quality))
def erase(block=3):
    start = time.ticks_ms()
    journal.ioctl(6, block)
    pulses.stalled(time.ticks_diff(time.ticks_ms(), start))
def until(ms):
    time.sleep_ms(ms - time.ticks_ms())
def compute(ms):
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < ms:
        gc.collect()
"""
S0 = [START_US + 300_000 + 60_000 * n for n in range(400)]  # 60 ms apart, for 24 s


@pytest.fixture
def cabinet(lab):
    """A function that boots a board with the firmware's inputs: cabinet(code, **options of Lab)."""
    return lambda code, **options: lab(HEAD + code, FILES, **options)


@pytest.mark.parametrize("board", ["esp32-devkit", "esp32-s3-devkit"])
def test_a_counter_misses_nothing_at_1_khz_while_flash_is_written_and_garbage_collected(cabinet, board):
    lab = cabinet("one = pulse(13)\nfor _ in range(100):\n    erase()\n    compute(50)\n    say(one)\n", board=board)
    count = 4000
    lab.pulses(13, [START_US + 500_000 + 1000 * n for n in range(count)])
    lab.run(20)
    assert lab.said("total")[-1] == f"{count} 0 none"
    assert {line.split(" ", 1)[1] for line in lab.said("total")} == {"0 none"}
    assert [int(line.split()[0]) for line in lab.said("total")] == sorted(int(x.split()[0]) for x in lab.said("total"))


def test_s0_pulses_by_interrupt_are_exact_while_flash_is_written_and_garbage_collected(cabinet):
    lab = cabinet(
        "one = pulse(4)\nwhile time.ticks_ms() < 26000:\n    erase()\n    compute(50)\n    say(one)\n",
        board="esp32-c3-devkit",
    )
    lab.pulses(4, S0)
    lab.run(30)
    assert lab.said("total")[-1] == f"{len(S0)} 0 none"
    assert {line.split(" ", 1)[1] for line in lab.said("total")} == {"0 none"}
    assert lab.board.pins.merged_interrupts == lab.board.pins.lost_interrupts == 0


def test_edges_that_wait_in_the_queue_all_count_without_a_debounce_time(cabinet):
    lab = cabinet(
        "one = pulse(4)\nuntil(290)\ncompute(250)\npulses.stalled(250, True)\ntime.sleep_ms(1)\nsay(one)\n",
        board="esp32-c3-devkit",
    )
    lab.pulses(4, S0[:4])
    lab.run(2)
    assert lab.said("total") == ["4 0 none"]


def test_a_contact_is_one_pulse_however_it_bounces(cabinet):
    lab = cabinet("one = pulse(13, debounce_ms=20)\ntime.sleep(3)\nsay(one)\n")
    bounces = (0, 150, 400, 700, 1500, 4000)
    lab.pulses(13, [at + bounce for at in S0[:10] for bounce in bounces])
    lab.run(4)
    assert lab.said("total") == ["10 0 none"]


def test_contacts_that_ran_into_each_other_in_a_stall_are_a_suspicion(cabinet):
    lab = cabinet(
        """
one = pulse(13, debounce_ms=20, stall_ms=39)
until(290)
compute(120)
pulses.stalled(120, True)
time.sleep_ms(1)
say(one, one)
pulses.stalled(120, True)
say(one)
print("suspicions", pulses.suspicions())
"""
    )
    lab.pulses(13, S0[:2])
    lab.run(2)
    assert lab.said("total") == ["1 1 pulses_lost", "1 0 none", "1 0 none"]
    assert lab.said("suspicions") == ["1"]


def test_a_full_queue_is_a_suspicion_of_every_input_that_it_serves(cabinet):
    lab = cabinet(
        """
fast, slow = pulse(4, number=1), pulse(5, number=2)
until(300)
compute(150)
time.sleep_ms(50)
say(fast, slow, fast, slow)
print("suspicions", pulses.suspicions())
""",
        board="esp32-c3-devkit",
    )
    lab.pulses(4, [START_US + 310_000 + 10_000 * n for n in range(9)])
    lab.pulses(5, [START_US + 405_000])
    lab.run(2)
    assert lab.board.pins.lost_interrupts == 2
    assert lab.said("total") == ["8 1 pulses_lost", "0 1 pulses_lost", "8 0 none", "0 0 none"]
    assert lab.said("suspicions") == ["2"]


def test_pulses_that_an_erase_has_merged_are_a_suspicion_and_none_without_pulses(cabinet):
    code = "one = pulse(4, stall_ms=3)\nuntil(250)\nerase()\ntime.sleep_ms(50)\nsay(one)\nerase()\nsay(one)\n"
    lab = cabinet(code, board="esp32-c3-devkit")
    lab.pulses(4, [START_US + 255_000 + 1000 * n for n in range(60)])
    lab.run(2)
    assert lab.board.pins.merged_interrupts > 10
    counted = 60 - lab.board.pins.merged_interrupts
    assert lab.said("total") == [f"{counted} 1 pulses_lost", f"{counted} 0 none"]


def test_a_contact_that_rests_for_weeks_is_counted_when_it_closes_again(cabinet):
    """ticks_diff sees no further than 6.2 days."""
    lab = cabinet(
        """
one = pulse(13, debounce_ms=20)
for _ in range(24 * 20):
    time.sleep(3600)
    pulses.keep_rtc()
say(one)
"""
    )
    days = (0, 8, 17)
    lab.pulses(13, [START_US + 1_000_000 + day * 86_400_000_000 + bounce for day in days for bounce in (0, 300)])
    lab.run(20.1 * 86400)
    assert lab.said("total") == ["3 0 none"]


def test_more_inputs_than_counters_are_counted_by_interrupt(cabinet):
    lab = cabinet(
        """
all = [pulse(gpio, number=gpio) for gpio in (13, 14, 16, 17, 18, 19, 21, 22, 23)]
print("interrupts", sum(one._edges is not None for one in all))
time.sleep(2)
say(*all)
"""
    )
    for gpio in (13, 14, 16, 17, 18, 19, 21, 22, 23):
        lab.pulses(gpio, S0[:5])
    lab.run(4)
    assert lab.said("interrupts") == ["1"]
    assert {line.split()[0] for line in lab.said("total")} == {"5"}


STEPS = """
one = pulse(13)
step = one.total.count
if machine.reset_cause() == machine.PWRON_RESET:
    print("start", one.total.count)
else:
    print("reset", one.total.count)
for n in range(1000):
    time.sleep(1)
    pulses.keep_rtc()
    if n % 10 == 9:
        say(one)
    if n == 14 and not step:
        machine.reset()
"""


def test_a_reset_takes_a_second_of_pulses_a_power_cut_what_came_since_the_last_reading_and_none_is_taken_back(cabinet):
    lab = cabinet(STEPS)
    lab.pulses(13, [START_US + 50_000 + 100_000 * n for n in range(600)])  # 10 Hz for a minute
    lab.at(27, lab.power_off)  # about 11 s after the reset, one reading
    lab.at(28, lab.power_on)
    lab.run(55)
    first, reset, after = int(lab.said("start")[0]), int(lab.said("reset")[0]), int(lab.said("start")[1])
    assert first == 0
    assert 140 <= reset <= 150  # 15 s at 10 Hz
    assert 240 <= after <= 252  # the reading 10 s after the reset, not the second that the RTC knew
    totals = [int(line.split()[0]) for line in lab.said("total")]
    assert totals == sorted(totals)
    doubted = [line.split()[2] for line in lab.said("total")]
    assert doubted == ["none", "pulses_lost", "pulses_lost", *["none"] * (len(doubted) - 3)]


ADC = """
probe = AnalogInput(["adc", 34, 11, 16, 0, -1, -1, -1, [[1150000, 1000], [2400000, 0]], 5], calibrations)
loop = AnalogInput(["adc", 35, 11, 16, 1, -1, 360000, 2100000, [[400000, 0], [2000000, 1600]], 6], calibrations)
ratio = AnalogInput(["adc", 36, 11, 16, 2, 39, -1, -1, [[0, 0], [1000000, 5000]], 7], calibrations)
def say_all():
    print("values", [(m, q >> 6, reason_name(q)) for m, q in (one.read() for one in (probe, loop, ratio))])
"""


def test_a_probe_a_loop_and_a_sensor_that_follows_its_supply(cabinet):
    lab = cabinet(ADC + "for _ in range(4):\n    say_all()\n    time.sleep(1)\n")
    levels = {34: 1_775_000, 35: 1_200_000, 36: 1_100_000, 39: 2_200_000}
    for gpio in levels:
        lab.board.pins.adc[gpio] = lambda gpio=gpio: levels[gpio]
    lab.at(START_US / 1e6 + 0.5, lambda: levels.update({34: 0, 35: 350_000, 39: 2_000_000}))
    lab.at(START_US / 1e6 + 1.5, lambda: levels.update({35: 2_150_000, 39: 0}))
    lab.run(3.5)
    assert [eval(line) for line in lab.said("values")][:3] == [
        [(500, 0, "none"), (800, 0, "none"), (2500, 0, "none")],
        [(0, 2, "invalid"), (0, 2, "broken_wire"), (2750, 0, "none")],
        [(0, 2, "invalid"), (0, 2, "over_range"), (0, 2, "invalid")],
    ]


def test_a_calibration_on_the_spot_replaces_the_table_and_outlives_a_power_cut(cabinet):
    lab = cabinet(
        ADC
        + """
if not probe.calibration():
    print("kept", probe.calibrate(0))
    time.sleep(1)
    print("kept", probe.calibrate(1000))
say_all()
"""
    )
    level = [2_000_000]
    for gpio in (34, 35, 36, 39):
        lab.board.pins.adc[gpio] = lambda: level[0]
    lab.at(START_US / 1e6 + 0.5, lambda: level.__setitem__(0, 1_000_000))
    lab.run(2)
    level[0] = 1_500_000
    lab.power_off()
    lab.power_on()
    lab.run(1)
    assert lab.said("kept") == ["True", "True"]
    before, after = (eval(line)[0] for line in lab.said("values"))
    assert before == (1000, 0, "none")
    assert after == (500, 0, "none")
