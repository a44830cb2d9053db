"""The one owner of a Modbus bus: who may use it next, how often a request is tried, and what silent devices may cost.

A link (RTU or TCP) makes single transactions. Whoever wants the bus waits for its turn, first come, first served: the poller has at
most one request under way, so that a write or an urgent read comes right after it.
"""

import asyncio
from micropython import const

from gateway.acquire.modbus import protocol
from gateway.acquire.modbus.trace import Trace
from gateway.core.quality import BUS_DOWN, CRC, EXCEPTION, SHORT, TIMEOUT, WRONG_UNIT

_TRIES = const(3)
_DAMAGED = (CRC, SHORT, WRONG_UNIT)
_NOBODY_THERE = (10, 11)  # exceptions of a Modbus gateway that got no answer (application protocol V1.1b3, section 7)


class Bus:
    """`spec`: an entry of the compiled site's "buses". Errors are counted by reason in `errors`, every try of them."""

    def __init__(self, spec, link, clock):
        self.name = spec["id"]
        self.link = link
        self._clock = clock
        self._turn = asyncio.Lock()
        self._dead_factor = 100 // spec["dead_share"]
        self._probe_free_ms = 0  # no probe of a silent device before that
        self.units = []
        self.trace = Trace()
        self.requests = 0
        self.errors = [0] * 16

    def may_ask(self, unit):
        """True for a live device; for a silent one when its next probe is due, it waited longest, and the bus can afford it."""
        if not unit.dead:
            return True
        if not self.affords() or not unit.due(self._clock.uptime_ms()):
            return False
        for other in self.units:
            if other.dead and other.probe_at_ms < unit.probe_at_ms:
                return False
        return True

    def affords(self):
        """May a silent device be asked now? What they cost has a bound."""
        return self._clock.uptime_ms() >= self._probe_free_ms

    def is_busy(self):
        """Somebody's request is under way."""
        return self._turn.locked()

    async def ask(self, unit, frame, turnaround_ms, timeout_ms):
        """As transact(), for those who share the bus with the poller: (0, a copy of what the answer holds), or (reason, number)."""
        async with self._turn:
            reason, found = await self._try(unit, frame, turnaround_ms, timeout_ms)
            if reason:
                return reason, found
            link = self.link
            head = protocol.data_at(frame[link.FUNCTION])
            end = found - head + protocol.size_of(link.buffer, found - head, link.end)
            return 0, bytes(link.buffer[found:end])

    async def transact(self, unit, frame, turnaround_ms, timeout_ms):
        """A transaction with a frame of link.frame(): (0, index of the data), or (reason, number of the exception).

        What `link.buffer` holds stands until the caller's next await.
        """
        async with self._turn:
            return await self._try(unit, frame, turnaround_ms, timeout_ms)

    async def _try(self, unit, frame, turnaround_ms, timeout_ms):
        """A damaged answer is worth another request, and so is silence that was waited for no longer than usual."""
        clock, link = self._clock, self.link
        started = clock.uptime_ms()
        was_dead = unit.dead
        full = timeout_ms * 1000
        patience = unit.patience_us(turnaround_ms, timeout_ms)
        if unit.owed and started < unit.owed_until_ms and link.confusable(unit.owed, frame):
            await asyncio.sleep_ms(unit.owed_until_ms - started)
        unheard = False
        reason = found = 0
        for _ in range(1 if was_dead else _TRIES):
            unit.requests += 1
            self.requests += 1
            reason, found = await link.exchange(frame, unit.earliest_us(turnaround_ms), patience, unit.gap_ms)
            if reason == EXCEPTION and found in _NOBODY_THERE:
                reason = TIMEOUT
            number = found if reason == EXCEPTION else 0
            now = clock.uptime_ms()
            self.trace.note(now, unit.number, frame, link.took_us, reason, number, link.buffer, link.end, unit.private)
            if reason == TIMEOUT or reason == WRONG_UNIT:
                unit.owes(frame, now + 2 * timeout_ms)
                unheard = True
            elif reason == 0 or reason == EXCEPTION:
                unit.answered(turnaround_ms, link.took_us)
                if unheard:  # was it the first request that was answered late? Then this one's answer is still to come.
                    await link.linger(frame, unit.patience_us(turnaround_ms, timeout_ms))
                if reason == 0:
                    return 0, found
            self.errors[reason] += 1
            unit.count(reason, number)
            if reason not in _DAMAGED and not (reason == TIMEOUT and patience < full):
                break
            patience = min(full, 2 * patience)
        if reason != EXCEPTION and reason != BUS_DOWN:
            now = clock.uptime_ms()
            unit.failed(reason, now)
            if was_dead:
                self._probe_free_ms = now + self._dead_factor * (now - started)
        return reason, found
