"""Who stands at the broker during a storm and remembers everything, not only the first time that it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from satama.collecting.collector import Collector
from satama.payloads.sample import Sample

Key = tuple[int, int, str]  # epoch, sequence number, stream as on the wire


class Seen(NamedTuple):
    """A sample as it came first."""

    value: str  # with its exponent, or the reason where it is bad
    taken_s: float | None  # Unix seconds, None while nobody knows
    uptime_ms: int | None  # instead, where its clock was not set
    at_us: int  # when it arrived, in simulated time
    topic: str  # d, h or c


def content(sample: Sample) -> str:
    return f"{sample.value} {sample.reason}"


class Witness(Collector):
    """A collector that also notices when a sample comes again as something else."""

    def __init__(self, base: str, now_us: Callable[[], int]):
        super().__init__(base, keep=False)
        self._now_us = now_us
        self._topic = ""
        self.seen: dict[Key, Seen] = {}
        self.taken: dict[tuple[str, float], Key] = {}  # stream and moment -> who it was
        self.altered: list[tuple[Key, str, str]] = []  # came again with another value
        self.renamed: list[tuple[Key, Key]] = []  # came again under another identity

    def feed(self, topic: str, payload: bytes) -> list[Sample]:
        self._topic = topic[len(self.base) :].split("/")[0]
        return super().feed(topic, payload)

    def _take(self, samples: list[Sample]) -> list[Sample]:
        for sample in samples:
            wire = self._aliases.get(sample.name, sample.name)
            key = (sample.epoch, sample.seq, wire)
            taken = float(sample.time) if sample.absolute else None
            before = self.seen.get(key)
            if before is None:
                self.seen[key] = Seen(content(sample), taken, sample.uptime_ms, self._now_us(), self._topic)
                # without UTC at that moment it is placed as well as can be: two of them may share a second
                if taken is not None and sample.uptime_ms is None:
                    other = self.taken.setdefault((wire, taken), key)
                    if other != key:
                        self.renamed.append((other, key))
            elif before.value != content(sample):
                self.altered.append((key, before.value, content(sample)))
        return super()._take(samples)

    def name(self, wire: str) -> str:
        view = self.named(wire)
        return view.name if view and view.name else wire
