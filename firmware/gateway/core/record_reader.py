"""Reads records (core.record, docs/FORMAT.md), believing nothing because it parses."""

from array import array
from binascii import crc32
from struct import unpack_from

from micropython import const

from gateway.core import schema, varint
from gateway.core.errors import FrameError
from gateway.core.exact import bounded
from gateway.core.quality import BAD, CRC, INVALID, NO_DATA
from gateway.core.record import (
    ABSENT, EVENT, KEY, SCHEMA, SOME_ABSENT, SOME_FLAWED, SYNCED, UNKNOWN, Event, Round, measure,
)  # fmt: skip

_KIND = const(3)  # bits of the kind


class Reader:
    """Reads records one after the other: differences need the round before, a key frame its schema.

    `schemas`: dict of Schema by id; those that are met in records are added to it. `values`: False reads only who and when, and which
    samples there are; the `values` of these rounds are None.
    """

    def __init__(self, schemas, values=True):
        self._schemas = schemas
        self._values = values
        self._before = {}

    def forget(self):
        """What comes does not follow what was read: until its next key frame, a schema's rounds cannot be told."""
        self._before = {}

    def read(self, buf, at, end):
        """(index behind it, Round or Event or Schema) of the record that begins at buf[at] and ends at or before buf[end].

        FrameError with SHORT (cut off, or no record), CRC (damaged), INVALID (intact, but not written by this format) or NO_DATA (a
        round whose key frame or schema was not read before it).
        """
        body, end = measure(buf, at, end)
        if unpack_from(">I", buf, end - 4)[0] != crc32(memoryview(buf)[at : end - 4]):
            raise FrameError(CRC)
        kind = buf[body]
        if kind & UNKNOWN:
            raise FrameError(INVALID)
        return end, self._record(kind, buf, body + 1, end - 4)

    def _record(self, kind, buf, at, end):
        what = kind & _KIND
        if what == SCHEMA:
            found = schema.decode(buf, at, end)
            self._schemas[found.id] = found
            return found
        if at >= end:
            raise FrameError(INVALID)
        if what == EVENT:
            return _event(kind, buf, at, end)
        slot = buf[at]
        if what == KEY:
            round, at = self._key(kind, buf, at + 1, end)
        else:
            round, at = self._delta(kind, buf, at + 1, end, self._before.get(slot))
        at = _get_marks(kind, buf, at, end, round.marks)
        if self._values:
            _get_values(buf, at, end, round)
        self._before[slot] = round
        return round

    def _key(self, kind, buf, at, end):
        if at + 4 > end:
            raise FrameError(INVALID)
        schema = self._schemas.get(unpack_from(">I", buf, at)[0])
        if schema is None:
            raise FrameError(NO_DATA)
        epoch, at = varint.get(buf, at + 4, end)
        seq, at = varint.get(buf, at, end)
        if at + 4 > end:
            raise FrameError(INVALID)
        seconds = unpack_from(">I", buf, at)[0]
        uptime_ms, at = varint.get(buf, at + 4, end)
        count = len(schema.ids)
        values, marks = array("q", bytearray(8 * count)) if self._values else None, bytearray(count)
        return Round(schema, epoch, seq, kind & SYNCED != 0, seconds, uptime_ms, values, marks), at

    def _delta(self, kind, buf, at, end, before):
        if before is None:
            raise FrameError(NO_DATA)
        later_seq, at = varint.get(buf, at, end)
        later, at = varint.get_signed(buf, at, end)
        drift_ms, at = varint.get_signed(buf, at, end)
        seconds = before.seconds + later
        uptime_ms = before.uptime_ms + later * 1000 + drift_ms
        if not 0 <= seconds <= 0xFFFF_FFFF or uptime_ms < 0:
            raise FrameError(INVALID)
        values, marks = array("q", before.values) if self._values else None, bytearray(len(before.marks))
        round = Round(
            before.schema, before.epoch, before.seq + later_seq, kind & SYNCED != 0, seconds, uptime_ms, values, marks
        )
        return round, at


def _event(kind, buf, at, end):
    cls = buf[at]
    epoch, at = varint.get(buf, at + 1, end)
    seq, at = varint.get(buf, at, end)
    if at + 6 > end:
        raise FrameError(INVALID)
    seconds, ms = unpack_from(">IH", buf, at)
    uptime_ms, at = varint.get(buf, at + 6, end)
    return Event(cls, epoch, seq, kind & SYNCED != 0, seconds, ms, uptime_ms, bytes(buf[at:end]))


def _get_marks(kind, buf, at, end, marks):
    count = len(marks)
    if kind & SOME_ABSENT:
        if at + (count + 7 >> 3) > end:
            raise FrameError(INVALID)
        for i in range(count):
            if not buf[at + (i >> 3)] >> (i & 7) & 1:
                marks[i] = ABSENT
        at += count + 7 >> 3
    if kind & SOME_FLAWED:
        flawed, at = varint.get(buf, at, end)
        place = -1
        for _ in range(min(flawed, count + 1)):
            gap, at = varint.get(buf, at, end)
            place += gap + 1
            if place >= count or at == end or marks[place] or not 0 < buf[at] < 192:
                raise FrameError(INVALID)
            marks[place] = buf[at]
            at += 1
    return at


def _get_values(buf, at, end, round):
    values, marks = round.values, round.marks
    for place in range(len(marks)):
        if marks[place] >> 6 < BAD:
            difference, at = varint.get_signed(buf, at, end)
            value = values[place] + difference
            if bounded(value) is None:
                raise FrameError(INVALID)
            values[place] = value
    if at != end:
        raise FrameError(INVALID)
