"""Supported boards are sound, and what is wrong in a board file is said at its line."""

import pytest

from satama.boards.board import is_path, list_boards, load_board
from satama.boards.pins import find_input
from satama.core.places import BOARDS
from satama.core.problems import Problems, Wrong


@pytest.mark.parametrize("name", list_boards())
def test_every_board_of_ours_is_sound(name):
    board = load_board(name)
    assert {"vfs", "journal"} <= set(board.partitions)
    assert "rs485" in board.ports and board.pulse
    assert board.console.tx is not None and board.console.rx is not None
    assert all(
        source.startswith(("http", "MicroPython", "Espressif", "Maxim", "Waveshare")) for source in board.sources
    )
    assert (board.uart_fifo_bytes, board.uart_rxbuf_bytes, board.scheduler_tick_ms) == (128, 256, 10)
    assert all(isinstance(cost, int) for cost in board.costs.model_dump().values())


def test_which_boards_there_are():
    assert list_boards() == [
        "esp32-c3-devkit",
        "esp32-devkit",
        "esp32-s3-devkit",
        "kincony-kc868-a16",
        "lilygo-t-can485",
        "m5stack-atom-rs485",
        "olimex-esp32-evb",
        "olimex-esp32-poe",
        "waveshare-esp32-s3-eth-8di-8ro",
        "waveshare-esp32-s3-relay-6ch",
        "wt32-eth01",
    ]
    assert [name for name in list_boards() if not load_board(name).counter] == ["esp32-c3-devkit"]
    by_name = {name: load_board(name) for name in list_boards()}
    assert {name for name, board in by_name.items() if board.lan} == {
        "esp32-devkit",
        "kincony-kc868-a16",
        "olimex-esp32-evb",
        "olimex-esp32-poe",
        "waveshare-esp32-s3-eth-8di-8ro",
        "wt32-eth01",
    }
    assert by_name["waveshare-esp32-s3-eth-8di-8ro"].firmware_name == "ESP32_GENERIC_S3-SPIRAM_OCT"


@pytest.mark.parametrize("name", list_boards())
def test_the_flash_is_laid_out_as_decided(name):
    """The stock application as in MicroPython's own table, room for two slots, and the rest for the journal, at most 8 MiB."""
    board = load_board(name)
    rest = board.flash_bytes - 0x280000
    assert {part: (p.type, p.subtype, p.offset, p.size) for part, p in board.partitions.items()} == {
        "nvs": (1, 2, 0x9000, 0x6000),
        "phy_init": (1, 1, 0xF000, 0x1000),
        "factory": (0, 0, 0x10000, 0x1F0000),
        "vfs": (1, 0x81, 0x200000, 0x80000),
        "journal": (1, 0x40, 0x280000, min(rest, 8 << 20)),
    }


def test_inputs_by_name_and_number():
    board = load_board("esp32-devkit")
    assert find_input(board, "analog", "A1") == find_input(board, "analog", 34) == 34
    assert find_input(board, "pulse", "P1") == 32
    for interface, pin, what in [
        ("analog", 25, "ADC2"),
        ("analog", "P1", "one of the pulse inputs"),
        ("analog", "A9", 'no ADC input "A9"'),
        ("analog", 6, "cannot be one of the ADC inputs"),
        ("pulse", 34, "cannot be one of the pulse inputs"),
        ("pulse", None, "'pin' is missing"),
    ]:
        with pytest.raises(Wrong, match=what):
            find_input(board, interface, pin)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("A1 = 34", "A1 = 25  # HERE", "GPIO 25 cannot be this input"),
        ("uart = 1\n", "uart = 0  # HERE\n", "is the console"),
        ("pin_us = 90 ", "pin_us = 90.5  # HERE\n#", "must be a whole number"),
        ("counter = true ", "counter = 1  # HERE\n#", "must be true or false"),
        (
            "journal = { type = 1, subtype = 0x40, offset = 0x280000",
            "journal = { type = 1, subtype = 0x40, offset = 0x27F000",
            "partition 'journal' overlaps partition 'vfs'",
        ),
        ("size = 0x180000 }", "size = 0x200000 }", "beyond the flash"),
        ("flash_bytes = 0x400000", "flash_bytes = 0x300000  # HERE", "powers of two"),
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


RULES = [
    ("olimex-esp32-evb", "gpio = 32, on = 1", "gpio = 34, on = 1", "GPIO 34 of the ESP32 is an input only"),
    ("olimex-esp32-evb", "gpio = 32, on = 1", "gpio = 33, on = 1", "GPIO 33 is given to relay REL1 and to relay REL2"),
    ("olimex-esp32-evb", "P1 = 13", "P1 = 33", "GPIO 33 cannot be this input"),
    ("olimex-esp32-evb", "digital = [4, 13, 16, 17]", "digital = [4, 13, 16, 17, 33]", "GPIO 33 is not free"),
    (
        "olimex-esp32-evb",
        "digital = [4, 13, 16, 17]",
        "digital = [4, 13, 16, 17, 34]",
        "GPIO 34 of the ESP32 cannot do that",
    ),
    ("olimex-esp32-evb", "[taken]\n", '[taken]\n24 = "nothing"\n', "'24' is no GPIO of the ESP32"),
    ("olimex-esp32-evb", "[taken]\n", '[taken]\nIO2 = "nothing"\n', "'IO2' is no GPIO of the ESP32"),
    ("olimex-esp32-evb", "ref_clk = 0", "ref_clk = 5", "50 MHz clock cannot be on GPIO 5"),
    ("olimex-esp32-evb", "mdio = 18\n", "", "'mdio' is missing"),
    ("olimex-esp32-evb", "pins = [0, 18,", "pins = [18,", "GPIO 0 belongs to the Ethernet, but is not in the list"),
    ("olimex-esp32-evb", 'phy = "LAN8710"', 'phy = "W5500"', "'sck' is missing"),
    ("lilygo-t-can485", "gpio = 16, level", "gpio = 22, level", "GPIO 22 is given to port 'rs485' and to booster"),
    ("lilygo-t-can485", "gpio = 16, level = 1", "gpio = 16, level = 2", "level = 2 is not one of the choices"),
    ("lilygo-t-can485", "tx = 22", "tx = 39", "GPIO 39 of the ESP32 is an input only"),
    ("lilygo-t-can485", "tx = 22", "tx = 9", "GPIO 9 is wired to the flash"),
    ("lilygo-t-can485", 'A4 = "header', 'A9 = "header', "there is no input 'A9'"),
    ("kincony-kc868-a16", "bit = 3, on = 0 }", "gpio = 12, on = 0 }", "an expander has 'expander' and 'bit'"),
    (
        "kincony-kc868-a16",
        'kind = "expander", expander = "PCF8574 0x24", bit = 3, on = 0',
        "on = 0",
        "'gpio' is missing",
    ),
    ("waveshare-esp32-s3-eth-8di-8ro", 'phy = "W5500"', 'phy = "LAN8720"', "the ESP32-S3 has none"),
    ("esp32-c3-devkit", "counter = false", "counter = true", "the ESP32-C3 has no pulse counter"),
    ("esp32-devkit", "offset = 0x10000,", "offset = 0x20000,", "lies at 0x10000, not at 0x20000"),
]


@pytest.mark.parametrize(("name", "old", "new", "what"), RULES)
def test_a_board_that_cannot_be_is_refused(tmp_path, name, old, new, what):
    text = (BOARDS / name / "board.toml").read_text()
    assert old in text
    folder = tmp_path / name
    folder.mkdir()
    (folder / "board.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(Problems) as caught:
        load_board(f"./{name}", tmp_path)
    assert what in "\n".join(problem.what for problem in caught.value.problems)


def test_an_unknown_board_is_told_with_the_likely_one():
    with pytest.raises(Problems, match="did you mean 'esp32-devkit'"):
        load_board("esp32-devkti")


def test_a_folder_is_told_from_a_name_with_the_separators_of_windows_too():
    assert is_path("C:\\boards\\mine") and is_path("boards/mine") and is_path("mine.toml")
    assert not any(map(is_path, list_boards()))
