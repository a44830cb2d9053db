"""What a consumer at the broker makes of a gateway's topics: streams with names and units, samples without duplicates."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .senml import Sample, SenmlError, decode

_PACKS = ("d", "h")
_HASHED = ("d", "h", "c", "event")


@dataclass
class StreamView:
    """One stream as it arrives: who it is (from the birth), its latest sample, and all of them where asked for."""

    id: int
    name: str = ""
    unit: str = ""
    exponent: int = 0
    kind: str = ""
    period_s: int = 0
    last: Sample | None = None
    count: int = 0
    samples: list[Sample] = field(default_factory=list)
    recent: deque = field(default_factory=lambda: deque(maxlen=48))  # values, for small trends


class Collector:
    """Fed with every message of one gateway in order of arrival. Damaged payloads are counted in `errors`, with the last reason."""

    def __init__(self, base: str, keep: bool = True):
        """`base`: <root>/<site>/<gateway>; `keep`: remember every sample, not only the last ones."""
        self.base = base.rstrip("/") + "/"
        self.keep = keep
        self.streams: dict[int, StreamView] = {}
        self.state: dict[str, Any] = {}
        self.diag: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.messages = 0
        self.decoded = 0
        self.duplicates = 0
        self.payload_bytes = 0
        self.errors = 0
        self.last_error = ""
        self._seen: set[tuple[int, int, int]] = set()
        self._hash = hashlib.sha256()

    def feed(self, topic: str, payload: bytes) -> None:
        if not topic.startswith(self.base):
            return
        self.messages += 1
        tail = topic[len(self.base) :].split("/")
        if tail[0] in _HASHED:
            self._hash.update(payload)
            self.payload_bytes += len(payload)
        try:
            if tail[0] in _PACKS:
                self._take(decode(payload)[1])
            elif payload:
                self._describe(tail, json.loads(payload))
        except (SenmlError, ValueError, KeyError, TypeError) as error:
            self.errors += 1
            self.last_error = f"{topic}: {error}"

    def _describe(self, tail: list[str], content: Any) -> None:
        if not isinstance(content, dict):
            raise ValueError("the payload is no JSON object")
        if tail[0] == "state":
            self.state = content
        elif tail[0] == "diag":
            self.diag = content
        elif tail[0] == "event":
            self.events.append(content)
        elif tail[0] == "birth" and len(tail) > 1:
            for row in content["streams"]:
                if not all(type(row[key]) is int for key in ("id", "exponent", "period_s")):
                    raise ValueError("a stream's id, exponent and period are integers")
                view = self._view(row["id"])
                view.name, view.unit, view.exponent = row["name"], row["unit"], row["exponent"]
                view.kind, view.period_s = row["kind"], row["period_s"]

    def _view(self, stream: int) -> StreamView:
        if stream not in self.streams:
            self.streams[stream] = StreamView(stream)
        return self.streams[stream]

    def _take(self, samples: list[Sample]) -> None:
        for sample in samples:
            if sample.key in self._seen:
                self.duplicates += 1
                continue
            self._seen.add(sample.key)
            self.decoded += 1
            view = self._view(sample.stream)
            view.count += 1
            view.last = sample
            view.recent.append(sample.value)
            if self.keep:
                view.samples.append(sample)

    @property
    def payload_sha256(self) -> str:
        """Over the payloads of d/, h/, c/ and event, in order of arrival."""
        return self._hash.hexdigest()

    def stream(self, name: str) -> StreamView:
        """A stream by its readable name; KeyError names the choices."""
        for view in self.streams.values():
            if view.name == name:
                return view
        known = ", ".join(sorted(view.name for view in self.streams.values() if view.name))
        raise KeyError(f"no stream {name!r} has arrived; there are: {known or 'none'}")
