"""Filters that find readings which cannot be true: they keep the mantissa, for the console, and make it bad."""

from gateway.core.quality import BAD, IMPLAUSIBLE, OUT_OF_RANGE, STUCK, pack
from gateway.core.errors import require

_OUT = pack(BAD, OUT_OF_RANGE)
_IMPLAUSIBLE = pack(BAD, IMPLAUSIBLE)
_STUCK = pack(BAD, STUCK)


class Range:
    """Bad outside low..high; both ends belong to it."""

    def __init__(self, low, high):
        require(low <= high)
        self._low = low
        self._high = high

    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte >> 6 != BAD and not self._low <= mantissa <= self._high:
            quality_byte = _OUT
        return mantissa, quality_byte


class Rate:
    """Bad when |x - last accepted| * per_s > rise * elapsed, of at least one second.

    Unless it is the last of `confirm` such readings in a row, each of which follows the one before by the same rule:
    what repeats itself was no spike, and the next reading is compared with it.
    """

    def __init__(self, rise, per_s, confirm):
        require(rise >= 0 and per_s > 0 and confirm > 0)
        self._rise = rise
        self._per_s = per_s
        self._confirm = confirm
        self._accepted = None  # [mantissa, time]
        self._doubted = [0, 0]  # the last of the row
        self._row = 0

    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte >> 6 == BAD:
            return mantissa, quality_byte
        if self._accepted is None:
            self._accepted = [mantissa, now_s]
        elif not self._follows(self._accepted, mantissa, now_s):
            confirms = self._row and self._follows(self._doubted, mantissa, now_s)
            self._row = self._row + 1 if confirms else 1
            if self._row < self._confirm:
                self._doubted[0] = mantissa
                self._doubted[1] = now_s
                return mantissa, _IMPLAUSIBLE
        self._accepted[0] = mantissa
        self._accepted[1] = now_s
        self._row = 0
        return mantissa, quality_byte

    def _follows(self, earlier, mantissa, now_s):
        if now_s < earlier[1]:
            earlier[1] = now_s
        elapsed = max(1, now_s - earlier[1])
        return abs(mantissa - earlier[0]) * self._per_s <= self._rise * elapsed


class Stuck:
    """Bad once all readings for `after_s` were within +-band of the first of them, until one leaves the band."""

    def __init__(self, band, after_s):
        require(band >= 0 and after_s > 0)
        self._band = band
        self._after_s = after_s
        self._first = None
        self._since = 0
        self._stuck = False

    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte >> 6 == BAD:
            return mantissa, quality_byte
        if self._first is None or abs(mantissa - self._first) > self._band:
            self._first = mantissa
            self._since = now_s
            self._stuck = False
        elif not self._stuck:
            if now_s < self._since:
                self._since = now_s
            self._stuck = now_s - self._since >= self._after_s
        return mantissa, _STUCK if self._stuck else quality_byte


KINDS = {"range": (Range, 2), "rate": (Rate, 3), "stuck": (Stuck, 2)}
