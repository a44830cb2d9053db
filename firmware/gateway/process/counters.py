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

from gateway.process import counter_rows

_KEYS = range(16, 48)  # in the state ring
_PER_KEY = const(4)  # rows: 512 bytes, whatever they hold
_WAIT_S = (0, 3600, 60, 0)  # by urgency, see counter.MOVED
_AT_START_S = const(300)  # until the first write after a start: a board that starts again and again must get there too


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

    def find_places(self):
        """For counters that are new. Only now, when all are known: the row that makes room must not be that of a counter of this site."""
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
            self.find_places()
        for key in self._keys:
            if key.entries:
                if now_s < key.written_s:
                    key.written_s = now_s
                urgency = 0
                for entry in key.entries:
                    if entry.counter.change > urgency:
                        urgency = entry.counter.change
                if urgency and now_s - key.written_s >= (60 if key.unsaved else _WAIT_S[urgency]):
                    self.keep(key, now_s)

    def flush(self, now_s):
        """Write everything that flash does not know, before a restart that is meant."""
        self.find_places()
        for key in self._keys:
            if [entry for entry in key.entries if entry.counter.change]:
                self.keep(key, now_s)

    def keep(self, key, now_s):
        """Write the rows of one key."""
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
        from gateway.process import exchanges  # somebody comes with a new meter once in years

        return exchanges.declare(self, point, old_end, new_start, old_serial, new_serial, now_s)

    def is_kept(self, point):
        """Flash knows the total of this counter."""
        entry = self.entry(point)
        return entry is not None and entry.key is not None and not entry.key.unsaved

    def entry(self, point):
        """None for a point that is no counter."""
        for entry in self._entries:
            if entry.counter.point == point:
                return entry
        return None
