"""`satama check` and `satama build` at the command line: what is shown, what is written, how they end."""

import json

import pytest
import typer
from typer.testing import CliRunner

from satama.commands import site as commands_site
from satama.compiling.compiler import compile_site

SITE = """\
[site]
name = "yard"
gateway = "gw-1"
board = "esp32-devkit"
[network]
kind = "wifi"
ssid = "yard"
password = "fish-harbour"
[mqtt]
host = "broker.yard.example"
insecure = true
[[bus]]
id = "line"
kind = "modbus-rtu"
port = "rs485"
baud = 9600
[[device]]
id = "meter"
profile = "eastron-sdm120"
bus = "line"
unit = 1
points = ["voltage", "energy_import"]
[[device]]
id = "water"
profile = "pulse-water"
pin = "P1"
period_s = 60
"""


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "yard.toml"
    path.write_text(SITE)
    return path


@pytest.fixture
def run():
    app = typer.Typer()
    commands_site.register(app)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_check_shows_what_is_asked_for_and_writes_nothing(run, site):
    result = run("check", site)
    assert result.exit_code == 0
    assert "yard/gw-1 on esp32-devkit: 2 devices, 3 points, 3 streams" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["every", "requests", "inputs", "points"] in rows
    assert ["10", "s", "2", "0", "2"] in rows and ["60", "s", "0", "1", "1"] in rows
    assert "bus line: 12.0 requests a minute, busy 2.8 % of the time" in result.stdout
    assert "note: " in result.stderr and "2400 8N1" in result.stderr
    assert [path.name for path in site.parent.iterdir()] == ["yard.toml"]


def test_check_tells_tools_the_same(run, site):
    result = run("check", site, "--json")
    facts = json.loads(result.stdout)
    assert result.exit_code == 0 and facts["ok"] is True
    assert (facts["devices"], facts["points"], facts["streams"]) == (2, 3, 3)
    assert facts["rounds"] == [
        {"period_s": 10, "requests": 2, "inputs": 0, "points": 2},
        {"period_s": 60, "requests": 0, "inputs": 1, "points": 1},
    ]
    assert facts["buses"][0]["id"] == "line" and facts["warnings"][0]["line"] == 17


def test_a_mistake_ends_with_2_and_is_told(run, site):
    site.write_text(SITE.replace("unit = 1", "unti = 1").replace('"P1"', '"P9"'))
    for command in ("check", "build"):
        result = run(command, site)
        assert result.exit_code == 2 and not result.stdout
        assert f"{site}:21: device 'meter': unknown key 'unti'\n  -> did you mean 'unit'?" in result.stderr
        assert "Traceback" not in result.stderr
    result = run("check", site, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 2 and told["ok"] is False
    assert set(told["problems"][0]) == {"file", "line", "key", "what", "hint"}
    assert told["problems"][0]["key"] == "device[0].unti" and told["problems"][0]["line"] == 21
    assert [path.name for path in site.parent.iterdir()] == ["yard.toml"]


def test_a_missing_file_ends_with_2(run, site):
    result = run("check", site.with_name("yrad.toml"))
    assert result.exit_code == 2
    assert "there is no such site file" in result.stderr and "did you mean 'yard.toml'?" in result.stderr


def test_build_writes_what_the_device_loads(run, site, tmp_path):
    result = run("build", site, "-o", tmp_path / "out.bin")
    assert result.exit_code == 0
    assert (tmp_path / "out.bin").read_bytes() == compile_site(site).data
    assert (tmp_path / "yard.ids.toml").exists()
    facts = json.loads(run("build", site, "--json").stdout)
    assert facts["out"] == str(tmp_path / "yard.bin") and facts["bytes"] == (tmp_path / "yard.bin").stat().st_size


def test_an_output_that_cannot_be_written_ends_with_1(run, site, tmp_path):
    result = run("build", site, "-o", tmp_path / "nowhere" / "out.bin")
    assert result.exit_code == 1 and "cannot be written" in result.stderr


def test_no_password_is_shown(run, site):
    for arguments in (["check", site], ["check", site, "--json"], ["build", site], ["build", site, "--json"]):
        assert "fish-harbour" not in run(*arguments).output
