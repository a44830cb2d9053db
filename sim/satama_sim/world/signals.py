"""Deterministic building blocks of the world: seeded random sources, sines, ripples, slow wandering, all in integers.

Every value is a function of (seed, name, second) or is summed from such values, so a world does not depend on who asks
when, on the platform's libm, or on hash seeds.
"""

import random
from bisect import bisect_right

_PI = 3141592653589793238462643383279502884197  # pi * 10**39
_ONE = 10**39
PPB = 10**9


def source(seed: int, *names: object) -> random.Random:
    """A random source of its own for each name. Seeding by text is the same on every platform and Python."""
    return random.Random("/".join(str(part) for part in (seed, *names)))


def _quarter_sine() -> list[int]:
    """sin(0 .. 90 degrees) in steps of 0.1 degrees, in parts per 10**9, by the Taylor series in fixed point."""
    table = []
    for tenth in range(901):
        x = _PI * tenth // 1800
        term = total = x
        for n in range(2, 40, 2):
            term = -term * x // _ONE * x // _ONE // (n * (n + 1))
            total += term
        table.append((total * PPB + _ONE // 2) // _ONE)
    return table


_SINE = _quarter_sine()


def sine(tenths: int) -> int:
    """sin of an angle in tenths of a degree, in parts per 10**9."""
    tenths %= 3600
    if tenths >= 1800:
        return -sine(tenths - 1800)
    return _SINE[tenths] if tenths <= 900 else _SINE[1800 - tenths]


def cosine(tenths: int) -> int:
    """cos of an angle in tenths of a degree, in parts per 10**9."""
    return sine(tenths + 900)


def arcsine(ratio: int) -> int:
    """The angle in millidegrees (-90000 .. 90000) whose sine is `ratio` parts per 10**9."""
    if ratio < 0:
        return -arcsine(-ratio)
    if ratio >= PPB:
        return 90_000
    i = bisect_right(_SINE, ratio) - 1
    step = _SINE[i + 1] - _SINE[i]
    return 100 * i + (100 * (ratio - _SINE[i]) // step if step else 0)


class Ripple:
    """Second-to-second flicker: a fixed table of permille values, -1000 .. 1000; channels start elsewhere in it."""

    MASK = 1023

    def __init__(self, seed: int, name: str):
        draw = source(seed, name, "ripple")
        self.table = [draw.randrange(-1000, 1001) for _ in range(self.MASK + 1)]

    def at(self, step: int, channel: int = 0) -> int:
        return self.table[(step + 331 * channel) & self.MASK]


class Wander:
    """A value that drifts between low and high: a straight line from knot to knot, one knot every `period_s`."""

    def __init__(self, seed: int, name: str, low: int, high: int, period_s: int):
        if low > high or period_s < 1:
            raise ValueError(f"{name}: a wander needs low <= high and a period of at least 1 s")
        self._key = (seed, name)
        self._low, self._high, self._period = low, high, period_s
        self._segment: int | None = None
        self._from = self._to = 0

    def _knot(self, index: int) -> int:
        return source(*self._key, index).randint(self._low, self._high)

    def at(self, step: int) -> int:
        segment, passed = divmod(step, self._period)
        if segment != self._segment:
            follows = self._segment is not None and segment == self._segment + 1
            self._from = self._to if follows else self._knot(segment)
            self._to = self._knot(segment + 1)
            self._segment = segment
        return self._from + (self._to - self._from) * passed // self._period
