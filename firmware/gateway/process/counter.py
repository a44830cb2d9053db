"""One counter of a device (energy, volume, pulses) made a total that never falls: total = reading + what was counted before.

Mantissas throughout. What the counter can have moved in a time: rise * seconds / per_s, rounded down, and its slack. Two readings of
what moves less than a step may lie a step apart, so the slack is one step of the device; of a floating point number, whose steps
grow with it, one unit in the last place more. Seconds are at least settle_s: some meters bring their registers up to date that rarely.
"""

from micropython import const

from gateway.core.exact import bounded
from gateway.core.quality import BAD, ESTIMATED, EXCHANGED, OVERFLOW, QUARANTINED, RESET, UNCERTAIN, pack
from gateway.core.errors import require
from gateway.core.exact import whole

_QUARANTINED = pack(BAD, QUARANTINED)
_RESET = pack(UNCERTAIN, RESET)
_EXCHANGED = pack(UNCERTAIN, EXCHANGED)
_ESTIMATED = pack(UNCERTAIN, ESTIMATED)
_OVERFLOW = (0, pack(BAD, OVERFLOW))

# The time of a reading from before this start. How long the gateway was off it cannot know; that no cabinet stays dark for longer than a
# month is what lets a reading go forward. Whatever moved more, at the highest rate day and night, has to be confirmed like any jump.
BEFORE_START = const(-31 * 86400)
_DARK_S = const(3600)  # of that, what a reset is believed to have counted from 0 on: see _begins_anew

# How soon flash must know of what has changed, least urgent first; counters.py waits accordingly.
MOVED = const(1)
OPENED = const(2)  # a jump waits to be confirmed
OFFSET = const(3)  # the total is another one than the reading tells


class Jump:
    """What is known of a jump that was confirmed: a meter exchange that is declared afterwards needs it."""

    def __init__(self, before, first, gap_s, counted):
        self.before = before  # last reading before it
        self.first = first  # first reading after it
        self.gap_s = gap_s  # seconds in between
        self.counted = counted  # how much of `first` is in the total: all of it after a reset


class Counter:
    """`report(event, point, about)` hears of every rollover, reset and undeclared exchange once.

    `modulus`: it begins again at 0 there, 0: nowhere. `confirm` readings in a row that follow one another make a jump believed.
    `step`: of the device, in mantissas. `bits`: of the significand when the device shows a floating point number, else 0.
    """

    def __init__(self, point, report, modulus, rise, per_s, confirm, step=1, bits=0, settle_s=1):
        for argument in (modulus, rise, per_s, confirm, step, bits, settle_s):
            require(whole(argument) and argument >= 0)
        require(per_s > 0 and confirm > 0 and settle_s > 0)
        self.point = point
        self.report = report
        self.modulus = modulus
        self._rise = rise
        self._per_s = per_s
        self._confirm = confirm
        self._step = step
        self._bits = bits
        self._settle_s = settle_s
        self.heard = False
        self.reading = self.total = 0  # the last believed
        self.at = BEFORE_START
        self.debt = 0  # the total is so much too high, and waits for the reading instead of falling
        self.exchanged = False  # the next total says so
        self.jump = None
        self.change = 0  # what flash does not know yet
        # A jump that waits to be confirmed:
        self.row = 0  # readings in a row, 0: none waits
        self.first = self.doubted = 0  # first and last of them
        self.anew = False  # it looks like a reset
        self._doubted_at = BEFORE_START
        self.gap_s = 0

    def apply(self, mantissa, quality_byte, now_s):
        """(total, quality byte) of a reading; what is bad already changes nothing."""
        if quality_byte >> 6 == BAD:
            return mantissa, quality_byte
        if not self.heard:
            self.heard = True
            self._believe(mantissa, mantissa, now_s, OFFSET)
            return mantissa, quality_byte
        if now_s < self.at:
            self.at = now_s
        if 0 < self.reading - mantissa <= self._blur(self.reading):
            mantissa = self.reading  # a sum of floats may come out a place lower while nothing moves
        way = self.way(self.reading, mantissa, now_s - self.at)
        if way is None:
            return self._doubt(mantissa, now_s)
        total, debt = self._counted(way)
        if total is None:
            return _OVERFLOW
        urgency = MOVED if way else 0
        if self.exchanged or self.debt:
            quality_byte = _EXCHANGED
            urgency = OFFSET
        if mantissa < self.reading:
            if self.at < 0:
                quality_byte = _ESTIMATED  # it may have been a reset while the gateway was off
            self.report("counter_rollover", self.point, [("old", self.reading), ("new", mantissa), ("total", total)])
            urgency = OFFSET
        self.debt = debt
        self.exchanged = False
        self._believe(mantissa, total, now_s, urgency)
        return total, quality_byte

    def most(self, reading, seconds):
        """How far it can have moved from there."""
        return self._rise * max(seconds, self._settle_s) // self._per_s + self._step + self._blur(reading)

    def way(self, start, mantissa, seconds):
        """From one reading to a later one; None when it cannot have got there.

        A fall is a rollover only when it is the shorter way round, by far the shorter one when the gateway was off in between: power
        cuts are when counters are lost.
        """
        way = mantissa - start
        most = self.most(start, seconds)
        if way < 0:
            if not 0 <= mantissa < start <= self.modulus:
                return None
            way += self.modulus
            most = min(most, self.modulus >> (1 if seconds < -BEFORE_START else 4))
        return way if way <= most else None

    def declared(self, reading, total, debt):
        """A declaration has set the total right: from this reading on it is counted."""
        self.debt = debt
        self.exchanged = True
        self.jump = None
        self._believe(reading, total, self.at, OFFSET)

    def wait(self, row, first, doubted, gap_s, anew):
        """A jump waited to be confirmed when the power went."""
        self.row = min(row, self._confirm)
        self.first = first
        self.doubted = doubted
        self.gap_s = gap_s
        self.anew = anew

    def _blur(self, reading):
        """One unit in the last place of a floating point number, or a little more."""
        return (abs(reading) >> (self._bits - 1)) + 1 if self._bits else 0

    def _counted(self, way):
        """(total, debt) after so much more; (None, 0) beyond 63 bits."""
        paid = min(self.debt, way)
        total = bounded(self.total + way - paid)
        return total, 0 if total is None else self.debt - paid

    def _believe(self, reading, total, now_s, urgency):
        self.reading = reading
        self.total = total
        self.at = now_s
        self.row = 0
        self.change = max(self.change, urgency)

    def _doubt(self, mantissa, now_s):
        if self.row and now_s < self._doubted_at:
            self._doubted_at = now_s
        if self.row and self.way(self.doubted, mantissa, now_s - self._doubted_at) is not None:
            self.row = min(self.row + 1, self._confirm)
        else:
            self.row = 1
            self.first = mantissa
            self.gap_s = now_s - self.at
            self.anew = self._begins_anew(mantissa, now_s)
            self.change = max(self.change, OPENED)
        self.doubted = mantissa
        self._doubted_at = now_s
        return self._confirmed(mantissa, now_s) if self.row >= self._confirm else (mantissa, _QUARANTINED)

    def _begins_anew(self, mantissa, now_s):
        """Can it have been counted from 0 since the last reading?

        Across a start the time is not known. A meter that lost its count with the same power cut has counted since; one with a power
        of its own for an hour perhaps. What began higher is taken for an exchange: rather too little, and said so, than a wrong bill.
        """
        seconds = now_s - self.at if self.at >= 0 else now_s + _DARK_S
        return 0 <= mantissa < self.reading and mantissa <= self.most(0, seconds)

    def _confirmed(self, mantissa, now_s):
        """The counter goes on from here. What the row itself counted is known in any case."""
        since = mantissa - self.first
        if since < 0:
            since += self.modulus
        begun = self.first if self.anew else 0
        total, debt = self._counted(begun + since)
        if total is None:
            return _OVERFLOW
        event = "counter_reset" if self.anew else "counter_quarantine"
        self.report(event, self.point, [("old", self.reading), ("new", self.first)])
        self.jump = Jump(self.reading, self.first, self.gap_s, begun)
        self.debt = debt
        self.exchanged = False
        self._believe(mantissa, total, now_s, OFFSET)
        return total, _RESET if self.anew else _EXCHANGED


KINDS = {"counter": (Counter, 7)}
