"""Points the world knows nothing about: gauges wander inside their range, counters grow, states flip now and then."""

from collections.abc import Callable
from fractions import Fraction

from satama_sim.world.exact import round_half_even
from satama_sim.world.scene import Scene
from satama_sim.world.signals import Ripple, Wander, source

PER_UNIT = 10**6
_SLOWEST, _FASTEST = 2_000, 50_000  # a counter's growth in fine steps a second
_WIDTH = {"bool": 1, "u16": 16, "s16": 15, "u32": 32, "s32": 31, "u64": 64, "s64": 63}


def reading(scene: Scene, device_id: str, point, start: int | None) -> tuple[Callable[[], int], int]:
    """(getter, fine steps per unit) for a point. `start` is a counter's start value in fine steps."""
    name = f"{device_id}/{point.name}"
    if point.kind == "counter":
        return counter(scene, name, start), PER_UNIT
    if point.kind == "state":
        return state(scene, name, point), 1
    return gauge(scene, name, point), PER_UNIT


def gauge(scene: Scene, name: str, point) -> Callable[[], int]:
    low, high = _bounds(point)
    span = high - low
    drift = Wander(scene.seed, name, low + 3 * span // 10, low + 7 * span // 10, 600)
    flicker, clock = Ripple(scene.seed, name), scene.clock
    amplitude = span // 500

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
    """A bool that may flip every half hour; any other state rests at the low end of its range."""
    if point.type == "bool":
        coin, clock = Wander(scene.seed, name, 0, 1, 1800), scene.clock
        return lambda: coin.at(clock.step // 1800 * 1800)
    low = round_half_even(Fraction(point.range[0])) if point.range else 0
    return lambda: low


def _bounds(point) -> tuple[int, int]:
    """The range in fine steps: the profile's, cut to what the register can show."""
    low, high = (Fraction(x) for x in point.range or (0, 100))
    bits = _WIDTH.get(point.type)
    if bits is not None:
        scale = abs(Fraction(point.scale))
        top = (2**bits - 1) * scale
        bottom = -top if point.type[0] == "s" else Fraction(0)
        low, high = max(low, bottom), min(high, top)
    if low > high:
        low = high
    return round_half_even(low * PER_UNIT), round_half_even(high * PER_UNIT)
