"""Made-up stock firmware for tests: laid out as a MicroPython .bin for ESP32 boards, but what it holds is random.

Nothing of it runs. Headers, segments, checksums, hashes and descriptions are as esptool and the boot loader want them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .image_format import APP_DESCRIPTION, APP_DESCRIPTION_MAGIC, build_image
from .kinds import KINDS
from .partitions import APP, DATA, FACTORY, TABLE_OFFSET, Partition, write_table

APP_OFFSET = 0x10000
IDF_VERSION = "v5.4.2"
_ALIGN = 0x10000  # pages of flash that the cache maps
_HEADERS = 24 + 3 * 8


@dataclass(frozen=True)
class _Layout:
    """Where an image's segments are loaded to, and what its header says."""

    flash_size: int
    frequency: int
    min_revision: int
    max_revision: int
    rodata: int
    dram: int
    text: int
    bootloader: tuple[int, int, int]


_LAYOUTS = {
    "esp32": _Layout(
        *(4 << 20, 0x0, 0, 399),
        *(0x3F400020, 0x3FFB0000, 0x400D0020),
        bootloader=(0x3FFF0030, 0x40078000, 0x40080400),
    ),
    "esp32s3": _Layout(
        *(8 << 20, 0xF, 0, 99),
        *(0x3C000020, 0x3FC90000, 0x42000020),
        bootloader=(0x3FCE2810, 0x403C8700, 0x403CB700),
    ),
    "esp32c3": _Layout(
        *(4 << 20, 0xF, 3, 199),
        *(0x3C000020, 0x3FC90000, 0x42000020),
        bootloader=(0x3FCD5820, 0x403CBF10, 0x403CE710),
    ),
}

STOCK_TABLE = [
    Partition("nvs", DATA, 0x02, 0x9000, 0x6000),
    Partition("phy_init", DATA, 0x01, 0xF000, 0x1000),
    Partition("factory", APP, FACTORY, APP_OFFSET, 0x1F0000),
]


def stock_image(
    chip: str,
    version: str = "v1.26.1",
    *,
    app_bytes: int = 256 * 1024,
    min_revision: int | None = None,
    project: str = "micropython",
    table: list[Partition] | None = None,
    flash_size: int | None = None,
) -> bytes:
    """A whole .bin: boot loader, table at 0x8000, application at 0x10000, gaps FF. The file's first byte belongs to where
    the chip's boot loader lies (0x1000 on the ESP32, 0 on the others).

    version        as `git describe` of MicroPython: "v1.26.1", "v1.27.0-preview-12-g0123abcdef"
    app_bytes      length of the application image, at least 96 KiB; a real one has about 1.7 MB
    min_revision   major * 100 + minor that both images ask for; default as in stock builds
    flash_size     in bytes, of the boot loader's header; default as in stock builds
    """
    start = KINDS[chip].bootloader_offset
    whole = bytearray(bootloader_image(chip, min_revision=min_revision, flash_size=flash_size))
    whole += b"\xff" * (TABLE_OFFSET - start - len(whole))
    whole += write_table(STOCK_TABLE if table is None else table)
    whole += b"\xff" * (APP_OFFSET - start - len(whole))
    return bytes(whole + app_image(chip, version, app_bytes=app_bytes, min_revision=min_revision, project=project))


def bootloader_image(chip: str, *, min_revision: int | None = None, flash_size: int | None = None) -> bytes:
    """About 20 KB."""
    layout = _LAYOUTS[chip]
    dice = random.Random(f"{chip} boot loader")
    # esp_bootloader_desc_t: magic, version of the boot loader, ESP-IDF, when built
    description = (
        b"\x50\0\0\0" + b"\1\0\0\0" + IDF_VERSION.encode().ljust(32, b"\0") + b"Jan  1 2026 00:00:00".ljust(24, b"\0")
    )
    description += bytes(16)
    data, first, second = layout.bootloader
    segments = [(data, description + _noise(dice, 4000)), (first, _noise(dice, 12000)), (second, _noise(dice, 3600))]
    return _image(chip, segments, first + 0x100, min_revision, flash_size)


def app_image(
    chip: str,
    version: str = "v1.26.1",
    *,
    app_bytes: int = 256 * 1024,
    min_revision: int | None = None,
    project: str = "micropython",
) -> bytes:
    """An application image of `app_bytes`, rounded down to 16."""
    layout = _LAYOUTS[chip]
    dice = random.Random(f"{chip} {version} {app_bytes} {project}")
    description = APP_DESCRIPTION.pack(
        *(APP_DESCRIPTION_MAGIC, 0, version.encode(), project.encode()),
        *(b"00:00:00", b"Jan  1 2026", IDF_VERSION.encode(), dice.randbytes(32), 0, 0xFFFF, 16),
    )
    rodata = description + _noise(dice, app_bytes // 4 // 16 * 16 - len(description))
    # mapped segments lie on pages: what is copied to RAM fills the gap between two of them
    gap = -(24 + 8 + len(rodata) + 8 + 8 - layout.text) % _ALIGN
    text = app_bytes // 16 * 16 - 32 - 4 - _HEADERS - len(rodata) - gap
    if text < 16:
        raise ValueError(f"no application of {app_bytes} bytes: at least 96 KiB")
    segments = [(layout.rodata, rodata), (layout.dram, _noise(dice, gap)), (layout.text, _noise(dice, text))]
    return _image(chip, segments, layout.text + 0x100, min_revision, None)


def _image(
    chip: str, segments: list[tuple[int, bytes]], entry: int, min_revision: int | None, flash_size: int | None
) -> bytes:
    layout = _LAYOUTS[chip]
    return build_image(
        KINDS[chip].image_chip_id,
        segments,
        entry=entry,
        flash_size=layout.flash_size if flash_size is None else flash_size,
        frequency=layout.frequency,
        min_revision=layout.min_revision if min_revision is None else min_revision,
        max_revision=layout.max_revision,
    )


_SIX_BITS = bytes(range(0x40, 0x80)) * 4


def _noise(dice: random.Random, length: int) -> bytes:
    """Random bytes that compress to about three quarters, as machine code does."""
    return dice.randbytes(length).translate(_SIX_BITS)
