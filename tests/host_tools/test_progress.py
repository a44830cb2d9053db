"""What a command that takes its time shows on the three kinds of outputs."""

import json

from satama import progress


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
