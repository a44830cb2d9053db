"""What derivations have counted, kept over power cuts: totals of energy and volume, emptyings of bins.

One value of the state ring for all: per derivation CRC-32 of its name (u32), length (u8), the bytes that it keeps.
Known by name, because their order is another one when the site was deployed anew.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

KEY = const(52)  # in the state ring
_LONGEST = const(512)  # bytes of a value there
# A write costs as much flash as a minute of pulse totals; what was counted since is lost in a power cut, and said so.
_EVERY_S = const(900)


class Keeper:
    """`named`: (name of the first output, derivation) of those that keep something. state: get(key), put(key, bytes).

    What does not fit any more is not kept: 39 totals do.
    """

    def __init__(self, state, named):
        self._state = state
        self._named = named
        self._since = 0
        data = state.get(KEY) or b""
        for name, derivation in named:
            derivation.restore(_find(data, crc32(name.encode())))
        self._kept = data

    def second(self, now_s):
        """Once in a while; writes at most every quarter of an hour, and only what has changed."""
        if now_s < self._since:
            self._since = now_s
        if now_s - self._since >= _EVERY_S:
            self._since = now_s
            self.keep()

    def keep(self):
        """Write at once, as before a wanted restart."""
        data = b""
        for name, derivation in self._named:
            kept = derivation.kept()
            if kept and len(data) + 5 + len(kept) <= _LONGEST:
                data += pack(">IB", crc32(name.encode()), len(kept)) + kept
        if data != self._kept and self._state.put(KEY, data):
            self._kept = data


def _find(data, key):
    at = 0
    while at + 5 <= len(data):
        found, length = unpack_from(">IB", data, at)
        if found == key and at + 5 + length <= len(data):
            return data[at + 5 : at + 5 + length]
        at += 5 + length
    return b""
