"""How the next board is found: asked for at a terminal, or waited for at a port."""

from pathlib import Path

import pytest

from satama.provisioning.bench import AskingBench, Missing, Skipped, Stopped, WaitingBench
from satama.provisioning.cabinets import Cabinet

ONE, TWO = Cabinet(2, "cab-1", Path("s"), location="Laituri 4"), Cabinet(3, "cab-2", Path("s"))
OWN = Cabinet(4, "cab-3", Path("s"), port="COM9")


class Ports:
    """What is to be seen at each look; the last state stays. `said`: all that was told or asked."""

    def __init__(self, *states, answers=()):
        self.states, self.answers, self.said, self.now = list(states), list(answers), [], 0.0

    def __call__(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def ask(self, text):
        self.said.append(text)
        return self.answers.pop(0)

    def sleep(self, seconds):
        self.now += seconds

    def waiting(self, port, wait_s=10):
        return WaitingBench(port, wait_s, self.said.append, self, lambda: self.now, self.sleep)

    def asking(self, port=None):
        return AskingBench(port, self.ask, self)


def test_somebody_is_asked_for_the_board_with_row_and_place():
    ports = Ports(["COM3"], answers=["", " S ", "q", ""])
    bench = ports.asking("COM3")
    assert bench.next_port(ONE) == "COM3" and "cab-1 (row 2, Laituri 4) at COM3" in ports.said[0]
    with pytest.raises(Skipped):
        bench.next_port(TWO)
    with pytest.raises(Stopped):
        bench.next_port(TWO)
    assert bench.next_port(OWN, "it is the wrong one") == "COM9" and ports.said[-1].startswith("it is the wrong one\n")


def test_without_a_port_it_is_the_one_that_appeared():
    assert Ports(["COM1"], ["COM1", "COM4"], answers=[""]).asking().next_port(ONE) == "COM4"
    assert Ports(["COM4"], answers=[""]).asking().next_port(ONE) == "COM4"  # it was plugged in before


def test_somebody_says_which_of_several_it_is():
    ports = Ports([], ["COM1", "COM4"], answers=["", "COM7", "com4"])
    assert ports.asking().next_port(ONE) == "COM4"
    assert "there are 2 ports (COM1, COM4)" in ports.said[1]
    ports = Ports([], [], ["COM1"], answers=["", ""])
    assert ports.asking().next_port(ONE) == "COM1" and ports.said[1].startswith("no board is to be seen")


@pytest.mark.parametrize("port", ["COM4", None])
def test_a_port_must_go_and_come_again_before_it_is_the_next_boards(port):
    ports = Ports([], [], ["COM4"], ["COM4"], ["COM4"], [], ["COM4"])
    bench = ports.waiting(port)
    assert bench.next_port(ONE) == "COM4" and ports.now == 1.0
    assert bench.next_port(TWO) == "COM4" and ports.now == 2.5
    assert [text for text in ports.said if "cab-2 (row 3)" in text]


def test_the_same_board_that_is_not_unplugged_is_waited_for_and_no_longer():
    ports = Ports(["COM4"])
    bench = ports.waiting("COM4", wait_s=5)
    bench.next_port(ONE)
    with pytest.raises(Stopped, match=r"no board came at COM4 within 5 s -> .* --resume"):
        bench.next_port(TWO)
    assert ports.now == 5


def test_other_ports_are_not_taken_for_the_one_that_was_named():
    ports = Ports(["COM1"], ["COM1", "COM4"])
    assert ports.waiting("COM4").next_port(ONE) == "COM4"
    with pytest.raises(Stopped, match="several ports: COM1, COM4"):
        Ports(["COM1", "COM4"]).waiting(None).next_port(ONE)


def test_a_board_that_was_not_the_right_one_must_be_unplugged():
    ports = Ports(["COM4"], ["COM4"], [], ["COM4"])
    bench = ports.waiting("COM4")
    bench.next_port(ONE)
    assert bench.next_port(ONE, "this is another board") == "COM4" and ports.now == 1.0
    assert "this is another board: waiting" in ports.said[-1]


def test_a_row_with_a_port_of_its_own_is_not_waited_for():
    bench = Ports([]).waiting("COM4")
    assert bench.next_port(OWN) == "COM9"
    with pytest.raises(Missing, match="nobody answers"):
        bench.next_port(OWN, "nobody answers")


def test_a_url_is_looked_at_again_for_as_long_as_was_said():
    ports = Ports([])
    bench = ports.waiting("rfc2217://bench:4000", wait_s=11)
    assert bench.next_port(ONE) == "rfc2217://bench:4000" and ports.now == 0
    looks = 0
    with pytest.raises(Stopped, match="the same board"):
        while bench.next_port(TWO, "the same board"):
            looks += 1
    assert looks == 3


def test_a_port_that_stays_whatever_is_behind_it_is_looked_at_like_a_url(tmp_path):
    (tmp_path / "ttyS0").touch()  # a UART of this machine is never plugged in, nor told among those on USB
    bench = Ports(["COM1"]).waiting(str(tmp_path / "ttyS0"))
    assert bench.next_port(ONE) == bench.next_port(TWO) == str(tmp_path / "ttyS0")


def test_a_port_that_comes_later_is_looked_at_then(tmp_path):
    ports = Ports([])
    path, sleep = tmp_path / "ttyAMA0", ports.sleep
    ports.sleep = lambda seconds: (sleep(seconds), path.touch())
    assert ports.waiting(str(path)).next_port(ONE) == str(path) and ports.now == 0.5


def test_one_port_may_have_two_names(tmp_path):
    assert Ports([], ["COM4"]).waiting("com4").next_port(ONE) == "COM4"
    real, name = tmp_path / "ttyUSB0", tmp_path / "usb-bridge-01"
    real.touch()
    name.symlink_to(real)
    ports = Ports([str(real)], [str(real)], [], [str(real)])
    bench = ports.waiting(str(name))
    assert bench.next_port(ONE) == bench.next_port(TWO) == str(real) and ports.now == 1.0  # it went and came again


def test_what_is_waited_for_is_said_once():
    bench = (ports := Ports([])).waiting("socket://bench:4000", wait_s=60)
    for _ in range(5):
        bench.next_port(ONE, "the same board")
    assert ports.said == ["the same board: waiting for the board of cab-1 (row 2, Laituri 4) at socket://bench:4000"]
