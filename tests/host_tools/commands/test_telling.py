"""Tables and ends of commands, on terminals of every width and without one."""

import json

import pytest
import typer

from satama.commands import telling

HEAD = ("name", "chip", "remark", "empty", "points")
ROWS = [
    ("esp32-devkit", "ESP32", "a [bold] sentence that is long enough to be broken", "", "7"),
    ("x", "C3", "", "", "12"),
]


def table(capsys, **more):
    telling.table(HEAD, ROWS, wraps=("remark",), right=("points",), **more)
    return capsys.readouterr().out.splitlines()


def test_without_a_terminal_a_row_is_a_line_and_ends_with_its_text(capsys):
    head, first, second = table(capsys)
    assert head.split() == ["name", "chip", "remark", "points"], "nobody fills the other column"
    assert "a [bold] sentence that is long enough to be broken" in first
    assert first.endswith("  7") and second.endswith(" 12")
    assert not any(line != line.rstrip() for line in (head, first, second))


@pytest.mark.parametrize("columns", [20, 44, 60, 100])
def test_a_terminal_of_any_width_gets_every_letter(capsys, monkeypatch, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")  # for rich: it is one
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = table(capsys)
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    for word in ("esp32-devkit", "ESP32", "[bold]", "sentence", "broken"):
        assert word in text
    if columns >= 60:
        assert all(len(line) <= columns for line in lines[1:])
        assert (len(lines) > 3) == (columns == 60), "only the sentence is broken, and only where it must"


@pytest.mark.parametrize("as_events", [True, False])
def test_the_end_of_a_command_that_tells_events(capsys, as_events):
    with pytest.raises(typer.Exit) as ended:
        telling.stop("no port -> plug it in", "port", as_events, 2, changed=False)
    out, err = capsys.readouterr()
    assert ended.value.exit_code == 2
    if as_events:
        told = {"event": "result", "ok": False, "kind": "port", "error": "no port -> plug it in", "changed": False}
        assert json.loads(out) == told and err == ""
    else:
        assert (out, err) == ("", "no port -> plug it in\n")
