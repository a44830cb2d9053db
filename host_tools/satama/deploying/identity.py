"""Is this the gateway, on the board, that the site file is about? Asked before anything is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..boards.chips import CHIPS


class Wanted(NamedTuple):
    """Whom a site file is about. `board_seen`: somebody has looked at the board; asked for where a gateway does not say which one it is."""

    gateway: str
    board: str
    chip: str
    board_seen: bool = False


def why_not_gateway(status: Mapping[str, Any], wanted: Wanted) -> str | None:
    """Why the one that answers so to `status` is not it, and what to do."""
    if status.get("gateway") == wanted.gateway:
        return None
    return (
        f"this is the gateway {status.get('gateway')!r}, the site file is that of {wanted.gateway!r} "
        "-> plug into the right cabinet, or take its site file"
    )


def why_not_board(slots: Mapping[str, Any], wanted: Wanted) -> str | None:
    """Why the one that answers so to `slots` must not get it: pins, partitions and chip are the board's."""
    board, chip = slots.get("board"), chip_of(str(slots.get("machine", "")))
    if chip and chip != wanted.chip:
        return (
            f"the gateway runs on an {_title(chip)}, but the board {wanted.board} of the site file has an {_title(wanted.chip)} "
            "-> correct the board in the site file, or put that board into the cabinet and flash it: satama flash"
        )
    if board is None:
        if wanted.board_seen:
            return None
        return (
            "this gateway's application is too old to say which board it runs on -> look at the board; if it is the one of the site file: "
            f"the same command with --board {wanted.board}"
        )
    if board != wanted.board:
        return (
            f"the gateway runs on the board {board}, the site file is for {wanted.board} "
            f"-> correct the site file; if the board is a {wanted.board} all the same, write it anew: satama flash"
        )
    return None


def chip_of(machine: str) -> str | None:
    """The chip that MicroPython's os.uname().machine tells of, as board files name it; None when it tells of none.

    It ends in "with ESP32", "with ESP32S3", "with ESP32-S3R8", "with ESP32-PICO-D4" (MICROPY_HW_MCU_NAME of the builds in ports/esp32).
    """
    found = re.search(r" with ESP32(?:-?([SCHPE][1-9]\d*))?[^ ]*$", machine)
    return "esp32" + (found[1] or "").lower() if found else None


def _title(chip: str) -> str:
    return CHIPS[chip].title if chip in CHIPS else chip.upper()
