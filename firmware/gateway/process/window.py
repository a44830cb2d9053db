"""The readings of one point over one time window, in constant memory."""

from gateway.core import exact
from gateway.core.quality import BAD, NO_DATA, OVERFLOW, PARTIAL, UNCERTAIN, pack

_PARTIAL = pack(UNCERTAIN, PARTIAL)
_NO_DATA = (0, pack(BAD, NO_DATA))
_OVERFLOW = (0, pack(BAD, OVERFLOW))


class Window:
    """`outputs`: any of "mean" "min" "max" "last" "delta". Good and uncertain values count, bad ones leave a mark."""

    def __init__(self, outputs):
        self.outputs = outputs
        self._before = None  # the last value before this window
        self._gap = True  # that value is not of the window just before, or there is none
        self._open()

    def _open(self):
        self.fed = False  # something was added, be it bad
        self._count = self._total = 0
        self._flaw = 0  # quality byte of what is wrong with this window

    def add(self, mantissa, quality_byte):
        self.fed = True
        if quality_byte:
            if quality_byte >> 6 == BAD:
                self._flaw = _PARTIAL
                return
            if not self._flaw:
                self._flaw = quality_byte
        if not self._count:
            self._first = self._low = self._high = mantissa
        elif mantissa < self._low:
            self._low = mantissa
        elif mantissa > self._high:
            self._high = mantissa
        self._last = mantissa
        self._total += mantissa
        self._count += 1

    def close(self, whole=True):
        """End this window and open the next: a list of (mantissa, quality byte) in the order of `outputs`.

        Bad with NO_DATA without any usable value; uncertain with PARTIAL when a bad one was among them or when the
        caller knows that the window is not `whole`; uncertain as the values themselves were.
        """
        if self._count:
            flaw = self._flaw if whole else _PARTIAL
            results = [self._result(output, flaw) for output in self.outputs]
            self._before = self._last
            self._gap = False
        else:
            results = [_NO_DATA] * len(self.outputs)
            self._gap = True
        self._open()
        return results

    def _result(self, output, flaw):
        if output == "mean":
            return exact.divide_half_even(self._total, self._count), flaw
        if output == "min":
            return self._low, flaw
        if output == "max":
            return self._high, flaw
        if output == "last":
            return self._last, flaw
        return self._delta(flaw)

    def _delta(self, flaw):
        """From the last value before this window to the last value in it.

        After windows without a value it spans them, so that the deltas of a counter add up to what was counted;
        the very first one can only start inside the window. Both are partial.
        """
        before = self._first if self._before is None else self._before
        delta = exact.bounded(self._last - before)
        if delta is None:
            return _OVERFLOW
        return delta, _PARTIAL if self._gap else flaw
