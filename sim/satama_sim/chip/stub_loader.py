"""The loader that esptool uploads: large blocks, erases as it writes, reads fast; 2 bytes of status."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

from ..board.flash import BLOCK
from .loader import Answer, Loader, Op, Refusal, Target
from .writing import Writing, erase


def _stub_status(code: int) -> bytes:
    return bytes((code, 0))


class StubLoader(Loader):
    """See esptool's "Serial Protocol"; error codes as of its table for the stub."""

    STATUS = {
        "ok": _stub_status(0),
        "invalid": _stub_status(0xC0),
        "checksum": _stub_status(0xC1),
        "flash": _stub_status(0xC4),
        "not begun": _stub_status(0xC6),
        "inflate": _stub_status(0xC7),
        "too little": _stub_status(0xC8),
        "too much": _stub_status(0xC9),
        "unknown": _stub_status(0xFF),
    }
    flash_block = 0x4000
    _AHEAD = 4  # blocks sent before the host has confirmed them; a real stub's limit is the host's

    def __init__(self, chip: Target):
        super().__init__(chip)
        self._reading: _Reading | None = None
        self._handlers |= {
            Op.ERASE_FLASH: self._erase_all,
            Op.ERASE_REGION: self._erase_region,
            Op.READ_FLASH: self._read_flash,
            Op.RUN_USER_CODE: lambda data, checksum: Answer(times=0, then=self.chip.run_application),
        }

    def packet(self, packet: bytes) -> None:
        if self._reading:
            if len(packet) == 4:
                self._reading.confirm(int.from_bytes(packet, "little"))
                if self._reading.done:
                    self._reading = None
                return
            self._reading = None  # the host gave up: this is its next command
        super().packet(packet)

    def _begin(self, data: bytes, *, deflated: bool) -> Answer:
        if len(data) != 20:
            raise Refusal("invalid")
        return super()._begin(data, deflated=deflated)

    def _start(self, offset: int, size: int, deflated: bool) -> Writing:
        return Writing(self.chip.flash, offset, size, deflated=deflated, erase_ahead=True)

    def _end(self, data: bytes, checksum: int) -> Answer:
        (stay,) = struct.unpack("<I", data)
        if self._writing is None:
            raise Refusal("not begun")
        missing, self._writing = self._writing.missing, None
        if missing:
            raise Refusal("too little")
        return Answer(then=None if stay else self.chip.leave_stub)

    def _digest(self, content: bytes) -> bytes:
        return hashlib.md5(content).digest()

    def _erase_all(self, data: bytes, checksum: int) -> Answer:
        erase(self.chip.flash, 0, self.chip.flash.size)
        return Answer()

    def _erase_region(self, data: bytes, checksum: int) -> Answer:
        offset, size = struct.unpack("<II", data)
        if offset % BLOCK or size % BLOCK:
            raise Refusal("invalid")
        erase(self.chip.flash, offset, size)
        return Answer()

    def _read_flash(self, data: bytes, checksum: int) -> Answer:
        offset, size, block, ahead = struct.unpack("<IIII", data)
        if not block:
            raise Refusal("invalid")
        content = self._read(offset, size)

        def start() -> None:
            reading = _Reading(content, block, min(ahead, self._AHEAD), self.chip.send_packet)
            self._reading = None if reading.done else reading

        return Answer(then=start)


class _Reading:
    """READ_FLASH under way: blocks go out, the host confirms each with the total it has, an MD5 ends it."""

    def __init__(self, content: bytes, block: int, ahead: int, send: Callable[[bytes], None]):
        self._content, self._block, self._window, self._send = content, block, max(ahead, 1) * block, send
        self._sent = 0
        self.done = False
        self.confirm(0)

    def confirm(self, total: int) -> None:
        size = len(self._content)
        while self._sent < size and self._sent - total < self._window:
            piece = self._content[self._sent : self._sent + self._block]
            self._send(piece)
            self._sent += len(piece)
        if total >= size:
            self._send(hashlib.md5(self._content).digest())
            self.done = True
