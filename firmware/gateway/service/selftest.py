"""The console's `selftest`: does all that this cabinet is made of work, now? One row for each thing, for a checklist.

A row: {"check", "of", "ok", "said"} and figures. `ok`: true, false, or null where nobody can tell; with "waits": true it will be known in
a while. `said` is a short word of the gateway; what to do about it says the host (satama.commissioning.checklist). `passed`: nothing is
wrong, and nothing is waited for.
"""

import gc
import sys
from binascii import hexlify

import machine
from micropython import const
from slots import Slots

from gateway.service import status
from gateway.service.selftest_field import field, row, waits

_LEAST_ROOM = const(10)  # percent of the journal
_LEAST_HEAP = const(8192)


async def selftest(rooms):
    """The answer. `checks` are made as they are said, and `passed`, which comes after them, is known then."""
    heard = await rooms.ask_devices() if rooms.poller.rounds else {}
    answer = {
        "gateway": rooms.site["gateway"],
        "version": rooms.version,
        "config": rooms.site["config"],
        "board": rooms.site["board"],
        "mac": hexlify(machine.unique_id()).decode(),
        "vm": sys.version.split("; ")[-1],
        "epoch": rooms.epoch,
        "uptime_s": rooms.clock.uptime_ms() // 1000,
        "passed": False,
    }
    answer["checks"] = _judged(_checks(rooms, heard), answer)
    return answer


def _judged(rows, answer):
    passed = True
    for found in rows:
        passed = passed and found["ok"] is not False and not found.get("waits")
        yield found
    answer["passed"] = passed


# --- the rows


def _checks(rooms, heard):
    """All rows, in the order in which a person would look."""
    yield _start(rooms)
    yield _application(rooms)
    yield _memory(rooms)
    yield _journal(rooms)
    for found in field(rooms, heard):
        yield found
    yield _network(rooms)
    yield _address(rooms)
    yield _time(rooms)
    yield _broker(rooms)


def _start(rooms):
    health = rooms.health
    about = health.status()
    crash = health.last_crash()
    ok, said = True, "full"
    if health.boots.safe:
        ok, said = False, "safe mode"
    elif health.boots.failures and crash and crash.get("of_epoch", rooms.epoch - 1) == rooms.epoch - 1:
        ok, said = False, "crashed"
    return row("start", "", ok, said, crash=about["crash"], failures=about["failures"], cause=about["reset_cause"])


def _application(rooms):
    slots = Slots(rooms.archive)
    if slots.on_trial:
        return waits("application", "", "on trial", slot=slots.running)
    return row("application", "", True, "runs", slot=slots.running, version=rooms.version)


def _memory(rooms):
    gc.collect()
    free, shortages = gc.mem_free(), rooms.health.shortages
    said = "ran out" if shortages else "low" if free < _LEAST_HEAP else "enough"
    return row("memory", "", said == "enough", said, free=free, shortages=shortages)


def _journal(rooms):
    journal, totals = rooms.journal, status.totals(rooms)
    used = sum(1 for waiting in journal.pool.waiting if waiting)  # no list: it would be as long as the partition
    room = 100 - 100 * used // max(1, len(journal.pool.waiting))
    if journal.degraded or rooms.state.unsaved:
        said = "flash fails"
    elif not totals["balanced"]:
        said = "not balanced"
    else:
        said = "nearly full" if room < _LEAST_ROOM else "takes"
    return row(
        "journal",
        "",
        said == "takes",
        said,
        room_percent=room,
        queued=totals["queued"],
        dropped=totals["dropped"],
        worn_blocks=journal.pool.worn,
    )


def _network(rooms):
    link, kind = rooms.link, rooms.site["network"]["kind"]
    if link.is_up():
        return row("network", kind, True, "up", rssi=link.rssi())
    if not rooms.outlet.supervisor.state.failures:
        return waits("network", kind, "connecting")
    return row("network", kind, False, link.reason)


def _address(rooms):
    link = rooms.link
    if not link.is_up():
        return waits("address", "", "no network")
    servers = link.dns_servers()
    address = link.address()
    return row("address", "", True, address, name_server=servers[0] if servers else "")


def _time(rooms):
    clock, time = rooms.clock, rooms.outlet.time
    said = {"source": clock.source, "uncertainty_ms": clock.uncertainty_ms}
    if not time.votes.configured:
        return row("time", "", None, "no time server", **said)
    if clock.source == "ntp" and time.votes.story is None:
        return row("time", "", True, "set", **said)
    if not rooms.link.is_up():
        return waits("time", "", "no network", **said)
    if not time.has_asked:
        return waits("time", "", "asking", **said)
    refused = time.votes.refused or time.votes.story is not None
    return row("time", "", False, "not believed" if refused else "no answer", **said)


def _broker(rooms):
    sender, about = rooms.sender, rooms.outlet.supervisor.about()
    host = about["broker"]
    if sender.online and sender.published:
        age = rooms.clock.uptime_ms() - sender.confirmed_ms
        return row("broker", host, True, "confirms", confirmed=sender.published, age_ms=age)
    if sender.online:
        return waits("broker", host, "nothing confirmed yet")
    if not rooms.link.is_up():
        return waits("broker", host, "no network")
    if not about["failures"]:
        return waits("broker", host, "connecting")
    return row("broker", host, False, sender.last_error or about["reason"] or "connecting", stage=about["state"])
