"""Poll rounds: at each slot of the clock, the requests and inputs that are due, in order of their periods."""

import asyncio

from micropython import const

from gateway.acquire import modbus, registers
from gateway.core.quality import BAD, pack


_JUMP_S = const(3600)  # the clock cannot have gone so far within a round: it was set
_LATE_MS = const(30000)  # nor so far within a wait of a second


class _Read:
    """One request of a round: its frame made once, its times, and the fields of its answer (a "read" of the compiled site)."""

    def __init__(self, spec, buses):
        bus, unit, function, address, count, self.turnaround_ms, self.timeout_ms, self.gap_ms, self.fields = spec
        self.bus = buses[bus]
        self.bits = function < 3
        self.request = modbus.read_request(unit, function, address, count)


class Poller:
    """Reads what the compiled site's "polls" say and hands every reading to `offer(point, mantissa, quality byte)`.

    `begin(slot)` is called before the readings of a slot, `finish(slot)` after them.
    """

    def __init__(self, polls, buses, inputs, clock, begin, offer, finish):
        # [(period_s, reads, inputs)] ascending by period; `inputs` has one list a poll
        self._polls = [(poll[0], [_Read(spec, buses) for spec in poll[1]], inputs[at]) for at, poll in enumerate(polls)]
        self._clock = clock
        self._begin, self._offer, self._finish = begin, offer, finish
        self.rounds = 0
        self.missed = 0  # slots that were over before their turn came
        self.progress_ms = 0  # uptime of the last finished slot

    async def run(self):
        clock = self._clock
        done = clock.now_ms() // 1000
        await self._round(done, True)  # at once: nobody who has just closed the door wants to wait for a slot
        while True:
            done = self._passed(done)
            slot = self._next_slot(done)
            if await self._wait_for(slot):
                await self._round(slot, False)
                done = slot

    async def _round(self, slot, everything):
        self._begin(slot)
        await self._read_due(slot, everything)
        self._finish(slot)
        self.rounds += 1
        self.progress_ms = self._clock.uptime_ms()

    def _next_slot(self, after):
        return min(after // poll[0] * poll[0] + poll[0] for poll in self._polls)

    def _passed(self, slot):
        """The last slot that is over. Those that a long round ran over are counted, and not made up for."""
        now = self._clock.now_ms() // 1000
        if not slot <= now <= slot + _JUMP_S:  # the clock was set: no slot was missed
            return now
        upcoming = self._next_slot(slot)
        while upcoming < now:
            self.missed += 1
            slot = upcoming
            upcoming = self._next_slot(slot)
        return slot

    async def _wait_for(self, slot):
        """True at the slot; False as soon as the clock was set and the slot is no longer the next one."""
        before = self._clock.now_ms()
        while True:
            now = self._clock.now_ms()
            left = slot * 1000 - now
            if not -_LATE_MS < now - before < _LATE_MS:
                return False
            if left <= 0:
                return True
            before = now
            await asyncio.sleep_ms(min(left, 1000))

    async def _read_due(self, slot, everything):
        for period, reads, inputs in self._polls:
            if slot % period and not everything:
                continue
            for source in inputs:
                mantissa, quality_byte = source.read()
                self._offer(source.point, mantissa, quality_byte)
            for read in reads:
                await self._read(read)

    async def _read(self, read):
        bus = read.bus
        reason, at = await bus.read(read.request, read.turnaround_ms, read.timeout_ms, read.gap_ms)
        if reason:
            quality_byte = pack(BAD, reason)
            for field in read.fields:
                self._offer(field[0], 0, quality_byte)
            return
        buffer = bus.buffer
        for point, offset, kind, order, m, shift, invalid in read.fields:
            if read.bits:
                mantissa, quality_byte = registers.decode_bit(buffer, at, offset)
            else:
                mantissa, quality_byte = registers.decode(buffer, at + 2 * offset, kind, order, m, shift, invalid)
            self._offer(point, mantissa, quality_byte)
