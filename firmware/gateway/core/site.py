"""The compiled site: one file with everything decided on the host. Its layout is told in host_tools/satama/compiler.py."""

import json
from binascii import crc32

from micropython import const

from gateway.core.errors import SettingError
from gateway.core.quality import CRC, INVALID, SHORT

VERSION = b"1"
_LONGEST_HEAD = const(64)
_PIECE = const(512)


def load(file):
    """The body of a compiled site, read from a binary file. SettingError: SHORT (cut off), CRC (damaged), INVALID (another format)."""
    head = file.read(_LONGEST_HEAD)
    end = head.find(b"\n")
    words = head[:end].split(b" ") if end > 0 else ()
    if len(words) != 4 or words[0] != b"satama-site" or words[1] != VERSION:
        raise SettingError(INVALID)
    left = int(words[2])
    file.seek(end + 1)
    crc = 0
    while left > 0:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise SettingError(SHORT)
        crc = crc32(piece, crc)
        left -= len(piece)
    if file.read(1):
        raise SettingError(SHORT)
    if crc != int(words[3], 16):
        raise SettingError(CRC)
    file.seek(end + 1)
    return _shared(json.load(file), {}, [])  # never the whole text in RAM


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
