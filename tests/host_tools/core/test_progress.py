"""What a command that takes its time shows on the three kinds of outputs."""

import json
import os

import pytest

from satama.core import progress


def test_events_tell_the_beginning_the_way_and_the_end(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_EVERY_S", 0)
    with progress.reporter(True) as report:
        report.say("nothing for tools")
        with report.step("write", 10) as step:
            step.to(4)
            step.to(12, of=12)
        report.event("done", port="COM3")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [
        {"event": "begin", "step": "write", "of": 10},
        {"event": "progress", "step": "write", "done": 4, "of": 10},
        {"event": "progress", "step": "write", "done": 12, "of": 12},
        {"event": "end", "step": "write", "done": 12, "of": 12},
        {"event": "done", "port": "COM3"},
    ]


def test_lines_where_there_is_no_terminal_and_never_on_stdout(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_EVERY_S", 0)
    with progress.reporter(False) as report:
        with report.step("write", 10) as step:
            step.to(5)
        with report.step("wait for the start") as step:
            step.to(3)
        report.say("done")
        report.event("done")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["write ...", "write: 50 %", "wait for the start ...", "wait for the start: 3", "done"]


def test_a_bar_on_a_terminal_goes_away_and_the_sentences_stay(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.reporter(False) as report:
        assert isinstance(report, progress.Bars)
        with report.step("write [a]", 10) as step:
            step.to(5)
        report.say("[green] is no markup here")
    out, err = capsys.readouterr()
    assert out == "" and "[green] is no markup here" in err


@pytest.mark.parametrize("as_json, name", [(True, "stdout"), (False, "stderr")])
def test_a_listener_that_goes_away_stops_nothing(monkeypatch, as_json, name):
    """As `satama flash --json | head -1`: a board must not be left half written for it."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(f"sys.{name}", gone)
        with progress.reporter(as_json) as report:
            with report.step("write", 10) as step:
                step.to(5)
            report.say("done")
            report.event("done")
        print("and what the command says at its end", file=gone, flush=True)


def test_no_percentage_where_nobody_knows_how_much_there_is_to_do(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.reporter(False) as report, report.step("connect"), report.step("write", 10) as step:
        step.to(5)
        shown = [report._progress.columns[2].render(task).plain for task in report._progress.tasks]
    assert shown == ["", " 50 %"]


@pytest.mark.parametrize("as_json, name, other", [(True, "stdout", "err"), (False, "stderr", "out")])
def test_a_stream_that_was_closed_from_the_start_takes_nothing_and_stops_nothing(
    capsys, monkeypatch, as_json, name, other
):
    monkeypatch.setattr(f"sys.{name}", None)
    with progress.reporter(as_json) as report, report.step("write", 10) as step:
        step.to(5)
        report.say("done")
    assert getattr(capsys.readouterr(), other) == ""
