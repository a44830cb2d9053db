"""The readings of one point over one time window, in bounded memory."""

from micropython import const

from gateway.core import exact
from gateway.core.errors import SettingError
from gateway.core.quality import BAD, INVALID, NO_DATA, OVERFLOW, PARTIAL, UNCERTAIN, pack

MOST = const(360)  # readings of a window of which quantiles are taken: an hour of one in 10 s
SUMS = ("delta", "count")  # outputs that add up over windows: none may be left out, and one reading is none of them
_PLAIN = ("mean", "min", "max", "last", "delta", "count")
_PARTIAL = pack(UNCERTAIN, PARTIAL)
_NO_DATA = (0, pack(BAD, NO_DATA))
_OVERFLOW = (0, pack(BAD, OVERFLOW))


class Window:
    """`outputs`: any of "mean" "min" "max" "last" "delta" "count" "time_mean", and quantiles "p1" to "p99".

    Good and uncertain values count, bad ones leave a mark. `most`: the most readings that quantiles can have to do
    with. Times are seconds of uptime. SettingError(INVALID) for an unknown output.
    """

    def __init__(self, outputs, most=MOST):
        self.outputs = outputs
        self._ranks = self._time_mean = None
        for output in outputs:
            self._prepare(output, most)
        self._before = None  # the last value before this window
        self._gap = True  # that value is not of the window just before, or there is none
        self._open()

    def _prepare(self, output, most):
        """Only what a site needs costs memory."""
        if output == "time_mean":
            from gateway.process.time_mean import TimeMean

            self._time_mean = TimeMean()
        elif output not in _PLAIN:
            from gateway.process.ranks import Ranks, percent

            if not percent(output) or most < 1:
                raise SettingError(INVALID)
            if self._ranks is None:
                self._ranks = Ranks(most)

    def _open(self):
        self.fed = False  # something was added, be it bad
        self._count = self._total = 0
        self._flaw = 0  # quality byte of what is wrong with this window

    def add(self, mantissa, quality_byte, now_s=0):
        self.fed = True
        if self._time_mean is not None:
            self._time_mean.add(mantissa, quality_byte, now_s)
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
        if self._ranks is not None:
            self._ranks.add(mantissa)

    def close(self, whole=True, now_s=0):
        """End this window and open the next: a list of (mantissa, quality byte) in the order of `outputs`.

        Bad with NO_DATA without any usable value; uncertain with PARTIAL when a bad one was among them or when the
        caller knows that the window is not `whole`; uncertain as the values themselves were. The count of usable
        values is known in any case, even when it is 0: only a window that is not whole makes it partial.
        """
        counted = (self._count, 0 if whole else _PARTIAL)
        if self._time_mean is not None:
            self._time_mean.close(now_s, self._count)
        if self._count:
            flaw = self._flaw if whole else _PARTIAL
            if self._ranks is not None:
                self._ranks.sort()
            results = [counted if output == "count" else self._result(output, flaw) for output in self.outputs]
            self._before = self._last
            self._gap = False
        else:
            results = [counted if output == "count" else _NO_DATA for output in self.outputs]
            self._gap = True
        if self._ranks is not None:
            self._ranks.clear()
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
        if output == "delta":
            return self._delta(flaw)
        if output == "time_mean":
            return self._time_mean.result(self._last, flaw)
        return self._ranks.result(output, flaw)

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
