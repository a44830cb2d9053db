"""Time on the board: ticks, clocks, sleeps, asyncio on scheduler ticks, and what things cost."""

import pytest
from lab import START_US, WIFI_UP, Server

PERIOD_MS = 1 << 30


def test_ticks_ms_wrap_at_two_to_the_thirty(lab):
    board = lab(
        """
import time
before = time.ticks_ms()
time.sleep_ms(5000)
after = time.ticks_ms()
print("before", before)
print("after", after)
print("diff", time.ticks_diff(after, before), time.ticks_diff(before, after))
print("us", time.ticks_us() < 1 << 30)
""",
        age_us=(PERIOD_MS - 2000) * 1000,
    )
    board.run(10)
    before, after = int(board.said("before")[0]), int(board.said("after")[0])
    assert PERIOD_MS - 2000 <= before < PERIOD_MS
    assert after == before + 5000 - PERIOD_MS
    assert board.said("diff") == ["5000 -5000"]
    assert board.said("us") == ["True"]


def test_ticks_arithmetic_has_the_limits_of_the_port(lab):
    board = lab(
        """
import time
half = 1 << 29
print("add", time.ticks_add((1 << 30) - 1, 1), time.ticks_add(0, -1) == (1 << 30) - 1)
print("most", time.ticks_diff(time.ticks_add(7, half - 1), 7) == half - 1, time.ticks_diff(time.ticks_add(7, 1 - half), 7) == 1 - half)
for delta in (half, -half):
    try:
        time.ticks_add(0, delta)
        print("limit none")
    except OverflowError:
        print("limit", delta > 0)
print("far", time.ticks_diff(half, 0) == -half)
"""
    )
    board.run(1)
    assert board.said("add") == ["0 True"]
    assert board.said("most") == ["True True"]
    assert board.said("limit") == ["True", "False"]
    assert board.said("far") == ["True"]


RTC = """
import machine, time
rtc = machine.RTC()
print("cause", machine.reset_cause())
print("clock", *time.gmtime()[:6])
print("memory", len(rtc.memory()), rtc.memory()[:4])
cause = machine.reset_cause()
if cause == machine.PWRON_RESET:
    print("epoch", time.gmtime(0)[:3], time.mktime((2000, 1, 1, 0, 0, 0, 0, 0)), time.mktime((2026, 12, 1, 10, 0, 0, 0, 0)))
    rtc.datetime((2026, 12, 1, 0, 10, 0, 0, 0))
    print("set", *rtc.datetime())
    print("utc", time.time(), time.time_ns() // 1000000000 - time.time())
    try:
        rtc.memory(bytes(2049))
    except ValueError as error:
        print("too_long", error)
    rtc.memory(b"dock" * 512)
    time.sleep(10)
    machine.soft_reset()
elif cause == machine.SOFT_RESET:
    machine.WDT(timeout=2000)
    while True:
        time.sleep_ms(100)
elif cause == machine.WDT_RESET:
    time.sleep(1)
"""


def test_rtc_and_its_memory_outlive_resets_but_not_a_power_cut(lab):
    board = lab(RTC)
    board.run(20)
    assert board.said("cause") == ["1", "5", "3"]
    assert board.said("epoch") == ["(2000, 1, 1) 0 849434400"]  # 1796119200 - 946684800
    assert board.said("set")[0].startswith("2026 12 1 1 10 0 0")  # weekday 1: a Tuesday
    assert board.said("utc") == ["849434400 0"]
    assert board.said("too_long") == ["buffer too long"]
    powered, soft, watchdog = board.said("clock")
    assert powered == "2000 1 1 0 0 0"
    assert soft == "2026 12 1 10 0 10"
    assert watchdog == "2026 12 1 10 0 12"  # two seconds of watchdog, and the time to start
    assert board.said("memory") == ["0 b''", "2048 b'dock'", "2048 b'dock'"]
    board.power_off()
    board.run(60)
    board.power_on()
    board.run(1)
    assert board.said("cause")[-1] == "1"
    assert board.said("clock")[-1] == "2000 1 1 0 0 0"
    assert board.said("memory")[-1] == "0 b''"


def test_the_clock_goes_on_through_deep_sleep(lab):
    board = lab(
        """
import machine, time
print("boot", machine.reset_cause(), *time.gmtime()[:6])
if machine.reset_cause() == machine.PWRON_RESET:
    machine.RTC().datetime((2026, 12, 1, 0, 10, 0, 0, 0))
    machine.RTC().memory(b"asleep")
    machine.deepsleep(60000)
print("memory", machine.RTC().memory())
"""
    )
    board.run(70)
    assert board.said("boot") == ["1 2000 1 1 0 0 0", "4 2026 12 1 10 1 0"]
    assert board.said("memory") == ["b'asleep'"]


def test_sleeps_are_exact(lab):
    board = lab(
        """
import time
def took(sleep, amount):
    start = time.ticks_us()
    sleep(amount)
    return time.ticks_diff(time.ticks_us(), start) - 1  # asking costs a microsecond
print("sleeps", took(time.sleep_us, 1), took(time.sleep_us, 1749), took(time.sleep_ms, 7), took(time.sleep, 2), took(time.sleep, 0.57))
print("none", took(time.sleep_ms, 0), took(time.sleep_ms, -5))
"""
    )
    board.run(5)
    assert board.said("sleeps") == ["1 1749 7000 2000000 570000"]
    assert board.said("none") == ["0 0"]


def test_busy_waits_end(lab):
    board = lab(
        """
import time
start = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), start) < 20:
    pass
print("waited", time.ticks_diff(time.ticks_ms(), start))
"""
    )
    board.run(1)
    assert board.said("waited") == ["20"]


@pytest.mark.parametrize("events", [0, 300])
def test_asyncio_waits_end_on_scheduler_ticks(lab, events):
    board = lab(
        """
import asyncio, time
async def main():
    time.sleep_us(3210)
    for ms in (1, 9, 10, 25):
        await asyncio.sleep_ms(ms)
        print("woke", time.ticks_us() % 10000 < 1000, time.ticks_ms() // 10)
asyncio.run(main())
"""
    )
    for n in range(events):  # whether the board knows that nothing will happen, or the world has to be asked
        board.at(n * 0.0023, lambda: None)
    board.run(1)
    flags, ticks = zip(*(row.split() for row in board.said("woke")), strict=True)
    assert set(flags) == {"True"}  # some hundred microseconds of task steps after the tick
    assert [int(b) - int(a) for a, b in zip(ticks, ticks[1:], strict=False)] == [1, 2, 3]


def test_tasks_due_at_the_same_time_run_in_order(lab):
    board = lab(
        """
import asyncio
order = []
async def one(name):
    for _ in range(3):
        await asyncio.sleep_ms(50)
        order.append(name)
async def main():
    await asyncio.gather(*(one(name) for name in "abcdefgh"))
asyncio.run(main())
print("order", "".join(order))
"""
    )
    board.run(1)
    assert board.said("order") == ["abcdefgh" * 3]


def test_asyncio_cancels_waits_and_reports_what_nobody_awaits(lab):
    board = lab(
        """
import asyncio, time
async def slow():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled", time.ticks_ms() // 10)
        raise
async def fail():
    raise ValueError("lost")
async def main():
    try:
        await asyncio.wait_for_ms(slow(), 500)
    except asyncio.TimeoutError:
        print("late", time.ticks_ms() // 10)
    print("quick", await asyncio.wait_for_ms(quick(), 500))
    asyncio.get_event_loop().set_exception_handler(lambda loop, context: print("handler", repr(context["exception"])))
    asyncio.create_task(fail())
    await asyncio.sleep_ms(20)
    task = asyncio.create_task(slow())
    await asyncio.sleep_ms(20)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("awaited", task.done())
    event = asyncio.Event()
    async def setter():
        await asyncio.sleep_ms(30)
        event.set()
    asyncio.create_task(setter())
    await event.wait()
    async with asyncio.Lock():
        print("event", event.is_set())
async def quick():
    await asyncio.sleep_ms(10)
    return 7
asyncio.run(main())
"""
    )
    board.run(2)
    assert board.said("late")[0] in ("50", "51")
    assert len(board.said("cancelled")) == 2
    assert board.said("quick") == ["7"]
    assert board.said("handler") == ["ValueError('lost',)"]
    assert board.said("awaited") == ["True"]
    assert board.said("event") == ["True"]


def test_the_board_s_costs_are_added_to_the_clock(lab):
    board = lab(
        """
import gc, time
from machine import ADC, Pin, UART
from esp32 import Partition
def cost(name, action):
    start = time.ticks_us()
    action()
    print(name, time.ticks_diff(time.ticks_us(), start) - 1)
pin = Pin(5, Pin.OUT)
adc = ADC(Pin(34))
uart = UART(1, 9600, tx=17, rx=16)
part = Partition("journal")
page = bytearray(256)
block = bytearray(4096)
cost("pin_us", lambda: pin.value(1))
cost("gc_us", gc.collect)
cost("adc_us", adc.read_uv)
cost("uart_write_us", lambda: uart.write(b"short"))
cost("flash_erase_us", lambda: part.ioctl(6, 3))
cost("flash_program_us", lambda: part.writeblocks(3, page, 256))
cost("flash_read_us", lambda: part.readblocks(3, block))
cost("whole_block", lambda: part.writeblocks(5, block))
"""
    )
    board.adc(34, 1_000_000)
    board.run(3)
    for name in ("pin_us", "gc_us", "adc_us", "uart_write_us", "flash_erase_us", "flash_program_us", "flash_read_us"):
        assert board.said(name) == [str(board.costs[name])], name
    assert board.said("whole_block") == [str(board.costs["flash_erase_us"] + 16 * board.costs["flash_program_us"])]


def test_task_steps_and_sockets_cost_time_too(lab):
    board = lab(
        WIFI_UP
        + """
import asyncio, socket
async def steps(count):
    for _ in range(count):
        await asyncio.sleep_ms(0)
start = time.ticks_us()
asyncio.run(steps(100))
print("steps", time.ticks_diff(time.ticks_us(), start))
sock = socket.socket()
sock.connect(socket.getaddrinfo("pier.example", 80)[0][-1])
time.sleep(1)
start = time.ticks_us()
sock.send(b"x")
print("send", time.ticks_diff(time.ticks_us(), start) - 1)
"""
    )
    board.serve_tcp("pier.example", 80, Server())
    board.run(6)
    assert int(board.said("steps")[0]) == pytest.approx(101 * board.costs["task_step_us"], rel=0.05)
    assert board.said("send") == [str(board.costs["socket_us"])]


def test_micropython_starts_a_while_after_power(lab):
    board = lab("import time\nprint('boot', time.ticks_ms())\n")
    board.run(START_US / 1e6 - 0.001)
    assert board.text == ""  # the bootloader is still at work
    assert board.timeline.now_us == START_US - 1000
    board.run(1)
    assert int(board.said("boot")[0]) < 100
