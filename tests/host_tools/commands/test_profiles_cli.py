"""`satama profiles` at the command line: the list, one device type, a file of one's own."""

import json

import pytest
import typer
from typer.testing import CliRunner

from satama.commands import profiles as commands_profiles
from satama.core.places import PROFILES
from satama.profiles.library import list_profiles


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(lambda: None)  # a second command, so that `profiles` is a name and not the whole application
    commands_profiles.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["profiles", *map(str, arguments)])


@pytest.fixture
def mine(tmp_path):
    """A device type that the project has never seen: one of ours under another name, with one value renamed."""
    text = (PROFILES / "xy-md02.toml").read_text().replace('name = "xy-md02"', 'name = "my-sensor"')
    path = tmp_path / "my-sensor.toml"
    path.write_text(text.replace('name = "humidity"', 'name = "damp"'))
    return path


def test_the_list_names_every_device_type_once(run):
    result = run()
    assert result.exit_code == 0
    first_words = [line.split()[0] for line in result.stdout.splitlines()]
    for name in list_profiles():
        assert first_words.count(name) == 1
    assert f"{len(list_profiles())} device types" in result.stdout


def test_the_list_is_data_for_tools(run):
    answer = json.loads(run("--json").stdout)
    assert [profile["name"] for profile in answer["profiles"]] == list_profiles()
    meter = next(p for p in answer["profiles"] if p["name"] == "eastron-sdm630")
    assert (meter["points"], meter["interface"], meter["wires"]) == (69, "modbus", "rtu")
    assert meter["doubts"] == [
        {"about": "serial settings", "doubt": "Parity is N in the vendor's manuals, E in ob121: read the meter's menu."}
    ]


def test_the_list_can_be_narrowed_to_a_kind(run):
    chosen = json.loads(run("--kind", "ev_charger", "--json").stdout)["profiles"]
    assert {profile["kind"] for profile in chosen} == {"ev_charger"} and len(chosen) == 5
    wrong = run("--kind", "ev_chargers")
    assert wrong.exit_code == 2 and "did you mean 'ev_charger'?" in wrong.stderr
    told = json.loads(run("--kind", "ev_chargers", "--json").stdout)
    assert told["ok"] is False and "ev_chargers" in told["problems"][0]["what"]


def test_one_is_shown_with_what_has_to_be_checked(run):
    result = run("show", "abb-terra-ac")
    assert result.exit_code == 0
    assert "holding 16396 u32 bits 8-14" in result.stdout and "4: C2 charging" in result.stdout
    assert "0, 6 to 32" in result.stdout  # what may be written
    assert "Check on the device:\n  - serial settings: " in result.stdout
    assert "Sources:\n  - evcc: " in result.stdout
    assert run("show", "eastron-sdm72dm-v2").stdout.count("\n  - Never read half a float") == 1


@pytest.mark.parametrize("name", list_profiles())
def test_each_of_ours_can_be_shown_and_read_by_tools(run, name):
    shown, data = run("show", name), run("show", name, "--json")
    assert shown.exit_code == data.exit_code == 0
    answer = json.loads(data.stdout)
    assert answer["name"] == name
    for point in answer["point"]:
        assert f"\n{point['name']} " in shown.stdout


def test_numbers_in_the_data_are_exact(run):
    points = {point["name"]: point for point in json.loads(run("show", "yf-s201", "--json").stdout)["point"]}
    assert points["volume"]["per_pulse"] == "1/450"
    points = {point["name"]: point for point in json.loads(run("show", "ddl24", "--json").stdout)["point"]}
    assert points["level_r"]["scale"] == "0.00392156862745098"


def test_an_unknown_name_is_wrong_use(run):
    result = run("show", "eastron-sdm360")
    assert result.exit_code == 2
    assert "did you mean 'eastron-sdm630'?" in result.stderr


def test_a_file_of_ones_own_is_checked_and_shown(run, mine):
    result = run("check", mine)
    assert result.exit_code == 0
    assert "my-sensor: generic XY-MD02" in result.stdout and "\ndamp " in result.stdout
    assert json.loads(run("check", mine, "--json").stdout)["ok"] is True


def test_a_mistake_is_told_with_its_line_and_the_right_form(run, mine):
    lines = mine.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("type ="))
    lines[at] = 'type = "int16"'
    mine.write_text("\n".join(lines))
    result = run("check", mine)
    assert result.exit_code == 1 and result.stdout == ""
    assert f"my-sensor.toml:{at + 1}: point 'temperature': type = \"int16\" is not one of the choices" in result.stderr
    assert "s16" in result.stderr.splitlines()[1]
    [problem] = json.loads(run("check", mine, "--json").stdout)["problems"]
    assert (problem["line"], problem["key"]) == (at + 1, "point[0].type")


@pytest.mark.parametrize("name", ["nowhere.toml", "nowhere", "."])
def test_no_such_file_is_wrong_use(run, tmp_path, name):
    result = run("check", tmp_path / name)
    assert result.exit_code == 2
    assert "no such file" in result.stderr or "is no file" in result.stderr


def test_a_file_need_not_be_called_toml_but_its_name_must_fit(run, mine):
    other = mine.rename(mine.with_suffix(".txt"))
    assert run("check", other).exit_code == 0
    renamed = other.rename(other.with_name("yours.toml"))
    result = run("check", renamed)
    assert result.exit_code == 1 and 'name = "yours", or rename the file' in result.stderr


def test_options_of_the_list_stand_before_no_command(run):
    result = run("--kind", "dimmer", "show", "ddl24")
    assert result.exit_code == 2 and "say nothing" in result.stderr
