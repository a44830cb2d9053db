import json
import shutil

import pytest
from flash_bench import SITE, chip_for, stock
from typer.testing import CliRunner

from satama.cli import app
from satama.commands import flash as commands
from satama.commissioning.after_flash import Commissioned
from satama.core.places import SITES
from satama.core.problems import Problem, Problems
from satama.flashing import farewell
from satama.serial_line import ports
from satama.serial_line.boot_words import Trouble
from satama.serial_line.gateway import LineError
from satama.serial_line.ports import PortError
from satama_sim.board.flash import NorFlash
from satama_sim.chip.pty_door import PtyDoor
from satama_sim.chip.serve import served


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SATAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(farewell, "_ANSWER_S", 0.05)  # no gateway runs on these boards


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "box.toml"
    path.write_text(SITE.format(board="esp32-devkit", gateway="box-1"))
    return path


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "ESP32_GENERIC-20250911-v1.26.1.bin"
    path.write_bytes(stock())
    return path


def _run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def _events(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_fetch_and_flash_without_a_network(site, firmware):
    assert _run("fetch", firmware).exit_code == 0
    listed = _run("fetch", "--list", "--json")
    assert listed.exit_code == 0 and json.loads(listed.stdout)["files"][0]["version"] == "v1.26.1"
    flash = NorFlash(4 << 20)
    with served(chip_for("esp32", flash), PtyDoor) as port:
        first = _run("flash", "--port", port.url, "--site", site, "--no-test")
        assert first.exit_code == 0, first.output
        assert "wrote boot loader, application, filesystem, partition table in" in first.stderr
        assert "lab/box-1 on esp32-devkit, MicroPython v1.26.1, MAC 24:0a:c4:12:34:56, journal empty" in first.stderr
        again = _run("flash", "--port", port.url, "--site", site, "--no-test", "--json")
    assert again.exit_code == 0
    events = _events(again)
    result = events[-1]
    assert (result["event"], result["ok"], result["passed"], result["gateway"]) == ("result", True, None, "box-1")
    assert all(region["kept"] for region in result["regions"]) and result["journal_kept"]
    assert {event["event"] for event in events} >= {"begin", "end", "chip", "region", "result"}


def test_no_checksum_of_passwords_is_told(site, firmware, tmp_path):
    """With it, and the site file without the password, anybody could try passwords out."""
    with served(chip_for("esp32", NorFlash(4 << 20)), PtyDoor) as port:
        result = _run("flash", "-p", port.url, "-s", site, "-f", firmware, "--no-test", "--json")
    told = _events(result)[-1]
    assert "image_sha256" not in told
    shown = {region["name"]: region["sha256"] for region in told["regions"]}
    assert len(shown["application"]) == 64 and "passwords" in shown["filesystem"]
    assert not any(len(event["sha256"]) == 64 for event in _events(result) if event.get("region") == "filesystem")
    assert "not-a-secret" not in result.output


@pytest.mark.parametrize(
    "words, kind, told",
    [
        (["--port", "/dev/there-is-none"], "port", "there is no port"),
        (["--port", "x", "--firmware", "none.bin"], "no_firmware", "there is no file none.bin"),
        (["--port", "x", "--board", "esp32-c3-devkit"], "other_board", "not for esp32-c3-devkit"),
    ],
)
def test_wrong_use_ends_with_2(site, firmware, words, kind, told):
    words = ["flash", "--site", site, *(["--firmware", firmware] if "--firmware" not in words else []), *words]
    plain = _run(*words)
    assert plain.exit_code == 2 and told in plain.stderr and " -> " in plain.stderr
    result = _events(_run(*words, "--json"))[-1]
    assert (result["ok"], result["kind"], result["changed"]) == (False, kind, False)


def test_mistakes_in_the_site_file_end_with_2(tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[site]\n")
    result = _run("flash", "--port", "x", "--site", wrong)
    assert result.exit_code == 2 and "wrong.toml" in result.stderr
    assert _run("flash", "--port", "x", "--site", tmp_path / "none.toml").exit_code == 2


def test_an_unknown_board_ends_with_2(site):
    result = _run("flash", "--port", "x", "--site", site, "--board", "esp32-devkid")
    assert result.exit_code == 2 and "did you mean 'esp32-devkit'?" in result.stderr


def test_no_stored_firmware_ends_with_2(site):
    result = _run("flash", "--port", "x", "--site", site)
    assert result.exit_code == 2 and "satama fetch FILE" in result.stderr


def test_a_board_that_does_not_suit_ends_with_1(site, firmware):
    with served(chip_for("esp32s3", NorFlash(8 << 20)), PtyDoor) as port:
        result = _run("flash", "--port", port.url, "--site", site, "--firmware", firmware)
    assert result.exit_code == 1 and "an ESP32-S3 is connected" in result.stderr
    assert "was being written" not in result.stderr


def test_a_cable_that_is_pulled_ends_with_1_and_says_what_now(site, firmware):
    with served(chip_for("esp32", NorFlash(4 << 20)), PtyDoor) as port:
        port.cut_after(150_000)
        result = _run("flash", "--port", port.url, "--site", site, "--firmware", firmware)
        port.plug_in()
    assert result.exit_code == 1
    assert "broke -> plug it in again" in result.stderr and "run the same command again" in result.stderr


def test_fetch_is_asked_for_one_thing(firmware):
    assert _run("fetch").exit_code == 2
    assert _run("fetch", firmware, "--list").exit_code == 2
    assert "nothing is stored" in _run("fetch", "--list").stdout


def test_a_damaged_file_in_the_cache_is_listed(firmware, tmp_path):
    stored = json.loads(_run("fetch", firmware, "--json").stdout)
    with open(stored["path"], "ab") as file:
        file.write(b"x")
    listed = _run("fetch", "--list")
    assert listed.exit_code == 1 and "DAMAGED" in listed.stdout and "fetch again" in listed.stderr


def test_ports_are_listed(monkeypatch):
    class Listed:
        device, vid, pid, description, serial_number = "/dev/ttyUSB0", 0x1A86, 0x7523, "USB Serial", "12"

    monkeypatch.setattr(ports.list_ports, "comports", lambda: [Listed])
    result = _run("ports")
    assert result.exit_code == 0 and "/dev/ttyUSB0" in result.stdout and "CH340 bridge" in result.stdout
    assert json.loads(_run("ports", "--json").stdout)["ports"][0]["usb"] == "1A86:7523"
    monkeypatch.setattr(ports.list_ports, "comports", lambda: [])
    result = _run("ports")
    assert result.exit_code == 1 and "plug the board in" in result.stderr


def test_the_path_of_the_readme_works_as_it_stands(tmp_path, monkeypatch):
    """From the box to the green line, on a board that is blank; only the port has another name here."""
    page = (SITES.parents[1] / "README.md").read_text(encoding="utf-8")
    lines = page.partition("from the box to the green line\n\n")[2].partition("\n\n")[0].splitlines()
    assert 5 <= len(lines) <= 10
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sim" / "sites").mkdir(parents=True)
    shutil.copy(SITES / "demo.toml", tmp_path / "sim" / "sites")
    monkeypatch.setattr(commands, "find_ports", lambda: [ports.FoundPort("COM3", "CH340 bridge", "1A86:7523", "12")])
    well = Commissioned({"gateway": "demo-01", "passed": True, "checks": [{}]}, [])
    monkeypatch.setattr(commands, "commission", lambda *_, **__: well)
    with served(chip_for("esp32", NorFlash(4 << 20)), PtyDoor) as port:
        for line in lines:
            words = line.partition("#")[0].split()
            if words[0] == "cp":
                shutil.copy(*words[1:])
            elif words[0] == "satama":
                if words[1] == "fetch":
                    (tmp_path / words[2]).write_bytes(stock())
                result = _run(*(port.url if word == "COM3" else word for word in words[1:]))
                assert result.exit_code == 0, (line, result.output)
    assert "demo-01: passed" in result.stdout and (tmp_path / "cabinet.html").is_file()


# --- after the write


@pytest.fixture
def written(site, firmware, monkeypatch):
    """`satama flash` of a board whose self-test ends so."""

    def flash(end, *words):
        def commission(*_, **__):
            if isinstance(end, Commissioned):
                return end
            raise end

        monkeypatch.setattr(commands, "commission", commission)
        with served(chip_for("esp32", NorFlash(4 << 20)), PtyDoor) as port:
            return _run("flash", "-p", port.url, "-s", site, "-f", firmware, *words)

    return flash


@pytest.mark.parametrize(
    "error, kind, what",
    [
        (LineError(Trouble("silent", "nothing answers at COM9 -> press RESET")), "silent", "nothing answers"),
        (PortError("there is no port COM9 -> plug the cable in"), "port", "there is no port"),
        (KeyboardInterrupt(), "interrupted", "stopped"),
    ],
)
def test_a_board_that_is_silent_after_the_write_has_a_report_of_what_was_flashed(written, tmp_path, error, kind, what):
    page, data = tmp_path / "box.html", tmp_path / "box.json"
    plain = written(error, "--report", page, "--report", data, "--by", "Aino")
    assert plain.exit_code == 1 and what in plain.stderr and "the board is written" in plain.stderr
    assert f"report: {data}" in plain.stdout
    report = json.loads(data.read_bytes())
    assert (report["passed"], report["tests"], report["by"]) == (False, 0, "Aino")
    assert report["gateway"]["gateway"] == "box-1" and report["gateway"]["mac"] == "24:0a:c4:12:34:56"
    assert {region["name"]: region["kept"] for region in report["flashed"]["regions"]}["application"] is False
    [check] = report["checks"]
    assert check["state"] == "red" and what in check["what"] and check["advice"]
    html = page.read_text()
    assert "NOT PASSED: 1 red" in html and what in html and "24:0a:c4:12:34:56" in html and "Running for" not in html
    result = _events(written(error, "--json"))[-1]
    assert (result["event"], result["ok"], result["passed"], result["kind"]) == ("result", False, False, kind)
    assert result["gateway"] == "box-1" and what in result["error"]


def test_a_report_that_cannot_be_written_is_told_in_the_last_event(written, tmp_path, monkeypatch):
    well = Commissioned({"gateway": "box-1", "passed": True, "checks": [{}]}, [])
    full = Problems([Problem("box.html", None, "", "the file cannot be written: No space left on device", "free some")])

    def no_room(*_):
        raise full

    monkeypatch.setattr("satama.commands.selftest.write_whole", no_room)
    last = _events(written(well, "--report", tmp_path / "box.html", "--json"))[-1]
    assert (last["event"], last["ok"], last["passed"], last["kind"]) == ("result", False, True, "report")
    assert "No space left" in last["error"]
    plain = written(well, "--report", tmp_path / "box.html")
    assert plain.exit_code == 1 and "No space left" in plain.stderr
    assert "box-1: passed" in plain.stdout and "report:" not in plain.stdout


@pytest.mark.parametrize("command", ["flash", "selftest"])
def test_every_line_for_tools_is_an_event(tmp_path, command):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[site]\n")
    result = _run(command, "--port", "x", "--site", wrong, "--json")
    [event] = _events(result)
    assert (event["event"], event["ok"], event["kind"]) == ("result", False, "site")
    assert result.exit_code == 2 and event["problems"][0]["file"].endswith("wrong.toml")


def test_reports_are_looked_at_before_anything_is_done(site, tmp_path):
    for words in (["--report", "x.pdf"], ["--report", tmp_path], ["--report", tmp_path / "none" / "x.html"]):
        for command in ("flash", "selftest"):
            result = _run(command, "--port", "x", "--site", site, *words)
            assert result.exit_code == 2 and " -> " in result.stderr
    folder = tmp_path / "folder.html"
    folder.mkdir()
    assert "is a folder" in _run("flash", "--port", "x", "--site", site, "--report", folder).stderr
    assert "leave --no-test out" in _run("flash", "-p", "x", "-s", site, "--no-test", "-r", tmp_path / "a.html").stderr
