"""Chooses the application slot and starts it. Small on purpose: an update never replaces this file."""

import sys


def chosen_slot():
    """ "a" or "b", from NVS; "a" on a new device."""
    from esp32 import NVS

    buffer = bytearray(1)
    try:
        NVS("satama").get_blob("slot", buffer)
    except OSError:
        return "a"
    return "b" if buffer == b"b" else "a"


slot = chosen_slot()
sys.path.insert(0, "/app_" + slot)

from gateway import start

start.main("/site_" + slot + ".bin")
