"""A chip on the other end of a serial line: its boot, its download mode, its resets. A state machine without I/O."""

from __future__ import annotations

from collections.abc import Callable

from ..board.flash import NorFlash
from . import bootable, slip
from .kinds import KINDS, initial_registers
from .loader import SYNC_PAYLOAD, Loader
from .registers import Registers
from .rom_loader import RomLoader
from .stub_loader import StubLoader

CONSOLE_BAUD = 115200
_TOLERANCE = 0.03  # of the baud rate; a UART samples a character in its middle


def _nothing(*_: object) -> None:
    pass


class Chip:
    """One ESP32, ESP32-S3 or ESP32-C3 with its flash.

    kind          "esp32", "esp32s3", "esp32c3"
    flash         the content lives on here: what a host wrote is what boots
    mac           6 bytes
    on_app        the chip has been reset and starts the application in flash (`boot` says which); it may have been running
    on_download   the chip has been reset into download mode, or finds nothing to start: no application runs any more
    revision      (major, minor)
    usb_jtag      the host is on the chip's own USB-Serial-JTAG (S3 and C3), not on a UART bridge
    baud          of the console after a reset
    flash_id      what the flash tells about itself, 0xFFFFFF for nothing; default from its size

    send          the chip's bytes to the host; the door sets it
    to_app        the host's bytes to the running application; whoever runs it sets it
    mode          "app" (also while the chip looks for something to start), "rom", "stub", "off" (no power)
    host_baud     tells the host's rate, None where the door has none; what comes at another rate than the chip's is noise
    sync_enters   SYNC stands for a reset into download mode where the chip would not hear it: for doors without DTR and RTS
    disturb       called as disturb(op, how many of that op so far); "lose command", "lose answer", "refuse" or None
    """

    def __init__(
        self,
        kind: str,
        flash: NorFlash,
        mac: bytes,
        on_app: Callable[[], None] = _nothing,
        on_download: Callable[[], None] = _nothing,
        *,
        revision: tuple[int, int] | None = None,
        usb_jtag: bool = False,
        secure_boot: bool = False,
        encryption: bool = False,
        baud: int = CONSOLE_BAUD,
        flash_id: int | None = None,
    ):
        if kind not in KINDS:
            raise ValueError(f"there is no simulated chip {kind!r} -> {', '.join(KINDS)}")
        self.kind = KINDS[kind]
        if len(mac) != 6:
            raise ValueError(f"a MAC has 6 bytes, not {len(mac)}")
        if usb_jtag and not self.kind.usb_jtag:
            raise ValueError(f"the {self.kind.title} has no USB of its own -> usb_jtag=False")
        self.flash, self.mac = flash, mac
        self.on_app, self.on_download = on_app, on_download
        self.revision = self.kind.revision if revision is None else revision
        self.usb_jtag, self.secure_boot, self.encryption = usb_jtag, secure_boot, encryption
        values = initial_registers(
            self.kind, mac, self.revision, secure_boot=secure_boot, encryption=encryption, usb_jtag=usb_jtag
        )
        self.registers = Registers(self.kind, values, flash.size, flash_id)
        self.boot = bootable.Boot()
        self.mode = "app"
        self.baud = self._console_baud = baud
        self.host_baud: Callable[[], int | None] = lambda: None
        self._baud_known = True
        self._cause = "pin"
        self.sync_enters = False
        self.send: Callable[[bytes], None] = _nothing
        self.to_app: Callable[[bytes], None] = _nothing
        self.disturb: Callable[[int, int], str | None] | None = None
        self.counts: dict[int, int] = {}
        self._loader: Loader = RomLoader(self)
        self._frames = slip.Decoder()
        self._recent = b""

    def power_on(self) -> None:
        """Start what is in flash, or say that nothing is."""
        self._cause = "pin"
        self._restart(download=False)

    def power_off(self) -> None:
        """Whatever runs ends, in the middle of it."""
        self.mode = "off"
        self.on_download()

    def reset(self, *, download: bool, cause: str = "") -> None:
        """A reset with the boot pin low (`download`) or high. `cause`: "pin", "watchdog", "software", "usb"; by default what
        a host does. Without power nothing happens."""
        if self.mode == "off":
            return
        self._cause = cause or ("usb" if self.usb_jtag else "pin")
        self._restart(download)

    def _restart(self, download: bool) -> None:
        self.registers.reset()
        self.baud = self._console_baud
        self._baud_known = not download
        self._frames.forget()
        self._recent = b""
        if download:
            self.mode = "rom"
            self._loader = RomLoader(self)
            self.on_download()
            self._print(self._rom_text(self.kind.download_boot) + "waiting for download\r\n")
            return
        self.mode = "app"
        self.boot = bootable.check(self.flash, self.kind.name, self.revision)
        if self.boot.application:
            self._print(self._start_text())
            self.on_app()
        else:
            self.on_download()
            self.say_fault()

    def say_fault(self) -> None:
        """A chip with nothing to start says so, again and again: for whoever has a clock to call about once a second."""
        if self.mode == "app" and self.boot.fault:
            times = 4 if self.boot.rom_fault and self.boot.fault.startswith("invalid header") else 1
            text = self._rom_text(self.kind.app_boot) if self.boot.rom_fault else self._start_text()
            self._print(text + (self.boot.fault + "\r\n") * times)
            self._cause = "watchdog" if self.boot.rom_fault else "software"  # of the start that follows

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        if self.mode == "off":
            return
        heard = self._in_step()
        if self.mode == "app" or not heard:
            start = self._sync_in(data) if self.sync_enters else None
            if start is None:
                if heard:
                    self.to_app(data)
                return
            self.reset(download=True)
            data = start
        for packet in self._frames.feed(data):
            self._loader.packet(packet)

    def from_app(self, data: bytes) -> None:
        """Bytes from the running application."""
        if self.mode == "app":
            self._out(data)

    def send_packet(self, packet: bytes) -> None:
        self._out(slip.encode(packet))

    def measure_baud(self) -> None:
        """The ROM finds the host's rate when it is spoken to."""
        if self.mode == "rom" and not self._baud_known:
            self.baud = self.host_baud() or self.baud
            self._baud_known = True

    def start_stub(self) -> None:
        self.mode = "stub"
        self._loader = StubLoader(self)
        self.send_packet(b"OHAI")

    def leave_stub(self) -> None:
        """Back to the ROM, without a reset of the pins."""
        self.reset(download=True, cause="software")

    def run_application(self) -> None:
        self.reset(download=False, cause="software")

    def watchdog_reset(self) -> None:
        self.reset(download=False, cause="watchdog")

    def _sync_in(self, data: bytes) -> bytes | None:
        """The frame of the first SYNC in what has come, from its beginning; it may come in pieces."""
        self._recent = (self._recent + data)[-4096:]
        found = self._recent.find(SYNC_PAYLOAD)
        if found < 0:
            return None
        return self._recent[max(self._recent.rfind(slip.END, 0, found), 0) :]

    def _in_step(self) -> bool:
        host_baud = self.host_baud()
        if host_baud is None or self.usb_jtag or not self._baud_known:
            return True
        return abs(self.baud - host_baud) <= _TOLERANCE * host_baud

    def _out(self, data: bytes) -> None:
        self.send(data if self._in_step() else data.translate(_NOISE))

    def _print(self, text: str) -> None:
        self._out(text.encode())

    def _rom_text(self, boot: str) -> str:
        return f"{self.kind.rom_text}{self.kind.causes[self._cause]},{boot}\r\n"

    def _start_text(self) -> str:
        """The ROM's words while it loads the boot loader. Stock MicroPython's own boot loader speaks of errors only."""
        lines = [self._rom_text(self.kind.app_boot) + "mode:DIO, clock div:2"]
        if self.boot.loaded:
            lines += [f"load:{part.address:#010x},len:{part.length}" for part in self.boot.loaded.segments]
            lines.append(f"entry {self.boot.loaded.entry:#010x}")
        return "\r\n".join(lines) + "\r\n"


# what a UART makes of a character at another rate: nothing that can be read
_NOISE = bytes((byte * 149 + 0x9B) & 0xFF | 0x80 for byte in range(256))
