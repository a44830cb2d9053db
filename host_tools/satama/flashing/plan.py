"""What goes where: everything that a board gets, ready before its port is opened, and whether it fits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..boards.board import Board, list_boards, load_board
from ..compiling.compiler import Compiled
from ..packing import image
from . import partition_table, table_sector
from .errors import WRONG_USE, FlashError
from .esp_image import BOOTLOADER_AT, with_flash_size
from .partition_table import TABLE_AT, Entry
from .stock import APPLICATION_AT, Stock
from .table_sector import Found

DATA, JOURNAL = 1, 0x40
FILESYSTEM = "filesystem"
CHIP_NAMES = {"esp32": "ESP32", "esp32s3": "ESP32-S3", "esp32c3": "ESP32-C3"}


@dataclass(frozen=True)
class Region:
    """Bytes at a place in the flash."""

    name: str
    at: int
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def md5(self) -> str:
        return hashlib.md5(self.data).hexdigest()


@dataclass(frozen=True)
class Plan:
    """All that a board gets. `table` comes last: with it the board starts. `digest`: of the filesystem's files."""

    board: Board
    stock: Stock
    rows: list[Entry]
    note: dict[str, str]
    regions: list[Region]
    table: Region
    digest: str

    def without_table(self, erase: list[str]) -> bytes:
        """What stands at the table's place meanwhile: that of the partitions that keep what they have."""
        return table_sector.parked([row for row in self.rows if row.name not in erase], self.note)

    def room(self, name: str) -> tuple[int, int]:
        """(offset, bytes) of a partition."""
        part = self.board.partitions[name]
        return part.offset, part.size


def make_plan(board: Board, compiled: Compiled, stock: Stock) -> Plan:
    """Raises FlashError: something does not fit together, or does not fit in."""
    if compiled.body["board"] != board.name:
        what = f"the site file is for the board {compiled.body['board']}, not for {board.name}"
        raise FlashError(
            f"{what} -> leave --board out, or change [site] board in the site file", "other_board", WRONG_USE
        )
    if stock.chip != board.chip:
        what = f"the firmware is for the {CHIP_NAMES[stock.chip]}, but the board {board.name} has an {CHIP_NAMES[board.chip]}"
        raise FlashError(f"{what} -> take {board.firmware_name}-....bin", "other_chip", WRONG_USE)
    application = board.partitions.get("factory")
    if application is None or application.offset != APPLICATION_AT:
        what = (
            f"the board file of {board.name} has no partition 'factory' at 0x{APPLICATION_AT:X}, where MicroPython lies"
        )
        raise FlashError(f"{what} -> correct its [partitions]", "board_file", WRONG_USE)
    if len(stock.application) > application.size:
        over = len(stock.application) - application.size
        what = (
            f"MicroPython {stock.version} is {over} bytes too large for the {application.size} of the board's partition"
        )
        raise FlashError(f"{what} -> take an older release, or a build without extras", "too_large")
    try:
        files = image.device_files(compiled.data, certificates=compiled.certificates)
        filesystem = image.filesystem(files, board.partitions["vfs"].size)
    except image.ImageError as error:
        raise FlashError(str(error), "too_large") from None
    rows = partition_table.entries(board)
    note = {"site": compiled.body["site"], "gateway": compiled.body["gateway"]}
    return Plan(
        board, stock, rows, note,
        [
            Region("boot loader", BOOTLOADER_AT[board.chip], with_flash_size(stock.bootloader, board.flash_bytes)),
            Region("application", APPLICATION_AT, stock.application),
            Region(FILESYSTEM, board.partitions["vfs"].offset, filesystem),
        ],
        Region("partition table", TABLE_AT, table_sector.finished(rows, note)),
        image.digest(files),
    )  # fmt: skip


def check_chip(plan: Plan, chip: str, revision: int, flash_bytes: int | None) -> None:
    """Is what is connected what the board file says? Raises FlashError; nothing was changed by then.

    revision   100 x major + minor
    flash_bytes   None when the flash does not tell
    """
    board, stock = plan.board, plan.stock
    if chip != board.chip:
        found = CHIP_NAMES.get(chip, chip)
        others = [name for name in list_boards() if load_board(name).chip == chip]
        hint = f"name the board that it is: {', '.join(others)}" if others else "Satama does not run on that chip"
        what = f"an {found} is connected, but the board {board.name} has an {CHIP_NAMES[board.chip]}"
        raise FlashError(f"{what} -> {hint}", "wrong_chip")
    if not stock.min_revision <= revision <= stock.max_revision:
        asks = f"{_revision(stock.min_revision)} or newer"
        if revision > stock.max_revision:
            asks = f"{_revision(stock.max_revision)} or older"
        what = f"the chip is revision {_revision(revision)}, but MicroPython {stock.version} asks for {asks}"
        raise FlashError(f"{what} -> take another release, or another board", "wrong_revision")
    if flash_bytes is None:
        what = "the flash does not say how large it is"
        raise FlashError(f"{what} -> is something wired to the flash's pins? try another board", "no_flash")
    if flash_bytes < board.flash_bytes:
        what = f"the flash has {flash_bytes >> 20} MiB, but the board {board.name} {board.flash_bytes >> 20} MiB"
        raise FlashError(f"{what} -> name the right board, or write a board file for this one", "small_flash")


def _revision(number: int) -> str:
    return f"v{number // 100}.{number % 100}"


def has_journal(found: Found) -> bool:
    """Whether the board's table, or what is left of it, names a journal: then the board was ours."""
    return _old_journal(found) is not None


def may_be_stray(found: Found) -> bool:
    """Whether a journal may be there although no table says so: the cable was pulled amid that sector, or a stock
    image was written over it."""
    return not has_journal(found) and not found.unfinished


def _old_journal(found: Found) -> Entry | None:
    return next((row for row in found.rows or [] if row.type == DATA and row.subtype == JOURNAL), None)


def to_erase(plan: Plan, found: Found, stray: bool, erase_journal: bool) -> list[str]:
    """Names of the partitions that must not keep what they have: NVS and journal of a board that was not ours.

    stray   a gateway's journal stands at this board's place for it, without a table
    Raises FlashError when samples would be lost, or told under another gateway's name.
    """
    old = _old_journal(found)
    nvs_stays = stray or (
        (bool(found.note) or old is not None)
        and any(row.name == "nvs" and row in plan.rows for row in found.rows or [])
    )
    erase = [] if nvs_stays else ["nvs"]
    if old is None:
        return erase if stray and not erase_journal else [*erase, "journal"]
    if erase_journal:
        return [*erase, "journal"]
    anyway = "let it deliver first, then flash with --erase-journal, which loses what is left"
    if old not in plan.rows:
        what = (
            "the board has a journal at another place, and this would overwrite samples that may not be delivered yet"
        )
        raise FlashError(f"{what} -> {anyway}", "journal_elsewhere")
    if found.note and found.note != plan.note:
        was, becomes = (f"{note.get('site', '?')}/{note.get('gateway', '?')}" for note in (found.note, plan.note))
        what = f"the board was {was}: samples in its journal would be told as those of {becomes}"
        raise FlashError(f"{what} -> name the right site file; or {anyway}", "other_gateway")
    return erase
