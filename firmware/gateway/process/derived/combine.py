"""Values across points: sums, differences, and how unequal three phases are."""

from micropython import const

from gateway.core.quality import BAD, INCOMPLETE, UNCERTAIN, pack
from gateway.core.errors import require
from gateway.process.derived import MISSING, Derivation, doubt_of, rounded

_MOST_MEMBERS = const(32)
_PARTLY = pack(UNCERTAIN, INCOMPLETE)


def _numbers(values, count):
    require(type(values) in (list, tuple) and len(values) == count)
    for value in values:
        require(type(value) is int)


class Sum(Derivation):
    """y = sum of weight * x / d. Bad members are left out, which makes it uncertain; bad below `least` usable ones."""

    def __init__(self, sources, outputs, report, least, d, weights):
        super().__init__(sources, outputs)
        _numbers(weights, len(sources))
        require(type(least) is int and 0 < least <= len(sources) and type(d) is int and d > 0)
        self._least = least
        self._d = d
        self._weights = weights

    def _results(self, readings, fresh, now_s):
        usable = total = doubt = 0
        for at, (mantissa, quality_byte) in enumerate(readings):
            if quality_byte >> 6 != BAD:
                usable += 1
                total += mantissa * self._weights[at]
                doubt = doubt or quality_byte
        if usable < self._least:
            return [(0, MISSING)]
        return [rounded(total, self._d, doubt if usable == len(readings) else _PARTLY)]


class Imbalance(Derivation):
    """y = n * max |x - mean| / |mean| of three (NEMA MG 1); bad while |weight * x| is below `floor` in the mean."""

    def __init__(self, sources, outputs, report, floor, n, weights):
        super().__init__(sources, outputs)
        _numbers(weights, 3)
        require(type(floor) is int and floor > 0 and type(n) is int and n > 0)
        self._floor = floor
        self._n = n
        self._weights = weights

    def _results(self, readings, fresh, now_s):
        doubt = doubt_of(readings)
        phases = [mantissa * self._weights[at] for at, (mantissa, _) in enumerate(readings)]
        total = sum(phases)
        if doubt == MISSING or abs(total) < 3 * self._floor:
            return [(0, MISSING)]
        farthest = max([abs(3 * phase - total) for phase in phases])
        return [rounded(farthest * self._n, abs(total), doubt)]


KINDS = {"sum": (Sum, 1, _MOST_MEMBERS, 1, 3), "imbalance": (Imbalance, 3, 3, 1, 3)}
