"""The simulated time: a queue of events in microseconds, and the two clocks that can drive it."""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

Callback = Callable[[], None]


class Event:
    """A callback that is due at a time; `cancel` forgets it."""

    __slots__ = ("callback", "due_us")

    def __init__(self, due_us: int, callback: Callback):
        self.due_us = due_us
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Timeline:
    """Events in order of time, first come first served among equals. `now_us` counts from the start of the simulation."""

    def __init__(self) -> None:
        self.now_us = 0
        self._heap: list[tuple[int, int, Event]] = []
        self._count = 0

    def at(self, due_us: int, callback: Callback) -> Event:
        event = Event(max(due_us, self.now_us), callback)
        heapq.heappush(self._heap, (event.due_us, self._count, event))
        self._count += 1
        return event

    def after(self, delay_us: int, callback: Callback) -> Event:
        return self.at(self.now_us + delay_us, callback)

    def next_us(self) -> int | None:
        """When the next event is due."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def run_next(self) -> None:
        """Move to the next event and run it."""
        due_us, _, event = heapq.heappop(self._heap)
        if event.callback is None:
            return
        if due_us > self.now_us:
            self.now_us = due_us
        callback, event.callback = event.callback, None
        callback()

    def run_to(self, until_us: int) -> None:
        """Run everything that is due until then, and be there."""
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            self.run_next()
        if until_us > self.now_us:
            self.now_us = until_us


class VirtualClock:
    """Time moves as fast as the machine can compute: nobody waits."""

    name = "virtual"
    lag_us = None

    def start(self, timeline: Timeline) -> None:
        pass

    def wait_until(self, due_us: int) -> bool:
        """Returns True when something from outside may have come in meanwhile."""
        return False


class RealClock:
    """Time moves with the wall clock; while waiting, real files (ptys, sockets, serial ports) are served.

    `watch(fileno, callback)` has the callback called whenever the file is readable, `watch_writable` whenever it takes bytes.
    """

    name = "real"

    def __init__(self) -> None:
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._origin = 0.0
        self._timeline: Timeline | None = None

    def start(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._origin = time.monotonic() - timeline.now_us / 1e6

    def now_us(self) -> int:
        return int((time.monotonic() - self._origin) * 1e6)

    def watch(self, fileno: int, callback: Callback) -> None:
        self._readers[fileno] = callback

    def unwatch(self, fileno: int) -> None:
        self._readers.pop(fileno, None)

    def watch_writable(self, fileno: int, callback: Callback) -> None:
        self._writers[fileno] = callback

    def unwatch_writable(self, fileno: int) -> None:
        self._writers.pop(fileno, None)

    def wait_until(self, due_us: int) -> bool:
        """Wait for the wall clock to reach `due_us`, or less when a watched file became readable (its callback has then run)."""
        assert self._timeline is not None
        seconds = (due_us - self.now_us()) / 1e6
        if seconds <= 0 and not self._readers:
            return False
        ready, takers, _ = select.select(list(self._readers), list(self._writers), [], max(0.0, seconds))
        if ready or takers:
            self._timeline.run_to(max(self._timeline.now_us, min(self.now_us(), due_us)))
        for fileno in ready:
            callback = self._readers.get(fileno)
            if callback:
                callback()
        for fileno in takers:
            callback = self._writers.get(fileno)
            if callback:
                callback()
        return bool(ready or takers)
