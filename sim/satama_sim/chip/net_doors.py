"""Doors over TCP on this machine: plain (socket://), and with settings and modem lines (RFC 2217)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from serial.rfc2217 import PortManager

from ..timeline import RealClock
from .chip import CONSOLE_BAUD, Chip
from .door import Door, Outlet, quietly
from .lines import Lines

_IAC = b"\xff"
_LONGEST_SUBOPTION = 256  # a signature, as text; all others are shorter


class SocketDoor(Door):
    """`url` is socket://127.0.0.1:PORT. One host at a time: another one is hung up on at once.

    Plain TCP has no modem lines: SYNC enters download mode, and the host's closing the connection starts the application.
    """

    scheme = "socket"

    def __init__(self, chip: Chip, clock: RealClock, *, close_boots: bool = True, sync_enters: bool = True):
        super().__init__(chip, clock, close_boots=close_boots)
        chip.sync_enters = sync_enters
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"{self.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connection: socket.socket | None = None
        clock.watch(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if self._connection and self._has_left(self._connection):
            self._readable()
        if self._connection or not self.plugged:
            connection.close()
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._outlet = Outlet(self.clock, connection.fileno())
        self.clock.watch(connection.fileno(), self._readable)
        self._connected()

    def _connected(self) -> None:
        pass

    @staticmethod
    def _has_left(connection: socket.socket) -> bool:
        try:
            return not connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _readable(self) -> None:
        assert self._connection
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            self._host_left()
            return
        self._received(data, self._from_host)

    def _from_host(self, data: bytes) -> None:
        self.chip.receive(data)

    def _send(self, data: bytes) -> None:
        if self._connection:
            self._outlet.write(data)

    def _open(self) -> None:
        """The listener was there all the time: the number of the port stays ours."""

    def _hang_up(self) -> None:
        if self._connection:
            self._outlet.close()
            self.clock.unwatch(self._connection.fileno())
            connection = self._connection
            self._connection = None
            quietly(lambda: connection.shutdown(socket.SHUT_RDWR))
            connection.close()

    def close(self) -> None:
        self.plugged = False
        self._hang_up()
        self.clock.unwatch(self._listener.fileno())
        self._listener.close()
        super().close()


class _Nonsense(Exception):
    """The host negotiates what RFC 2217 does not know."""


class Rfc2217Door(SocketDoor):
    """`url` is rfc2217://127.0.0.1:PORT. DTR and RTS reset the chip by the rules of `Lines`, SYNC alone does nothing."""

    scheme = "rfc2217"

    def __init__(self, chip: Chip, clock: RealClock, *, close_boots: bool = False, sync_enters: bool = False):
        super().__init__(chip, clock, close_boots=close_boots, sync_enters=sync_enters)
        self.lines = Lines(chip, chip.usb_jtag)
        chip.host_baud = lambda: self.lines.baudrate

    def _connected(self) -> None:
        self._manager = PortManager(self.lines, self._outlet)

    def _hang_up(self) -> None:
        super()._hang_up()
        self.lines.baudrate = CONSOLE_BAUD
        self.lines.drop()

    def _from_host(self, data: bytes) -> None:
        manager = self._manager
        if _IAC in data or manager.mode != 0 or manager.suboption is not None:
            try:
                data = self._unpacked(data)
            except _Nonsense:
                self._hang_up()
                self._host_left()
                return
        if data:
            self.chip.receive(data)

    def _unpacked(self, data: bytes) -> bytes:
        """Bytes and settings come in turn: those before a change of the lines belong to the time before."""
        plain = bytearray()
        before = self._state()
        for byte in self._filtered(data):
            if self._state() != before:
                before = self._state()
                self.chip.receive(bytes(plain))
                plain.clear()
            plain += byte
        return bytes(plain)

    def _filtered(self, data: bytes) -> Iterator[bytes]:
        """What is left without the settings. pyserial's manager trusts their lengths and values. Raises _Nonsense."""
        try:
            yield from self._manager.filter(data)
        except (LookupError, TypeError, ValueError, struct.error):
            raise _Nonsense from None
        if len(self._manager.suboption or b"") > _LONGEST_SUBOPTION:
            raise _Nonsense

    def _state(self) -> tuple[bool, bool, int]:
        return self.lines.dtr, self.lines.rts, self.lines.baudrate

    def _send(self, data: bytes) -> None:
        super()._send(data.replace(_IAC, _IAC + _IAC))
