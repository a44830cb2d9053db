"""The page about boards is true: it names all of them, and its example of a board file works."""

import re
import tomllib
from pathlib import Path

from satama.boards.board import list_boards, load_board
from satama.core.places import BOARDS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "boards.md").read_text(encoding="utf-8")
TABLES = ("console", "ports", "start", "relays", "taken")


def test_the_table_names_every_board_and_its_transceiver():
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+) \|", PAGE.split("## Flash")[0], re.M))
    assert sorted(rows) == list_boards()
    for name, said in rows.items():
        part = load_board(name).ports["rs485"].transceiver.partition(",")[0]
        assert part in said if part else "your own" in said or "module" in said


def test_the_example_makes_a_board(tmp_path):
    example = re.search(r"```toml\n(.*?)```", PAGE, re.S)[1]
    assert set(tomllib.loads(example)) == set(TABLES)
    text = (BOARDS / "esp32-devkit" / "board.toml").read_text(encoding="utf-8")
    for table in TABLES:  # out with ours
        text = re.sub(rf"^\[{table}[^\]]*\]\n(?:(?!^\[).*\n)*", "", text, flags=re.M)
    text = text.replace('name = "esp32-devkit"', 'name = "mine"')
    text = re.sub(r"\[lan\]\n(?:(?!^\[).*\n)*", "", text, flags=re.M)
    text = text.replace("digital = [4, ", "digital = [").replace("16, 17, ", "").replace("32, 33]", "33]")
    text = text.replace("adc1 = [32, 33,", "adc1 = [33,").replace("P1 = 32\n", "")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "board.toml").write_text(text + "\n" + example)
    board = load_board("./mine", tmp_path)
    assert board.start["booster"].gpio == 5 and board.relays["K2"].expander == "PCF8574 0x24"
