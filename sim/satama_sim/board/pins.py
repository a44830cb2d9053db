"""GPIO: levels with their history, pulse inputs counted in hardware or by interrupt, analog inputs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..timeline import Timeline

RISING, FALLING = 1, 2
_SECOND = 1_000_000
_KEEP = 64  # level changes remembered for each pin


class PulseSource(Protocol):
    def pulse_times(self, from_us: int, to_us: int) -> list[int]:
        """Times of the pulses in (from_us, to_us]."""


@dataclass
class _Counter:
    gpio: int
    edge: int
    until_us: int  # pulses are counted up to here
    count: int = 0


class Pins:
    """The chip's pins. `adc` and `pulses` say what the site has wired to them."""

    IRQ_QUEUE = 8  # MicroPython's scheduler holds that many callbacks; more are lost without a word

    def __init__(self, timeline: Timeline):
        self.timeline = timeline
        self.adc: dict[int, Callable[[], int]] = {}
        self.adc_holds_us: Callable[[int], int] = lambda now_us: 0  # for how long an analog level stays what it is
        self.pulses: dict[int, PulseSource] = {}
        self.inputs: dict[int, int] = {}  # levels driven from outside
        self.lost_interrupts = 0  # found the queue full
        self.merged_interrupts = 0  # fell together with another edge of their pin while flash was busy
        self.reset()

    def reset(self) -> None:
        """All pins are inputs, no interrupts, counters gone."""
        self._changes: dict[int, tuple[list[int], list[int]]] = {}
        self._outputs: set[int] = set()
        self._latch: dict[int, int] = {}  # what a pin shows as soon as it is an output
        self._pulled_up: set[int] = set()
        self._irq: dict[int, int] = {}
        self.due: list[int] = []
        self._later: list[int] = []  # came while handlers run
        self._handling = False
        self._held: set[int] | None = None  # pins with an edge while no interrupt is served
        self._counters: dict[int, _Counter] = {}
        self._epoch = getattr(self, "_epoch", 0) + 1

    def mode(self, gpio: int, mode: int, pull: int) -> None:
        """As machine.Pin numbers them; 255 leaves a setting as it is."""
        if pull != 255:
            self._pulled_up.discard(gpio)
            if pull & 2:
                self._pulled_up.add(gpio)
        if mode == 255:
            return
        if mode & 2:
            self._outputs.add(gpio)
            self._record(gpio, self._latch.get(gpio, 0))
        else:
            self._outputs.discard(gpio)
            if gpio in self._changes:
                self._record(gpio, self._resting(gpio))

    def _resting(self, gpio: int) -> int:
        """Level of a pin that the board does not drive."""
        return self.inputs.get(gpio, int(gpio in self._pulled_up))

    def set(self, gpio: int, level: int) -> None:
        self._latch[gpio] = level
        if gpio in self._outputs:
            self._record(gpio, level)

    def drive(self, gpio: int, level: int) -> None:
        """Something outside pulls an input to this level; interrupts and counters see the edge."""
        before = self._resting(gpio)
        self.inputs[gpio] = level
        if gpio in self._outputs or level == before:
            return
        edge = RISING if level else FALLING
        for counter in self._counters.values():
            if counter.gpio == gpio and counter.edge & edge:
                counter.count += 1
        if self._irq.get(gpio, 0) & edge:
            self._fire(gpio, self._epoch)

    def _record(self, gpio: int, level: int) -> None:
        times, levels = self._changes.setdefault(gpio, ([], []))
        if levels and levels[-1] == level:
            return
        times.append(self.timeline.now_us)
        levels.append(level)
        if len(times) > _KEEP:
            del times[0], levels[0]

    def level(self, gpio: int, at_us: int | None = None) -> int:
        """Level of a pin now, or as it was."""
        times, levels = self._changes.get(gpio, ((), ()))
        if not times or (at_us is None and gpio not in self._outputs):
            return self._resting(gpio)
        at = bisect_right(times, self.timeline.now_us if at_us is None else at_us)
        return levels[at - 1] if at else 0

    def high_throughout(self, gpio: int, from_us: int, to_us: int) -> bool:
        """Was the pin high from the first moment to the last?"""
        times, _ = self._changes.get(gpio, ((), ()))
        upcoming = bisect_right(times, from_us)
        return self.level(gpio, from_us) == 1 and (upcoming == len(times) or times[upcoming] >= to_us)

    def interrupt_on(self, gpio: int, trigger: int) -> None:
        if not trigger:
            self._irq.pop(gpio, None)
            return
        watched = gpio in self._irq
        self._irq[gpio] = trigger
        if gpio in self.pulses and not watched:
            self._watch(gpio, self._epoch)

    def _watch(self, gpio: int, epoch: int) -> None:
        """Look one second ahead for pulses, as long as the interrupt is on."""
        if epoch != self._epoch or gpio not in self._irq:
            return
        now = self.timeline.now_us
        for at in self.pulses[gpio].pulse_times(now, now + _SECOND):
            self.timeline.at(at, lambda: self._fire(gpio, epoch))
        self.timeline.at(now + _SECOND, lambda: self._watch(gpio, epoch))

    def hold(self) -> None:
        """Flash is busy and the cache off: a pin keeps one mark that it had an edge, however many they are, until `release`."""
        self._held = set()

    def release(self) -> None:
        """Interrupts are served again."""
        held, self._held = self._held or set(), None
        for gpio in sorted(held):
            self._fire(gpio, self._epoch)

    def _fire(self, gpio: int, epoch: int) -> None:
        if epoch != self._epoch or gpio not in self._irq:
            return
        if self._held is not None:
            self.merged_interrupts += gpio in self._held
            self._held.add(gpio)
            return
        queue = self._later if self._handling else self.due
        if len(queue) >= self.IRQ_QUEUE:
            self.lost_interrupts += 1
        else:
            queue.append(gpio)

    def take_due(self) -> bytes:
        """Pins whose handlers run now; until `handled`, further interrupts wait."""
        due, self.due = bytes(self.due), []
        self._handling = True
        return due

    def handled(self) -> None:
        self._handling = False
        self.due, self._later = self._later, []

    def counter_on(self, unit: int, gpio: int, edge: int) -> None:
        self._counters[unit] = _Counter(gpio, edge, self.timeline.now_us)

    def counter(self, unit: int, value: int | None) -> int:
        """Count of a hardware counter; a new value replaces it and the old one is returned."""
        counter = self._counters[unit]
        now = self.timeline.now_us
        if counter.gpio in self.pulses:
            counter.count += len(self.pulses[counter.gpio].pulse_times(counter.until_us, now))
        count, counter.until_us = counter.count, now
        if value is not None:
            counter.count = value
        return count
