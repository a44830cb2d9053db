"""Totals of pulses that survive resets and power cuts, and never jump back.

What is offered has been written to flash before. Between two writes the totals stand in RTC memory, which every reset leaves alone
and only a power cut takes; at the start the larger of both holds.
"""

from binascii import crc32
from struct import calcsize, pack, unpack_from

from micropython import const

from gateway.core.quality import NONE, PULSES_LOST, STUCK

_KEY = const(0)  # in the state ring
_ROW = ">IQ"  # number of the input, pulses
_MOST = const(42)  # rows in a value of 512 bytes
_MAGIC = b"SATP"


class Total:
    """The pulses of one input. `count`: all of them, `kept`: those that flash knows of, which is what is offered."""

    def __init__(self, number, persist_ms, count, kept, now_ms):
        self.number = number
        self.count = count
        self.kept = kept
        self.suspicions = 0  # how often pulses may have been lost
        self.stalled = False  # if any pulse came in the meantime, others may have been lost
        self._doubt = False  # the next value that is offered says so
        self._offered_at = count
        self._persist_ms = persist_ms
        self._kept_ms = now_ms

    def suspect(self):
        """Pulses may have been lost."""
        self.suspicions += 1
        self._doubt = True

    def is_due(self, now_ms):
        """Is there anything for flash, and its time has come?"""
        return self.count != self.kept and now_ms - self._kept_ms >= self._persist_ms

    def was_kept(self, now_ms):
        """Flash knows of all pulses."""
        self.kept = self.count
        self._kept_ms = now_ms

    def look_back(self):
        """Every way to lose pulses in a stall leaves one at least that is counted: none came, none was lost."""
        if self.stalled and self.count != self._offered_at:
            self.suspect()
        self.stalled = False
        self._offered_at = self.count

    def settle_doubt(self, kept):
        """Must the value that is offered now be doubted? One that moves at intervals only says so when it moves."""
        doubt = self._doubt and (kept or not self._persist_ms)
        if doubt:
            self._doubt = False
        return doubt


class Totals:
    """The totals of a site. `state`: get(key), put(key, bytes) -> survived; `memory`: as machine.RTC.memory."""

    def __init__(self, state, memory):
        self._state = state
        self._memory = memory
        self._kept = _rows(state.get(_KEY) or b"")
        remembered = memory()
        right = remembered[:4] == _MAGIC and remembered[4:8] == _crc(remembered[8:])
        self._remembered = _rows(remembered[8:]) if right else []
        self._written = b""
        self._totals = []

    def open(self, number, persist_ms, now_ms):
        """The total of an input. `persist_ms`: least time between two writes to flash; 0: whenever it is offered."""
        kept = _find(self._kept, number)
        count = max(kept, _find(self._remembered, number))
        total = Total(number, persist_ms, count, kept, now_ms)
        if count:
            total.suspect()  # what came while the board was off or started is lost
        self._totals.append(total)
        return total

    def offer(self, total, now_ms):
        """(pulses, reason): what is said of a total now. STUCK: there are more, but flash does not take them."""
        total.look_back()
        due = total.is_due(now_ms)
        if due and not self._keep(now_ms):
            return total.kept, STUCK
        return total.kept, PULSES_LOST if total.settle_doubt(due) else NONE

    def _keep(self, now_ms):
        """Write to flash all totals that are due. Those of inputs that this site does not have stay: they may come back."""
        due = [total for total in self._totals if total.is_due(now_ms)]
        rows = [(total.number, total.count if total in due else total.kept) for total in self._totals]
        known = [total.number for total in self._totals]
        rows += [row for row in self._kept if row[0] not in known]
        if not self._state.put(_KEY, _packed(rows[:_MOST])):
            return False
        for total in due:
            total.was_kept(now_ms)
        return True

    def keep_rtc(self):
        """To be called every second: a reset then costs no more than that."""
        data = _packed([(total.number, total.count) for total in self._totals])
        if data != self._written:
            self._memory(_MAGIC + _crc(data) + data)
            self._written = data


def _rows(data):
    size = calcsize(_ROW)
    return [unpack_from(_ROW, data, at) for at in range(0, len(data) - size + 1, size)]


def _packed(rows):
    return b"".join([pack(_ROW, number, count) for number, count in rows])


def _find(rows, number):
    for row, count in rows:
        if row == number:
            return count
    return 0


def _crc(data):
    return pack(">I", crc32(data))
