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
    return json.loads(body)
