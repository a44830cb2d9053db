"""The last frames of a bus, with their times and what was made of them: for the console, the doctor and the tests.

A ring of fixed places, filled in without allocating anything.
"""

from struct import pack_into, unpack_from

from micropython import const

PLACES = const(32)
_SIZE = const(64)
_HEAD = (
    "<IIHHBBB"  # uptime ms (mod 2**32), us to the first byte, reply bytes, exception or 0, reason, request bytes, unit
)
_DATA = const(15)
_REQUEST = const(16)  # bytes kept of a request, and
_REPLY = const(33)  # of its answer
_PRIVATE = const(0x8000)  # beside the length


class Trace:
    """Newest last."""

    def __init__(self):
        self._ring = bytearray(PLACES * _SIZE)
        self._count = 0

    def note(self, now_ms, unit, request, took_us, reason, number, buf, length, private):
        """One transaction: `buf` holds the `length` bytes that came back, `took_us` is 0 when none did. What is private is not kept."""
        ring = self._ring
        at = self._count % PLACES * _SIZE
        pack_into(
            _HEAD,
            ring,
            at,
            now_ms & 0xFFFFFFFF,
            took_us,
            length | _PRIVATE if private else length,
            number,
            reason,
            len(request),
            unit,
        )
        at += _DATA
        for i in range(min(len(request), _REQUEST)):
            ring[at + i] = request[i]
        at += _REQUEST
        for i in range(0 if private else min(length, _REPLY)):
            ring[at + i] = buf[i]
        self._count += 1

    def rows(self):
        """(uptime ms, unit, request bytes, us to the answer, reason, exception, length of the answer, its first bytes, none when it is private),
        oldest first."""
        for number in range(max(0, self._count - PLACES), self._count):
            at = number % PLACES * _SIZE
            now_ms, took_us, length, exception, reason, size, unit = unpack_from(_HEAD, self._ring, at)
            at += _DATA
            request = bytes(self._ring[at : at + min(size, _REQUEST)])
            at += _REQUEST
            kept = 0 if length & _PRIVATE else min(length, _REPLY)
            reply = bytes(self._ring[at : at + kept])
            yield now_ms, unit, request, took_us, reason, exception, length & ~_PRIVATE, reply
