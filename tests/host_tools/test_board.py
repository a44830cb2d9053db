"""Supported boards are sound, and what is wrong in a board file is said at its line."""

import pytest

from satama.board import list_boards, load_board
from satama.places import BOARDS
from satama.problems import Problems, Wrong


@pytest.mark.parametrize("name", list_boards())
def test_every_board_of_ours_is_sound(name):
    board = load_board(name)
    assert {"vfs", "journal"} <= set(board.partitions)
    assert "rs485" in board.ports and board.adc and board.pulse
    assert (board.uart_fifo_bytes, board.uart_rxbuf_bytes, board.scheduler_tick_ms) == (128, 256, 10)
    assert all(isinstance(cost, int) for cost in board.costs.model_dump().values())


def test_the_three_boards():
    assert list_boards() == ["esp32-c3-devkit", "esp32-devkit", "esp32-s3-devkit"]
    assert [load_board(name).counter for name in list_boards()] == [False, True, True]
    assert load_board("esp32-devkit").partitions["journal"].size == 1408 * 1024


def test_inputs_by_name_and_number():
    board = load_board("esp32-devkit")
    assert board.find_input("analog", "A1") == board.find_input("analog", 34) == 34
    assert board.find_input("pulse", "P1") == 32
    for interface, pin, what in [
        ("analog", 25, "ADC2"),
        ("analog", "P1", "one of the pulse inputs"),
        ("analog", "A9", 'no ADC input "A9"'),
        ("analog", 6, "cannot be one of the ADC inputs"),
        ("pulse", 34, "cannot be one of the pulse inputs"),
        ("pulse", None, "'pin' is missing"),
    ]:
        with pytest.raises(Wrong, match=what):
            board.find_input(interface, pin)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("A1 = 34", "A1 = 25  # HERE", "GPIO 25 cannot be this input"),
        ("uart = 1\n", "uart = 0  # HERE\n", "is the console"),
        ("pin_us = 90 ", "pin_us = 90.5  # HERE\n#", "must be a whole number"),
        ("counter = true ", "counter = 1  # HERE\n#", "must be true or false"),
        (
            "journal = { type = 1, subtype = 0x40, offset = 0x2A0000",
            "journal = { type = 1, subtype = 0x40, offset = 0x29F000",
            "",
        ),
        ("size = 0x160000 }", "size = 0x200000 }", "beyond the flash"),
        ("[lan]", "[wan]  # HERE", "unknown key 'wan'"),
    ],
)
def test_a_mistake_is_shown_at_its_line(tmp_path, old, new, what):
    text = (BOARDS / "esp32-devkit" / "board.toml").read_text()
    assert old in text
    text = text.replace(old, new, 1)
    folder = tmp_path / "esp32-devkit"
    folder.mkdir()
    (folder / "board.toml").write_text(text)
    with pytest.raises(Problems) as caught:
        load_board("./esp32-devkit", tmp_path)
    problem = caught.value.problems[0]
    assert what in problem.what
    if "HERE" in new:
        assert problem.line == next(n for n, line in enumerate(text.split("\n"), 1) if "# HERE" in line)


def test_an_unknown_board_is_told_with_the_likely_one():
    with pytest.raises(Problems, match="did you mean 'esp32-devkit'"):
        load_board("esp32-devkti")
