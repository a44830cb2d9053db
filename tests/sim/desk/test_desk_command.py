"""`satama sim board`: what it says of the board, and what it leaves."""

import json
import os
import signal
import subprocess
import sys

import pytest
from test_desk import MAIN, content
from typer.testing import CliRunner

from satama.cli import app

COMMAND = [sys.executable, "-c", "from satama.cli import app; app()", "sim", "board"]


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP, signal.SIGHUP]],
    ids=["Ctrl-C", "kill", "closed terminal"],
)
def test_to_be_ended_takes_the_board_off_the_desk_and_keeps_its_flash(signals, tmp_path):
    kept = tmp_path / "flash.bin"
    before = content("esp32-c3-devkit", {"main.py": MAIN})
    kept.write_bytes(before)
    written_ns = kept.stat().st_mtime_ns
    words = [*COMMAND, "--board", "esp32-c3-devkit", "--flash", str(kept), "--port", "socket", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        ready, start = (json.loads(process.stdout.readline()) for _ in range(2))
        for kind in signals:
            process.send_signal(kind)
        assert process.wait(timeout=30) == 0
    assert ready["url"].startswith("socket://127.0.0.1:") and len(ready["mac"]) == 17
    assert (ready["event"], ready["board"], ready["chip"], ready["flash"]) == (
        "ready",
        "esp32-c3-devkit",
        "esp32c3",
        "boots",
    )
    assert (start["event"], start["why"]) == ("start", "power on")
    assert kept.read_bytes() == before and kept.stat().st_mtime_ns > written_ns


def test_a_person_is_told_the_port_and_what_to_do_with_it():
    done = CliRunner().invoke(app, ["sim", "board", "--board", "esp32-devkit", "--for", "200ms"])
    assert done.exit_code == 0, done.output
    assert "4 MiB of flash: blank" in done.output and "satama flash --port /" in done.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--board NAME"),
        (["--board", "esp32-devkitt"], "esp32-devkit"),
        (["--board", "esp32-devkit", "--port", "usb"], "rfc2217"),
        (["--board", "esp32-devkit", "--for", "soon"], "20s, 90m or 24h"),
        (["nowhere.toml"], "nowhere.toml"),
        (["--board", "esp32-devkit", "--flash", "nowhere/flash.bin"], "a folder of your own"),
        (["--board", "esp32-devkit", "--broker", "localhost:1883"], "has no network"),
    ],
)
def test_wrong_use_is_told(words, told):
    done = CliRunner().invoke(app, ["sim", "board", "--for", "100ms", *words])
    assert done.exit_code == 2 and told in done.output
