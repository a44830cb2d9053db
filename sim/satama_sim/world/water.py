"""Water through a building's meter: taps, showers and machines by the hour of the day."""

from fractions import Fraction
from typing import ClassVar

from .model import Fine, Model
from .pulses import PulseModel, Segment
from .signals import source

_DRAWS_PER_HOUR = (4, 2, 2, 2, 4, 10, 24, 34, 26, 16, 14, 16, 18, 14, 12, 14, 20, 28, 34, 34, 30, 24, 16, 8)
_FLOW_UL_S = (60_000, 260_000)
_SHORT_S, _LONG_S = (4, 60), (240, 600)


class Draws:
    """All water drawn in one building since second 0, an hour at a time. `busy`: draws in percent of the usual."""

    def __init__(self, seed: int, name: str, weather, busy: int):
        self._key, self._weather, self._busy = (seed, name), weather, busy
        self._hours = 0
        self._total = 0
        self.segments: list[Segment] = []

    def until(self, to_step: int) -> list[Segment]:
        while self._hours * 3600 < to_step:
            self._add_hour()
        return self.segments

    def _add_hour(self) -> None:
        start = self._hours * 3600
        draw = source(*self._key, self._hours)
        usual = _DRAWS_PER_HOUR[self._weather.hour(start)] * self._busy // 100
        begins = sorted(draw.randrange(3600) for _ in range(draw.randint(usual // 2, usual + usual // 2)))
        free_from = 0
        for begin in begins:
            lasts = draw.randint(*(_LONG_S if draw.randrange(8) == 0 else _SHORT_S))
            begin = max(begin, free_from)
            end = min(3600, begin + lasts)
            if begin < end:
                rate = draw.randint(*_FLOW_UL_S)
                self.segments.append(Segment(start + begin, start + end, rate, self._total))
                self._total += rate * (end - begin)
            free_from = end + 1
        self._hours += 1


class _Water:
    fine: ClassVar = {"volume": Fine("m3", 10**9), "flow": Fine("m3/s", 10**9), "temperature": Fine("Cel", 1000)}
    aliases: ClassVar = {"volume_v1": "volume", "volume_flow": "flow"}
    by_quantity: ClassVar = {"volume": "volume", "volume_flow": "flow", "flow": "flow"}
    startable = ("volume",)

    def _connect(self, busy: int) -> None:
        self._draws = Draws(self.scene.seed, self.id, self.scene.weather, busy)
        self._index = 0
        self._now = Segment(0, 0, 0, 0)
        self._volume_start = self.start("volume", source(self.scene.seed, self.id, "start").randrange(10**13))

    def getters(self):
        return {
            "volume": lambda: self._volume_start + self._passed,
            "flow": lambda: self._flow,
            "temperature": self._cold,
        }

    def _settle(self):
        segments = self._draws.until(self.step + 1)
        while self._index < len(segments) and segments[self._index].start <= self.step:
            self._now = segments[self._index]
            self._index += 1
        now = self._now
        self._flow = now.rate if now.start <= self.step < now.end else 0
        self._passed = now.before + now.rate * (min(self.step, now.end) - now.start)

    def _cold(self) -> int:
        return 8_000 + self.scene.weather.at(self.clock.step).temperature // 5


class WaterMeter(_Water, Model):
    """A water meter with registers. Option: `busy`, draws in percent of a usual house."""

    def set_up(self, busy: int = 100):
        self._connect(busy)


class PulseWaterMeter(_Water, PulseModel):
    """A water meter with a pulse output; its point counts pulses since second 0. Options: `busy`, `per_pulse`."""

    startable = ()

    def set_up(self, busy: int = 100, per_pulse: Fraction | int | str | None = None):
        super().set_up(per_pulse)
        self._connect(busy)

    def segments(self, to_step):
        return self._draws.until(to_step)


class SteadyPulses(PulseModel):
    """Any other pulse output: about one pulse in ten seconds, faster and slower by the hour. Option: `per_pulse`."""

    COUNTED = "count"
    fine: ClassVar = {"count": Fine("pulse", 10**6)}

    def set_up(self, per_pulse: Fraction | int | str | None = None):
        super().set_up(per_pulse)
        self._made: list[Segment] = []

    def segments(self, to_step):
        made = self._made
        while not made or made[-1].end < to_step:
            hour = len(made)
            before = made[-1].before + made[-1].rate * 3600 if made else 0
            rate = self._pulse * source(self.scene.seed, self.id, hour).randint(50, 150) // (1000 * self._grid)
            made.append(Segment(hour * 3600, (hour + 1) * 3600, max(1, rate), before))
        return made
