"""Quantiles over all readings of a window."""

from array import array

from gateway.core.quality import PARTIAL, UNCERTAIN, pack

_PARTIAL = pack(UNCERTAIN, PARTIAL)


def percent(output):
    """99 of "p99": 1..99; 0 for anything else."""
    digits = output[1:]
    if output[:1] != "p" or not 1 <= len(digits) <= 2 or digits[0] == "0":
        return 0
    for character in digits:
        if character not in "0123456789":
            return 0
    return int(digits)


class Ranks:
    """At most `most` readings: what comes on top of them is left out, and the results are partial."""

    def __init__(self, most):
        self._kept = array("q", [0] * most)
        self._ordered = None
        self.clear()

    def clear(self):
        self._held = 0
        self._full = False
        self._ordered = None

    def add(self, mantissa):
        if self._held < len(self._kept):
            self._kept[self._held] = mantissa
            self._held += 1
        else:
            self._full = True

    def sort(self):
        self._ordered = sorted(self._kept[: self._held])

    def result(self, output, flaw):
        """The reading at place (percent * (n - 1) + 50) // 100 of n in ascending order, from 0: the nearest rank."""
        ordered = self._ordered
        place = (percent(output) * (len(ordered) - 1) + 50) // 100
        return ordered[place], _PARTIAL if self._full else flaw
