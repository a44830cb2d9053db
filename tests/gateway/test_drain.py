"""A backlog drains as fast as the TCP of the board carries it, not a packet a round trip."""

import pytest
from typer.testing import CliRunner

from satama.cli import app
from satama_sim.bench import drain
from satama_sim.board.sockets import SEND_WINDOW
from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing
from satama_sim.vm.umqtt import UmqttMissing


def test_a_backlog_drains_ten_times_as_fast_as_packet_by_packet(request):
    try:
        report = drain.drain(2, vm=request.config.getoption("--vm"))
    except (VmMissing, UmqttMissing) as error:
        missing(str(error))
        raise
    assert report["backlog_samples"] >= 2 * 60 * 100 and report["packets"] > 100
    assert report["ratio"] >= 10
    assert report["sequential_nodelay_s"] >= report["packets"] * 0.05  # a round trip each, at least
    carried = SEND_WINDOW / 0.05  # bytes a second, which the send buffer of the board allows
    assert 0.85 * carried < report["gateway_bytes_per_s"] < carried


@pytest.mark.parametrize(("ratio", "code"), [(10.0, 0), (9.9, 1)])
def test_the_command_says_whether_that_is_fast_enough(monkeypatch, ratio, code):
    report = {
        "packets": 7, "payload_bytes": 7000, "round_trip_ms": 50, "gateway_s": 0.1, "sequential_s": 1.0,
        "sequential_nodelay_s": 0.5, "ratio": ratio, "live_packets_meanwhile": 1, "not_counted": "much",
    }  # fmt: skip
    monkeypatch.setattr(drain, "drain", lambda *args, **options: report)
    result = CliRunner().invoke(app, ["bench", "drain", "--hours", "1"])
    assert result.exit_code == code
    assert ("was wanted" in result.stdout) == bool(code)
