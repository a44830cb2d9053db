"""The broker gone for hours, 16 devices, 100 points a minute: a quarter of a day here, three days by the command."""

import pytest
from typer.testing import CliRunner

from satama.cli import app
from satama_sim.pytest_plugin import missing
from satama_sim.storm import outage
from satama_sim.vm.path import VmMissing
from satama_sim.vm.umqtt import UmqttMissing


@pytest.mark.long
def test_six_hours_without_a_broker_arrive_once_and_fresh_data_first(request):
    try:
        report = outage.outage(6, vm=request.config.getoption("--vm"))
    except (VmMissing, UmqttMissing) as error:
        missing(str(error))
        raise
    assert report["streams"] == 100
    assert report["backlog"] >= 6 * 60 * 100
    assert report["violations"] == []


@pytest.mark.parametrize(("violations", "code"), [([], 0), ([{"kind": "heap", "what": "too little"}], 1)])
def test_the_command_says_what_it_found(monkeypatch, violations, code):
    monkeypatch.setattr(outage, "outage", lambda *args, **options: {"hours": 1, "violations": violations})
    result = CliRunner().invoke(app, ["storm", "outage", "--hours", "1"])
    assert result.exit_code == code
    assert ("heap: too little" in result.stdout) == bool(violations)
