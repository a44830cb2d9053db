"""Filters over the last good readings. What is not good passes unchanged and does not enter."""

from array import array

from micropython import const

from gateway.core.exact import divide_half_even
from gateway.core.quality import SUBSTITUTED, UNCERTAIN, pack
from gateway.core.errors import require

_LARGEST = const(31)
_ENOUGH = const(3)  # readings, to tell an outlier from the others
_PARTS = const(0x1_0000)  # of one mantissa step, in which the average is kept
_SUBSTITUTED = pack(UNCERTAIN, SUBSTITUTED)


def _median(ordered):
    """Of an even number the lower of the two in the middle: always one that was read."""
    return ordered[(len(ordered) - 1) >> 1]


class _Recent:
    """The last `size` good readings (1..31); until there are as many, those present."""

    def __init__(self, size):
        require(1 <= size <= _LARGEST)
        self._ring = array("q", [0] * size)
        self._held = self._next = 0

    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte:
            return mantissa, quality_byte
        ring = self._ring
        ring[self._next] = mantissa
        self._next = (self._next + 1) % len(ring)
        if self._held < len(ring):
            self._held += 1
        return self._result(mantissa, sorted(ring[: self._held]))


class Median(_Recent):
    """The one in the middle."""

    def _result(self, mantissa, ordered):
        return _median(ordered), 0


class Quantile(_Recent):
    """The one at place (permille * (n - 1) + 500) // 1000 of n in ascending order, from 0: the nearest rank."""

    def __init__(self, size, permille):
        super().__init__(size)
        require(0 <= permille <= 1000)
        self._permille = permille

    def _result(self, mantissa, ordered):
        return ordered[(self._permille * (len(ordered) - 1) + 500) // 1000], 0


class Mean(_Recent):
    """The arithmetic mean, half-even."""

    def _result(self, mantissa, ordered):
        return divide_half_even(sum(ordered), len(ordered)), 0


class Hampel(_Recent):
    """The median m in the place of a reading with |x - m| * d > n * MAD, uncertain; MAD is the median of all |x - m|.

    n / d is k: for normal noise, 1.4826 * MAD estimates the standard deviation (Hampel, "The influence curve and its
    role in robust estimation", 1974), so that three of them are k = 4.4478.
    """

    def __init__(self, size, n, d):
        super().__init__(size)
        require(n >= 0 and d > 0)
        self._n = n
        self._d = d

    def _result(self, mantissa, ordered):
        if len(ordered) < _ENOUGH:
            return mantissa, 0
        middle = _median(ordered)
        spread = _median(sorted([abs(x - middle) for x in ordered]))
        if abs(mantissa - middle) * self._d > self._n * spread:
            return middle, _SUBSTITUTED
        return mantissa, 0


class Ema:
    """The exponential moving average: y += (x - y) * n / d, from the first reading on.

    y is kept in 2 ** 16 parts of a mantissa step, so that small steps add up; both roundings are half-even.
    """

    def __init__(self, n, d):
        require(0 < n <= d)
        self._n = n
        self._d = d
        self._average = None

    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte:
            return mantissa, quality_byte
        parts = mantissa * _PARTS
        if self._average is not None:
            parts = divide_half_even(self._average * (self._d - self._n) + parts * self._n, self._d)
        self._average = parts
        return divide_half_even(parts, _PARTS), 0


KINDS = {"median": (Median, 1), "quantile": (Quantile, 2), "mean": (Mean, 1), "hampel": (Hampel, 3), "ema": (Ema, 2)}
