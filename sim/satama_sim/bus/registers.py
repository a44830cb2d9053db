"""From the world's exact values to Modbus registers and back, by integer arithmetic.

Layouts as in the Modbus application protocol and device manuals: words of 16 bits, the words of a value most
significant first (word_order "big") or last ("little"), the bytes in a word likewise (byte_order).
"""

import struct
from fractions import Fraction
from typing import Any

from ..world.exact import round_ratio

Ratio = tuple[int, int]  # numerator, denominator > 0

BITS = {"bool": 1, "u16": 16, "s16": 16, "u32": 32, "s32": 32, "u64": 64, "s64": 64, "f32": 32, "f64": 64}
BITS |= {"bcd16": 16, "bcd32": 32, "bcd64": 64}
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

    `encode` gives the raw bit pattern of all its registers: whole numbers are rounded half-even; a counter too large
    for its registers (or beyond its own rollover) begins again at 0; any other value that does not fit shows the device's marker for "no value", or the
    nearest end without one. A point with `bits` = (first, count) fills only those of its registers: `mask` tells which.
    """

    def __init__(self, point: Any):
        self.type = kind = point.type
        self.bits = 16 * point.length if kind == "string" else BITS[kind]
        self.count = 1 if kind == "bool" else self.bits // 16
        self._reverse = point.word_order == "little" and self.count > 1
        self._swap = point.byte_order == "little" and kind != "bool"
        self._scale = Fraction(point.scale)
        self._down, self._up = abs(self._scale.numerator), self._scale.denominator
        if self._scale < 0:
            self._up = -self._up
        marks = [(mark, None) if isinstance(mark, int) else tuple(mark) for mark in point.invalid if mark != "NaN"]
        self._patterns = frozenset(raw for raw, value in marks if value is None)
        self._masks = [mark for mark in marks if mark[1] is not None]
        self.marker = next((raw if value is None else value for raw, value in marks), _NAN.get(kind))
        self._float = {"f32": f32_bits, "f64": f64_bits}.get(kind)
        self._bcd = kind[:3] == "bcd"
        self._texts = _texts(point) if kind == "string" else None
        self._first, width = point.bits or (0, self.bits)
        self.mask = (1 << width) - 1 << self._first
        half, full = 1 << (width - 1), 10 ** (width // 4) if self._bcd else 1 << width
        signed = kind[0] == "s" and not self._texts and width == self.bits
        self._low, self._high = (-half, half - 1) if signed else (0, full - 1)
        self._rolls = point.kind == "counter" and not signed
        self._rollover = Fraction(point.rollover) / self._scale if point.rollover else None

    def fits(self, ratio: Ratio) -> bool:
        """Whether the registers can show the value, or roll over as a counter does."""
        return self._rolls or self._low <= round_ratio(ratio[0] * self._up, ratio[1] * self._down) <= self._high

    def encode(self, ratio: Ratio | None) -> int | None:
        """The raw bits of a value given as (numerator, denominator > 0); None: no value, and no marker to say so."""
        if ratio is None:
            return self.marker
        numerator, denominator = ratio[0] * self._up, ratio[1] * self._down
        if self._rollover:
            numerator, denominator = (Fraction(numerator, denominator) % self._rollover).as_integer_ratio()
        if self._float:
            return self._float(numerator, denominator)
        if self.type == "bool":
            return 1 if numerator else 0
        raw = round_ratio(numerator, denominator)
        if self._texts is not None:
            return self._texts.get(raw, self.marker)
        if not self._low <= raw <= self._high:
            if self._rolls:
                raw %= self._high + 1
            elif self.marker is not None:
                return self.marker
            else:
                raw = min(self._high, max(self._low, raw))
        if self._bcd:
            return int(str(raw), 16)
        return raw << self._first & self.mask

    def decode(self, raw: int) -> Fraction | None:
        """The exact value that raw bits stand for; None for a marker, NaN, infinity, or what is no decimal digit."""
        if raw in self._patterns or any(raw & mask == value for mask, value in self._masks):
            return None
        if self._float:
            size, code = (4, ">f") if self.bits == 32 else (8, ">d")
            value = _unpack(code, raw.to_bytes(size, "big"))[0]
            if value != value or value in (float("inf"), float("-inf")):
                return None
            return Fraction(value) * self._scale
        if self._texts is not None:
            return next((Fraction(number) for number, text in self._texts.items() if text == raw), None)
        if self._bcd:
            digits = f"{raw:x}"
            return int(digits) * self._scale if digits.isdecimal() else None
        raw = (raw & self.mask) >> self._first
        if self._low < 0 and raw > self._high:
            raw -= 1 << self.bits
        return raw * self._scale

    def words(self, raw: int) -> list[int]:
        """The registers of raw bits in address order; for a bool, the one bit."""
        if self.count == 1:
            words = [raw]
        elif self.count == 2:
            high, low = raw >> 16, raw & 0xFFFF
            words = [low, high] if self._reverse else [high, low]
        else:
            words = list(_unpack(f">{self.count}H", raw.to_bytes(2 * self.count, "big")))
            if self._reverse:
                words.reverse()
        return [_swapped(word) for word in words] if self._swap else words

    def raw(self, words: list[int]) -> int:
        """The raw bits that registers in address order hold."""
        result = 0
        for word in words[::-1] if self._reverse else words:
            result = result << 16 | (_swapped(word) if self._swap else word)
        return result


def _swapped(word: int) -> int:
    return word >> 8 | (word & 0xFF) << 8


def _texts(point: Any) -> dict[int, int]:
    """Number -> raw bits of the text that a string point shows for it."""
    size = 2 * point.length
    return {
        number: int.from_bytes(text.encode()[:size].ljust(size, b"\0"), "big") for text, number in point.states.items()
    }
