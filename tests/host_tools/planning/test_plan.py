"""What a site asks of its buses: times reckoned by hand, loads over the common period, and who is told to ask for less."""

import json
from fractions import Fraction
from itertools import pairwise

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from satama.boards.board import load_board
from satama.commands import plan as commands_plan
from satama.commands import site as commands_site
from satama.compiling.compiler import plan_site
from satama.core.places import SITES
from satama.planning.bus_plan import BusPlan, Request, Round, judge, slots
from satama.planning.timing import timing
from satama.profiles.library import load_profile
from satama.site_file.site import RtuBus, TcpBus

SDM630 = load_profile("eastron-sdm630")
DEMO = SITES / "demo.toml"
BOARD = load_board("esp32-devkit")
HEAD = """\
[site]
name = "yard"
gateway = "gw-1"
board = "esp32-devkit"
[network]
kind = "wifi"
ssid = "yard"
[mqtt]
host = "broker.yard.example"
insecure = true
[[bus]]
id = "line"
kind = "modbus-rtu"
port = "rs485"
baud = 9600
"""


def device(name, unit, profile="eastron-sdm630", bus="line", **keys):
    keys = {"id": name, "profile": profile, "bus": bus, "unit": unit} | keys
    return "[[device]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


@pytest.fixture
def site(tmp_path):
    """A function that writes a site of such blocks."""

    def write(*blocks):
        path = tmp_path / "yard.toml"
        path.write_text(HEAD + "".join(blocks))
        return path

    return write


@pytest.fixture
def run():
    app = typer.Typer()
    commands_site.register(app)
    commands_plan.register(app)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


# --- the SDM630, read whole


def neighbours(points, most):
    """How many requests it takes when only values that touch share one."""
    count, end, start = 0, None, 0
    for point in sorted(points, key=lambda point: point.address):
        if point.address != end or point.address + point.registers - start > most:
            count, start = count + 1, point.address
        end = point.address + point.registers
    return count


def test_the_sdm630_is_read_in_four_requests(run):
    result = run("plan", SITES / "sdm630.toml", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    [bus] = told["buses"]
    [cycle] = bus["rounds"]
    assert told["feasible"] is True and bus["name"] == "rs485" and bus["baud"] == 9600
    assert len(cycle["requests"]) == 4
    assert len(SDM630.points) == 69 and neighbours(SDM630.points, SDM630.limits.max_registers) == 13
    covered = [(r["address"], r["address"] + r["count"]) for r in cycle["requests"]]
    assert all(any(a <= p.address and p.address + p.registers <= b for a, b in covered) for p in SDM630.points)
    assert all(r["function"] == 4 and r["unit"] == 1 and r["count"] <= 80 for r in cycle["requests"])
    assert [r["bytes"] for r in cycle["requests"]] == [13 + 2 * r["count"] for r in cycle["requests"]]
    assert cycle["time_us"] == bus["cycle_us"] == sum(r["time_us"] for r in cycle["requests"])
    assert cycle["period_s"] == 10 and bus["load"] == pytest.approx(cycle["time_us"] / 10e6, abs=1e-6)
    # Bytes of 10 bits at 9600 Bd, 20 ms turnaround, 100 ms gap.
    limit_us = sum(Fraction(r["bytes"] * 10 * 10**6, 9600) + 120_000 for r in cycle["requests"])
    assert 0 <= limit_us - bus["wire_limit_us"] < 4
    assert bus["wire_limit_us"] / bus["cycle_us"] >= 0.95


def test_people_see_every_request(run):
    result = run("plan", SITES / "sdm630.toml")
    rows = [line.split() for line in result.stdout.splitlines()]
    plan = plan_site(SITES / "sdm630.toml").plans[0]
    assert result.exit_code == 0 and "every 10 s: 4 requests" in result.stdout
    for request in plan.rounds[0].requests:
        text = f"main-meter unit 1 {request} {request.bytes} bytes {request.time_us / 1000:.1f} ms"
        assert text.split() in rows
    assert f"load {float(plan.load):.1%}: in 10 s the requests take {plan.cycle_us / 1000:.1f} ms" in result.stdout


# --- the time of one request


def test_the_time_of_a_serial_request():
    """8E1 at 19200 Bd: 11 bits, 572.9 us a character, T3.5 2005.5 us; pin, pin and write cost 90, 90 and 380 us."""
    model = timing(RtuBus(id="b", kind="modbus-rtu", port="rs485", baud=19200, parity="E"), BOARD.costs)
    assert model.size(3, 10) == 8 + 5 + 20 and model.size(1, 9) == 8 + 5 + 2 and model.size(2, 8) == 8 + 5 + 1
    assert model.request_us(3, 10, 30_000, 50_000) == 560 + 33 * 573 + 30_000 + 50_000
    assert model.request_us(1, 9, 0, 0) == 560 + 15 * 573 + 2006 + 2006  # nobody answers before T3.5
    assert model.limit_us(3, 10, 30_000, 50_000) == 18906 + 80_000
    assert model.limit_us(1, 9, 0, 0) == 8593 + 2005


def test_above_19200_baud_the_silence_is_fixed():
    model = timing(RtuBus(id="b", kind="modbus-rtu", port="rs485", baud=115200, stop_bits=2), BOARD.costs)
    assert model.request_us(4, 1, 5_000, 1_000) == 560 + 15 * 96 + 5_000 + 1_750


def test_the_time_of_a_network_request():
    """5 ms latency, looked for every 10 ms; two socket calls and a step of the task cost 1.2 ms."""
    model = timing(TcpBus(id="b", kind="modbus-tcp", host="192.0.2.1"), BOARD.costs)
    assert model.size(3, 10) == 12 + 9 + 20
    assert model.request_us(3, 10, 0, 0) == model.request_us(3, 100, 5_000, 0) == 1_200 + 10_000
    assert model.request_us(3, 10, 6_000, 1_000) == 1_200 + 30_000
    assert model.limit_us(3, 10, 6_000, 1_000) == 12_000


@given(
    st.integers(1, 4),
    st.integers(1, 125),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from([1200, 9600, 38400, 115200]),
    st.sampled_from("NEO"),
    st.sampled_from([1, 2]),
)
def test_nothing_is_faster_than_the_wire(function, count, turnaround, gap, baud, parity, stop_bits):
    for bus in (
        RtuBus(id="b", kind="modbus-rtu", port="p", baud=baud, parity=parity, stop_bits=stop_bits),
        TcpBus(id="b", kind="modbus-tcp", host="h"),
    ):
        model = timing(bus, BOARD.costs)
        assert model.request_us(function, count, turnaround, gap) > model.limit_us(function, count, turnaround, gap)
        assert model.request_us(function, count + 1, turnaround, gap) >= model.request_us(
            function, count, turnaround, gap
        )


# --- rounds and loads

ROUNDS = st.lists(
    st.tuples(st.sampled_from([1, 2, 3, 4, 5, 6, 10, 12, 15]), st.integers(1, 4_000_000)),
    min_size=1,
    max_size=4,
    unique_by=lambda r: r[0],
)


def bus_of(rounds, name="line"):
    """Rounds of (period, time), each with one request."""
    made = [Round(p, (Request(f"every-{p}", 1, 0, 3, 0, 1, 15, time, time),)) for p, time in sorted(rounds)]
    return BusPlan(0, name, "modbus-rtu", 9600, tuple(made))


@settings(max_examples=100)
@given(ROUNDS)
def test_the_common_period_is_walked_slot_by_slot(rounds):
    """Cycle, load and the fullest slot, told by a clock that ticks through the common period second by second."""
    bus = bus_of(rounds)
    due = {at: sum(time for p, time in rounds if at % p == 0) for at in range(bus.common_s)}
    assert all(bus.common_s % p == 0 for p, _ in rounds)
    assert not any(all(at % p == 0 for p, _ in rounds) for at in range(1, bus.common_s))
    assert bus.cycle_us == sum(due.values()) and bus.load == Fraction(bus.cycle_us, bus.common_s * 10**6)
    moments = [at for at in due if due[at]] + [bus.common_s]
    expected = [(due[left], (right - left) * 10**6) for left, right in pairwise(moments)]
    assert [(slot.due_us, slot.room_us) for slot in slots(bus.rounds, [p for p, _ in rounds])] == expected


@pytest.mark.parametrize(
    ("rounds", "others", "refused", "what"),
    [
        ([(10, 7_900_000)], [], None, ""),
        ([(10, 8_000_000)], [], False, "the requests take 80 % of the time"),
        ([(10, 10_000_000)], [], True, "the requests take 100 % of the time"),
        ([(2, 300_000), (10, 1_200_000)], [], None, ""),
        ([(2, 300_000), (10, 1_300_000)], [], False, "fall together take 1600.0 ms, and the next are due after 2 s"),
        ([(2, 300_000), (10, 1_800_000)], [], True, "fall together take 2100.0 ms, and the next are due after 2 s"),
        # At 4 s a round of 3 s begins, at 6 s the next one, though everything at once fits into the shortest period.
        ([(4, 2_100_000), (6, 100_000)], [], True, "fall together take 2100.0 ms, and the next are due after 2 s"),
        (
            [(10, 1_900_000)],
            [1],
            False,
            "take 1900.0 ms, and other rounds of this site are due after 1 s: they begin late",
        ),
        (
            [(10, 2_000_000)],
            [1],
            True,
            "take 2000.0 ms, and other rounds of this site are due after 1 s: they would be m",
        ),
        # At 15 s the round begins 0.8 s late, at 0 s by 1.2 s, though that slot has more room.
        (
            [(15, 1_800_000), (60, 3_400_000)],
            [4],
            True,
            "5200.0 ms, and other rounds of this site are due after 4 s: they w",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_what_hardly_fits_is_told(rounds, others, refused, what):
    verdicts = judge([bus_of(rounds)], [p for p, _ in rounds] + others)
    assert [verdict.refused for verdict in verdicts] == ([] if refused is None else [refused])
    assert all(what in verdict.what for verdict in verdicts)
    whole_of = "site" if others else "bus"
    assert all(f"for all devices of this {whole_of}, fewer points of every-" in verdict.hint for verdict in verdicts)


def test_a_bus_without_requests_is_none_of_our_business():
    assert judge([BusPlan(0, "line", "modbus-rtu", 9600, ())], [1]) == []
    assert BusPlan(0, "line", "modbus-rtu", 9600, ()).load == 0


# --- the command


def test_who_eats_the_time_is_named(run, site):
    path = site(
        device("hall", 1, period_s=2, points=["voltage_l1"]),
        device("roof", 2, period_s=1),
        device("yard", 3, "eastron-sdm120", period_s=2),
    )
    result = run("plan", path)
    plan = plan_site(path).plans[0]
    assert result.exit_code == 1 and plan.load > 1
    assert f"yard.toml:11: bus 'line': the requests take {round(plan.load * 100)} % of the time" in result.stderr
    assert "of that time: roof " in result.stderr  # the largest share comes first
    share = {name: Fraction() for name in ("hall", "roof", "yard")}
    for r in plan.rounds:
        for request in r.requests:
            share[request.device] += Fraction(request.time_us, r.period_s)
    ranked = sorted(share, key=share.get, reverse=True)
    assert ", ".join(f"{name} {round(100 * share[name] / sum(share.values()))} %" for name in ranked) in result.stderr
    assert "costliest request: input registers 0..79 of roof, 300.8 ms every 1 s" in result.stderr
    assert "-> period_s = 2 for all devices of this bus, fewer points of roof, a higher baud rate" in result.stderr
    assert "every 1 s: 4 requests" in result.stdout  # the plan is shown all the same
    told = json.loads(run("plan", path, "--json").stdout)
    assert told["feasible"] is False and told["buses"][0]["load"] > 1
    assert told["problems"][0]["line"] == 11 and "roof" in told["problems"][0]["what"]


def test_the_period_that_is_advised_is_enough(run, site):
    path = site(device("roof", 2, period_s=1), device("hall", 1, period_s=1))
    advised = run("plan", path).stderr.split("period_s = ")[1].split()[0]
    assert (
        run("plan", site(device("roof", 2, period_s=int(advised)), device("hall", 1, period_s=int(advised)))).exit_code
        == 0
    )


def test_check_and_build_refuse_what_plan_refuses(run, site):
    path = site(device("roof", 2, period_s=1), device("hall", 1, period_s=1))
    assert run("plan", path).exit_code == 1
    for command in ("check", "build"):
        result = run(command, path)
        assert result.exit_code == 2 and "of the time (of that time: " in result.stderr
    assert [file.name for file in path.parent.iterdir()] == ["yard.toml"]
    path = site(device("roof", 2, period_s=1))
    result = run("check", path)
    assert result.exit_code == 0 and "note: " in result.stderr and "the requests take 90 % of the time" in result.stderr


def test_a_mistake_ends_with_2(run, site):
    path = site(device("roof", 2, points=["voltage_l9"]))
    result = run("plan", path)
    assert result.exit_code == 2 and not result.stdout and "did you mean 'voltage_l" in result.stderr
    result = run("plan", path, "--json")
    assert result.exit_code == 2 and json.loads(result.stdout)["problems"][0]["line"] == 21
    assert run("plan", path.with_name("yrad.toml")).exit_code == 2


def test_buses_are_planned_apart(run, site):
    net = '[[bus]]\nid = "net"\nkind = "modbus-tcp"\nhost = "192.0.2.7"\n[[bus]]\nid = "idle"\nkind = "modbus-tcp"\nhost = "h"\n'
    path = site(net, device("roof", 2), device("hall", 1, bus="net", period_s=1))
    result = run("plan", path, "--json")
    told = json.loads(result.stdout)
    assert [(bus["name"], bus["baud"]) for bus in told["buses"]] == [("line", 9600), ("net", None), ("idle", None)]
    assert [[r["period_s"] for r in bus["rounds"]] for bus in told["buses"]] == [[10], [1], []]
    assert {r["device"] for r in told["buses"][1]["rounds"][0]["requests"]} == {"hall"}
    assert "nothing is asked for on it" in run("plan", path).stdout


def test_the_bounds_of_pulse_inputs_are_told(run):
    told = json.loads(run("plan", DEMO, "--json").stdout)["pulses"]
    names = {row["name"]: row["counted"] for row in told["inputs"]}
    assert names == {"bed-1-flow/volume": "counter", "water/volume": "interrupt"}
    text = run("plan", DEMO).stdout
    assert "counted by interrupt, debounced 50 ms" in text and "a power cut takes at most 5 s of pulses" in text
