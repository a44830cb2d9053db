"""What tells the three chips apart: ids, addresses of registers, flash offsets, boot texts.

Sources: esptool (targets/esp32.py, esp32s3.py, esp32c3.py) for what a host reads; Espressif's technical reference manuals
for the names; ROM texts as printed by modules of these chips.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SpiRegisters:
    """The SPI peripheral that drives the flash; offsets from `base`."""

    base: int
    user: int
    user2: int
    data0: int
    miso_length: int
    address_shift: int  # the address register holds address << this


@dataclass(frozen=True)
class Kind:
    """A chip. Addresses are absolute."""

    name: str
    title: str
    image_chip_id: int  # in image headers, and what GET_SECURITY_INFO tells
    knows_security_info: bool
    magic: int  # read at 0x40001000
    bootloader_offset: int
    flash_begin_words: int
    spi: SpiRegisters
    mac: int  # bytes 2 to 5 here, 0 and 1 in the word that follows
    revision: tuple[int, int]  # of a chip that is bought today: (major, minor)
    secure_boot: tuple[int, int]  # register, mask of its bits
    encryption: tuple[int, int]  # register, lowest bit of the 3 that count
    watchdog: tuple[int, int] | None  # its CONFIG0 and its write lock; the ESP32's cannot reset from download mode
    usb_jtag: tuple[int, int] | None  # where the ROM notes the port in use, and its number for USB-Serial-JTAG
    rom_text: str
    app_boot: str
    download_boot: str
    causes: dict[str, str]  # what the ROM says of a reset by "pin", "watchdog", "software", "usb"
    fixed: dict[int, int] = field(default_factory=dict)  # further registers


_SPI2 = SpiRegisters(base=0x60002000, user=0x18, user2=0x20, data0=0x58, miso_length=0x28, address_shift=0)

_S3_C3_CAUSES = {
    "pin": "rst:0x1 (POWERON)",
    "watchdog": "rst:0x10 (RTCWDT_RTC_RST)",
    "software": "rst:0x3 (RTC_SW_SYS_RST)",
    "usb": "rst:0x15 (USB_UART_CHIP_RESET)",
}

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="esp32",
            title="ESP32",
            image_chip_id=0,
            knows_security_info=False,
            magic=0x00F01D83,
            bootloader_offset=0x1000,
            flash_begin_words=4,
            spi=SpiRegisters(base=0x3FF42000, user=0x1C, user2=0x24, data0=0x80, miso_length=0x2C, address_shift=8),
            mac=0x3FF5A004,
            revision=(3, 1),
            secure_boot=(0x3FF5A018, 0x30),
            encryption=(0x3FF5A000, 20),
            watchdog=None,
            usb_jtag=None,
            rom_text="ets Jul 29 2019 12:21:46\r\n\r\n",
            app_boot="boot:0x13 (SPI_FAST_FLASH_BOOT)",
            download_boot="boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
            causes={
                "pin": "rst:0x1 (POWERON_RESET)",
                "watchdog": "rst:0x10 (RTCWDT_RTC_RESET)",
                "software": "rst:0x3 (SW_RESET)",
            },
            fixed={
                0x3FF5A00C: 1 << 9,  # package D0WD
                0x3FF5A010: 128,  # the RC oscillator as measured in the factory
                0x3FF40014: 347,  # UART divider at 115200 baud: a crystal of 40 MHz
                0x3FF5F06C: 800 << 7,  # the ROM's own measurement of that crystal
            },
        ),
        Kind(
            name="esp32s3",
            title="ESP32-S3",
            image_chip_id=9,
            knows_security_info=True,
            magic=0x9,
            bootloader_offset=0,
            flash_begin_words=5,
            spi=_SPI2,
            mac=0x60007044,
            revision=(0, 2),
            secure_boot=(0x60007038, 1 << 20),
            encryption=(0x60007034, 18),
            watchdog=(0x60008098, 0x600080B0),
            usb_jtag=(0x3FCEF14C, 4),
            rom_text="ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n",
            app_boot="boot:0x8 (SPI_FAST_FLASH_BOOT)",
            download_boot="boot:0x0 (DOWNLOAD(USB/UART0))",
            causes=_S3_C3_CAUSES,
        ),
        Kind(
            name="esp32c3",
            title="ESP32-C3",
            image_chip_id=5,
            knows_security_info=True,
            magic=0x1B31506F,
            bootloader_offset=0,
            flash_begin_words=5,
            spi=_SPI2,
            mac=0x60008844,
            revision=(0, 4),
            secure_boot=(0x60008838, 1 << 20),
            encryption=(0x60008834, 18),
            watchdog=(0x60008090, 0x600080A8),
            usb_jtag=(0x3FCDF07C, 3),
            rom_text="ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\n",
            app_boot="boot:0xc (SPI_FAST_FLASH_BOOT)",
            download_boot="boot:0x4 (DOWNLOAD(USB/UART0/1))",
            causes=_S3_C3_CAUSES,
        ),
    )
}


def initial_registers(
    kind: Kind,
    mac: bytes,
    revision: tuple[int, int],
    *,
    secure_boot: bool = False,
    encryption: bool = False,
    usb_jtag: bool = False,
) -> dict[int, int]:
    """What the chip's registers hold after a reset; those left out read 0. `mac`: 6 bytes."""
    registers = {0x40001000: kind.magic, **kind.fixed}
    registers[kind.mac] = int.from_bytes(mac[2:], "big")
    registers[kind.mac + 4] = int.from_bytes(mac[:2], "big")
    major, minor = revision
    if kind.name == "esp32":
        # one bit more for each major step: word 3 bit 15, word 5 bit 20, and bit 31 of a date register
        bits = ((0x3FF5A00C, 15), (0x3FF5A014, 20), (0x3FF6607C, 31))
        for register, bit in bits[:major]:
            registers[register] = registers.get(register, 0) | 1 << bit
        registers[0x3FF5A014] = registers.get(0x3FF5A014, 0) | (minor & 3) << 24
    else:
        registers[kind.mac + 12] = (minor & 7) << 18
        registers[kind.mac + 20] = (minor >> 3) << 23 | (major & 3) << 24
    if secure_boot:
        register, mask = kind.secure_boot
        registers[register] = registers.get(register, 0) | mask
    if encryption:
        register, bit = kind.encryption
        registers[register] = registers.get(register, 0) | 1 << bit
    if usb_jtag and kind.usb_jtag:
        register, number = kind.usb_jtag
        registers[register] = number
    return registers
