"""A leak is suspected where water never rests, or where it runs although the valve is closed."""

from gateway.core.quality import BAD
from gateway.core.errors import require
from gateway.process.derived import doubt_of
from gateway.process.derived.alarm import Alarm


class Leak(Alarm):
    """Sources: flow, and a valve's state or none. 1 while either of both holds:

    - resting: [zero, quiet_s, after_s] or []: over after_s in which the flow was known, it was never at or below zero
      for quiet_s without a break. What is not known counts neither way. Ends with the first such rest.
    - closed: [code, limit, after_s] or []: the valve was closed (its state = code) and the flow above limit for
      after_s. Ends when either does; while the valve is not known, it is not judged.
    """

    def __init__(self, sources, outputs, report, resting, closed, heartbeat_s):
        super().__init__(sources, outputs, report, heartbeat_s)
        require(len(resting) in (0, 3) and len(closed) in (0, 3) and (resting or closed))
        require(not resting or 0 < resting[1] < resting[2])
        require(not closed or closed[2] > 0 and len(sources) == 2)
        self._resting = resting
        self._closed = closed
        self._since = 0
        self._known = False  # the flow, at the last call
        self._rested = False  # it was at or below zero then
        self._quiet_s = self._awake_s = self._open_s = 0
        self._ran = False  # through a closed valve, at the last call
        self._cause = ""

    def _results(self, readings, fresh, now_s):
        flow, quality_byte = readings[0]
        passed = max(0, now_s - self._since)
        self._since = now_s
        known = quality_byte >> 6 != BAD
        if self._resting:
            self._rest(flow, known, passed)
        if self._closed:
            self._run(flow, known, readings[1], passed)
        self._known = known
        self._judge(flow, known)
        return self._said(doubt_of(readings), now_s)

    def _rest(self, flow, known, passed):
        rests = known and flow <= self._resting[0]
        if known and self._known:
            self._awake_s += passed
            self._quiet_s = self._quiet_s + passed if rests and self._rested else 0
        else:
            self._quiet_s = 0
        self._rested = rests
        if self._quiet_s >= self._resting[1]:
            self._awake_s = 0
        self._awake_s = min(self._awake_s, self._resting[2])  # a number that grows for years is of no use
        self._quiet_s = min(self._quiet_s, self._resting[1])

    def _run(self, flow, known, valve, passed):
        code, limit, after_s = self._closed
        runs = known and valve[1] >> 6 != BAD and valve[0] == code and flow > limit
        self._open_s = min(self._open_s + passed, after_s) if runs and self._ran else 0
        self._ran = runs

    def _judge(self, flow, known):
        cause = ""
        if self._closed and self._open_s >= self._closed[2]:
            cause = "closed_valve"
        elif self._resting and self._awake_s >= self._resting[2]:
            cause = "no_rest"
        self._state = 1 if cause else 0
        if cause != self._cause:
            about = [("cause", cause or self._cause)]
            if known:
                about.append(("flow", flow))
            self._report("leak_suspected" if cause else "leak_over", self.sources[0], about)
            self._cause = cause


KINDS = {"leak": (Leak, 1, 2, 1, 3)}
