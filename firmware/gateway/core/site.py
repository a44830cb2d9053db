"""The compiled site: one file with everything decided on the host. Its layout is told in host_tools/satama/compiler.py."""

import json
from binascii import crc32

from gateway.core.errors import SettingError
from gateway.core.quality import CRC, INVALID, SHORT

VERSION = b"1"


def load(data):
    """The body of a compiled site. SettingError: SHORT (cut off), CRC (damaged), INVALID (another format)."""
    end = data.find(b"\n")
    words = data[:end].split(b" ") if 0 < end < 64 else ()
    if len(words) != 4 or words[0] != b"satama-site" or words[1] != VERSION:
        raise SettingError(INVALID)
    body = data[end + 1 :]
    if len(body) != int(words[2]):
        raise SettingError(SHORT)
    if crc32(body) != int(words[3], 16):
        raise SettingError(CRC)
    return _shared(json.loads(body), {}, [])


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
