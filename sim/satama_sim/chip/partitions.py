"""The partition table in flash (ESP-IDF, "Partition Tables")."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

TABLE_OFFSET = 0x8000
TABLE_SIZE = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb"
APP, DATA = 0, 1
FACTORY, FAT = 0x00, 0x81
OTA_SLOTS = range(0x10, 0x20)


class TableError(Exception):
    """Why the boot loader does not take a table, in its words."""


@dataclass(frozen=True)
class Partition:
    """Offset and size in bytes."""

    name: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0


def read_table(data: bytes, flash_size: int) -> list[Partition]:
    """The entries of the table that `data` begins with; `flash_size` as the boot loader's image header tells it.
    Raises TableError."""
    found: list[Partition] = []
    summed = False
    for number in range(TABLE_SIZE // _ENTRY.size):
        entry = data[number * _ENTRY.size : (number + 1) * _ENTRY.size].ljust(_ENTRY.size, b"\xff")
        magic, kind, subtype, offset, size, name, flags = _ENTRY.unpack(entry)
        if magic == _MAGIC:
            if offset + size > flash_size:
                raise TableError(
                    f"E flash_parts: partition {number} invalid - offset {offset:#x} size {size:#x} "
                    f"exceeds flash chip size {flash_size:#x}"
                )
            label = name.rstrip(b"\0").decode("ascii", "replace")
            found.append(Partition(label, kind, subtype, offset, size, flags))
        elif magic == _MD5_MAGIC:
            if summed:
                raise TableError("E flash_parts: Only one MD5 checksum is allowed")
            if hashlib.md5(data[: number * _ENTRY.size]).digest() != entry[16:]:
                raise TableError("E flash_parts: Incorrect MD5 checksum")
            summed = True
        elif entry == b"\xff" * _ENTRY.size:
            if not summed:
                raise TableError("E flash_parts: No MD5 found in partition table")
            return found
        else:
            number_read = int.from_bytes(magic, "little")
            raise TableError(f"E flash_parts: partition {number} invalid magic number {number_read:#x}")
    raise TableError("E flash_parts: partition table has no terminating entry, not valid")


def write_table(partitions: list[Partition]) -> bytes:
    """The table as it lies in flash, 0xC00 bytes."""
    table = b"".join(
        _ENTRY.pack(_MAGIC, part.type, part.subtype, part.offset, part.size, part.name.encode(), part.flags)
        for part in partitions
    )
    table += _MD5_MAGIC + b"\xff" * 14 + hashlib.md5(table).digest()
    return table.ljust(TABLE_SIZE, b"\xff")


def with_filesystem(partitions: list[Partition], flash_size: int) -> list[Partition]:
    """The partitions that MicroPython sees: a table without "vfs" gets one, from the end of its last entry to the end of
    the flash (MicroPython, ports/esp32/main.c)."""
    if any(part.name == "vfs" for part in partitions) or not partitions:
        return partitions
    start = partitions[-1].offset + partitions[-1].size
    return [*partitions, Partition("vfs", DATA, FAT, start, flash_size - start)]
