"""UARTs: bytes take their time, buffers are finite, and an RS-485 line shows who drives it when."""

import pytest
from lab import START_US, WireEnd

from satama_sim.bus.rs485 import Rs485Bus

LISTEN = """
from machine import UART
import time
uart = UART(1, {settings}, tx=17, rx=16)
print("ready", time.ticks_us())
start = None
while True:
    if uart.any():
        print("first", time.ticks_us())
        break
time.sleep_ms(300)
print("got", uart.any(), uart.read())
"""


@pytest.mark.parametrize(
    ("settings", "bits", "baud"),
    [
        ("9600, 8, None, 1", 10, 9600),
        ("2400, bits=8, parity=0, stop=1", 11, 2400),
        ("19200, parity=1, stop=2", 12, 19200),
        ("115200", 10, 115200),
        ("1200, 7, 0, 1", 10, 1200),
    ],
)
def test_a_byte_is_there_after_one_character_time_and_not_before(lab, settings, bits, baud):
    board = lab(LISTEN.format(settings=settings))
    end = board.wire()
    char_us = round(bits * 1_000_000 / baud)
    start = START_US + 50_000
    board.at(start / 1e6 - 0.01, lambda: end.send(b"abc", start))
    board.run(1)
    assert board.board.uarts[1].char_us == char_us
    first = int(board.said("first")[0]) + START_US
    assert 0 <= first - (start + char_us) <= 12  # the loop asks every ten microseconds
    assert board.said("got") == ["3 b'abc'"]


def test_a_frame_comes_in_character_by_character(lab):
    board = lab(
        """
from machine import UART
import time
uart = UART(1, 9600, tx=17, rx=16)
time.sleep_us(100000 - time.ticks_us())
for _ in range(4):
    time.sleep_us(2084)
    print("there", uart.any())
print("some", uart.read(3), uart.any())
"""
    )
    end = board.wire()
    board.at(0.35, lambda: end.send(bytes(range(65, 75)), START_US + 100_000))
    board.run(1)
    assert board.said("there") == ["2", "4", "6", "8"]
    assert board.said("some") == ["b'ABC' 5"]


def test_what_is_sent_leaves_character_by_character(lab):
    board = lab(
        """
from machine import UART
import time
uart = UART(1, 9600, parity=0, tx=17, rx=16)
start = time.ticks_us()
print("written", uart.write(b"harbour!"))
wrote = time.ticks_us()
print("txdone", uart.txdone())
uart.flush()
done = time.ticks_us()
print("times", wrote - start, done - start)
print("txdone", uart.txdone())
uart.write("more")
"""
    )
    end = board.wire()
    board.run(1)
    char_us = round(11 * 1_000_000 / 9600)
    assert board.said("written") == ["8"]
    assert board.said("txdone") == ["False", "True"]
    wrote, done = map(int, board.said("times")[0].split())
    assert wrote < 400  # into the buffer at once
    assert done == pytest.approx(board.costs["uart_write_us"] + 8 * char_us, abs=5)
    assert end.data == b"harbour!more"
    (first_us, pace, _), (second_us, _, _) = end.heard
    assert pace == char_us
    assert second_us >= first_us + 8 * char_us


def test_write_blocks_while_the_buffers_are_full(lab):
    board = lab(
        """
from machine import UART
import time
uart = UART(1, 9600, tx=17, rx=16, txbuf=256)
def send(count):
    start = time.ticks_us()
    uart.write(bytes(count))
    return time.ticks_diff(time.ticks_us(), start)
print("fits", send(384))
uart.flush()
print("waits", send(1000))
start = time.ticks_us()
uart.flush()
print("rest", time.ticks_diff(time.ticks_us(), start))
"""
    )
    end = board.wire()
    board.run(5)
    char_us = 1042
    assert int(board.said("fits")[0]) == pytest.approx(board.costs["uart_write_us"], abs=5)
    assert int(board.said("waits")[0]) == pytest.approx(
        board.costs["uart_write_us"] + (1000 - 256 - 128) * char_us, abs=5
    )
    assert int(board.said("rest")[0]) == pytest.approx((256 + 128) * char_us, abs=5)
    assert len(end.data) == 1384


def test_a_full_receive_buffer_drops_the_newest_and_counts(lab):
    board = lab(
        """
from machine import UART
import time
uart = UART(1, 115200, tx=17, rx=16, rxbuf=512)
time.sleep(1)
print("kept", uart.any())
data = uart.read()
print("first", data == bytes(range(256)) * 2 + bytes(range(128)))
time.sleep(1)
print("later", uart.read())
time.sleep_ms(500)
uart.init(115200, rxbuf=512)
print("flushed", uart.any())
"""
    )
    end = board.wire()
    board.at(0.5, lambda: end.send(bytes(range(256)) * 3))
    board.at(1.5, lambda: end.send(b"later"))
    board.at(2.5, lambda: end.send(b"old"))
    board.run(3)
    assert board.said("kept") == ["640"]  # 512 and the hardware's 128
    assert board.said("first") == ["True"]
    assert board.board.uarts[1].overflows == 768 - 640
    assert board.said("later") == ["b'later'"]
    assert board.said("flushed") == ["0"]


def test_read_waits_for_its_time_out_only_where_it_has_one(lab):
    board = lab(
        """
from machine import UART
import time
def took(action):
    start = time.ticks_ms()
    result = action()
    return result, time.ticks_diff(time.ticks_ms(), start)
uart = UART(1, 9600, tx=17, rx=16)
print("none", took(uart.read))
print("none", took(lambda: uart.read(5)))
buf = bytearray(4)
print("into", took(lambda: uart.readinto(buf)))
uart.init(timeout=200)
print("patient", took(lambda: uart.read(5)))
time.sleep_ms(1000 - time.ticks_ms())
print("enough", took(lambda: uart.read(5)))
uart.init(timeout=0)
time.sleep_ms(2000 - time.ticks_ms())
time.sleep_ms(100)
print("into", took(lambda: uart.readinto(buf)), bytes(buf))
print("line", uart.readline())
"""
    )
    end = board.wire()
    board.at(0.3 + 1.05, lambda: end.send(b"hello"))
    board.at(0.3 + 2.02, lambda: end.send(b"datae\nx"))
    board.run(4)
    assert board.said("none") == ["(None, 0)", "(None, 0)"]
    assert board.said("into")[0] == "(None, 0)"
    assert board.said("patient") == ["(None, 200)"]
    word, ms = board.said("enough")[0].strip("()").split(", ")
    assert word == "b'hello'"
    assert 50 <= int(ms) <= 60
    assert board.said("into")[1].startswith("(4, 0) b'data'")
    assert board.said("line") == ["b'e\\n'"]


def test_settings_stay_until_they_are_changed(lab):
    board = lab(
        """
from machine import UART
import time
uart = UART(2, 4800, parity=0, stop=2, tx=25, rx=26, rxbuf=600)
uart.init(9600)
again = UART(2)
print("same", again is uart)
for number, options in ((7, {}), (1, {"bits": 9}), (1, {"stop": 3})):
    try:
        UART(number, **options)
    except ValueError as error:
        print("wrong", error)
UART(1).write(b"defaults")
"""
    )
    end = board.wire()
    board.run(1)
    assert board.said("same") == ["True"]
    assert board.said("wrong") == ["UART(7) does not exist", "invalid data bits", "invalid stop bits"]
    uart = board.board.uarts[2]
    assert (uart.baud, uart.char_us, uart.tx_pin, uart.rx_pin) == (9600, 1250, 25, 26)
    assert end.heard[0][1:] == (87, b"defaults")


def test_a_stream_reader_gets_the_bytes_of_a_uart(lab):
    board = lab(
        """
from machine import UART
import asyncio, time
uart = UART(1, 9600, tx=17, rx=16, timeout=0)
async def main():
    reader = asyncio.StreamReader(uart)
    while True:
        data = await reader.read(1)
        print("byte", data, time.ticks_ms())
        if data == b"!":
            break
    print("line", await reader.readline())
    await asyncio.StreamWriter(uart).awrite(b"answer") if hasattr(asyncio.StreamWriter, "awrite") else uart.write(b"answer")
asyncio.run(main())
"""
    )
    end = board.wire()
    board.at(1.3, lambda: end.send(b"a"))
    board.at(61.3, lambda: end.send(b"b!"))
    board.at(62.3, lambda: end.send(b"whole line\n"))
    board.run(70)
    bytes_, times = zip(*(row.split() for row in board.said("byte")), strict=True)
    assert bytes_ == ("b'a'", "b'b'", "b'!'")
    assert [int(at) - 1000 for at in times[:1]] == [pytest.approx(10, abs=11)]  # noticed on the next tick
    assert 61_001 <= int(times[1]) <= 61_021
    assert board.said("line") == ["b'whole line\\n'"]
    assert end.data == b"answer"


def test_poll_sees_a_byte_that_comes_while_it_asks_without_waiting(lab):
    board = lab(
        """
from machine import UART
import select, time
uart = UART(1, 9600, tx=17, rx=16)
poller = select.poll()
poller.register(uart, select.POLLIN)
rounds = 0
while not poller.poll(0):
    rounds += 1
    time.sleep_ms(1)
print("seen", time.ticks_ms(), uart.read())
print("writable", poller.register(uart, select.POLLOUT) or len(poller.poll(0)))
"""
    )
    end = board.wire()
    board.timeline.at(START_US + 100_000, lambda: end.send(b"x", START_US + 200_000))
    board.run(2)
    at, data = board.said("seen")[0].split()
    assert int(at) in (201, 202, 203)
    assert data == "b'x'"
    assert board.said("writable") == ["1"]


class Units:
    """Answers every frame after a while."""

    def __init__(self, reply: bytes = b"", delay_us: int = 20_000):
        self.frames: list[bytes] = []
        self.reply, self.delay_us = reply, delay_us

    def answer(self, frame: bytes, now_us: int) -> list[tuple[int, bytes, int]]:
        self.frames.append(frame)
        return [(1, self.reply, self.delay_us)] if self.reply else []


def rs485(board, units: Units, de: int | None = 4) -> Rs485Bus:
    bus = Rs485Bus("line", board.timeline, board.board.pins, de, units, {})
    board.board.uarts[1].wire = bus
    return bus


MASTER = """
from machine import UART, Pin
import time
de = Pin(4, Pin.OUT, value=0)
uart = UART(1, 9600, tx=17, rx=16)
def send(data):
    de.on()
    uart.write(data)
    {wait}
    de.off()
send(b"request!")
time.sleep_ms(100)
print("answer", uart.read())
"""


def test_a_frame_goes_out_whole_when_the_driver_waits_for_the_last_stop_bit(lab):
    board = lab(MASTER.format(wait="uart.flush()"))
    units = Units(b"answer")
    bus = rs485(board, units)
    board.run(1)
    assert units.frames == [b"request!"]
    assert (bus.cut_frames, bus.collisions) == (0, 0)
    assert board.said("answer") == ["b'answer'"]


def test_a_driver_released_too_early_cuts_the_frame(lab):
    board = lab(MASTER.format(wait="time.sleep_us(4500)"))  # four of eight characters
    units = Units(b"answer")
    bus = rs485(board, units)
    board.run(1)
    assert units.frames == [b"requ"]
    assert bus.cut_frames == 1


def test_a_driver_that_is_never_switched_on_sends_nothing(lab):
    board = lab(
        "from machine import UART\nuart = UART(1, 9600, tx=17, rx=16)\nuart.write(b'request!')\nuart.flush()\nprint('sent 8')\n"
    )
    units = Units(b"answer")
    bus = rs485(board, units)
    board.run(1)
    assert board.said("sent") == ["8"]
    assert units.frames == []
    assert bus.cut_frames == 1


def test_a_driver_that_stays_on_does_not_hear_the_answer(lab):
    board = lab(MASTER.format(wait="uart.flush(); return"))
    units = Units(b"answer")
    bus = rs485(board, units)
    board.run(1)
    assert units.frames == [b"request!"]
    assert board.said("answer") == ["None"]
    assert bus.cut_frames == 1


def test_two_who_talk_at_once_garble_each_other(lab):
    board = lab(
        MASTER.format(wait="uart.flush()").replace(
            "time.sleep_ms(100)", "time.sleep_ms(25)\nsend(b'impatient')\ntime.sleep_ms(100)"
        )
    )
    units = Units(b"a long answer", delay_us=22_000)
    bus = rs485(board, units)
    board.run(1)
    assert bus.collisions == 1
    assert units.frames[0] == b"request!"
    assert b"impatient" not in units.frames[1:]


def test_the_far_end_of_a_wire_can_be_anything(lab):
    board = lab("from machine import UART\nUART(2, 9600, tx=25, rx=26).write(b'ping')\n")
    end = board.wire(2)
    board.run(1)
    assert isinstance(end, WireEnd)
    assert end.data == b"ping"
