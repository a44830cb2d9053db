"""What the doors to a chip have in common: bytes that wait to be taken, and a cable that can be pulled."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

from ..timeline import RealClock
from .chip import Chip

_WAITING_LIMIT = 1 << 18  # of bytes that nobody reads; more than the protocol ever has on its way
_PATIENCE_S = 30


class Outlet:
    """A descriptor that does not block, and the bytes that it has not taken yet. Bytes that nobody reads are dropped."""

    def __init__(self, clock: RealClock, fileno: int):
        self._clock, self._fileno = clock, fileno
        self._waiting = bytearray()
        os.set_blocking(fileno, False)

    def write(self, data: bytes) -> None:
        if len(self._waiting) < _WAITING_LIMIT:
            self._waiting += data
            self._pump()

    def _pump(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: os.write(self._fileno, self._waiting[:16384])]
        except BlockingIOError:
            self._clock.watch_writable(self._fileno, self._pump)
            return
        except OSError:  # the other end is gone; reading tells
            self._waiting.clear()
        self._clock.unwatch_writable(self._fileno)

    def close(self) -> None:
        self._waiting.clear()
        self._clock.unwatch_writable(self._fileno)


class Door:
    """One way into the chip: `url` is what a host opens.

    close_boots   what a host that goes away leaves in download mode starts the application, as if a reset button had been
                  pressed: these doors have no line that could. Off for chains of commands with --after no-reset
    taken         bytes that came from the host
    on_pull       called when the cable has been pulled
    owner         the thread that serves the clock; by default the one that makes the door. `pull`, `plug_in` and `do` may be
                  called from others: they are done there
    """

    url = ""

    def __init__(self, chip: Chip, clock: RealClock, *, close_boots: bool):
        self.chip, self.clock, self.close_boots = chip, clock, close_boots
        self.taken = 0
        self.plugged = True
        self.on_pull: Callable[[], None] = lambda: None
        self.owner = threading.get_ident()
        self._cut_at: int | None = None
        self._powers = False
        self._orders: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._bell, self._rope = os.pipe()
        clock.watch(self._bell, self._obey)
        chip.send = self._send

    def cut_after(self, count: int, *, powers: bool = False) -> None:
        """Pull the cable when the host has sent `count` more bytes, in the middle of them. Until `plug_in` nothing gets
        through. `powers`: the board lives on this cable; it starts anew when it is plugged in."""
        self._cut_at = self.taken + count
        self._powers = powers

    def pull(self, *, powers: bool = False) -> None:
        """Pull the cable now."""
        self.do(lambda: self._pull(powers))

    def plug_in(self) -> None:
        """The cable is back, at the same `url`."""
        self.do(self._plug_in)

    def do(self, action: Callable[[], None]) -> None:
        """Run `action` in the thread that owns the door, for chip and door are not to be touched by two at once."""
        if threading.get_ident() == self.owner:
            action()
            return
        done = threading.Event()
        self._orders.put((action, done))
        os.write(self._rope, b"!")
        if not done.wait(_PATIENCE_S):
            raise RuntimeError(f"nobody serves the door {self.url} -> run its clock in the thread that owns it")

    def _obey(self) -> None:
        os.read(self._bell, 1)
        action, done = self._orders.get()
        action()
        done.set()

    def _pull(self, powers: bool) -> None:
        if not self.plugged:
            return
        self._cut_at = None
        self._powers = powers
        self.plugged = False
        self._hang_up()
        if powers:
            self.chip.power_off()
        self.on_pull()

    def _plug_in(self) -> None:
        if self.plugged:
            return
        self.plugged = True
        self._open()
        if self._powers:
            self.chip.power_on()

    def close(self) -> None:
        self.clock.unwatch(self._bell)
        os.close(self._bell)
        os.close(self._rope)

    def _open(self) -> None:
        raise NotImplementedError

    def _hang_up(self) -> None:
        raise NotImplementedError

    def _send(self, data: bytes) -> None:
        raise NotImplementedError

    def _received(self, data: bytes, on_data: Callable[[bytes], None]) -> None:
        """Bytes from the host, up to where the cable is pulled."""
        if self._cut_at is not None and self.taken + len(data) >= self._cut_at:
            data = data[: self._cut_at - self.taken]
            self.taken += len(data)
            on_data(data)
            self._pull(self._powers)
            return
        self.taken += len(data)
        on_data(data)

    def _host_left(self) -> None:
        if self.close_boots and self.chip.mode != "app":
            self.chip.reset(download=False)


def quietly(action: Callable[[], object]) -> None:
    with contextlib.suppress(OSError):
        action()
