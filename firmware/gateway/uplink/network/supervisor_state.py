"""Where the way to the broker stands, as people see it, and when the interface needs a new start. Pure: times are uptime in ms.

Interfaces say that they are connected while nothing passes, and drivers get stuck: only what is heard from outside counts as life. The
remedy is to switch the interface off and on; the machine is never restarted for it.
"""

from micropython import const

INTERFACE = "interface"  # no radio link, no cable
ADDRESS = "address"  # linked, but DHCP has not given an address
NAME = "name"  # the broker's name is being looked up
BROKER = "broker"  # connecting, or resting before the next try
ONLINE = "online"

_DEAF_MS = const(600000)
_DEAF_MOST_MS = const(3600000)
_FAILURES = const(4)  # bring-ups in vain
_LIFE = (
    "refused",
    "connection refused",
    "closed",
    "reset",
    "protocol error",
    "wrong",
    "certificate",
    "client certificate",
    "no TLS",
    "TLS",
    "no such name",
)


class State:
    """`name` is one of the above, `since_ms` when it began, `reason` what went wrong last ("" while online)."""

    def __init__(self, now):
        self.name = INTERFACE
        self.since_ms = now
        self.reason = ""
        self.connects = 0
        self.failures = 0
        self.start_overs = 0
        self._heard_ms = now
        self._deaf_ms = _DEAF_MS  # so long without a sound, then a new start
        self._in_vain = 0

    def enter(self, name, now):
        if name != self.name:
            self.name = name
            self.since_ms = now

    def connected(self, now):
        self.connects += 1
        self.reason = ""
        self.enter(ONLINE, now)
        self.heard(now)

    def heard(self, now):
        """Somebody out there has said something."""
        self._heard_ms = now
        self._deaf_ms = _DEAF_MS

    def interface_up(self):
        self._in_vain = 0

    def failed(self, reason, is_up, now):
        """Something went wrong. True: switch the interface off, it begins anew with the next try."""
        self.failures += 1
        self.reason = reason
        if self.name == ONLINE:
            self.enter(BROKER, now)
        for start in _LIFE:
            if reason.startswith(start):
                self.heard(now)
        if not is_up:
            self._in_vain += 1
            self._heard_ms = now  # it cannot be heard what is not there
            start_over = self._in_vain % _FAILURES == 0
        else:
            start_over = now - self._heard_ms >= self._deaf_ms
            if start_over:
                self._heard_ms = now
                self._deaf_ms = min(2 * self._deaf_ms, _DEAF_MOST_MS)
        if start_over:
            self.start_overs += 1
        return start_over
