"""What goes into the next message: events and alarms at once, the rest when there is enough of it or it has waited long enough."""

from micropython import const

ALARM = const(0)  # class
_HISTORY_MS = const(120000)  # a round that is older is history


class Batch:
    """Limits of a message: it goes with so many `bytes` (about) or `samples`, or when its oldest round has waited `age_ms`.

    `sample_bytes`: what a sample takes in this encoding; 0: what its record takes in the journal.
    """

    def __init__(self, epoch, sample_bytes, most_bytes, most_samples, age_ms):
        self._epoch = epoch
        self._sample_bytes = sample_bytes
        self._most_bytes = most_bytes
        self._most_samples = most_samples
        self._age_ms = age_ms

    def is_history(self, content, now_ms):
        """From before this boot, or late."""
        return content.epoch != self._epoch or now_ms - content.uptime_ms > _HISTORY_MS

    def choose(self, window, now_ms, urgent):
        """The entries for the next message, none when all can wait: one event, or a run of rounds of one class.

        `window`: journal entries in their order; `urgent`: send whatever there is.
        """
        first = None
        for entry in window:
            if entry.content.is_event:
                return [entry]
            if entry.content.cls == ALARM and first is None:
                first = entry
        if first is None:
            if not window or not (urgent or self._is_due(window, now_ms)):
                return []
            first = window[0]
        return self._run(window, first.content, now_ms)

    def _is_due(self, window, now_ms):
        oldest = window[0].content
        if oldest.epoch != self._epoch or now_ms - oldest.uptime_ms >= self._age_ms:
            return True
        size, count = 0, 0
        for entry in window:
            size += self._bytes(entry)
            count += entry.samples
        return size >= self._most_bytes or count >= self._most_samples

    def _run(self, window, first, now_ms):
        """All of one class and age that fit; one round always does."""
        run = []
        size, count = 0, 0
        history = self.is_history(first, now_ms)
        for entry in window:
            content = entry.content
            if content.cls == first.cls and self.is_history(content, now_ms) == history and not content.is_event:
                size += self._bytes(entry)
                count += entry.samples
                if run and (size > self._most_bytes or count > self._most_samples):
                    break
                run.append(entry)
        return run

    def _bytes(self, entry):
        return entry.samples * self._sample_bytes if self._sample_bytes else entry.size
