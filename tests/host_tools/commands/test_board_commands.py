"""`satama boards` at the command line: the list, one board's wiring, a board file of one's own."""

import json
import shutil

import pytest
import typer
from typer.testing import CliRunner

from satama.boards.board import list_boards, load_board
from satama.boards.wiring import terminal_of, wiring
from satama.commands import boards as commands_boards
from satama.core.places import BOARDS


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(lambda: None)
    commands_boards.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["boards", *map(str, arguments)])


def test_the_list_names_every_board_once(run):
    done = run()
    assert done.exit_code == 0
    first_words = [line.split()[0] for line in done.stdout.splitlines()]
    assert [first_words.count(name) for name in list_boards()] == [1] * len(list_boards())
    t_can = next(line for line in done.stdout.splitlines() if line.startswith("lilygo"))
    assert "MAX13487E" in t_can and "4 analogue, 4 pulse" in t_can


def test_the_list_for_tools(run):
    answer = json.loads(run("--json").stdout)
    rows = {row["name"]: row for row in answer["boards"]}
    assert answer["ok"] and list(rows) == list_boards()
    assert rows["kincony-kc868-a16"]["relays"] == 16 and rows["kincony-kc868-a16"]["driven_relays"] == 0
    assert rows["olimex-esp32-evb"]["relays"] == rows["olimex-esp32-evb"]["driven_relays"] == 2
    assert rows["wt32-eth01"]["reset"] == "by-hand" and rows["wt32-eth01"]["ethernet_on_board"]
    assert rows["esp32-c3-devkit"]["counters"] == 0
    direction = {name: row["rs485"]["rs485"]["direction"] for name, row in rows.items()}
    assert direction["lilygo-t-can485"] == "direction by itself" and "GPIO 4" in direction["esp32-devkit"]


@pytest.mark.parametrize("name", list_boards())
def test_one_board_is_shown_with_all_that_it_has(run, name):
    board = load_board(name)
    shown = run("show", name)
    assert shown.exit_code == 0
    for word in (*board.adc, *board.pulse, *board.relays, *board.partitions, *board.sources, *board.quirks):
        assert word in shown.stdout
    assert board.firmware_name in shown.stdout
    data = json.loads(run("show", name, "--json").stdout)
    assert data["ok"] and data["partitions"]["journal"]["size"] == board.partitions["journal"].size
    assert [row["terminal"] for row in data["wiring"]] == [row.terminal for row in wiring(board)]


def test_a_terminal_by_its_gpio():
    board = load_board("kincony-kc868-a16")
    assert terminal_of(board, 32) == "HT1 (GPIO 32)" and terminal_of(board, 4) == "GPIO 4"


def test_a_board_of_ones_own(run, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(BOARDS / "esp32-devkit", folder)
    text = (folder / "board.toml").read_text().replace('name = "esp32-devkit"', 'name = "mine"')
    (folder / "board.toml").write_text(text)
    assert "mine: Espressif" in run("show", folder / "board.toml").stdout
    (folder / "board.toml").write_text(text.replace("de = 4", "de = 34"))
    broken = run("show", folder / "board.toml")
    assert broken.exit_code == 1 and "GPIO 34 of the ESP32 is an input only" in broken.output
    assert not json.loads(run("show", folder / "board.toml", "--json").stdout)["ok"]


@pytest.mark.parametrize("name", ["olimex-esp32-po", "./nowhere", "/nowhere/board.toml"])
def test_an_unknown_board_is_wrong_use(run, name):
    done = run("show", name)
    assert done.exit_code == 2 and "->" in done.output


def test_json_before_show_is_wrong_use(run):
    assert run("--json", "show", "esp32-devkit").exit_code == 2
