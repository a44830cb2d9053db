"""What a filter's keys may look like, and how a value in the point's unit becomes the mantissa of the device."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, WrapValidator

from .problems import Wrong
from .quantities import Number, Ratio, symbol

LARGEST = (1 << 63) - 1  # of a mantissa
LONGEST_S = 7 * 86400


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


def _odd(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 3 <= value <= 31 and not value % 2:
        raise Wrong("is even, so that nothing is in the middle", f"{value - 1} or {value + 1}")
    return value


def _permille(value: Decimal) -> Decimal:
    if (Fraction(value) * 1000).denominator != 1:
        raise Wrong("has more than three digits behind the point", "e.g. 0.9, or 0.025")
    return value


def _factor(value: Any, ratio: Any) -> Fraction:
    """A ratio that may be negative, for what is wired the wrong way round."""
    if isinstance(value, str):
        return -ratio(value.lstrip()[1:]) if value.lstrip().startswith("-") else ratio(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        return ratio(value)  # which tells what is wrong
    if value == 0:
        raise Wrong("makes every reading 0", 'a number, or a ratio in quotes like "1/3"')
    return ratio(value) if value > 0 else -ratio(-value)


def _curve(value: Any) -> Any:
    hint = "2 to 16 points [[x, y], ..] in the point's unit, e.g. [[0, 0.5], [100, 98.5]]"
    if not isinstance(value, list) or not all(isinstance(point, list) and len(point) == 2 for point in value):
        raise Wrong("is not a list of points", hint)
    if not 2 <= len(value) <= 16:
        raise Wrong(f"has {len(value)} points", hint)
    return tuple(map(tuple, value))


OddSize = Annotated[int, BeforeValidator(_odd), Field(ge=3, le=31)]
Size = Annotated[int, Field(ge=2, le=31)]
Seconds = Annotated[int, Field(ge=1, le=LONGEST_S)]
Permille = Annotated[Number, AfterValidator(_permille)]
Factor = Annotated[Ratio, WrapValidator(_factor)]
Curve = Annotated[tuple[tuple[Number, Number], ...], BeforeValidator(_curve)]
