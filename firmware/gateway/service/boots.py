"""How often the gateway has started, and how often in a row it died young: whether it may try everything, or had better be careful.

The cause of a reset is not believed (a watchdog's is told as a soft reset, a brown-out as power on): a start counts as a failure until
it has lived for ten minutes, or ended on purpose; only when the power went before it had settled, nobody is to blame. What is counted stands in RTC memory from the first moment on, and in NVS as soon as
flash may be written; the one that knows of more starts is right.

Layout: starts (u32), failures (u8), flags (u8), uptime in s when it was written (u32), CRC-32.
"""

from binascii import crc32
from struct import pack, unpack

from micropython import const

LIVED_S = const(600)  # after that a start was none too many
TOO_MANY = const(4)  # failures in a row
SIZE = const(14)
_SAFE_S = (600, 3600, 21600, 86400)  # how long safe mode lasts: the first time, the second, ...
_RADIO_MS = const(1000)  # the supply has settled, and the first round was read
_RADIO_LATER_MS = const(5000)  # after one failure; doubles with each
_RADIO_LATEST_MS = const(60000)
_RADIO_SAFE_MS = const(1800000)  # not much longer than that may pass without a try to deliver
_PLANNED = const(1)
_TRIAL = const(2)
_UNSETTLED = const(4)
_STOPPED = const(8)
_MOST = const(255)


class Boots:
    """`remembered`: what RTC memory has, `kept`: what NVS has; b"" for nothing. `power_on`: the chip says that this was the cause."""

    def __init__(self, remembered, kept, power_on=False):
        in_rtc, in_nvs = _read(remembered), _read(kept)
        self.powered_on = in_rtc is None  # RTC memory was lost
        known = in_nvs or (0, 0, _PLANNED, 0)
        if in_rtc and in_rtc[0] >= known[0]:
            known = in_rtc
        self.number = (known[0] + 1) & 0xFFFFFFFF
        self.failures = known[1]  # starts in a row, before this one, that did not live
        self.planned = bool(known[2] & _PLANNED)  # the start before this one ended on purpose
        self.stopped = bool(known[2] & _STOPPED)  # or at the prompt: nobody's failure, but what was only in RAM is gone
        self.last_uptime_s = known[3]
        self._brown_out = power_on and bool(known[2] & _UNSETTLED)
        if self._brown_out:
            self.failures = max(0, self.failures - 1)
        self.safe = self.failures >= TOO_MANY and not known[2] & _TRIAL
        self._stands = min(self.failures + 1, _MOST)
        self._flags = _UNSETTLED | (known[2] & _TRIAL if self._brown_out else 0)

    @property
    def safe_s(self):
        """How long safe mode lasts before everything is tried again."""
        return _SAFE_S[min(max(0, self.failures - TOO_MANY), len(_SAFE_S) - 1)]

    @property
    def radio_ms(self):
        """How long the radio waits: its first transmission is what a weak supply does not survive. In safe mode it may be what kills us."""
        if self.safe:
            return min(self.safe_s * 500, _RADIO_SAFE_MS)
        doubtful = self.failures + (1 if self._brown_out else 0)
        return min(_RADIO_LATER_MS << min(doubtful - 1, 8), _RADIO_LATEST_MS) if doubtful else _RADIO_MS

    def forgive(self):
        """The starts that failed were another application's, which runs no more."""
        self.failures = 0
        self.safe = False
        self._stands = 1

    def settled(self):
        """The supply has proved itself: what comes from here on counts."""
        self._flags = 0

    def lived(self):
        """Ten minutes are over. Safe mode only has not made it worse."""
        self._stands = self.failures if self.safe else 0

    def plan(self):
        """It ends on purpose now: no failure, and the next start tries everything."""
        self._stands = min(self._stands, self.failures)
        self._flags = _PLANNED | _TRIAL

    def stop(self):
        """Somebody wants the prompt. No failure, and the next start tries everything."""
        self.plan()
        self._flags = _STOPPED | _TRIAL

    def record(self, uptime_s):
        """The bytes to be kept."""
        data = pack(">IBBI", self.number, self._stands, self._flags, uptime_s & 0xFFFFFFFF)
        return data + pack(">I", crc32(data))


def _read(data):
    if len(data) != SIZE or pack(">I", crc32(data[:10])) != bytes(data[10:]):
        return None
    return unpack(">IBBI", data[:10])
