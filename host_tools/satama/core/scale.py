"""How a point's values are published, how they become the mantissas of the device, and how what is done to them is told."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from .quantities import symbol

LARGEST = (1 << 63) - 1  # of a mantissa


class Told(NamedTuple):
    """What a filter does: a formula, and a sentence."""

    formula: str
    words: str


class Scale(NamedTuple):
    """How a point's values are published."""

    exponent: int
    unit: str

    def steps(self, value: Decimal) -> Fraction:
        """A value in units of the last published digit, exact."""
        return Fraction(value) / Fraction(10) ** self.exponent

    def exact(self, value: Decimal) -> int:
        """The mantissa of a value that has no more digits than are published."""
        return int(self.steps(value))

    def nearest(self, value: Decimal) -> int:
        """The mantissa of a difference, rounded half-even."""
        return round(self.steps(value))

    def within(self, low: Decimal, high: Decimal) -> tuple[int, int]:
        """The mantissas that lie within low..high, exactly: low <= mantissa * 10**exponent <= high."""
        return max(math.ceil(self.steps(low)), -LARGEST), min(math.floor(self.steps(high)), LARGEST)

    def shown(self, mantissa: int) -> str:
        return self.given(Decimal(mantissa).scaleb(self.exponent))

    def given(self, value: Decimal) -> str:
        return f"{value:f} {symbol(self.unit)}".rstrip()
