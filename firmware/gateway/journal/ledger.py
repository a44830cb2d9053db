"""Where every sample went: produced = acknowledged + dropped + quarantined + queued, per stream."""

from array import array

from micropython import const

from gateway.core.record import EVENTS

OTHER = const(-1)  # row of the streams that this site does not know: a backlog written before a re-deploy


class Ledger:
    """Counters of 32 bits: 136 years at one sample a second."""

    def __init__(self, stream_ids):
        self._ids = list(stream_ids)
        self._ids.append(EVENTS)
        self._ids.append(OTHER)
        self._rows = {stream_id: row for row, stream_id in enumerate(self._ids)}
        zeros = [0] * len(self._ids)
        self._produced = array("I", zeros)
        self._acknowledged = array("I", zeros)
        self._dropped = array("I", zeros)
        self._quarantined = array("I", zeros)
        self._queued = array("i", zeros)  # below 0 when something left that was never queued: not balanced

    def _row(self, stream_id):
        return self._rows.get(stream_id, len(self._ids) - 1)

    def produced(self, stream_id):
        """Offered to the journal."""
        row = self._row(stream_id)
        self._produced[row] += 1
        self._queued[row] += 1

    recovered = produced  # found in the journal at boot, not yet acknowledged

    def quarantined(self, stream_id):
        """Produced, but set aside instead of queued."""
        row = self._row(stream_id)
        self._produced[row] += 1
        self._quarantined[row] += 1

    def acknowledged(self, stream_id):
        """Confirmed by the broker."""
        row = self._row(stream_id)
        self._acknowledged[row] += 1
        self._queued[row] -= 1

    def dropped(self, stream_id):
        """Given up by policy, such as the oldest of a full journal."""
        row = self._row(stream_id)
        self._dropped[row] += 1
        self._queued[row] -= 1

    def rows(self):
        """Yield (stream id or OTHER, produced, acknowledged, dropped, quarantined, queued) of every stream."""
        for row, stream_id in enumerate(self._ids):
            yield (
                stream_id,
                self._produced[row],
                self._acknowledged[row],
                self._dropped[row],
                self._quarantined[row],
                self._queued[row],
            )

    def totals(self):
        """(produced, acknowledged, dropped, quarantined, queued) over all streams: samples, without the events."""
        columns = (self._produced, self._acknowledged, self._dropped, self._quarantined, self._queued)
        events = self._rows[EVENTS]
        return tuple([sum(column) - column[events] for column in columns])

    def balanced(self):
        """True when every row adds up and nothing left that was never there."""
        for _, produced, acknowledged, dropped, quarantined, queued in self.rows():
            if queued < 0 or produced != acknowledged + dropped + quarantined + queued:
                return False
        return True
