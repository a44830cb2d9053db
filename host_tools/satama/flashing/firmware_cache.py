"""Firmware files on this machine, so that a van without network can flash: by SHA-256, with origin and date.

    CACHE/firmware/index.json   {"format": 1, "files": {SHA-256: {"name", "bytes", "chip", "version", "origin", "fetched"}}}
    CACHE/firmware/SHA-256.bin

The index is replaced in one step, after the file that it names. What stands in it is checked when it is used; what it does not
say of a file, or says wrongly, comes from the file itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..boards.board import Board
from .errors import WRONG_USE, FlashError
from .stock import build_of, load_stock

_FORMAT = 1
_SHA256 = re.compile("[0-9a-f]{64}")
_TEXTS = ("name", "chip", "version", "origin", "fetched")


@dataclass(frozen=True)
class Cached:
    """One file. `name` as it came; `fetched`: date and time in UTC; `damaged`: it is not what was put in, or away."""

    sha256: str
    name: str
    bytes: int
    chip: str
    version: str
    origin: str
    fetched: str
    damaged: bool = False

    @property
    def build(self) -> str:
        """Which of MicroPython's builds it is, e.g. "ESP32_GENERIC-SPIRAM"; "" when its name does not tell."""
        return build_of(self.name)

    @property
    def age_key(self) -> tuple[tuple[int, ...], str]:
        """Newer versions sort behind older ones; of one version the one fetched last, behind."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version.partition("-")[0])), self.fetched


def cache_folder() -> Path:
    """SATAMA_CACHE, or the user's own cache folder as the system has it (on Linux: XDG Base Directory Specification). Raises FlashError."""
    if own := os.environ.get("SATAMA_CACHE"):
        return Path(own)
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "satama" / "cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "satama"
        given = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (given if given.is_absolute() else Path.home() / ".cache") / "satama"
    except RuntimeError:
        what = "this user has no home folder to store firmware in"
        raise FlashError(f"{what} -> name a folder in SATAMA_CACHE, or take --firmware FILE", "cache", 2) from None


class FirmwareCache:
    """The firmware below a cache folder; made when the first file comes. Raises FlashError where it cannot read or write."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or cache_folder()) / "firmware"
        self._index = self.folder / "index.json"

    def add(self, path: Path, origin: str) -> Cached:
        """Take a stock file in, checked; one that is there already only gets the new origin and date."""
        stock = load_stock(path)
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Cached(sha256, path.name, len(data), stock.chip, stock.version, origin, now)
        with self._told():
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(self.path(entry), data)
            rows = {old.sha256: old for old in self._read()} | {sha256: entry}
            body = {
                key: {k: v for k, v in asdict(row).items() if k not in ("sha256", "damaged")}
                for key, row in rows.items()
            }
            _replace(self._index, json.dumps({"format": _FORMAT, "files": body}, indent=1, sort_keys=True).encode())
        return entry

    def entries(self) -> list[Cached]:
        """All files, by build and age; each was read and compared with its checksum."""
        with self._told():
            return sorted(map(self._checked, self._read()), key=lambda row: (row.chip, row.build, row.age_key))

    def path(self, entry: Cached) -> Path:
        return self.folder / f"{entry.sha256}.bin"

    def newest_for(self, board: Board) -> Cached:
        """The newest release that suits a board. Raises FlashError with what to do when there is none."""
        suit = [row for row in self.entries() if row.chip == board.chip]
        known = [row for name in board.firmware_names for row in suit if row.build == name]
        named = known or [row for row in suit if not row.build]
        whole = [row for row in named if not row.damaged]
        if whole:
            return max(
                whole, key=lambda row: (row.build == board.firmware_name, "preview" not in row.version, row.age_key)
            )
        if named:
            what = f"the stored {named[0].name} is damaged -> fetch it again: satama fetch FILE"
            raise FlashError(what, "no_firmware", WRONG_USE)
        where = f"get {board.firmware_name}-....bin from micropython.org/download, then: satama fetch FILE (or name it with --firmware)"
        raise FlashError(
            f"no firmware for the board {board.name} is stored on this machine -> {where}", "no_firmware", WRONG_USE
        )

    def _read(self) -> list[Cached]:
        rows = self._listed()
        known = {f"{row.sha256}.bin" for row in rows}
        return rows + [
            row for path in sorted(self.folder.glob("*.bin")) if path.name not in known for row in _found(path)
        ]

    def _listed(self) -> list[Cached]:
        """What the index says and can be believed."""
        try:
            body = json.loads(self._index.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return []
        files = body.get("files") if isinstance(body, dict) and body.get("format") == _FORMAT else None
        rows = [_row(sha256, about) for sha256, about in files.items()] if isinstance(files, dict) else []
        return [row for row in rows if row]

    def _checked(self, row: Cached) -> Cached:
        try:
            whole = hashlib.sha256(self.path(row).read_bytes()).hexdigest() == row.sha256
        except FileNotFoundError:
            whole = False
        return row if whole else Cached(**asdict(row) | {"damaged": True})

    @contextlib.contextmanager
    def _told(self):  # type: ignore[no-untyped-def]
        try:
            yield
        except OSError as error:
            what = f"the cache {self.folder} cannot be used: {error.strerror}"
            raise FlashError(
                f"{what} -> free space, or name another folder in SATAMA_CACHE", "cache", WRONG_USE
            ) from None


def _row(sha256: str, about: Any) -> Cached | None:
    """An entry of the index; None when it cannot be one."""
    if not (_SHA256.fullmatch(sha256) and isinstance(about, dict)):
        return None
    texts, size = {key: about.get(key) for key in _TEXTS}, about.get("bytes")
    if not all(isinstance(text, str) for text in texts.values()) or type(size) is not int:
        return None
    return Cached(sha256=sha256, bytes=size, **texts)  # type: ignore[arg-type]  # all texts


def _found(path: Path) -> list[Cached]:
    """What a file says of itself; nothing when it is no firmware."""
    with contextlib.suppress(FlashError, OSError):
        stock, about = load_stock(path), path.stat()
        when = datetime.fromtimestamp(about.st_mtime, UTC).isoformat(timespec="seconds")
        return [Cached(stock.sha256, path.name, about.st_size, stock.chip, stock.version, "unknown", when)]
    return []


def _replace(path: Path, data: bytes) -> None:
    """The whole file or the old one, whatever happens."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
