"""Compact packets for metered links: rounds as they are kept, each schema's first one as a key frame (docs/FORMAT.md)."""

from gateway.core.record_writer import Writer

VERSION = b"\x01"


class Pack:
    """One message. Rounds that are not synced keep their uptime: the event "time" places them."""

    def __init__(self):
        self._body = bytearray(VERSION)
        self._writers = {}  # schema id -> Writer

    def add(self, round, utc=None, age_s=0):
        """Append a core.record.Round. Its time needs no help."""
        writer = self._writers.get(round.schema.id)
        if writer is None:
            writer = self._writers[round.schema.id] = Writer(len(self._writers))
        self._body.extend(writer.encode(round))

    def finish(self):
        """The packet, bytes."""
        return bytes(self._body)
