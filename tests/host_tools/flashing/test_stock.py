import struct

import pytest
from flash_bench import APP_AT, seal, stock
from hypothesis import given, settings
from hypothesis import strategies as st

from satama.flashing.errors import FlashError
from satama.flashing.esp_image import read_image, with_flash_size
from satama.flashing.stock import load_stock, read_stock
from satama_sim.chip.partitions import APP, DATA, FACTORY, Partition
from satama_sim.chip.stock import stock_image

CHIPS = ["esp32", "esp32s3", "esp32c3"]


def _refused(data: bytes) -> FlashError:
    with pytest.raises(FlashError) as caught:
        read_stock(data, "file.bin")
    assert "file.bin" in str(caught.value) and " -> " in str(caught.value)
    assert caught.value.code == 2
    return caught.value


def _with_app(chip: str, change) -> bytes:
    data = stock(chip)
    return data[: APP_AT[chip]] + change(data[APP_AT[chip] :])


@pytest.mark.parametrize("chip", CHIPS)
def test_a_stock_file_is_taken_apart(chip):
    data = stock(chip)
    found = read_stock(data, "file.bin")
    assert (found.chip, found.version, found.number, found.built) == (chip, "v1.26.1", (1, 26, 1), "2025-09-11")
    assert found.application == data[APP_AT[chip] :]
    assert data.startswith(found.bootloader) and len(found.bootloader) < 0x7000
    assert data[len(found.bootloader)] == 0xFF  # the filler is left out
    assert found.remarks == ()


def test_a_build_that_describes_itself_is_read_too():
    assert read_stock(stock_image("esp32", "v1.27.0"), "file.bin").number == (1, 27, 0)


def test_a_preview_is_remarked():
    [remark] = read_stock(stock(version="v1.27.0-preview.12.g0123abcdef"), "file.bin").remarks
    assert "which is not a release" in remark


def test_bytes_behind_the_application_are_left_out_and_remarked():
    data = stock("esp32")
    found = read_stock(data + b"\xff" * 100 + b"romfs", "file.bin")
    assert found.application == data[APP_AT["esp32"] :]
    assert "5 bytes behind the application" in found.remarks[0]


@pytest.mark.parametrize(
    "data, words, kind",
    [
        (b"", "is empty", "damaged"),
        (b"\xff" * 5000, "copy of a whole flash", "not_stock"),
        (b"\xff" * 0x1000 + stock(), "copy of a whole flash", "not_stock"),
        (b"UF2\nWQ]\x9e", "UF2 file", "not_stock"),
        (b"PK\x03\x04", "zip archive", "not_stock"),
        (b"\x1f\x8b\x08", "gzip archive", "not_stock"),
        (b"\x7fELF", "ELF file", "not_stock"),
        (b"<!DOCTYPE html>", "web page", "not_stock"),
        (b"print('hello')", "no firmware for an ESP32", "not_stock"),
        (b"\xe9\x03", "no firmware for an ESP32", "not_stock"),
        (stock()[APP_AT["esp32"] :], "an application without its boot loader", "not_stock"),
        (stock()[:0x3000], "its boot loader ends after", "damaged"),
        (stock()[:0x6000], "before its application: the download broke off", "damaged"),
        (stock()[:-1], "its application ends after", "damaged"),
        (stock()[:-5000], "its application ends after", "damaged"),
        (stock(version="v1.23.0"), "MicroPython v1.23.0, which is too old", "too_old"),
        (stock(version="v1.4"), "too old", "too_old"),
        (stock(version="lobo"), 'calls its version "lobo"', "custom_build"),
        (stock(greeting="ESPHome"), "is not MicroPython ->", "not_micropython"),
        (stock_image("esp32", "2025.9", project="esphome"), "is not MicroPython, but esphome 2025.9", "not_micropython"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_flashed_is_told(data, words, kind):
    error = _refused(data)
    assert words in str(error)
    assert error.kind == kind


def test_another_chip_is_named():
    data = bytearray(stock("esp32c3"))
    data[12] = 13
    assert "is for the ESP32-C6; Satama runs on" in str(_refused(bytes(data)))


def test_boot_loader_and_application_for_different_chips():
    other = stock("esp32s3")[APP_AT["esp32s3"] :]
    error = _refused(_with_app("esp32c3", lambda app: other))
    assert "a boot loader for esp32c3 and an application for esp32s3" in str(error) and error.kind == "other_chip"


@pytest.mark.parametrize("chip", CHIPS)
def test_one_wrong_byte_is_found_wherever_it_is(chip):
    data = stock(chip)
    image = read_image(data[APP_AT[chip] :])
    for at in (100, 5000, APP_AT[chip] + 5000, APP_AT[chip] + image.length - 33, len(data) - 1):
        broken = bytearray(data)
        broken[at] ^= 0x10
        assert _refused(bytes(broken)).kind == "damaged"


def test_layouts_that_are_not_ours():
    nvs = Partition("nvs", DATA, 0x02, 0x9000, 0x6000)
    ota = [nvs, Partition("ota_0", APP, 0x10, 0x10000, 0x180000), Partition("ota_1", APP, 0x11, 0x190000, 0x180000)]
    assert "updates over the air" in str(_refused(stock(table=tuple(ota))))
    moved = [nvs, Partition("factory", APP, FACTORY, 0x20000, 0x180000)]
    assert "application at 0x20000" in str(_refused(stock(table=tuple(moved))))
    assert "no partition for an application" in str(_refused(stock(table=(nvs,))))
    broken = bytearray(stock())
    broken[0x7000 + 8] ^= 1
    assert "its partition table has a wrong MD5" in str(_refused(bytes(broken)))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FlashError, match="there is no file"):
        load_stock(tmp_path / "none.bin")
    with pytest.raises(FlashError, match="cannot be read"):
        load_stock(tmp_path)


@settings(max_examples=60)
@given(st.data())
def test_nothing_that_is_read_raises_anything_else(data):
    whole = bytearray(stock())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.sampled_from([*range(40), *range(0x7000, 0x7080), *range(0xF000, 0xF028)]))
        whole[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(whole), 0xF010, 0x7010, 30, 3]))
    try:
        read_stock(bytes(whole[:end]), "file.bin")
    except FlashError as error:
        assert " -> " in str(error)


def test_the_revision_that_old_images_ask_for():
    def asking(chip, old_min, new_min, new_max):
        image = bytearray(stock(chip)[APP_AT[chip] :])
        struct.pack_into("<BHH", image, 14, old_min, new_min, new_max)
        found = read_image(seal(bytes(image)))
        return found.min_revision, found.max_revision

    assert asking("esp32", 3, 0, 0) == (300, 0xFFFF)
    assert asking("esp32c3", 3, 0, 0) == (3, 0xFFFF)
    assert asking("esp32c3", 3, 4, 199) == (4, 199)
    assert asking("esp32", 1, 0, 0xFFFF) == (100, 0xFFFF)
    assert asking("esp32", 0, 101, 0xFFFF) == (101, 0xFFFF)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("mebibytes, code", [(4, 2), (8, 3), (16, 4)])
def test_the_boot_loader_is_told_the_size_of_the_flash(chip, mebibytes, code):
    before = read_stock(stock(chip), "file.bin").bootloader
    after = with_flash_size(before, mebibytes << 20)
    assert after[3] >> 4 == code and after[3] & 15 == before[3] & 15
    assert read_image(after).length == len(before)  # its digest is right again
    assert [at for at in range(len(before) - 32) if after[at] != before[at]] in ([], [3])
