"""What the console can be asked. Each request gives a dict for tools; `text` turns it into lines for people."""

import gc

from gateway.core.quality import quality, reason_name

HELP = (
    ("help", "this list"),
    ("status", "is the gateway well: network, broker, time, buses, memory"),
    ("points", "every point with its last value and how good it is"),
    ("ledger", "where every sample went, stream by stream"),
)
_QUALITY = ("good", "uncertain", "bad")


def decimal(mantissa, exponent):
    """A mantissa as people write it: (23014, -2) is "230.14"."""
    if exponent >= 0:
        return str(mantissa * 10**exponent)
    sign = "-" if mantissa < 0 else ""
    whole, part = divmod(abs(mantissa), 10**-exponent)
    digits = str(part)
    return sign + str(whole) + "." + "0" * (-exponent - len(digits)) + digits


class Requests:
    """Looks into the rooms, never in the way. `rooms` is the composition root's object."""

    def __init__(self, rooms):
        self._rooms = rooms

    def answer(self, name):
        """The dict for a request; None for an unknown one."""
        if name in ("help", "status", "points", "ledger"):
            return getattr(self, name)()
        return None

    def help(self):
        return {"requests": [{"name": name, "about": about} for name, about in HELP]}

    def status(self):
        rooms = self._rooms
        clock, sender = rooms.clock, rooms.sender
        return {
            "gateway": rooms.site["gateway"],
            "version": rooms.version,
            "config": rooms.site["config"],
            "epoch": rooms.epoch,
            "uptime_s": clock.uptime_ms() // 1000,
            "network": "up" if rooms.link.is_up() else "down",
            "broker": "online" if sender.online else "offline",
            "broker_error": sender.last_error,
            "time": clock.source,
            "unix_s": clock.now_ms() // 1000 + 946684800 if clock.synced else 0,
            "rounds": rooms.poller.rounds,
            "missed_slots": rooms.poller.missed,
            "buses": [{"bus": bus.name, "requests": bus.requests, "errors": sum(bus.errors)} for bus in rooms.buses],
            "heap_free": gc.mem_free(),
        }

    def points(self):
        rooms = self._rooms
        rows = []
        for index, point in enumerate(rooms.site["points"]):
            row = {"point": point[0]}
            latest = rooms.pipeline.latest(index)
            if latest is None:
                row["quality"] = "none yet"
            else:
                row["quality"] = _QUALITY[quality(latest[1])]
                if quality(latest[1]):
                    row["reason"] = reason_name(latest[1])
                if quality(latest[1]) < 2:
                    row["value"] = decimal(latest[0], point[1])
            rows.append(row)
        return {"points": rows}

    def ledger(self):
        rooms = self._rooms
        names = {stream[0]: stream[1] for stream in rooms.site["streams"]}
        rows = []
        for stream_id, produced, acknowledged, dropped, quarantined, queued in rooms.ledger.rows():
            if stream_id in names or produced:
                rows.append([names.get(stream_id, "(other)"), produced, acknowledged, queued, dropped, quarantined])
        totals = rooms.ledger.totals()
        return {
            "produced": totals[0],
            "acknowledged": totals[1],
            "queued": totals[4],
            "dropped": totals[2],
            "quarantined": totals[3],
            "balanced": rooms.ledger.balanced(),
            "streams": rows,
        }


def text(name, answer):
    """Yield the lines that a person gets."""
    if name == "help":
        for row in answer["requests"]:
            yield "  {:8} {}".format(row["name"], row["about"])
    elif name == "status":
        yield "{gateway}  version {version}  config {config}  epoch {epoch}".format(**answer)
        yield "  up {} s, {} rounds, {} missed".format(answer["uptime_s"], answer["rounds"], answer["missed_slots"])
        yield "  network {network}, broker {broker} {broker_error}".format(**answer)
        yield "  time from {}".format(answer["time"]) + (
            ", unix {}".format(answer["unix_s"]) if answer["unix_s"] else ", not set"
        )
        for bus in answer["buses"]:
            yield "  bus {bus}: {requests} requests, {errors} errors".format(**bus)
        yield "  heap free {}".format(answer["heap_free"])
    elif name == "points":
        for row in answer["points"]:
            yield "  {:32} {:>16}  {}".format(row["point"], row.get("value", "-"), row.get("reason", row["quality"]))
    elif name == "ledger":
        head = "  {:32} {:>9} {:>9} {:>7} {:>7} {:>7}"
        yield head.format("stream", "produced", "acked", "queued", "dropped", "quarant")
        for row in answer["streams"]:
            yield head.format(*row)
        yield head.format("all", *[answer[k] for k in ("produced", "acknowledged", "queued", "dropped", "quarantined")])
        yield "  balanced" if answer["balanced"] else "  NOT BALANCED: report this"
