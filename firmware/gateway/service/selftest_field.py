"""The rows of the self-test about what is wired to the cabinet: devices, buses, inputs, and what their values say. See selftest.py."""

from micropython import const

from gateway.core.quality import (
    BAD, BUS_DOWN, CRC, EXCEPTION, INCOMPLETE, NO_DATA, PARTIAL, SHORT, STALE, TIMEOUT, WRONG_UNIT, quality, reason_name,
)  # fmt: skip

_DAMAGED = (CRC, SHORT, WRONG_UNIT)
_NOISE = const(3)  # damaged answers among the last frames of a bus
_RECENT_MS = const(120000)
_ELSEWHERE = _DAMAGED + (TIMEOUT, BUS_DOWN, STALE, PARTIAL, NO_DATA, INCOMPLETE)  # another row is about the cause
_SILENT = ("timeout", "bus_down")
_RAIL = const(65520)  # of read_u16: the converter's last step


def row(check, of, ok, said, **figures):
    made = {"check": check, "of": of, "ok": ok, "said": said}
    made.update(figures)
    return made


def waits(check, of, said, **figures):
    return row(check, of, None, said, waits=True, **figures)


def field(rooms, heard):
    """The rows; `heard`: as of acquire.modbus.asking."""
    red = []  # devices of which a row says what is wrong
    for bus in rooms.buses:
        if hasattr(bus, "units"):
            silent = 0
            for unit in bus.units:
                found = _device(rooms, bus, unit, heard)
                silent += found["said"] in _SILENT
                if found["ok"] is not True:
                    red.append(unit.name)
                yield found
            yield _bus(rooms, bus, silent)
        else:
            yield _listener(bus)
    for source in rooms.analog:
        found = _analog(rooms, source)
        if found["ok"] is False:
            red.append(found["of"])
        yield found
    if rooms.pulses:
        for one in rooms.pulses.inputs:
            yield _pulse(rooms, one)
    for found in _values(rooms, red):
        yield found


def _device(rooms, bus, unit, heard):
    reason, number = heard.get(unit.name, (None, 0))
    asked = reason is not None
    ok, said = True, "answers"
    if not rooms.poller.rounds:
        return waits("device", unit.name, "first round", bus=bus.name, unit=unit.number)
    if unit.dead or reason:
        ok, said = False, reason_name(reason or _last_reason(bus, unit))
        if reason == EXCEPTION:
            said += " {}".format(number)
    elif unit.base < 0:
        ok, said = False, "no sunspec map"
    elif unit.is_expected is False:
        ok, said = False, "another device"
    elif not unit.known:  # it has no points that are read, or was not asked yet
        ok, said = None, "not asked"
    return row(
        "device", unit.name, ok, said, bus=bus.name, unit=unit.number, asked=asked, ms=(unit.took_us + 500) // 1000
    )


def _last_reason(bus, unit):
    """Why it is believed to be silent."""
    last = TIMEOUT
    for _, number, _, _, reason, _, _, _ in bus.trace.rows():
        if number == unit.number and reason:
            last = reason
    return last


def _bus(rooms, bus, silent):
    """The line as a whole: what all of its devices have in common."""
    now = rooms.clock.uptime_ms()
    damaged = frames = 0
    for at_ms, _, _, _, reason, _, _, _ in bus.trace.rows():
        if (now - at_ms) & 0xFFFFFFFF < _RECENT_MS:
            frames += 1
            damaged += reason in _DAMAGED
    figures = {"requests": bus.requests, "errors": _counted(bus.errors), "frames": frames, "damaged": damaged}
    figures["devices"], figures["silent"] = len(bus.units), silent
    if not rooms.poller.rounds:
        return waits("bus", bus.name, "first round", **figures)
    if not bus.units:
        return row("bus", bus.name, None, "no devices", **figures)
    said = "silent" if silent == len(bus.units) else "noise" if damaged >= _NOISE else "clean"
    return row("bus", bus.name, said == "clean", said, **figures)


def _counted(errors):
    """{reason: how often}"""
    return {reason_name(reason): count for reason, count in enumerate(errors) if count}


def _listener(bus):
    why = bus.trouble()
    return row("listen", bus.name, not why, reason_name(why) if why else "hears", good=bus.reader.good)


def _analog(rooms, source):
    name = rooms.site["points"][source.point][0]
    uv, quality_byte = source.measure()
    latest = rooms.pipeline.latest(source.point)
    if quality_byte:
        said = reason_name(quality_byte)
    elif source.raw() >= _RAIL:
        said = "at the rail"
    elif latest and quality(latest[1]) == BAD:
        said = reason_name(latest[1])
    else:
        said = "plausible"
    figures = {} if rooms.pipeline.hidden(source.point) else {"uv": uv}
    return row("adc", name, said == "plausible", said, **figures)


def _pulse(rooms, one):
    name = rooms.site["points"][one.point][0]
    one.take()
    figures = {} if rooms.pipeline.hidden(one.point) else {"pulses": one.taken}
    if one.total.suspicions > 1:  # every start is one
        return row("pulse", name, False, "may be lost", suspicions=one.total.suspicions, **figures)
    return row("pulse", name, True if one.taken else None, "counts" if one.taken else "none yet", **figures)


def _values(rooms, red):
    """A row for each point whose value is wrong though its device answers; one for all of them if there is none."""
    if not rooms.poller.rounds:
        yield waits("values", "", "first round")
        return
    good = wrong = 0
    for index, point in enumerate(rooms.site["points"]):
        latest = rooms.pipeline.latest(index)
        name = point[0]
        if latest is None or name in red or name.partition("/")[0] in red:
            continue
        if quality(latest[1]) < BAD:
            good += 1
        elif latest[1] & 63 not in _ELSEWHERE:
            wrong += 1
            yield row("value", name, False, reason_name(latest[1]))
    if not wrong:
        yield row("values", "", True if good else None, "good" if good else "none", points=good)
