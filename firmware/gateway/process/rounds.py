"""The values that wait for the end of the slot, one place per stream, and the rounds that they make."""

from array import array

from micropython import const

from gateway.core.record import ABSENT
from gateway.core.schema import MOST_STREAMS, Schema

# In the place of a quality byte, which is below 192:
_UNHEARD = const(255)  # nothing since boot
_EMPTY = const(254)  # nothing since the last take


class _Group:
    """The streams of one schema: they share their rounds."""

    def __init__(self, schema, streams):
        self.schema = schema
        self.streams = streams  # array of indexes, in the order of the schema
        self.waiting = False
        self.urgent = False


def _groups(streams):
    """The groups of a compiled site's "streams", ascending by class, period and privacy; a large one in several schemas."""
    members = {}  # (class, period, private) -> indexes, ids, exponents; gone through once, for it may come from flash
    for index, stream in enumerate(streams):
        found = members.setdefault(tuple(stream[5:]), (array("H"), array("I"), array("b")))
        found[0].append(index)
        found[1].append(stream[0])
        found[2].append(stream[3])
    groups = []
    for key in sorted(members):
        indexes, ids, exponents = members[key]
        for at in range(0, len(indexes), MOST_STREAMS):
            end = at + MOST_STREAMS
            groups.append(_Group(Schema(key[0], key[1], ids[at:end], exponents[at:end], key[2]), indexes[at:end]))
    return groups


class Rounds:
    """`streams`: as in the body of a compiled site."""

    def __init__(self, streams):
        self._waiting = array("q", bytearray(8 * len(streams)))
        self._marks = bytearray([_UNHEARD] * len(streams))
        self._groups = _groups(streams)
        self._group_of = [None] * len(streams)
        for group in self._groups:
            for index in group.streams:
                self._group_of[index] = group

    def schemas(self):
        """In the order of their numbers."""
        return [group.schema for group in self._groups]

    def period(self, stream):
        """Of its rounds, in seconds."""
        return self._group_of[stream].schema.period

    def unheard(self, stream):
        """This stream has had no value since boot."""
        return self._marks[stream] == _UNHEARD

    def emit(self, stream, mantissa, quality_byte):
        """The value of a stream for this slot."""
        group = self._group_of[stream]
        group.waiting = True
        if self._marks[stream] == _UNHEARD:
            group.urgent = True
        self._waiting[stream] = mantissa
        self._marks[stream] = quality_byte

    def take(self):
        """What the slot has to report: a list of (number, schema, urgent, values, marks), ascending by class and period.

        number: of the schema, always the same one; values and marks: as of core.record.Round. urgent: one of these streams reports for
        the first time since boot.
        """
        taken = []
        for number, group in enumerate(self._groups):
            if group.waiting:
                values, marks = self._samples(group)
                taken.append((number, group.schema, group.urgent, values, marks))
                group.waiting = group.urgent = False
        return taken

    def _samples(self, group):
        marks = self._marks
        values = array("q", [self._waiting[stream] for stream in group.streams])
        taken = bytearray(len(group.streams))
        for at, stream in enumerate(group.streams):
            taken[at] = marks[stream] if marks[stream] < _EMPTY else ABSENT
            if marks[stream] < _EMPTY:
                marks[stream] = _EMPTY
        return values, taken
