"""On which line every key of a TOML text stands. tomllib does not say, and people look for a line."""

import re
import tomllib
from typing import Any

Key = tuple[str | int, ...]
"""A path in the data, e.g. ("device", 2, "points", 1)."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def key_lines(text: str, data: dict[str, Any]) -> dict[Key, int]:
    """Line (from 1) of every table header, key and array element in a valid TOML text whose data is `data`.

    A wrong line would be worse than none: if one found path does not exist in the data, nothing is returned.
    """
    scanner = _Scanner(text)
    try:
        scanner.document()
    except (IndexError, ValueError):
        return {}
    for key in scanner.lines:
        value: Any = data
        for part in key:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return {}
    return scanner.lines


class _Scanner:
    """Walks through valid TOML and notes where things start; values are skipped, tables and arrays entered."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.seen, self.newlines = text + "\n", 0, 0, 1
        self.lines: dict[Key, int] = {}
        self.arrays: dict[Key, int] = {}

    def document(self) -> None:
        table: Key = ()
        while self.blank():
            if self.text.startswith("[[", self.at):
                self.at += 2
                parts = self.dotted_key("]")
                self.at += 2
                table = (*self.resolve(parts[:-1]), parts[-1])
                self.arrays[table] = self.arrays.get(table, -1) + 1
                self.note(table)
                table += (self.arrays[table],)
                self.note(table)
            elif self.text[self.at] == "[":
                self.at += 1
                table = self.resolve(self.dotted_key("]"))
                self.at += 1
                self.note(table)
            else:
                self.pair(table)

    def blank(self, also: str = "") -> str:
        """Skip white space, comments and `also`; the next character, or "" at the end."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self.at = self.text.index("\n", self.at)
            elif self.text[self.at] in " \t\n\r" + also:
                self.at += 1
            else:
                return self.text[self.at]
        return ""

    def note(self, key: Key) -> None:
        self.newlines += self.text.count("\n", self.seen, self.at)
        self.seen = self.at
        self.lines.setdefault(key, self.newlines)

    def resolve(self, parts: list[str]) -> Key:
        """Name of a table -> its path; inside an array of tables it belongs to the last element so far."""
        key: Key = ()
        for part in parts:
            key += (part,)
            if key in self.arrays:
                key += (self.arrays[key],)
        return key

    def dotted_key(self, end: str) -> list[str]:
        parts = []
        while True:
            first, start = self.blank(), self.at
            if first in "\"'":
                self.string()
                parts.append(tomllib.loads("k=" + self.text[start : self.at])["k"])
            else:
                found = _BARE_KEY.match(self.text, start)
                if not found:
                    raise ValueError("not a key")
                self.at = found.end()
                parts.append(found[0])
            if self.blank() == end:
                return parts
            self.at += 1

    def pair(self, table: Key) -> None:
        start = self.at
        parts = self.dotted_key("=")
        after, self.at = self.at + 1, start
        for end in range(1, len(parts) + 1):
            self.note(table + tuple(parts[:end]))
        self.at = after
        self.value(table + tuple(parts))

    def value(self, key: Key) -> None:
        first = self.blank()
        if first in "\"'":
            self.string()
        elif first == "[":
            self.at += 1
            index = 0
            while self.blank(",") != "]":
                self.note((*key, index))
                self.value((*key, index))
                index += 1
            self.at += 1
        elif first == "{":
            self.at += 1
            while self.blank(",") != "}":
                self.pair(key)
            self.at += 1
        else:
            while self.text[self.at] not in ",]}#\n":
                self.at += 1

    def string(self) -> None:
        quote = self.text[self.at]
        if self.text.startswith(quote * 3, self.at):
            self.at += 3
            while not self.text.startswith(quote * 3, self.at):
                self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
                if self.at >= len(self.text):
                    raise ValueError("open string")
            self.at += 3
            while self.text[self.at] == quote:  # up to two quotes may stand right before the closing three
                self.at += 1
        else:
            self.at += 1
            while self.text[self.at] != quote:
                self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
            self.at += 1
