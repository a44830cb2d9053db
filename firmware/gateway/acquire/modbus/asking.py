"""Does every Modbus device answer now? For a self-test, without getting in the way of the rounds.

Who has answered a round just now is not asked again. The others are, one question each, in a pause of their bus; a full bus has none, so
after a while they take turns. A silent device is asked only when the bus can afford it, the one that has waited longest first.
"""

import asyncio

from micropython import const

from gateway.acquire.modbus import protocol
from gateway.core.quality import BUS_DOWN

_MOST_MS = const(6000)  # after that nobody is asked any more
_QUIET_MS = const(1500)  # so long for a pause
_STEP_MS = const(20)
_FRESH_MS = const(5000)


async def ask_devices(units, buses, reads, clock):
    """{name: (0 or the reason why not, number of an exception)} of the devices of which that is known. `reads`: those of the poller."""
    heard, down = {}, []
    until = clock.uptime_ms() + _MOST_MS
    fresh = [_just_heard(bus, clock.uptime_ms()) if hasattr(bus, "trace") else () for bus in buses]
    silent = sorted([(unit.probe_at_ms, at) for at, unit in enumerate(units) if unit.dead])
    for unit in [unit for unit in units if not unit.dead] + [units[at] for _, at in silent]:
        bus, read = buses[unit.bus], _read_of(unit, reads)
        if unit.number in fresh[unit.bus]:
            heard[unit.name] = (0, 0)
            continue
        if unit.bus in down:
            heard[unit.name] = (BUS_DOWN, 0)
            continue
        if not read or unit.dead and not bus.affords():
            continue
        quiet = min(until, clock.uptime_ms() + _QUIET_MS)
        while bus.is_busy() and clock.uptime_ms() < quiet:
            await asyncio.sleep_ms(_STEP_MS)
        if clock.uptime_ms() >= until:
            break
        part = read.parts[0]
        frame = bus.link.frame(unit.number, protocol.read(read.function, unit.base + part.address, part.count))
        reason, found = await bus.ask(unit, frame, read.turnaround_ms, read.timeout_ms)
        heard[unit.name] = (reason, found if reason else 0)
        if reason == BUS_DOWN:
            down.append(unit.bus)
    return heard


def _just_heard(bus, now_ms):
    """Numbers of the units whose last frame was a good answer, a moment ago."""
    found = []
    for at_ms, number, _, _, reason, _, _, _ in bus.trace.rows():
        if number in found:
            found.remove(number)
        if not reason and (now_ms - at_ms) & 0xFFFFFFFF < _FRESH_MS:
            found.append(number)
    return found


def _read_of(unit, reads):
    """A read of the device; None without one, or before its map was found."""
    for read in reads:
        if read.unit is unit and unit.base >= 0:
            return read
    return None
