"""A serial port with one device on it that talks by itself: a meter's customer port, or a sensor that streams.

The port is looked at twice a second, and its buffer is what makes that enough: it holds the longest telegram (2048 bytes, 178 ms at
115200 Bd), and a meter sends no more than one in a second. So nothing is lost while a telegram comes in, and next to no time is
spent in the silence between. What streams without a pause fills its buffer in a second.
"""

import asyncio
from machine import UART, Pin
from micropython import const

from gateway.acquire.pushed.telegram import LONGEST
from gateway.core.quality import BAD, CRC, STALE, TIMEOUT, pack

_LOOK_MS = const(500)
_PAUSE_MS = const(1500)  # EN 62056-21: longest pause between two characters
_LEAST_STALE_MS = const(1500)  # a few looks: less would blame the device for our pace
_CHUNK = const(512)
_MOST_CHUNKS = const(5)  # of one look: more than any buffer holds
_SMALLEST_BUFFER = const(256)
_REASONS = const(16)
_PARITY = {"N": None, "E": 0, "O": 1}


class Listener:
    """`spec`: an entry of the compiled site's "buses". Answers the same questions as a bus that asks: `requests`, `errors`."""

    def __init__(self, spec, clock):
        self.name = spec["id"]
        self.reader = _reader(spec)
        self._clock = clock
        self._stale_ms = max(spec["stale_ms"], _LEAST_STALE_MS)
        self._uart = UART(
            spec["uart"],
            baudrate=spec["baud"],
            bits=8,
            parity=_PARITY[spec["parity"]],
            stop=spec["stop_bits"],
            tx=Pin(spec["tx"]),  # idle: its default pin may be somebody else's
            rx=Pin(spec["rx"]),
            rxbuf=min(max(spec["baud"] // 10, _SMALLEST_BUFFER), LONGEST),
            timeout=0,
            timeout_char=0,
            invert=UART.INV_RX if spec["invert"] else 0,
        )
        self._chunk = bytearray(_CHUNK)
        self._good_ms = -1  # uptime when the last good one was there, -1 before the first
        self._heard_ms = -1  # the same of any byte
        self._silent_ms = clock.uptime_ms()  # since when nothing good has come, as far as it has been counted
        self._silences = 0

    @property
    def requests(self):
        """Telegrams or frames that came, good or not."""
        return self.reader.good + sum([count for _, count in self.reader.errors()])

    @property
    def errors(self):
        """How many were not good, by reason; as timeout every time that the readings became stale."""
        counts = [0] * _REASONS
        counts[TIMEOUT] = self._silences
        for reason, count in self.reader.errors():
            counts[reason] = count
        return counts

    async def run(self, alive):
        while True:
            alive()
            self._look()
            await asyncio.sleep_ms(_LOOK_MS)

    def _look(self):
        now = self._clock.uptime_ms()
        good = 0
        for _ in range(_MOST_CHUNKS):
            got = self._uart.readinto(self._chunk) if self._uart.any() else None
            if not got:
                break
            self._heard_ms = now
            good += self.reader.feed(self._chunk, got)
        if good:
            self._good_ms = self._silent_ms = now
        elif now - self._silent_ms > self._stale_ms:
            self._silences += 1
            self._silent_ms = now
        if self.reader.under_way and now - self._heard_ms > _PAUSE_MS:
            self.reader.gap()

    def read(self, spec):
        """(mantissa, quality byte) of an input ["heard", bus index, point, ...] by the last good telegram or frame.

        Bad: timeout when nothing has come since the start, crc when nothing good has, stale when the last good one is old.
        """
        why = self.trouble()
        return (0, pack(BAD, why)) if why else self.reader.value(*spec[3:])

    def trouble(self):
        """Why there is nothing to be read; 0 when there is."""
        if self._is_fresh():
            return 0
        self._look()  # the program was held up, perhaps, not the device
        if self._good_ms < 0:
            return TIMEOUT if self._heard_ms < 0 else CRC
        return 0 if self._is_fresh() else STALE

    def _is_fresh(self):
        return 0 <= self._good_ms and self._clock.uptime_ms() - self._good_ms <= self._stale_ms


class Heard:
    """An input that is heard on a Listener; `spec` as for its read()."""

    def __init__(self, bus, spec):
        self.point = spec[2]
        self._bus = bus
        self._spec = spec

    def read(self):
        """(mantissa, quality byte)."""
        return self._bus.read(self._spec)


def _reader(spec):
    """What understands the device. Only the kind that this site has is imported."""
    if spec["kind"] == "h1":
        from gateway.acquire.pushed.telegram import Telegram

        return Telegram()
    from gateway.acquire.pushed.stream import Frames

    return Frames(spec["header"], spec["length"], spec["checksum"])
