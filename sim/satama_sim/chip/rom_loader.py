"""The loader in the chip's ROM: small blocks, no reading but slowly, answers with 4 bytes of status."""

from __future__ import annotations

import hashlib
import struct

from .loader import SYNC_ECHO, Answer, Loader, Op, Refusal, Target
from .writing import Writing, erase


def _rom_status(code: int) -> bytes:
    return bytes((1 if code else 0, code, 0, 0))


class RomLoader(Loader):
    """See esptool's "Serial Protocol"; error codes as of its table for the ROM."""

    STATUS = {
        "ok": _rom_status(0),
        "unknown": _rom_status(5),
        "invalid": _rom_status(5),
        "not begun": _rom_status(6),
        "too much": _rom_status(6),
        "checksum": _rom_status(7),
        "flash": _rom_status(8),
        "inflate": _rom_status(0x0B),
    }
    flash_block = 0x400
    sync_value = SYNC_ECHO

    def __init__(self, chip: Target):
        super().__init__(chip)
        self._attached = False
        self._ram_missing = 0
        self._handlers |= {
            Op.MEM_BEGIN: self._ram_begin,
            Op.MEM_DATA: self._ram_data,
            Op.MEM_END: self._ram_end,
            Op.READ_FLASH_SLOW: self._read_slowly,
        }

    def _spi_attach(self, data: bytes, checksum: int) -> Answer:
        self._attached = True
        return Answer()

    def _begin(self, data: bytes, *, deflated: bool) -> Answer:
        if len(data) != 4 * self.chip.kind.flash_begin_words:
            raise Refusal("invalid")
        return super()._begin(data, deflated=deflated)

    def _start(self, offset: int, size: int, deflated: bool) -> Writing:
        if size and not self._attached:
            raise Refusal("flash")
        erase(self.chip.flash, offset, size)
        return Writing(self.chip.flash, offset, size, deflated=deflated, erase_ahead=False)

    def _end(self, data: bytes, checksum: int) -> Answer:
        struct.unpack("<I", data)  # whether to reboot or to run the application: the same to a host
        return Answer(then=self.chip.run_application)

    def _digest(self, content: bytes) -> bytes:
        return hashlib.md5(content).hexdigest().encode()

    def _read(self, offset: int, size: int) -> bytes:
        if not self._attached:
            raise Refusal("flash")
        return super()._read(offset, size)

    def _read_slowly(self, data: bytes, checksum: int) -> Answer:
        offset, size = struct.unpack("<II", data)
        if size > 64:
            raise Refusal("invalid")
        return Answer(data=self._read(offset, size).ljust(64, b"\0"))

    def _ram_begin(self, data: bytes, checksum: int) -> Answer:
        self._ram_missing, _, _, _ = struct.unpack("<IIII", data)
        return Answer()

    def _ram_data(self, data: bytes, checksum: int) -> Answer:
        block = self._checked(data, checksum)
        if len(block) > self._ram_missing:
            raise Refusal("too much")
        self._ram_missing -= len(block)
        return Answer()

    def _ram_end(self, data: bytes, checksum: int) -> Answer:
        """What was uploaded is not run: whoever uploads code and has it started gets the stub of this file."""
        _stay, entry = struct.unpack("<II", data)
        return Answer(then=self.chip.start_stub if entry else None)
