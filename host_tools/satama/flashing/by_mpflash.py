"""Firmware by mpflash, where that is installed: it knows MicroPython's downloads. Satama does not depend on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..boards.board import Board
from .errors import WRONG_USE, FlashError
from .firmware_cache import Cached, FirmwareCache
from .plan import CHIP_NAMES

_LONGEST_S = 300


def fetch_by_mpflash(board: Board, version: str, cache: FirmwareCache) -> Cached:
    """Download the board's build (`version`: "stable", "1.26.1") into the cache. Raises FlashError."""
    build = board.firmware_name
    by_hand = f"download {build} from micropython.org/download, then: satama fetch FILE"
    program = shutil.which("mpflash")
    if program is None:
        what = "mpflash, which would download it, is not installed"
        raise FlashError(f"{what} -> pip install mpflash; or {by_hand}", "no_mpflash", WRONG_USE)
    with tempfile.TemporaryDirectory(prefix="satama-fetch-") as folder:
        try:
            done = subprocess.run(
                [program, "download", "--board", build, "--version", version],
                env=os.environ | {"MPFLASH_FIRMWARE": folder},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LONGEST_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FlashError(f"mpflash does not come to an end: {error} -> {by_hand}", "mpflash") from None
        files = [path for path in Path(folder).rglob("*.bin") if _is_for(path, build)]
        if not files:
            said = (done.stderr or done.stdout).strip().rpartition("\n")[2]
            what = f"mpflash brought no {build} {version}" + (f": {said}" if said else "")
            raise FlashError(f"{what} -> is there a network? Or {by_hand}", "mpflash")
        entries = [cache.add(path, f"mpflash download --board {build} --version {version}") for path in files]
    newest = max(entries, key=lambda row: row.age_key)
    if newest.chip != board.chip:
        what = f"mpflash brought a file for the {CHIP_NAMES[newest.chip]}"
        raise FlashError(f"{what} -> {by_hand}", "other_chip")
    return newest


def _is_for(path: Path, build: str) -> bool:
    """ESP32_GENERIC-v1.26.1.bin is for ESP32_GENERIC; ESP32_GENERIC-SPIRAM-v1.26.1.bin and ESP32_GENERIC_S3-v1.26.1.bin are not."""
    rest = path.name.removeprefix(build)
    return rest != path.name and rest[:2] in ("-v", "-1", "-2")
