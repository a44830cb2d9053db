"""The module on the board, soldered together: the chip that loads what is in flash, and the virtual board that runs it.

Whatever resets the board goes through the chip's ROM and boot loader: they look into the flash as it is then, and say on the console
what they find. Download mode ends the application in the middle of what it does, as on silicon.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

from satama.boards.board import Board

from .board.board import SimBoard
from .board.flash import BLOCK
from .chip import Chip
from .chip.kinds import KINDS
from .chip.partitions import TABLE_OFFSET, Partition, with_filesystem, write_table
from .chip.stock import APP_OFFSET, app_image, bootloader_image
from .vm.modules.ops import HARD, POWER_ON

_NVS_MAGIC = b"simulated nvs\n"


class Module:
    """`chip` is a satama_sim.chip.Chip whose application is the board's VM; its `send` has all that the console shows."""

    def __init__(self, board: SimBoard, spec: Board):
        usb_jtag = getattr(spec.console, "reset", "classic") == "usb-jtag"
        self._board = board
        self._planned: tuple[int, str] | None = (
            None  # a reset that the board asked for: its cause, and the words for it
        )
        self.chip = Chip(
            spec.chip,
            board.flash,
            board.traits.unique_id,
            self._run,
            self._end,
            usb_jtag=usb_jtag,
            baud=spec.console.baud,
        )
        self.chip.to_app = board.send_console
        self._by_pin = (HARD, "reset over USB") if usb_jtag else (POWER_ON, "reset by the pin")
        board.bootloader = self._boot
        board.on_print.append(self.chip.from_app)
        board.nvs.on_commit = self._keep_nvs

    def _boot(self, cause: int, why: str) -> None:
        self._planned = (cause, why)
        self.chip.power_on()
        self._planned = None

    def _run(self) -> None:
        cause, why = self._planned or self._by_pin
        board = self._board
        board.stop(heard=False)
        if not self._planned and cause == POWER_ON:
            board.forget_rtc()
        parts = with_filesystem(self.chip.boot.partitions, board.flash.size)
        board.traits.partitions = [(part.type, part.subtype, part.offset, part.size, part.name) for part in parts]
        self._read_nvs()
        board.start(cause, why)

    def _end(self) -> None:
        self._board.stop(heard=False)

    # NVS lives in its partition, in a form of the simulator's own: erasing the flash forgets it.

    def _nvs_room(self) -> tuple[int, int] | None:
        for kind, subtype, offset, size, _ in self._board.traits.partitions:
            if (kind, subtype) == (1, 0x02):
                return offset, size
        return None

    def _keep_nvs(self) -> None:
        room = self._nvs_room()
        if not room:
            return
        rows = [[kind, key.hex(), value.hex()] for (kind, key), value in sorted(self._board.nvs.committed.items())]
        text = json.dumps(rows).encode()
        content = _NVS_MAGIC + zlib.crc32(text).to_bytes(4, "big") + len(text).to_bytes(4, "big") + text
        offset, size = room
        if len(content) <= size:
            length = -(-len(content) // BLOCK) * BLOCK
            self._board.flash.data[offset : offset + length] = content.ljust(length, b"\xff")

    def _read_nvs(self) -> None:
        nvs = self._board.nvs
        nvs.committed.clear()
        room = self._nvs_room()
        if not room:
            return
        content = self._board.flash.read(*room)
        start = len(_NVS_MAGIC) + 8
        crc, length = (int.from_bytes(content[at : at + 4], "big") for at in (start - 8, start - 4))
        text = content[start : start + length]
        if content.startswith(_NVS_MAGIC) and zlib.crc32(text) == crc:
            for kind, key, value in json.loads(text):
                nvs.committed[kind, bytes.fromhex(key)] = bytes.fromhex(value)


def flashed(spec: Board, filesystem: bytes) -> bytes:
    """What a flash tool leaves on the chip of this board: a made-up stock firmware, our partition table, the filesystem; the rest is FF.

    filesystem   the image of the partition vfs
    """
    content = bytearray(b"\xff" * spec.flash_bytes)
    entries = sorted(spec.partitions.items(), key=lambda item: item[1].offset)
    table = [Partition(name, part.type, part.subtype, part.offset, part.size) for name, part in entries]
    pieces: Mapping[int, bytes] = {
        KINDS[spec.chip].bootloader_offset: bootloader_image(spec.chip, flash_size=spec.flash_bytes),
        TABLE_OFFSET: write_table(table),
        APP_OFFSET: app_image(spec.chip),
        spec.partitions["vfs"].offset: filesystem,
    }
    for offset, piece in pieces.items():
        content[offset : offset + len(piece)] = piece
    return bytes(content)
