"""Devices that talk by themselves, whole gateway on the real MicroPython VM: a meter's customer port, a sensor that streams."""

from fractions import Fraction

import pytest
from written_sites import HEAD, RTU, device

from gateway.core.exact import divide_half_even
from satama_sim.bus import faults, pushing

BUS = '\n[[bus]]\nid = "port"\nkind = "{kind}"\nport = "serial"\n'
SPEAKER = '\n[[device]]\nid = "{name}"\nprofile = "{profile}"\nbus = "port"\nperiod_s = {period_s}\n'
SECOND = 1_000_000


def listening(kind, name, profile, period_s=10):
    """A cabinet with a busy RS-485 bus beside the port."""
    rtu = RTU.format(baud=9600) + device("flat", "eastron-sdm120", 1, period_s=5)
    speaker = BUS.format(kind=kind) + SPEAKER.format(name=name, profile=profile, period_s=period_s)
    return HEAD.format(board="esp32-devkit") + rtu + speaker


@pytest.fixture
def h1(cabinet, tmp_path):
    (tmp_path / "h1.toml").write_text(listening("h1", "meter", "h1-port"))
    cab = cabinet(tmp_path / "h1.toml", seed=6)
    port(cab).record_truth = True
    return cab


@pytest.fixture
def stream(cabinet, tmp_path):
    (tmp_path / "stream.toml").write_text(listening("stream", "bin", "a02yyuw-uart", period_s=5))
    cab = cabinet(tmp_path / "stream.toml", seed=6)
    port(cab).record_truth = True
    return cab


def port(cab):
    return next(bus for bus in cab.buses if bus.name == "port")


def uart(cab):
    return cab.board.uarts[2]


def samples(cab, name):
    return cab.broker.stream(name).samples


def reasons(cab, name, since_s=0):
    """Why samples of the last `since_s` seconds, or all, had no value; "" where they had one."""
    return [s.reason for s in samples(cab, name) if not since_s or s.time >= cab.start_unix_s + cab.now_s - since_s]


def account(cab):
    """(telegrams that the gateway saw, those not good) as the console shows them."""
    row = next(bus for bus in cab.request("status")["buses"] if bus["bus"] == "port")
    return row["requests"], row["errors"]


def assert_exact(cab, oldest_s):
    """Every value that arrived is one that the device said at most so long before, rounded as its stream is. How many there were."""
    checked = 0
    for stream in cab.compiled.streams:
        name, point = stream.name.split("/")
        truth = [(at_us, value) for who, what, at_us, value in port(cab).truth_log if (who, what) == (name, point)]
        for sample in samples(cab, stream.name) if truth else ():
            if sample.value is None:
                continue
            taken_us = (sample.time - cab.start_unix_s) * SECOND
            said = [value for at_us, value in truth if -SECOND < taken_us - at_us < oldest_s * SECOND]
            mantissas = [value / Fraction(10) ** stream.exponent for value in said]
            shown = {divide_half_even(exact.numerator, exact.denominator) for exact in mantissas}
            assert Fraction(sample.value) / Fraction(10) ** stream.exponent in shown, (stream.name, sample)
            checked += 1
    return checked


def test_every_value_of_the_customer_port_arrives_exactly(h1):
    h1.run("10m")
    points = len(h1.compiled.profiles["meter"].points)
    assert assert_exact(h1, 12) >= 57 * points
    assert set(reasons(h1, "meter/energy_import", 580)) == {""}
    seen, wrong = account(h1)
    assert seen == port(h1).requests and wrong == uart(h1).overflows == 0
    assert f"port listening: {seen} good, no errors" in h1.type("buses", wait=0.4)


def test_every_second_and_twice_at_once_is_not_too_fast(h1):
    h1.run(3)
    port(h1).interval_us = SECOND
    port(h1).faults.append(pushing.doubled)
    h1.run("3m")
    assert account(h1)[1] == uart(h1).overflows == 0
    assert port(h1).requests - 2 <= account(h1)[0] <= port(h1).requests > 330
    assert assert_exact(h1, 3) > 400


def test_damaged_telegrams_are_counted_and_no_wrong_value_is_ever_published(h1):
    h1.run(3)
    line = port(h1)
    line.interval_us = SECOND
    line.noise(percent=40, seed=5)
    line.faults += [
        faults.sometimes(1, 10, pushing.torn),
        faults.sometimes(2, 10, faults.dropped),
        faults.sometimes(3, 10, pushing.doubled),
        faults.sometimes(4, 20, faults.leading(b"\xff/1-0:1.8.0(99999999.999*kWh)\r\n!")),
    ]
    h1.run("10m")
    assert assert_exact(h1, 12) > 1500
    assert set(reasons(h1, "meter/energy_import", 590)) == {""}  # one good telegram in three intervals is enough
    seen, wrong = account(h1)
    assert wrong > 150 and seen > 400
    line.noise(0)
    line.faults.clear()
    wrong = account(h1)[1]
    h1.run("1m")
    assert account(h1)[1] <= wrong + 1


def test_a_pulled_plug_makes_values_stale_and_not_wrong(h1):
    h1.run("1m")
    h1.pull_cable("port")
    h1.run("2m")
    assert set(reasons(h1, "meter/voltage_l1", 75)) == {"stale"}
    assert account(h1)[1] >= 3
    h1.plug_in("port")
    h1.run("1m")
    assert set(reasons(h1, "meter/voltage_l1", 30)) == {""}
    assert_exact(h1, 45)


def test_a_port_that_nobody_has_opened_times_out(h1):
    port(h1).connected = False
    h1.run("2m")
    assert set(reasons(h1, "meter/voltage_l1")) == {"timeout"}
    assert set(reasons(h1, "flat/voltage", 60)) == {""}


def test_a_line_wired_upside_down_gives_reasons_and_no_values(h1):
    port(h1).inverted = False
    h1.run("2m")
    assert set(reasons(h1, "meter/voltage_l1", 90)) == {"crc"}
    assert account(h1)[1] > 0


def test_what_a_telegram_says_absurdly_or_not_at_all_is_bad_with_a_reason(h1):
    def absurd(unit, message, delay_us):
        lines = message[: message.index(b"!")].split(b"\r\n")
        lines = [line for line in lines if not line.startswith(b"1-0:52.7.0")]
        lines = [b"1-0:32.7.0(999.9*V)" if line.startswith(b"1-0:32.7.0") else line for line in lines]
        lines = [b"1-0:72.7.0(230.1*kV)" if line.startswith(b"1-0:72.7.0") else line for line in lines]
        lines = [b"1-0:1.8.0(99999999999999999999*kWh)" if line.startswith(b"1-0:1.8.0") else line for line in lines]
        body = b"\r\n".join(lines) + b"!"
        return [(body + f"{pushing.crc16_arc(body):04X}\r\n".encode(), delay_us)]

    port(h1).faults.append(absurd)
    h1.run("2m")
    assert set(reasons(h1, "meter/voltage_l1", 90)) == {"out_of_range"}
    assert set(reasons(h1, "meter/voltage_l2", 90)) == {"no_data"}
    assert set(reasons(h1, "meter/voltage_l3", 90)) == {"invalid"}
    assert set(reasons(h1, "meter/energy_import", 90)) == {"overflow"}
    assert set(reasons(h1, "meter/energy_export", 90)) == {""}


def test_a_streaming_sensor(stream):
    stream.run("5m")
    assert assert_exact(stream, 2) >= 57  # of 60: what waits for its pack is not there yet
    assert set(reasons(stream, "bin/distance", 280)) == {""}
    seen, wrong = account(stream)
    assert port(stream).requests - 3 <= seen and wrong == uart(stream).overflows == 0
    stream.pull_cable("port")
    stream.run("1m")
    assert set(reasons(stream, "bin/distance", 45)) == {"stale"}
    stream.plug_in("port")
    stream.run("1m")
    assert set(reasons(stream, "bin/distance", 45)) == {""}


def test_a_streaming_sensor_on_a_bad_wire(stream):
    port(stream).noise(percent=50, seed=2)
    stream.run("5m")
    assert sum(reason == "" for reason in reasons(stream, "bin/distance", 280)) >= 50
    assert account(stream)[1] > 50


def test_after_a_deploy_only_the_new_device_talks(h1, tmp_path):
    h1.run(40)
    before = port(h1)
    said = before.requests
    assert said >= 3
    h1.deploy(tmp_path / "h1.toml")
    h1.run(60)
    assert port(h1) is not before and port(h1).requests >= 5
    assert before.requests == said
