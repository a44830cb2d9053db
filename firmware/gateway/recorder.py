"""Into the journal with what the pipeline makes and what happens: gives records their identity and their time, keeps the promise of
durability, and tells what becomes of the journal itself."""

import json

import asyncio
from esp32 import NVS

from micropython import const

from gateway.core.record import Event, Round
from gateway.journal.held import MOST_SAMPLES

_ALARM = const(0)  # class
_TEND_MS = const(60000)


class Recorder:
    """`promise`: the compiled site's "journal"; `so_far()` takes what a slot that is not finished has to report by now; `wrote(started)`
    is told that flash was written since that uptime; `first()` that a stream reports for the first time."""

    def __init__(self, journal, clock, epoch, promise, wrote):
        self._journal = journal
        self._clock = clock
        self._epoch = epoch
        self._promise = promise
        self._wrote = wrote
        self.so_far = tuple
        self.first = None
        self.seq = 0  # of the last record
        self._slot = 0
        self.synced = False
        self._began_ms = self._written_ms = 0
        self._in_round = False

    # --- rounds

    def begin(self, slot):
        """The time of a round is that of its slot, by the clock as it was then: it may be set while the devices are read."""
        self.synced = self._clock.synced
        self._began_ms = self._written_ms = self._clock.uptime_ms()
        self._slot = slot
        self._in_round = True

    def finish(self, slot, rounds):
        """The readings of a slot are complete: a record a schema. `rounds`: as of process.rounds.Rounds.take()."""
        self._in_round = False
        self._slot = slot
        self._write(rounds)

    def flush(self):
        """What was read of a slot that is not finished, too."""
        if self._in_round:
            self._write(self.so_far())

    def _write(self, rounds):
        for number, schema, urgent, values, marks in rounds:
            made = Round(schema, self._epoch, self._next(), self.synced, self._slot, self._began_ms, values, marks)
            started = self._clock.uptime_ms()
            self._journal.append(number, made)
            self._wrote(started)
            if urgent:
                self.first()
        self._written_ms = self._clock.uptime_ms()

    def made(self):
        """How many records."""
        return self.seq

    def _next(self):
        self.seq += 1
        return self.seq

    # --- events

    def note(self, body):
        """An event that says `body`, a dict for JSON."""
        clock = self._clock
        seconds, ms = divmod(clock.now_ms(), 1000)
        data = json.dumps(body).encode()
        started = clock.uptime_ms()
        self._journal.append_event(Event(_ALARM, self._epoch, self._next(), clock.synced, seconds, ms, started, data))
        self._wrote(started)

    # --- what has to be done now and then

    async def tend(self, alive):
        """Once a second, for ever."""
        minute_ms = 0
        while True:
            alive()
            await asyncio.sleep_ms(1000)
            now = self._clock.uptime_ms()
            if now - self._written_ms >= self._promise["durability_s"] * 1000 - 1000:
                self.flush()
            started = now
            self._journal.check()
            self._tell()
            if now >= minute_ms:
                minute_ms = now + _TEND_MS
                self._journal.retry(now)
                self._expire()
            self._wrote(started)

    def _tell(self):
        """What has happened to the journal, as events; and where the next start finds it, that samples are in RAM only."""
        notes = self._journal.notes
        while notes:
            body = notes.pop(0)
            if body["event"] in ("flash_failed", "flash_recovered"):
                try:
                    nvs = NVS("satama")
                    nvs.set_i32("held", MOST_SAMPLES if self._journal.degraded else 0)
                    nvs.commit()
                except OSError:
                    pass  # it is the same chip: what RAM holds must not be lost for a note about it
            self.note(body)

    def _expire(self):
        """What nobody has fetched for longer than the site wants to keep it, a block a minute of each class."""
        if self._clock.synced:
            for cls, hours in enumerate(self._promise["ages_h"]):
                if hours:
                    self._journal.expire(cls, self._clock.now_ms() // 1000 - hours * 3600)


def lost_max(streams, ended_well):
    """So many samples at most the end of the start before has cost: what was read but not written, one a stream; and what the RAM held
    while the flash had failed. None when it ended in order."""
    if ended_well:
        return 0
    try:
        return streams + NVS("satama").get_i32("held")
    except OSError:
        return streams
