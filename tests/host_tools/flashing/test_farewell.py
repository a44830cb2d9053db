"""A gateway that runs on a board which is going to be flashed ends on purpose; whoever else is there costs a second at most."""

import pytest
from flash_bench import Record

from satama.boards.board import load_board
from satama.flashing import farewell
from satama.serial_line.boot_words import Trouble
from satama.serial_line.gateway import LineError
from satama.serial_line.ports import PortError

BOARD = load_board("esp32-devkit")
BY_HAND = BOARD.model_copy(update={"console": BOARD.console.model_copy(update={"reset": "by-hand"})})


class Line:
    """The port, and who is at its other end: `answer` to `restart`, or what is raised; the port is away `away` times after that."""

    def __init__(self, monkeypatch, answer, away=0):
        self.answer, self.away, self.at, self.done = answer, away, 0.0, []
        monkeypatch.setattr(farewell, "GatewayLine", self)
        monkeypatch.setattr(farewell, "time", self)
        monkeypatch.setattr(farewell, "open_port", self._again)

    def open(self, port):
        self.done.append(f"open {port}")
        return self

    def _again(self, port):
        if self.away:
            self.away -= 1
            raise PortError("there is no port")
        return self.open(port)

    def request(self, op, timeout_s):
        self.done.append(op)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.done.append("close")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def monotonic(self):
        return self.at

    def sleep(self, seconds):
        self.at += seconds


@pytest.mark.parametrize("away", [0, 3, 1000])
def test_a_gateway_is_waited_for_until_it_has_reset(monkeypatch, away):
    line = Line(monkeypatch, {"ok": True, "restarting_in_s": 2}, away)
    assert farewell.let_it_end("COM9", BOARD, Record())
    assert line.done[:3] == ["open COM9", "restart", "close"] and 2.4 < line.at < 9
    assert len(line.done) == (5 if away < 1000 else 3), "a port that does not come back is told by who opens it next"


@pytest.mark.parametrize(
    "answer",
    [
        LineError(Trouble("silent", "nobody")),
        PortError("the cable broke"),
        {"ok": False, "error": "unknown"},
        {"ok": True},
        {"ok": True, "restarting_in_s": "soon"},
    ],
)
def test_whoever_else_is_there_is_not_waited_for(monkeypatch, answer):
    line = Line(monkeypatch, answer)
    assert not farewell.let_it_end("COM9", BOARD, Record())
    assert line.at == 0 and line.done[-1] == "close"


@pytest.mark.parametrize("port, board", [("socket://host:4000", BOARD), ("COM9", BY_HAND)])
def test_a_boot_loader_that_a_person_has_called_hears_no_other_word_before(monkeypatch, port, board):
    line = Line(monkeypatch, {"ok": True, "restarting_in_s": 2})
    assert not farewell.let_it_end(port, board, Record()) and line.done == []


def test_no_answer_may_hold_it_up_for_long(monkeypatch):
    line = Line(monkeypatch, {"ok": True, "restarting_in_s": 1 << 40})
    assert farewell.let_it_end("COM9", BOARD, Record()) and line.at < 11
