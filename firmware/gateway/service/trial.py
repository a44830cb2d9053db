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
            if lived_ms >= _LIVED_MS and not lacking and self._confirmed():
                self._tell("updated", "")
                break
            if lived_ms >= _LIMIT_MS:
                self._slots.reject()
                self._tell("update_rejected", lacking or "flash does not take that it works")
                self._rooms.health.restart()
            await asyncio.sleep_ms(_LOOK_MS)
        alive(False)
        while True:
            await asyncio.sleep_ms(3600000)

    def _confirmed(self):
        """It counts once NVS has it: else the next starts would be tries again, and then the old one's. An old slots.py says None."""
        started = self._rooms.clock.uptime_ms()
        kept = self._slots.confirm() is not False
        self._rooms.stalled_since(started)
        return kept

    def _tell(self, event, why):
        said = {"event": event, "version": self._rooms.version, "slot": self._slots.running}
        if why:
            said["why"] = why
        self._rooms.note(said)
