"""Filters that compute another value of every reading that is not bad; half-even, (0, bad) where it overflows."""

from micropython import const

from gateway.core.exact import bounded, divide_half_even
from gateway.core.quality import BAD, OVERFLOW, pack
from gateway.core.errors import require
from gateway.core.exact import whole

_MOST_POINTS = const(16)
_OVERFLOW = (0, pack(BAD, OVERFLOW))


class _Computed:
    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte >> 6 == BAD:
            return mantissa, quality_byte
        value = bounded(self._value(mantissa))
        return _OVERFLOW if value is None else (value, quality_byte)


class Calibrate(_Computed):
    """Straight lines through 2 to 16 points [x, y] with x ascending; the lines at both ends go on."""

    def __init__(self, points):
        require(type(points) in (list, tuple) and 2 <= len(points) <= _MOST_POINTS)
        before = None
        for point in points:
            require(type(point) in (list, tuple) and len(point) == 2 and whole(point[0]) and whole(point[1]))
            require(before is None or before < point[0])
            before = point[0]
        self._points = points

    def _value(self, x):
        at = len(self._points) - 2
        while at and x < self._points[at][0]:
            at -= 1
        x0, y0 = self._points[at]
        x1, y1 = self._points[at + 1]
        return divide_half_even(y0 * (x1 - x0) + (x - x0) * (y1 - y0), x1 - x0)


class Scale(_Computed):
    """x * n / d."""

    def __init__(self, n, d):
        require(d > 0)
        self._n = n
        self._d = d

    def _value(self, x):
        return divide_half_even(x * self._n, self._d)


class Offset(_Computed):
    """x + add."""

    def __init__(self, add):
        self._add = add

    def _value(self, x):
        return x + self._add


class Clamp(_Computed):
    """The nearest value in low..high; the quality stays."""

    def __init__(self, low, high):
        require(low <= high)
        self._low = low
        self._high = high

    def _value(self, x):
        return max(self._low, min(x, self._high))


KINDS = {"calibrate": (Calibrate, 1), "scale": (Scale, 2), "offset": (Offset, 1), "clamp": (Clamp, 2)}
