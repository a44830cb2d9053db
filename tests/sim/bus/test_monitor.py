"""The bus monitor finds a bad master, and leaves a good one alone."""

import pytest

from satama_sim.board.pins import Pins
from satama_sim.board.uart import SimUart
from satama_sim.bus.monitor import BusMonitor
from satama_sim.bus.rs485 import Rs485Bus
from satama_sim.timeline import Timeline

CHAR = 1042
T35 = (7 * CHAR + 1) // 2
DE = 4
ASK, REPLY = b"\x01\x04\0\0\0\2\x71\xcb", b"\x01\x04\x04" + bytes(6)
LATE_US, DELAY_US = 400_000, 20_000


class Slaves:
    """Unit 1 answers after 20 ms, unit 2 never, unit 3 much later than usual, unit 4 in two pieces."""

    usual_us = DELAY_US

    def answer(self, frame, now_us):
        if frame[0] == 4:
            return [(4, REPLY[:5], DELAY_US), (4, REPLY[5:], DELAY_US + 6 * CHAR)]
        delays = {1: DELAY_US, 3: LATE_US}
        return [(frame[0], REPLY, delays[frame[0]])] if frame[0] in delays else []


class Master:
    def __init__(self):
        self.timeline = Timeline()
        self.pins = Pins(self.timeline)
        self.pins.mode(DE, 3, 255)
        self.uart = SimUart(1, self.timeline)
        self.uart.init(9600, 8, 0, 1, 17, 16, 512)
        self.bus = Rs485Bus("line", self.timeline, self.pins, DE, Slaves(), {1: 30_000})
        self.uart.wire = self.bus
        self.monitor = BusMonitor(self.bus)

    def send(self, frame=ASK):
        """The frame is on the line at once; returns when its last bit has left."""
        end = self.timeline.now_us + len(frame) * self.uart.char_us
        self.pins.set(DE, 1)
        self.uart.write(frame)
        self.timeline.run_to(end)
        self.pins.set(DE, 0)
        return end

    def wait(self, us):
        self.timeline.run_to(self.timeline.now_us + us)

    def rules(self):
        return [violation.rule for violation in self.monitor.violations]


ANSWERED = DELAY_US + len(REPLY) * CHAR


def test_a_good_master_is_left_alone():
    master = Master()
    for unit in (1, 2, 1, 3):
        master.send(bytes((unit,)) + ASK[1:])
        master.wait((LATE_US if unit == 3 else DELAY_US) + len(REPLY) * CHAR + T35)
    master.monitor.check()
    assert master.monitor.count == 0
    assert master.bus.collisions == 0 and master.bus.requests == 4
    assert [master.bus.requests_to(unit) for unit in (1, 2, 3, 4)] == [2, 1, 1, 0]


def test_a_request_while_an_answer_is_due():
    master = Master()
    master.send()
    master.wait(T35 + 100)  # the answer has not begun yet
    master.send(b"\x02" + ASK[1:])
    assert master.rules() == ["transaction"]
    with pytest.raises(AssertionError, match=r"(?s)line: 1 times.*at 0\.\d+ s: it asked although.*unit 1.*02 04 00"):
        master.monitor.check()


def test_a_request_in_the_middle_of_an_answer():
    master = Master()
    master.send()
    master.wait(ANSWERED - 2 * CHAR)
    master.send()
    assert master.rules() == ["transaction"]
    assert master.bus.collisions >= 1


@pytest.mark.parametrize(("silence", "expected"), [(T35 - 1, ["silence"]), (T35, []), (1, ["silence"])])
def test_silence_after_an_answer(silence, expected):
    master = Master()
    master.send()
    master.wait(ANSWERED + silence)
    master.send()
    assert master.rules() == expected


@pytest.mark.parametrize(("silence", "expected"), [(T35 - 1, ["silence"]), (T35, []), (CHAR, [])])
def test_silence_after_a_frame_of_its_own(silence, expected):
    """Up to T1.5 it is one frame, from T3.5 on it is another; between them it is neither."""
    master = Master()
    master.send(b"\x02" + ASK[1:])
    master.wait(silence)
    master.send(b"\x02" + ASK[1:])
    assert master.rules() == expected


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (-3 * CHAR, []),  # it comes while the master sends: nobody could know
        (CHAR // 2, []),
        (CHAR + 1_500, []),
        (CHAR + 2_500, ["overlap"]),
        (len(REPLY) * CHAR + 1_000, ["silence"]),
        (len(REPLY) * CHAR + T35, []),
    ],
)
def test_an_answer_that_is_late_is_to_be_heeded_as_far_as_it_can_be_heard(heard, expected):
    master = Master()
    master.send(b"\x03" + ASK[1:])
    master.wait(LATE_US + heard)
    master.send(b"\x02" + ASK[1:])
    assert master.rules() == expected


def test_fast_lines_have_fixed_times():
    master = Master()
    master.uart.init(115_200, 8, 0, 1, 17, 16, 512)
    master.send()
    master.wait(DELAY_US + 100_000)
    end = master.send()
    master.wait(DELAY_US + len(REPLY) * master.uart.char_us + 1_700)
    master.send()
    assert master.rules() == ["silence"] and master.timeline.now_us > end


def test_with_another_master_on_the_line_there_are_no_rules():
    master = Master()
    master.send()
    master.wait(ANSWERED + T35)
    master.bus.join(ASK)
    master.send()
    master.wait(2 * CHAR)
    master.send()
    assert master.rules() == []


def test_the_account_of_the_line():
    master = Master()
    bus, wire = master.bus, len(ASK) * CHAR
    master.send()
    master.wait(ANSWERED + 30_000 + 5_000)
    master.send(b"\x02" + ASK[1:])
    assert (bus.requests, bus.wire_limit_us) == (1, wire + ANSWERED + 30_000), "the frame ends with silence"
    master.wait(500_000)
    assert bus.wire_limit_us == 2 * wire + ANSWERED + 30_000
    assert bus.busy_us == bus.wire_limit_us + 5_000
    master.send(b"\x03" + ASK[1:])
    master.wait(300_000)
    before = bus.wire_limit_us
    master.send(b"\x02" + ASK[1:])
    master.wait(500_000)
    assert bus.wire_limit_us == before + wire, "what comes after the next request is nobody's time"


def test_the_account_of_an_answer_in_two_pieces():
    master = Master()
    master.bus.gaps_us[4] = 30_000
    master.send(b"\x04" + ASK[1:])
    master.wait(500_000)
    assert master.bus.wire_limit_us == (len(ASK) + 1 + len(REPLY)) * CHAR + DELAY_US + 30_000


def test_the_receiver_hears_its_own_frame_where_there_is_an_echo():
    master = Master()
    master.bus.echo = True
    master.send()
    master.wait(ANSWERED + T35)
    assert master.uart.read(100) == ASK + REPLY
    master.monitor.check()


def test_noise_befalls_both_directions():
    master = Master()
    master.bus.noise(percent=50, seed=3)
    answered = damaged = 0
    for _ in range(200):
        master.send()
        master.wait(ANSWERED + 20_000)
        heard = master.uart.read(100)
        answered += bool(heard)
        damaged += bool(heard) and heard != REPLY
    assert 60 < damaged < answered
    master.bus.noise(percent=0)
    master.send()
    master.wait(ANSWERED)
    assert master.uart.read(100) == REPLY


def test_of_a_program_that_never_stops_to_send_the_line_takes_what_it_can_carry():
    master = Master()
    master.send()
    for _ in range(50):
        master.bus.join(bytes(4096))
        master.wait(1_000)
    assert len(master.bus._frame) < 10_000
    assert master.bus._busy_until < master.timeline.now_us + 10_000_000
