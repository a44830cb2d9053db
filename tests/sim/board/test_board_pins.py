"""What becomes of edges while the board is busy: merged by a flash that is written, queued by a VM that computes, counted all the same."""

from lab import START_US

ERASE = """
from machine import Pin
from esp32 import Partition
import time
journal = Partition.find(Partition.TYPE_DATA, label="journal")[0]
seen = []
for gpio in (32, 33):
    Pin(gpio, Pin.IN).irq(lambda pin: seen.append(time.ticks_ms()), Pin.IRQ_FALLING)
try:
    from machine import Counter
    counter = Counter(0, Pin(13, Pin.IN), edge=Counter.FALLING)
except ImportError:
    counter = None
time.sleep_ms(100)
start = time.ticks_ms()
journal.ioctl(6, 3)
end = time.ticks_ms()
time.sleep_ms(200)
print("seen", len(seen), sum(start <= at < end for at in seen))
print("counted", counter.value() if counter else None)
"""


def test_while_flash_is_erased_the_edges_of_a_pin_become_one_and_a_counter_misses_none(lab):
    board = lab(ERASE)
    within = [START_US + 105_000 + 8_000 * n for n in range(4)]
    board.pulses(32, [*within, START_US + 250_000])
    board.pulses(33, within[1:2])
    board.pulses(13, within)
    board.run(1)
    assert board.said("seen") == ["3 0"]  # one and one after the erase, and the one long after it
    assert board.said("counted") == ["4"]
    assert board.board.pins.merged_interrupts == 3
    assert board.board.pins.lost_interrupts == 0


def test_a_programmed_page_holds_interrupts_up_as_well(lab):
    board = lab(ERASE.replace("journal.ioctl(6, 3)", "journal.writeblocks(3, bytes(4000), 0)"))
    assert 16 * board.costs["flash_program_us"] > 10_000
    board.pulses(32, [START_US + 104_000, START_US + 108_000])
    board.run(1)
    print(board.text)
    assert board.said("seen") == ["1 0"]
    assert board.board.pins.merged_interrupts == 1


def test_edges_between_two_erases_are_not_merged(lab):
    board = lab(ERASE.replace("journal.ioctl(6, 3)", "journal.ioctl(6, 3)\n[0 for _ in range(9)]\njournal.ioctl(6, 4)"))
    erase_us = board.costs["flash_erase_us"]
    board.pulses(32, [START_US + 101_000 + erase_us // 2, START_US + 101_000 + erase_us * 3 // 2])
    board.run(1)
    assert board.said("seen") == ["2 0"] or board.said("seen") == ["2 1"]
    assert board.board.pins.merged_interrupts == 0


def test_a_power_cut_in_the_middle_of_an_erase_leaves_no_interrupt_held(lab):
    board = lab(ERASE)
    board.pulses(32, [START_US + 105_000, 2_000_000 + START_US + 60_000])
    board.at(0.41, board.power_off)
    board.at(2.0, board.power_on)
    board.run(3)
    print(board.text)
    assert board.said("seen") == ["1 0"]


def test_rtc_memory_survives_every_reset_but_a_power_cut(lab):
    board = lab(
        """
import machine, time
rtc = machine.RTC()
print("found", len(rtc.memory()))
rtc.memory(bytes(len(rtc.memory()) + 1))
step = len(rtc.memory())
if step == 1:
    machine.reset()
elif step == 2:
    machine.soft_reset()
elif step == 3:
    machine.deepsleep(1000)
elif step == 4:
    machine.WDT(timeout=1000)
time.sleep(60)
"""
    )
    board.run(10)
    assert board.said("found") == ["0", "1", "2", "3", "4"]
    board.power_off()
    board.power_on()
    board.run(0.5)
    assert board.said("found")[-1] == "0"


POSTS = """
from machine import Pin
seen = 0
def count(pin):
    global seen
    seen += 1
    lamp.value(seen & 1)
lamp = Pin(2, Pin.OUT)
Pin(32, Pin.IN).irq(count, Pin.IRQ_FALLING)
for _ in range(6000):
    lamp.value(1)
print("seen", seen)
"""


def test_interrupts_are_served_to_the_end_while_only_outputs_are_set(lab):
    board = lab(POSTS)
    times = [START_US + 100_000 + 5_000 * n for n in range(20)]
    board.pulses(32, times)
    assert board.costs["pin_us"] * 6000 > 300_000  # it goes on for longer than the pulses
    board.run(1)
    assert board.said("seen") == ["20"]
    assert board.board.pins.lost_interrupts == 0
