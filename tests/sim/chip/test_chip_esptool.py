"""Unmodified esptool, as a process of its own, against the simulated chips."""

import subprocess
import sys
import threading

import pytest
from chip_lab import APP_BYTES, MAC, flashed

from satama_sim.board.flash import NorFlash
from satama_sim.chip import Chip, PtyDoor, Rfc2217Door, SocketDoor, served, stock_image
from satama_sim.chip.kinds import KINDS

CHIPS = sorted(KINDS)
FLASH = 4 << 20
MAC_TEXT = MAC.hex(":")


def esptool(kind: str, port, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "esptool", "--chip", kind, "--port", port.url, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    text = run.stdout + run.stderr
    assert run.returncode == code, text
    return text


def power_up(kind: str, flash: NorFlash, **options) -> tuple[Chip, list[str]]:
    starts: list[str] = []
    chip = Chip(
        kind, flash, MAC, on_app=lambda: starts.append("app"), on_download=lambda: starts.append("download"), **options
    )
    return chip, starts


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """Files of made-up stock firmware by chip."""
    folder = tmp_path_factory.mktemp("stock")
    files = {}
    for kind in CHIPS:
        files[kind] = folder / f"{kind}.bin"
        files[kind].write_bytes(stock_image(kind, app_bytes=APP_BYTES, flash_size=FLASH))
    return files


@pytest.mark.parametrize("kind", CHIPS)
def test_everything_over_a_pty(kind, stock, tmp_path):
    start = KINDS[kind].bootloader_offset
    image = stock[kind].read_bytes()
    flash = NorFlash(FLASH)
    chip, starts = power_up(kind, flash)
    with served(chip, PtyDoor) as port:
        text = esptool(kind, port, "chip-id")
        assert f"Connected to {KINDS[kind].title}" in text and "Stub flasher running" in text
        assert f"MAC:                {MAC_TEXT}" in esptool(kind, port, "read-mac")
        text = esptool(kind, port, "flash-id")
        assert "Manufacturer: ef" in text and "Detected flash size: 4MB" in text
        assert set(starts) == {"download"}, "there was nothing to start"
        assert "Hash of data verified" in esptool(kind, port, "write-flash", hex(start), str(stock[kind]))
        assert "Verification successful" in esptool(kind, port, "verify-flash", hex(start), str(stock[kind]))
        back = tmp_path / "back.bin"
        esptool(kind, port, "--baud", "921600", "read-flash", hex(start), str(len(image)), str(back))
        assert back.read_bytes() == image
    assert flash.read(start, len(image)) == image
    assert chip.mode == "app" and chip.boot.application and starts[-1] == "app"
    assert chip.boot.application.offset == 0x10000


@pytest.mark.parametrize("kind", CHIPS)
def test_everything_over_tcp(kind, stock, tmp_path):
    start = KINDS[kind].bootloader_offset
    flash = NorFlash(FLASH)
    chip, starts = power_up(kind, flash)
    with served(chip, SocketDoor) as port:
        assert MAC_TEXT in esptool(kind, port, "chip-id")
        esptool(kind, port, "write-flash", hex(start), str(stock[kind]))
        assert "Verification successful" in esptool(kind, port, "verify-flash", hex(start), str(stock[kind]))
        back = tmp_path / "back.bin"
        esptool(kind, port, "read-flash", "0x8000", "0x1000", str(back))
    assert back.read_bytes() == flash.read(0x8000, 0x1000)
    assert chip.mode == "app" and starts[-1] == "app"


@pytest.mark.parametrize("kind", CHIPS)
def test_erasing(kind):
    flash = flashed(kind, FLASH)
    chip, starts = power_up(kind, flash)
    with served(chip, PtyDoor) as port:
        esptool(kind, port, "erase-region", "0x10000", "0x2000")
        assert flash.read(0x10000, 0x2000) == b"\xff" * 0x2000 != flash.read(0x12000, 0x2000)
        esptool(kind, port, "erase-flash")
    assert flash.read(0, FLASH) == b"\xff" * FLASH
    assert chip.boot.fault == "invalid header: 0xffffffff"


@pytest.mark.parametrize("kind", ["esp32", "esp32c3"])
def test_without_the_stub(kind, tmp_path):
    """Small, for the ROM takes a kilobyte at a time."""
    flash = flashed(kind, FLASH)
    data = bytes(range(251)) * 33
    (tmp_path / "data.bin").write_bytes(data)
    back = tmp_path / "back.bin"
    chip, starts = power_up(kind, flash)
    with served(chip, PtyDoor) as port:
        text = esptool(kind, port, "--no-stub", "write-flash", "0x300000", str(tmp_path / "data.bin"))
        assert "Hash of data verified" in text and "Stub" not in text
        esptool(kind, port, "--no-stub", "--baud", "460800", "read-flash", "0x300000", str(len(data)), str(back))
        esptool(kind, port, "--no-stub", "erase-region", "0x300000", "0x1000")
    assert back.read_bytes() == data
    assert flash.read(0x300000, len(data)) == b"\xff" * 0x1000 + data[0x1000:]
    assert starts == ["app", *["download", "app"] * 3]


@pytest.mark.real_time
def test_over_rfc_2217_the_lines_reset_the_chip():
    chip, starts = power_up("esp32", flashed("esp32", FLASH))
    with served(chip, Rfc2217Door) as port:
        assert MAC_TEXT in esptool("esp32", port, "read-mac")
    assert starts == ["app", "download", "app"] and chip.mode == "app"


@pytest.mark.real_time
def test_over_rfc_2217_to_the_chips_own_usb():
    chip, starts = power_up("esp32c3", flashed("esp32c3", FLASH), usb_jtag=True)
    with served(chip, Rfc2217Door) as port:
        esptool("esp32c3", port, "--before", "usb-reset", "--no-stub", "chip-id")
    assert starts == ["app", "download", "app"]


def test_chains_of_commands_that_leave_the_chip_where_it_is():
    chip, starts = power_up("esp32s3", flashed("esp32s3", FLASH))
    with served(chip, PtyDoor, close_boots=False) as port:
        esptool("esp32s3", port, "--after", "no-reset-stub", "chip-id")
        text = esptool("esp32s3", port, "--before", "no-reset", "--after", "no-reset", "chip-id")
        assert "Stub flasher is already running" in text
        esptool("esp32s3", port, "--before", "no-reset", "--after", "watchdog-reset", "chip-id")
    # out of the stub, the second time, it is the ROM again
    assert starts == ["app", "download", "download", "app"]


def test_what_esptool_refuses_has_not_touched_the_flash(stock):
    flash = flashed("esp32c3", FLASH)
    before = bytes(flash.data)
    chip, _ = power_up("esp32c3", flash, revision=(0, 2))
    with served(chip, PtyDoor) as port:
        assert "not ESP32-S3" in esptool("esp32s3", port, "chip-id", code=2)
        assert "chip revision" in esptool("esp32c3", port, "write-flash", "0x0", str(stock["esp32c3"]), code=2)
    assert bytes(flash.data) == before
    assert "requires chip rev >= v0.3" in chip.boot.fault


def test_another_chips_application_is_written_and_does_not_start(stock, tmp_path):
    """esptool looks at images only at the boot loader's offset: elsewhere it is on us to look."""
    other = tmp_path / "other.bin"
    other.write_bytes(stock["esp32s3"].read_bytes()[0x10000:])
    chip, starts = power_up("esp32", flashed("esp32", FLASH))
    with served(chip, SocketDoor) as port:
        esptool("esp32", port, "write-flash", "0x10000", str(other))
    assert "mismatch chip ID, expected 0, found 9" in chip.boot.fault and starts[-1] == "download"


@pytest.mark.parametrize(("door", "powers"), [(PtyDoor, True), (SocketDoor, False)])
def test_a_cable_pulled_while_writing_and_plugged_in_again(door, powers, stock):
    """esptool itself goes on where the cable comes back; else the same command again does it."""
    flash = NorFlash(FLASH)
    chip, starts = power_up("esp32", flash)
    with served(chip, door) as port:
        port.cut_after(60_000, powers=powers)
        pulled = threading.Event()
        port.on_pull = pulled.set
        command = [sys.executable, "-m", "esptool", "--chip", "esp32", "--port", port.url]
        command += ["--connect-attempts", "1", "write-flash", "0x1000", str(stock["esp32"])]
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert pulled.wait(60)
        assert chip.mode == ("off" if powers else "stub")
        run.kill()
        run.wait()
        assert not port.plugged
        port.plug_in()
        assert chip.mode == ("app" if powers else "stub")
        esptool("esp32", port, "write-flash", "0x1000", str(stock["esp32"]))
    assert chip.boot.application and starts[-1] == "app"
