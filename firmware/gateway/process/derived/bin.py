"""How full a bin is, from the distance that a sensor above it measures to what lies in it.

Outputs: fill in percent of what is full; what an hour adds to it, over the time given; minutes until it is full (an
estimate, and said to be one); how often it was emptied.
"""

from array import array
from struct import pack as pack_bytes
from struct import unpack

from micropython import const

from gateway.core.quality import (
    BAD,
    ESTIMATED,
    INVALID,
    NEAR_ECHO,
    NO_ECHO,
    OUT_OF_RANGE,
    OVER_RANGE,
    UNCERTAIN,
    pack,
)
from gateway.core.errors import require
from gateway.process.derived import MISSING, NOT_YET, Derivation, rounded
from gateway.process.derived.anchors import Anchors
from gateway.process.derived.curve import on_curve, require_curve

_NO_ECHO = pack(BAD, NO_ECHO)
_NEAR = pack(BAD, NEAR_ECHO)
_DOUBTED = pack(UNCERTAIN, NEAR_ECHO)
_ESTIMATED = pack(UNCERTAIN, ESTIMATED)
_ANSWERED = (INVALID, OUT_OF_RANGE, OVER_RANGE)  # the sensor lives, but saw nothing
_MOST_ROW = const(31)
_LONGEST_S = const(604_800)
_COLDEST = const(-60)  # Cel; a thermometer beyond these is broken
_HOTTEST = const(90)


class Bin(Derivation):
    """Sources: distance, and air temperature or none.

    sensor: [height above the floor, blanking, margin] in steps of the distance. An echo from beyond height + margin is
    none; one from within the blanking is uncertain, and after `confirm` of them in a row bad: full to the brim, or dirty.
    shape: [height of the material, volume] points, in steps of the distance and any unit; volume * full_n / full_d is
    the fill in its steps, of which `full` are 100 percent.
    air: [] or [n, d, c]: temperature = x * n / d Cel, and the sound is 331.3 + 0.606 * Cel m/s fast where the sensor
    took it for c mm/s.
    emptied: [fall, confirm]: so much less than the highest of the last `confirm` readings, as often in a row.
    rate: [over_s, n, d]: fill per hour = change * n / (d * seconds). to_full: [n, d, most]: minutes = what is missing *
    seconds * n / (d * change), at most `most`.
    """

    def __init__(self, sources, outputs, report, sensor, shape, full, air, emptied, rate, to_full):
        super().__init__(sources, outputs)
        require(len(sensor) == 3 and sensor[0] > 0 and sensor[1] >= 0 and sensor[2] >= 0)
        require(len(shape) == 3 and shape[1] > 0 and shape[2] > 0 and full > 0)
        require_curve(shape[0])
        require(not air or len(air) == 3 and air[0] > 0 and air[1] > 0 and air[2] > 0 and len(sources) == 2)
        require(len(emptied) == 2 and emptied[0] > 0 and 0 < emptied[1] <= _MOST_ROW)
        require(len(rate) == 3 and 0 < rate[0] <= _LONGEST_S and rate[1] > 0 and rate[2] > 0)
        require(len(to_full) == 3 and to_full[0] > 0 and to_full[1] > 0 and to_full[2] > 0)
        self._report = report
        self._fill_point = outputs[0]
        self._height, self._blanking, self._margin = sensor
        self._shape, self._full_n, self._full_d = shape
        self._full = full
        self._air = air
        self._fall, self._confirm = emptied
        self._rate = rate
        self._to_full = to_full
        self._anchors = Anchors(rate[0])
        self._recent = array("q", [0] * self._confirm)  # fills, the last ones
        self._held = self._next = 0
        self._fill = self._near = self._row = self._count = 0

    def _results(self, readings, fresh, now_s):
        if not fresh[0]:
            return [None] * 4
        distance, quality_byte = readings[0]
        if quality_byte >> 6 == BAD:
            return self._none(_NO_ECHO if quality_byte & 63 in _ANSWERED else MISSING)
        if distance < self._blanking:
            self._near = min(self._near + 1, self._confirm)
            if self._held and self._near < self._confirm:
                return [(self._fill, _DOUBTED), None, None, (self._count, 0)]
            return self._none(_NEAR)
        self._near = 0
        n, d, doubt = self._true(distance, readings)
        if n > (self._height + self._margin) * d:
            return self._none(_NO_ECHO)
        fill, quality_byte = self._filled(self._height * d - n, d, quality_byte or doubt)
        if quality_byte >> 6 == BAD:
            return self._none(quality_byte)
        self._fill = fill
        if self._empties(fill):
            self._anchors.clear()
        per_hour, minutes = self._course(fill, quality_byte, now_s)
        return [(fill, quality_byte), per_hour, minutes, (self._count, 0)]

    def _none(self, quality_byte):
        """Nothing to be seen: the last fill stands there for the console."""
        return [(self._fill, quality_byte), (0, quality_byte), (0, quality_byte), (self._count, 0)]

    def _true(self, distance, readings):
        """(n, d, quality byte) of the distance with the speed of sound as it is."""
        if not self._air:
            return distance, 1, 0
        n, d, assumed = self._air
        warmth, quality_byte = readings[1]
        if quality_byte >> 6 == BAD or not _COLDEST * d <= warmth * n <= _HOTTEST * d:
            return distance, 1, _ESTIMATED
        return distance * (331_300 * d + 606 * warmth * n), d * assumed, quality_byte

    def _filled(self, n, d, quality_byte):
        """From the height n / d of the material."""
        n, d = on_curve(self._shape, n, d)
        n *= self._full_n
        d *= self._full_d
        return rounded(max(0, min(n, self._full * d)), d, quality_byte)

    def _empties(self, fill):
        """Has this reading confirmed that the bin was emptied?"""
        highest = max(self._recent[: self._held]) if self._held else fill
        if highest - fill >= self._fall:
            self._row += 1
            if self._row < self._confirm:
                return False
            self._count = (self._count + 1) & 0x7FFF_FFFF
            self._held = self._next = 0
            self._report("bin_emptied", self._fill_point, [("from", highest), ("to", fill)])
        emptied = self._row >= self._confirm
        self._row = 0
        self._recent[self._next] = fill
        self._next = (self._next + 1) % self._confirm
        self._held = min(self._held + 1, self._confirm)
        return emptied

    def _course(self, fill, quality_byte, now_s):
        """Fill per hour, and minutes until full: bad until the time for the rate has passed since boot or emptying."""
        if self._row:  # perhaps an emptying: it is no course
            return None, None
        start = self._anchors.put(fill, now_s)
        if start is None:
            return NOT_YET, NOT_YET
        change = fill - start[1]
        passed = now_s - start[0]
        _, n, d = self._rate
        per_hour = rounded(change * n, d * passed, quality_byte)
        n, d, most = self._to_full
        missing = self._full - fill
        if missing and change <= 0:
            return per_hour, (most, _ESTIMATED)
        minutes = rounded(missing * passed * n, d * change, 0)[0] if missing else 0
        if missing and missing * passed * n > most * d * change:
            minutes = most
        return per_hour, (minutes, _ESTIMATED)

    def kept(self):
        """The count, and the fill that the next one is compared with; nothing before the first reading."""
        return pack_bytes(">qq", self._count, max(self._recent[: self._held])) if self._held else b""

    def restore(self, data):
        if len(data) == 16:
            count, fill = unpack(">qq", data)
            if 0 <= count <= 0x7FFF_FFFF and 0 <= fill <= self._full:
                self._count = count
                self._recent[0] = self._fill = fill
                self._held = 1
                self._next = 1 % self._confirm


KINDS = {"bin": (Bin, 1, 2, 4, 7)}
