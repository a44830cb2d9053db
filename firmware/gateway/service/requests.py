"""What the console can be asked. Each request gives a dict for tools; wording.py turns it into lines for people.

Loaded for each request, and let go afterwards.
"""

import sys
from binascii import hexlify

from gateway.core import exact, lend
from gateway.core.errors import SettingError
from gateway.core.quality import quality, reason_name
from gateway.core.record import EVENTS
from gateway.service import status

HELP = (
    ("help", "this list"),
    ("status", "is the gateway well: network, broker, time, buses, memory"),
    ("points", "every point with its last value and how good it is"),
    ("ledger", "where every sample went, stream by stream"),
    ("history", "history STREAM FROM TO (Unix seconds) or 90m, 6h, 2d: what the journal still has of it, sent or not"),
    ("buses", "every device on the buses: alive or silent, how fast, what went wrong"),
    ("trace", "the last frames of a bus; name it if there are several"),
    ("identify", "identify DEVICE: what a Modbus device says of itself"),
    (
        "exchange",
        "exchange POINT OLD_END NEW_START [OLD_SERIAL NEW_SERIAL]: this meter was exchanged; its last and first reading",
    ),
    ("selftest", "does everything in this cabinet work, now? a line for each thing"),
    ("slots", "which application runs, and whether it is on trial"),
    (
        "switch",
        "start with the application in the other slot, on trial: if it does not prove itself, this one comes back",
    ),
    ("crash", "what went wrong before the last restart that was not meant"),
    ("restart", "start again, on purpose: nothing is lost; ends safe mode"),
    ("repl", "stop for MicroPython's prompt: Ctrl-C works for a minute; ends with a reset"),
    ("calibrate", "calibrate POINT VALUE: the probe stands in this now; twice for a line; VALUE forget: as delivered"),
)
_QUALITY = ("good", "uncertain", "bad")


def _counted(errors):
    """[[reason, how often], ...]"""
    return [[reason_name(reason), count] for reason, count in enumerate(errors) if count]


def _hex(data):
    return hexlify(data, " ").decode()


class Requests:
    """Looks into the rooms, never in the way. `rooms` is the composition root's object."""

    def __init__(self, rooms):
        self._rooms = rooms

    def answer(self, name, of=None, value=None):
        """The dict for a request about the thing that is named, or a coroutine that gives it; None for an unknown one."""
        if name in ("help", "status", "points", "ledger", "buses", "crash", "restart", "repl"):
            return getattr(self, name)()
        if name == "trace":
            return self.trace(of)
        if name == "identify":
            return self.identify(of)
        if name == "selftest":
            try:
                from gateway.service import selftest
            finally:  # also when there was no memory for all of it
                lend.drop("service.selftest", "service.selftest_field")
                sys.modules.pop("slots", None)
            return selftest.selftest(self._rooms)
        if name in ("slots", "put", "switch"):
            return self._update(name, of, value)
        if name == "history" and of:
            from gateway.service.history import history

            return history(self._rooms, of, str(value or "").split())
        if name == "exchange":
            from gateway.service import exchange

            return exchange.declare(self._rooms, ([of] if of else []) + str(value or "").split())
        return self.calibrate(of, value) if name == "calibrate" and of and value else None

    def _update(self, name, of, value):
        try:
            from gateway.service import update

            if name == "put":
                return update.put(self._rooms, of, value)
            if name == "switch":
                return update.switch(self._rooms)
            return update.members(self._rooms) if of == "members" else update.slots(self._rooms)
        finally:
            lend.drop("service.update")
            sys.modules.pop("slots", None)

    def help(self):
        return {"requests": [{"name": name, "about": about} for name, about in HELP]}

    def status(self):
        return status.status(self._rooms)

    def crash(self):
        """The record of the last crash, {} without any."""
        return dict(self._rooms.health.last_crash() or {})

    def restart(self):
        return {"restarting_in_s": self._rooms.health.restart_soon()}

    def repl(self):
        """How to get in and out of the prompt; who does not come leaves the gateway as it is."""
        from gateway.service import prompt

        answer = prompt.offer(self._rooms)
        lend.drop("service.prompt")
        return answer

    def buses(self):
        rows = []
        for bus in self._rooms.buses:
            for unit in getattr(bus, "units", ()):
                row = {
                    "bus": bus.name,
                    "unit": unit.number,
                    "device": unit.name,
                    "alive": not unit.dead,
                    "expected": unit.is_expected is not False,
                    "requests": unit.requests,
                    "response_us": unit.took_us,
                    "errors": _counted(unit.errors),
                    "exception": unit.exception,
                }
                rows.append(row)
        learned = [
            [read.unit.name, read.function, address] for read in self._rooms.poller.reads for address, _ in read.cuts
        ]
        listening = [
            {"bus": bus.name, "good": bus.reader.good, "errors": _counted(bus.errors)}
            for bus in self._rooms.buses
            if not hasattr(bus, "units")
        ]
        return {"units": rows, "listening": listening, "learned": learned, "texts": self._rooms.poller.texts}

    def trace(self, name):
        for bus in self._rooms.buses:
            if hasattr(bus, "trace") and (name is None or name == bus.name):
                frames = []
                for now_ms, unit, request, took_us, reason, exception, length, reply in bus.trace.rows():
                    verdict = reason_name(reason) if reason else "ok"
                    if exception:
                        verdict += " {}".format(exception)
                    frames.append([now_ms, unit, _hex(request), took_us, verdict, length, _hex(reply)])
                return {"bus": bus.name, "frames": frames}
        return None

    def identify(self, name):
        for unit in self._rooms.units:
            if unit.name == name:
                return self._identify(unit)
        return None

    async def _identify(self, unit):
        return {"device": unit.name, "says": await self._rooms.identify(unit)}

    def calibrate(self, name, value):
        """A probe stands in something known: `value` in the point's unit, or "forget"."""
        for point, exponent, *_ in self._rooms.site["points"]:
            if point == name:
                mantissa = None if value == "forget" else exact.parse(str(value), exponent)
                if mantissa is None and value != "forget":
                    return {"calibrated": name, "result": "not a number: " + str(value)}
                try:
                    kept = self._rooms.calibrate(name, mantissa)
                except SettingError as error:
                    return {"calibrated": name, "result": "refused: " + reason_name(error.reason)}
                if kept is None:
                    return {"calibrated": name, "result": "not an analog input"}
                return {"calibrated": name, "result": "kept" if kept else "in force, but flash did not take it"}
        return None

    def points(self):
        return {"points": self._points()}

    def _points(self):
        rooms = self._rooms
        for index, point in enumerate(rooms.site["points"]):
            row = {"point": point[0]}
            latest = rooms.pipeline.latest(index)
            if latest is None:
                row["quality"] = "private" if rooms.pipeline.hidden(index) else "none yet"
            else:
                row["quality"] = _QUALITY[quality(latest[1])]
                if quality(latest[1]):
                    row["reason"] = reason_name(latest[1])
                if quality(latest[1]) < 2:
                    row["value"] = exact.decimal(latest[0], point[1])
            yield row

    def ledger(self):
        answer = status.totals(self._rooms)
        answer["streams"] = self._streams()
        return answer

    def _streams(self):
        rooms = self._rooms
        names = {stream[0]: stream[1] for stream in rooms.site["streams"]}
        names[EVENTS] = "(events)"
        for stream_id, produced, acknowledged, dropped, quarantined, queued in rooms.ledger.rows():
            if stream_id in names or produced:
                yield [names.get(stream_id, "(other)"), produced, acknowledged, queued, dropped, quarantined]
