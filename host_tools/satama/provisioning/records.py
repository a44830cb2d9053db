"""What was flashed where: a file of JSON lines that only grows, read again to go on where a batch was cut off.

Each line is one object:

when           UTC, 2026-05-04T10:20:30Z
result         begun, flashed or failed; a cabinet is done when its latest line but begun says flashed
row, gateway, site, site_file, location, label, extra     from the table and the site file
board, chip, mac, port
firmware       {"version", "sha256"} of the MicroPython image
application    SHA-256 over the application's files, config: hash of the configuration; both without any secret
image          seal over all of the device's files: whether it has to be written again
credentials    {"user", "certificate"} of the broker: name, SHA-256 of the certificate; seals of passwords and keys
selftest       {"passed", "red": [checks]}, or null where none was made
error          why it failed
seconds, tool  how long it took, and version of satama

A seal is an HMAC-SHA-256 with a key that lies beside the file, for its owner's eyes only: the file may be handed on, and
nobody can try on it whether a passphrase is the right one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..ids import write_whole
from ..image import application, digest
from ..problems import Problem, Problems
from .cabinets import Cabinet
from .prepare import Order

FILE, KEY_FILE = "records.jsonl", "seal.key"
BEGUN, FLASHED, FAILED = "begun", "flashed", "failed"
_KEY_BYTES = 32


class Records:
    """The record file of a folder. Raises Problems when it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.notes: list[Problem] = []
        self._key_path = folder / KEY_FILE
        self._key = self._read_key()
        self.lines = self._read()

    def latest(self, gateway: str) -> dict[str, Any] | None:
        """What became of it last; a line that only says that it was begun does not count."""
        return next((row for row in reversed(self.lines) if row["gateway"] == gateway and row["result"] != BEGUN), None)

    def is_done(self, order: Order) -> bool:
        """Has its board got just these files?"""
        row = self.latest(order.cabinet.gateway)
        return bool(row and row["result"] == FLASHED and row.get("image") == self.image_seal(order))

    def had_credentials(self, gateway: str) -> bool:
        """Was it flashed with a password or a certificate?"""
        held = (self.latest(gateway) or {}).get("credentials", {})
        return bool(held.get("password_seal") or held.get("certificate"))

    def owner_of(self, mac: str) -> str:
        """The gateway that the board with this MAC became last, or was about to become; empty if it is new."""
        return next((row["gateway"] for row in reversed(self.lines) if mac and row.get("mac") == mac), "")

    def board_of(self, gateway: str) -> str:
        """The MAC of the board that became this gateway last."""
        return next((row["mac"] for row in reversed(self.lines) if row["gateway"] == gateway and row.get("mac")), "")

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
        return row

    def image_seal(self, order: Order) -> str:
        return self.seal(digest(order.files))

    def seal(self, secret: str | bytes) -> str:
        """The same for the same secret, and of no use to those who do not have the key; empty for none."""
        text = secret.encode() if isinstance(secret, str) else secret
        return hmac.new(self._key, text, hashlib.sha256).hexdigest() if text else ""

    def require_writable(self) -> None:
        """Before the first board is touched: make the folder and the key. Raises Problems."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab"):
                pass
        except OSError as error:
            raise Problems([_unwritable(self.path, error)]) from None
        if not self._key_path.exists():
            write_whole(self._key_path, self._key.hex().encode() + b"\n", secret=True)

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

    def _read(self) -> list[dict[str, Any]]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Problems([Problem(self.path, None, "", f"the record cannot be read: {error.strerror}")]) from None
        rows = []
        texts = data.rstrip().split(b"\n")
        for number, text in enumerate(texts, 1):
            row = _parsed(text)
            if row is not None:
                rows.append(row)
            elif text.strip():
                cut = " (the last one: a run was cut off)" if number == len(texts) else ""
                what = f"this line is damaged and does not count{cut}"
                hint = "its cabinet is flashed again, unless another line says that it is done"
                self.notes.append(Problem(self.path, number, "", what, hint))
        return rows


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
    except ValueError:
        return None
    if not isinstance(row, dict) or row.get("result") not in (BEGUN, FLASHED, FAILED):
        return None
    texts = all(isinstance(row.get(name, ""), str) for name in ("site", "mac", "location", "label", "image"))
    sound = texts and isinstance(row.get("gateway"), str) and isinstance(row.get("credentials", {}), dict)
    return row if sound else None


def _gap(file: Any) -> bytes:
    """A line break where the last line has none: what was cut off must not damage the next one."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _unwritable(path: Path, error: OSError) -> Problem:
    what = f"the record cannot be written: {error.strerror}"
    return Problem(path, None, "", what, "is the folder writable, and is there space? --records DIR is another one")
