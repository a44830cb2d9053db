"""The table of cabinets: a CSV with one row for each board, every mistake told with its row and column.

Columns, the first two in every row:

gateway        name of the gateway, unique in the district
site           the site file, often shared by many rows; relative to the table, as all files here
port           serial port of this board, where they hang on a hub side by side
mac            MAC address printed on the module: only that board becomes this gateway
mqtt_user, mqtt_password        how it logs in at the broker
client_cert, client_key         or by which certificate
wifi_password  where the network gives each device its own
location, label                 text for the label and the record

Other columns are kept in the record as they are. At most 1000 rows. Separated by comma, semicolon or tab; UTF-8.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.problems import SECRET, Key, Problem, Problems, closest
from .pdf import is_shown

REQUIRED = ("gateway", "site")
SECRETS = ("mqtt_password", "wifi_password")
FILES = ("site", "client_cert", "client_key")
COLUMNS = (*REQUIRED, "port", "mac", "mqtt_user", *SECRETS, *FILES[1:], "location", "label")
OVERRIDES: dict[str, Key] = {
    "gateway": ("site", "gateway"),
    "mqtt_user": ("mqtt", "user"),
    "mqtt_password": ("mqtt", "password"),
    "client_cert": ("mqtt", "client_cert"),
    "client_key": ("mqtt", "client_key"),
    "wifi_password": ("network", "password"),
}
"""Column -> what it stands for in the site file."""

_PAIRS = (("mqtt_user", "mqtt_password"), ("client_cert", "client_key"))
_UNIQUE = ("gateway", "mac")
_MOST_TEXT = 80  # characters of a location or label: what a label has room for
_MOST_BYTES = 4 << 20
_MOST_ROWS = 1000  # all of them are compiled and kept at once; one bench flashes some 300 a day
_SECRET_TOO = re.compile(r"pwd|\bpin\b|salasana|tunnusluku|lösenord|kennwort|geheim", re.IGNORECASE)
_UNSEEN = ("Cc", "Zl", "Zp")  # Unicode categories of control characters and line breaks
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-]?)(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")


@dataclass(frozen=True)
class Cabinet:
    """One row. `line` is where it stands in the table, from 1; files are absolute, the MAC is written 24:0a:c4:00:00:01."""

    line: int
    gateway: str
    site: Path
    port: str = ""
    mac: str = ""
    mqtt_user: str = ""
    mqtt_password: str = field(default="", repr=False)
    wifi_password: str = field(default="", repr=False)
    client_cert: Path | None = None
    client_key: Path | None = None
    location: str = ""
    label: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def overrides(self) -> dict[Key, Any]:
        """What it has of its own, for compile_site."""
        return {key: str(getattr(self, name)) for name, key in OVERRIDES.items() if getattr(self, name)}

    @property
    def has_credentials(self) -> bool:
        return bool(self.mqtt_password or self.client_cert)

    @property
    def file_name(self) -> str:
        """Of files that belong to it; a colon is no part of a file's name everywhere."""
        return self.gateway.replace(":", "_")


@dataclass(frozen=True)
class Table:
    """`unknown`: names of the columns that are kept only; `problems`: of rows, which are no cabinets then; `notes`: no
    mistakes, but worth a thought."""

    path: Path
    cabinets: list[Cabinet]
    unknown: list[str]
    problems: list[Problem]
    notes: list[Problem]


def read_table(path: Path) -> Table:
    """All that can be seen without looking into the site files. Raises Problems where no row can be told from another."""
    rows = _rows(path)
    if not rows:
        raise Problems([Problem(path, None, "", "the table is empty", f"its first row names the columns: {_names()}")])
    (head_line, head), *body = rows
    if len(body) > _MOST_ROWS:
        what = f"the table has {len(body)} rows, and at most {_MOST_ROWS} are taken"
        raise Problems([Problem(path, body[_MOST_ROWS][0], "", what, "a table for each delivery, or for each bench")])
    names = [cell.strip() for cell in head]
    if problems := list(_check_head(path, head_line, names)):
        raise Problems(problems)
    cabinets, problems = [], []
    for line, cells in body:
        cabinet, found = _cabinet(path, line, names, cells)
        problems += found
        cabinets += [cabinet] if cabinet else []
    problems += [*_twice(path, cabinets), *_two_passwords(path, cabinets)]
    if not body:
        problems.append(Problem(path, head_line, "", "the table names no cabinet", "one row for each board"))
    unknown = [name for name in names if name and name not in COLUMNS]
    return Table(path, cabinets, unknown, problems, list(_notes(path, cabinets)))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of all rows that are not blank."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Problems([Problem(path, None, "", "the file is too large for a table of cabinets", "a CSV is read")])
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        hint = "save it as CSV UTF-8; a workbook (.xlsx) is exported as that first"
        raise Problems([Problem(path, line, "", "the table is not UTF-8 text", hint)]) from None
    except FileNotFoundError:
        beside = sorted(one.name for one in path.parent.glob("*.csv")) if path.parent.is_dir() else []
        hint = closest(path.name, beside, f"CSV files in {path.parent}")
        raise Problems([Problem(path, None, "", "there is no such table", hint)]) from None
    except OSError as error:
        raise Problems([Problem(path, None, "", f"the table cannot be read: {error.strerror}")]) from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1  # a quoted cell may go over several lines
    except csv.Error as error:
        hint = 'a cell with a quote is written "so ""quoted"" here", and closed'
        raise Problems([Problem(path, line, "", f"from this row on the table cannot be read: {error}", hint)]) from None
    return rows


def _names() -> str:
    return ", ".join(COLUMNS)


def _check_head(path: Path, line: int, names: list[str]) -> Iterator[Problem]:
    for at, name in enumerate(names):
        if name and name in names[:at]:
            yield Problem(path, line, name, f"column '{name}' stands there twice", "take one of them out")
        if name in COLUMNS or not name:
            continue
        near = difflib.get_close_matches(name.lower().replace(" ", "_").replace("-", "_"), COLUMNS, n=1, cutoff=0.8)
        if near:
            hint = f"did you mean '{near[0]}'? (known: {_names()})"
            yield Problem(path, line, name, f"there is no column '{name}'", hint)
        elif SECRET.search(name) or _SECRET_TOO.search(name):
            what = (
                f"column '{name}' sounds like a secret, and columns that are not known go into the record as they are"
            )
            yield Problem(path, line, name, what, f"take it out, or rename it to one of: {_names()}")
    for name in REQUIRED:
        if name not in names and not difflib.get_close_matches(name, names, n=1, cutoff=0.8):
            yield Problem(
                path, line, name, f"column '{name}' is missing", f"the first row names the columns: {_names()}"
            )


def _cabinet(path: Path, line: int, names: list[str], cells: list[str]) -> tuple[Cabinet | None, list[Problem]]:
    problems: list[Problem] = []

    def wrong(column: str, what: str, hint: str) -> None:
        problems.append(Problem(path, line, column, f"column {column}: {what}" if column else what, hint))

    if any(cell.strip() for cell in cells[len(names) :]):
        wrong("", f"the row has {len(cells)} cells, but there are {len(names)} columns",
              "a cell that holds the separator stands in quotes")  # fmt: skip
        return None, problems
    given = dict(zip(names, cells, strict=False))
    # A password may begin or end with a blank, nothing else may.
    values = {name: given.get(name, "") if name in SECRETS else given.get(name, "").strip() for name in COLUMNS}
    for name in REQUIRED:
        if not values[name]:
            wrong(name, "nothing stands there", "every row needs it")
    for name, value in values.items():
        if any(unicodedata.category(c) in _UNSEEN for c in value):
            wrong(name, "holds a line break or another control character", "one line of text")
        elif name in ("location", "label") and len(value) > _MOST_TEXT:
            wrong(name, f"{len(value)} characters are too long for a label", f"at most {_MOST_TEXT}")
    for one, other in _PAIRS:
        for here, there in ((one, other), (other, one)):
            if values[here] and not values[there]:
                wrong(there, f"nothing stands there, but {here} is given", "both, or none of them")
    if values["mac"] and not (mac := _mac(values["mac"])):
        wrong(
            "mac", f'"{values["mac"][:24]}" is no MAC address of a board', "as printed on the module: 24:0a:c4:00:00:01"
        )
    elif values["mac"]:
        values["mac"] = mac
    for name in FILES:
        if values[name] and not _is_file(path.parent / values[name]):
            wrong(name, f"there is no file {values[name]}", f"the path is relative to {path.name}")
    if problems:
        return None, problems
    files = {name: (path.parent / values.pop(name)).resolve() if values[name] else None for name in FILES}
    extra = {name: given[name] for name in names if name and name not in COLUMNS and given.get(name)}
    return Cabinet(line, extra=extra, **{k: v for k, v in values.items() if k not in FILES}, **files), problems


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # its name is too long, or a folder on the way is not ours
        return False


def _mac(text: str) -> str:
    """In lower case with colons; empty where it is none, or that of a group."""
    digits = re.sub(r"[:-]", "", text).lower()
    if not _MAC.fullmatch(text) or int(digits[:2], 16) & 1 or not int(digits, 16):
        return ""
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _twice(path: Path, cabinets: list[Cabinet]) -> Iterator[Problem]:
    for name in _UNIQUE:
        first: dict[str, Cabinet] = {}
        for cabinet in cabinets:
            value = cabinet.file_name.casefold() if name == "gateway" else getattr(cabinet, name)
            if not value:
                continue
            owner = first.setdefault(value, cabinet)
            if owner is cabinet:
                continue
            what = f'column {name}: "{getattr(cabinet, name)}" stands in row {owner.line}, too'
            if getattr(owner, name) != getattr(cabinet, name):
                what = f'column {name}: "{cabinet.gateway}" and "{owner.gateway}" in row {owner.line} are hard to tell apart'
            yield Problem(path, cabinet.line, name, what, "every board is another one")


def _two_passwords(path: Path, cabinets: list[Cabinet]) -> Iterator[Problem]:
    first: dict[str, Cabinet] = {}
    for cabinet in cabinets:
        owner = first.setdefault(cabinet.mqtt_user, cabinet)
        if cabinet.mqtt_password != owner.mqtt_password and cabinet.mqtt_user:
            what = f'column mqtt_password: user "{cabinet.mqtt_user}" has another one in row {owner.line}'
            yield Problem(path, cabinet.line, "mqtt_password", what, "a user of its own for each cabinet")


def _notes(path: Path, cabinets: list[Cabinet]) -> Iterator[Problem]:
    for name in ("mqtt_password", "client_cert"):
        first: dict[Any, int] = {}
        for cabinet in cabinets:
            value = getattr(cabinet, name)
            if value and first.setdefault(value, cabinet.line) != cabinet.line:
                what = f"column {name}: the same as in row {first[value]}: who opens one cabinet is let in as both"
                yield Problem(path, cabinet.line, name, what, "one of its own for each, e.g. by --make-passwords")
    ports: dict[str, int] = {}
    for cabinet in cabinets:
        if cabinet.port and ports.setdefault(cabinet.port, cabinet.line) != cabinet.line:
            what = f'column port: "{cabinet.port}" stands in row {ports[cabinet.port]}, too, and with --yes nobody waits there'
            yield Problem(path, cabinet.line, "port", what, "--port, for boards that come one after the other")
        for name in SECRETS:
            if (value := getattr(cabinet, name)) != value.strip():
                what = f"column {name}: begins or ends with a blank, which is taken as a part of it"
                yield Problem(path, cabinet.line, name, what, "remove it where it slipped in")
        for name in ("location", "label"):
            if not is_shown(getattr(cabinet, name)):
                what = f"column {name}: holds letters that a label shows as ?"
                yield Problem(
                    path, cabinet.line, name, what, "labels print the letters of Western Europe (Windows-1252)"
                )
    if any(cabinet.mqtt_password or cabinet.wifi_password for cabinet in cabinets) and open_to_others(path):
        hint = f"chmod 600 {path.name}"
        yield Problem(path, None, "", "the table holds passwords, and other users of this machine may read it", hint)


def open_to_others(path: Path) -> bool:
    """May other users of this machine read it? (Only known on POSIX.)"""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
