"""A new application comes over the console into the idle slot, while the gateway goes on: `slots`, `put`, `switch`.

The host sends what is new, and names what is to be copied out of the running slot. Nothing of what runs is touched; cut off, it goes on
where it stopped as long as the gateway has not started anew. docs/FORMAT.md, "Application slot", has the requests.
"""

import asyncio
import hashlib
import os
from binascii import a2b_base64, crc32, hexlify
from struct import pack

from micropython import const
from slots import Slots, path_of

from archive import COVERED, Archive
from gateway.core import lend

_FULL = "flash does not take it: full, or worn out"
_UNREADABLE = "flash cannot be read where the application lies"
_PIECE = const(1024)
_MOST_COPIED = const(16384)  # by one request, so that it is answered in time
_BREATH_MS = const(20)  # between two pieces: to erase a block holds the buses up for some 50 ms
_SPARE_BLOCKS = const(8)  # that littlefs wants for itself
_FOLDER = const(0x4000)
_QUIET_MS = const(30000)  # after so long nobody brings the rest any more


class Receiving:
    """An archive on its way into a slot; `heard_ms`: when something of it came last, of uptime. Raises OSError."""

    def __init__(self, path, length, sha256, now_ms):
        self.path, self.length, self.sha256 = path, length, sha256
        self.heard_ms = now_ms
        self.at = 0
        self.file = open(path, "wb")

    def write(self, data):
        self.file.write(data)
        self.at += len(data)

    def close(self):
        file, self.file = self.file, None
        if file:
            file.close()

    def give_up(self):
        """What there is of it goes."""
        try:
            self.close()
        except OSError:
            pass  # what it still held does not fit either
        _remove(self.path)


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass  # there was none


def slots(rooms):
    """Which application runs, on which board, and what is in the other slot. `board`: of its site file; `machine`: what MicroPython calls it."""
    known = Slots(rooms.archive)
    said = {
        "running": known.running,
        "active": known.active,
        "on_trial": known.on_trial,
        "version": rooms.version,
        "config": rooms.site["config"],
        "crc": hexlify(rooms.archive.crc).decode(),
        "length": rooms.archive.length,
        "other": _crc_of(path_of(known.idle)),
        "board": rooms.site["board"],
        "machine": os.uname().machine,
    }
    return said


def _crc_of(path):
    """Of the archive there, "" for none; nobody has looked whether it is whole."""
    try:
        archive = Archive(path)
    except (OSError, ValueError):
        return ""
    archive.close()
    return hexlify(archive.crc).decode()


def members(rooms):
    """That, and `rows` of what runs, as hex: CRC-32 of the path, offset, length, CRC-32 of the content."""
    said = slots(rooms)
    said["rows"] = _rows(rooms.archive)
    return said


def _rows(archive):
    """As far as flash can be read: what the host does not know of it sends."""
    try:
        for index in range(archive.rows):
            yield hexlify(archive.row(index)).decode()
    except OSError:
        pass


def put(rooms, of, value):
    """`of`: "begin" with {"length", "sha256"}, the place in the archive where `value` (base64, or [from, length] of the running slot) is
    to stand, or "end". A dict, or a coroutine that gives it; None for what is no such request."""
    if of == "begin":
        return _begin(rooms, value.get("length"), value.get("sha256")) if isinstance(value, dict) else None
    now = rooms.receiving
    if not now or not now.file:
        return {"result": "nothing was begun"}
    if of == "end":
        return _end(rooms, now)
    if not isinstance(of, int):
        return None
    if isinstance(value, list) and len(value) == 2:
        return _copy(rooms, now, of, value)
    if not isinstance(value, str):
        return None
    data = a2b_base64(value)
    if of == now.at and of + len(data) <= now.length and not _written(rooms, now, data):
        return {"result": _FULL}
    return {"at": now.at}


def _written(rooms, now, data):
    """False when flash does not take it."""
    started = now.heard_ms = rooms.clock.uptime_ms()
    try:
        now.write(data)
    except OSError:
        now.give_up()
        rooms.receiving = None
        return False
    rooms.stalled_since(started)
    return True


def _begin(rooms, length, sha256):
    if not isinstance(length, int) or length <= 0 or not isinstance(sha256, str) or len(sha256) != 64:
        return None
    now, now_ms = rooms.receiving, rooms.clock.uptime_ms()
    if now and now.file:
        if (now.length, now.sha256) == (length, sha256):
            now.heard_ms = now_ms
            return {"at": now.at}
        if now_ms - now.heard_ms < _QUIET_MS:
            return {"result": "another one is on its way"}
    known = Slots(rooms.archive)
    if known.on_trial:
        return {"result": "the running application has not proved itself yet"}
    if now:
        now.give_up()
    rooms.receiving = None
    path = path_of(known.idle)
    _remove(path)
    free = _free()
    if length > free:
        return {"result": "no room", "free": free}
    try:
        rooms.receiving = Receiving(path, length, sha256, now_ms)
    except OSError:
        return {"result": _FULL}
    return {"at": 0}


def _free():
    """Bytes that one more file may have. What littlefs says is free counts the blocks of open files twice, and a slot always is one."""
    block, _, free = os.statvfs("/")[:3]
    for entry in os.ilistdir("/"):
        free -= 2 if entry[1] == _FOLDER else (entry[3] + block - 1) // block
    return max(0, free - _SPARE_BLOCKS) * block


async def _copy(rooms, now, at, source):
    """Out of the running slot."""
    start, length = source
    if at != now.at:
        return {"at": now.at}
    if not isinstance(start, int) or not isinstance(length, int):
        return {"result": "no such piece"}
    if start < 0 or not 0 < length <= _MOST_COPIED or start + length > rooms.archive.length or at + length > now.length:
        return {"result": "no such piece"}
    piece = memoryview(bytearray(_PIECE))
    while length:
        try:
            count = rooms.archive.read_at(start, piece[: min(length, _PIECE)])
        except OSError:
            count = 0
        if not count:
            return {"result": _UNREADABLE}
        if not _written(rooms, now, piece[:count]):
            return {"result": _FULL}
        start += count
        length -= count
        await asyncio.sleep_ms(_BREATH_MS)
    return {"at": now.at}


async def _end(rooms, now):
    """Read again what lies in the slot now: only what is whole may be switched to."""
    if now.at != now.length:
        return {"at": now.at}
    try:
        now.close()
    except OSError:
        now.give_up()
        rooms.receiving = None
        return {"result": _FULL}
    rooms.receiving = None
    total = hashlib.sha256()
    if not await _read(now.path, 0, total.update) or hexlify(total.digest()).decode() != now.sha256:
        return {"result": "damaged on the way"}
    return {"ready": now.path}


async def _read(path, at, take):
    """All of a file from there on through take(piece), while everybody else goes on. False when flash cannot be read."""
    piece = memoryview(bytearray(_PIECE))
    try:
        with open(path, "rb") as file:
            file.seek(at)
            while True:
                count = file.readinto(piece)
                if not count:
                    return True
                take(piece[:count])
                await asyncio.sleep_ms(0)
    except OSError:
        return False


class _Crc:
    value = 0

    def update(self, data):
        self.value = crc32(data, self.value)


async def switch(rooms):
    """Start anew with the application in the other slot, on trial."""
    known = Slots(rooms.archive)
    if known.on_trial:
        return {"result": "the running application has not proved itself yet"}
    if rooms.receiving:
        return {"result": "an application is on its way"}
    try:
        other = Archive(path_of(known.idle))
    except (OSError, ValueError):
        return {"result": "there is no other application"}
    other.close()
    total = _Crc()
    if not await _read(other.path, COVERED, total.update) or pack(">I", total.value) != other.crc:
        return {"result": "the other application is damaged"}
    from gateway.service.trial import working

    lend.drop("service.trial")
    if known.begin_trial(working(rooms)) is False:
        return {"result": "flash does not take the note of it (NVS)"}
    return {"switching_to": known.idle, "restarting_in_s": rooms.health.restart_soon()}
