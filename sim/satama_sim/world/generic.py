"""Points the world knows nothing about: gauges wander in their range, counters grow, states change now and then."""

from collections.abc import Callable
from fractions import Fraction

from .exact import round_half_even
from .scene import Scene
from .signals import Ripple, Wander, source

PER_UNIT = 10**6
_SLOWEST, _FASTEST = 2_000, 50_000  # a counter's growth in fine steps a second
_WIDTH = {"bool": 1, "u16": 16, "s16": 15, "u32": 32, "s32": 31, "u64": 64, "s64": 63}
_DIGITS = {"bcd16": 4, "bcd32": 8, "bcd64": 16}
_DRIFT_S, _STATE_S = 600, 1800


def reading(scene: Scene, device_id: str, point, start: int | None) -> tuple[Callable[[], int], int]:
    """(getter, fine steps per unit) for a point. `start` is a counter's start value in fine steps."""
    name = f"{device_id}/{point.name}"
    if point.kind == "counter":
        return counter(scene, name, start), PER_UNIT
    if point.kind == "state":
        return state(scene, name, point), 1
    if point.kind == "text":
        return setting(point), PER_UNIT
    return gauge(scene, name, point), PER_UNIT


def gauge(scene: Scene, name: str, point) -> Callable[[], int]:
    low, high = _bounds(point)
    span = high - low
    if point.max_rate:  # half of it for the drift, half for the flicker
        fastest = round_half_even(Fraction(point.max_rate) * PER_UNIT)
        middle, span = (low + high) // 2, min(span, fastest * _DRIFT_S // 2)
        low, high = middle - span // 2, middle + span // 2
    drift = Wander(scene.seed, name, low + 3 * span // 10, low + 7 * span // 10, _DRIFT_S)
    flicker, clock = Ripple(scene.seed, name), scene.clock
    amplitude = min(span // 500, fastest // 4) if point.max_rate else span // 500

    def get() -> int:
        return drift.at(clock.step) + flicker.at(clock.step) * amplitude // 1000

    return get


def counter(scene: Scene, name: str, start: int | None) -> Callable[[], int]:
    totals = [source(scene.seed, name, "start").randrange(1_000, 9_000) * PER_UNIT if start is None else start]
    rates: list[int] = []
    clock = scene.clock

    def get() -> int:
        hour, passed = divmod(clock.step, 3600)
        while len(rates) <= hour:
            rates.append(source(scene.seed, name, len(rates)).randint(_SLOWEST, _FASTEST))
            totals.append(totals[-1] + 3600 * rates[-1])
        return totals[hour] + passed * rates[hour]

    return get


def state(scene: Scene, name: str, point) -> Callable[[], int]:
    """A bool, or one of the states that the profile names, may change every half hour; any other rests at its low end."""
    codes = [0, 1] if point.type == "bool" else sorted(point.names)
    if codes:
        choice, clock = Wander(scene.seed, name, 0, len(codes) - 1, _STATE_S), scene.clock
        return lambda: codes[choice.at(clock.step // _STATE_S * _STATE_S)]
    low = round_half_even(Fraction(point.range[0])) if point.range else 0
    return lambda: low


def setting(point) -> Callable[[], int]:
    """What stands still: the lowest that may be written or is possible, or 1."""
    span = (point.write and point.write.range) or point.range or (1,)
    return lambda: round_half_even(Fraction(span[0]) * PER_UNIT)


def _bounds(point) -> tuple[int, int]:
    """The range in fine steps: the profile's, cut to what the register can show."""
    low, high = (Fraction(x) for x in point.range or (0, 100))
    largest = _largest(point)
    if largest is not None:
        top = largest * abs(Fraction(point.scale))
        bottom = -top if point.type[0] == "s" else Fraction(0)
        low, high = max(low, bottom), min(high, top)
    if low > high:
        low = high
    return round_half_even(low * PER_UNIT), round_half_even(high * PER_UNIT)


def _largest(point) -> int | None:
    """The largest raw number that the registers can show; None where a scale register or a float leaves it open."""
    if point.scale_register is not None:
        return None
    if point.type in _DIGITS:
        return 10 ** _DIGITS[point.type] - 1
    bits = point.bits[1] if point.bits else _WIDTH.get(point.type)
    return None if bits is None else 2**bits - 1
