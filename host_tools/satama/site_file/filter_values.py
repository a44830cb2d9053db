"""What a filter's keys may look like, and how a value in the point's unit becomes the mantissa of the device."""

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WrapValidator

from ..core.problems import Wrong
from ..core.quantities import Number, Ratio

LONGEST_S = 7 * 86400


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
