"""CBOR (RFC 8949) as far as SenML needs it, strict: every mistake is told with the byte at which it stands."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Any

_DEEPEST = 8
_HEAD_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_SIMPLE = {20: False, 21: True, 22: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_INDEFINITE = 31
_DECIMAL_FRACTION = 4
_LARGEST_EXPONENT = 400  # far beyond any measurement, near enough to be written out


class CborError(ValueError):
    """No CBOR that a pack may hold; the text names the byte."""


def loads(data: bytes) -> Any:
    """The one item that `data` is: int, Decimal, str, bytes, bool, None, list or dict. Raises CborError."""
    reader = _Reader(data)
    item = reader.item(0)
    if reader.at != len(data):
        raise CborError(f"byte {reader.at}: {len(data) - reader.at} bytes follow the end of the pack")
    return item


class _Reader:
    def __init__(self, data: bytes):
        self._data = data
        self.at = 0

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            missing = count - (len(self._data) - self.at)
            raise CborError(f"byte {self.at}: cut off, {missing} more bytes are announced than there are")
        part = self._data[self.at : self.at + count]
        self.at += count
        return part

    def item(self, depth: int) -> Any:
        start = self.at
        if depth > _DEEPEST:
            raise CborError(f"byte {start}: nested more than {_DEEPEST} deep")
        head = self._take(1)[0]
        major, info = head >> 5, head & 31
        if major == 7:
            return self._simple(info, start)
        if info == _INDEFINITE and major in (2, 3, 4, 5):
            return self._indefinite(major, depth, start)
        if info >= 24 and info not in _HEAD_BYTES:
            raise CborError(f"byte {start}: {head:#04x} begins no CBOR item")
        number = int.from_bytes(self._take(_HEAD_BYTES[info]), "big") if info >= 24 else info
        if major == 0:
            return number
        if major == 1:
            return ~number
        if major in (2, 3):
            return self._string(major, self._take(number), start)
        if major == 6:
            return self._tag(number, depth, start)
        if number > len(self._data) - self.at:  # each item takes a byte at least
            raise CborError(f"byte {start}: {number} items are announced, more than the bytes that follow")
        if major == 4:
            return [self.item(depth + 1) for _ in range(number)]
        found: dict[Any, Any] = {}
        for _ in range(number):
            self._pair(found, depth)
        return found

    def _pair(self, found: dict[Any, Any], depth: int) -> None:
        start = self.at
        label = self.item(depth + 1)
        if type(label) not in (int, str):
            raise CborError(f"byte {start}: a label is an integer or a text, not {type(label).__name__}")
        if label in found:
            raise CborError(f"byte {start}: the label {label!r} stands twice in one record")
        found[label] = self.item(depth + 1)

    def _string(self, major: int, data: bytes, start: int) -> bytes | str:
        if major == 2:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise CborError(f"byte {start}: this text is not UTF-8") from None

    def _indefinite(self, major: int, depth: int, start: int) -> Any:
        items: list[Any] = []
        found: dict[Any, Any] = {}
        while True:
            if self._data[self.at : self.at + 1] == b"\xff":
                self.at += 1
                break
            if major == 5:
                self._pair(found, depth)
            else:
                items.append(self.item(depth + 1))
        if major == 5:
            return found
        if major == 4:
            return items
        kind: type = bytes if major == 2 else str
        if not all(type(item) is kind for item in items):
            raise CborError(f"byte {start}: a string in pieces of another kind")
        return kind().join(items)

    def _simple(self, info: int, start: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info not in _FLOATS:
            raise CborError(f"byte {start}: simple value {info} has no place in a pack")
        number = struct.unpack(_FLOATS[info], self._take(_HEAD_BYTES[info]))[0]
        if not math.isfinite(number):
            raise CborError(f"byte {start}: {number} is no number")
        return Decimal(number)  # exactly what the bits say

    def _tag(self, number: int, depth: int, start: int) -> Decimal:
        if number != _DECIMAL_FRACTION:
            raise CborError(f"byte {start}: CBOR tag {number} has no place in a pack")
        parts = self.item(depth + 1)
        if not isinstance(parts, list) or len(parts) != 2 or not all(type(part) is int for part in parts):
            raise CborError(f"byte {start}: a decimal fraction is an array of exponent and mantissa")
        exponent, mantissa = parts
        if abs(exponent) > _LARGEST_EXPONENT:
            raise CborError(f"byte {start}: the exponent {exponent} is beyond any measurement")
        return Decimal((mantissa < 0, tuple(map(int, str(abs(mantissa)))), exponent))
