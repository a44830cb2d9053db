"""What a chip starts and what it says if it does not; made-up stock firmware; the partition table."""

import struct
import subprocess
import sys

import pytest
from chip_lab import APP_BYTES, Host, flashed
from hypothesis import given, settings
from hypothesis import strategies as st

from satama_sim.board.flash import NorFlash
from satama_sim.chip import check, stock_image
from satama_sim.chip.image_format import xor_all
from satama_sim.chip.kinds import KINDS
from satama_sim.chip.partitions import (
    TABLE_OFFSET,
    Partition,
    TableError,
    read_table,
    with_filesystem,
    write_table,
)
from satama_sim.chip.stock import APP_OFFSET, STOCK_TABLE, app_image, bootloader_image

CHIPS = sorted(KINDS)
FLASH = 4 << 20
NOT_BOOTABLE = [
    "E boot: Factory app partition is not bootable",
    "E boot: No bootable app partitions in the partition table",
]


def fault_after(kind: str, change) -> list[str]:
    """The lines of the fault after `change(content)` of a flash that was well."""
    content = bytearray(flashed(kind, FLASH).data)
    change(content)
    boot = check(bytes(content), kind)
    assert boot.application is None
    return boot.fault.split("\r\n")


@pytest.mark.parametrize("kind", CHIPS)
def test_stock_firmware_boots_and_its_partitions_are_told(kind):
    boot = check(flashed(kind, FLASH), kind)
    assert boot.fault == ""
    assert boot.application == STOCK_TABLE[2]
    assert boot.partitions == STOCK_TABLE


@pytest.mark.parametrize("kind", CHIPS)
def test_esptool_takes_the_stock_images_for_whole(kind, tmp_path):
    for name, image in (("app", app_image(kind, app_bytes=APP_BYTES)), ("boot", bootloader_image(kind))):
        path = tmp_path / f"{name}.bin"
        path.write_bytes(image)
        run = subprocess.run(
            [sys.executable, "-m", "esptool", "--chip", kind, "image-info", str(path)], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert "Checksum: " in run.stdout and run.stdout.count("(valid)") == 2 and "invalid" not in run.stdout
        assert f"({KINDS[kind].title})" in run.stdout
        if name == "app":
            assert "Project name: micropython" in run.stdout and "App version: v1.26.1" in run.stdout
        else:
            assert "Bootloader Information" in run.stdout


def test_a_stock_image_is_as_long_as_told_and_gaps_are_erased_flash():
    image = stock_image("esp32", app_bytes=200_000)
    assert len(image) == APP_OFFSET - 0x1000 + 200_000 // 16 * 16
    assert image[TABLE_OFFSET - 0x1000 + 0xC00 : APP_OFFSET - 0x1000] == b"\xff" * (APP_OFFSET - TABLE_OFFSET - 0xC00)
    assert stock_image("esp32", app_bytes=200_000) == image
    with pytest.raises(ValueError, match="96 KiB"):
        stock_image("esp32", app_bytes=64_000)


def test_blank_flash_has_the_rom_look_in_vain():
    boot = check(NorFlash(FLASH), "esp32")
    assert boot.fault == "invalid header: 0xffffffff" and boot.rom_fault and boot.partitions == []


def test_a_boot_loader_with_a_wrong_byte():
    def change(content):
        content[0x1100] ^= 1

    assert fault_after("esp32", change) == ["csum err", "ets_main.c 371"]


def test_a_boot_loader_at_the_offset_of_another_chip():
    content = bytearray(b"\xff" * FLASH)
    image = stock_image("esp32s3", app_bytes=APP_BYTES)
    content[0x1000 : 0x1000 + len(image)] = image
    assert check(bytes(content), "esp32s3").fault == "invalid header: 0xffffffff"


def test_the_rom_does_not_look_at_the_hash_of_a_boot_loader_but_it_looks_at_that_of_an_application():
    end = 0x1000 + len(bootloader_image("esp32"))
    content = bytearray(flashed("esp32", FLASH).data)
    content[end - 1] ^= 1
    assert check(bytes(content), "esp32").application
    content[APP_OFFSET + APP_BYTES - 1] ^= 1
    assert check(bytes(content), "esp32").fault.split("\r\n") == [
        "E esp_image: Image hash failed - image is corrupt",
        *NOT_BOOTABLE,
    ]


@pytest.mark.parametrize(
    ("what", "change", "said"),
    [
        ("nothing there", lambda c: c.__setitem__(APP_OFFSET, 0xFF), "image at 0x10000 has invalid magic byte"),
        ("another chip", lambda c: c.__setitem__(APP_OFFSET + 12, 9), "mismatch chip ID, expected 0, found 9"),
        ("a newer chip", lambda c: c.__setitem__(slice(APP_OFFSET + 15, APP_OFFSET + 17), struct.pack("<H", 345)),
         "Image requires chip rev >= v3.45, but chip is v3.1"),
        ("too many segments", lambda c: c.__setitem__(APP_OFFSET + 1, 17), "segment count 17 exceeds max 16"),
        ("half a write", lambda c: c.__setitem__(slice(APP_OFFSET + 0x4000, FLASH), b"\xff" * (FLASH - APP_OFFSET - 0x4000)),
         "invalid segment length 0xffffffff"),
        ("a wrong byte", lambda c: c.__setitem__(APP_OFFSET + 0x11000, c[APP_OFFSET + 0x11000] ^ 8), "Checksum failed."),
    ],
)  # fmt: skip
def test_an_application_that_is_not_started(what, change, said):
    first, *rest = fault_after("esp32", change)
    assert said in first
    assert rest == NOT_BOOTABLE


def test_an_application_for_another_chip_is_refused_though_esptool_writes_it():
    content = bytearray(flashed("esp32", FLASH).data)
    other = app_image("esp32c3", app_bytes=APP_BYTES)
    content[APP_OFFSET : APP_OFFSET + len(other)] = other
    assert check(bytes(content), "esp32").fault.startswith("E boot_comm: mismatch chip ID, expected 0, found 5")


def test_an_application_larger_than_its_partition():
    small = [*STOCK_TABLE[:2], Partition("factory", 0, 0, APP_OFFSET, 0x10000)]
    boot = check(flashed("esp32c3", FLASH, table=small), "esp32c3")
    assert boot.fault.split("\r\n")[0] == "E esp_image: Image length 131072 doesn't fit in partition length 65536"


def test_the_chips_revision_counts():
    flash = flashed("esp32c3", FLASH)
    assert check(flash, "esp32c3", (0, 3)).application
    assert "requires chip rev >= v0.3, but chip is v0.2" in check(flash, "esp32c3", (0, 2)).fault


def test_a_table_beyond_the_flash_size_of_the_boot_loaders_header_is_not_taken():
    """The chip may have more: what counts is what the boot loader's image says."""
    journal = Partition("journal", 1, 0x40, 0x300000, 0x500000)
    table = [*STOCK_TABLE, journal]
    boot = check(flashed("esp32", 8 << 20, table=table), "esp32")
    assert boot.fault.split("\r\n") == [
        "E flash_parts: partition 3 invalid - offset 0x300000 size 0x500000 exceeds flash chip size 0x400000",
        "E boot: Failed to verify partition table",
        "E boot: load partition table error!",
    ]
    assert check(flashed("esp32", 8 << 20, table=table, flash_size=8 << 20), "esp32").partitions[-1] == journal


def test_an_application_ends_at_once_on_a_flash_that_is_smaller_than_the_header_says():
    """The stock build for the S3 with 8 MB, on a module with 4."""
    boot = check(flashed("esp32s3", FLASH, flash_size=8 << 20), "esp32s3")
    assert boot.application is None
    assert "Detected size(4096k) smaller than the size in the binary image header(8192k)" in boot.fault
    assert check(flashed("esp32s3", 8 << 20, flash_size=8 << 20), "esp32s3").application
    assert check(flashed("esp32s3", 8 << 20), "esp32s3").application, "larger is well"


def test_ota_slots_count_where_there_is_no_factory_application():
    table = [
        Partition("nvs", 1, 2, 0x9000, 0x6000),
        Partition("ota_1", 0, 0x11, 0x180000, 0x100000),
        Partition("ota_0", 0, 0x10, APP_OFFSET, 0x170000),
    ]
    assert check(flashed("esp32", FLASH, table=table), "esp32").application == table[2]


def test_a_table_comes_back_as_it_was_written():
    assert read_table(write_table(STOCK_TABLE), FLASH) == STOCK_TABLE
    assert len(write_table(STOCK_TABLE)) == 0xC00


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda t: b"\xff" * len(t), "No MD5 found"),
        (lambda t: b"\0\0" + t[2:], "partition 0 invalid magic number 0x0"),
        (lambda t: t[:3] + b"\x40" + t[4:], "Incorrect MD5 checksum"),
        (lambda t: t[:96] + b"\xff" * (len(t) - 96), "No MD5 found"),
        (lambda t: t[:128] + t[96:128] + t[160:], "Only one MD5"),
        (lambda t: t[:32] * 96, "no terminating entry"),
    ],
)
def test_a_damaged_table(damage, said):
    with pytest.raises(TableError, match=said):
        read_table(damage(write_table(STOCK_TABLE)), FLASH)


@given(st.binary(max_size=200))
def test_any_bytes_as_a_table_end_in_a_table_or_in_words(data):
    with pytest.raises(TableError):
        read_table(data, FLASH)


@settings(max_examples=30)
@given(st.integers(0, 0x40), st.integers(0, 255))
def test_any_byte_in_a_header_ends_in_a_boot_or_in_words(at, value):
    content = bytearray(flashed("esp32", FLASH).data)
    content[APP_OFFSET + at] = value
    boot = check(bytes(content), "esp32")
    assert bool(boot.application) != bool(boot.fault)


def test_micropython_adds_a_filesystem_to_a_table_without_one():
    assert with_filesystem(STOCK_TABLE, FLASH)[-1] == Partition("vfs", 1, 0x81, 0x200000, 0x200000)
    own = [*STOCK_TABLE, Partition("vfs", 1, 0x81, 0x200000, 0x80000)]
    assert with_filesystem(own, FLASH) == own


@given(st.binary(max_size=300))
def test_xor_of_all_bytes(data):
    plain = 0
    for byte in data:
        plain ^= byte
    assert xor_all(data) == plain


def test_a_chip_says_what_it_starts():
    host = Host("esp32c3", flashed("esp32c3", FLASH))
    host.chip.power_on()
    assert host.events == ["app"]
    assert host.text().startswith("ESP-ROM:esp32c3-api1-20210207\r\n")
    assert "load:0x3fcd5820,len:4080\r\n" in host.text() and host.text().endswith("entry 0x403cc010\r\n")


def test_a_chip_with_nothing_to_start_says_so_again_and_again():
    host = Host("esp32")
    host.chip.power_on()
    assert host.events == ["download"] and host.chip.mode == "app"
    once = host.text()
    assert once.count("invalid header: 0xffffffff") == 4 and "POWERON_RESET" in once
    host.chip.say_fault()
    assert host.text() == once + once.replace("0x1 (POWERON_RESET)", "0x10 (RTCWDT_RTC_RESET)")
    host.download()
    host.heard = b""
    host.chip.say_fault()
    assert host.heard == b""


@pytest.mark.parametrize(
    ("cause", "said"),
    [("pin", "0x1 (POWERON)"), ("watchdog", "RTCWDT"), ("software", "SW_SYS"), ("usb", "USB_UART"), ("", "0x1 (")],
)
def test_the_rom_names_the_cause_of_a_reset(cause, said):
    host = Host("esp32s3")
    host.chip.reset(download=True, cause=cause)
    assert said in host.text() and host.text().endswith("waiting for download\r\n")


def test_a_chip_that_does_not_exist():
    with pytest.raises(ValueError, match="there is no simulated chip 'esp8266' -> esp32, "):
        Host("esp8266")
    with pytest.raises(ValueError, match="no USB of its own"):
        Host("esp32", usb_jtag=True)
