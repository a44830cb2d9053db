"""From a counter to its rate and back: energy and power, volume and flow."""

from micropython import const

from gateway.core.exact import bounded
from gateway.core.quality import BAD, INCOMPLETE, OVERFLOW, RESET, UNCERTAIN, pack
from gateway.core.errors import require
from gateway.process.derived import MISSING, NOT_YET, Derivation, rounded
from gateway.process.derived.anchors import Anchors

_LONGEST_S = const(604_800)
_BEGUN = pack(UNCERTAIN, RESET)
_PARTLY = pack(UNCERTAIN, INCOMPLETE)
_OVERFLOW = (0, pack(BAD, OVERFLOW))


class Rate(Derivation):
    """y = n * (x - x before) / (d * seconds between), over at least `over_s`, so that one pulse makes no jump.

    Bad until over_s have passed. A counter that falls begins anew, bad once. Uncertain while something uncertain
    lies in the span.
    """

    def __init__(self, sources, outputs, report, n, d, over_s):
        super().__init__(sources, outputs)
        require(n > 0 and d > 0 and 0 < over_s <= _LONGEST_S)
        self._n = n
        self._d = d
        self._anchors = Anchors(over_s)
        self._before = None
        self._doubt = self._doubted_s = 0

    def _results(self, readings, fresh, now_s):
        mantissa, quality_byte = readings[0]
        if quality_byte >> 6 == BAD:
            return [(0, MISSING)]
        if quality_byte:
            self._doubt = quality_byte
            self._doubted_s = now_s
        fell = self._before is not None and mantissa < self._before
        self._before = mantissa
        if fell:
            self._anchors.clear()
        start = self._anchors.put(mantissa, now_s)
        if start is None:
            return [(0, MISSING) if fell else NOT_YET]
        if not start[0] <= self._doubted_s <= now_s:
            self._doubt = 0
        return [rounded((mantissa - start[1]) * self._n, self._d * (now_s - start[0]), self._doubt)]


class Total(Derivation):
    """y = what it was + n * mean of the two last x * seconds between / d (trapezoids); x below 0 is 0, so it never falls.

    n below 0 counts the other direction. What is less than a step is kept for the next time. What passed in a silence
    above `gap_s` is not known: nothing is added, and y is uncertain once, as after a restart. A total too large to hold
    begins anew at 0.
    """

    def __init__(self, sources, outputs, report, n, d, gap_s):
        super().__init__(sources, outputs)
        require(n and d > 0 and 0 < gap_s <= _LONGEST_S)
        self._n = abs(n)
        self._sign = 1 if n > 0 else -1
        self._d = 2 * d
        self._gap_s = gap_s
        self._total = self._rest = 0  # rest: of a step, in _d parts
        self._before = None
        self._since = 0

    def _results(self, readings, fresh, now_s):
        mantissa, quality_byte = readings[0]
        if quality_byte >> 6 == BAD:
            return [(self._rounded()[0], MISSING)]
        x = max(0, mantissa * self._sign)
        passed = max(0, now_s - self._since)
        if self._before is None:
            quality_byte = _BEGUN
        elif passed > self._gap_s:
            quality_byte = _PARTLY
        else:
            self._rest += (self._before + x) * passed * self._n
            self._total += self._rest // self._d
            self._rest %= self._d
        self._before = x
        self._since = now_s
        if bounded(self._total + 1) is None:
            self._total = self._rest = 0
            return [_OVERFLOW]
        return [(self._rounded()[0], quality_byte)]

    def _rounded(self):
        return rounded(self._total * self._d + self._rest, self._d, 0)

    def kept(self):
        """The total as published, 8 bytes."""
        return self._rounded()[0].to_bytes(8, "big")

    def restore(self, data):
        if len(data) == 8 and not data[0] & 128:
            total = int.from_bytes(data, "big")
            if bounded(total + 1) is not None:
                self._total = total


KINDS = {"rate": (Rate, 1, 1, 1, 3), "total": (Total, 1, 1, 1, 3)}
