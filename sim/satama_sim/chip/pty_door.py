"""A pseudo terminal: a serial port without DTR and RTS."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import sys
import tempfile
import termios
import tty
from pathlib import Path

from ..timeline import RealClock
from .chip import CONSOLE_BAUD, Chip
from .door import Door, Outlet

_SPEEDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit() and name != "B0"
}

_UNREAD_LIMIT = 2000  # the terminal's own buffer has 4096


class PtyDoor(Door):
    """`url` is the path of a link to the terminal: it stays the same when the cable was pulled.

    Its modem lines do nothing, so SYNC enters download mode, and the host's closing the port starts the application.
    """

    def __init__(self, chip: Chip, clock: RealClock, *, close_boots: bool = True, sync_enters: bool = True):
        super().__init__(chip, clock, close_boots=close_boots)
        chip.sync_enters = sync_enters
        chip.host_baud = self._baud
        self._folder = tempfile.TemporaryDirectory(prefix="satama-port-")
        self.url = str(Path(self._folder.name, "ttyChip"))
        self._theirs = -1
        self._fast = False  # the host has changed over to another speed than the console's
        self._open()

    def _open(self) -> None:
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self._set_console_baud()
        self._name = os.ttyname(self._theirs)
        self._outlet = Outlet(self.clock, self._ours)
        Path(self.url).symlink_to(self._name)
        self.clock.watch(self._ours, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._ours, 65536)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:  # the host has closed its end: an error on Linux, an end of file elsewhere
            self._fast = False
            self._hold()
            self._host_left()
            return
        self._release()
        self._notice_another_host()
        self._received(data, self.chip.receive)

    def _notice_another_host(self) -> None:
        """One that left and came again before anybody looked has left no trace but its speed, that of a console."""
        if self._fast and self.chip.baud != CONSOLE_BAUD and self._baud() == CONSOLE_BAUD:
            self._host_left()
        self._fast = self.chip.baud != CONSOLE_BAUD and self._baud() == self.chip.baud

    def _hold(self) -> None:
        """While no host is there our own end stays open: a terminal that nobody has open reads as an error, all the time."""
        if self._theirs < 0:
            self._theirs = os.open(self._name, os.O_RDWR | os.O_NOCTTY)
            self._set_console_baud()

    def _release(self) -> None:
        """A host is there: from now on the error tells that it left."""
        if self._theirs >= 0:
            os.close(self._theirs)
            self._theirs = -1

    def _set_console_baud(self) -> None:
        mode = termios.tcgetattr(self._theirs)
        mode[4] = mode[5] = getattr(termios, f"B{CONSOLE_BAUD}")
        termios.tcsetattr(self._theirs, termios.TCSANOW, mode)

    def _baud(self) -> int | None:
        if not self.plugged:
            return None
        return _SPEEDS.get(termios.tcgetattr(self._ours)[5])

    def _send(self, data: bytes) -> None:
        if not self.plugged or (self._theirs >= 0 and self._unread() > _UNREAD_LIMIT):
            return
        self._outlet.write(data)

    def _unread(self) -> int:
        """Bytes that wait for a host that has not spoken yet, if there is one at all: what it opens the port for is not what
        was said hours ago, and opening drops only what is no more than this."""
        return int.from_bytes(fcntl.ioctl(self._theirs, termios.FIONREAD, bytes(4)), sys.byteorder)

    def _hang_up(self) -> None:
        self.clock.unwatch(self._ours)
        self._outlet.close()
        Path(self.url).unlink(missing_ok=True)
        for descriptor in (self._ours, self._theirs):
            if descriptor >= 0:
                os.close(descriptor)
        self._ours = self._theirs = -1

    def close(self) -> None:
        if self.plugged:
            self.plugged = False
            self._hang_up()
        self._folder.cleanup()
        super().close()
