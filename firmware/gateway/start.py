"""From a compiled site to a running gateway, and what becomes of one that does not get so far."""

import asyncio
import gc

import gateway
from gateway.core import lend
from gateway.core.errors import SettingError
from gateway.service.health import Health

_SITE = "site.bin"
_SAFELY_WITHOUT = ("derived", "probes", "texts")
# Importing makes MicroPython's table of names grow, by doubling: several KB in one piece, which a heap that is full of small lists does
# not have any more. So all of it comes before the tables of the site, which says itself what it needs
# (host_tools/satama/compiling/firmware_modules.py).
AT_START_ONLY = ("core.site", "aliases", "wiring", "journal.recovery", "process.filters")
# At a connect, once an hour.
NOW_AND_THEN = ("uplink.hello", "uplink.mqtt.connect", "uplink.network.dns", "uplink.clock.sntp", "uplink.clock.judge")


def main(chosen):
    """Run the cabinet that the chosen slot describes: `chosen` is a list of one slots.Slots, and empty afterwards. Returns only when its site cannot be used (the reason is on
    the console), or, True then, for somebody who wants the prompt."""
    health = Health(chosen[0].undone)
    path = chosen[0].archive.path
    try:
        rooms = _rooms(chosen.pop(), health)
        gc.threshold(max(16384, gc.mem_free() // 4))  # or what stays would come to lie all over the heap
        loop = asyncio.get_event_loop()
        loop.set_exception_handler(lambda loop, context: health.crashed("?", context["exception"]))
        gc.collect()
        print("satama", gateway.VERSION, rooms.site["gateway"], "epoch", rooms.epoch)
        if health.boots.safe:
            print("satama: safe mode after", health.boots.failures, "starts that failed")
        asyncio.run(rooms.run())
    except _Unusable as error:
        health.excuse()
        print("satama: no usable site in", path, error.args[0], "- build and deploy it again")
    except KeyboardInterrupt:
        from gateway.service import prompt

        prompt.stopped(health)
        return True
    except Exception as error:
        health.crashed("start", error)


def _rooms(slots, health):
    """The gateway, built; what built it is let go."""
    from gateway import app
    from gateway.core import site as site_file

    lend.import_all(NOW_AND_THEN + AT_START_ONLY)
    lend.import_all(_read(slots.archive, site_file.head)["modules"].split(","))
    lend.drop(*NOW_AND_THEN)
    site = _read(slots.archive, site_file.load)
    if health.boots.safe:
        for name in _SAFELY_WITHOUT:
            site[name] = []
    rooms = app.Gateway(site, health, slots.archive, None if slots.calm else slots)
    lend.drop("core.pseudonym", *AT_START_ONLY)
    return rooms


class _Unusable(Exception):
    """The site file; why."""


def _read(archive, how):
    try:
        start, size = archive.find(_SITE) or (0, 0)
        return how(open(archive.path, "rb"), start, size)  # the site's tables are looked up in the open file
    except (OSError, SettingError, ValueError) as error:
        raise _Unusable(repr(error))
