"""Where every sample went: produced = acknowledged + dropped + quarantined + queued, per stream.

Nearly all rounds are whole, and there are few schemas: so the samples of a whole round are counted once for its schema, and only those
of rounds with gaps stream by stream.
"""

from array import array

from micropython import const

from gateway.core.record import ABSENT, EVENTS

OTHER = const(-1)  # the streams that this site does not know: a backlog written before a re-deploy. A row a class
_CLASSES = const(3)
# Columns
PRODUCED = const(0)  # offered to the journal
ACKNOWLEDGED = const(1)  # confirmed by the broker
DROPPED = const(2)  # given up by policy, such as the oldest of a full ring
QUARANTINED = const(3)  # on flash, but no longer readable
QUEUED = const(4)
_COLUMNS = const(5)


def tally(content):
    """What the ledger has to know of a record: (its schema, None for an event; its marks, None when no sample is missing)."""
    if content.is_event:
        return None, None
    return content.schema, bytes(content.marks) if max(content.marks) == ABSENT else None


class Ledger:
    """`stream_ids` of the site. Counters of 32 bits: 136 years at one sample a second."""

    def __init__(self, stream_ids):
        self._ids = list(stream_ids)
        self._known = len(self._ids)
        self._ids.append(EVENTS)
        self._rows = {stream_id: row for row, stream_id in enumerate(self._ids)}
        self._ids.extend([OTHER] * _CLASSES)
        zeros = bytearray(4 * len(self._ids))
        self._columns = [array("i", zeros) for _ in range(_COLUMNS)]
        self._whole = {}  # schema id -> (schema, counts by column)

    def count(self, column, what, rounds=1):
        """`what`, a tally, was counted so often (or, below 0, is no longer) in a column."""
        schema, marks = what
        if schema is None:
            self._columns[column][self._known] += rounds
        elif marks is None:
            counted = self._whole.get(schema.id)
            if counted is None:
                counted = self._whole[schema.id] = (schema, array("i", bytearray(4 * _COLUMNS)))
            counted[1][column] += rounds
        else:
            for at, mark in enumerate(marks):
                if mark != ABSENT:
                    self.row(schema.ids[at], schema.cls, column, rounds)

    def row(self, stream_id, cls, column, samples):
        """Count samples of one stream, which is or was of that class."""
        self._columns[column][self._rows.get(stream_id, self._known + 1 + cls)] += samples

    def queue(self, what):
        """Into the journal."""
        self.count(PRODUCED, what)
        self.count(QUEUED, what)

    def leave(self, column, what):
        """Out of the queue, for the reason that the column is for."""
        self.count(QUEUED, what, -1)
        self.count(column, what)

    def fold(self):
        """Take the rounds counted as wholes into the rows of their streams."""
        for schema_id in sorted(self._whole):
            schema, counts = self._whole[schema_id]
            for column in range(_COLUMNS):
                if counts[column]:
                    for stream_id in schema.ids:
                        self.row(stream_id, schema.cls, column, counts[column])
        self._whole = {}

    def derive(self, least):
        """After a start: what was produced and is neither queued nor dropped nor unreadable was acknowledged.

        `least`: another Ledger, whose acknowledged ones the broker is known to have. Where that is more, more was produced than anybody
        remembers.
        """
        self.fold()
        produced, acknowledged, dropped, quarantined, queued = self._columns
        for row in range(len(self._ids)):
            rest = produced[row] - dropped[row] - quarantined[row] - queued[row]
            known = least._columns[ACKNOWLEDGED][row]
            if rest < known:
                produced[row] += known - rest
                rest = known
            acknowledged[row] = rest

    def recount(self, queued):
        """Unreadable records were met: what should be queued, but is not in `queued` (a Ledger with what still is), is quarantined."""
        self.fold()
        queued.fold()
        for row in range(len(self._ids)):
            lost = self._columns[QUEUED][row] - queued._columns[QUEUED][row]
            if lost > 0:
                self._columns[QUEUED][row] -= lost
                self._columns[QUARANTINED][row] += lost

    def empty(self):
        """Another one for the same streams, with nothing counted."""
        return Ledger(self._ids[: self._known])

    def rows(self):
        """Yield (stream id, EVENTS or OTHER, produced, acknowledged, dropped, quarantined, queued) of every stream."""
        self.fold()
        for row in range(self._known + 1):
            yield self._row(self._ids[row], (row,))
        yield self._row(OTHER, range(self._known + 1, len(self._ids)))

    def _row(self, stream_id, rows):
        return (stream_id,) + tuple([sum([column[row] for row in rows]) for column in self._columns])

    def rows_of(self, cls, classes):
        """As rows(), of the streams of one class; `classes` by stream id. Events are of class 0."""
        self.fold()
        for row in range(self._known):
            if classes[self._ids[row]] == cls:
                yield self._row(self._ids[row], (row,))
        if cls == 0:
            yield self._row(EVENTS, (self._known,))
        yield self._row(OTHER, (self._known + 1 + cls,))

    def totals(self):
        """(produced, acknowledged, dropped, quarantined, queued) over all streams: samples, without the events."""
        self.fold()
        events = self._known
        return tuple([sum(column) - column[events] for column in self._columns])

    def balanced(self):
        """True when every row adds up and nothing left that was never there."""
        for _, produced, acknowledged, dropped, quarantined, queued in self.rows():
            if queued < 0 or produced != acknowledged + dropped + quarantined + queued:
                return False
        return True
