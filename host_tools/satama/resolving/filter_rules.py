"""Do the filters of a point make sense, one by one and in this order? What is wrong, and what would be right."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from ..core.problems import Key
from ..core.quantities import ALARM
from ..core.scale import LARGEST, Scale
from ..site_file.filters import Filter
from .resolved import Channel

Mistake = tuple[Key, str, str]

_REPORTING = ("deadband", "throttle")
_NEEDS_EVERY_READING = ("rate", "stuck", "median", "hampel", "quantile", "mean", "ema", "debounce", "hold")
_IN_UNIT = {  # keys with a value of the point, or a difference of two
    "range": ("low", "high"),
    "stuck": ("band",),
    "deadband": ("delta",),
    "hysteresis": ("low", "high"),
    "offset": ("add",),
    "clamp": ("low", "high"),
}
_INSTEAD = {
    ("counter", "hampel"): "kind = rate: it refuses a jump without bending the count",
    ("counter", "calibrate"): "a counter can only be scaled: kind = scale",
    ("counter", "clamp"): "a counter beyond its bounds is wrong: kind = range",
    ("counter", "hysteresis"): "a counter only rises: it has one crossing",
    ("gauge", "debounce"): "readings of a gauge are rarely equal: kind = median, or a hysteresis before it",
    ("state", "rate"): "codes have no distance: kind = debounce",
    ("state", "stuck"): "a state may stay for ever: remove it",
}


def check_filters(channel: Channel) -> Iterator[Mistake]:
    """(where in the point's options, what, hint) of every mistake."""
    scale = Scale(channel.point.exponent, channel.point.unit)
    kind, reporter = channel.point.kind, ""
    for at, step in enumerate(channel.options.filters):
        key: Key = ("filters", at)
        if kind not in step.kinds:
            yield key, f"'{step.kind}' of a {kind} says nothing", _instead(kind, step)
        elif step.kind in _NEEDS_EVERY_READING and reporter:
            what = f"'{step.kind}' behind '{reporter}' would see only what is reported"
            yield key, what, f"put it before '{reporter}'"
        for part, what, hint in (*_values(step, scale), *_place(step, channel)):
            yield (*key, *part), what, hint
        if step.kind == "hysteresis":
            kind = "state"
        if step.kind in _REPORTING:
            reporter = step.kind


def _instead(kind: str, step: Filter) -> str:
    every = f"it is for {' and '.join(f'{fit}s' for fit in step.kinds)}"
    return _INSTEAD.get((kind, step.kind), every)


def _values(step: Filter, scale: Scale) -> Iterator[Mistake]:
    """Are the numbers of one filter such as the device can compute with, and mean the same there?"""
    given = [((name,), f"{name} =", getattr(step, name)) for name in _IN_UNIT.get(step.kind, ())]
    if step.kind == "calibrate":
        given = [(("points", at), axis, n) for at, p in enumerate(step.points) for axis, n in zip("xy", p, strict=True)]
    large = [(part, name, value) for part, name, value in given if abs(scale.steps(value)) > LARGEST]
    for part, name, value in large:
        yield part, f"{name} {scale.given(value)} is more than a value can hold", _largest(scale)
    if large:
        return
    if step.kind in ("range", "clamp", "hysteresis") and step.low >= step.high:
        yield (), f"low = {step.low} is not below high = {step.high}", "low < high"
    elif step.kind in ("range", "clamp"):
        low, high = scale.within(step.low, step.high)
        if low > high:
            yield (), f"no published value lies between {step.low} and {step.high}", _digits(scale)
    elif step.kind == "hysteresis" and scale.exponent > 0:
        what = f"it gives 0 and 1, but this point is published in steps of {scale.shown(1)}"
        yield (), what, "its profile needs exponent = 0, or below"
    elif step.kind in ("offset", "calibrate"):
        for part, name, value in given:
            if scale.steps(value).denominator != 1:
                yield part, f"{name} {value} has more digits than are published", _digits(scale)
        if step.kind == "calibrate":
            yield from _curve(step.points)
    elif step.kind in ("stuck", "deadband"):
        for part, name, value in given:
            if value and not scale.nearest(value):
                yield part, f"{name} {value} is less than can be published", _digits(scale)
    yield from _ratios(step, scale)


def _ratios(step: Filter, scale: Scale) -> Iterator[Mistake]:
    if step.kind == "scale" and step.factor == 1:
        yield ("factor",), "factor = 1 changes nothing", "remove it"
    if step.kind not in ("scale", "rate", "ema", "hampel"):
        return
    part = {"scale": "factor", "rate": "most", "ema": "share", "hampel": "k"}[step.kind]
    numbers = [number for spec in step.compile(scale) for number in spec[1:]]
    if any(abs(number) > LARGEST for number in numbers):
        yield (part,), f"{part} = {getattr(step, part)} has too many digits to compute with", "fewer digits"


def _curve(points: tuple[tuple[Decimal, Decimal], ...]) -> Iterator[Mistake]:
    for at, (before, after) in enumerate(pairwise(points), 1):
        if after[0] <= before[0]:
            what = f"x = {after[0]} is not above x = {before[0]} before it"
            yield ("points", at), what, "[[x, y], ..] in ascending order of x, each x once"
            return
    if len({y for _, y in points}) == 1:
        yield ("points",), f"every point has y = {points[0][1]}, so every reading would become that", "[[x, y], ..]"


def _place(step: Filter, channel: Channel) -> Iterator[Mistake]:
    """Does it fit the point, its window and the pace of its readings?"""
    period_s = channel.period_s
    if step.kind in _REPORTING and channel.options.window:
        yield (), f"'{step.kind}' and a window exclude each other: a window needs every reading", "remove one of them"
    if step.kind == "throttle" and channel.point.klass == ALARM:
        yield (), "'throttle' would hold an alarm back", "kind = deadband: it reports every change at once"
    if step.kind == "scale" and step.factor < 0 and channel.point.kind == "counter":
        yield ("factor",), f"factor = {step.factor} would make a counter fall", "a positive number or ratio"
    if step.kind == "throttle" and step.every_s <= period_s:
        what = f"every_s = {step.every_s} lets everything through: a reading comes every {period_s} s"
        yield ("every_s",), what, f"more than {period_s}"
    if step.kind == "deadband" and 0 < step.heartbeat_s <= period_s:
        what = f"heartbeat_s = {step.heartbeat_s} lets everything through: a reading comes every {period_s} s"
        yield ("heartbeat_s",), what, f"more than {period_s}, or 0 for none"
    if step.kind == "hold" and step.for_s < period_s:
        what = f"for_s = {step.for_s} is over before the next reading: one comes every {period_s} s"
        yield ("for_s",), what, f"at least {period_s}"
    if step.kind == "stuck" and step.after_s <= period_s:
        what = f"after_s = {step.after_s} makes two readings a run: one comes every {period_s} s"
        yield ("after_s",), what, f"many times {period_s}"


def _digits(scale: Scale) -> str:
    return f"this point is published in steps of {scale.shown(1)}"


def _largest(scale: Scale) -> str:
    return f"at most {scale.shown(LARGEST)}"
