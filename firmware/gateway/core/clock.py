"""Uptime that never wraps, and UTC once somebody has told it.

All seconds count from 2000-01-01, as on the ESP32: they stay small integers on a 32-bit build until 2034.
"""

from micropython import const

UNIX_2000 = const(946684800)
_CENTURY_S = const(36525 * 86400)


class Clock:
    """`ticks_ms` and `ticks_diff` are those of `time`; `floor` is the release date: no earlier time is believed."""

    def __init__(self, ticks_ms, ticks_diff, floor):
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self._uptime_ms = self._last
        self._offset_ms = 0  # UTC minus uptime
        self.floor = floor
        self.synced = False
        self.source = "none"
        self.uncertainty_ms = -1

    def uptime_ms(self):
        """Milliseconds since the chip started. To be asked at least every six days (ticks wrap at 2**30 ms)."""
        now = self._ticks_ms()
        self._uptime_ms += self._ticks_diff(now, self._last)
        self._last = now
        return self._uptime_ms

    def plausible(self, seconds):
        """Between the release of this firmware and a century later?"""
        return self.floor <= seconds < self.floor + _CENTURY_S

    def set_utc(self, seconds, ms, source, uncertainty_ms):
        """It is `seconds` and `ms` now. Returns how far the clock was off in ms, None when it was not set; False, and nothing changes, when that cannot be."""
        if not self.plausible(seconds):
            return False
        offset = seconds * 1000 + ms - self.uptime_ms()
        moved = offset - self._offset_ms if self.synced else None
        self._offset_ms = offset
        self.synced = True
        self.source = source
        self.uncertainty_ms = uncertainty_ms
        return moved

    def now_ms(self):
        """Milliseconds of the slot clock: since 2000 when synced, else since boot."""
        return self.uptime_ms() + self._offset_ms

    def uptime_s(self, slot):
        """A slot as whole seconds of uptime, which do not jump when the clock is set."""
        return (slot * 1000 - self._offset_ms) // 1000

    def utc_of(self, uptime_ms):
        """Seconds since 2000 of a moment of this boot, None while the time is unknown."""
        return (uptime_ms + self._offset_ms) // 1000 if self.synced else None
