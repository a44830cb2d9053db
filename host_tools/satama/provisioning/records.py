"""What was flashed where: a file of JSON lines that only grows, read again to go on where a batch was cut off.

Each line is one object:

when           UTC, 2026-05-04T10:20:30Z
result         begun, flashed or failed; a cabinet is done when its last line says flashed
row, gateway, site, site_file, location, label, extra     from the table and the site file
board, chip, mac, port
firmware       {"version", "sha256"} of the MicroPython image
application    SHA-256 over the application's files, config: hash of the configuration; both without any secret
image          seal over all of the device's files: whether it has to be written again
credentials    {"user", "certificate"} of the broker: name, SHA-256 of the certificate; seals of passwords and keys
selftest       {"passed", "red": [checks]}, or null where none was made
error, changed  why it failed, and whether the board is not as it was before
seconds, tool  how long it took, and version of satama

A seal is an HMAC-SHA-256 with a key that lies beside the file, for its owner's eyes only: the file may be handed on, and
nobody can try on it whether a passphrase is the right one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.problems import Problem, Problems
from ..core.whole_file import write_whole
from ..packing.image import application, digest
from .cabinets import Cabinet
from .one_run import one_run
from .prepare import Order

FILE, KEY_FILE = "records.jsonl", "seal.key"
_RESULTS = BEGUN, FLASHED, FAILED = "begun", "flashed", "failed"
_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,31}")  # of gateways, as in site files: files of labels bear it


class Records:
    """The record file of a folder. `notes`: what of it does not count. Raises Problems when it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._key_path = folder / KEY_FILE
        self._key = self._read_key()
        self.lines, self.notes = self._read()
        self._latest: dict[str, dict[str, Any]] = {}
        self._flashed: dict[str, dict[str, Any]] = {}
        self._owner: dict[str, str] = {}
        self._before: dict[str, str] = {}
        for row in self.lines:
            self._count(row)
        if self.lines and not self._key_path.exists():
            what = "the key of the record's seals is not there: nobody can tell which boards have got what they need"
            self.notes.append(Problem(self._key_path, None, "", what, "restore it, or all of them are flashed again"))

    def latest(self, gateway: str) -> dict[str, Any] | None:
        """Its last line; one that was begun, and no more, may be half written."""
        return self._latest.get(gateway)

    def is_done(self, order: Order) -> bool:
        """Has its board got just these files, and not become another gateway since?"""
        row = self.latest(order.cabinet.gateway)
        same = row is not None and row is self.flashed(order.cabinet.gateway)
        return same and row.get("image") == self.image_seal(order)

    def flashed(self, gateway: str) -> dict[str, Any] | None:
        """The line of the board that is this gateway: it became it, and nothing else since. A refusal that left it as it was
        does not count."""
        row = self._flashed.get(gateway)
        return row if row and self.owner_of(row.get("mac", "")) in ("", gateway) else None

    def had_credentials(self, gateway: str) -> bool:
        """Was it flashed with a password or a certificate?"""
        held = (self.latest(gateway) or {}).get("credentials", {})
        return bool(held.get("password_seal") or held.get("certificate"))

    def owner_of(self, mac: str) -> str:
        """The gateway that the board with this MAC became last, or was about to become; empty if it is new."""
        return self._owner.get(mac, "")

    def board_of(self, gateway: str) -> str:
        """The MAC of the board that is this gateway; empty where none was flashed."""
        return (self.flashed(gateway) or {}).get("mac", "")

    def add(self, result: str, order: Order, **about: Any) -> dict[str, Any]:
        """Append a line and wait until it is on the disk."""
        row = {"when": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "result": result}
        row |= _who(order) | {"credentials": self._credentials(order), "image": self.image_seal(order)}
        row |= about | {"tool": __version__}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab+") as file:
                text = json.dumps(row, ensure_ascii=False) + "\n"
                file.write(_gap(file) + text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Problems([_unwritable(self.path, error)]) from None
        self.lines.append(row)
        self._count(row)
        return row

    def image_seal(self, order: Order) -> str:
        return self.seal(order.digest)

    def seal(self, secret: str | bytes) -> str:
        """The same for the same secret, and of no use to those who do not have the key; empty for none."""
        text = secret.encode() if isinstance(secret, str) else secret
        return hmac.new(self._key, text, hashlib.sha256).hexdigest() if text else ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """For this run alone, before the first board is touched: folder, file and key are made. Raises Problems."""
        with one_run(self.path.parent, "the record", "--records DIR is another one"):
            try:
                with open(self.path, "ab"):
                    pass
            except OSError as error:
                raise Problems([_unwritable(self.path, error)]) from None
            if self._read()[0] != self.lines:
                what = "another run has written to the record meanwhile"
                raise Problems([Problem(self.path, None, "", what, "the same command again, with --resume")])
            if self._key_path.exists():
                self._key = self._read_key()
            else:
                write_whole(self._key_path, self._key.hex().encode() + b"\n", secret=True)
            yield

    def _count(self, row: dict[str, Any]) -> None:
        """What a line changes. A board that was begun and refused before it was written is whose it was before."""
        mac, gateway, result = row.get("mac", ""), row["gateway"], row["result"]
        refused = result == FAILED and row.get("changed") is False
        self._latest[gateway] = row
        if result == FLASHED:
            self._flashed[gateway] = row
        elif result == FAILED and not refused:
            self._flashed.pop(gateway, None)
        if not mac:
            return
        if refused:
            self._owner[mac] = self._before.pop(mac, self.owner_of(mac))
            return
        if result == BEGUN:
            self._before[mac] = self.owner_of(mac)
        self._owner[mac] = gateway

    def _credentials(self, order: Order) -> dict[str, str]:
        site, held = order.compiled.site, order.compiled.credentials
        return {
            "user": site.mqtt.user,
            "certificate": held.client.fingerprint if held.client else "",
            "password_seal": self.seal(site.mqtt.password.get_secret_value()),
            "key_seal": self.seal(held.client_key),
            "wifi_seal": self.seal(site.network.password.get_secret_value()),
        }

    def _read_key(self) -> bytes:
        try:
            key = bytes.fromhex(self._key_path.read_text(encoding="ascii").strip())
        except FileNotFoundError:
            return secrets.token_bytes(_KEY_BYTES)
        except (OSError, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:
            what, hint = (
                "the key of the record's seals cannot be read",
                "restore it, or move it away: then all is flashed again",
            )
            raise Problems([Problem(self._key_path, None, "", what, hint)])
        return key

    def _read(self) -> tuple[list[dict[str, Any]], list[Problem]]:
        """The lines that count, and what is wrong with the others."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return [], []
        except OSError as error:
            what, hint = f"the record cannot be read: {error.strerror}", f"the folder that holds {FILE} is asked for"
            raise Problems([Problem(self.path, None, "", what, hint)]) from None
        rows, notes = [], []
        texts = data.rstrip().split(b"\n")
        for number, text in enumerate(texts, 1):
            row = _parsed(text)
            if row and _is_sound(row):
                rows.append(row)
            elif text.strip():
                what = "this line is damaged and does not count"
                if row and isinstance(row.get("result"), str) and row["result"] not in _RESULTS:
                    what = f"this line is of another version of satama ({row.get('tool')}) and does not count"
                elif number == len(texts):
                    what += " (the last one: a run was cut off)"
                hint = "its cabinet is flashed again, unless another line says that it is done"
                notes.append(Problem(self.path, number, "", what, hint))
        return rows, notes


def _who(order: Order) -> dict[str, Any]:
    cabinet: Cabinet = order.cabinet
    body = order.compiled.body
    return {
        "row": cabinet.line,
        "gateway": cabinet.gateway,
        "site": body["site"],
        "site_file": cabinet.site.name,
        "location": cabinet.location,
        "label": cabinet.label,
        "extra": cabinet.extra,
        "board": order.compiled.board.name,
        "config": body["config"],
        "application": digest(application()),
    }


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _is_sound(row: dict[str, Any]) -> bool:
    texts = all(isinstance(row.get(name, ""), str) for name in ("site", "mac", "location", "label", "image"))
    named = isinstance(row.get("gateway"), str) and bool(_NAME.fullmatch(row["gateway"]))
    credentials = row.get("credentials", {})
    return row.get("result") in _RESULTS and texts and named and isinstance(credentials, dict)


def _gap(file: Any) -> bytes:
    """A line break where the last line has none: what was cut off must not damage the next one."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _unwritable(path: Path, error: OSError) -> Problem:
    what = f"the record cannot be written: {error.strerror}"
    return Problem(path, None, "", what, "is the folder writable, and is there space? --records DIR is another one")
