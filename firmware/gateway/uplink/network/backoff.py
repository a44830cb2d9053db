"""How long to wait before the next try. Pure: times in milliseconds of uptime, chance from outside.

Pauses double from a second to 200, each give or take half of it, so that a street of gateways does not come back in step. What
only a person can put right begins with minutes and ends with ten. A budget stands above all of it: ten connects at once, and over time one in
three and a quarter minutes, so that even a broker that throws us out each time sees no more than 20 an hour in the long run.
"""

from micropython import const

_FIRST_MS = const(1000)
_MOST_MS = const(200000)
_PERSON_MS = const(120000)
_PERSON_MOST_MS = const(600000)
_NEAR_MOST_MS = const(60000)  # what troubles nobody but our own radio is tried more often
_CLOCK_MS = const(2000)
_STABLE_MS = const(60000)  # a connection that lasted so long was a good one
_CONNECT_MS = const(195000)
_AT_ONCE = const(10)

# What is wrong
FAR = const(0)  # the broker, or the way to it
NEAR = const(1)  # the interface, or the name: no broker is troubled
PERSON = const(2)  # the broker does not want us, or is not the one we want
CLOCK = const(3)  # certificates cannot be judged before the time is known

_NEAR = ("no network", "no cable", "no access point", "no address", "no name server", "name server", "no such name")
_PERSON = (
    "refused:",
    "wrong CA",
    "certificate",
    "client certificate",
    "wrong host name",
    "no TLS",
    "TLS refused",
    "no CA",
)
_BUSY = "unavailable"  # the one refusal that passes by itself


def kind_of(reason):
    """Of the reason that a LinkDown gives."""
    if reason.startswith("clock"):
        return CLOCK
    for start in _NEAR:
        if reason.startswith(start):
            return NEAR
    for start in _PERSON:
        if reason.startswith(start):
            return PERSON if _BUSY not in reason else FAR
    return NEAR if "Wi-Fi" in reason else FAR


class Backoff:
    """`random(n)` gives an integer from 0 to n - 1."""

    def __init__(self, random):
        self._random = random
        self._doublings = 0
        self._paid_ms = 0  # the connects so far are paid for until then, one every _CONNECT_MS
        self._connected_ms = None

    def connecting(self, now):
        """A connect is made."""
        self._paid_ms = max(self._paid_ms, now) + _CONNECT_MS

    def to_wait_ms(self, now):
        """How long until the budget allows a connect."""
        return max(0, self._paid_ms - (_AT_ONCE - 1) * _CONNECT_MS - now)

    def connected(self, now):
        """The broker has taken us in: what comes next is a new story, once this has lasted for a minute."""
        self._connected_ms = now

    def fresh(self):
        """The interface came back: how things were before says nothing."""
        self._doublings = 0

    def pause_ms(self, kind, more_to_try, now):
        """How long to rest after a failure. `more_to_try`: another address of this round has not been tried yet."""
        if self._connected_ms is not None:
            if now - self._connected_ms >= _STABLE_MS:
                self._doublings = 0
            self._connected_ms = None
        if kind == CLOCK:
            return self._jittered(_CLOCK_MS)
        if more_to_try:
            return self._jittered(_FIRST_MS)
        first = _PERSON_MS if kind == PERSON else _FIRST_MS
        most = _PERSON_MOST_MS if kind == PERSON else _NEAR_MOST_MS if kind == NEAR else _MOST_MS
        pause = min(first << self._doublings, most)
        self._doublings = min(self._doublings + 1, 10)
        return self._jittered(pause)

    def _jittered(self, pause):
        return pause // 2 + self._random(pause)
