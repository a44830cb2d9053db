"""States that alarm: too hot or heating too fast (fire), tilted. Reported when they change, and as a heartbeat."""

from array import array

from micropython import const

from gateway.core.quality import BAD
from gateway.core.errors import require
from gateway.process.derived import MISSING, Derivation

_BUCKETS = const(16)  # of the time in which a rise is looked for


class Alarm(Derivation):
    """A state 0 or 1, reported at first, when it or its quality changes, and `heartbeat_s` after the last report."""

    def __init__(self, sources, outputs, report, heartbeat_s):
        super().__init__(sources, outputs)
        require(heartbeat_s > 0)
        self._report = report
        self._heartbeat_s = heartbeat_s
        self._state = self._told_s = 0
        self._told = None

    def _said(self, quality_byte, now_s):
        if now_s < self._told_s:
            self._told_s = now_s
        told = self._state, quality_byte
        if told == self._told and now_s - self._told_s < self._heartbeat_s:
            return [None]
        self._told = told
        self._told_s = now_s
        return [told]


class _Confirmed(Alarm):
    """The state changes when `confirm` readings in a row ask for it."""

    def __init__(self, sources, outputs, report, confirm, heartbeat_s):
        super().__init__(sources, outputs, report, heartbeat_s)
        require(confirm > 0)
        self._confirm = confirm
        self._row = 0

    def _results(self, readings, fresh, now_s):
        mantissa, quality_byte = readings[0]
        if quality_byte >> 6 == BAD:
            return self._said(MISSING, now_s)
        wanted = self._wanted_state(mantissa, now_s)
        self._row = self._row + 1 if wanted != self._state else 0
        if self._row >= self._confirm:
            self._row = 0
            self._state = wanted
            self._report(self._event(), self.sources[0], [("value", mantissa)])
        return self._said(quality_byte, now_s)


class TemperatureAlarm(_Confirmed):
    """1 at `on` or above, or `rise` above the lowest reading of the last `in_s`; 0 at `off` or below without such a rise.

    limits: [on, off] or []; rises: [rise, in_s] or []. The time is kept in sixteenths: a rise may have taken one of
    them longer. Without limits it ends with the rise.
    """

    def __init__(self, sources, outputs, report, limits, rises, confirm, heartbeat_s):
        super().__init__(sources, outputs, report, confirm, heartbeat_s)
        require(len(limits) in (0, 2) and len(rises) in (0, 2) and (limits or rises))
        require(not limits or limits[1] < limits[0])
        require(not rises or rises[0] > 0 and rises[1] > 0)
        self._limits = limits
        self._rise = rises[0] if rises else 0
        self._bucket_s = -(-rises[1] // _BUCKETS) if rises else 0
        self._lowest = array("q", [0] * (_BUCKETS + 1))
        self._bucket = array("q", [-1] * (_BUCKETS + 1))  # which one it was
        self._before = 0

    def _wanted_state(self, mantissa, now_s):
        if self._rise and self._rises(mantissa, now_s):
            return 1
        if not self._limits:
            return 0
        if mantissa >= self._limits[0]:
            return 1
        return 0 if mantissa <= self._limits[1] else self._state

    def _rises(self, mantissa, now_s):
        bucket = now_s // self._bucket_s
        if now_s < self._before:
            for at in range(_BUCKETS + 1):
                self._bucket[at] = -1
        self._before = now_s
        at = bucket % (_BUCKETS + 1)
        if self._bucket[at] != bucket or mantissa < self._lowest[at]:
            self._bucket[at] = bucket
            self._lowest[at] = mantissa
        for at in range(_BUCKETS + 1):
            if 0 <= self._bucket[at] >= bucket - _BUCKETS and mantissa - self._lowest[at] >= self._rise:
                return True
        return False

    def _event(self):
        return "temperature_alarm" if self._state else "temperature_normal"


class Tilt(_Confirmed):
    """1 when |x - upright| >= on, 0 when it is <= off, between them what it was. A contact: upright its code, on 1, off 0."""

    def __init__(self, sources, outputs, report, upright, on, off, confirm, heartbeat_s):
        super().__init__(sources, outputs, report, confirm, heartbeat_s)
        require(0 <= off < on)
        self._upright = upright
        self._on = on
        self._off = off

    def _wanted_state(self, mantissa, now_s):
        away = abs(mantissa - self._upright)
        if away >= self._on:
            return 1
        return 0 if away <= self._off else self._state

    def _event(self):
        return "tilted" if self._state else "upright"


KINDS = {"temperature_alarm": (TemperatureAlarm, 1, 1, 1, 4), "tilt": (Tilt, 1, 1, 1, 5)}
