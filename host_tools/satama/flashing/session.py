"""One session with the chip's boot loader by esptool's Python API: read, compare, erase, write, restart.

The port is opened by us with the timeout of esptool's commands: over RFC 2217 pyserial negotiates each change of it anew,
which makes a session ten times slower.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import serial
from esptool import cmds
from esptool.loader import DEFAULT_CONNECT_ATTEMPTS, ESPLoader
from esptool.reset import HardReset
from esptool.util import FatalError, flash_size_bytes

from ..boards.board import Board
from ..core.progress import Step
from ..serial_line import ports
from ..serial_line.ports import PORT_FAULTS, PortError, open_port
from .errors import WRONG_USE, FlashError
from .quiet_log import progress_to

ROM_BAUD = 115200
FAST_BAUD = 460800  # what cheap bridges and cables still manage
_COMMAND_TIMEOUT_S = 3
_ERASED_AT_ONCE = 1 << 16
# esptool's own complaint, and what it stumbles over when the line brings something that is no answer
_NONSENSE = (FatalError, struct.error, LookupError, ValueError, RuntimeError)


class Session:
    """A chip whose stub loader listens. Offsets and sizes in bytes. Every method raises FlashError.

    changed   whether anything was erased or written
    """

    def __init__(self, esp: ESPLoader, url: str) -> None:
        self._esp, self._url = esp, url
        self._esp.WRITE_FLASH_ATTEMPTS = 1  # a cable that was pulled is told at once; the next run goes on
        self.changed = False

    @property
    def chip(self) -> str:
        """As board files call it."""
        return self._esp.CHIP_NAME.lower().replace("-", "")

    @property
    def revision(self) -> int:
        """100 x major + minor."""
        with _told(self._url):
            return self._esp.get_chip_revision()

    @property
    def mac(self) -> str:
        """The chip's base address, e.g. "24:0a:c4:12:34:56"."""
        with _told(self._url):
            return ":".join(f"{byte:02x}" for byte in self._esp.read_mac("BASE_MAC"))

    def attach(self) -> int | None:
        """Make the flash usable; its size, None when it does not tell."""
        with _told(self._url):
            cmds.attach_flash(self._esp)
            named = cmds.detect_flash_size(self._esp)
            size = flash_size_bytes(named) if named else None
            if size:
                self._esp.flash_set_parameters(size)
            return size

    def read(self, at: int, size: int) -> bytes:
        with _told(self._url):
            return self._esp.read_flash(at, size)

    def md5(self, at: int, size: int) -> str:
        """Of what stands in the flash now, in hex; computed by the chip."""
        with _told(self._url):
            return self._esp.flash_md5sum(at, size)

    def erase(self, at: int, size: int, step: Step) -> None:
        """Whole sectors."""
        self.changed = True
        for done in range(0, size, _ERASED_AT_ONCE):
            with _told(self._url):
                self._esp.erase_region(at + done, min(_ERASED_AT_ONCE, size - done))
            step.to(min(done + _ERASED_AT_ONCE, size))

    def write(self, at: int, data: bytes, step: Step) -> None:
        """Erase, write and compare by the chip's MD5; `at` is the start of a sector."""
        self.changed = True
        with _told(self._url), progress_to(lambda done, of: step.to(len(data) * done // max(of, 1))):
            cmds.write_flash(self._esp, [(at, data)])

    def restart(self) -> bool:
        """Start what is in the flash; False where the port cannot do that."""
        try:
            if not ports.is_socket(self._url):
                self._esp.hard_reset()
            elif self._esp.WATCHDOG_RESET_SUPPORTED:
                self._esp.watchdog_reset()
            else:
                return False
        except (*_NONSENSE, *PORT_FAULTS):
            return False
        return True


@contextlib.contextmanager
def connect(url: str, board: Board, baud: int) -> Iterator[Session]:
    """A session with whatever chip is at the port. Raises FlashError: the port, nobody there, a locked chip. What ran on a chip
    with which no session comes about is started again.

    baud   for the time after the connection; a plain TCP port stays as it is
    """
    try:
        port = open_port(url, ROM_BAUD, _COMMAND_TIMEOUT_S)
    except PortError as error:
        raise FlashError(str(error), "port", WRONG_USE) from None
    try:
        try:
            session = _begin(port, url, board, baud)
        except BaseException:
            _let_run(port, url)
            raise
        yield session
    finally:
        with contextlib.suppress(*PORT_FAULTS):
            port.close()


def _begin(port: serial.SerialBase, url: str, board: Board, baud: int) -> Session:
    esp = _enter(port, url, board, baud)
    with _told(url):
        _check_locks(esp)
        esp = cmds.run_stub(esp)
        if baud != ROM_BAUD and not ports.is_socket(url):
            esp.change_baud(baud)
    return Session(esp, url)


def _let_run(port: serial.SerialBase, url: str) -> None:
    """Reset a chip of which nothing is known into what is in its flash; esptool closes the port itself when nobody was there."""
    if port.is_open and not ports.is_socket(url):
        with contextlib.suppress(*PORT_FAULTS):
            port.dtr = False  # Ctrl-C may have come amid a reset into the boot loader, when it is set
            HardReset(port, uses_usb=True)()  # the longer pulse, which suits both


def _enter(port: serial.SerialBase, url: str, board: Board, baud: int) -> ESPLoader:
    """Reset the chip into its boot loader and find out what it is."""
    said = ""
    for mode, speed, attempts in _ways(url, board, baud):
        try:
            if not port.is_open:  # esptool closes it after a failure
                port.open()
            return cmds.detect_chip(port, speed, mode, False, attempts)
        except PORT_FAULTS as error:
            raise FlashError(ports.lost(url, error), "port_lost") from None
        except _NONSENSE as error:
            said = said or str(error)
    raise _nobody(said, url, board)


def _ways(url: str, board: Board, baud: int) -> list[tuple[str, int, int]]:
    """(mode, speed, attempts) to reach a boot loader. On this machine esptool sees by the USB ids which reset circuit
    it is; over a network it must be told. The last way finds a stub loader that a cut left behind, where no line can reset it."""
    resets = ["default-reset"]
    if ports.is_rfc2217(url) and board.console.reset == "usb-jtag":
        resets.insert(0, "usb-reset")
    left_behind = [("no-reset", baud, 1)] if baud != ROM_BAUD else []
    return [(mode, ROM_BAUD, DEFAULT_CONNECT_ATTEMPTS) for mode in resets] + left_behind


def _check_locks(esp: ESPLoader) -> None:
    again = "take another chip: this lock cannot be undone"
    if esp.secure_download_mode:
        raise FlashError(f"the chip is locked to secure download mode -> {again}", "locked")
    if esp.get_secure_boot_enabled():
        raise FlashError(f"secure boot is on: the chip starts only what its owner signed -> {again}", "locked")
    if esp.get_flash_encryption_enabled():
        raise FlashError(f"flash encryption is on: the chip would not understand what is written -> {again}", "locked")


def _by_hand(board: Board) -> str:
    """How a person gets this board into its boot loader; board files tell it as a quirk where it is unusual."""
    own = next((quirk for quirk in board.quirks if "flash" in quirk.lower()), "")
    if board.console.reset == "by-hand" and own:
        return f"{own.rstrip('.')}. Then run the same command again"
    boot = "GPIO 0" if board.chip != "esp32c3" else "GPIO 9"
    hold = f"hold the board's BOOT button (or connect {boot} with GND), press RESET, let go of BOOT"
    return f"{hold}, then run the same command again"


def _nobody(said: str, url: str, board: Board) -> FlashError:
    """Why no boot loader answered, from what esptool saw."""
    if "no sync reply" in said:
        what = "the board is in its boot loader, but does not hear us"
        return FlashError(f"{what} -> try another cable; at a bare adapter: its TX to the board's RX", "one_way")
    if "Wrong boot mode" in said:
        what = "the board restarts, but does not enter its boot loader"
        return FlashError(f"{what} -> {_by_hand(board)}", "no_boot_loader")
    if "Unexpected chip" in said or "autodetect" in said:
        what = f"what answers at {url} is no chip that esptool knows"
        return FlashError(f"{what} -> is it the right port? see: satama ports", "wrong_chip")
    if "Invalid head" in said or "noise" in said or "Guru" in said or "Packet content" in said:
        what = f"something talks at {url}, but no boot loader does"
        return FlashError(f"{what} -> is it the right port? If so: {_by_hand(board)}", "no_boot_loader")
    what = f"nobody answers at {url}"
    return FlashError(f"{what} -> is the board powered, and this its port? Then {_by_hand(board)}", "silent")


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """What esptool and the port raise comes out as FlashError."""
    try:
        yield
    except PORT_FAULTS as error:
        raise FlashError(ports.lost(url, error), "port_lost") from None
    except _NONSENSE as error:
        text = str(error).partition("\n")[0].strip()
        if "MD5 of file does not match" in text or "flash region is empty" in text:
            what = "the flash does not hold what was written"
            hint = "run the same command again; if that happens twice, the flash is worn out: take another board"
            raise FlashError(f"{what} -> {hint}", "verify") from None
        if text.startswith("Failed to") and "result was" in text:
            hint = f"run the same command again; if that happens twice: --baud {ROM_BAUD}, another power supply, another board"
            raise FlashError(f"the chip reports a fault ({text}) -> {hint}", "chip_fault") from None
        if "baud" in text.lower():
            raise FlashError(f"the port does not manage this speed -> add --baud {ROM_BAUD}", "baud", 2) from None
        hint = f"run the same command again; if that happens twice: another cable, or --baud {ROM_BAUD}"
        raise FlashError(f"the chip stopped answering ({text.rstrip('.')}) -> {hint}", "stopped") from None
