"""A passive observer on an RS-485 line: does the master keep the rules of the serial line?

Three rules (Modbus over serial line V1.02, 2.4.1 and 2.5.1.1), each about the moment at which the master begins a frame:
one transaction  an answer that comes in the device's usual time has ended before the next request begins
no overlap       nobody else drives the line
silence          T3.5 since the last bit of whatever was sent before, and at most T1.5 within a frame

Who answers later than usual, or sends what nobody asked for, breaks the rules himself. The master answers for it only
as far as it could hear it: the first character had ended some time before it began to send.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .rs485 import Rs485Bus

_REACTION_US = 2_000  # from the master's last look at its receiver to its first bit
_SHOWN = 6  # frames before a violation that are shown with it
_KEPT = 100  # violations; a master that breaks one rule always would fill the memory
_MASTER = 0


class Frame(NamedTuple):
    start_us: int
    end_us: int
    unit: int  # that sent it; 0: the master
    data: bytes

    def __str__(self) -> str:
        who = f"unit {self.unit}" if self.unit else "master"
        return f"{self.start_us / 1e6:14.6f} .. {self.end_us / 1e6:.6f} s  {who:8}  {self.data.hex(' ')}"


class Violation(NamedTuple):
    """`rule`: "transaction", "overlap" or "silence". `frames`: what was on the line, the last one is to blame."""

    at_us: int
    rule: str
    what: str
    frames: tuple[Frame, ...]

    def __str__(self) -> str:
        return "\n    ".join([f"at {self.at_us / 1e6:.6f} s: {self.what}", *map(str, self.frames)])


class BusMonitor:
    """Watches the line from its construction on. `violations` holds the first hundred, `count` the number of all."""

    def __init__(self, bus: Rs485Bus):
        self.bus = bus
        self.count = 0
        self.violations: list[Violation] = []
        self._frames: deque[Frame] = deque(maxlen=_SHOWN)
        self._due_us = 0  # end of the latest answer that is due, as far as it is in time
        self._due_unit = 0
        self._audible_us = 0  # from when on a master could know of the last frame
        self._last = Frame(-1_000_000, -1_000_000, _MASTER, b"")
        self._shared = False
        bus.monitor = self

    def check(self) -> None:
        """Raises AssertionError that tells every violation with its frames."""
        if self.count:
            told = "\n".join(str(violation) for violation in self.violations[:5])
            raise AssertionError(f"bus {self.bus.name}: {self.count} times the master broke the rules\n{told}")

    # --- what the bus tells

    def due(self, unit: int, end_us: int) -> None:
        """A device will have answered by then, in its usual time."""
        self._due_us, self._due_unit = max(self._due_us, end_us), unit

    def answered(self, unit: int, start_us: int, end_us: int, char_us: int, data: bytes) -> None:
        """A device sends."""
        self._last = Frame(start_us, end_us, unit, data)
        self._audible_us = start_us if end_us <= self._due_us else start_us + char_us + _REACTION_US
        self._frames.append(self._last)

    def sent(self, start_us: int, end_us: int, char_us: int, data: bytes) -> None:
        """The master sends."""
        last, since_us = self._last, start_us - self._last.end_us
        t35_us = self.bus.t35_us(char_us)
        self._last = Frame(start_us, end_us, _MASTER, data)
        if last.unit == _MASTER and since_us <= self.bus.t15_us(char_us):
            self._last = Frame(last.start_us, end_us, _MASTER, last.data + data)  # the frame goes on
            if self._frames:
                self._frames.pop()
        self._frames.append(self._last)
        if self._shared or self._last.start_us < start_us:
            return
        if start_us < self._due_us:
            self._violated(start_us, "transaction", f"it asked although the answer of unit {self._due_unit} was due")
        elif last.unit != _MASTER and start_us < self._audible_us:
            return
        elif since_us < 0:
            self._violated(start_us, "overlap", f"it spoke while unit {last.unit} was sending")
        elif since_us < t35_us:
            who = f"unit {last.unit}" if last.unit else "its own frame"
            what = f"it spoke {since_us / 1000:.3f} ms after the end of {who}, T3.5 is {t35_us / 1000:.3f} ms"
            self._violated(start_us, "silence", what)

    def joined(self) -> None:
        """Somebody else asks on this line too: no rule holds any more."""
        self._shared = True

    def _violated(self, at_us: int, rule: str, what: str) -> None:
        self.count += 1
        if self.count <= _KEPT:
            self.violations.append(Violation(at_us, rule, what, tuple(self._frames)))
