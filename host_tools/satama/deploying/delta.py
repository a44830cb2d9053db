"""What of a new application slot has to be sent, and what the gateway can copy out of the slot that it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..packing import slot_archive
from ..packing.slot_archive import Row

MOST_COPIED = 16384  # by one request: firmware/gateway/service/update.py
MOST_SENT = 144  # bytes: with base64 and what stands around it a line of 256 (firmware/gateway/service/console.py)


class Piece(NamedTuple):
    """Bytes of the new slot: to be sent, or (where `source` is given) to be copied from there in the running slot."""

    at: int
    length: int
    data: bytes = b""
    source: int | None = None


def pieces(new: bytes, running: Iterable[Row]) -> list[Piece]:
    """The whole new archive, in order. `running`: the files in the slot that runs."""
    known = {(row.length, row.crc): row.offset for row in running}
    found: list[Piece] = []
    end = 0
    for row in slot_archive.files(new):
        source = known.get((row.length, row.crc))
        if row.offset > end:
            _add(found, Piece(end, row.offset - end))
        if row.length:
            _add(found, Piece(row.offset, row.length, source=source))
        end = row.offset + row.length
    _add(found, Piece(end, len(new) - end))
    return [
        piece if piece.source is not None else piece._replace(data=new[piece.at : piece.at + piece.length])
        for piece in found
    ]


def _add(found: list[Piece], piece: Piece) -> None:
    """Behind the last one, or as a part of it."""
    if not piece.length:
        return
    last = found[-1] if found else None
    if (last and last.source is None and piece.source is None) or (
        last and last.source is not None and piece.source == last.source + last.length
    ):
        found[-1] = last._replace(length=last.length + piece.length)
    else:
        found.append(piece)


def requests(plan: Iterable[Piece], at: int = 0) -> Iterator[Piece]:
    """The pieces from `at` on, each small enough for one request."""
    for piece in plan:
        most = MOST_SENT if piece.source is None else MOST_COPIED
        for start in range(max(0, at - piece.at), piece.length, most):
            length = min(most, piece.length - start)
            source = None if piece.source is None else piece.source + start
            yield Piece(piece.at + start, length, piece.data[start : start + length], source)
