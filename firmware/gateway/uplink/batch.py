"""What goes next: events and alarms at once, what is fresh when there is enough of it or it has waited long enough, the backlog beside
it at a declared pace."""

from micropython import const

ALARM = const(0)  # class
_OTHERS = (1, 2)
_LATE_MS = const(90000)  # a fresh round that waits longer joins the backlog, so that the last ones are fresh again


class Batch:
    """Limits of a message: it goes with so many `bytes` (about) or `samples`, or when its oldest round has waited `age_ms`.

    `journal` gives entries (peek_live, take_live, peek_backlog, take_backlog) and takes fall_behind(class, since). `sample_bytes`: what a
    sample takes in this encoding; 0: what its record takes in the journal. `pace`: bytes a second for the backlog; 0: no limit.
    """

    def __init__(self, journal, sample_bytes, most_bytes, most_samples, age_ms, pace):
        self._journal = journal
        self._sample_bytes = sample_bytes
        self._most_bytes = most_bytes
        self._most_samples = most_samples
        self._age_ms = age_ms
        self._late_ms = max(_LATE_MS, 2 * age_ms)
        self._pace = pace
        self._free_ms = 0  # uptime from which on the next piece of backlog may go

    def next(self, now_ms, urgent, backlog):
        """(is backlog, entries) of the next message: one event, or a run of rounds of one class. None when all can wait.

        `urgent`: send whatever is fresh; `backlog`: the backlog may go, too, if its pace allows.
        """
        journal = self._journal
        for cls in (ALARM,) + _OTHERS:
            first = journal.peek_live(cls)
            if first and first.sequence and now_ms - first.content.uptime_ms >= self._late_ms:
                journal.fall_behind(cls, now_ms - self._late_ms * 3 // 4)
                first = journal.peek_live(cls)
            if first and (cls == ALARM or urgent or self._is_due(cls, first, now_ms)):
                return False, self._run(cls, journal.peek_live, journal.take_live)
        if journal.peek_backlog(ALARM):
            return True, self._run(ALARM, journal.peek_backlog, journal.take_backlog)
        if backlog and now_ms >= self._free_ms:
            for cls in _OTHERS:
                if journal.peek_backlog(cls):
                    return True, self._run(cls, journal.peek_backlog, journal.take_backlog)
        return None

    def sent(self, size, now_ms):
        """So many bytes of backlog went: the pace decides when the next may go."""
        if self._pace:
            self._free_ms = max(self._free_ms, now_ms) + size * 1000 // self._pace

    def pause_ms(self, now_ms, most_ms):
        """How long the pace alone holds the backlog up, `most_ms` when there is none."""
        for cls in _OTHERS:
            if self._journal.peek_backlog(cls):
                return min(most_ms, max(0, self._free_ms - now_ms))
        return most_ms

    def _is_due(self, cls, first, now_ms):
        if now_ms - first.content.uptime_ms >= self._age_ms:
            return True
        size, samples = self._journal.fresh(cls)
        if self._sample_bytes:
            size = samples * self._sample_bytes
        return size >= self._most_bytes or samples >= self._most_samples

    def _run(self, cls, peek, take):
        """An event alone; or all rounds that fit, one at least."""
        run = []
        size, count = 0, 0
        while True:
            entry = peek(cls)
            if entry is None:
                return run
            if entry.content.is_event:
                return run or [take(cls)]
            size += entry.samples * self._sample_bytes if self._sample_bytes else entry.size
            count += entry.samples
            if run and (size > self._most_bytes or count > self._most_samples):
                return run
            run.append(take(cls))
