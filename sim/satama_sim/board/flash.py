"""A NOR flash chip: programming only clears bits, erasing sets whole 4 KiB blocks to ones."""

from __future__ import annotations

from collections.abc import Callable

BLOCK = 4096
PAGE = 256


class FlashMisuse(Exception):
    """The firmware did what a NOR flash cannot do (address outside the chip, an erase that is not aligned)."""


class NorFlash:
    """Contents and wear of the chip. `before(kind, address, data)` is called ahead of every program and erase; a fault plan may raise there."""

    def __init__(self, size: int, image: bytes | None = None):
        self.size = size
        self.data = bytearray(b"\xff" * size)
        if image is not None:
            self.data[: len(image)] = image
        self.erases = [0] * (size // BLOCK)
        self.programs = 0
        self.programmed_bytes = 0
        self.before: Callable[[str, int, bytes], None] | None = None

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > self.size:
            raise FlashMisuse(f"flash access at {address:#x}+{length:#x} outside the {self.size:#x} bytes of the chip")

    def read(self, address: int, length: int) -> bytes:
        self._check(address, length)
        return bytes(self.data[address : address + length])

    def program(self, address: int, data: bytes) -> None:
        """Clear bits: what is stored afterwards is the old content AND the data."""
        self._check(address, len(data))
        if self.before:
            self.before("program", address, data)
        end = address + len(data)
        old = self.data[address:end]
        if old.count(0xFF) == len(old):
            self.data[address:end] = data
        else:
            merged = int.from_bytes(old, "big") & int.from_bytes(data, "big")
            self.data[address:end] = merged.to_bytes(len(data), "big")
        self.programs += 1
        self.programmed_bytes += len(data)

    def erase(self, address: int) -> None:
        self._check(address, BLOCK)
        if address % BLOCK:
            raise FlashMisuse(f"erase at {address:#x} is not on a block of {BLOCK} bytes")
        if self.before:
            self.before("erase", address, b"")
        self.data[address : address + BLOCK] = b"\xff" * BLOCK
        self.erases[address // BLOCK] += 1
