"""GPIO: levels with their history, pulse inputs counted in hardware or by interrupt, analog inputs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Protocol

from ..timeline import Timeline

_SECOND = 1_000_000
_KEEP = 64  # level changes remembered for each pin


class PulseSource(Protocol):
    def pulse_times(self, from_us: int, to_us: int) -> list[int]:
        """Times of the pulses in (from_us, to_us]."""


class Pins:
    """The chip's pins. `adc` and `pulses` say what the site has wired to them."""

    IRQ_QUEUE = 8  # MicroPython's scheduler holds that many callbacks; more are lost without a word

    def __init__(self, timeline: Timeline):
        self.timeline = timeline
        self.adc: dict[int, Callable[[], int]] = {}
        self.pulses: dict[int, PulseSource] = {}
        self.inputs: dict[int, int] = {}  # levels driven from outside
        self.lost_interrupts = 0
        self.reset()

    def reset(self) -> None:
        """All pins are inputs, no interrupts, counters gone."""
        self._changes: dict[int, tuple[list[int], list[int]]] = {}
        self._irq: dict[int, int] = {}
        self.due: list[int] = []
        self._counters: dict[int, tuple[int, int, int]] = {}  # unit -> (gpio, count, counted until)
        self._epoch = getattr(self, "_epoch", 0) + 1

    def set(self, gpio: int, level: int) -> None:
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
        if not times:
            return self.inputs.get(gpio, 1)
        at = bisect_right(times, self.timeline.now_us if at_us is None else at_us)
        return levels[at - 1] if at else 0

    def high_throughout(self, gpio: int, from_us: int, to_us: int) -> bool:
        """Was the pin high from the first moment to the last?"""
        times, _ = self._changes.get(gpio, ((), ()))
        return self.level(gpio, from_us) == 1 and not any(from_us < t < to_us for t in times)

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

    def _fire(self, gpio: int, epoch: int) -> None:
        if epoch != self._epoch or gpio not in self._irq:
            return
        if len(self.due) >= self.IRQ_QUEUE:
            self.lost_interrupts += 1
        else:
            self.due.append(gpio)

    def take_due(self) -> bytes:
        due, self.due = bytes(self.due), []
        return due

    def counter_on(self, unit: int, gpio: int) -> None:
        self._counters[unit] = (gpio, 0, self.timeline.now_us)

    def counter(self, unit: int, value: int | None) -> int:
        """Count of a hardware counter; a new value replaces it and the old one is returned."""
        gpio, count, until = self._counters[unit]
        now = self.timeline.now_us
        if gpio in self.pulses:
            count += len(self.pulses[gpio].pulse_times(until, now))
        self._counters[unit] = (gpio, count if value is None else value, now)
        return count
