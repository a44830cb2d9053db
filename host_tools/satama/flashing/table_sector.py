"""The flash sector of the partition table: the table, and behind it what only Satama reads.

The boot loader looks at the first 0xC00 bytes, so the rest of the 4 KiB is ours: whose board it is, and, while the rest of
the flash is being written, the table itself. With its table away the board starts nothing, and a second attempt still
knows that a journal is there to be kept.

    0x000   the table; erased while the flash is being written
    0xC00   "SATM", bytes, CRC-32, then {"site": ..., "gateway": ...} as JSON
    0xE00   the table's entries while they are away from 0x000
"""

from __future__ import annotations

import json
import struct
from binascii import crc32
from dataclasses import dataclass, field

from .partition_table import TABLE_BYTES, Entry, TableFault, pack, parse

SECTOR_BYTES = 4096
_PARKED_AT = 0xE00
_HEAD = struct.Struct("<4sII")
_NOTE_BYTES = _PARKED_AT - TABLE_BYTES


@dataclass(frozen=True)
class Found:
    """What a board's sector says. `rows`: None when there is no valid table. `unfinished`: a flash was cut off."""

    rows: list[Entry] | None
    note: dict[str, str] = field(default_factory=dict)
    unfinished: bool = False


def finished(rows: list[Entry], note: dict[str, str]) -> bytes:
    """The sector of a board that is complete."""
    return (pack(rows) + _pack_note(note)).ljust(SECTOR_BYTES, b"\xff")


def parked(rows: list[Entry], note: dict[str, str]) -> bytes:
    """The sector while the flash is being written: it starts nothing."""
    table = pack(rows)[: SECTOR_BYTES - _PARKED_AT]
    return (b"\xff" * TABLE_BYTES + _pack_note(note)).ljust(_PARKED_AT, b"\xff") + table


def read_sector(sector: bytes) -> Found:
    """What stands in a sector; a damaged table counts as none."""
    note = _read_note(sector[TABLE_BYTES:_PARKED_AT])
    try:
        if rows := parse(sector[:TABLE_BYTES]):
            return Found(rows, note)
        if note and (rows := parse(sector[_PARKED_AT:])):
            return Found(rows, note, unfinished=True)
    except TableFault:
        pass
    return Found(None)


def _pack_note(note: dict[str, str]) -> bytes:
    text = json.dumps(note, sort_keys=True).encode()
    if len(text) > _NOTE_BYTES - _HEAD.size:
        text = b"{}"  # names far longer than a site file allows
    return _HEAD.pack(b"SATM", len(text), crc32(text)) + text


def _read_note(data: bytes) -> dict[str, str]:
    mark, size, check = _HEAD.unpack_from(data)
    text = data[_HEAD.size : _HEAD.size + size]
    if mark != b"SATM" or crc32(text) != check:
        return {}
    try:
        note = json.loads(text)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in note.items()} if isinstance(note, dict) else {}
