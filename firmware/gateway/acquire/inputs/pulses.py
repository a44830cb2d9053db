"""Pulse inputs: counted in hardware where the chip has a counter and MicroPython offers it (1.26 and later), else by interrupt.

A handler of an interrupt runs late when something stalls the VM: MicroPython's scheduler holds eight of them and drops the rest without a
word, and while flash is written all edges of a pin become one (ESP-IDF, "Concurrency Constraints for Flash"). Neither can be undone, but
both are noticed, and the total says so. A counter of the chip misses nothing; its filter ends at 12.8 us, so a reed, which bounces for
milliseconds, needs an interrupt all the same.
"""

from array import array
from time import ticks_diff, ticks_ms

import machine
from machine import Pin
from micropython import const

from gateway.acquire.inputs.totals import Totals
from gateway.core.exact import bounded, divide_half_even
from gateway.core.quality import BAD, NONE, OVERFLOW, UNCERTAIN, pack

_FILTER_NS = const(12700)  # shorter pulses are noise to the counter; its widest filter
_QUEUE = const(8)  # handlers that the scheduler holds
_BURST_MS = const(3)  # handlers that wait run one after the other
_OLD_MS = const(1 << 28)  # half of what ticks_diff can tell apart
_MASK = const(0x3FFFFFFF)  # a count wraps before it needs an allocation on a 32-bit VM
# of an input: pulses, time of the last edge, that time again once it is too long ago to compare
_COUNT = const(0)
_LAST = const(1)
_OLD = const(2)
# of the queue, which all inputs share: time of the last handler, handlers in a row, how often it was full, its places for handlers
_AT = const(0)
_RUN = const(1)
_FULL = const(2)
_PLACES = const(3)
_OVERFLOW = pack(BAD, OVERFLOW)


class Pulses:
    """The pulse inputs of a site. `state` keeps values on flash, `rtc` has the memory() of a machine.RTC, `uptime_ms` a clock that never wraps."""

    def __init__(self, state, rtc, uptime_ms):
        self.inputs = []
        self.totals = Totals(state, rtc.memory)
        self.uptime_ms = uptime_ms
        self.queue = array("i", (0, 0, 0, _QUEUE))
        self._units = 0  # counters in use

    def add(self, spec):
        """One more input, see PulseInput."""
        made = PulseInput(spec, self)
        self.inputs.append(made)
        return made

    def counter(self, pin, edge):
        """A counter of the chip, or None."""
        kind = getattr(machine, "Counter", None)
        if not kind:
            return None
        try:
            made = kind(self._units, pin, edge=kind.FALLING if edge == "falling" else kind.RISING, filter_ns=_FILTER_NS)
        except (OSError, ValueError):  # all of them are in use
            return None
        self._units += 1
        self.queue[_PLACES] = _QUEUE - 1  # a counter needs one now and then, when it begins anew
        return made

    def keep_rtc(self):
        """To be called every second."""
        for one in self.inputs:
            one.take()
        self.totals.keep_rtc()

    def stalled(self, ms, queued=False):
        """Something held the VM up for so long. `queued`: interrupts went on (no flash was written), only their handlers waited."""
        for one in self.inputs:
            one.stalled(ms, queued)

    def suspicions(self):
        """How often pulses of any input may have been lost since the start."""
        return sum([one.total.suspicions for one in self.inputs])


class PulseInput:
    """`spec`: ["pulse", gpio, edge, debounce ms, point, m, shift, denominator, persist_s, number, stall ms].

    The value is pulses * m * 10**shift / denominator, rounded once. `number` names the total on flash. `stall ms`: how long writing
    flash may take so that two pulses at their highest rate never fall into it.
    """

    def __init__(self, spec, owner):
        _, gpio, edge, self._debounce_ms, self.point, m, shift, denominator, persist_s, number, self._stall_ms = spec
        self._numerator = m * 10**shift if shift >= 0 else m
        self._denominator = denominator if shift >= 0 else denominator * 10**-shift
        self._owner = owner
        self.total = owner.totals.open(number, persist_s * 1000, owner.uptime_ms())
        pin = Pin(gpio, Pin.IN, Pin.PULL_UP)
        self._counter = None if self._debounce_ms else owner.counter(pin, edge)
        self._edges = None if self._counter else _watch(pin, edge, self._debounce_ms, owner.queue)
        self.taken = 0
        self._full = 0

    def take(self):
        """Add to the total what has come since the last time."""
        if self._counter:
            count = self._counter.value()
            self.total.count += count - self.taken
        else:
            count = self._edges[_COUNT]
            self.total.count += count - self.taken & _MASK
            last = self._edges[_LAST]
            if not 0 <= ticks_diff(ticks_ms(), last) < _OLD_MS:
                self._edges[_OLD] = last  # before ticks_diff takes it for one of the future
        self.taken = count

    def stalled(self, ms, queued):
        """See Pulses.stalled. What waits in the queue is only a danger to a contact: handlers in a row look like a bounce."""
        if self._edges and ms > self._stall_ms and (self._debounce_ms or not queued):
            self.total.stalled = True

    def read(self):
        """(mantissa, quality byte) of the total."""
        self.take()
        if self._edges and self._full != self._owner.queue[_FULL]:
            self._full = self._owner.queue[_FULL]
            self.total.suspect()
        now = self._owner.uptime_ms()
        pulses, reason = self._owner.totals.offer(self.total, now)
        self._owner.stalled(self._owner.uptime_ms() - now)
        mantissa = bounded(divide_half_even(pulses * self._numerator, self._denominator))
        if mantissa is None:
            return 0, _OVERFLOW
        return mantissa, 0 if reason == NONE else pack(UNCERTAIN, reason)


def _watch(pin, edge, debounce_ms, queue):
    """Count edges by interrupt. With a debounce time, edges closer together than that are one pulse, however many they are."""
    edges = array("i", (0, 0, 0))

    def on_edge(_):  # it must not allocate
        now = ticks_ms()
        if not 0 <= ticks_diff(now, queue[_AT]) <= _BURST_MS:
            queue[_RUN] = 0
        queue[_AT] = now
        queue[_RUN] += 1
        if queue[_RUN] >= queue[_PLACES]:
            queue[_RUN] = 0
            queue[_FULL] += 1
        if not debounce_ms or edges[_LAST] == edges[_OLD] or ticks_diff(now, edges[_LAST]) >= debounce_ms:
            edges[_COUNT] = edges[_COUNT] + 1 & _MASK
        edges[_LAST] = now
        edges[_OLD] = -1

    pin.irq(on_edge, Pin.IRQ_FALLING if edge == "falling" else Pin.IRQ_RISING)
    return edges
