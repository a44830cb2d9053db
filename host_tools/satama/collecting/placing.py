"""When a sample was taken, by everything that is known now: the events "time" of its gateway place and move samples.

An event says that `ms` of uptime in epoch `ep` were the UTC `utc` + `utc_ms`; where a clock that was set has been moved, also by how much
(`stepped_ms`) and the first record number behind it (`sq`): records before it were stamped by the old clock and are moved with it.
A sample that carries its uptime is placed by the first event at or behind it, else by the last one before it, and then moved by
the steps behind that event, exactly as its neighbours that had a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..payloads.sample import Sample


@dataclass(frozen=True)
class Placed:
    """`time_ms`: Unix milliseconds, None while unknown. `by`: "device" (stamped when taken), "event", "moved" (stamped, then stepped)
    or "unknown". `source`: of the event's time, such as "ntp"; empty where the device stamped it."""

    time_ms: int | None
    by: str
    source: str = ""


@dataclass(frozen=True)
class _Event:
    uptime_ms: int
    utc_ms: int
    source: str
    seq: int | None
    stepped_ms: int


class Placing:
    """The time events of one gateway."""

    def __init__(self) -> None:
        self._events: dict[int, list[_Event]] = {}

    def learn(self, content: dict[str, Any]) -> None:
        """Take an event "time"; one that was sent twice counts once. Raises ValueError for a damaged one."""
        numbers = {"utc_ms": 0, "stepped_ms": 0} | content
        if not all(type(numbers.get(key)) is int for key in ("ep", "ms", "utc", "utc_ms", "stepped_ms")):
            raise ValueError("an event 'time' has whole numbers ep, ms and utc")
        seq = content.get("sq")
        if seq is not None and type(seq) is not int:
            raise ValueError("the sq of an event 'time' is a whole number")
        utc_ms = numbers["utc"] * 1000 + numbers["utc_ms"]
        event = _Event(numbers["ms"], utc_ms, str(content.get("source", "")), seq, numbers["stepped_ms"])
        known = self._events.setdefault(numbers["ep"], [])
        if event not in known:
            known.append(event)
            known.sort(key=lambda one: one.uptime_ms)

    def place(self, sample: Sample) -> Placed:
        events = self._events.get(sample.epoch, [])
        if sample.uptime_ms is not None and events:
            at = next((i for i, event in enumerate(events) if event.uptime_ms >= sample.uptime_ms), len(events) - 1)
            event = events[at]
            utc_ms = event.utc_ms + sample.uptime_ms - event.uptime_ms
            moved = sum(later.stepped_ms for later in events[at + 1 :])
            return Placed((utc_ms + moved) // 1000 * 1000, "event", event.source)  # stamps are whole seconds
        if not sample.absolute:
            return Placed(None, "unknown")
        steps = [event for event in events if event.stepped_ms and event.seq is not None and sample.seq < event.seq]
        moved = sum(event.stepped_ms for event in steps)
        return Placed(
            int(sample.time * 1000) + moved, "moved" if steps else "device", steps[-1].source if steps else ""
        )
