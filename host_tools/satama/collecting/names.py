"""Who the streams of a payload are: from birth messages or from the site file, for `satama decode`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..core.problems import Problem, Problems
from ..payloads.compact import schema_of
from .collector import Collector

_CLASSES = ("alarm", "counter", "telemetry")
_BASE = "decode"  # the names come by files here, not by topics


class Names:
    """Streams by short name, and the schemas of compact packets by id."""

    def __init__(self) -> None:
        self._collector = Collector(_BASE, keep=False)
        self.schemas: dict[int, Any] = {}

    def of(self, wire: str) -> tuple[str, str]:
        """(readable name, unit) of a short name; itself and no unit where nothing is known."""
        view = self._collector.named(wire)
        return (view.name or wire, view.unit) if view else (wire, "")

    def add_birth(self, path: Path) -> None:
        """A retained birth/<device>, one JSON object or several lines of them. Raises Problems."""
        for line, content in _objects(path):
            before = self._collector.errors
            self._collector.feed(f"{_BASE}/birth/x", json.dumps(content).encode())
            if self._collector.errors > before:
                what = f"no birth message of a device: {self._collector.last_error.partition(': ')[2]}"
                raise Problems([Problem(path, line, "", what, "save the retained message birth/<device>")])

    def add_schema(self, path: Path) -> None:
        """A retained schema/<id>, one or several lines of them. Raises Problems."""
        for line, content in _objects(path):
            try:
                found = schema_of(content)
            except (ValueError, KeyError, TypeError) as error:
                hint = "save the retained message schema/<id>"
                raise Problems([Problem(path, line, "", f"no schema message: {error}", hint)]) from None
            self.schemas[found.id] = found

    def add_site(self, path: Path) -> None:
        """All streams of a site file as it is now. Raises Problems."""
        from ..compiling.compiler import compile_site

        rows: dict[tuple[int, int], list[list[int]]] = {}
        births = []
        for stream in compile_site(path, write_ids=False).body["streams"]:
            number, name, unit, exponent, kind, klass, period_s = stream[:7]
            births.append({"id": number, "name": name, "unit": unit, "exponent": exponent, "kind": kind})
            births[-1]["period_s"] = period_s
            rows.setdefault((klass, period_s), []).append([number, exponent])
        self._collector.feed(f"{_BASE}/birth/x", json.dumps({"streams": births}).encode())
        for (klass, period_s), streams in rows.items():
            found = schema_of({"class": _CLASSES[klass], "period_s": period_s, "streams": sorted(streams)})
            self.schemas[found.id] = found


def _objects(path: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problems([Problem(path, None, "", f"the file cannot be read: {error}")]) from None
    try:
        parts = [(1, json.loads(text))]
    except json.JSONDecodeError:
        parts = []
        for line, row in enumerate(text.splitlines(), 1):
            if row.strip():
                try:
                    parts.append((line, json.loads(row)))
                except json.JSONDecodeError as error:
                    raise Problems([Problem(path, line, "", f"no JSON: {error.msg}")]) from None
    wrong = next((line for line, content in parts if not isinstance(content, dict)), None)
    if wrong is not None or not parts:
        raise Problems([Problem(path, wrong, "", "no JSON object stands here")])
    return parts
