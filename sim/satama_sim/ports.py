"""Doors to the outside under the real clock: ptys for other programs, and a USB dongle for a real bus."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable

import serial

from .board.uart import SimUart
from .timeline import RealClock, Timeline


class PortError(Exception):
    """A serial port cannot be used; the text says why and what to do."""


class PtyPort:
    """One end of a pseudo terminal; other programs open `path` as if it were a serial port."""

    def __init__(self, clock: RealClock, on_data: Callable[[bytes], None]):
        self._ours, self._theirs = pty.openpty()  # theirs stays open: no hang-up when a program closes its end
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.path = os.ttyname(self._theirs)
        self._clock, self._on_data = clock, on_data
        clock.watch(self._ours, self._readable)

    def write(self, data: bytes) -> None:
        """Bytes that nobody reads are dropped."""
        _put(self._ours, data)

    def _readable(self) -> None:
        with contextlib.suppress(OSError):
            self._on_data(os.read(self._ours, 4096))

    def close(self) -> None:
        self._clock.unwatch(self._ours)
        os.close(self._ours)
        os.close(self._theirs)


class JoinedPtys:
    """Two serial ports with a wire between them, for programs that both open a port: `paths`. Needs no clock."""

    def __init__(self) -> None:
        self._pairs = [pty.openpty() for _ in range(2)]
        for ours, theirs in self._pairs:
            tty.setraw(theirs)
            os.set_blocking(ours, False)
        self.paths = [os.ttyname(theirs) for _, theirs in self._pairs]
        self._ended, self._end = os.pipe()
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self._carrier.start()

    def _carry(self) -> None:
        (a, _), (b, _) = self._pairs
        while True:
            ready, _, _ = select.select([a, b, self._ended], [], [])
            if self._ended in ready:
                return
            for source in ready:
                _put(b if source == a else a, os.read(source, 4096))

    def close(self) -> None:
        os.write(self._end, b"x")
        self._carrier.join()
        for descriptor in (*self._pairs[0], *self._pairs[1], self._ended, self._end):
            os.close(descriptor)


def _put(descriptor: int, data: bytes) -> None:
    """As much of it as the terminal takes."""
    with contextlib.suppress(BlockingIOError):
        os.write(descriptor, data)


class SerialBus:
    """A real bus behind a USB dongle in the place of the simulated line: what the UART sends goes out, what comes in arrives there."""

    def __init__(self, name: str, port: str, spec: dict, timeline: Timeline, clock: RealClock):
        self.name = name
        self.requests = 0
        self.busy_us = 0
        self.wire_limit_us = 0
        self.connected = True
        self._timeline, self._clock = timeline, clock
        self._uart: SimUart | None = None
        try:
            self._serial = serial.Serial(
                port,
                spec["baud"],
                parity=spec["parity"],
                stopbits=spec["stop_bits"],
                timeout=0,
                write_timeout=0,  # a dongle that takes nothing any more must not hold up the time
                exclusive=True,
            )
        except (serial.SerialException, OSError) as error:
            raise PortError(_sentence(port, error)) from None
        clock.watch(self._serial.fileno(), self._readable)

    def transmit(self, uart: SimUart, start_us: int, char_us: int, data: bytes) -> None:
        self._uart = uart
        self.requests += 1
        self._account(len(data) * char_us)
        if self.connected:
            with contextlib.suppress(serial.SerialException, OSError):
                self._serial.write(data)

    def _readable(self) -> None:
        try:
            data = self._serial.read(4096)
        except (serial.SerialException, OSError):
            self._clock.unwatch(self._serial.fileno())  # the dongle was pulled: the bus is silent from now on
            return
        if data and self._uart and self.connected:
            char_us = self._uart.char_us
            self._account(len(data) * char_us)
            self._uart.receive(self._timeline.now_us - len(data) * char_us, char_us, data)

    def _account(self, wire_us: int) -> None:
        self.busy_us += wire_us
        self.wire_limit_us += wire_us

    def close(self) -> None:
        """Harmless when closed already."""
        if self._serial.is_open:
            self._clock.unwatch(self._serial.fileno())
            self._serial.close()


def _sentence(port: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    text = str(error)
    if number == 2 or "No such file" in text:
        return f"there is no port {port} -> plug the dongle in, and see its name with: ls /dev/ttyUSB* /dev/ttyACM*"
    if number == 13 or "Permission denied" in text:
        return f"no right to open {port} -> join the group that owns it (often dialout), then log in again"
    if number in (11, 16) or "lock" in text:
        return f"another program uses {port} -> close it (a terminal, another gateway tool), then try again"
    return f"{port} cannot be used as a serial port: {text} -> check the name and the cable"
