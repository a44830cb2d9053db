"""A board on the desk: unmodified mpremote and esptool at its port, and it boots what is in its flash."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from satama.boards.board import load_board
from satama.compiling.compiler import compile_site
from satama.packing.image import device_files, filesystem
from satama_sim.desk import Desk
from satama_sim.desk.desk import DOORS, LoneBoard
from satama_sim.module import flashed
from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing
from satama_sim.vm.umqtt import UmqttMissing

BOARDS = ("esp32-devkit", "esp32-s3-devkit", "esp32-c3-devkit")
MAIN = b"""
import os, time
print("main runs on", os.uname().machine)
while True:
    time.sleep_ms(20)
"""
BLANK = b""


def content(board: str, files: dict[str, bytes]) -> bytes:
    """A flash that boots, with these files."""
    spec = load_board(board)
    return flashed(spec, filesystem(files, spec.partitions["vfs"].size))


def gateway(site: Path) -> bytes:
    compiled = compile_site(site, write_ids=False)
    files = device_files(compiled.data, certificates=compiled.certificates)
    return flashed(compiled.board, filesystem(files, compiled.board.partitions["vfs"].size))


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    """A function that puts a board on the desk: desk(**options of Desk)."""
    with contextlib.ExitStack() as stack:

        def put(**options: object) -> Desk:
            try:
                one = Desk(vm=request.config.getoption("--vm"), **options)
            except (VmMissing, UmqttMissing) as error:
                missing(str(error))
                raise
            return stack.enter_context(one)

        yield put


def until(desk: Desk, condition: Callable[[], bool], limit: float = 30) -> None:
    """Let the board live until it holds."""
    end_us = desk.powered.clock.now_us() + round(limit * 1e6)
    while not condition():
        assert desk.powered.clock.now_us() < end_us, desk.console_text[-2000:]
        desk.run(0.05)


def tool(desk: Desk, *words: str) -> tuple[int, str]:
    """Run a tool against the port while the board lives: exit code, and what it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        until(desk, lambda: process.poll() is not None, 60)
    finally:
        process.kill()
        said = process.communicate()[0]
    return process.returncode, said


def mpremote(desk: Desk, *words: str) -> str:
    code, said = tool(desk, "mpremote", "connect", desk.url, *words)
    assert code == 0, said
    return said


@pytest.mark.real_time
@pytest.mark.parametrize("board", BOARDS)
def test_mpremote_lists_copies_runs_and_resets(desk, board, tmp_path):
    one = desk(board=board, flash=content(board, {"main.py": MAIN, "lib/old.txt": b"herring"}))
    until(one, lambda: "main runs on Simulated board with ESP32" in one.console_text)
    greeting, script = tmp_path / "greeting.txt", tmp_path / "script.py"
    text = "quay\r\n" + "\u00e4\u2603" * 400 + "\n"
    greeting.write_bytes(text.encode())
    script.write_text("print(open('greeting.txt', 'rb').read().decode() == open('copy.txt', 'rb').read().decode())\n")
    said = mpremote(one, "cp", str(greeting), ":greeting.txt", "+", "cp", ":greeting.txt", ":copy.txt", "+", "ls")
    assert f"{len(text.encode())} greeting.txt" in said and "main.py" in said and "lib/" in said
    assert "True" in mpremote(one, "run", str(script))
    back = tmp_path / "back.txt"
    mpremote(one, "cp", ":greeting.txt", str(back), "+", "cp", ":lib/old.txt", str(tmp_path / "old.txt"))
    assert back.read_bytes() == greeting.read_bytes() and (tmp_path / "old.txt").read_bytes() == b"herring"
    assert "gone.txt" in tool(one, "mpremote", "connect", one.url, "cp", ":gone.txt", str(back))[1]
    starts = one.console_text.count("main runs on")
    mpremote(one, "reset")
    until(one, lambda: one.console_text.count("main runs on") > starts)
    assert one.powered.board.resets[-1][1] == "reset by the firmware"


@pytest.mark.parametrize("port", ["socket", "rfc2217"])
def test_mpremote_gets_in_over_the_network_too(desk, port):
    one = desk(board="esp32-devkit", port=port, flash=content("esp32-devkit", {"main.py": MAIN}))
    until(one, lambda: "main runs" in one.console_text)
    assert mpremote(one, "exec", "import sys; print(sys.maxsize > 0, 6 * 7)").strip() == "True 42"
    assert not one.chip.counts, "a tool that opens and closes the port leaves the chip alone"


@pytest.mark.real_time
def test_mpremote_cannot_stop_a_gateway_that_runs_but_who_asks_may(desk, demo_site):
    one = desk(site=demo_site, flash=gateway(demo_site))
    board = one.powered.board
    until(one, lambda: "epoch" in one.console_text and not board.interruptible)
    code, said = tool(one, "mpremote", "connect", one.url, "ls")
    assert code != 0 and "could not enter raw repl" in said and "ask for: repl" in said
    until(one, lambda: one.cabinet.broker.decoded > 0)
    assert len(board.resets) == 1
    board.send_console(b"repl\r")
    until(one, lambda: board.interruptible)
    assert "main.py" in mpremote(one, "ls", "+", "reset")
    until(one, lambda: one.console_text.count(" epoch ") == 2)


@pytest.mark.parametrize("board", BOARDS)
def test_a_blank_board_waits_in_its_rom_and_boots_what_esptool_writes(desk, board, tmp_path):
    one = desk(board=board, flash=BLANK)
    until(one, lambda: "invalid header: 0xffffffff" in one.console_text)
    assert not one.powered.board.powered
    image = tmp_path / "whole.bin"
    image.write_bytes(content(board, {"main.py": MAIN}))
    chip = ("esptool", "--chip", one.spec.chip, "--port", one.url)
    code, said = tool(one, *chip, "write-flash", "0", str(image))
    assert code == 0 and "Hash of data verified" in said, said
    until(one, lambda: "main runs on Simulated board" in one.console_text)
    code, said = tool(one, *chip, "--no-stub", "erase-region", "0x8000", "0x1000")  # while it runs
    assert code == 0, said
    assert not one.powered.board.powered
    until(one, lambda: "E boot: Failed to verify partition table" in one.console_text)


def test_what_a_prompt_writes_stays_in_the_file_of_the_flash(desk, tmp_path):
    kept = tmp_path / "flash.bin"
    kept.write_bytes(content("esp32-devkit", {"main.py": MAIN}))
    with desk(board="esp32-devkit", flash=kept) as one:
        until(one, lambda: "main runs" in one.console_text)
        mpremote(
            one,
            "exec",
            "import esp32; n = esp32.NVS('pier'); n.set_i32('x', 5); n.commit()\n"
            "with open('kept.txt', 'w') as file: file.write('low tide')",
        )
    with desk(board="esp32-devkit", flash=kept) as one:
        until(one, lambda: "main runs" in one.console_text)
        said = mpremote(one, "exec", "import esp32; print(open('kept.txt').read(), esp32.NVS('pier').get_i32('x'))")
        assert said.strip() == "low tide 5"


def test_mpremote_mounts_a_folder_of_the_host(desk, tmp_path):
    (tmp_path / "pier.py").write_text("print('moored', 6 * 7)\n" + "# a long remark\n" * 200)
    one = desk(board="esp32-devkit", flash=content("esp32-devkit", {"main.py": MAIN}))
    until(one, lambda: "main runs" in one.console_text)
    assert "moored 42" in mpremote(one, "mount", str(tmp_path), "exec", "import pier")


def test_an_hour_passes_in_a_moment_and_the_clock_goes_on_from_there(desk):
    one = desk(board="esp32-devkit", flash=content("esp32-devkit", {"main.py": MAIN}))
    until(one, lambda: "main runs" in one.console_text)
    before_us, calls = one.powered.timeline.now_us, one.powered.board.calls
    one.hurry("1h")
    assert one.powered.clock.now_us() >= one.powered.timeline.now_us >= before_us + 3_600_000_000
    one.run(0.1)
    assert one.powered.board.calls > calls and len(one.powered.board.resets) == 1


def test_firmware_that_hangs_does_not_hang_the_desk_and_ctrl_c_stops_it(desk):
    one = desk(board="esp32-devkit", flash=content("esp32-devkit", {"main.py": b"print('up')\nwhile True: pass\n"}))
    until(one, lambda: "up" in one.console_text)
    one.run(0.5)
    one.powered.board.send_console(b"\x03")
    until(one, lambda: 'Type "help()"' in one.console_text)


def test_a_hanging_firmware_is_reset_by_its_watchdog_in_real_time(desk):
    main = b"import machine\nprint('cause', machine.reset_cause())\nmachine.WDT(timeout=1000)\nwhile True: pass\n"
    one = desk(board="esp32-devkit", flash=content("esp32-devkit", {"main.py": main}))
    until(one, lambda: "cause 3" in one.console_text)


def test_a_board_that_gets_no_port_does_not_live_on(monkeypatch):
    def none_left(*_):
        raise OSError("out of pty devices")

    closed = []
    monkeypatch.setattr(LoneBoard, "close", lambda self: closed.append(self))
    monkeypatch.setitem(DOORS, "pty", none_left)
    with pytest.raises(OSError, match="out of pty devices"):
        Desk(board="esp32-devkit", flash=BLANK)
    assert len(closed) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "a site file, or --board NAME"),
        ({"board": "esp32-devkit", "port": "usb"}, "pty, socket, rfc2217"),
        ({"board": "esp32-devkit", "flash": b"x" * ((4 << 20) + 1)}, "a smaller image"),
        ({"board": "esp32-devkit", "flash": Path("nowhere/flash.bin")}, "a folder of your own"),
        ({"board": "esp32-devkit", "flash": Path(__file__)}, "the board that it belongs to"),
    ],
)
def test_what_cannot_be_put_on_the_desk_is_told(options, told):
    with pytest.raises(ValueError, match=told):
        Desk(**options)
