"""Pulse outputs: a quantity that flows at a known rate for known seconds becomes pulses at exact microseconds."""

from bisect import bisect_left, bisect_right
from fractions import Fraction
from typing import NamedTuple

from . import units
from .model import Model

_US = 1_000_000


class Segment(NamedTuple):
    """Steady flow from `start` to `end` (seconds): `rate` fine steps a second; `before` is the total at `start`."""

    start: int
    end: int
    rate: int
    before: int

    def passed_at(self, now_us: int) -> tuple[int, int]:
        """The total at a moment inside the segment, as (numerator, 10**6)."""
        inside = min(max(now_us - self.start * _US, 0), (self.end - self.start) * _US)
        return self.before * _US + self.rate * inside, _US


class PulseModel(Model):
    """A device with a pulse output: one pulse whenever another `per_pulse` has passed since second 0.

    Pulses lie at 1 us or later; an interval is open at its start and closed at its end, so that intervals join. One
    that reaches beyond the world's present foretells the pulses as they come if nobody turns a valve by then.
    """

    COUNTED = "volume"  # the reading in `fine` that a pulse stands for

    def set_up(self, per_pulse: Fraction | int | str | None = None) -> None:
        point = next((p for p in self.points if per_pulse or getattr(p, "per_pulse", None)), None)
        if point is None:
            raise ValueError(f"device {self.id}: a pulse device needs a point with per_pulse")
        self.pulse_point = point.name
        self.per_pulse = Fraction(per_pulse or point.per_pulse)  # in the point's unit
        base, per_unit = self.fine[self.COUNTED]
        known = units.factor(base, point.unit) is not None
        fine = self.per_pulse * (units.factor(base, point.unit) * per_unit if known else per_unit)
        # One pulse is `_pulse` steps of a grid `_grid` times finer than the fine one, so that both are whole numbers.
        self._pulse, self._grid = fine.numerator, fine.denominator

    def segments(self, to_step: int) -> list[Segment]:
        """All flow from second 0 to `to_step` at least, in order of time, not overlapping."""
        raise TypeError(f"{type(self).__name__} gives no segments")

    def ratio(self, name: str) -> tuple[int, int] | None:
        if name == self.pulse_point and name not in self.pins:
            counted = self.per_pulse * self.pulse_count(self.clock.step * _US)
            return counted.numerator, counted.denominator
        return super().ratio(name)

    def pulse_count(self, until_us: int) -> int:
        """How many pulses there were from the start up to and including `until_us`."""
        segments = self.segments(-(-until_us // _US))
        index = bisect_left(segments, until_us, key=lambda s: s.start * _US) - 1
        if index < 0:
            return 0
        return segments[index].passed_at(until_us)[0] * self._grid // (self._pulse * _US)

    def pulse_times(self, from_us: int, to_us: int) -> list[int]:
        times: list[int] = []
        if to_us <= from_us:
            return times
        segments = self.segments(-(-to_us // _US))
        index = max(0, bisect_right(segments, from_us, key=lambda s: s.end * _US))
        for segment in segments[index:]:
            if segment.start * _US >= to_us:
                break
            times.extend(self._within(segment, from_us, to_us))
        return times

    def _within(self, segment: Segment, from_us: int, to_us: int):
        start_us = segment.start * _US
        to_us = min(to_us, segment.end * _US)
        unit = self._pulse * _US
        number = segment.passed_at(from_us)[0] * self._grid // unit + 1
        speed = segment.rate * self._grid
        origin = segment.before * _US * self._grid
        while True:
            at = start_us + -(-(number * unit - origin) // speed)
            if at > to_us:
                return
            yield at
            number += 1
