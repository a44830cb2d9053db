"""The console of a gateway, for tools: questions and answers as RFC 7464 JSON sequences over any port that pyserial can open.

with GatewayLine.open("/dev/ttyUSB0") as line:
    line.wait_for_start(60)
    line.request("status")["broker"]

Opening resets nothing, and whatever else comes over the line is skipped. firmware/gateway/service/console.py is the other end.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from .boot_words import Trouble, last_start, trouble, unknown
from .ports import CONSOLE_BAUD, open_port, told

LONGEST_REQUEST = 256  # bytes that the gateway takes in one line, the record separator included
_LONGEST_ANSWER = 1 << 20
_REMEMBERED = 8192  # bytes of other text
_RS, _LF = b"\x1e", b"\n"
_ASK_EVERY_S = 2.0
_FINAL_AFTER_S = 4.0  # a prompt or a line may be what was left from before a reset


class Asker(Protocol):
    """Whoever can be asked as a gateway: a GatewayLine, or the simulator's Cabinet."""

    def request(self, op: str, /, **about: Any) -> dict[str, Any]:
        """The answer, whose "ok" is false for what the gateway does not know. `of`, `value`: what it is about."""
        ...


class Port(Protocol):
    """What of a pyserial port is used; read() gives what there is, b"" after the port's time-out."""

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


class LineError(Exception):
    """The gateway does not answer, or not in words that can be used. `kind`: see Trouble."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.sentence)
        self.kind = trouble.kind


class GatewayLine:
    """`port`: an open pyserial port with a short read time-out; `name`: what it is called in errors. Raises LineError, and PortError when
    the cable is pulled."""

    def __init__(self, port: Port, name: str = "the port") -> None:
        self._port, self.name = port, name
        self._number = random.randrange(1, 1 << 24)  # an answer to somebody before us is not ours
        self._frame: bytearray | None = None  # of an answer that is under way
        self._heard = bytearray()  # other text

    @classmethod
    def open(cls, url: str, baud: int = CONSOLE_BAUD) -> GatewayLine:
        """Raises PortError."""
        return cls(open_port(url, baud), url)

    def close(self) -> None:
        self._port.close()

    def __enter__(self) -> GatewayLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def text(self) -> str:
        """What came last beside answers."""
        return self._heard.decode("ascii", "replace")

    # --- questions

    def request(
        self, op: str, /, of: str | None = None, value: Any = None, timeout_s: float = 20.0, **_: Any
    ) -> dict[str, Any]:
        """Ask, and give the whole answer. It may take `timeout_s` to begin, and as long between its parts.

        A question or an answer that was damaged on its way is asked again once, with the same id. Raises ValueError for a question that
        is longer than a gateway takes.
        """
        self._number += 1
        question = self._question(self._number, op, of, value)
        self._write(question)
        again = False
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            before = len(self._frame or b"")
            for frame in self._frames():
                answer = _parsed(frame)
                if answer is not None and answer.get("id") == self._number:
                    return answer
                if answer and "memory" in str(answer.get("error")):
                    raise LineError(_short_of_memory(op))
                if answer is None or answer["id"] is None:  # damaged, on its way here or there
                    if again:
                        raise LineError(_damaged(self.name))
                    again = True
                    self._write(question)
            if len(self._frame or b"") > before:
                deadline = max(deadline, time.monotonic() + timeout_s)
        said = trouble(last_start(bytes(self._heard))[1])
        raise LineError(said or Trouble("silent", f"no answer to '{op}' from {self.name} -> {_RESTARTED}"))

    def _question(self, number: int, op: str, of: str | None, value: Any) -> bytes:
        body = {"id": number, "op": op, "of": of, "value": value}
        text = json.dumps({key: given for key, given in body.items() if given is not None}, separators=(",", ":"))
        line = _RS + text.encode() + _LF
        if len(line) - 1 > LONGEST_REQUEST:
            raise ValueError(f"a request of {len(line) - 1} bytes: a gateway takes {LONGEST_REQUEST}")
        return line

    def wait_for_start(self, timeout_s: float, tell: Callable[[float], None] | None = None) -> dict[str, Any]:
        """Wait for a gateway that answers, and give its status. `tell` is told how many seconds have passed.

        Raises LineError: what the board says instead, or that nobody is there.
        """
        begun = time.monotonic()
        asked: list[int] = []
        next_s = 0.0
        while (passed := time.monotonic() - begun) < timeout_s:
            if tell:
                tell(passed)
            if passed >= next_s:
                next_s = passed + _ASK_EVERY_S
                self._number += 1
                asked.append(self._number)
                self._write(self._question(self._number, "status", None, None))
            for frame in self._frames():
                answer = _parsed(frame)
                if answer is not None and answer.get("id") in asked and answer.get("gateway"):
                    return answer
            said = trouble(last_start(bytes(self._heard))[1])
            if said and said.final and passed >= _FINAL_AFTER_S:
                raise LineError(said)
        name, heard = last_start(bytes(self._heard))
        if said := trouble(heard):
            raise LineError(said)
        if name:
            what = f"the gateway {name} has started, but does not answer"
            raise LineError(Trouble("deaf", f"{what} -> {_RESTARTED}"))
        raise LineError(unknown(heard, self.name))

    # --- bytes

    def _write(self, data: bytes) -> None:
        with told(self.name):
            self._port.write(data)

    def _frames(self) -> list[bytes]:
        """The answers that are complete now, after a wait no longer than the port's time-out. One that another cuts off is given as it is."""
        with told(self.name):
            data = self._port.read(max(1, self._port.in_waiting))
        done: list[bytes] = []
        while data:
            if self._frame is None:
                text, rs, data = data.partition(_RS)
                self._heard += text
                if rs:
                    self._frame = bytearray()
                continue
            ends = [at for at in (data.find(_LF), data.find(_RS)) if at >= 0]
            end = min(ends, default=len(data))
            self._frame += data[:end]
            if ends or len(self._frame) > _LONGEST_ANSWER:
                done.append(bytes(self._frame))
                self._frame = bytearray() if ends and data[end] == _RS[0] else None
            data = data[end + 1 :]
        del self._heard[:-_REMEMBERED]
        return done


_ECHO = -1  # nobody's id
_RESTARTED = "wait a minute and try again; if it stays so, press RESET"


def _short_of_memory(op: str) -> Trouble:
    return Trouble("memory", f"the gateway has too little memory for '{op}' just now -> try again in a minute")


def _damaged(name: str) -> Trouble:
    what = f"{name} damages what goes over it, twice in a row"
    return Trouble("damaged", f"{what} -> a shorter or better cable, away from motors and power lines")


def _parsed(frame: bytes) -> dict[str, Any] | None:
    """None for what is no whole answer. Every answer has "ok" and "id"; an echo of a question has no "ok"."""
    try:
        answer = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    if isinstance(answer, dict) and "op" in answer and "ok" not in answer:
        return {"id": _ECHO}
    return answer if isinstance(answer, dict) and "ok" in answer and "id" in answer else None
