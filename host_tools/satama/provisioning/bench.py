"""How the next board comes to the port: somebody is asked to plug it in, or its port is waited for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..serial_line.ports import find_ports, is_local
from .cabinets import Cabinet

_LOOK_S = 0.5
_LOOK_AT_URL_S = 5.0  # each look at a board behind a URL resets it


class Skipped(Exception):
    """Not this cabinet now, but the others."""


class Missing(Exception):
    """The board of this cabinet is not there, or not the right one; others hang at ports of their own. The text says why."""


class Stopped(Exception):
    """No further boards; the text says why, where somebody did not just wish so."""


class Bench(Protocol):
    def next_port(self, cabinet: Cabinet, why: str = "") -> str:
        """The port at which the board for this cabinet is now. `why`: what was wrong with the board that was there, if one was.

        Raises Skipped, Missing or Stopped.
        """


def describe(cabinet: Cabinet) -> str:
    """Which cabinet, for somebody with boards and a list in his hands."""
    where = f", {cabinet.location}" if cabinet.location else ""
    mac = f", the one with MAC {cabinet.mac}" if cabinet.mac else ""
    return f"{cabinet.gateway} (row {cabinet.line}{where}{mac})"


def usb_ports() -> list[str]:
    """Names of the serial ports behind which a board may be."""
    return [port.name for port in find_ports() if port.likely]


class AskingBench:
    """Somebody at a terminal. Without a port it is the one that appeared since it was asked for."""

    def __init__(self, port: str | None, ask: Callable[[str], str], ports: Callable[[], list[str]] = usb_ports) -> None:
        self._port, self._ask, self._ports = port, ask, ports

    def next_port(self, cabinet: Cabinet, why: str = "") -> str:
        port = cabinet.port or self._port
        before = set() if port else set(self._ports())
        text = f"{why}\n" if why else ""
        text += f"plug in the board for {describe(cabinet)}" + (f" at {port}" if port else "")
        while True:
            answer = self._ask(f"{text}, then Enter; s skips it, q ends: ").strip().lower()
            if answer in ("s", "skip"):
                raise Skipped
            if answer in ("q", "quit"):
                raise Stopped
            if port:
                return port
            now = self._ports()
            if answer in map(str.lower, now):
                return next(one for one in now if one.lower() == answer)
            new = [one for one in now if one not in before] or now
            if len(new) == 1:
                return new[0]
            text = f"there are {len(new)} ports ({', '.join(new)}): type the one" if new else "no board is to be seen"


class WaitingBench:
    """Nobody is asked. A port of this machine is waited for: gone and there again it is another board's; a URL, or a port that
    stays whatever is behind it, is looked at again and again."""

    def __init__(
        self,
        port: str | None,
        wait_s: float,
        say: Callable[[str], None],
        ports: Callable[[], list[str]] = usb_ports,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._port, self._wait_s, self._say = port, wait_s, say
        self._ports, self._clock, self._sleep = ports, clock, sleep
        self._used: set[str] = set()  # ports whose board has been dealt with and was not unplugged yet
        self._goes = False  # the port was seen on USB: it goes with its board
        self._told = ""
        self._since: dict[str, float] = {}  # gateway -> when its board was asked for first

    def next_port(self, cabinet: Cabinet, why: str = "") -> str:
        if cabinet.port:
            return self._own(cabinet, why)
        at = f" at {self._port}" if self._port else ""
        end = self._since.setdefault(cabinet.gateway, self._clock()) + self._wait_s
        self._tell(f"{f'{why}: ' if why else ''}waiting for the board of {describe(cabinet)}{at}")
        while True:
            there = self._ports()
            self._used &= set(there)
            if self._stays(there):
                return self._again(cabinet, why, end)
            fresh = [one for one in there if one not in self._used and (not self._port or _same(self._port, one))]
            if len(fresh) == 1:
                self._used.add(fresh[0])
                return fresh[0]
            if len(fresh) > 1:
                raise Stopped(
                    f"boards at several ports: {', '.join(fresh)} -> unplug all but one, or --port, or a column port"
                )
            if self._clock() >= end:
                raise Stopped(f"no board came{at} within {self._wait_s:.0f} s -> plug it in and go on with --resume")
            self._sleep(_LOOK_S)

    def _stays(self, there: list[str]) -> bool:
        """Is it a port that does not go with its board: a URL, a UART of this machine, a pty?"""
        port = self._port
        if not port:
            return False
        self._goes = self._goes or any(_same(port, one) for one in there)
        return not is_local(port) or (Path(port).exists() and not self._goes)

    def _own(self, cabinet: Cabinet, why: str) -> str:
        """One of several that hang there side by side, with nobody to change them."""
        if why:
            raise Missing(why)
        return cabinet.port

    def _again(self, cabinet: Cabinet, why: str, end: float) -> str:
        if why:
            if self._clock() >= end:
                raise Stopped(f"{why} -> plug in the board of {describe(cabinet)} and go on with --resume")
            self._sleep(_LOOK_AT_URL_S)
        return self._port or ""

    def _tell(self, text: str) -> None:
        """Once, however often it is looked for."""
        if text != self._told:
            self._say(text)
            self._told = text


def _same(port: str, other: str) -> bool:
    """Is it one port? Windows does not tell com3 from COM3; Linux has names such as /dev/serial/by-id/.. for a port."""
    if port.casefold() == other.casefold():
        return True
    return Path(port).is_symlink() and os.path.realpath(port) == os.path.realpath(other)
