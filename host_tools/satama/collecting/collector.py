"""What a consumer at the broker makes of a gateway's topics: streams with names and units, samples without duplicates."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..core import firmware  # noqa: F401  makes `gateway` importable
from ..payloads.compact import SchemaMissing, schema_of
from ..payloads.sample import Sample
from ..payloads.senml import SenmlError, decode
from .account import Account
from .placing import Placing

_PACKS = ("d", "h", "c")
# What else comes under the gateway's topic is meant for it.
_DESCRIPTIONS = ("state", "diag", "event", "birth", "schema")
_HASHED = ("d", "h", "c", "event")
_MOST_WAITING = 1000  # compact packets whose schema has not come yet
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def stream_id(name: str) -> int:
    """The id whose short name (core/short_name.py) this is; -1 for a pseudonym or anything else."""
    value = 0
    for character in name[:12]:
        digit = _DIGITS.find(character)
        if digit < 0:
            return -1
        value = 62 * value + digit
    return value if 0 < len(name) < 12 else -1


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
    retired: bool = False  # the site has it no more; only a backlog still speaks of it


class Collector:
    """Fed with every message of one gateway in order of arrival. Damaged payloads are counted in `errors`, with the last reason."""

    def __init__(self, base: str, keep: bool = True):
        """`base`: <root>/<site>/<gateway>; `keep`: remember every sample, not only the last ones."""
        self.base = base.rstrip("/") + "/"
        self.keep = keep
        self.streams: dict[str, StreamView] = {}  # by the short name on the wire
        self.state: dict[str, Any] = {}
        self.diag: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.account = Account()
        self.placing = Placing()
        self.messages = 0
        self.decoded = 0
        self.duplicates = 0
        self.payload_bytes = 0
        self.errors = 0
        self.last_error = ""
        self._schemas: dict[int, Any] = {}
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._aliases: dict[str, str] = {}  # short name of the id -> the pseudonym that the stream has in packs
        self._seen: set[tuple[int, int, str]] = set()
        self._happened: set[tuple[Any, Any]] = set()  # events by (epoch, seq)
        self._hash = hashlib.sha256()

    def feed(self, topic: str, payload: bytes) -> list[Sample]:
        """Take a message; the samples in it that were not known yet, for whoever wants to show them."""
        if not topic.startswith(self.base):
            return []
        self.messages += 1
        tail = topic[len(self.base) :].split("/")
        if tail[0] in _HASHED:
            self._hash.update(payload)
            self.payload_bytes += len(payload)
        try:
            if tail[0] in _PACKS:
                return self._decode(payload, "compact" if tail[0] == "c" else "")
            if payload and tail[0] in _DESCRIPTIONS:
                return self._describe(tail, json.loads(payload))
        except (SenmlError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.errors += 1
            self.last_error = f"{topic}: {error}"
        return []

    def _decode(self, payload: bytes, hint: str) -> list[Sample]:
        try:
            return self._take(decode(payload, hint, self._schemas)[1])
        except SchemaMissing:
            if len(self._waiting) == _MOST_WAITING:
                self.errors += 1
                self.last_error = "a compact packet was given up: its schema never came"
            self._waiting.append(payload)
            return []

    def _describe(self, tail: list[str], content: Any) -> list[Sample]:
        if not isinstance(content, dict):
            raise ValueError("the payload is no JSON object")
        if tail[0] == "state":
            self.state = content
        elif tail[0] == "diag":
            self.diag = content
            self.account.diagnosed(content)
        elif tail[0] == "event":
            self._event(content)
        elif tail[0] == "birth" and len(tail) > 1:
            for row in content["streams"]:
                self._birth(row)
        elif tail[0] == "schema" and len(tail) > 1:
            found = schema_of(content, tail[1])
            self._schemas[found.id] = found
            waiting = list(self._waiting)
            self._waiting.clear()
            return [sample for payload in waiting for sample in self._decode(payload, "compact")]
        return []

    def _event(self, content: dict[str, Any]) -> None:
        key = content.get("ep"), content.get("sq")
        if type(key[0]) is int and type(key[1]) is int:
            if key in self._happened:
                self.duplicates += 1
                return
            self._happened.add(key)
        self.events.append(content)
        self.account.event(content)
        if content.get("event") == "time":
            self.placing.learn(content)

    def _birth(self, row: dict[str, Any]) -> None:
        from gateway.core.short_name import short

        if not all(type(row[key]) is int for key in ("exponent", "period_s")):
            raise ValueError("a stream's exponent and period are integers")
        if not all(isinstance(row[key], str) for key in ("name", "unit", "kind")):
            raise ValueError("a stream's name, unit and kind are texts")
        number = row.get("id", -1)  # a stream with a pseudonym has none
        if type(number) is not int or ("id" in row and number < 0):
            raise ValueError("a stream's id is an integer")
        wire = row.get("n", short(number) if number >= 0 else "")
        if not isinstance(wire, str) or not wire:
            raise ValueError("a stream's short name is a text")
        if number >= 0 and wire != short(number):
            self._aliases[short(number)] = wire
        view = self._view(wire)
        view.id, view.name, view.unit, view.exponent = number, row["name"], row["unit"], row["exponent"]
        view.kind, view.period_s, view.retired = row["kind"], row["period_s"], row.get("retired") is True

    def _view(self, wire: str) -> StreamView:
        if wire not in self.streams:
            self.streams[wire] = StreamView(stream_id(wire))
        return self.streams[wire]

    def _take(self, samples: list[Sample]) -> list[Sample]:
        new = []
        for sample in samples:
            wire = self._aliases.get(sample.name, sample.name)
            key = (sample.epoch, sample.seq, wire)
            self.account.sample(key)
            if key in self._seen:
                self.duplicates += 1
                continue
            self._seen.add(key)
            self.decoded += 1
            view = self._view(wire)
            view.count += 1
            view.last = sample
            view.recent.append(sample.value)
            if self.keep:
                view.samples.append(sample)
            new.append(sample)
        return new

    @property
    def waiting(self) -> int:
        """Compact packets that cannot be read yet: their schema has not come."""
        return len(self._waiting)

    @property
    def payload_sha256(self) -> str:
        """Over the payloads of d/, h/, c/ and event, in order of arrival."""
        return self._hash.hexdigest()

    def stream(self, name: str) -> StreamView:
        """A stream by its readable name, the one that is still there where others have had it; KeyError names the choices."""
        for view in sorted(self.streams.values(), key=lambda view: view.retired):
            if view.name == name:
                return view
        known = ", ".join(sorted(view.name for view in self.streams.values() if view.name))
        raise KeyError(f"no stream {name!r} has arrived; there are: {known or 'none'}")

    def named(self, wire: str) -> StreamView | None:
        """The stream of this short name on the wire."""
        return self.streams.get(self._aliases.get(wire, wire))


class District:
    """The collectors of all gateways under a root, made as they appear."""

    def __init__(self, root: str = "district/v1", site: str = "", gateway: str = "", keep: bool = True):
        """`site`, `gateway`: only these."""
        self.root = root.strip("/")
        self.site, self.gateway, self.keep = site, gateway, keep
        self.gateways: dict[str, Collector] = {}  # "site/gateway"

    @property
    def topic_filter(self) -> str:
        return f"{self.root}/{self.site or '+'}/{self.gateway or '+'}/#"

    def collector(self, topic: str) -> Collector | None:
        """The one that this topic belongs to; None for topics of others."""
        if not topic.startswith(self.root + "/"):
            return None
        parts = topic[len(self.root) + 1 :].split("/")
        if len(parts) < 3 or (self.site and parts[0] != self.site) or (self.gateway and parts[1] != self.gateway):
            return None
        name = f"{parts[0]}/{parts[1]}"
        if name not in self.gateways:
            self.gateways[name] = Collector(f"{self.root}/{name}", self.keep)
        return self.gateways[name]

    def feed(self, topic: str, payload: bytes) -> list[Sample]:
        collector = self.collector(topic)
        return collector.feed(topic, payload) if collector else []

    def __iter__(self) -> Iterator[tuple[str, Collector]]:
        return iter(sorted(self.gateways.items()))
