"""From the world's exact values to Modbus registers and back, by integer arithmetic.

Layouts as in the Modbus application protocol and device manuals: words of 16 bits, the bytes in a word big endian, the
words of a value most significant first ("big") or last ("little").
"""

import struct
from fractions import Fraction
from typing import Any

from satama_sim.world import Model
from satama_sim.world.exact import round_ratio

BITS = {"bool": 1, "u16": 16, "s16": 16, "u32": 32, "s32": 32, "u64": 64, "s64": 64, "f32": 32, "f64": 64}
_NAN = {"f32": 0x7FC0_0000, "f64": 0x7FF8_0000_0000_0000}
_F32_SMALLEST_NORMAL = 2.0**-126
_F32_TIE_MASK, _F32_TIE = (1 << 29) - 1, 1 << 28  # the bits of a double that a single lacks, and half of them
_pack, _unpack = struct.pack, struct.unpack


def f32_bits(numerator: int, denominator: int) -> int:
    """The single-precision float nearest to numerator / denominator (> 0), ties to even, as its 32 bits.

    Too large a value becomes infinity, as IEEE 754 says.
    """
    try:
        double = numerator / denominator  # Python rounds this division correctly
    except OverflowError:
        return 0xFF80_0000 if numerator < 0 else 0x7F80_0000
    # Rounding twice goes wrong only where the double lies exactly between two singles: those, and tiny ones, are
    # worked out in integers.
    if abs(double) < _F32_SMALLEST_NORMAL or _unpack(">Q", _pack(">d", double))[0] & _F32_TIE_MASK == _F32_TIE:
        return _f32_bits_exact(numerator, denominator)
    try:
        return _unpack(">I", _pack(">f", double))[0]
    except OverflowError:
        return 0xFF80_0000 if numerator < 0 else 0x7F80_0000


def _f32_bits_exact(numerator: int, denominator: int) -> int:
    sign = 0x8000_0000 if numerator < 0 else 0
    magnitude = abs(numerator)
    # exponent: the unit of the last place is 2**exponent; a normal mantissa has 24 bits
    exponent = max(-149, magnitude.bit_length() - denominator.bit_length() - 24)
    mantissa = _scaled(magnitude, denominator, exponent)
    while mantissa > 0xFF_FFFF:
        exponent += 1
        mantissa = _scaled(magnitude, denominator, exponent)
    if mantissa < 0x80_0000:
        return sign | mantissa
    return sign | min(0x7F80_0000, ((exponent + 150) << 23) | (mantissa & 0x7F_FFFF))


def _scaled(magnitude: int, denominator: int, exponent: int) -> int:
    if exponent >= 0:
        return round_ratio(magnitude, denominator << exponent)
    return round_ratio(magnitude << -exponent, denominator)


def f64_bits(numerator: int, denominator: int) -> int:
    """The double nearest to numerator / denominator (> 0), ties to even, as its 64 bits; infinity when too large."""
    try:
        double = numerator / denominator
    except OverflowError:
        return 0xFFF0_0000_0000_0000 if numerator < 0 else 0x7FF0_0000_0000_0000
    return _unpack(">Q", _pack(">d", double))[0]


class Codec:
    """How one point of a profile stands in registers.

    `encode` gives the raw bit pattern: whole numbers are rounded half-even; a counter too large for its registers rolls
    over; any other value that does not fit shows the device's marker for "no value", or the nearest end without one.
    """

    def __init__(self, point: Any):
        self.type = point.type
        self.bits = BITS[point.type]
        self.count = 1 if point.type == "bool" else self.bits // 16
        self._little = point.word_order == "little" and self.count > 1
        self._scale = Fraction(point.scale)
        self._rolls = point.kind == "counter" and point.type[0] == "u"
        self._down, self._up = abs(self._scale.numerator), self._scale.denominator
        if self._scale < 0:
            self._up = -self._up
        self._patterns = frozenset(p for p in point.invalid if isinstance(p, int))
        self._marker = next((p for p in point.invalid if isinstance(p, int)), _NAN.get(point.type))
        self._float = {"f32": f32_bits, "f64": f64_bits}.get(point.type)
        half, full = 1 << (self.bits - 1), 1 << self.bits
        self._low, self._high = (-half, half - 1) if point.type[0] == "s" else (0, full - 1)

    def encode(self, ratio: tuple[int, int] | None) -> int | None:
        """The raw bits of a value given as (numerator, denominator > 0); None: no value, and no marker to say so."""
        if ratio is None:
            return self._marker
        numerator, denominator = ratio[0] * self._up, ratio[1] * self._down
        if self._float:
            return self._float(numerator, denominator)
        if self.type == "bool":
            return 1 if numerator else 0
        raw = round_ratio(numerator, denominator)
        if not self._low <= raw <= self._high:
            if self._rolls:
                raw %= 1 << self.bits
            elif self._marker is not None:
                return self._marker
            else:
                raw = min(self._high, max(self._low, raw))
        return raw & ((1 << self.bits) - 1)

    def decode(self, raw: int) -> Fraction | None:
        """The exact value that raw bits stand for; None for a marker, NaN or infinity."""
        if raw in self._patterns:
            return None
        if self._float:
            size, code = (4, ">f") if self.bits == 32 else (8, ">d")
            value = _unpack(code, raw.to_bytes(size, "big"))[0]
            if value != value or value in (float("inf"), float("-inf")):
                return None
            return Fraction(value) * self._scale
        if self.type[0] == "s" and raw > self._high:
            raw -= 1 << self.bits
        return raw * self._scale

    def words(self, raw: int) -> list[int]:
        """The registers of raw bits in address order; for a bool, the one bit."""
        if self.count == 1:
            return [raw]
        if self.count == 2:
            high, low = raw >> 16, raw & 0xFFFF
            return [low, high] if self._little else [high, low]
        words = list(_unpack(f">{self.count}H", raw.to_bytes(2 * self.count, "big")))
        return words[::-1] if self._little else words

    def raw(self, words: list[int]) -> int:
        """The raw bits that registers in address order hold."""
        ordered = words[::-1] if self._little else words
        result = 0
        for word in ordered:
            result = result << 16 | word
        return result


class Cell:
    """One point of one unit: its registers, worked out once for each state of the world."""

    __slots__ = ("_clock", "_model", "_version", "_written", "codec", "point", "raw", "words")

    def __init__(self, model: Model, point: Any):
        self.point, self.codec = point, Codec(point)
        self._model, self._clock = model, model.clock
        self._version = -1
        self.raw: int | None = None
        self.words: list[int] = []
        self._written: int | None = None

    def refresh(self) -> bool:
        """Brings `raw` and `words` up to date. False when the device has no value and no marker to say so."""
        if self._version != self._clock.version:
            self._version = self._clock.version
            raw = self._written
            if raw is None:
                raw = self.codec.encode(self._model.ratio(self.point.name))
            if raw is None or raw != self.raw:
                self.raw = raw
                self.words = [] if raw is None else self.codec.words(raw)
        return self.raw is not None

    def write(self, first: int, words: list[int]) -> None:
        """Writes registers from the cell's `first` one on."""
        kept = list(self.words) if self.refresh() else [0] * self.codec.count
        kept[first : first + len(words)] = [int(word) for word in words]
        raw = self.codec.raw(kept)
        value = self.codec.decode(raw)
        taken = value is not None and self._model.write(self.point.name, value)
        self._written = None if taken else raw
        self._version = -1

    def shown(self) -> Fraction | None:
        """The exact value that the registers show."""
        return None if self.raw is None else self.codec.decode(self.raw)
