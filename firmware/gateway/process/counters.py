"""The counters of a site: what flash keeps of them, and exchanges of meters that somebody declares.

A counter is known by the CRC-32 of its name, so that a site with other points finds it again; those that a site does not have keep their
rows as long as there is room. Between two writes a total follows from the reading itself, so a power cut takes nothing but this: of a
counter that loses its count in the same cut, the consumption since the last write. An hour of that is accepted, and published as
uncertain, for flash that lives: a hundred counters are 20 values of 100 bytes an hour, which wear each block of the state ring
(gateway/journal/state.py) out after centuries; one a second would wear it out within months. Whatever makes the total another one than the
reading tells is written at once, a jump that waits to be confirmed within a minute.
"""

from binascii import crc32

from micropython import const

from gateway.core.exact import bounded, decimal
from gateway.process import counter_rows

_KEYS = range(16, 48)  # in the state ring
_PER_KEY = const(4)  # rows: 512 bytes, whatever they hold
_WAIT_S = (0, 3600, 60, 0)  # by urgency, see counter.MOVED
_AT_START_S = const(300)  # until the first write after a start: a board that starts again and again must get there too
_SERIAL = const(32)  # characters of a serial number


class _Key:
    """One value in the state ring: the rows of a few counters."""

    def __init__(self, key, rows):
        self.key = key
        self.strangers = rows  # [(CRC-32, row)] of counters that this site does not have
        self.entries = []
        self.written_s = _AT_START_S - _WAIT_S[1]
        self.unsaved = False


class _Entry:
    def __init__(self, counter, name_crc, exponent):
        self.counter = counter
        self.name_crc = name_crc
        self.exponent = exponent
        self.stamp = 0  # of the last declaration
        self.key = None  # None: there is no room to keep it


class Counters:
    """`state`: get(key) and put(key, bytes) -> survived, as of journal.state.State."""

    def __init__(self, state):
        self._state = state
        self._entries = []
        self._new = []  # entries that have no place on flash yet
        self._keys = []
        for key in _KEYS:
            rows = counter_rows.split(state.get(key) or b"")
            if rows:
                self._keys.append(_Key(key, rows))

    def adopt(self, counter, name, exponent):
        """Keep a counter, and give it what flash knows of it. To be called for each before its first reading."""
        entry = _Entry(counter, crc32(name.encode()), exponent)
        taken = entry.name_crc in [other.name_crc for other in self._entries]
        self._entries.append(entry)
        if taken:
            return  # two names with one checksum: the second lives in RAM only
        for key in self._keys:
            for row in key.strangers:
                if row[0] == entry.name_crc:
                    key.strangers.remove(row)
                    stamp = counter_rows.restore(counter, row[1], exponent)
                    entry.stamp = stamp or 0
                    self._place(key, entry)
                    return
        self._new.append(entry)

    def _find_places(self):
        """Only now, when all are known: the row that makes room must not be that of a counter of this site."""
        for entry in self._new:
            key = self._room()
            if key:
                self._place(key, entry)
        self._new = []

    def _place(self, key, entry):
        entry.key = key
        key.entries.append(entry)

    def _room(self):
        """A key that can take one more row; at last in the place of a stranger's. None when all are full."""
        for key in self._keys:
            if len(key.entries) + len(key.strangers) < _PER_KEY:
                return key
        used = [key.key for key in self._keys]
        for number in _KEYS:
            if number not in used:
                self._keys.append(_Key(number, []))
                return self._keys[-1]
        for key in self._keys:
            if key.strangers:
                key.strangers.pop(0)
                return key
        return None

    def tend(self, now_s):
        """Write to flash what is due. To be called in every slot, behind its readings."""
        if self._new:
            self._find_places()
        for key in self._keys:
            if key.entries:
                if now_s < key.written_s:
                    key.written_s = now_s
                urgency = 0
                for entry in key.entries:
                    if entry.counter.change > urgency:
                        urgency = entry.counter.change
                if urgency and now_s - key.written_s >= (60 if key.unsaved else _WAIT_S[urgency]):
                    self._keep(key, now_s)

    def flush(self, now_s):
        """Write everything that flash does not know, before a restart that is meant."""
        self._find_places()
        for key in self._keys:
            if [entry for entry in key.entries if entry.counter.change]:
                self._keep(key, now_s)

    def _keep(self, key, now_s):
        out = bytearray()
        for entry in key.entries:
            if entry.counter.heard:
                counter_rows.put(out, entry.name_crc, entry.exponent, entry.counter, entry.stamp)
        for _, row in key.strangers:
            out.extend(row)
        key.written_s = now_s
        key.unsaved = not self._state.put(key.key, bytes(out))
        if not key.unsaved:
            for entry in key.entries:
                entry.counter.change = 0

    # --- declared exchanges

    def declare(self, point, old_end, new_start, old_serial, new_serial, now_s):
        """A meter was exchanged: it ended at old_end, the new one began at new_start; mantissas of the point, serials as text or "".

        None when the total is right now; else a text that says why this cannot be, and nothing is changed. May come before the new
        meter is read for the first time, while its jump waits, or after that was confirmed. The same once more changes nothing.
        """
        entry = self._entry(point)
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
            refusal = self._late(entry, old_end, new_start)
            if refusal and self._now(entry, old_end, new_start, now_s) is None:
                refusal = None
        else:
            refusal = self._now(entry, old_end, new_start, now_s)
            if refusal and counter.jump and self._late(entry, old_end, new_start) is None:
                refusal = None
        if refusal:
            return refusal
        self._find_places()
        entry.stamp = stamp
        about = [("old_end", old_end), ("new_start", new_start), ("old_serial", old_serial), ("new_serial", new_serial)]
        counter.report("counter_exchange", point, about + [("total", counter.total - counter.debt)])
        if entry.key:
            self._keep(entry.key, now_s)
        return None

    def is_kept(self, point):
        """Flash knows the total of this counter."""
        entry = self._entry(point)
        return entry is not None and entry.key is not None and not entry.key.unsaved

    def _entry(self, point):
        for entry in self._entries:
            if entry.counter.point == point:
                return entry
        return None

    def _now(self, entry, old_end, new_start, now_s):
        """The new meter has not been believed yet: count up to the end of the old one, and on from the start of the new one."""
        counter = entry.counter
        seconds = max(0, now_s - counter.at)
        rest = counter.way(counter.reading, old_end, seconds)
        if rest is None:
            return _misfit(entry, "the old meter", counter.reading, old_end, seconds)
        if counter.row and counter.way(new_start, counter.doubted, seconds) is None:
            return _misfit(entry, "the new meter", new_start, counter.doubted, seconds)
        return self._put_right(counter, new_start, rest)

    def _late(self, entry, old_end, new_start):
        """The new meter is counted already: add what both of them counted unseen around the exchange."""
        counter, jump = entry.counter, entry.counter.jump
        rest = counter.way(jump.before, old_end, jump.gap_s)
        if rest is None:
            return _misfit(entry, "the old meter", jump.before, old_end, jump.gap_s)
        begun = counter.way(new_start, jump.first, jump.gap_s)
        if begun is None:
            return _misfit(entry, "the new meter", new_start, jump.first, jump.gap_s)
        return self._put_right(counter, counter.reading, rest + begun - jump.counted)

    def _put_right(self, counter, reading, more):
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
