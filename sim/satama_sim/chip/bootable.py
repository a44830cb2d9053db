"""Whether a chip would start what is in its flash, and what it says if not.

The way of the ROM and of the boot loader of stock MicroPython: boot loader image, partition table, application image. Which
of several OTA slots is meant (otadata) is not looked at: the factory application is taken, or else the first OTA slot.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..board.flash import NorFlash
from .image_format import Image, ImageError, read_image
from .kinds import KINDS
from .partitions import APP, FACTORY, OTA_SLOTS, TABLE_OFFSET, TABLE_SIZE, Partition, TableError, read_table

_IMAGE_LIMIT = 4 << 20


@dataclass
class Boot:
    """What a start found.

    partitions    those of the table, as far as it was read
    application   the partition that is started; None: none is
    fault         what the console says when none is, lines separated by CR LF; "" when all is well
    loaded        the boot loader's image, when the ROM could load it
    rom_fault     the ROM itself found no boot loader: it says so again and again
    """

    partitions: list[Partition] = field(default_factory=list)
    application: Partition | None = None
    fault: str = ""
    loaded: Image | None = None
    rom_fault: bool = False


def check(flash: NorFlash | bytes, chip: str, revision: tuple[int, int] | None = None) -> Boot:
    """What the chip does with this flash. `chip`: a name of KINDS; `revision`: (major, minor), default one of today."""
    kind = KINDS[chip]
    content = flash.data if isinstance(flash, NorFlash) else flash
    major, minor = kind.revision if revision is None else revision
    number = major * 100 + minor

    def image(offset: int, room: int, by_rom: bool = False) -> Image:
        data = bytes(content[offset : offset + _IMAGE_LIMIT])  # it is read to its end, whatever the partition's size
        return read_image(data, offset, room, kind.image_chip_id, number, by_rom)

    boot = Boot()
    try:
        boot.loaded = image(kind.bootloader_offset, TABLE_OFFSET - kind.bootloader_offset, by_rom=True)
    except ImageError as error:
        boot.rom_fault = True
        boot.fault = _rom_words(error)
        return boot
    try:
        table = bytes(content[TABLE_OFFSET : TABLE_OFFSET + TABLE_SIZE])
        boot.partitions = read_table(table, boot.loaded.flash_size)
    except TableError as error:
        boot.fault = f"{error}\r\nE boot: Failed to verify partition table\r\nE boot: load partition table error!"
        return boot
    said = []
    for part, title in _applications(boot.partitions):
        try:
            image(part.offset, part.size)
        except ImageError as error:
            said += [str(error), f"E boot: {title} is not bootable"]
        else:
            if len(content) < boot.loaded.flash_size:
                boot.fault = _too_small(len(content), boot.loaded.flash_size)
            else:
                boot.application = part
            return boot
    boot.fault = "\r\n".join([*said, "E boot: No bootable app partitions in the partition table"])
    return boot


def _applications(partitions: list[Partition]) -> list[tuple[Partition, str]]:
    apps = [part for part in partitions if part.type == APP]
    factory = [(part, "Factory app partition") for part in apps if part.subtype == FACTORY]
    slots = sorted((part for part in apps if part.subtype in OTA_SLOTS), key=lambda part: part.subtype)
    return factory + [(part, f"OTA app partition slot {part.subtype - OTA_SLOTS.start}") for part in slots]


def _too_small(size: int, header_size: int) -> str:
    """The application itself looks first whether the flash is as large as it was told (ESP-IDF, esp_flash_spi_init.c)."""
    return (
        f"E spi_flash: Detected size({size >> 10}k) smaller than the size in the binary image header({header_size >> 10}k). "
        "Probe failed.\r\nassert failed: do_core_init startup.c (flash_ret == ESP_OK)"
    )


def _rom_words(error: ImageError) -> str:
    if error.stage == "magic":
        return f"invalid header: 0x{error.magic:08x}"
    if error.stage == "checksum":
        return "csum err\r\nets_main.c 371"
    # A boot loader for another chip, or half a one: the ROM jumps into it, and only the watchdog ends that. Judged: no
    # source says what each chip prints.
    return "ets_main.c 371"
