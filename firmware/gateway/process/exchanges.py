"""Declared exchanges of meters: the total is set right, whenever the declaration comes. Loaded for each, see Counters.declare."""

from binascii import crc32

from micropython import const

from gateway.core.exact import bounded, decimal

_SERIAL = const(32)  # characters of a serial number


def declare(counters, point, old_end, new_start, old_serial, new_serial, now_s):
    """As Counters.declare tells."""
    entry = counters.entry(point)
    if entry is None:
        return "it is not a counter"
    if not entry.counter.heard:
        return "it has not been read yet"
    if bounded(old_end) is None or bounded(new_start) is None or new_start < 0:
        return "a reading must be a number from 0 on"
    if entry.counter.modulus and max(old_end, new_start) > entry.counter.modulus:
        return "this counter begins again at 0 at " + decimal(entry.counter.modulus, entry.exponent)
    if max(len(old_serial), len(new_serial)) > _SERIAL:
        return "a serial number has at most {} characters".format(_SERIAL)
    stamp = _stamp(old_end, new_start, old_serial, new_serial)
    if stamp == entry.stamp:
        return None
    counter = entry.counter
    if counter.jump and not counter.row:
        refusal = _late(entry, old_end, new_start)
        if refusal and _now(entry, old_end, new_start, now_s) is None:
            refusal = None
    else:
        refusal = _now(entry, old_end, new_start, now_s)
        if refusal and counter.jump and _late(entry, old_end, new_start) is None:
            refusal = None
    if refusal:
        return refusal
    counters.find_places()
    entry.stamp = stamp
    about = [("old_end", old_end), ("new_start", new_start), ("old_serial", old_serial), ("new_serial", new_serial)]
    counter.report("counter_exchange", point, about + [("total", counter.total - counter.debt)])
    if entry.key:
        counters.keep(entry.key, now_s)
    return None


def _now(entry, old_end, new_start, now_s):
    """The new meter has not been believed yet: count up to the end of the old one, and on from the start of the new one."""
    counter = entry.counter
    seconds = max(0, now_s - counter.at)
    rest = counter.way(counter.reading, old_end, seconds)
    if rest is None:
        return _misfit(entry, "the old meter", counter.reading, old_end, seconds)
    if counter.row and counter.way(new_start, counter.doubted, seconds) is None:
        return _misfit(entry, "the new meter", new_start, counter.doubted, seconds)
    return _put_right(counter, new_start, rest)


def _late(entry, old_end, new_start):
    """The new meter is counted already: add what both of them counted unseen around the exchange."""
    counter, jump = entry.counter, entry.counter.jump
    rest = counter.way(jump.before, old_end, jump.gap_s)
    if rest is None:
        return _misfit(entry, "the old meter", jump.before, old_end, jump.gap_s)
    begun = counter.way(new_start, jump.first, jump.gap_s)
    if begun is None:
        return _misfit(entry, "the new meter", new_start, jump.first, jump.gap_s)
    return _put_right(counter, counter.reading, rest + begun - jump.counted)


def _put_right(counter, reading, more):
    """The total grows by that; where it has to shrink it waits instead."""
    more -= counter.debt
    total = bounded(counter.total + max(0, more))
    if total is None:
        return "the total would be too large"
    counter.declared(reading, total, max(0, -more))
    return None


def _misfit(entry, meter, earlier, later, seconds):
    """Why one reading of a meter cannot follow another."""
    was, to = decimal(earlier, entry.exponent), decimal(later, entry.exponent)
    if later < earlier:
        return "{} cannot go from {} back to {}".format(meter, was, to)
    most = decimal(entry.counter.most(earlier, seconds), entry.exponent)
    return "{} cannot have gone from {} to {}: in that time it counts {} at most".format(meter, was, to, most)


def _stamp(old_end, new_start, old_serial, new_serial):
    """A number of 32 bits, not 0, by which the same declaration is known again."""
    text = "{}\n{}\n{}\n{}".format(old_end, new_start, old_serial, new_serial)
    return crc32(text.encode()) or 1
