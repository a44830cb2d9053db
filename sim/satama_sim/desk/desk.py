"""A board on the desk: a port that esptool, mpremote and `satama flash` open, and behind it chip, flash and virtual board in real time.

with Desk(site="cabinet.toml", flash=b"") as desk:  # or board="esp32-devkit": nothing is around it
    print(desk.url)
    desk.run("10m")
"""

from __future__ import annotations

import os
from typing import Protocol

from satama.boards.board import Board, load_board

from ..board.board import SimBoard
from ..board.flash import NorFlash
from ..board.flash_file import FlashFile
from ..board.radio import Radio
from ..cabinet import HEAP_BYTES, Cabinet, microseconds, one_core, traits_of, vm_version
from ..chip import Door, PtyDoor, Rfc2217Door, SocketDoor, keep_saying
from ..module import Module
from ..network.net import Network
from ..timeline import RealClock, Timeline, VirtualClock
from ..vm import umqtt
from ..vm.path import find_vm

DOORS: dict[str, type[Door]] = {"pty": PtyDoor, "socket": SocketDoor, "rfc2217": Rfc2217Door}
_CONSOLE_KEPT = 1 << 20  # bytes


class Powered(Protocol):
    """What the desk asks of whatever is on it."""

    board: SimBoard
    timeline: Timeline
    clock: RealClock
    module: Module
    console_output: bytearray

    def run_to_us(self, until_us: int) -> None: ...

    def close(self) -> None: ...


class LoneBoard:
    """A board with nothing around it: no devices, no network. It boots from its flash under the real clock."""

    def __init__(
        self,
        spec: Board,
        flash: bytes | os.PathLike[str],
        vm: str | os.PathLike[str] | None = None,
        seed: int = 1,
        mac: bytes = b"\x24\x0a\xc4\x00\x00\x01",
    ):
        command = find_vm(vm)
        vm_version(tuple(command))  # what is none is told now, and not when something boots
        self.timeline, self.clock = Timeline(), RealClock()
        self._file = FlashFile(flash, spec.flash_bytes)
        self.flash = NorFlash(spec.flash_bytes, self._file.read())
        network, radio = Network(self.timeline, 0), Radio(self.timeline, {})
        radio.set_cable(False)
        self.board = SimBoard(
            self.timeline,
            self.clock,
            traits_of(spec, mac),
            self.flash,
            network,
            radio,
            command,
            str(umqtt.ensure()),
            HEAP_BYTES,
            seed,
        )
        self.console_output = bytearray()
        self.module = Module(self.board, spec)
        self.clock.start(self.timeline)
        self.board.power_on()

    def run_to_us(self, until_us: int) -> None:
        with one_core():
            self.board.run_until(until_us)

    def close(self) -> None:
        self.board.power_off()
        try:
            self._file.write(self.flash.data)
        finally:
            self.flash.close()


class Desk:
    """One board and its door. Not to be shared between threads, but `url` and `door`."""

    def __init__(
        self,
        site: str | os.PathLike[str] | None = None,
        *,
        board: str | None = None,
        port: str = "pty",
        flash: bytes | os.PathLike[str] = b"",
        broker: str | None = None,
        vm: str | os.PathLike[str] | None = None,
        seed: int = 1,
        **door_options: bool,
    ):
        """
        site     the cabinet around the board: devices, network and broker of this site file; or
        board    the name of a board, with nothing around it
        port     "pty", "socket", "rfc2217": the kind of door; `url` is what to open
        flash    as of Cabinet: what the chip holds at the start; a blank one by default
        broker   host:port of a real broker in the place of the simulated one

        Raises satama.core.problems.Problems, ValueError, VmMissing.
        """
        if port not in DOORS:
            raise ValueError(f"there is no kind of port {port!r} -> {', '.join(DOORS)}")
        if site is None and board is None:
            raise ValueError("nothing is said of what lies on the desk -> a site file, or --board NAME")
        if site is not None and board is not None:
            raise ValueError(f"{site} names its own board -> a site file, or --board NAME")
        self._closed = False
        self.powered: Powered
        if board is not None:
            if broker:
                raise ValueError(
                    f"--broker {broker}: a board with nothing around it has no network -> give a site file"
                )
            self.spec = load_board(board)
            self.powered = LoneBoard(self.spec, flash, vm, seed)
            self.cabinet: Cabinet | None = None
        else:
            assert site is not None
            cabinet = Cabinet(site, clock="real", flash=flash, broker=broker, vm=vm, seed=seed, keep=False)
            self.spec = cabinet.compiled.board
            self.powered = self.cabinet = cabinet  # type: ignore[assignment]  # it has a module: there is a flash
        chip = self.chip = self.powered.module.chip
        try:
            self.door = DOORS[port](chip, self.powered.clock, **door_options)
        except BaseException:  # no terminal or socket is left
            self.powered.close()
            raise
        self.url = self.door.url
        self._to_host, chip.send = chip.send, self._out
        keep_saying(chip, self.powered.timeline)

    def _out(self, data: bytes) -> None:
        self._to_host(data)
        if self.chip.mode == "app":
            kept = self.powered.console_output
            kept += data
            del kept[:-_CONSOLE_KEPT]

    @property
    def console_text(self) -> str:
        """The end of what the console has shown, but for what was said in download mode."""
        return bytes(self.powered.console_output).decode(errors="replace")

    def run(self, duration: str | int | float) -> None:
        """Let real time pass. Raises SimError."""
        self.powered.run_to_us(self.powered.clock.now_us() + microseconds(duration))

    def hurry(self, duration: str | int | float) -> None:
        """Let time pass as fast as the machine can. What comes in from outside meanwhile is seen afterwards: a second at a time. Raises SimError."""
        board, clock = self.powered.board, self.powered.clock
        board.clock = VirtualClock()
        try:
            self.powered.run_to_us(self.powered.timeline.now_us + microseconds(duration))
        finally:
            board.clock = clock
            clock.start(self.powered.timeline)

    def close(self) -> None:
        """Take it off, once. Raises ValueError when the file of the flash cannot be written."""
        if self._closed:
            return
        self._closed = True
        try:
            self.door.close()
        finally:
            self.powered.close()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
