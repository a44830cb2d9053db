import json

import pytest
from flash_bench import SITE, chip_for, stock
from typer.testing import CliRunner

from satama.cli import app
from satama.serial_line import ports
from satama_sim.board.flash import NorFlash
from satama_sim.chip.pty_door import PtyDoor
from satama_sim.chip.serve import served


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SATAMA_CACHE", str(tmp_path / "cache"))


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
