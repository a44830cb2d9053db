"""The filters that a site file may name for a point: their form, what the device gets of them, and what they do, in words.

Keys are in the point's unit; the device computes with mantissas, value = mantissa * 10**exponent. x is the reading that
comes to a filter, y what it gives. `compile` is exact, or rounds as it says; resolving/filter_rules.py refuses where that would
change the meaning.
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from ..core.problems import Strict
from ..core.quantities import Number
from ..core.scale import Scale, Told
from ..profiles.counters import Continuous, continuous
from ..profiles.profile import Point
from .filter_values import LONGEST_S, Curve, Factor, OddSize, Permille, Seconds, Size

MOST_FILTERS = 8
_MAD = (14826, 10000)  # from median absolute deviation to standard deviation, of a normal distribution


class _Filter(Strict):
    """`reasons`: what it can give, words of the quality byte; `kinds`: of points that it makes sense for."""

    reasons: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = ("gauge", "counter", "state")

    def compile(self, scale: Scale) -> list[list]:
        """Specs for the device, in processing order; usually one."""
        raise NotImplementedError

    def explain(self, scale: Scale) -> Told:
        """With the numbers that the device computes with, not those of the file."""
        raise NotImplementedError


class RangeFilter(_Filter):
    kind: Literal["range"]
    low: Number = Field(description="lowest good value, in the point's unit")
    high: Number = Field(description="highest good value, in the point's unit")
    reasons = ("out_of_range",)

    def compile(self, scale: Scale) -> list[list]:
        return [["range", *scale.within(self.low, self.high)]]

    def explain(self, scale: Scale) -> Told:
        low, high = map(scale.shown, scale.within(self.low, self.high))
        return Told(f"{low} <= x <= {high}", "a reading outside is bad; its number is kept")


class RateFilter(_Filter):
    kind: Literal["rate"]
    most: Number = Field(gt=0, description="largest believable change in per_s seconds, in the point's unit")
    per_s: int = Field(1, ge=1, le=86400, description="seconds that most is for, 1..86400")
    confirm: int = Field(3, ge=2, le=31, description="readings in a row that make a jump believable, 2..31")
    reasons = ("implausible",)
    kinds = ("gauge", "counter")

    def compile(self, scale: Scale) -> list[list]:
        """Never rounded: what is less than a step in per_s is a step in more seconds."""
        rise = scale.steps(self.most)
        return [["rate", rise.numerator, self.per_s * rise.denominator, self.confirm]]

    def explain(self, scale: Scale) -> Told:
        per = "s" if self.per_s == 1 else f"{self.per_s} s"
        formula = f"|x - last believed| / elapsed <= {scale.given(self.most)} / {per}"
        again = f"{self.confirm} such readings in a row that agree with each other are believed"
        return Told(formula, f"a faster change is bad (elapsed is 1 s at least); {again}")


class StuckFilter(_Filter):
    kind: Literal["stuck"]
    band: Number = Field(ge=0, description="what a living sensor leaves sooner or later, in the point's unit")
    after_s: Seconds = Field(description="seconds within the band that make it bad, 1..604800")
    reasons = ("stuck",)
    kinds = ("gauge", "counter")

    def compile(self, scale: Scale) -> list[list]:
        return [["stuck", scale.nearest(self.band), self.after_s]]

    def explain(self, scale: Scale) -> Told:
        band = scale.shown(scale.nearest(self.band))
        formula = f"|x - first of the run| <= {band} for {self.after_s} s or longer"
        return Told(formula, "such a reading is bad, until one leaves the band")


class MedianFilter(_Filter):
    kind: Literal["median"]
    size: OddSize = Field(description="how many readings, odd, 3..31")

    def compile(self, scale: Scale) -> list[list]:
        return [["median", self.size]]

    def explain(self, scale: Scale) -> Told:
        formula = f"y = median of the last {self.size} good readings"
        return Told(formula, f"{self.size // 2} of them may be odd and it does not show")


class HampelFilter(_Filter):
    kind: Literal["hampel"]
    size: OddSize = Field(description="how many readings, odd, 3..31")
    k: Number = Field(Decimal(3), gt=0, le=100, description="how many standard deviations are too many, usually 3")
    reasons = ("substituted",)
    kinds = ("gauge",)

    def compile(self, scale: Scale) -> list[list]:
        k = Fraction(self.k)
        return [["hampel", self.size, k.numerator * _MAD[0], k.denominator * _MAD[1]]]

    def explain(self, scale: Scale) -> Told:
        formula = f"|x - m| > {self.k:f} * 1.4826 * median of |x - m|, m = median of the last {self.size} good readings"
        return Told(formula, "such a spike is replaced by m, which is uncertain")


class QuantileFilter(_Filter):
    kind: Literal["quantile"]
    size: Size = Field(description="how many readings, 2..31")
    share: Permille = Field(ge=0, le=1, description="0 is the lowest of them, 1 the highest, e.g. 0.9")
    kinds = ("gauge",)

    def compile(self, scale: Scale) -> list[list]:
        return [["quantile", self.size, int(self.share * 1000)]]

    def explain(self, scale: Scale) -> Told:
        formula = f"y = sorted[{self.share:f} * (n - 1), rounded half up], n = the last {self.size} good readings"
        return Told(formula, "one of them, that far on the way from the lowest to the highest")


class MeanFilter(_Filter):
    kind: Literal["mean"]
    size: Size = Field(description="how many readings, 2..31")
    kinds = ("gauge",)

    def compile(self, scale: Scale) -> list[list]:
        return [["mean", self.size]]

    def explain(self, scale: Scale) -> Told:
        return Told(f"y = sum / n of the last {self.size} good readings", "rounded half-even")


class EmaFilter(_Filter):
    kind: Literal["ema"]
    share: Number = Field(gt=0, le=1, description="what a reading counts for, above 0, at most 1, e.g. 0.2")
    kinds = ("gauge",)

    def compile(self, scale: Scale) -> list[list]:
        return [["ema", *Fraction(self.share).as_integer_ratio()]]

    def explain(self, scale: Scale) -> Told:
        formula = f"y = y + {self.share:f} * (x - y), from good readings, the first y = x"
        return Told(formula, "kept finer than it is published, rounded half-even")


class DeadbandFilter(_Filter):
    kind: Literal["deadband"]
    delta: Number = Field(gt=0, description="least change that is reported, in the point's unit")
    heartbeat_s: int = Field(0, ge=0, le=LONGEST_S, description="at most so many seconds of silence; 0: for ever")

    def compile(self, scale: Scale) -> list[list]:
        return [["deadband", scale.nearest(self.delta), self.heartbeat_s]]

    def explain(self, scale: Scale) -> Told:
        formula = f"|x - last reported| >= {scale.shown(scale.nearest(self.delta))}"
        beat = f"; and after {self.heartbeat_s} s in any case" if self.heartbeat_s else ""
        return Told(formula, f"only such a reading is reported, the first, and one of another quality{beat}")


class ThrottleFilter(_Filter):
    kind: Literal["throttle"]
    every_s: Seconds = Field(description="at most one report in so many seconds, 1..604800")

    def compile(self, scale: Scale) -> list[list]:
        return [["throttle", self.every_s]]

    def explain(self, scale: Scale) -> Told:
        return Told(f"elapsed since the last report >= {self.every_s} s", "what comes sooner is not reported")


class HysteresisFilter(_Filter):
    kind: Literal["hysteresis"]
    low: Number = Field(description="at or below it: 0, in the point's unit")
    high: Number = Field(description="at or above it: 1, in the point's unit")
    kinds = ("gauge",)

    def limits(self, scale: Scale) -> tuple[int, int]:
        """Outwards, so that no reading changes sides."""
        return math.floor(scale.steps(self.low)), math.ceil(scale.steps(self.high))

    def compile(self, scale: Scale) -> list[list]:
        """The device's filter gives the mantissa 1, which must be published as 1."""
        specs = [["hysteresis", *self.limits(scale)]]
        return specs + [["scale", 10**-scale.exponent, 1]] * (scale.exponent < 0)

    def explain(self, scale: Scale) -> Told:
        low, high = map(scale.shown, self.limits(scale))
        formula = f"y = 1 if x >= {high}, 0 if x <= {low}, else what it was"
        return Told(formula, "a state, 0 at first; it does not flutter about one threshold")


class DebounceFilter(_Filter):
    kind: Literal["debounce"]
    count: int = Field(ge=2, le=31, description="equal readings in a row that make a change, 2..31")
    kinds = ("state",)

    def compile(self, scale: Scale) -> list[list]:
        return [["debounce", self.count]]

    def explain(self, scale: Scale) -> Told:
        formula = f"y = x after {self.count} equal readings in a row, until then what it was"
        return Told(formula, "the first reading counts at once")


class HoldFilter(_Filter):
    kind: Literal["hold"]
    for_s: Seconds = Field(description="seconds that the last good reading stands in, 1..604800")
    reasons = ("substituted",)

    def compile(self, scale: Scale) -> list[list]:
        return [["hold", self.for_s]]

    def explain(self, scale: Scale) -> Told:
        formula = f"y = last good reading while x is bad, at most {self.for_s} s after it"
        return Told(formula, "what stands in is uncertain; later the bad one passes as it is")


class CalibrateFilter(_Filter):
    kind: Literal["calibrate"]
    points: Curve = Field(description="2 to 16 points [[x, y], ..], x ascending, in the point's unit")
    reasons = ("overflow",)
    kinds = ("gauge",)

    def compile(self, scale: Scale) -> list[list]:
        return [["calibrate", [[scale.exact(x), scale.exact(y)] for x, y in self.points]]]

    def explain(self, scale: Scale) -> Told:
        points = ", ".join(f"{scale.given(x)} -> {scale.given(y)}" for x, y in self.points)
        return Told(f"y on straight lines through {points}", "the first and the last line go on; rounded half-even")


class ScaleFilter(_Filter):
    kind: Literal["scale"]
    factor: Factor = Field(description='a number, or a ratio in quotes like "1/3"')
    reasons = ("overflow",)
    kinds = ("gauge", "counter")

    def compile(self, scale: Scale) -> list[list]:
        return [["scale", *self.factor.as_integer_ratio()]]

    def explain(self, scale: Scale) -> Told:
        return Told(f"y = x * {self.factor}", "rounded half-even")


class OffsetFilter(_Filter):
    kind: Literal["offset"]
    add: Number = Field(description="what is added, in the point's unit")
    reasons = ("overflow",)
    kinds = ("gauge", "counter")

    def compile(self, scale: Scale) -> list[list]:
        return [["offset", scale.exact(self.add)]]

    def explain(self, scale: Scale) -> Told:
        return Told(f"y = x {'-' if self.add < 0 else '+'} {scale.given(abs(self.add))}", "exact")


class ClampFilter(_Filter):
    kind: Literal["clamp"]
    low: Number = Field(description="what is below becomes this, in the point's unit")
    high: Number = Field(description="what is above becomes this, in the point's unit")
    kinds = ("gauge",)

    def compile(self, scale: Scale) -> list[list]:
        return [["clamp", *scale.within(self.low, self.high)]]

    def explain(self, scale: Scale) -> Told:
        low, high = map(scale.shown, scale.within(self.low, self.high))
        return Told(f"y = {low} if x < {low}, {high} if x > {high}, else x", "the quality stays")


Filter = Annotated[
    RangeFilter | RateFilter | StuckFilter | MedianFilter | HampelFilter | QuantileFilter | MeanFilter | EmaFilter
    | DeadbandFilter | ThrottleFilter | HysteresisFilter | DebounceFilter | HoldFilter
    | CalibrateFilter | ScaleFilter | OffsetFilter | ClampFilter,
    Field(discriminator="kind"),
]  # fmt: skip
FILTERS: tuple[type[_Filter], ...] = get_args(get_args(Filter)[0])


def whole_chain(
    point: Point, own: Sequence[Filter], per_pulse: Fraction | None = None
) -> Iterator[tuple[str, Filter | Continuous]]:
    """("profile" or "site", filter) in processing order: what the profile knows of the quantity, then the site's own.

    The range comes before a counter is made continuous: it is the device's, and a total may leave it. `per_pulse`: the site's own, if any.
    """
    if point.range:
        low, high = point.range
        yield "profile", RangeFilter(kind="range", low=low, high=high)
    if point.kind == "counter":
        rate = _own_rate(own)
        made = continuous(point, rate and (rate.most, rate.per_s, rate.confirm), per_pulse)
        yield "site" if rate else "profile", made
        yield from (("site", step) for step in own if step is not rate)
        return
    if point.max_rate is not None and not any(step.kind == "rate" for step in own):
        yield "profile", RateFilter(kind="rate", most=point.max_rate)
    yield from (("site", step) for step in own)


def _own_rate(own: Sequence[Filter]) -> RateFilter | None:
    """The rate that a site gives for a counter itself, before it changes its unit."""
    for step in own:
        if step.kind == "rate":
            return step
        if step.kind == "scale":
            return None
    return None


def compile_filters(point: Point, own: Sequence[Filter]) -> list[list]:
    """The specs of the site's own filters alone for the device."""
    scale = Scale(point.exponent, point.unit)
    return [spec for step in own for spec in step.compile(scale)]


def compile_chain(point: Point, own: Sequence[Filter], per_pulse: Fraction | None = None) -> list[list]:
    """The specs of a point for the device."""
    scale = Scale(point.exponent, point.unit)
    return list(chain.from_iterable(step.compile(scale) for _, step in whole_chain(point, own, per_pulse)))
