"""`satama selftest` as a technician types it: over a serial port, in real time, and with everything that can be typed wrong."""

import json
import os
import subprocess
import sys
import threading
import tty

import pytest
from typer.testing import CliRunner

from satama.cli import app
from satama.commands import selftest as commands
from satama.commissioning.after_flash import Commissioned
from satama.commissioning.checklist import checklist


def alongside(cab, *arguments):
    """(exit code, stdout, stderr) of a satama command while the cabinet lives."""
    command = [sys.executable, "-c", "from satama.cli import app; app()", *map(str, arguments)]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while done.poll() is None:
        cab.run("100ms")
    return done.returncode, *done.communicate()


@pytest.mark.real_time
def test_over_a_serial_port_in_real_time(cabinet, demo_site, tmp_path):
    cab = cabinet(demo_site, seed=2, clock="real")
    port = cab.offer_ptys()["console"]
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    code, out, err = alongside(cab, "selftest", "-p", port, "-s", demo_site, "-r", page, "-r", data, "--by", "Aino")
    assert code == 0, out + err
    assert "ok    device heat-meter" in out and "demo-01: passed" in out and "terminal A1 (GPIO 34)" in out
    assert "wait for the gateway" in err, "what takes its time says so"
    assert len(cab.board.resets) == 1, "nothing was restarted by opening the port"
    report = json.loads(data.read_text())
    assert report["passed"] and report["by"] == "Aino" and report["gateway"]["site"] == "kalasatama"
    assert b"Commissioning report: demo-01" in page.read_bytes()
    assert not any("fish-harbour" in text for text in (out, err, data.read_text(), page.read_text())), (
        "the Wi-Fi password"
    )

    cab.buses[0].slaves.silence("flat-meter")
    cab.run("11s")
    code, out, err = alongside(cab, "selftest", "-p", port, "--wait", 0, "--json")
    assert code == 1
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0] == {"event": "begin", "step": "wait for the gateway", "of": 5}
    assert events[-1]["event"] == "result" and events[-1]["ok"] is events[-1]["passed"] is False
    assert [check["of"] for check in events[-1]["checks"] if check["state"] == "red"] == ["flat-meter"]


def typed(*arguments):
    return CliRunner().invoke(app, ["selftest", *map(str, arguments)])


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("-p", "/dev/nothing"), 2, "there is no port /dev/nothing -> plug the cable in"),
        (("-p", "socket://127.0.0.1"), 2, "is not the address of a port"),
        (("-p", "x", "-r", "report.pdf"), 2, "a report is a .html or a .json file"),
        (("-p", "x", "-r", "/no/such/folder/report.html"), 2, "there is no folder /no/such/folder"),
        (("-p", "x", "-s", "nothing.toml"), 2, "there is no such site file"),
        (("-p", "x", "--wait", "-1"), 2, "--wait"),
        ((), 2, "--port"),
    ],
)
def test_what_can_be_typed_wrong(arguments, code, words):
    done = typed(*arguments)
    assert done.exit_code == code and words in done.output.replace("\n", " ")
    if "--wait" not in arguments and arguments:
        told = json.loads(typed(*arguments, "--json").output.splitlines()[-1])
        assert told["ok"] is False and ("event" not in told or told["kind"] in ("port", "use", "site"))


def test_a_board_without_a_gateway_ends_with_its_sentence():
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    over = threading.Event()

    def speak():
        while not over.wait(0.05):
            os.write(ours, b"invalid header: 0xffffffff\r\n")

    board = threading.Thread(target=speak)
    board.start()
    done = typed("-p", os.ttyname(theirs), "--wait", 0)
    over.set()
    board.join()
    assert done.exit_code == 1 and "flash holds no program" in done.output and "-> flash it again" in done.output
    os.close(ours)
    os.close(theirs)


def test_stopped_by_ctrl_c_it_says_that_nothing_was_changed(monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "commission", stopped)
    done = typed("-p", "COM9")
    assert done.exit_code == 1 and "nothing was changed" in done.output


def test_a_report_that_cannot_be_written_is_a_problem_and_what_was_there_stays(monkeypatch, tmp_path):
    row = {"check": "network", "of": "wifi", "ok": True, "said": "up"}
    answer = {"ok": True, "gateway": "demo-01", "passed": True, "checks": [row]}
    old = tmp_path / "report.json"

    def commission(*_, **__):
        old.mkdir()  # somebody else was here meanwhile
        return Commissioned(answer, checklist(answer))

    monkeypatch.setattr(commands, "commission", commission)
    done = typed("-p", "COM9", "-r", old)
    assert done.exit_code == 1 and "demo-01: passed" in done.output and "cannot be written" in done.output
    assert old.is_dir() and not list(tmp_path.glob(".*"))
