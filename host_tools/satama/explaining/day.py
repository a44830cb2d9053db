"""One simulated day of a point: what its device shows, and what the device's own filters make of it.

The world is that of the simulator; the filters are the firmware's. A world is kinder than a street, so a few readings
are made odd, as a bird before the sensor or a disturbed wire would: `spikes` of them, placed by the seed. Not those of
pulses, which are counted here and come over no wire.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .. import RELEASED
from ..core import firmware  # noqa: F401  makes `gateway` importable
from ..core.problems import Problem, Problems
from ..resolving.resolved import Channel, Resolved

# isort: split
from gateway.core import quality
from gateway.core.exact import bounded, divide_half_even
from gateway.process import filters

DAY_S = 86400
SPIKES = 12
_LOCAL_S = 2 * 3600  # the world's street time is UTC+2
START_UNIX_S = RELEASED // DAY_S * DAY_S + DAY_S - _LOCAL_S  # a midnight
_NO_VALUE = (0, quality.pack(quality.BAD, quality.INVALID))

Values = list[tuple[int, int | None]]  # (second of the day, mantissa; None: no usable value)


@dataclass
class Day:
    """`refused`: (second, mantissa that was read, reason) of readings made bad or replaced; `silent`: not reported;
    `odd`: spikes among them."""

    raw: Values = field(default_factory=list)
    filtered: Values = field(default_factory=list)
    refused: list[tuple[int, int, str]] = field(default_factory=list)
    missing: int = 0
    silent: int = 0
    odd: int = 0

    def as_data(self) -> dict[str, Any]:
        reasons = [reason for _, _, reason in self.refused]
        return {
            "readings": len(self.raw),
            "odd": self.odd,
            "missing": self.missing,
            "refused": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
            "silent": self.silent,
        }


def simulate(resolved: Resolved, channel: Channel, seed: int, spikes: int = SPIKES) -> Day:
    """The same seed gives the same day. Raises Problems without the simulator."""
    show = _world(resolved, channel, seed)
    steps = [filters.build(spec) for spec in channel.chain()]
    times = range(0, DAY_S, channel.read_s)
    draw = random.Random(f"{seed}/{channel.name}/spikes")
    most = 0 if channel.profile.interface == "pulse" else len(times) // 10
    odd = set(draw.sample(times, min(spikes, most)))
    day, held = Day(), None
    for now_s in times:
        truth = show(now_s)
        if truth is not None and now_s in odd:
            truth = _spike(draw, channel, truth)
            day.odd += 1
        mantissa, byte = _NO_VALUE if truth is None else (truth, 0)
        result: tuple[int, int] | None = (mantissa, byte)
        for step in steps:
            result = step.apply(*result, now_s)
            if result is None:
                break
        day.raw.append((now_s, truth))
        day.missing += truth is None
        if result is None:
            day.silent += 1
        else:
            held = None if result[1] >> 6 == quality.BAD else result[0]
            reason = quality.reason_name(result[1])
            if truth is not None and result[1]:
                day.refused.append((now_s, truth, reason))
        day.filtered.append((now_s, held))
    return day


def _world(resolved: Resolved, channel: Channel, seed: int) -> Callable[[int], int | None]:
    """second -> mantissa that the device shows, None when it has no value."""
    try:
        from satama_sim.world import build_world
    except ModuleNotFoundError as error:  # installed without the extra
        what = f"a simulated day needs the simulator, and it needs {error.name}"
        raise Problems([Problem("--plot", None, "plot", what, "pip install 'satama[sim]'")]) from None
    world = build_world(resolved, seed, START_UNIX_S)
    grid = Fraction(10) ** channel.point.exponent

    def show(now_s: int) -> int | None:
        world.advance(now_s * 1_000_000)
        truth = world.truth(channel.device.id, channel.point.name)
        return None if truth is None else bounded(divide_half_even(*(truth / grid).as_integer_ratio()))

    return show


def _spike(draw: random.Random, channel: Channel, truth: int) -> int:
    """What disturbed wires and echoes give: nothing at all, a multiple, the end of the scale."""
    if channel.point.kind == "state":
        return int(not truth)
    grid = Fraction(10) ** channel.point.exponent
    ends = [int(Fraction(bound) / grid) for bound in channel.point.range or ()]
    return bounded(draw.choice([0, truth * 2, truth // 2, *ends])) or 0
