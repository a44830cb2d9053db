"""Filters that decide what of the readings is worth a report, and when."""

from gateway.core.quality import BAD, SUBSTITUTED, UNCERTAIN, pack
from gateway.core.errors import require

_SUBSTITUTED = pack(UNCERTAIN, SUBSTITUTED)


class Deadband:
    """Reports the first reading; then one that differs from the last reported by `delta` or more or in its quality byte.

    And one `heartbeat_s` after the last report (0: none), to tell that it is alive. Bad readings obey the same rules.
    """

    def __init__(self, delta, heartbeat_s):
        require(delta >= 0 and heartbeat_s >= 0)
        self._delta = delta
        self._heartbeat_s = heartbeat_s
        self._mantissa = None  # of the last report
        self._quality = self._since = 0

    def apply(self, mantissa, quality_byte, now_s):
        if now_s < self._since:
            self._since = now_s
        if (
            self._mantissa is not None
            and quality_byte == self._quality
            and abs(mantissa - self._mantissa) < self._delta
            and not 0 < self._heartbeat_s <= now_s - self._since
        ):
            return None
        self._mantissa = mantissa
        self._quality = quality_byte
        self._since = now_s
        return mantissa, quality_byte


class Throttle:
    """At most one report in `every_s`, good or bad: the first one, and the next when that time has passed."""

    def __init__(self, every_s):
        require(every_s > 0)
        self._every_s = every_s
        self._since = None

    def apply(self, mantissa, quality_byte, now_s):
        if self._since is not None:
            if now_s < self._since:
                self._since = now_s
            if now_s - self._since < self._every_s:
                return None
        self._since = now_s
        return mantissa, quality_byte


class Hysteresis:
    """1 at `high` or above, 0 at `low` or below, between them what it was; 0 at first."""

    def __init__(self, low, high):
        require(low <= high)
        self._low = low
        self._high = high
        self._on = 0

    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte >> 6 == BAD:
            return mantissa, quality_byte
        if mantissa >= self._high:
            self._on = 1
        elif mantissa <= self._low:
            self._on = 0
        return self._on, quality_byte


class Debounce:
    """The value that `count` equal readings in a row had last; the first one at once."""

    def __init__(self, count):
        require(count > 0)
        self._count = count
        self._settled = None
        self._candidate = self._row = 0

    def apply(self, mantissa, quality_byte, now_s):
        if quality_byte >> 6 == BAD:
            return mantissa, quality_byte
        if self._settled is None:
            self._settled = mantissa
        if mantissa == self._settled:
            self._row = 0
        else:
            self._row = self._row + 1 if self._row and mantissa == self._candidate else 1
            self._candidate = mantissa
            if self._row >= self._count:
                self._settled = mantissa
                self._row = 0
        return self._settled, quality_byte


class Hold:
    """The last good reading, uncertain, in the place of bad ones for at most `for_s` after it."""

    def __init__(self, for_s):
        require(for_s > 0)
        self._for_s = for_s
        self._held = None
        self._since = 0

    def apply(self, mantissa, quality_byte, now_s):
        if not quality_byte:
            self._held = mantissa
            self._since = now_s
        elif quality_byte >> 6 == BAD and self._held is not None:
            if now_s < self._since:
                self._since = now_s
            if now_s - self._since <= self._for_s:
                return self._held, _SUBSTITUTED
            self._held = None  # what is over stays over, even when the clock is set back
        return mantissa, quality_byte


KINDS = {
    "deadband": (Deadband, 2),
    "throttle": (Throttle, 1),
    "hysteresis": (Hysteresis, 2),
    "debounce": (Debounce, 1),
    "hold": (Hold, 1),
}
