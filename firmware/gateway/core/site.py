"""The compiled site: one file with everything decided on the host. Its layout is told in host_tools/satama/compiling/compiler.py.

Wanted at the start only: what stays of it is core.table.
"""

import json
from binascii import crc32

from micropython import const

from gateway.core.errors import SettingError
from gateway.core.quality import CRC, INVALID, SHORT
from gateway.core.table import PIECE, Table, lines

VERSION = b"2"
_LONGEST_HEAD = const(64)
_NAMES = {"points": 0, "streams": 1, "retired": 1}  # tables that stay in the file: column of the names
_HIDES = {
    "retired": 8
}  # column that says of a row whether its device has a pseudonym; without one it goes by the device


def load(file, start=0, size=None):
    """The body of a compiled site, read from a binary file, which stays open for its tables; it is `size` bytes from `start` on, without
    a size all that the file has there.

    SettingError: SHORT (cut off), CRC (damaged), INVALID (another format)."""
    body, at = _head(file, start, size)
    texts, empty = {}, []
    rows = None
    for line in lines(file, at):
        at += len(line) + 1
        if line[-1:] == b"[":
            name = json.loads(line.lstrip(b"],").rstrip(b":["))
            rows = body[name] = Table(file, at, 0, _NAMES[name], _HIDES.get(name)) if name in _NAMES else []
        elif line == b"]":
            continue
        elif line == b"}":
            break
        elif isinstance(rows, Table):
            rows.rows += 1
        else:
            rows.append(_shared(json.loads(line.rstrip(b",")), texts, empty))
    return body


def head(file, start=0, size=None):
    """What of the body is no table, of a file that is whole."""
    return _head(file, start, size)[0]


def _head(file, start, size):
    """That, and where the tables begin."""
    start = _check(file, start, size)
    for line in lines(file, start):
        return _shared(json.loads(line.rstrip(b",") + b"}"), {}, []), start + len(line) + 1
    raise SettingError(SHORT)


def _check(file, start, size):
    """Where the body begins."""
    if size is None:
        size = file.seek(0, 2) - start
    file.seek(start)
    found = file.read(_LONGEST_HEAD)
    end = found.find(b"\n")
    words = found[:end].split(b" ") if end > 0 else ()
    if len(words) != 4 or words[0] != b"satama-site" or words[1] != VERSION:
        raise SettingError(INVALID)
    left = int(words[2])
    if end + 1 + left != size:
        raise SettingError(SHORT)
    start += end + 1
    file.seek(start)
    crc = 0
    while left > 0:
        piece = file.read(min(left, PIECE))
        if not piece:
            raise SettingError(SHORT)
        crc = crc32(piece, crc)
        left -= len(piece)
    if crc != int(words[3], 16):
        raise SettingError(CRC)
    return start


def _shared(value, texts, empty):
    """The same value, with equal texts held in RAM only once, and empty lists likewise: a site repeats its few words for every point.

    What is loaded is never changed.
    """
    if isinstance(value, str):
        return texts.setdefault(value, value)
    if isinstance(value, list):
        if not value:
            return empty
        for at, item in enumerate(value):
            if isinstance(item, (str, list)):
                value[at] = _shared(item, texts, empty)
    elif isinstance(value, dict):
        for key in value:
            value[key] = _shared(value[key], texts, empty)
    return value
