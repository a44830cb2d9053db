"""What answers in download mode: commands, packets, and what the ROM's loader and the uploaded stub have in common.

Source: Espressif, "Serial Protocol" of esptool's documentation, and what esptool 5 sends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import xor
from typing import Protocol

from ..board.flash import FlashMisuse, NorFlash
from .kinds import Kind
from .registers import Registers
from .writing import WriteError, Writing


class Op(IntEnum):
    """Commands by number."""

    FLASH_BEGIN = 0x02
    FLASH_DATA = 0x03
    FLASH_END = 0x04
    MEM_BEGIN = 0x05
    MEM_END = 0x06
    MEM_DATA = 0x07
    SYNC = 0x08
    WRITE_REG = 0x09
    READ_REG = 0x0A
    SPI_SET_PARAMS = 0x0B
    SPI_ATTACH = 0x0D
    READ_FLASH_SLOW = 0x0E
    CHANGE_BAUDRATE = 0x0F
    DEFL_BEGIN = 0x10
    DEFL_DATA = 0x11
    DEFL_END = 0x12
    FLASH_MD5 = 0x13
    SECURITY_INFO = 0x14
    ERASE_FLASH = 0xD0
    ERASE_REGION = 0xD1
    READ_FLASH = 0xD2
    RUN_USER_CODE = 0xD3


SYNC_PAYLOAD = b"\x07\x07\x12\x20" + b"\x55" * 32
SYNC_ECHO = 0x20120707  # what the ROM answers with; any value but 0 will do


class Refusal(Exception):
    """An error status; the names of the reasons are keys of each loader's STATUS."""


@dataclass
class Answer:
    """What a command answers. `then` runs when the answer is on its way."""

    value: int = 0
    data: bytes = b""
    times: int = 1
    then: Callable[[], None] | None = None


Handler = Callable[[bytes, int], Answer]


class Target(Protocol):
    """The chip that a loader runs on (chip.py)."""

    kind: Kind
    flash: NorFlash
    registers: Registers
    secure_boot: bool
    encryption: bool
    baud: int
    counts: dict[int, int]
    disturb: Callable[[int, int], str | None] | None

    def send_packet(self, packet: bytes) -> None: ...
    def measure_baud(self) -> None: ...
    def start_stub(self) -> None: ...
    def leave_stub(self) -> None: ...
    def run_application(self) -> None: ...
    def watchdog_reset(self) -> None: ...


class Loader:
    """What ROM and stub have in common: packets, registers, blocks of flash."""

    STATUS: dict[str, bytes] = {}
    flash_block = 0  # the largest block that is taken
    sync_value = 0

    def __init__(self, chip: Target):
        self.chip = chip
        self._writing: Writing | None = None
        self._handlers: dict[int, Handler] = {
            Op.SYNC: self._sync,
            Op.READ_REG: self._read_register,
            Op.WRITE_REG: self._write_registers,
            Op.SECURITY_INFO: self._security_info,
            Op.SPI_ATTACH: self._spi_attach,
            Op.SPI_SET_PARAMS: self._spi_set_params,
            Op.CHANGE_BAUDRATE: self._change_baud,
            Op.FLASH_BEGIN: self._flash_begin,
            Op.FLASH_DATA: self._data,
            Op.FLASH_END: self._end,
            Op.DEFL_BEGIN: self._deflated_begin,
            Op.DEFL_DATA: self._data,
            Op.DEFL_END: self._end,
            Op.FLASH_MD5: self._md5,
        }

    def packet(self, packet: bytes) -> None:
        """Answer one packet; what is none is ignored."""
        if len(packet) < 8 or packet[0] != 0:
            return
        _, op, length, checksum = struct.unpack_from("<BBHI", packet)
        data = packet[8:]
        if len(data) != length:
            return
        self.chip.counts[op] = self.chip.counts.get(op, 0) + 1
        fault = self.chip.disturb(op, self.chip.counts[op]) if self.chip.disturb else None
        if fault == "lose command":
            return
        answer, status = Answer(), self.STATUS["ok"]
        handler = self._handlers.get(op)
        try:
            if handler is None:
                raise Refusal("unknown")
            if fault == "refuse":
                raise Refusal("invalid")
            answer = handler(data, checksum)
        except struct.error:
            status = self.STATUS["invalid"]
        except Refusal as refusal:
            status = self.STATUS[str(refusal)]
        except WriteError as error:
            status = self.STATUS[error.reason]
        if fault != "lose answer":
            body = answer.data + status
            reply = struct.pack("<BBHI", 1, op, len(body), answer.value) + body
            for _ in range(answer.times):
                self.chip.send_packet(reply)
        if answer.then:
            answer.then()

    def _sync(self, data: bytes, checksum: int) -> Answer:
        if data != SYNC_PAYLOAD:
            raise Refusal("invalid")
        self.chip.measure_baud()
        return Answer(value=self.sync_value, times=8)

    def _read_register(self, data: bytes, checksum: int) -> Answer:
        return Answer(self.chip.registers.read(*struct.unpack("<I", data)))

    def _write_registers(self, data: bytes, checksum: int) -> Answer:
        if not data or len(data) % 16:
            raise Refusal("invalid")
        bites = False
        for address, value, mask, _delay_us in struct.iter_unpack("<IIII", data):
            bites |= self.chip.registers.write(address, value, mask)
        return Answer(then=self.chip.watchdog_reset if bites else None)

    def _security_info(self, data: bytes, checksum: int) -> Answer:
        chip = self.chip
        if not chip.kind.knows_security_info:
            raise Refusal("unknown")
        flags, crypt_count = int(chip.secure_boot), int(chip.encryption)
        return Answer(data=struct.pack("<IB7xII", flags, crypt_count, chip.kind.image_chip_id, 0))

    def _spi_attach(self, data: bytes, checksum: int) -> Answer:
        return Answer()

    def _spi_set_params(self, data: bytes, checksum: int) -> Answer:
        struct.unpack("<6I", data)
        return Answer()

    def _change_baud(self, data: bytes, checksum: int) -> Answer:
        new, _old = struct.unpack("<II", data)

        def change() -> None:
            self.chip.baud = new

        return Answer(then=change)

    def _flash_begin(self, data: bytes, checksum: int) -> Answer:
        return self._begin(data, deflated=False)

    def _deflated_begin(self, data: bytes, checksum: int) -> Answer:
        return self._begin(data, deflated=True)

    def _begin(self, data: bytes, *, deflated: bool) -> Answer:
        size, _blocks, block_size, offset = struct.unpack_from("<IIII", data)
        if block_size > self.flash_block and size:
            raise Refusal("invalid")
        if offset + size > self.chip.flash.size:
            raise Refusal("flash")
        self._writing = self._start(offset, size, deflated)
        return Answer()

    def _start(self, offset: int, size: int, deflated: bool) -> Writing:
        raise NotImplementedError

    def _data(self, data: bytes, checksum: int) -> Answer:
        block = self._checked(data, checksum)
        if self._writing is None:
            raise Refusal("not begun")
        self._writing.add(block)
        return Answer()

    def _checked(self, data: bytes, checksum: int) -> bytes:
        """The block behind the header of a DATA packet."""
        length, _sequence, _, _ = struct.unpack_from("<IIII", data)
        block = data[16:]
        if len(block) != length or reduce(xor, block, 0xEF) != checksum & 0xFF:
            raise Refusal("checksum")
        return block

    def _end(self, data: bytes, checksum: int) -> Answer:
        raise NotImplementedError

    def _md5(self, data: bytes, checksum: int) -> Answer:
        offset, size, _, _ = struct.unpack("<IIII", data)
        return Answer(data=self._digest(self._read(offset, size)))

    def _digest(self, content: bytes) -> bytes:
        raise NotImplementedError

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return self.chip.flash.read(offset, size)
        except FlashMisuse:
            raise Refusal("flash") from None
