"""A file on its way into the flash: begun, then blocks, plain or deflated."""

from __future__ import annotations

import zlib

from ..board.flash import BLOCK, FlashMisuse, NorFlash


class WriteError(Exception):
    """The blocks do not fit what was begun. `reason`: "inflate", "too much", "flash"."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def erase(flash: NorFlash, offset: int, size: int) -> None:
    """Whole blocks of 4 KiB, those that `offset` and the end lie in included. Raises WriteError."""
    try:
        for address in range(offset // BLOCK * BLOCK, offset + size, BLOCK):
            flash.erase(address)
    except FlashMisuse:
        raise WriteError("flash") from None


class Writing:
    """`size` bytes to be written from `offset` on.

    deflated     the blocks are one zlib stream
    erase_ahead  the stub's way: each block of flash is erased when the first byte of it comes; else all was erased before
    """

    def __init__(self, flash: NorFlash, offset: int, size: int, *, deflated: bool, erase_ahead: bool):
        self._flash = flash
        self._at = offset
        self.missing = size
        self._inflate = zlib.decompressobj() if deflated else None
        self._erased_to = offset // BLOCK * BLOCK if erase_ahead else flash.size

    def add(self, block: bytes) -> None:
        """Raises WriteError."""
        if self._inflate:
            try:
                block = self._inflate.decompress(block)
            except zlib.error:
                raise WriteError("inflate") from None
            if len(block) > self.missing:
                raise WriteError("too much")
        elif not self.missing:
            raise WriteError("too much")
        block = block[: self.missing]  # the last plain block is filled up with FF
        end = self._at + len(block)
        if end > self._erased_to:
            erase(self._flash, self._erased_to, end - self._erased_to)
            self._erased_to = -(-end // BLOCK) * BLOCK
        try:
            self._flash.program(self._at, block)
        except FlashMisuse:
            raise WriteError("flash") from None
        self._at = end
        self.missing -= len(block)
