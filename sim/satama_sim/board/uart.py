"""A UART with the ESP32's buffers and the wire's own pace."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from ..timeline import Timeline


class Wire(Protocol):
    """What a UART is connected to."""

    def transmit(self, uart: SimUart, start_us: int, char_us: int, data: bytes) -> None:
        """The UART starts to send at `start_us`, one character every `char_us`."""


class SimUart:
    """One UART: what was sent leaves character by character, what arrives waits in a buffer of bounded size."""

    FIFO = 128
    INVERTED = 0x100  # added to the number of a pin whose level is read the other way round

    def __init__(self, number: int, timeline: Timeline):
        self.number = number
        self.timeline = timeline
        self.wire: Wire | None = None
        self.baud = 0
        self.char_us = 0
        self.overflows = 0
        self.tx_pin = self.rx_pin = -1
        self.rx_inverted = False
        self._rx_buffer = 256
        self._tx_free_us = 0
        self._arriving: deque[tuple[int, int, bytes]] = deque()  # (end of the first character, char_us, data)
        self._received = bytearray()

    def init(self, baud: int, bits: int, parity: int, stop: int, tx: int, rx: int, rxbuf: int) -> None:
        self.baud = baud
        self.char_us = (2_000_000 * (1 + bits + (parity > 0) + stop) + baud) // (2 * baud)
        self.rx_inverted = rx >= 0 and bool(rx & self.INVERTED)
        self.tx_pin, self.rx_pin = tx, rx & ~self.INVERTED if self.rx_inverted else rx
        self._rx_buffer = rxbuf
        self._received.clear()
        self._arriving.clear()

    def write(self, data: bytes) -> None:
        """Send bytes behind those still on their way. (How long the writer is held up, the board's `machine.UART` knows.)"""
        start = max(self.timeline.now_us, self._tx_free_us)
        self._tx_free_us = start + len(data) * self.char_us
        if self.wire:
            self.wire.transmit(self, start, self.char_us, data)

    def receive(self, start_us: int, char_us: int, data: bytes, inverted: bool = False) -> None:
        """Characters come in from the wire, the first one begins at `start_us`. `inverted`: the line is low while it is idle."""
        self._settle()  # nobody may ever read them: what waits stays bounded
        if inverted != self.rx_inverted:
            data = misread(data)
        if data:
            self._arriving.append((start_us + char_us, char_us, data))

    def _settle(self) -> None:
        now = self.timeline.now_us
        while self._arriving:
            first_us, char_us, data = self._arriving[0]
            if first_us > now:
                return
            count = min((now - first_us) // char_us + 1, len(data))
            room = self._rx_buffer + self.FIFO - len(self._received)
            self._received += data[: min(count, room)]
            self.overflows += max(0, count - room)
            if count == len(data):
                self._arriving.popleft()
            else:
                self._arriving[0] = (first_us + count * char_us, char_us, data[count:])
                return

    def any(self) -> int:
        self._settle()
        return len(self._received)

    def read(self, limit: int) -> bytes:
        self._settle()
        data = bytes(self._received[:limit])
        del self._received[:limit]
        return data

    def next_byte_us(self) -> int | None:
        """When the next character will be complete (for polls)."""
        return self._arriving[0][0] if self._arriving else None


def misread(data: bytes) -> bytes:
    """What a UART makes of characters (8N1, one right behind the other) on a line that it reads upside down."""
    levels = "".join("1" + f"{~byte & 0xFF:08b}"[::-1] + "0" for byte in data) + 9 * "0"
    heard = bytearray()
    at = levels.find("10")  # the idle line is low already, so only the next edge down looks like a start bit
    while at >= 0:
        heard.append(int(levels[at + 2 : at + 10][::-1], 2))
        at = levels.find("10", at + 10)
    return bytes(heard)
