"""Is the gateway well? What the console tells at once, and `diag` publishes. `rooms` is the composition root's object."""

import gc

_UNIX_2000 = 946684800


def status(rooms):
    """Network, broker, time, buses, memory."""
    clock, sender = rooms.clock, rooms.sender
    gc.collect()  # how much garbage there is depends on the values that were read: nobody's business
    said = {
        "gateway": rooms.site["gateway"],
        "version": rooms.version,
        "config": rooms.site["config"],
        "epoch": rooms.epoch,
        "uptime_s": clock.uptime_ms() // 1000,
        "network": "up" if rooms.link.is_up() else "down",
        "broker": "online" if sender.online else "offline",
        "broker_error": sender.last_error,
        "time": clock.source,
        "unix_s": clock.now_ms() // 1000 + _UNIX_2000 if clock.synced else 0,
        "rounds": rooms.poller.rounds,
        "missed_slots": rooms.poller.missed,
        "buses": [{"bus": bus.name, "requests": bus.requests, "errors": sum(bus.errors)} for bus in rooms.buses],
        "heap_free": gc.mem_free(),
    }
    said.update(rooms.health.status())
    return said


def totals(rooms):
    """The ledger over all streams, the events left out."""
    produced, acknowledged, dropped, quarantined, queued = rooms.ledger.totals()
    return {
        "produced": produced,
        "acknowledged": acknowledged,
        "queued": queued,
        "dropped": dropped,
        "quarantined": quarantined,
        "balanced": rooms.ledger.balanced(),
    }


def diagnosis(rooms):
    """What `diag` publishes: all that, where the samples went, and how flash, connection and clock are."""
    said = status(rooms)
    said["ledger"] = totals(rooms)
    said["ledger"]["lost_max"] = rooms.lost_max
    said["flash"] = rooms.wear()
    said["uplink"] = rooms.outlet.about()
    said["clock"] = {"uncertainty_ms": rooms.clock.uncertainty_ms, "steps": rooms.clock.steps}
    said["rssi"] = rooms.link.rssi()
    said["damaged_records"] = rooms.journal.damaged
    said["degraded"] = rooms.journal.degraded
    said["state_failures"] = rooms.state.failures
    said["pulse_suspicions"] = rooms.pulses.suspicions() if rooms.pulses else 0
    return said
