"""A NOR flash chip: programming only clears bits, erasing sets whole 4 KiB blocks to ones."""

from __future__ import annotations

import mmap
import os
import random
import tempfile
from collections.abc import Callable

from .wait import SimError

BLOCK = 4096
PAGE = 256


class FlashMisuse(SimError):
    """The firmware did what a NOR flash cannot do (address outside the chip, an erase that is not aligned)."""


class NorFlash:
    """Contents and wear of the chip. `before(kind, address, data)` is called ahead of every program and erase; a fault plan may raise there.

    failing   addresses at which the chip does not work: it refuses (`refuses` is True), or says that it did what it was told
    """

    def __init__(self, size: int, image: bytes | None = None):
        self.size = size
        self.data: bytearray | mmap.mmap = bytearray(b"\xff" * size)
        self._file = -1
        if image is not None:
            self.data[: len(image)] = image
        self.erases = [0] * (size // BLOCK)
        self.programs = 0
        self.programmed_bytes = 0
        self.before: Callable[[str, int, bytes], None] | None = None
        self.failing = range(0)
        self.refuses = True

    def share(self) -> int:
        """A descriptor of a file that is the chip's content from now on: the VM reads there, without asking the host."""
        if self._file < 0:
            if hasattr(os, "memfd_create"):
                self._file = os.memfd_create("flash")
            else:
                with tempfile.TemporaryFile() as file:
                    self._file = os.dup(file.fileno())
            os.ftruncate(self._file, self.size)
            data = mmap.mmap(self._file, self.size)
            data[:] = bytes(self.data)
            self.data = data
        return self._file

    def part(self) -> None:
        """After a fork: a chip of one's own, and not the other process's."""
        data, self._file = bytearray(self.data), -1
        self.data = data

    def close(self) -> None:
        """Give the file back; the content stays."""
        if self._file >= 0:
            os.close(self._file)
            self.part()

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
        if address in self.failing:
            return
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
        if address in self.failing:
            return
        self.data[address : address + BLOCK] = b"\xff" * BLOCK
        self.erases[address // BLOCK] += 1


MODES = ("absent", "torn25", "torn50", "torn90", "weak")


def damaged(kind: str, old: bytes, data: bytes, mode: str, dice: random.Random) -> bytes:
    """What an operation leaves on flash when it goes wrong: the new content of the bytes that it concerned.

    kind   "program" (`data`: what was to be programmed) or "erase"
    old    the content before, as long as what is concerned
    mode   absent   nothing happened
           tornN    N percent were done. A program: the first bytes are written, of the next one some bits are. An erase: the
                    first bytes are erased, the rest is as it was or has some of its bits lifted
           weak     all was done, but one bit of it reads wrong, until it is erased
    dice   decides which bits; the same state gives the same damage
    """
    if kind == "erase":
        done = b"\xff" * len(old)
    else:
        done = bytes(before & after for before, after in zip(old, data, strict=True))
    if mode == "absent":
        return old
    if mode == "weak":
        at = dice.randrange(len(old))
        return done[:at] + bytes((done[at] ^ 1 << dice.randrange(8),)) + done[at + 1 :]
    if mode not in MODES:
        raise ValueError(f"{mode!r} is no way to damage flash -> {', '.join(MODES)}")
    at = len(old) * int(mode[4:]) // 100
    if kind == "erase":
        if dice.random() < 0.5:
            return done[:at] + old[at:]
        return done[:at] + bytes(byte | dice.getrandbits(8) for byte in old[at:])
    half = done[at] | (old[at] & dice.getrandbits(8))
    return done[:at] + bytes((half,)) + old[at + 1 :]
