"""What the pages tell a technician to write works as it stands."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from satama.cli import app
from satama.core.places import SITES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "technician.md"
RUN = CliRunner()


def block(mark):
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert found, f"the page has no block {mark}"
    return found[1]


@pytest.fixture
def cabinet_file(tmp_path):
    (tmp_path / "peacefair-pzem-017.toml").write_text(block("profile: peacefair-pzem-017.toml"))
    site = tmp_path / "my-cabinet.toml"
    site.write_text(
        (SITES / "demo.toml").read_text(encoding="utf-8") + "\n" + block("device").replace("unit = 1", "unit = 9")
    )
    return site


def test_a_new_device_takes_one_file_and_two_commands(cabinet_file):
    checked = RUN.invoke(app, ["profiles", "check", str(cabinet_file.parent / "peacefair-pzem-017.toml")])
    assert checked.exit_code == 0 and "CDAB" in checked.output
    told = RUN.invoke(app, ["check", str(cabinet_file), "--json"])
    assert told.exit_code == 0
    warnings = [warning["what"] for warning in json.loads(told.stdout)["warnings"]]
    assert any("battery" in what and "9600 8N2" in what for what in warnings)


def test_all_toml_on_the_page_is_toml():
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 4
    for text in blocks:
        tomllib.loads(text)
