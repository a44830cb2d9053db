"""The simulator's commands as a user calls them: what they print, what they exit with, what they say when something is wrong."""

import json
import socket
import subprocess
import sys

import pytest

from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing, find_vm

KEYS = {
    "vm", "clock", "virtual_s", "streams", "produced", "acknowledged", "queued", "dropped", "quarantined",
    "decoded_at_broker", "payload_bytes", "modbus_requests", "modbus_errors",
}  # fmt: skip


def satama(*words: str, timeout: int = 120) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "satama", *words], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture
def vm():
    try:
        return find_vm()
    except VmMissing as error:
        missing(str(error))


@pytest.fixture
def silent_port():
    """A loopback port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.real_time
def test_demo_ends_with_one_json_object_that_balances(vm, demo_site):
    done = satama("demo", "--for", "15s", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.keys() >= KEYS
    assert report["clock"] == "real" and report["virtual_s"] >= 15
    assert report["produced"] == sum(report[k] for k in ("acknowledged", "queued", "dropped", "quarantined")) > 0
    assert report["decoded_at_broker"] == report["acknowledged"]


def test_sim_run_prints_the_same_object_twice(vm, demo_site):
    words = ("sim", "run", str(demo_site), "--for", "5m", "--clock", "virtual", "--seed", "7", "--json")
    first, second = (json.loads(satama(*words).stdout.splitlines()[-1]) for _ in range(2))
    assert first.keys() >= KEYS | {"payload_sha256", "virtual_per_real", "buses"}
    assert first["buses"][0].keys() >= {"name", "busy_us", "wire_limit_us"}
    assert first["payload_sha256"] == second["payload_sha256"]
    assert 0.9 < first["buses"][0]["wire_limit_us"] / first["buses"][0]["busy_us"] <= 1
    assert first["streams_missing"] == []


def test_sim_run_tells_people_in_words(vm, demo_site):
    done = satama("sim", "run", str(demo_site), "--for", "2m")
    assert done.returncode == 0
    assert "produced" in done.stdout and "bus rs485: busy" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("sim", "run", "no-such-site.toml"), 2, "no-such-site.toml"),
        (("sim", "run", "SITE", "--for", "soon"), 2, "20s, 90m or 24h"),
        (("sim", "run", "SITE", "--clock", "sundial"), 2, "virtual or real"),
        (("sim", "run", "SITE", "--vm", "/no/such/vm"), 2, "MicroPython"),
        (("sim", "run", "SITE", "--vm", sys.executable), 2, "is no MicroPython"),
        (("sim", "run", "SITE", "--broker", "nowhere"), 2, "host:port"),
        (("demo", "--bus", "rs485"), 2, "rs485=/dev/ttyUSB0"),
        (("demo", "--bus", "garden=/dev/null"), 2, "no bus 'garden'"),
        (("demo", "--bus", "rs485=/dev/ttyUSB77", "--for", "5s"), 1, "there is no port /dev/ttyUSB77"),
    ],
)
def test_wrong_use_is_told_with_the_way_out(vm, demo_site, words, code, said):
    done = satama(*(str(demo_site) if word == "SITE" else word for word in words))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("sim", "run", "SITE"), ("demo",)])
def test_an_unreachable_broker_gets_its_sentence(vm, demo_site, silent_port, words):
    words = [str(demo_site) if word == "SITE" else word for word in words]
    done = satama(*words, "--broker", f"127.0.0.1:{silent_port}", "--for", "5s")
    assert done.returncode == 1
    assert f"no broker answers at 127.0.0.1:{silent_port}" in done.stderr


def test_a_busy_broker_port_gets_its_sentence(vm):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = satama("demo", "--port", str(port), "--for", "5s")
    assert done.returncode == 1
    assert str(port) in done.stderr and "Traceback" not in done.stderr
