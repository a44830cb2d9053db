"""The mean over time of a value that holds until the next one is read."""

from gateway.core.exact import divide_half_even
from gateway.core.quality import BAD, PARTIAL, UNCERTAIN, pack

_PARTIAL = pack(UNCERTAIN, PARTIAL)


class TimeMean:
    """sum(value * seconds it held) / sum(seconds), half-even.

    The value before a window holds from its start on. A bad reading ends what was known, and so does a window without
    any usable value: seconds of which nothing is known have no weight, and the result is partial. Seconds are those
    of uptime; should it fall, nothing has passed.
    """

    def __init__(self):
        self._held = None
        self._quality = 0
        self._since = None  # up to here the seconds are counted
        self._begin()

    def _begin(self):
        self._area = self._known = self._passed = 0
        self._flaw = 0  # of a value that held in this window, the first one

    def _pass(self, now_s):
        seconds = 0 if self._since is None else now_s - self._since
        self._since = now_s
        if seconds <= 0:
            return
        self._passed += seconds
        if self._held is not None:
            self._known += seconds
            self._area += self._held * seconds
            if not self._flaw:
                self._flaw = self._quality

    def add(self, mantissa, quality_byte, now_s):
        self._pass(now_s)
        self._held = None if quality_byte >> 6 == BAD else mantissa
        self._quality = quality_byte

    def close(self, now_s, count):
        """End the window, which had `count` usable values; of a window that had any, ask for the result now."""
        self._pass(now_s)
        self._closed = (self._area, self._known, self._passed, self._flaw)
        if not count:
            self._held = None
        self._begin()

    def result(self, last, flaw):
        """(mantissa, quality byte); `last`: the last usable value, which stands for values that held no time at all."""
        area, known, passed, own_flaw = self._closed
        value = divide_half_even(area, known) if known else last
        if known < passed:
            return value, _PARTIAL
        return value, flaw or own_flaw
