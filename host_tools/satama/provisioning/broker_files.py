"""What the broker must be told of the gateways: lines for mosquitto's password file and its access list.

Each gateway is a user of its own that may publish under its own topic only and read its own commands. With client
certificates the user name is the certificate's common name (`use_identity_as_username true`). See mosquitto.conf(5) and
mosquitto_passwd(1). Lines of others in these files stay as they are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.problems import Problem, Problems
from ..core.whole_file import write_whole

PASSWORDS, ACCESS = "mosquitto.passwd", "mosquitto.acl"
_ROUNDS = 101  # as mosquitto_passwd: enough, since what is hashed has 192 random bits


def write_passwords(folder: Path, passwords: Mapping[str, str]) -> Path:
    """Put user -> password into the password file, as hashes (PBKDF2-HMAC-SHA512). Raises Problems."""
    path = folder / PASSWORDS
    lines = _lines(path)
    at = {line.partition(":")[0]: number for number, line in enumerate(lines)}
    for user, password in passwords.items():
        if user not in at:
            lines.append(f"{user}:{password_hash(password)}")
        elif not is_hash_of(password, lines[at[user]].partition(":")[2]):
            lines[at[user]] = f"{user}:{password_hash(password)}"
    write_whole(path, ("\n".join(lines) + "\n").encode(), secret=True)
    return path


def write_access(folder: Path, topics: Mapping[str, Sequence[str]]) -> Path:
    """Put user -> topics of its gateways, such as district/v1/kalasatama/cab-01, into the access list. Raises Problems.

    A gateway that has moved to another site keeps no right to its old topic; what else a user may do stays.
    """
    path = folder / ACCESS
    lines = _lines(path)
    for user, own in topics.items():
        rights = [right for topic in own for right in _rights(topic)]
        start, stop = _block(lines, user)
        if start:
            gateways = {_gateway(topic) for topic in own}
            lines[start:stop] = rights + [line for line in lines[start:stop] if _gateway(_topic(line)) not in gateways]
        else:
            lines += [*([""] if lines else []), f"user {user}", *rights]
    write_whole(path, ("\n".join(lines) + "\n").encode())
    return path


def other_topics(folder: Path, topics: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """(user, topic) of what else these users may publish, as another gateway perhaps. Raises Problems."""
    lines = _lines(folder / ACCESS)
    found = {(user, _topic(line)): None for user in topics for line in lines[slice(*_block(lines, user))]}
    return [(user, topic) for user, topic in found if topic and topic not in topics[user]]


def _rights(topic: str) -> list[str]:
    """What a gateway may do: lines of its user."""
    return [f"topic write {topic}/#", f"topic read {topic}/cmd/#", f"topic read {topic}/certs/#"]


def _topic(line: str) -> str:
    """Of the gateway whose right this line is; empty where it is another line."""
    for right in _rights("*"):
        begin, _, end = right.partition("*")
        if line.startswith(begin) and line.endswith(end):
            return line[len(begin) : -len(end)]
    return ""


def _gateway(topic: str) -> str:
    return topic.rpartition("/")[2]


def _block(lines: list[str], user: str) -> tuple[int, int]:
    """Where the lines of a user begin and end; (0, 0) where there are none."""
    if f"user {user}" not in lines:
        return 0, 0
    start = lines.index(f"user {user}") + 1
    return start, next((n for n in range(start, len(lines)) if lines[n].startswith("user ")), len(lines))


def password_hash(password: str, salt: bytes | None = None, rounds: int = _ROUNDS) -> str:
    salt = os.urandom(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def is_hash_of(password: str, text: str) -> bool:
    try:
        _, kind, rounds, salt, _ = text.split("$")
        made = password_hash(password, base64.b64decode(salt), int(rounds))
    except (ValueError, OverflowError):
        return False
    return kind == "7" and hmac.compare_digest(made, text)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        hint = "is it yours to read, and a file of mosquitto?"
        raise Problems([Problem(path, None, "", "the file cannot be read", hint)]) from None
