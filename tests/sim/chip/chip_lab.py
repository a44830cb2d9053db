"""A chip without a door, and the host's side of its protocol."""

import struct
from functools import reduce
from operator import xor

from satama_sim.board.flash import NorFlash
from satama_sim.chip import Chip, slip, stock_image
from satama_sim.chip.kinds import KINDS
from satama_sim.chip.loader import SYNC_PAYLOAD, Op

MAC = bytes.fromhex("240ac4c0dbff")  # with the bytes that SLIP and telnet replace
SIZE = 1 << 20
APP_BYTES = 128 * 1024


def flashed(kind: str, size: int, **options) -> NorFlash:
    """A flash with made-up stock firmware for 4 MiB in it."""
    flash = NorFlash(size)
    options.setdefault("flash_size", 4 << 20)
    image = stock_image(kind, app_bytes=APP_BYTES, **options)
    flash.program(KINDS[kind].bootloader_offset, image)
    return flash


class Host:
    """Sends commands to a chip and takes its answers."""

    def __init__(self, kind: str = "esp32", flash: NorFlash | None = None, **options):
        self.flash = NorFlash(SIZE) if flash is None else flash
        self.events: list[str] = []
        self.chip = Chip(
            kind,
            self.flash,
            MAC,
            on_app=lambda: self.events.append("app"),
            on_download=lambda: self.events.append("download"),
            **options,
        )
        self.heard = b""
        self._frames = slip.Decoder()
        self.chip.send = self._take
        self.packets: list[bytes] = []

    def _take(self, data: bytes) -> None:
        self.heard += data
        self.packets += self._frames.feed(data)

    def download(self) -> "Host":
        """In the ROM, spoken to, and with the flash attached."""
        self.chip.reset(download=True)
        self.command(Op.SYNC, SYNC_PAYLOAD)
        self.ask(Op.SPI_ATTACH, struct.pack("<II", 0, 0))
        return self

    def stub(self) -> "Host":
        self.download()
        self.ask(Op.MEM_BEGIN, struct.pack("<IIII", 4, 1, 0x1800, 0x4009F000))
        self.block(Op.MEM_DATA, b"stub")
        self.ask(Op.MEM_END, struct.pack("<II", 0, 0x4009F000))
        assert self.packets.pop() == b"OHAI"
        return self

    def command(self, op: int, data: bytes = b"", checksum: int = 0) -> list[bytes]:
        """The packets that answer."""
        self.packets = []
        self.chip.receive(slip.encode(struct.pack("<BBHI", 0, op, len(data), checksum) + data))
        return self.packets

    def ask(self, op: int, data: bytes = b"", checksum: int = 0, expect: int = 0) -> tuple[int, bytes]:
        """(value, data) of the answer, whose status must be `expect`."""
        status_length = 2 if self.chip.mode == "stub" else 4
        answer = self.command(op, data, checksum)[0]
        direction, answered, length, value = struct.unpack_from("<BBHI", answer)
        assert (direction, answered, length) == (1, op, len(answer) - 8)
        status = answer[-status_length:]
        code = status[0] if status_length == 2 else status[1]
        assert code == expect, status
        return value, answer[8:-status_length]

    def block(self, op: int, data: bytes, sequence: int = 0, expect: int = 0, checksum: int | None = None) -> None:
        proper = reduce(xor, data, 0xEF)
        header = struct.pack("<IIII", len(data), sequence, 0, 0)
        self.ask(op, header + data, proper if checksum is None else checksum, expect)

    def begin(self, op: int, size: int, offset: int, block: int = 0x400, words: int = 4, expect: int = 0) -> None:
        values = (size, -(-size // block), block, offset, 0)[:words]
        self.ask(op, struct.pack(f"<{words}I", *values), expect=expect)

    def text(self) -> str:
        """What is not a packet."""
        return self.heard.decode("ascii", "replace")
