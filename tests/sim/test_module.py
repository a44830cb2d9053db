"""A cabinet whose board boots from what is in its flash: what ROM and boot loader find there decides, at every reset."""

import pytest

from satama.boards.board import load_board
from satama.packing.image import filesystem
from satama_sim.chip.partitions import APP, DATA, FACTORY, TABLE_OFFSET, Partition, write_table
from satama_sim.chip.stock import APP_OFFSET, app_image
from satama_sim.module import flashed
from satama_sim.vm.modules.ops import HARD, POWER_ON

SPEC = load_board("esp32-devkit")
MAIN = """
import esp32, machine, micropython
rtc, nvs = machine.RTC(), esp32.NVS("pier")
try:
    starts = nvs.get_i32("starts") + 1
except OSError:
    starts = 1
print("start", starts, machine.reset_cause(), bytes(rtc.memory()))
rtc.memory(b"tide")
nvs.set_i32("starts", starts)
nvs.commit()
"""


@pytest.fixture
def board(cabinet, demo_site):
    """A function that powers a cabinet: board(main.py, changes of the flash by offset)."""

    def power(main=MAIN, changes=None, **options):
        content = bytearray(flashed(SPEC, filesystem({"main.py": main.encode()}, SPEC.partitions["vfs"].size)))
        for offset, piece in (changes or {}).items():
            content[offset : offset + len(piece)] = piece
        cab = cabinet(demo_site, flash=bytes(content), **options)
        cab.run("2s")
        return cab

    return power


def starts(cab):
    lines = [line.removeprefix(">>> ") for line in cab.console_text().splitlines()]
    return [line.removeprefix("start ") for line in lines if line.startswith("start ")]


def test_resets_go_through_the_rom_and_nvs_and_rtc_memory_live_as_on_silicon(board):
    cab = board()
    cab.board.send_console(b"machine.reset()\r")
    cab.run("2s")
    cab.module.chip.reset(download=False)  # the pin
    cab.run("2s")
    assert starts(cab) == [f"1 {POWER_ON} b''", f"2 {HARD} b'tide'", f"3 {POWER_ON} b''"]
    assert cab.console_text().count("SPI_FAST_FLASH_BOOT") == 3
    assert [why for _, why in cab.board.resets] == ["power on", "reset by the firmware", "reset by the pin"]
    nvs = SPEC.partitions["nvs"]
    cab.flash.data[nvs.offset : nvs.offset + nvs.size] = b"\xff" * nvs.size  # erase-region
    cab.module.chip.reset(download=False)
    cab.run("2s")
    assert starts(cab)[-1].startswith("1 ")


def test_download_mode_ends_what_runs_and_the_console_is_the_loaders(board):
    cab = board("import time\nwhile True:\n    time.sleep(1)\n    print('tick')\n")
    cab.module.chip.reset(download=True)
    cab.run("5s")
    assert not cab.board.powered and "waiting for download" in cab.console_text()
    assert "tick" not in cab.console_text().split("waiting for download")[1]
    cab.module.chip.run_application()
    cab.run("5s")
    assert "tick" in cab.console_text().split("waiting for download")[1]


def test_deep_sleep_ends_in_the_boot_loader_too(board):
    cab = board("import machine\nprint('start', machine.reset_cause())\nmachine.deepsleep(5000)\n")
    cab.run("5s")
    assert starts(cab) == ["1", "4"] and cab.console_text().count("SPI_FAST_FLASH_BOOT") == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({0x1000: b"\xff" * 0x7000}, "invalid header: 0xffffffff"),
        ({TABLE_OFFSET: b"\xff" * 0xC00}, "Failed to verify partition table"),
        ({APP_OFFSET: app_image("esp32c3")}, "mismatch chip ID"),
        ({APP_OFFSET + 5000: b"\0" * 64}, "E boot: Factory app partition is not bootable"),
    ],
)
def test_what_is_not_bootable_is_told_in_the_boot_loaders_words(board, changes, words):
    cab = board(changes=changes)
    assert words in cab.console_text() and not cab.board.powered and starts(cab) == []


def test_an_application_that_was_damaged_while_it_ran_does_not_start_again(board):
    cab = board()
    cab.flash.data[APP_OFFSET] = 0
    cab.board.send_console(b"machine.reset()\r")
    cab.run("2s")
    assert len(starts(cab)) == 1 and "No bootable app partitions" in cab.console_text()


def test_the_partitions_are_those_of_the_table_in_flash(board):
    table = [Partition("factory", APP, FACTORY, APP_OFFSET, 0x100000), Partition("pier", DATA, 0x40, 0x110000, 0x1000)]
    main = "import esp32\nprint('start', esp32.Partition.find(1, label='pier')[0].info()[2:5])\n"
    vfs = filesystem({"main.py": main.encode()}, (4 << 20) - 0x111000)
    cab = board(changes={TABLE_OFFSET: write_table(table), 0x111000: vfs})  # vfs: none in the table, so the rest
    assert starts(cab) == ["(1114112, 4096, 'pier')"]


def test_without_power_nobody_resets_it(board):
    cab = board()
    cab.cut_power()
    cab.module.chip.reset(download=False)  # a tool pulls the pin
    cab.module.chip.receive(b"\r")
    cab.run("2s")
    assert not cab.board.powered and len(starts(cab)) == 1
    cab.restore_power()
    cab.run("2s")
    assert len(starts(cab)) == 2


def test_the_firmware_of_such_a_cabinet_is_not_the_simulators_to_change(board, demo_site):
    with pytest.raises(ValueError, match="flash it again"):
        board().deploy(demo_site)
