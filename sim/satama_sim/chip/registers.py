"""The chip's registers as a host reads and writes them: eFuses, the SPI peripheral that drives the flash, the watchdog."""

from __future__ import annotations

from .kinds import Kind

RUN_USER_COMMAND = 1 << 18  # in SPI_CMD
_READ_ID, _READ_SFDP = 0x9F, 0x5A
_WINBOND = 0x40EF  # vendor EF, type 40


class Registers:
    """Register values by address; a few addresses do something when written.

    flash_id   what the flash answers to 9F; 0xFFFFFF: nothing is connected
    """

    def __init__(self, kind: Kind, values: dict[int, int], flash_size: int, flash_id: int | None = None):
        self._kind = kind
        self._initial = values
        self._values = dict(values)
        self.flash_id = _WINBOND | (flash_size - 1).bit_length() << 16 if flash_id is None else flash_id
        self._armed = False

    def reset(self) -> None:
        self._values = dict(self._initial)
        self._armed = False

    def read(self, address: int) -> int:
        return self._values.get(address, 0)

    def write(self, address: int, value: int, mask: int = 0xFFFFFFFF) -> bool:
        """True when the write lets the watchdog reset the chip: enabled, then locked."""
        self._values[address] = self.read(address) & ~mask | value & mask
        if address == self._kind.spi.base and value & RUN_USER_COMMAND:
            self._run_flash_command()
            self._values[address] &= ~RUN_USER_COMMAND
        if self._kind.watchdog:
            config, lock = self._kind.watchdog
            if address == config:
                self._armed = bool(value >> 31)
            return address == lock and value == 0 and self._armed
        return False

    def _run_flash_command(self) -> None:
        spi = self._kind.spi
        opcode = self.read(spi.base + spi.user2) & 0xFF
        address = self.read(spi.base + 4) >> spi.address_shift
        answer = 0  # status registers, and commands that have no answer (reset: 66, 99)
        if opcode == _READ_ID:
            answer = self.flash_id
        elif opcode == _READ_SFDP:
            answer = int.from_bytes(self._sfdp()[address : address + 4], "little")
        bits = self.read(spi.base + spi.miso_length) + 1
        self._values[spi.base + spi.data0] = answer & (1 << min(bits, 32)) - 1

    def _sfdp(self) -> bytes:
        """The head of the table of discoverable parameters (JEDEC JESD216)."""
        if self.flash_id == 0xFFFFFF:
            return b"\xff" * 80
        return b"SFDP\x06\x01\x01\xff".ljust(16, b"\0") + bytes([self.flash_id & 0xFF]) + bytes(63)
