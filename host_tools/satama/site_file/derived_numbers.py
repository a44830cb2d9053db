"""Derivations for the device: whole numbers in steps of the points, so that everything is exact until it is rounded."""

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from ..core.scale import Scale
from .derived import (
    Bin,
    Derived,
    Difference,
    Energy,
    Flow,
    Imbalance,
    Known,
    Leak,
    Power,
    Soil,
    Sum,
    TemperatureAlarm,
    Tilt,
    Volume,
)

# Of each unit in one that all of them share, so that 1 l/s is 1 l in 1 s, and 1 W 1 Wh in 3600 s.
SIZES = {
    "length": {"mm": Fraction(1), "cm": Fraction(10), "m": Fraction(1000)},
    "volume": {"l": Fraction(1), "m3": Fraction(1000)},
    "flow": {"l/s": Fraction(1), "m3/s": Fraction(1000), "m3/h": Fraction(1000, 3600), "l/h": Fraction(1, 3600)},
    "power": {"W": Fraction(1), "kW": Fraction(1000)},
    "energy": {"Wh": Fraction(3600), "kWh": Fraction(3_600_000), "J": Fraction(1)},
    "temperature": {"Cel": Fraction(1)},
    "angle": {"deg": Fraction(1)},
}
_SIZES = {unit: size for units in SIZES.values() for unit, size in units.items()}
_C20 = 331_300, 606  # speed of sound in mm/s: at 0 Cel, and what each degree adds
_LONGEST_MIN = 30 * 1440  # a bin that takes longer to fill needs no number


def compile_derived(steps: Iterable[Derived], known: Mapping[str, Known], index: Mapping[str, int]) -> list[list]:
    """The spec of each for the device. `known` and `index` (place in the compiled points) have the points of the site
    and those that the steps give; only what is wanted needs an index."""
    rows = []
    for step in steps:
        given = step.gives(dict(known))
        outputs = [index[f"{step.id}/{one.name}"] if step.wants(one.name) else -1 for one in given]
        if step.kind == "soil":
            outputs += [-1] * (2 - len(outputs))
        kind, arguments = arguments_of(step, known)
        rows.append([kind, [index[name] for _, name in step.sources()], outputs, *arguments])
    return rows


def arguments_of(step: Derived, known: Mapping[str, Known]) -> tuple[str, list]:
    """(kind on the device, its arguments) of a step that derived_rules.check lets pass."""
    return _COMPILERS[type(step)](step, known)


def scale_of(point: Known) -> Scale:
    return Scale(point.exponent, point.unit)


def _step(point: Known) -> Fraction:
    """The last published digit, in the shared unit."""
    return Fraction(10) ** point.exponent * _SIZES[point.unit]


def _bin(step: Bin, known: Mapping[str, Known]) -> tuple[str, list]:
    scale = scale_of(known[step.distance])
    height = scale.exact(step.height)
    shape = [(scale.exact(x), Fraction(y)) for x, y in step.shape or ()] or [(0, Fraction(0)), (height, Fraction(1))]
    parts = math.lcm(*(y.denominator for _, y in shape))
    full = 1000  # steps of 0.1 %
    share = full / (volume_at(shape, height - scale.exact(step.full_at)) * parts)
    curve = [[x, int(y * parts)] for x, y in shape]
    air = []
    if step.temperature:
        warmth = Fraction(10) ** known[step.temperature].exponent
        air = [*warmth.as_integer_ratio(), _C20[0] + _C20[1] * step.assumed_cel]
    return "bin", [
        [height, scale.exact(step.blanking), scale.exact(step.margin)],
        [curve, *share.as_integer_ratio()],
        full,
        air,
        [math.ceil(step.emptied_by * 10), step.confirm],
        [step.rate_s, 10 * 3600, 1],  # from steps of 0.1 % to such of 0.01 % in an hour
        [1, 60, _LONGEST_MIN],
    ]


def volume_at(shape: list[tuple[int, Fraction]], x: int) -> Fraction:
    """On the lines through the points; beyond the ends as at the ends."""
    x = max(shape[0][0], min(x, shape[-1][0]))
    for (x0, y0), (x1, y1) in zip(shape, shape[1:], strict=False):
        if x <= x1:
            return y0 + (y1 - y0) * Fraction(x - x0, x1 - x0)
    return shape[-1][1]


def _soil(step: Soil, known: Mapping[str, Known]) -> tuple[str, list]:
    water = Scale(-1, "/100")
    limits = []
    if step.field_capacity is not None and step.wilting_point is not None:
        limits = [water.exact(step.field_capacity), water.exact(step.wilting_point)]
    if step.permittivity:
        size = Fraction(10) ** known[step.permittivity].exponent
        return "topp", [*size.as_integer_ratio(), 1000, 1000, limits]
    scale = scale_of(known[step.raw])
    return "table", [[[scale.exact(x), water.exact(y)] for x, y in step.table], 1000, 1000, limits]


def _rate(step: Flow | Power, known: Mapping[str, Known]) -> tuple[str, list]:
    [(_, source)] = step.sources()
    [given] = step.gives(dict(known))
    ratio = _step(known[source]) / _step(Known(given.unit, given.exponent, "", ""))
    return "rate", [*ratio.as_integer_ratio(), step.over_s]


def _total(step: Volume | Energy, known: Mapping[str, Known]) -> tuple[str, list]:
    [(_, source)] = step.sources()
    [given] = step.gives(dict(known))
    ratio = _step(known[source]) / _step(Known(given.unit, given.exponent, "", ""))
    n, d = ratio.as_integer_ratio()
    return "total", [-n if step.kind == "energy" and step.direction == "export" else n, d, step.gap_s]


def _sum(step: Sum | Difference, known: Mapping[str, Known]) -> tuple[str, list]:
    [given] = step.gives(dict(known))
    names = [name for _, name in step.sources()]
    sizes = [Fraction(10) ** (known[name].exponent - given.exponent) for name in names]
    if step.kind == "difference":
        sizes[1:] = [-size for size in sizes[1:]]
    d = math.lcm(*(size.denominator for size in sizes))
    least = step.least if step.kind == "sum" and step.least else len(names)
    return "sum", [least, d, [int(size * d) for size in sizes]]


def _imbalance(step: Imbalance, known: Mapping[str, Known]) -> tuple[str, list]:
    finest = min(known[name].exponent for name in step.phases)
    weights = [10 ** (known[name].exponent - finest) for name in step.phases]
    return "imbalance", [math.ceil(Scale(finest, "").steps(step.floor)), 1000, weights]


def _leak(step: Leak, known: Mapping[str, Known]) -> tuple[str, list]:
    flow = scale_of(known[step.flow])
    resting = [math.floor(flow.steps(step.zero)), step.quiet_s, step.after_h * 3600] if step.after_h else []
    closed = []
    if step.valve:
        code = scale_of(known[step.valve]).exact(step.closed_code)
        closed = [code, math.floor(flow.steps(step.closed_limit)), step.closed_after_s]
    return "leak", [resting, closed, step.heartbeat_s]


def _temperature(step: TemperatureAlarm, known: Mapping[str, Known]) -> tuple[str, list]:
    """Limits outwards, so that no reading changes sides."""
    scale = scale_of(known[step.temperature])
    limits, rises = [], []
    if step.above is not None:
        limits = [math.ceil(scale.steps(step.above)), math.floor(scale.steps(step.above - step.hysteresis))]
    if step.rise is not None:
        rises = [math.ceil(scale.steps(step.rise)), step.rise_s]
    return "temperature_alarm", [limits, rises, step.confirm, step.heartbeat_s]


def _tilt(step: Tilt, known: Mapping[str, Known]) -> tuple[str, list]:
    if step.contact:
        one = scale_of(known[step.contact]).exact(1)
        return "tilt", [(1 - step.tilted_code) * one, one, 0, step.confirm, step.heartbeat_s]
    scale = scale_of(known[step.angle])
    limits = [math.ceil(scale.steps(step.most)), math.floor(scale.steps(step.most - step.hysteresis))]
    return "tilt", [scale.exact(step.upright), *limits, step.confirm, step.heartbeat_s]


_COMPILERS: dict[type, Callable[..., tuple[str, list]]] = {
    Bin: _bin,
    Soil: _soil,
    Flow: _rate,
    Power: _rate,
    Volume: _total,
    Energy: _total,
    Sum: _sum,
    Difference: _sum,
    Imbalance: _imbalance,
    Leak: _leak,
    TemperatureAlarm: _temperature,
    Tilt: _tilt,
}
