"""What stands at the addresses of a device's map: points, points that share registers, scale registers, plain words.

A cell has `count` registers (or one bit) and `words` that `refresh()` brings up to date (False: the device has no value
and no marker to say so). `shown(first, end)` lists the points that stand wholly in these of its registers;
`touched(first, words)` the cells that writing there would change, with what would stand in all their registers then;
`forget()` is a restart: what was only written into registers is gone.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from ..world import Model
from .registers import Codec

_FINEST, _COARSEST = -10, 10  # SunSpec: what a scale register may say
Shown = list[tuple[str, Fraction | None]]  # (point, exact value, or None for none)
Touched = list[tuple["Cell", list[int]]]


class Fixed:
    """Words that never change: reserved places, texts, the heads of SunSpec models."""

    __slots__ = ("count", "words")

    def __init__(self, words: Iterable[int]):
        self.words = list(words)
        self.count = len(self.words)

    @classmethod
    def text(cls, text: str, registers: int) -> "Fixed":
        data = text.encode("ascii", "replace")[: 2 * registers].ljust(2 * registers, b"\0")
        return cls(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))

    @staticmethod
    def refresh() -> bool:
        return True

    @staticmethod
    def shown(first: int, end: int) -> Shown:
        return []

    @staticmethod
    def touched(first: int, words: list[int]) -> Touched:
        return []

    def forget(self) -> None:
        """Nothing of it can be written."""


class Cell:
    """One point of one unit: its registers, worked out once for each state of the world."""

    __slots__ = ("_clock", "_model", "_version", "_written", "codec", "count", "point", "raw", "scale", "words")

    def __init__(self, model: Model, point: Any):
        self.point, self.codec = point, Codec(point)
        self.count = self.codec.count
        self.scale: ScaleRegister | None = None
        self._model, self._clock = model, model.clock
        self._version = -1
        self.raw: int | None = None
        self.words: list[int] = []
        self._written: int | None = None

    def refresh(self) -> bool:
        if self._version != self._clock.version:
            self._version = self._clock.version
            raw = self._written
            if raw is None:
                ratio = self._model.ratio(self.point.name)
                raw = self.codec.encode(ratio if self.scale is None else self.scale.apply(ratio))
            if raw is None or raw != self.raw:
                self.raw = raw
                self.words = [] if raw is None else self.codec.words(raw)
        return self.raw is not None

    def fits(self, exponent: int) -> bool:
        """Whether the value can be shown in units of 10**exponent."""
        ratio = self._model.ratio(self.point.name)
        return ratio is None or self.codec.fits(_times_ten(ratio, -exponent))

    def value_of(self, words: list[int]) -> Fraction | None:
        """The exact value that these words in the point's registers stand for."""
        value = self.codec.decode(self.codec.raw(words))
        if value is None or self.scale is None:
            return value
        self.scale.refresh()
        return value * Fraction(10) ** self.scale.exponent

    def take(self, words: list[int]) -> None:
        """The point's registers were written."""
        value = self.value_of(words)
        taken = value is not None and self._model.write(self.point.name, value)
        self._written = None if taken else self.codec.raw(words)
        self._clock.version += 1

    def forget(self) -> None:
        self._written = None
        self._clock.version += 1

    def shown(self, first: int, end: int) -> Shown:
        return [(self.point.name, self.value_of(self.words))] if end - first == self.count else []

    def touched(self, first: int, words: list[int]) -> Touched:
        return [(self, _patched(self, first, words))]


class Overlap:
    """Points that share registers: slices of bits laid over each other and over whole values."""

    __slots__ = ("_cells", "_clock", "_version", "count", "words")

    def __init__(self, cells: list[tuple[int, Cell]], count: int, clock: Any):
        """`cells`: (place, cell); those that fill less of their registers lie on top."""
        self._cells = sorted(cells, key=lambda part: -part[1].codec.mask.bit_count())
        self._clock, self.count = clock, count
        self._version = -1
        self.words: list[int] = []

    def refresh(self) -> bool:
        if self._version != self._clock.version:
            self._version = self._clock.version
            words, any_value = [0] * self.count, False
            for place, cell in self._cells:
                if not cell.refresh():
                    continue
                any_value = True
                codec = cell.codec
                mask = -1 if cell.raw == codec.marker else codec.mask
                whole = codec.raw(words[place : place + cell.count])
                words[place : place + cell.count] = codec.words(whole & ~mask | cell.raw & mask)
            self.words = words if any_value else []
        return bool(self.words)

    def shown(self, first: int, end: int) -> Shown:
        inside = [part for part in self._cells if first <= part[0] and part[0] + part[1].count <= end]
        return [(cell.point.name, cell.value_of(self.words[at : at + cell.count])) for at, cell in inside]

    def touched(self, first: int, words: list[int]) -> Touched:
        end, patched = first + len(words), _patched(self, first, words)
        touched = [part for part in self._cells if part[0] < end and part[0] + part[1].count > first]
        return [(cell, patched[at : at + cell.count]) for at, cell in touched]

    def forget(self) -> None:
        for _, cell in self._cells:
            cell.forget()


class ScaleRegister:
    """The power of ten that its points stand in (SunSpec's "sunssf"): the usual one, larger when a value needs it."""

    __slots__ = ("_clock", "_usual", "_version", "cells", "count", "exponent", "words")

    def __init__(self, cells: list[Cell], usual: int, clock: Any):
        self.cells, self._usual, self._clock = cells, usual, clock
        self.count = 1
        self._version = -1
        self.exponent = usual
        self.words = [usual & 0xFFFF]
        for cell in cells:
            cell.scale = self

    def refresh(self) -> bool:
        if self._version != self._clock.version:
            self._version = self._clock.version
            self.exponent = self._usual
            while self.exponent < _COARSEST and not all(cell.fits(self.exponent) for cell in self.cells):
                self.exponent += 1
            self.words = [self.exponent & 0xFFFF]
        return True

    def apply(self, ratio: tuple[int, int] | None) -> tuple[int, int] | None:
        self.refresh()
        return None if ratio is None else _times_ten(ratio, -self.exponent)

    @staticmethod
    def shown(first: int, end: int) -> Shown:
        return []

    @staticmethod
    def touched(first: int, words: list[int]) -> Touched:
        return []

    def forget(self) -> None:
        """Nothing of it can be written."""


def _patched(cell: Cell | Overlap, first: int, words: list[int]) -> list[int]:
    kept = list(cell.words) if cell.refresh() else [0] * cell.count
    kept[first : first + len(words)] = [int(word) for word in words]
    return kept


def usual_exponent(points: list[Any], extra: int) -> int:
    """The finest power of ten in which the ranges of all points fit their registers, and `extra` on top.

    It is no finer than what is published of the points.
    """
    exponent = max(_FINEST, min(point.exponent for point in points))
    for point in points:
        codec = Codec(point)
        for end in point.range or ():
            ratio = Fraction(end).as_integer_ratio()
            while exponent < _COARSEST and not codec.fits(_times_ten(ratio, -exponent)):
                exponent += 1
    return min(_COARSEST, exponent + extra)


def _times_ten(ratio: tuple[int, int], power: int) -> tuple[int, int]:
    numerator, denominator = ratio
    return (numerator * 10**power, denominator) if power >= 0 else (numerator, denominator * 10**-power)
