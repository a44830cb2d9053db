"""What the bus knows of one Modbus device: how fast it answers, whether it is alive, what became of its requests."""

from array import array

from micropython import const

from gateway.core.quality import EXCEPTION, TIMEOUT

_REASONS = const(16)
_MARGIN_US = const(20000)  # two scheduler ticks: what the gateway itself may add to an answer's time
_SILENCES = const(3)  # in a row, then the device counts as dead
_NOISES = const(12)  # damaged answers in a row: somebody is there, but nothing comes through
_BACKOFF_MS = const(5000)
_BACKOFF_MOST_MS = const(60000)


class Unit:
    """`spec`: a row of the compiled site's "units". Times in microseconds unless a name says milliseconds.

    The response time is learned as RFC 6298, section 2 does it for TCP: mean and mean deviation of what lies beyond the declared
    turnaround of each request, so that slow and fast points of one device teach the same figure.
    """

    def __init__(self, spec):
        self.bus, self.number, self.name = spec[0], spec[1], spec[2]
        self.turnaround_ms, self.timeout_ms, self.gap_ms = spec[3], spec[4], spec[5]
        self.sunspec = spec[6]
        self.private = spec[7] == 1  # what it answers is not to be shown
        self.base = -1 if self.sunspec else 0  # added to every address; -1: not found yet
        self.known = False  # whether a response time is learned
        self._mean = 0
        self._deviation = 0
        self._failures = 0
        self._silent = 0
        self.dead = False
        self._backoff_ms = _BACKOFF_MS
        self.probe_at_ms = 0
        self.took_us = 0  # to the last answer
        self.is_expected = None  # whether it is the device that its profile describes; None: nobody knows
        self.owed = None  # a frame whose answer may still come, nobody knows, until
        self.owed_until_ms = 0
        self.requests = 0
        self.errors = array("I", [0] * _REASONS)  # by reason of core.quality
        self.exception = 0  # number of the last one

    # --- how fast it answers

    def patience_us(self, turnaround_ms, timeout_ms):
        """How long to wait for the first byte: learned, but never beyond the declared time-out."""
        most = timeout_ms * 1000
        if not self.known or self._failures:
            return most
        usual = max(0, turnaround_ms * 1000 + self._mean)
        return min(most, usual + (usual >> 3) + 4 * self._deviation + _MARGIN_US)

    def earliest_us(self, turnaround_ms):
        """No answer has begun so soon; the declared turnaround while nothing is learned."""
        if not self.known:
            return turnaround_ms * 1000
        return max(0, turnaround_ms * 1000 + self._mean - 4 * self._deviation)

    def answered(self, turnaround_ms, took_us):
        """A whole answer (or a refusal) whose first byte came `took_us` after the request's end."""
        self._failures = self._silent = 0
        if self.dead:
            self.dead = False
            if self.sunspec:
                self.base = -1  # it may be another device by now
        self._backoff_ms = _BACKOFF_MS
        self.took_us = took_us
        beyond = took_us - turnaround_ms * 1000
        if self.known:
            off = beyond - self._mean
            self._mean += off >> 3
            self._deviation += (abs(off) - self._deviation) >> 2
        else:
            self.known = True
            self._mean = beyond
            self._deviation = took_us >> 1

    # --- whether it is alive

    def failed(self, reason, now_ms):
        """A request was given up for this reason (silence, or an answer too damaged to be one)."""
        self._failures += 1
        if reason == TIMEOUT:
            self._silent += 1
        else:
            self._silent = 0
        if self.dead:
            self._backoff_ms = min(2 * self._backoff_ms, _BACKOFF_MOST_MS)
        elif self._silent >= _SILENCES or self._failures >= _NOISES:
            self.dead = True
        else:
            return
        self.probe_at_ms = now_ms + self._backoff_ms

    def owes(self, frame, until_ms):
        """This request was given up: its answer may come late, and be taken for that of a request of the same shape."""
        self.owed = frame
        self.owed_until_ms = until_ms

    def due(self, now_ms):
        """A live device always, a dead one when the next step of its back-off has come."""
        return not self.dead or now_ms >= self.probe_at_ms

    # --- what became of its requests

    def count(self, reason, number):
        """One more try that ended with this reason; `number` of a Modbus exception."""
        self.errors[reason] += 1
        if reason == EXCEPTION:
            self.exception = number
