"""A new application has to prove itself before the old one may be overwritten.

It has lived for a minute, and what worked when the update was made works again: the way to the broker, and something on the buses. What was
broken before is not its fault. Where it cannot, or does not live, the old one comes back by itself.
"""

import asyncio

from micropython import const

_BROKER = const(1)
_BUSES = const(2)
_LIVED_MS = const(60000)
_LIMIT_MS = const(600000)
_LOOK_MS = const(2000)


def working(rooms):
    """What works now, as bits."""
    bits = _BROKER if rooms.sender.online else 0
    heard = [not unit.dead and unit.took_us for unit in rooms.units]
    heard += [bus.reader.good for bus in rooms.buses if not hasattr(bus, "units")]
    return bits | (_BUSES if any(heard) else 0)


def missing(before, now):
    """In words for the event: what worked `before` and does not yet."""
    gone = before & ~now
    return " and ".join([word for bit, word in ((_BROKER, "no broker"), (_BUSES, "no device answers")) if gone & bit])


class Trial:
    """`slots`: of this start (slots.Slots)."""

    def __init__(self, rooms, slots):
        self._rooms = rooms
        self._slots = slots

    async def run(self, alive):
        clock = self._rooms.clock
        began = clock.uptime_ms()
        while True:
            alive()
            lived_ms = clock.uptime_ms() - began
            lacking = missing(self._slots.before, working(self._rooms))
            if lived_ms >= _LIVED_MS and not lacking:
                self._end(True, "")
                break
            if lived_ms >= _LIMIT_MS:
                self._end(False, lacking)
                self._rooms.health.restart()
            await asyncio.sleep_ms(_LOOK_MS)
        alive(False)
        while True:
            await asyncio.sleep_ms(3600000)

    def _end(self, proved, why):
        clock = self._rooms.clock
        started = clock.uptime_ms()
        if proved:
            self._slots.confirm()
        else:
            self._slots.reject()
        said = {"event": "updated" if proved else "update_rejected", "version": self._rooms.version}
        said["slot"] = self._slots.running
        if why:
            said["why"] = why
        self._rooms.note(said)
        self._rooms.stalled_since(started)
