"""Counters of a profile on their way to the device: where they roll over, how fast they can count, how coarse they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from ..core.quantities import QUANTITIES
from ..core.scale import LARGEST, Scale, Told
from .profile import Point

CONFIRM = 3  # readings in a row that make a jump believed
_IN_FIRST = {  # what a unit is in the first unit of its quantity
    "Wh": Fraction(1, 1000),
    "varh": Fraction(1, 1000),
    "VAh": Fraction(1, 1000),
    "J": Fraction(1, 3_600_000),
    "m3": Fraction(1000),
    "min": Fraction(1, 60),
    "s": Fraction(1, 3600),
}
_SIGNIFICAND = {"f32": 24, "f64": 53}  # bits (IEEE 754)


@dataclass(frozen=True)
class Continuous:
    """What makes a reading a total: `most` in `per_s` seconds is the fastest it counts, in the unit; so much may come at once."""

    modulus: Fraction | None  # in the unit
    most: Fraction
    per_s: int
    confirm: int
    step: Fraction  # of the device's own number, in the unit
    bits: int  # of the significand of a floating point number, else 0

    kind: ClassVar[str] = "counter"
    reasons: ClassVar[tuple[str, ...]] = ("quarantined", "reset", "exchanged", "estimated", "overflow")

    def compile(self, scale: Scale) -> list[list]:
        """["counter", modulus, rise, per_s, confirm, step, bits, settle_s]; the rate is never rounded."""
        unit = Fraction(10) ** scale.exponent
        rise = self.most / unit / self.per_s
        modulus = int(self.modulus / unit) if self.modulus else 0
        step = max(1, -int(-self.step // unit))
        rate = [rise.numerator, rise.denominator]
        return [["counter", modulus, *rate, self.confirm, step, self.bits, self.per_s]]

    def explain(self, scale: Scale) -> Told:
        per = "s" if self.per_s == 1 else f"{self.per_s} s"
        most = scale.given(_decimal(self.most))
        formula = f"y = x + what was counted before; {most} / {per} is the most that it counts"
        rolls = f"; from {scale.given(_decimal(self.modulus))} it goes on at 0" if self.modulus else ""
        told = f"the total never falls{rolls}; a jump is bad until {self.confirm} readings in a row confirm it"
        return Told(formula, f"{told}: then it began anew at 0, or the meter was exchanged")


def continuous(
    point: Point, rate: tuple[Decimal, int, int] | None = None, per_pulse: Fraction | None = None
) -> Continuous:
    """For a point that is a counter. The site's own (most, per_s, confirm) and per_pulse stand above those of profile and quantity."""
    confirm = CONFIRM
    if rate:
        most, per_s, confirm = Fraction(rate[0]), rate[1], rate[2]
    elif point.max_rate is not None:
        most, per_s = Fraction(point.max_rate), 1
    else:
        most, per_s = fastest(point)
    modulus = Fraction(point.rollover) if point.rollover is not None else None
    return Continuous(modulus, most, per_s, confirm, per_pulse or _step(point), _SIGNIFICAND.get(point.type or "", 0))


def fastest(point: Point) -> tuple[Fraction, int]:
    """(most in the point's unit, seconds that it is for) that its quantity can count."""
    most, per_s = QUANTITIES[point.quantity].fastest or (Decimal(LARGEST), 1)
    return Fraction(most) / _IN_FIRST.get(point.unit, 1), per_s


def check_counter(point: Point) -> Iterator[tuple[str, str, str]]:
    """(key, what is wrong, the right form) of what a profile says of a counter."""
    if point.kind != "counter":
        return
    if point.max_rate is not None:
        ((_, _, rise, per_s, *_),) = continuous(point).compile(Scale(point.exponent, point.unit))
        if max(rise, per_s) > LARGEST:
            yield "max_rate", f"max_rate = {point.max_rate} has too many digits to compute with", "fewer digits"
    if point.rollover is None:
        return
    unit = Fraction(10) ** point.exponent
    modulus = Fraction(point.rollover) / unit
    if modulus.denominator != 1:
        what = f"rollover = {point.rollover} has more digits than exponent = {point.exponent} publishes"
        yield "rollover", what, "where it begins again at 0, such as 1000000: not the last reading before that"
    elif modulus > LARGEST:
        yield "rollover", f"rollover = {point.rollover} is more than a value can hold", f"at most {LARGEST * unit}"
    elif modulus < 2:
        what = f"rollover = {point.rollover} leaves no reading but 0 at exponent = {point.exponent}"
        yield "rollover", what, "where it begins again at 0, such as 1000000"


def _step(point: Point) -> Fraction:
    """What the device's number moves by at least. A register that scales it may say anything: a step as published then."""
    if point.per_pulse is not None:
        return Fraction(point.per_pulse)
    if point.type in _SIGNIFICAND or point.scale_register is not None:
        return Fraction(0)
    return Fraction(point.scale)


def _decimal(value: Fraction) -> Decimal:
    """As near as people need it."""
    return (Decimal(value.numerator) / Decimal(value.denominator)).normalize()
