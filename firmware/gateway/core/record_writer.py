"""Writes rounds, events and schemas as records (core.record, docs/FORMAT.md)."""

from array import array
from binascii import crc32
from struct import pack_into

from gateway.core import varint
from gateway.core.errors import FrameError
from gateway.core.quality import BAD, OVERFLOW
from gateway.core.record import ABSENT, DELTA, EVENT, KEY, LONGEST, SCHEMA, SOME_ABSENT, SOME_FLAWED, SYNCED


def _finish(kind, body):
    """The record of a kind byte and its body, a bytearray; FrameError(OVERFLOW) when it is too long."""
    length = 1 + len(body) + 4
    if length > LONGEST:
        raise FrameError(OVERFLOW)
    out = bytearray()
    varint.put(out, length)
    out.append(kind)
    out.extend(body)
    crc = crc32(out)
    out.extend(b"\0\0\0\0")
    pack_into(">I", out, len(out) - 4, crc)
    return out


def encode_schema(schema):
    """The record that says what a schema id means."""
    return _finish(SCHEMA, schema.encode())


def encode_event(event):
    body = bytearray((event.cls,))
    varint.put(body, event.epoch)
    varint.put(body, event.seq)
    body.extend(b"\0\0\0\0\0\0")
    pack_into(">IH", body, len(body) - 6, event.seconds, event.ms)
    varint.put(body, event.uptime_ms)
    body.extend(event.body)
    return _finish(EVENT | SYNCED if event.synced else EVENT, body)


class Writer:
    """Writes the rounds of one schema and boot, each as differences to the one before, the first one as a key frame.

    `slot` (0..255) ties a key frame and its differences together.
    """

    def __init__(self, slot):
        self._slot = slot
        self.restart()

    def restart(self):
        """The next round is a key frame."""
        self.since_key = 0  # rounds, the key frame included; 0: none was written yet
        self._before = None
        self._base = None  # the last value that was written of each stream

    def encode(self, round):
        """The record of a Round, a bytearray. FrameError(OVERFLOW), and a restart, when it would be too long."""
        before = self._before
        if not before or before.schema.id != round.schema.id or before.epoch != round.epoch or before.seq > round.seq:
            self.restart()
            self._base = array("q", bytearray(8 * len(round.marks)))
            kind, body = self._key(round)
        else:
            kind, body = self._delta(round, before)
        if round.synced:
            kind |= SYNCED
        kind |= _put_marks(body, round.marks)
        self._put_values(body, round)
        self._before = round
        self.since_key += 1
        try:
            return _finish(kind, body)
        except FrameError:
            self.restart()
            raise

    def _key(self, round):
        body = bytearray((self._slot, 0, 0, 0, 0))
        pack_into(">I", body, 1, round.schema.id)
        varint.put(body, round.epoch)
        varint.put(body, round.seq)
        body.extend(b"\0\0\0\0")
        pack_into(">I", body, len(body) - 4, round.seconds)
        varint.put(body, round.uptime_ms)
        return KEY, body

    def _delta(self, round, before):
        body = bytearray((self._slot,))
        later = round.seconds - before.seconds
        varint.put(body, round.seq - before.seq)
        varint.put_signed(body, later)
        varint.put_signed(body, round.uptime_ms - before.uptime_ms - later * 1000)
        return DELTA, body

    def _put_values(self, body, round):
        base, values = self._base, round.values
        for at, mark in enumerate(round.marks):
            if mark >> 6 < BAD:
                varint.put_signed(body, values[at] - base[at])
                base[at] = values[at]


def _put_marks(body, marks):
    """Which samples are missing, and which are not good. Returns the flags that announce it."""
    flags = 0
    if any([mark == ABSENT for mark in marks]):
        flags = SOME_ABSENT
        bits = bytearray(len(marks) + 7 >> 3)
        for at, mark in enumerate(marks):
            if mark != ABSENT:
                bits[at >> 3] |= 1 << (at & 7)
        body.extend(bits)
    flawed = [at for at, mark in enumerate(marks) if mark and mark != ABSENT]
    if flawed:
        flags |= SOME_FLAWED
        varint.put(body, len(flawed))
        expected = 0
        for at in flawed:
            varint.put(body, at - expected)
            body.append(marks[at])
            expected = at + 1
    return flags
