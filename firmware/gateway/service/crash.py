"""The crash record: what went wrong, in whose turn and where, small enough to outlive the restart.

At most 300 bytes: one that says whether it has been told, then JSON {"error", "task", "at", "heap_free", "heap_largest", "uptime_s",
"of_epoch"}. Nothing secret gets into it, whatever an exception says.
"""

import io
import json
import sys

from micropython import const

LONGEST = const(300)
_TEXT = const(80)  # characters of an exception
_WHERE = const(60)


def name(error, secrets):
    """ "ValueError: syntax error in JSON", bounded; of the texts that nobody may read nothing is left.

    Without `secrets` (None) only its type: what a household's meter said may be part of the text.
    """
    if secrets is None:
        return type(error).__name__
    text = str(error)
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return (type(error).__name__ + ": " + text if text else type(error).__name__)[:_TEXT]


def trace(error, secrets):
    """What sys.print_exception shows of it, with the same care."""
    out = io.StringIO()
    sys.print_exception(error, out)
    lines = [line for line in out.getvalue().split("\n") if secrets is not None or line.startswith("  File ")]
    text = "\n".join(lines)
    for secret in secrets or ():
        if secret:
            text = text.replace(secret, "***")
    return text


def where(text):
    """ "gateway/uplink/sender.py:88", the last frame of a trace; "" without one.

    Frames are lines `  File "...", line N, in name`.
    """
    found = ""
    for line in text.split("\n"):
        parts = line.strip().split('"')
        if line.startswith('  File "') and len(parts) == 3 and parts[2].startswith(", line "):
            found = parts[1] + ":" + parts[2][7:].split(",")[0]
    return found[-_WHERE:]


def packed(body, told):
    """The record as bytes."""
    data = json.dumps(body).encode()
    if len(data) >= LONGEST:  # what is escaped in JSON can become six times as long
        body = dict(body)
        body["error"] = body["error"].split(":")[0][:20]
        body["at"] = ""
        data = json.dumps(body).encode()[: LONGEST - 1]
    return (b"\1" if told else b"\0") + data


def unpacked(data):
    """(told, body) of such bytes, None for others."""
    if not data or data[0] > 1:
        return None
    try:
        body = json.loads(data[1:])
    except ValueError:
        return None
    return (bool(data[0]), body) if isinstance(body, dict) else None
