"""An RS-485 line: who drives it when, frames cut by silence, collisions, and how busy it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ..board.pins import Pins
from ..board.uart import SimUart
from ..timeline import Event, Timeline
from .faults import Noise

FIXED_GAP_ABOVE = 19_200  # Modbus over serial line V1.02, 2.5.1.1: fixed times above this rate
FIXED_GAP_US, FIXED_CHARACTER_GAP_US = 1_750, 750
_BOOKED_US = 2_000_000  # who joins and sends faster than the line carries loses what is beyond that
_SAME_ROUND_US = 60_000  # a request that follows later than this does not belong to the same run of requests


class Slaves(Protocol):
    """The units on the line. `usual_us`, if there is one: what the last answer would have taken without any fault."""

    def answer(self, frame: bytes, now_us: int) -> list[tuple[int, bytes, int]]:
        """Replies to one frame: (unit, frame, microseconds from the end of the request to the start of the reply)."""


class Watcher(Protocol):
    """Who is told of all that happens on the line, as it happens (monitor.py)."""

    def sent(self, start_us: int, end_us: int, char_us: int, data: bytes) -> None: ...
    def due(self, unit: int, end_us: int) -> None: ...
    def answered(self, unit: int, start_us: int, end_us: int, char_us: int, data: bytes) -> None: ...
    def joined(self) -> None: ...


class Transaction:
    """What the line saw of one request and its answer."""

    __slots__ = ("end_us", "gap_us", "request_end_us", "start_us")

    def __init__(self, start_us: int, request_end_us: int):
        self.start_us = start_us
        self.request_end_us = request_end_us
        self.end_us = request_end_us
        self.gap_us = 0  # silence due after the answer; 0 while there is none


class Rs485Bus:
    """One pair of wires with a master (a UART with a direction pin) and slaves.

    `busy_us` is the time that the master spent with it: from the start of a request to the start of the next one in the same run,
    or to the end of the answer and the silence due after it. `wire_limit_us` is what the bytes, the devices' own turnaround and the
    larger of T3.5 and the declared gap need at least.
    """

    def __init__(
        self, name: str, timeline: Timeline, pins: Pins, de_pin: int | None, slaves: Slaves, gaps_us: dict[int, int]
    ):
        self.name = name
        self.timeline = timeline
        self.pins = pins
        self.de_pin = de_pin
        self.slaves = slaves
        self.gaps_us = gaps_us  # silence that a unit wants before the next request
        self.connected = True  # the plug of the bus at the cabinet
        self.switches: list[tuple[int, int]] = []  # (GPIO, level) without which the transceiver is dead
        self.echo = False  # the master's receiver hears what it sends
        self.collisions = 0
        self.cut_frames = 0  # direction pin released too early, or not driven at all
        self.requests = 0
        self.busy_us = 0
        self.wire_limit_us = 0
        self.on_wire: list[
            Callable[[int, bytes], None]
        ] = []  # (start, bytes) of everything that is sent, for observers
        self.monitor: Watcher | None = None
        self._asked: Counter[int] = Counter()
        self._noise: Noise | None = None
        self._uart: SimUart | None = None
        self._busy_until = 0
        self._frame = bytearray()
        self._frame_start = 0
        self._silence: Event | None = None
        self._last: Transaction | None = None

    def t35_us(self, char_us: int) -> int:
        """Least silence between frames."""
        return FIXED_GAP_US if self._is_fast() else (7 * char_us + 1) // 2

    def t15_us(self, char_us: int) -> int:
        """Most silence within a frame."""
        return FIXED_CHARACTER_GAP_US if self._is_fast() else 3 * char_us // 2

    def _is_fast(self) -> bool:
        return self._uart is not None and self._uart.baud > FIXED_GAP_ABOVE

    def noise(self, percent: int, seed: int = 1) -> None:
        """From now on so many percent of the frames arrive damaged, at either end; the seed says which. 0: none."""
        self._noise = Noise(seed, percent) if percent else None

    def requests_to(self, unit: int) -> int:
        """How many requests the master has sent to a unit."""
        return self._asked[unit]

    # --- the master

    def transmit(self, uart: SimUart, start_us: int, char_us: int, data: bytes) -> None:
        self._uart = uart
        end_us = start_us + len(data) * char_us
        self.timeline.at(end_us, lambda: self._driven(start_us, end_us, char_us, data))

    def _driven(self, start_us: int, end_us: int, char_us: int, data: bytes) -> None:
        """The last stop bit has left: what of it was really on the wire?"""
        if self.de_pin is not None and not self.pins.high_throughout(self.de_pin, start_us, end_us):
            self.cut_frames += 1
            data = bytes(
                byte
                for at, byte in enumerate(data)
                if self.pins.high_throughout(self.de_pin, start_us + at * char_us, start_us + (at + 1) * char_us)
            )
        if any(self.pins.level(gpio, start_us) != level for gpio, level in self.switches):
            data = b""
        if data and self.echo and self._uart:
            self._uart.receive(start_us, char_us, data)
        if data and self.connected:
            if self.monitor:
                self.monitor.sent(start_us, end_us, char_us, data)
            self.put(start_us, end_us, char_us, data)

    def join(self, data: bytes) -> None:
        """Somebody else on the line (another master or slave, on a pty) sends."""
        if not self._uart or not self.connected or self._busy_until > self.timeline.now_us + _BOOKED_US:
            return
        if self.monitor:
            self.monitor.joined()
        start, char_us = max(self.timeline.now_us, self._busy_until), self._uart.char_us
        self.put(start, start + len(data) * char_us, char_us, data, ours=False)
        self.deliver(start, char_us, data)

    def put(self, start_us: int, end_us: int, char_us: int, data: bytes, ours: bool = True) -> None:
        """Bytes of a master are on the wire; silence after them ends the frame."""
        if start_us < self._busy_until:
            self.collisions += 1
            data = bytes(byte ^ 0x55 for byte in data)
        self._busy_until = max(self._busy_until, end_us)
        for observer in self.on_wire:
            observer(start_us, data)
        if not self._frame:
            self._frame_start = start_us
        self._frame += data
        if self._silence:
            self._silence.cancel()
        self._silence = self.timeline.at(
            end_us + self.t35_us(char_us), lambda: self._frame_ended(end_us, char_us, ours)
        )

    def _frame_ended(self, end_us: int, char_us: int, ours: bool) -> None:
        frame = bytes(self._frame)
        self._frame.clear()
        self._silence = None
        if ours:
            self._asked[frame[0]] += 1
            self._account(Transaction(self._frame_start, end_us))
        transaction = self._last
        if self._noise:
            frame = self._noise(frame)
        t35 = self.t35_us(char_us)
        replies = self.slaves.answer(frame, self.timeline.now_us) if frame else []
        usual_us = getattr(self.slaves, "usual_us", None)
        for unit, reply, delay_us in replies:
            start = end_us + max(delay_us, t35)
            if self.monitor and (usual_us is None or delay_us <= usual_us):
                self.monitor.due(unit, start + len(reply) * char_us)
            self.timeline.at(
                start,
                lambda unit=unit, reply=reply, start=start: self._reply(transaction, unit, reply, start, char_us),
            )

    # --- the slaves

    def _reply(self, asked: Transaction | None, unit: int, reply: bytes, start_us: int, char_us: int) -> None:
        if not self.connected:
            return
        end_us = start_us + len(reply) * char_us
        if self.monitor:
            self.monitor.answered(unit, start_us, end_us, char_us, reply)
        if start_us < self._busy_until or self._frame:
            self.collisions += 1
            reply = bytes(byte ^ 0x55 for byte in reply)
        self._busy_until = max(self._busy_until, end_us)
        for observer in self.on_wire:
            observer(start_us, reply)
        if asked and asked is self._last:  # what comes after the next request has begun costs its time there
            gap_us = max(self.t35_us(char_us), self.gaps_us.get(unit, 0))
            more_us = max(0, end_us - asked.end_us) + gap_us - asked.gap_us
            asked.end_us, asked.gap_us = max(end_us, asked.end_us), gap_us
            self.wire_limit_us += more_us
            self.busy_us += more_us
        if self._uart:
            self.deliver(start_us, char_us, self._noise(reply) if self._noise else reply)

    def deliver(self, start_us: int, char_us: int, data: bytes) -> None:
        """Bytes reach the master's receiver, unless it is still driving the line."""
        assert self._uart
        if self.de_pin is not None and self.pins.level(self.de_pin):
            self.cut_frames += 1
            return
        self._uart.receive(start_us, char_us, data)

    # --- the account

    def _account(self, transaction: Transaction) -> None:
        self.requests += 1
        last = self._last
        wire = transaction.request_end_us - transaction.start_us
        self.wire_limit_us += wire
        self.busy_us += wire
        if last and last.gap_us:
            slack = transaction.start_us - (last.end_us + last.gap_us)
            if slack < _SAME_ROUND_US:
                self.busy_us += slack
        self._last = transaction
