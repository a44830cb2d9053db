"""A stock MicroPython file for ESP32 boards: boot loader, partition table and application in one.

Source: MicroPython ports/esp32/makeimg.py. The application's description is empty in stock builds (sdkconfig.base leaves project
name and version out), so what it is and how old stands in the text that its REPL greets with (py/mpconfig.h).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import WRONG_USE, FlashError
from .esp_image import BOOTLOADER_AT, CHIPS, MAGIC, OTHER_CHIPS, EspImage, ImageFault, chip_id, read_image
from .partition_table import TABLE_AT, TABLE_BYTES, Entry, TableFault, parse

APPLICATION_AT = 0x10000
OLDEST = (1, 24)
_NAMED = re.compile(
    r"([A-Z][A-Z0-9_]*(?:-[A-Z][A-Z0-9_]*)?)-(?:\d{8}-)?v\d"
)  # ESP32_GENERIC-SPIRAM-20250911-v1.26.1.bin
_DESCRIPTION_MARK = b"\x32\x54\xcd\xab"  # esp_app_desc_t
_GREETING = re.compile(rb"MicroPython ([!-~]{1,60}) on (\d{4}-\d\d-\d\d)")
_NUMBER = re.compile(r"v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?![\d.])")
_GET = "take the .bin that micropython.org/download offers for your board"
_LOOKS_LIKE = (
    (b"UF2\n", "is a UF2 file, made for copying to a USB drive", "take the .bin beside it"),
    (b"PK\x03\x04", "is a zip archive", "unpack it and name the .bin inside"),
    (b"\x1f\x8b", "is a gzip archive", "unpack it and name the .bin inside"),
    (b"\x7fELF", "is an ELF file", "take the .bin beside it"),
    (b"<", "is a web page, not the file behind its link", "download the .bin itself"),
    (b"version https://git-lfs", "only points to a file that git LFS keeps", "run git lfs pull"),
)  # fmt: skip


@dataclass(frozen=True)
class Stock:
    """What is in the file. Revisions of the chip are 100 x major + minor."""

    chip: str
    version: str  # as the REPL says it, e.g. "v1.26.1"
    number: tuple[int, int, int]
    built: str
    min_revision: int
    max_revision: int
    sha256: str
    bootloader: bytes
    application: bytes
    remarks: tuple[str, ...] = ()


def build_of(name: str) -> str:
    """Which of MicroPython's builds a file is, by its name, e.g. "ESP32_GENERIC-SPIRAM"; "" when that does not tell."""
    found = _NAMED.match(name)
    return found[1] if found else ""


def load_stock(path: Path) -> Stock:
    """Read a file. Raises FlashError: it is not there, or nothing that can be flashed."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FlashError(f"there is no file {path} -> {_GET}", "no_firmware", WRONG_USE) from None
    except OSError as error:
        raise FlashError(
            f"{path} cannot be read: {error.strerror} -> check name and rights", "no_firmware", 2
        ) from None
    return read_stock(data, path.name)


def read_stock(data: bytes, name: str) -> Stock:
    """Take a stock image apart and check every part. Raises FlashError."""
    chip = _chip(data, name)
    start = BOOTLOADER_AT[chip]
    table_at, application_at = TABLE_AT - start, APPLICATION_AT - start
    try:
        bootloader = read_image(data[:table_at])
    except ImageFault as fault:
        if data.find(_DESCRIPTION_MARK, 0, 0x100) >= 0:
            raise _fault(f"{name} is an application without its boot loader -> {_GET}", "not_stock") from None
        raise _fault(f"{name} is damaged: its boot loader {fault} -> download it again", "damaged") from None
    if len(data) < application_at:
        if data.find(_DESCRIPTION_MARK, 0, 0x100) >= 0:
            raise _fault(f"{name} is an application without its boot loader -> {_GET}", "not_stock")
        what = f"{name} ends after {len(data)} bytes, before its application: the download broke off"
        raise _fault(f"{what} -> download it again", "damaged")
    _check_layout(data[table_at : table_at + TABLE_BYTES], name)
    application = _application(data[application_at:], name, chip)
    body = data[application_at : application_at + application.length]
    version, number, built = _version(body, application, name)
    remarks = []
    if "preview" in version or "dirty" in version:
        remarks.append(f"{name} is MicroPython {version}, which is not a release")
    if rest := data[application_at + application.length :].strip(b"\xff"):
        remarks.append(f"{len(rest)} bytes behind the application of {name} are left out")
    return Stock(
        chip, version, number, built,
        max(bootloader.min_revision, application.min_revision), min(bootloader.max_revision, application.max_revision),
        hashlib.sha256(data).hexdigest(), data[: bootloader.length], body, tuple(remarks),
    )  # fmt: skip


def _fault(text: str, kind: str) -> FlashError:
    return FlashError(text, kind, WRONG_USE)


def _chip(data: bytes, name: str) -> str:
    if not data:
        raise _fault(f"{name} is empty -> download it again", "damaged")
    for mark, what, instead in _LOOKS_LIKE:
        if data.startswith(mark):
            raise _fault(f"{name} {what} -> {instead}", "not_stock")
    if not data.strip(b"\xff") or (data[0] == 0xFF and data[0x1000:0x1001] == bytes([MAGIC])):
        raise _fault(f"{name} is a copy of a whole flash, not a stock file -> {_GET}", "not_stock")
    if data[0] != MAGIC or len(data) < 24:
        raise _fault(f"{name} is no firmware for an ESP32 -> {_GET}", "not_stock")
    number = chip_id(data)
    if number not in CHIPS:
        other = OTHER_CHIPS.get(number, f"chip number {number}")
        raise _fault(f"{name} is for the {other}; Satama runs on ESP32, ESP32-S3 and ESP32-C3 -> {_GET}", "other_chip")
    return CHIPS[number]


def _check_layout(table: bytes, name: str) -> None:
    try:
        rows = parse(table)
    except TableFault as fault:
        raise _fault(f"{name} is damaged: its partition table {fault} -> download it again", "damaged") from None
    applications: list[Entry] = [row for row in rows if row.type == 0]
    if not applications:
        raise _fault(f"{name} has no partition for an application: not a stock file -> {_GET}", "not_stock")
    if any(row.subtype for row in applications):
        raise _fault(f"{name} is a build for updates over the air (OTA) -> take the build without OTA", "other_layout")
    if applications[0].offset != APPLICATION_AT:
        where = f"0x{applications[0].offset:X} instead of 0x{APPLICATION_AT:X}"
        raise _fault(f"{name} has its application at {where}: a layout of its own -> {_GET}", "other_layout")


def _application(data: bytes, name: str, chip: str) -> EspImage:
    try:
        image = read_image(data)
    except ImageFault as fault:
        raise _fault(f"{name} is damaged: its application {fault} -> download it again", "damaged") from None
    if image.chip != chip:
        other = image.chip or OTHER_CHIPS.get(image.chip_id, f"chip number {image.chip_id}")
        raise _fault(f"{name} has a boot loader for {chip} and an application for {other} -> {_GET}", "other_chip")
    return image


def _version(body: bytes, image: EspImage, name: str) -> tuple[str, tuple[int, int, int], str]:
    project, version = _description(body, image)
    if found := _GREETING.search(body):
        text, built = found[1].decode("ascii", "replace"), found[2].decode()
    elif project == "micropython":  # a build of one's own that fills in the description
        text, built = version, ""
    else:
        what = f", but {project} {version}".rstrip() if project else ""
        raise _fault(f"{name} is not MicroPython{what} -> {_GET}", "not_micropython")
    parts = _NUMBER.match(text)
    if not parts:
        what = f'{name} is a MicroPython of somebody\'s own that calls its version "{text}"'
        raise _fault(f"{what}: whether the gateway runs there is unknown -> {_GET}", "custom_build")
    number = (int(parts[1]), int(parts[2]), int(parts[3] or 0))
    if number[:2] < OLDEST:
        what = f"{name} is MicroPython {text}, which is too old: the gateway needs v{OLDEST[0]}.{OLDEST[1]} or newer"
        raise _fault(f"{what} -> {_GET}", "too_old")
    return text, number, built


def _description(body: bytes, image: EspImage) -> tuple[str, str]:
    """(project, version) of esp_app_desc_t; "" where it leaves them out."""
    _, at, _ = image.segments[0]
    if body[at : at + 4] != _DESCRIPTION_MARK:
        return "", ""
    version, project = (
        "".join(
            filter(str.isprintable, body[at + start : at + start + 32].partition(b"\0")[0].decode("ascii", "ignore"))
        )
        for start in (16, 48)
    )
    return project, version
