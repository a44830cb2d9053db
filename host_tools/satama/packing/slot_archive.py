"""The file of an application slot, as firmware/archive.py reads it. docs/FORMAT.md, "Application slot", has the layout."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

MAGIC = b"SATA"
VERSION = 1
_HEAD = struct.Struct(">4sIBBHI")  # magic, CRC-32 of all that follows it, version, 0, rows, length of the file
_COVERED = 8  # from here on
_ROW = struct.Struct(">IIII")  # CRC-32 of the path, offset, length, CRC-32 of the content
_FOLDER = 0xFFFFFFFF  # in the place of a length


class Row(NamedTuple):
    """A member. All CRCs as in zlib; `offset` and `length` in bytes of the file."""

    path_crc: int
    offset: int
    length: int
    crc: int


def pack(members: Mapping[str, bytes]) -> bytes:
    """The archive of these files, path -> content. Raises ValueError when two paths have the same CRC-32, or there are too many."""
    folders = {str(folder) for path in members for folder in PurePosixPath(path).parents} - {"."}
    names: dict[int, str] = {}
    for path in (*members, *sorted(folders)):
        crc = zlib.crc32(path.encode())
        if names.setdefault(crc, path) != path:
            raise ValueError(f"{path} and {names[crc]} have the same CRC-32 -> rename one of them")
    rows, content = [], bytearray()
    start = _HEAD.size + _ROW.size * len(names)
    for path, data in sorted(members.items()):
        rows.append(Row(zlib.crc32(path.encode()), start + len(content), len(data), zlib.crc32(data)))
        content += data
    rows += [Row(zlib.crc32(path.encode()), 0, _FOLDER, 0) for path in folders]
    if len(rows) > 0xFFFF:
        raise ValueError(f"{len(rows)} files are too many for one application slot")
    rest = b"".join(_ROW.pack(*row) for row in sorted(rows)) + content
    made = _HEAD.pack(MAGIC, 0, VERSION, 0, len(rows), _HEAD.size + len(rest)) + rest
    return made[:4] + struct.pack(">I", zlib.crc32(made[_COVERED:])) + made[_COVERED:]


def files(archive: bytes) -> Iterator[Row]:
    """The files in it, in the order in which they lie there. Raises ValueError for what is no archive, or a damaged one."""
    if len(archive) < _HEAD.size:
        raise ValueError("no application slot: too short")
    magic, crc, version, _, count, length = _HEAD.unpack_from(archive)
    if magic != MAGIC or version != VERSION:
        raise ValueError("no application slot of this kind")
    if length != len(archive) or zlib.crc32(archive[_COVERED:]) != crc:
        raise ValueError("the application slot is damaged")
    rows = [Row(*_ROW.unpack_from(archive, _HEAD.size + _ROW.size * at)) for at in range(count)]
    yield from sorted((row for row in rows if row.length != _FOLDER), key=lambda row: (row.offset, row.length))


def crc_of(archive: bytes) -> int:
    """By which the device names it."""
    return int(_HEAD.unpack_from(archive)[1])
