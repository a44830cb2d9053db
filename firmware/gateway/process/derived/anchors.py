"""Where a value stood some time ago, in constant memory: what has changed since then, and in which time."""

from array import array

from micropython import const

_PARTS = const(16)  # of the span, between two anchors


class Anchors:
    """One reading in at least every sixteenth of `over_s` is kept; the oldest is the youngest that is over_s old."""

    def __init__(self, over_s):
        self._over_s = over_s
        self._every_s = max(1, -(-over_s // _PARTS))
        self._times = array("q", [0] * (_PARTS + 2))
        self._values = array("q", [0] * (_PARTS + 2))
        self._held = 0

    def clear(self):
        self._held = 0

    def put(self, value, now_s):
        """Take a reading: the (time, value) that is over_s old or older, or None while there is none."""
        times = self._times
        if self._held and now_s < times[self._held - 1]:
            self._held = 0
        while self._held > 1 and now_s - times[1] >= self._over_s:
            self._drop()
        if not self._held or now_s - times[self._held - 1] >= self._every_s:
            times[self._held] = now_s
            self._values[self._held] = value
            self._held += 1
        return (times[0], self._values[0]) if now_s - times[0] >= self._over_s else None

    def _drop(self):
        self._held -= 1
        for at in range(self._held):
            self._times[at] = self._times[at + 1]
            self._values[at] = self._values[at + 1]
