"""A row of the gateway's answer, made harmless: it came over a serial line, and goes to terminals and into HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Words = Mapping[
    str, tuple[str, str]
]  # what a row says, or how that begins -> (what was seen, what to do), to be filled in

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


def in_words(words: Words, row: Row, **facts: str | int) -> tuple[str, str] | None:
    """Of the first key that what the row says begins with; None where there is none. {said}, {of} and the facts are filled in."""
    for beginning, (what, advice) in words.items():
        if row.said.startswith(beginning):
            facts |= {"said": row.said, "of": row.of}
            return what.format(**facts), advice.format(**facts)
    return None


def at(place: str) -> str:
    """Says " at PLACE", as the end of what was seen; "" where nobody knows the place."""
    return f" at {place}" if place else ""
