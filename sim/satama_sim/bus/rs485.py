"""An RS-485 line: who drives it when, frames cut by silence, collisions, and how busy it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..board.pins import Pins
from ..board.uart import SimUart
from ..timeline import Event, Timeline

FIXED_GAP_ABOVE = 19_200  # Modbus over serial line V1.02, 2.5.1.1: fixed times above this rate
FIXED_GAP_US = 1_750
_SAME_ROUND_US = 60_000  # a request that follows later than this does not belong to the same run of requests


class Slaves(Protocol):
    """The units on the line."""

    def answer(self, frame: bytes, now_us: int) -> list[tuple[int, bytes, int]]:
        """Replies to one frame: (unit, frame, microseconds from the end of the request to the start of the reply)."""


class Transaction:
    """What the line saw of one request and its answer."""

    __slots__ = ("end_us", "gap_us", "reply", "request", "request_end_us", "start_us")

    def __init__(self, start_us: int, request_end_us: int, request: bytes):
        self.start_us = start_us
        self.request_end_us = request_end_us
        self.request = request
        self.reply = b""
        self.end_us = request_end_us
        self.gap_us = 0


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
        self.collisions = 0
        self.cut_frames = 0  # direction pin released too early, or not driven at all
        self.requests = 0
        self.busy_us = 0
        self.wire_limit_us = 0
        self.on_wire: list[
            Callable[[int, bytes], None]
        ] = []  # (start, bytes) of everything that is sent, for observers
        self._uart: SimUart | None = None
        self._busy_until = 0
        self._frame = bytearray()
        self._frame_start = 0
        self._silence: Event | None = None
        self._last: Transaction | None = None

    def t35_us(self, char_us: int) -> int:
        baud = self._uart.baud if self._uart else 9600
        return FIXED_GAP_US if baud > FIXED_GAP_ABOVE else (7 * char_us + 1) // 2

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
        if data and self.connected:
            self.put(start_us, end_us, char_us, data)

    def join(self, data: bytes) -> None:
        """Somebody else on the line (another master or slave, on a pty) sends."""
        if not self._uart or not self.connected:
            return
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
            self._account(Transaction(self._frame_start, end_us, frame))
        t35 = self.t35_us(char_us)
        for unit, reply, delay_us in self.slaves.answer(frame, self.timeline.now_us):
            start = end_us + max(delay_us, t35)
            self.timeline.at(
                start, lambda unit=unit, reply=reply, start=start: self._reply(unit, reply, start, char_us)
            )

    # --- the slaves

    def _reply(self, unit: int, reply: bytes, start_us: int, char_us: int) -> None:
        if not self.connected:
            return
        if start_us < self._busy_until or self._frame:
            self.collisions += 1
            reply = bytes(byte ^ 0x55 for byte in reply)
        end_us = start_us + len(reply) * char_us
        self._busy_until = max(self._busy_until, end_us)
        for observer in self.on_wire:
            observer(start_us, reply)
        if self._last:
            self._last.reply = reply
            self._last.end_us = end_us
            self._last.gap_us = max(self.t35_us(char_us), self.gaps_us.get(unit, 0))
            self.wire_limit_us += end_us - self._last.request_end_us + self._last.gap_us
            self.busy_us += end_us - self._last.request_end_us + self._last.gap_us
        if self._uart:
            self.deliver(start_us, char_us, reply)

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
        if last and last.reply:
            slack = transaction.start_us - (last.end_us + last.gap_us)
            if 0 < slack < _SAME_ROUND_US:
                self.busy_us += slack
        self._last = transaction
