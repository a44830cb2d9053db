"""The partition table, byte for byte as the boot loader checks it.

Source: ESP-IDF, API guide "Partition Tables", components/bootloader_support/src/flash_partitions.c and gen_esp32part.py:
entries of 32 bytes, an entry EB EB with the MD5 of those before it, the rest of 0xC00 bytes erased.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from ..boards.board import Board

TABLE_AT = 0x8000
TABLE_BYTES = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_MARK, _MD5_MARK, _END = b"\xaa\x50", b"\xeb\xeb" + b"\xff" * 14, b"\xff" * 32
_LABEL_BYTES = 16


class TableFault(Exception):
    """The bytes are no partition table; the text is the end of a sentence."""


class Entry(NamedTuple):
    """A partition, in bytes from the start of the flash."""

    type: int
    subtype: int
    offset: int
    size: int
    name: str
    flags: int = 0


def entries(board: Board) -> list[Entry]:
    """The board's partitions, in the order of the flash."""
    found = [Entry(part.type, part.subtype, part.offset, part.size, name) for name, part in board.partitions.items()]
    return sorted(found, key=lambda entry: entry.offset)


def pack(rows: list[Entry]) -> bytes:
    """The table of these partitions, TABLE_BYTES long."""
    body = b"".join(
        _ENTRY.pack(_MARK, row.type, row.subtype, row.offset, row.size, row.name.encode()[:_LABEL_BYTES], row.flags)
        for row in rows
    )
    return (body + _MD5_MARK + hashlib.md5(body).digest()).ljust(TABLE_BYTES, b"\xff")


def parse(data: bytes) -> list[Entry]:
    """The partitions of a table; none when it is erased. Raises TableFault."""
    rows: list[Entry] = []
    for at in range(0, min(len(data), TABLE_BYTES) - 31, 32):
        entry = data[at : at + 32]
        if entry == _END:
            return rows
        if entry[:16] == _MD5_MARK:
            if hashlib.md5(data[:at]).digest() != entry[16:]:
                raise TableFault("has a wrong MD5")
            continue
        if entry[:2] != _MARK:
            raise TableFault("has an entry without its mark AA 50")
        _, kind, subtype, offset, size, label, flags = _ENTRY.unpack(entry)
        name = label.partition(b"\0")[0].decode("ascii", "replace")
        rows.append(Entry(kind, subtype, offset, size, name, flags))
    raise TableFault("has no end")
