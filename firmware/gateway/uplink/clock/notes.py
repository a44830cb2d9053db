"""What the time servers said, as events: by the event `time` a consumer places what has no time yet, and moves what was stamped before the
clock was stepped. Its own uptime is its own UTC, and records with a lower number are from before."""

from micropython import const

_UNIX_2000 = const(946684800)


class TimeNotes:
    """`note(dict)` takes an event into the journal, `made()` says how many records of this boot are there."""

    def __init__(self, time, clock, note, made):
        self._time = time
        self._clock = clock
        self._note = note
        self._made = made

    def told(self, moved):
        """The servers were asked; `moved`: what TimeSync.poll() returned. To be called before anybody else reads the clock."""
        if moved is None and self._made() or moved:
            self._note(self._mapping(moved))
        for host, seconds, off_ms in self._time.refused:
            event = {"event": "time_refused", "server": host, "said": seconds + _UNIX_2000}
            if off_ms is not None:
                event["difference_ms"] = off_ms
            self._note(event)
        self._time.refused = []

    def _mapping(self, moved):
        clock = self._clock
        event = {"event": "time", "source": clock.source, "uncertainty_ms": clock.uncertainty_ms}
        if moved:
            event["stepped_ms"] = moved
        return event
