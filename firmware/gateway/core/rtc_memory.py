"""The chip's 2048 bytes of RTC memory, shared: they live through every reset but a power cut, and are written as one.

One area after the other: key (u8), length (u16), CRC-32 of both and its bytes, the bytes. What follows a damaged one is lost with it.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

PULSES = const(0)
BOOTS = const(1)
CRASH = const(2)
_HEAD = const(7)


class Shared:
    """`memory`: as machine.RTC.memory."""

    def __init__(self, memory):
        self._memory = memory
        self._areas = _parse(memory())

    def area(self, key):
        """What the owner of one area sees of it."""
        return Area(self, key)

    def get(self, key):
        return self._areas.get(key, b"")

    def put(self, key, content):
        """ValueError when all areas together are too long."""
        self._areas[key] = bytes(content)
        data = b""
        for number in sorted(self._areas):
            area = self._areas[number]
            head = pack(">BH", number, len(area))
            data += head + pack(">I", crc32(area, crc32(head))) + area
        self._memory(data)


class Area:
    """Has the method of machine.RTC that its owner would use alone."""

    def __init__(self, shared, key):
        self._shared = shared
        self._key = key

    def memory(self, content=None):
        """The bytes of the area, or new ones into it."""
        if content is None:
            return self._shared.get(self._key)
        self._shared.put(self._key, content)


def _parse(data):
    areas = {}
    at = 0
    while at + _HEAD <= len(data):
        key, length, crc = unpack_from(">BHI", data, at)
        at += _HEAD + length
        area = bytes(data[at - length : at])
        if len(area) != length or crc32(area, crc32(pack(">BH", key, length))) != crc:
            break
        areas[key] = area
    return areas
