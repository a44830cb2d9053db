"""`machine`: resets and their causes, pins, interrupts, counters, analog inputs."""

import pytest
from lab import START_US

CAUSES = """
import machine, time
cause = machine.reset_cause()
print("cause", cause)
with open("steps.txt", "a") as file:
    file.write("x")
steps = len(open("steps.txt").read())
if steps == 1:
    time.sleep(1)
    machine.reset()
elif steps == 2:
    machine.soft_reset()
elif steps == 3:
    machine.deepsleep(5000)
elif steps == 4:
    wdt = machine.WDT(timeout=3000)
    for _ in range(5):
        time.sleep(2)
        wdt.feed()
    print("fed")
    while True:
        time.sleep(1)
print("steps", steps, [machine.PWRON_RESET, machine.HARD_RESET, machine.WDT_RESET, machine.DEEPSLEEP_RESET, machine.SOFT_RESET])
"""


def test_every_reset_is_a_new_start_on_the_same_flash_and_says_its_cause(lab):
    board = lab(CAUSES)
    board.run(40)
    assert board.said("cause") == ["1", "2", "5", "4", "3"]
    assert "fed" in board.lines
    assert board.said("steps") == ["5 [1, 2, 3, 4, 5]"]
    whys = [why for _, why in board.board.resets]
    assert whys == ["power on", "reset by the firmware", "soft reset", "end of deep sleep", "watchdog"]
    times = [at for at, _ in board.board.resets]
    assert times[3] - times[2] == pytest.approx(5_000_000 + START_US, abs=400_000)
    fed_until = times[3] + START_US + 10_000_000  # five rounds of two seconds, then three seconds of hunger
    assert times[4] - fed_until == pytest.approx(3_000_000, abs=400_000)
    assert board.board.idle


def test_the_watchdog_bites_a_firmware_that_hangs_without_asking_anything(lab):
    board = lab(
        """
import machine, time
print("cause", machine.reset_cause())
if machine.reset_cause() == machine.PWRON_RESET:
    machine.WDT(timeout=4000).feed()
    time.sleep(1)
    while True:
        pass
""",
        silence_s=0.3,
    )
    board.run(10)
    assert board.said("cause") == ["1", "3"]
    assert [why for _, why in board.board.resets] == ["power on", "watchdog"]
    assert board.board.resets[1][0] == pytest.approx(START_US + 4_000_000, abs=100_000)


def test_a_busy_wait_on_the_clock_is_no_way_past_the_watchdog(lab):
    board = lab(
        """
import machine, time
print("cause", machine.reset_cause())
if machine.reset_cause() == machine.PWRON_RESET:
    machine.WDT(timeout=100)
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < 300:
        pass
    time.sleep(1)
    print("survived")
"""
    )
    board.run(5)
    assert board.said("cause") == ["1", "3"]
    assert "survived" not in board.text


def test_a_watchdog_can_be_lengthened_and_shortened_and_outlives_a_soft_reset(lab):
    board = lab(
        """
import machine, time
print("cause", machine.reset_cause())
for wrong in ({"timeout": 0}, {"id": 1}):
    try:
        machine.WDT(**wrong)
    except ValueError:
        print("refused")
if machine.reset_cause() == machine.PWRON_RESET:
    machine.WDT(timeout=1000)
    machine.WDT(timeout=60000)
    time.sleep(5)
    machine.WDT(timeout=2000)
    time.sleep(1)
    machine.soft_reset()
time.sleep(60)
print("survived")
"""
    )
    board.run(20)
    assert board.said("cause") == ["1", "5", "3"]
    assert len([line for line in board.lines if line == "refused"]) == 6
    assert board.board.resets[2][0] == pytest.approx(START_US + 7_000_000, abs=100_000)


def test_power_ends_everything_and_deep_sleep_can_last_for_ever(lab):
    board = lab(
        """
import machine
print("cause", machine.reset_cause())
machine.deepsleep()
"""
    )
    board.run(3600)
    assert board.said("cause") == ["1"]
    board.power_off()
    board.power_on()
    board.run(1)
    assert board.said("cause") == ["1", "1"]


def test_power_cut_in_deep_sleep_leaves_no_second_start_behind(lab):
    board = lab("import machine\nprint('cause', machine.reset_cause())\nmachine.deepsleep(10000)\n")
    board.run(5)
    board.power_off()
    board.run(1)
    board.power_on()
    board.run(8)
    assert board.said("cause") == ["1", "1"]  # the first sleep's end would have come meanwhile
    board.run(5)
    assert board.said("cause") == ["1", "1", "4"]


def test_power_can_be_cut_in_the_middle_of_a_call(lab):
    board = lab("import time\nprint('up')\ntime.sleep(10)\nprint('never')\n")
    board.at(5, board.power_off)
    board.at(60, board.power_on)
    board.run(62)
    assert board.lines == ["up", "up"]
    assert [at for at, _ in board.board.resets] == [0, 60_000_000]


def test_identity_of_the_board(lab):
    board = lab(
        """
import machine, os
print("id", machine.unique_id().hex(), len(machine.unique_id()))
print("uname", os.uname().sysname, os.uname()[0])
"""
    )
    board.board.traits.unique_id = b"\x24\x0a\xc4\x12\x34\x56"
    board.run(1)
    assert board.said("id") == ["240ac4123456 6"]
    assert board.said("uname") == ["esp32 esp32"]


def test_outputs_leave_their_history(lab):
    board = lab(
        """
from machine import Pin
import time
pin = Pin(4, Pin.OUT, value=0)
high = Pin(5, Pin.OUT, value=1)
time.sleep_ms(100)
pin.on()
time.sleep_us(1234)
pin.off()
time.sleep_ms(100)
pin(1)
time.sleep_ms(100)
print("reads", pin.value(), pin(), Pin(4).value())
pin.init(Pin.IN)
time.sleep(1)
"""
    )
    pins = board.board.pins
    assert pins.level(4) == 0  # nobody drives it
    board.run(2)
    assert pins.level(5) == 1
    pin_us = board.costs["pin_us"]
    rises = [at for at in range(START_US, START_US + 400_000, 10) if pins.level(4, at) and not pins.level(4, at - 10)]
    assert len(rises) == 2
    rise = next(at for at in range(rises[0] - 10, rises[0] + 1) if pins.level(4, at))
    assert pins.high_throughout(4, rise, rise + 1234 + pin_us)
    assert not pins.high_throughout(4, rise, rise + 1234 + pin_us + 1)
    assert not pins.high_throughout(4, rise - 1, rise + 10)
    assert board.said("reads") == ["1 1 1"]
    assert pins.level(4) == 0  # an input again
    board.power_off()
    assert pins.level(4) == 0


def test_a_loop_that_does_nothing_but_switch_a_pin_or_feed_the_watchdog_goes_on(lab):
    board = lab(
        """
import machine, time
pin = machine.Pin(4, machine.Pin.OUT)
for n in range(10001):
    pin.value(n & 1)
print("switched", time.ticks_ms() // 100)
wdt = machine.WDT(timeout=50)
start = time.ticks_us()
for _ in range(20000):
    wdt.feed()
print("fed", machine.reset_cause(), time.ticks_diff(time.ticks_us(), start) > 100000)
wdt = machine.WDT(timeout=60000)
"""
    )
    board.run(5)
    assert board.said("switched") == [str(10_002 * board.costs["pin_us"] // 100_000)]
    assert board.board.pins.level(4) == 0
    assert board.said("fed") == ["1 True"]


def test_inputs_show_what_drives_them(lab):
    board = lab(
        """
from machine import Pin
import time
free, up, driven = Pin(13, Pin.IN), Pin(14, Pin.IN, Pin.PULL_UP), Pin(27, Pin.IN, Pin.PULL_UP)
print("levels", free.value(), up.value(), driven.value())
time.sleep(1)
print("levels", free.value(), up.value(), driven.value())
"""
    )
    board.at(0.8, lambda: board.board.pins.drive(27, 0))
    board.run(3)
    assert board.said("levels") == ["0 1 1", "0 1 0"]


def test_interrupts_run_their_handler_during_waits(lab):
    board = lab(
        """
from machine import Pin
import asyncio, time
seen = []
pin = Pin(32, Pin.IN, Pin.PULL_UP)
pin.irq(lambda p: seen.append((p is pin, time.ticks_us())), Pin.IRQ_FALLING)
time.sleep(2)
print("slept", time.ticks_ms())
async def doze():
    await asyncio.sleep(2)
asyncio.run(doze())
pin.irq(None)
time.sleep(2)
print("seen", [flag for flag, _ in seen], [us // 1000 for _, us in seen])
try:
    pin.irq(print, hard=True)
except ValueError:
    print("hard refused")
"""
    )
    board.pulses(32, [START_US + 500_000, START_US + 1_500_000, START_US + 2_500_000, START_US + 4_500_000])
    board.run(8)
    assert int(board.said("slept")[0]) == pytest.approx(2000, abs=5)  # the interrupts did not cut the sleep short
    assert board.said("seen") == ["[True, True, True] [500, 1500, 2500]"]
    assert board.said("hard") == ["refused"]


def test_interrupts_follow_the_edges_of_a_driven_pin(lab):
    board = lab(
        """
from machine import Pin
import time
edges = []
rising, both = Pin(25, Pin.IN), Pin(26, Pin.IN)
rising.irq(lambda p: edges.append("r"), Pin.IRQ_RISING)
both.irq(lambda p: edges.append("b%d" % p.value()), Pin.IRQ_RISING | Pin.IRQ_FALLING)
time.sleep(2)
print("edges", *edges)
"""
    )
    for delay, level in ((0.5, 1), (0.6, 1), (0.7, 0), (0.8, 1)):
        for gpio in (25, 26):
            board.at(delay, lambda gpio=gpio, level=level: board.board.pins.drive(gpio, level))
    board.run(3)
    assert board.said("edges") == ["r b1 b0 r b1"]


def test_the_scheduler_holds_eight_callbacks_and_loses_the_rest(lab):
    board = lab(
        """
from machine import Pin
import gc, time
count = [0]
def on_edge(_):
    count[0] += 1
Pin(32, Pin.IN).irq(on_edge, Pin.IRQ_FALLING)
time.sleep_ms(100)
for _ in range(10):  # twenty milliseconds in which no callback runs
    gc.collect()
time.sleep_ms(100)
print("count", count[0])
"""
    )
    board.pulses(32, [START_US + 105_000 + 1000 * n for n in range(12)])
    board.run(1)
    assert board.said("count") == ["8"]
    assert board.board.pins.lost_interrupts == 4


def test_a_handler_is_not_interrupted_and_its_error_is_printed(lab):
    board = lab(
        """
from machine import Pin
import time
depth, deepest, runs = 0, 0, 0
def on_edge(_):
    global depth, deepest, runs
    depth += 1
    runs += 1
    deepest = max(deepest, depth)
    time.sleep_ms(20)
    depth -= 1
    if runs == 2:
        raise ValueError("in the handler")
pin = Pin(32, Pin.IN)
pin.irq(on_edge, Pin.IRQ_FALLING)
time.sleep_ms(500)
print("runs", runs, deepest)
"""
    )
    board.pulses(32, [START_US + 100_000 + 5000 * n for n in range(4)])
    board.run(2)
    assert board.said("runs") == ["4 1"]
    assert "ValueError: in the handler" in board.text


def test_thread_safe_flag_wakes_a_task(lab):
    board = lab(
        """
from machine import Pin
import asyncio, time
flag = asyncio.ThreadSafeFlag()
Pin(33, Pin.IN).irq(lambda _: flag.set(), Pin.IRQ_FALLING)
async def main():
    for _ in range(2):
        await flag.wait()
        print("woke", time.ticks_ms())
asyncio.run(main())
"""
    )
    board.pulses(33, [START_US + 700_000, START_US + 61_000_000])
    board.run(70)
    woke = [int(at) for at in board.said("woke")]
    assert woke == [pytest.approx(700, abs=2), pytest.approx(61_000, abs=2)]


def test_counter_counts_in_hardware(lab):
    board = lab(
        """
import machine, time
from machine import Counter, Pin
counter = Counter(0, Pin(32, Pin.IN, Pin.PULL_UP), edge=Counter.FALLING)
driven = Counter(1, Pin(33, Pin.IN), edge=Counter.RISING)
time.sleep(10)
print("count", counter.value(), driven.value())
print("replaced", counter.value(0), counter.value())
time.sleep(10)
print("count", counter.value())
try:
    Counter(8, Pin(32))
except OSError as error:
    print("unit", "refused")
"""
    )
    board.pulses(32, [START_US + 1_000_000 + n * 10_000 for n in range(1500)])
    for delay, level in ((1, 1), (2, 0), (3, 1)):
        board.at(delay, lambda level=level: board.board.pins.drive(33, level))
    board.run(25)
    first, again = board.said("count")
    assert first == "900 2" or first == "901 2"
    counted = int(first.split()[0])
    assert board.said("replaced") == [f"{counted} 0"]
    assert int(again) == 1500 - counted
    assert board.said("unit") == ["refused"]


def test_counter_does_not_exist_on_a_chip_without_one(lab):
    board = lab(
        """
import machine
print("has", hasattr(machine, "Counter"), getattr(machine, "Counter", None))
try:
    from machine import Counter
except ImportError as error:
    print("import", error)
""",
        board="esp32-c3-devkit",
    )
    board.run(1)
    assert board.said("has") == ["False None"]
    assert "Counter" in board.said("import")[0]


def test_adc_reads_whole_millivolts_between_its_floor_and_its_ceiling(lab):
    board = lab(
        """
from machine import ADC, Pin
import time
adc = ADC(Pin(34), atten=ADC.ATTN_11DB)
low = ADC(Pin(35), atten=ADC.ATTN_0DB)
default = ADC(36)
for _ in range(4):
    print("uv", adc.read_uv(), low.read_uv(), default.read_uv())
    time.sleep(1)
low.atten(ADC.ATTN_11DB)
print("changed", low.read_uv())
print("raw", 0 <= adc.read_u16() <= 65535, 0 <= adc.read() <= 4095)
"""
    )
    levels = iter([50_000, 100_000, 1_234_567, 3_300_000])
    now = [next(levels)]
    for gpio in (34, 35, 36):
        board.board.pins.adc[gpio] = lambda: now[0]
    for second in (1, 2, 3):
        board.at(second, lambda: now.__setitem__(0, next(levels)))
    board.run(6)
    assert board.said("uv") == ["0 0 0", "100000 100000 100000", "1234000 950000 1234000", "3100000 950000 3100000"]
    assert board.said("changed") == ["3100000"]
    assert board.said("raw") == ["True True"]
