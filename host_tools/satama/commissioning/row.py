"""A row of the gateway's answer, made harmless: it came over a serial line, and goes to terminals and into HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LONGEST = 120


class Row:
    """`check`, `of`, `said`: texts; `ok`: True, False or None; `waits`; the figures by text() and number()."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self.check, self.of, self.said = self.text("check"), self.text("of"), self.text("said")
        ok = row.get("ok")
        self.ok = ok if isinstance(ok, bool) else None
        self.waits = row.get("waits") is True
        self.remark = False  # an advice is worth giving though all is well

    def text(self, key: str) -> str:
        """Printable, one line, not too long; "" for what is not there."""
        value = self._row.get(key)
        if value is None or isinstance(value, dict | list):
            return ""
        return "".join(c if c.isprintable() else "?" for c in str(value))[:_LONGEST]

    def number(self, key: str) -> int:
        """0 for what is not there, or no number."""
        value = self._row.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0

    def table(self, key: str) -> dict[str, int]:
        """A dict of numbers."""
        value = self._row.get(key)
        return {str(k)[:_LONGEST]: v for k, v in value.items() if isinstance(v, int)} if isinstance(value, dict) else {}
