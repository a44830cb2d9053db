"""Uptime that never wraps, and UTC once somebody has told it.

All seconds count from 2000-01-01, as on the ESP32: they stay small integers on a 32-bit build until 2034.
"""

from micropython import const

UNIX_2000 = const(946684800)
_CENTURY_S = const(36525 * 86400)
_SLEW_MOST_MS = const(500)  # a larger error is a step: at 5 ms a second the clock would be wrong for minutes
_SLEW_MS_PER_S = const(5)  # so little that a second stays a second: no slot is skipped, none comes twice
_DRIFT_PPM = const(50)  # of the crystal, from cold to hot and over the years
# A carried time has been kept by the RTC's RC oscillator while the chip was in reset or asleep.
_DRIFT_CARRIED_PPM = const(500)


class Clock:
    """`ticks_ms` and `ticks_diff` are those of `time`; `floor` is the release date: no earlier time is believed."""

    def __init__(self, ticks_ms, ticks_diff, floor):
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self._uptime_ms = self._last
        self._born_ms = self._last
        self._offset_ms = 0  # UTC minus uptime, when all is slewed
        self._slew_ms = 0  # what has been added to the offset last, to be taken over little by little
        self._first_offset_ms = 0
        self._set_ms = 0  # uptime of the last set_utc
        self._uncertainty_ms = 0
        self.floor = floor
        self.synced = False
        self.source = "none"
        self.steps = 0  # how often the time of a moment has changed: by the first setting, and by every step

    def uptime_ms(self):
        """Milliseconds since the chip started. To be asked at least every six days (ticks wrap at 2**30 ms)."""
        now = self._ticks_ms()
        self._uptime_ms += self._ticks_diff(now, self._last)
        self._last = now
        return self._uptime_ms

    def plausible(self, seconds):
        """Can it be `seconds` now? Not before the release of this firmware, nor a century later.

        Already when this run of it began, so that what was read since then cannot get a time before the release either.
        """
        awake_ms = self.uptime_ms() - self._born_ms
        return self.floor * 1000 + awake_ms <= seconds * 1000 and seconds < self.floor + _CENTURY_S

    def set_utc(self, seconds, ms, source, uncertainty_ms):
        """It is `seconds` and `ms` now, give or take `uncertainty_ms`. False, and nothing changes, when that cannot be.

        Returns None when the clock was not set before; how many ms it was stepped; 0 when it was right, or so near that it slews.
        """
        if not self.plausible(seconds):
            return False
        now = self.uptime_ms()
        offset = seconds * 1000 + ms - now
        before = self.offset_at(now)
        moved = offset - before if self.synced else None
        self._slew_ms = 0
        if moved is not None and -_SLEW_MOST_MS <= moved <= _SLEW_MOST_MS:
            self._slew_ms, moved = moved, 0
        else:
            self.steps += 1
        if not self.synced:
            self._first_offset_ms = offset
        self._offset_ms = offset
        self._set_ms = now
        self._uncertainty_ms = uncertainty_ms
        self.synced = True
        self.source = source
        return moved

    def _to_slew(self, uptime_ms):
        """How much of the last correction is still to come at that moment."""
        done = max(0, uptime_ms - self._set_ms) * _SLEW_MS_PER_S // 1000
        if self._slew_ms < 0:
            return min(0, self._slew_ms + done)
        return max(0, self._slew_ms - done)

    def offset_at(self, uptime_ms):
        """UTC minus uptime in ms at a moment since the last setting."""
        return self._offset_ms - self._to_slew(uptime_ms)

    @property
    def uncertainty_ms(self):
        """How far from the truth the clock can be by now; -1 while it is not set."""
        if not self.synced:
            return -1
        now = self.uptime_ms()
        ppm = _DRIFT_CARRIED_PPM if self.source == "rtc" else _DRIFT_PPM
        return self._uncertainty_ms + abs(self._to_slew(now)) + (now - self._set_ms) * ppm // 1000000

    def now_ms(self):
        """Milliseconds of the slot clock: since 2000 when synced, else since boot."""
        now = self.uptime_ms()
        return now + self.offset_at(now)

    def uptime_s(self, slot):
        """A slot as whole seconds of uptime, which do not jump when the clock is set."""
        return (slot * 1000 - self.offset_at(self.uptime_ms())) // 1000

    def slot_at(self, uptime_ms):
        """The slot that began at that moment, as the clock is set now: the nearest second, for steps are no whole seconds."""
        return (uptime_ms + self.offset_at(uptime_ms) + 500) // 1000

    def utc_of(self, uptime_ms):
        """Seconds since 2000 of a moment before the clock was set, None while the time is unknown.

        By the clock as it was first set, whatever steps came later: their events move all records before them, this one too.
        """
        return (uptime_ms + self._first_offset_ms) // 1000 if self.synced else None
