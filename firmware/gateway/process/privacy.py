"""The floor under a private point: what is finer in time ends here, before anything can look at it."""

from gateway.process.window import Window

_SLEWED = 99  # percent: a clock that is slewed makes a true interval that much shorter than one of the slots


class Reducer:
    """One reading per `floor_s` seconds, aligned to the clock: the `output` ("mean" or "last") of all that came.

    No interval is shorter than the floor, however the clock is set and whenever the gateway starts: at the beginning, and after a
    step, it is longer, up to twice, and the reading is uncertain.
    """

    def __init__(self, floor_s, output):
        self._floor_s = floor_s
        self._window = Window((output,))
        self._slot = -1  # the last one seen
        self._opened = 0
        self._opened_s = 0
        self.add = self._window.add

    def close(self, slot, now_s):
        """Begin a slot, which is that second of uptime: (mantissa, quality byte) when an interval is over, else None."""
        before, self._slot = self._slot, slot
        if before < 0:
            self._opened, self._opened_s = slot, now_s
            return None
        if slot // self._floor_s == before // self._floor_s:
            return None
        if (now_s - self._opened_s) * 100 < self._floor_s * _SLEWED:
            return None
        whole = slot - self._opened == self._floor_s and slot % self._floor_s == 0
        self._opened, self._opened_s = slot, now_s
        return self._window.close(whole, now_s)[0]
