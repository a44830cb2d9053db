"""Poll rounds: at each slot of the clock, the requests and inputs that are due, in order of their periods."""

import asyncio
from binascii import crc32

from micropython import const

from gateway.acquire.modbus import protocol, registers
from gateway.acquire.modbus.reads import Read
from gateway.core.quality import BAD, EXCEPTION, INVALID, TIMEOUT, pack

_REFUSED = (2, 3)  # illegal data address, illegal data value
_DAY_MS = const(86400000)
_ADDRESSES = const(65536)
_JUMP_S = const(3600)  # the clock cannot have gone so far within a round: it was set
_LATE_MS = const(30000)  # nor so far within a wait of a second


class Poller:
    """Reads what the compiled site's "polls" say and hands every reading to `offer(point, mantissa, quality byte)`.

    `begin(slot)` is called before the readings of a slot, `finish(slot)` after them; `remember(bytes)` keeps over a restart what was
    learned about the devices. Buses are read side by side.
    """

    def __init__(self, polls, texts, probes, units, buses, inputs, clock, begin, offer, finish, remember):
        # [(period_s, inputs, [reads of each bus])] ascending by period; `inputs` has one list a poll
        self._polls = []
        self.reads = []
        for at, (period, specs, _) in enumerate(polls):
            by_bus = [[] for _ in buses]
            for spec in specs:
                read = Read(spec, units[spec[0]])
                by_bus[read.unit.bus].append(read)
                self.reads.append(read)
            self._polls.append((period, inputs[at], by_bus))
        self._text_specs, self._probes, self._units = texts, probes, units
        self.texts = []  # [device, point, text] of what identifies the devices
        self._buses = buses
        self._clock = clock
        self._begin, self._offer, self._finish = begin, offer, finish
        self._remember = remember
        self.rounds = 0
        self.missed = 0  # slots that were over before their turn came

    async def run(self, alive):
        """`alive()` is called with every request, and every second in between."""
        self._alive = alive
        clock = self._clock
        done = clock.now_ms() // 1000
        done = await self._round(done, True)  # at once: nobody who has just closed the door wants to wait for a slot
        await self._meet_devices()
        while True:
            done = self._passed(done)
            slot = self._next_slot(done)
            if await self._wait_for(slot):
                done = await self._round(slot, False)

    async def _round(self, slot, everything):
        """Returns the slot, as the clock has it afterwards: what is written after a step is stamped by the clock as it is then."""
        clock = self._clock
        synced, steps, slot_ms = clock.synced, clock.steps, slot * 1000 - clock.offset_at(clock.uptime_ms())
        self._begin(slot)
        await self._read_due(slot, everything)
        if synced and clock.steps != steps:
            slot = clock.slot_at(slot_ms)
        self._finish(slot)
        self.rounds += 1
        return slot

    def _next_slot(self, after):
        return min([after // poll[0] * poll[0] + poll[0] for poll in self._polls])

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
            self._alive()
            now = self._clock.now_ms()
            left = slot * 1000 - now
            if not -_LATE_MS < now - before < _LATE_MS:
                return False
            if left <= 0:
                return True
            before = now
            await asyncio.sleep_ms(min(left, 1000))

    async def _read_due(self, slot, everything):
        due = [[] for _ in self._buses]
        for period, inputs, by_bus in self._polls:
            if slot % period and not everything:
                continue
            for source in inputs:
                mantissa, quality_byte = source.read()
                self._offer(source.point, mantissa, quality_byte)
            for number, reads in enumerate(by_bus):
                due[number] += reads
        busy = [number for number, reads in enumerate(due) if reads]
        if len(busy) == 1:
            await self._serve(self._buses[busy[0]], due[busy[0]])
        elif busy:
            await asyncio.gather(*[self._serve(self._buses[number], due[number]) for number in busy])

    async def _serve(self, bus, reads):
        """The reads of one bus: live devices first, so that a silent one delays nobody."""
        silent = []
        for read in reads:
            if read.unit.dead:
                silent.append(read)
            else:
                await self._read(bus, read)
        for read in silent:
            if bus.may_ask(read.unit):
                await self._read(bus, read)
            else:
                for part in read.parts:
                    self._bad(part, TIMEOUT)

    async def _read(self, bus, read):
        unit = read.unit
        reason = 0
        self._alive()
        if unit.base < 0:
            from gateway.acquire.modbus import sunspec

            reason = await sunspec.find(bus, unit, read.turnaround_ms, read.timeout_ms)
        if read.cuts and read.expire(self._today()):
            self._keep_verdicts()
        for part in read.parts:
            if reason or unit.dead and not bus.may_ask(unit):
                self._bad(part, reason or TIMEOUT)
            else:
                await self._part(bus, read, part)

    async def _part(self, bus, read, part):
        """Ask for one part, in halves if the device refuses it as a whole. True when some of it was answered."""
        unit = read.unit
        if not part.frame or part.base != unit.base:
            if unit.base + part.address + part.count > _ADDRESSES:  # a SunSpec device lies about where its models are
                self._bad(part, INVALID)
                return False
            part.base = unit.base
            part.frame = bus.link.frame(unit.number, protocol.read(read.function, unit.base + part.address, part.count))
        reason, found = await bus.transact(unit, part.frame, read.turnaround_ms, read.timeout_ms)
        if reason == 0:
            buffer = bus.link.buffer
            for field in part.fields:
                mantissa, quality_byte = registers.value(buffer, found, field)
                self._offer(field[0], mantissa, quality_byte)
            read.taken(part)
            return True
        cut = 0
        if reason == EXCEPTION and found in _REFUSED:
            from gateway.acquire.modbus.cuts import best_cut, halves

            cut = best_cut(part)
        if not cut:
            self._bad(part, reason)
            return False
        answered = False
        for half in halves(part, cut):
            answered = await self._part(bus, read, half) or answered
        if answered and read.refused(part, cut, self._today()):
            self._keep_verdicts()
        return answered

    async def _meet_devices(self):
        """Once: are they what their profiles say, and what identifies them (serial numbers, firmware versions)?"""
        for probe in self._probes:
            from gateway.acquire.modbus.identify import is_expected

            self._alive()
            unit = self._units[probe[0]]
            if not unit.dead:
                unit.is_expected = await is_expected(self._buses[unit.bus], unit, probe)
        for row, function, address, count, device, point, field in self._text_specs:
            self._alive()
            unit = self._units[row]
            bus = self._buses[unit.bus]
            if unit.dead or unit.base < 0 or unit.base + address + count > _ADDRESSES:
                continue
            frame = bus.link.frame(unit.number, protocol.read(function, unit.base + address, count))
            reason, found = await bus.transact(unit, frame, unit.turnaround_ms, unit.timeout_ms)
            if reason == 0:
                buffer = bus.link.buffer
                text = str(registers.value(buffer, found, field)[0]) if field else registers.text(buffer, found, count)
                self.texts.append([device, point, text])

    def _bad(self, part, reason):
        quality_byte = pack(BAD, reason)
        for field in part.fields:
            self._offer(field[0], 0, quality_byte)

    # --- what is learned about the devices

    def _today(self):
        """Days since 2000, 0 while nobody knows."""
        return self._clock.now_ms() // _DAY_MS if self._clock.synced else 0

    def _keep_verdicts(self):
        from gateway.acquire.modbus.cuts import verdicts

        self._remember(verdicts(self.reads, _key))

    def recall(self, data):
        """Take back what remember() was given before the restart."""
        if data:
            from gateway.acquire.modbus.cuts import recall

            recall(self.reads, data, _key)


def _key(unit):
    return crc32(unit.name.encode())
