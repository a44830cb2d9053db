"""A cabinet gets another site while a day of backlog waits: every old record arrives as what it was when it was taken.

The names are those that its console knew before, the values those that its devices showed.
"""

import json
from fractions import Fraction

import pytest
from exact_values import mantissa
from written_sites import HEAD, RTU, device

from gateway.core.short_name import short
from satama.compiling.compiler import compile_site

METER = "eastron-sdm120"
PRIVACY = "\n[privacy.billing]\nfloor_s = 900\npseudonym = true\n"
PRIVATE = 'privacy = "billing"\npoints = ["energy_import"]\n'

PROFILE = """
name = "tank"
vendor = "Satama"
model = "made up"
kind = "sensor"
interface = "modbus"
sources = ["made up for the tests"]
[serial]
baud = 9600
parity = "N"
stop_bits = 1
unit = 1
[limits]
max_registers = 10
gap_ms = 20
turnaround_ms = 20
timeout_ms = 300
"""
POINT = """
[[point]]
name = "{name}"
quantity = "{quantity}"
unit = "{unit}"
function = 3
address = {address}
type = "u16"
scale = 1
exponent = {exponent}
source = "made up"
"""


def profile(power_unit, energy_exponent):
    power = POINT.format(name="power", quantity="active_power", unit=power_unit, address=0, exponent=0)
    level = POINT.format(name="current", quantity="current", unit="A", address=4, exponent=energy_exponent)
    return PROFILE + power + level


def points(*names):
    return "points = [" + ", ".join(f'"{name}"' for name in names) + "]\n"


def first_site():
    return (
        HEAD.format(board="esp32-devkit")
        + PRIVACY
        + RTU.format(baud=9600)
        + "".join(
            [
                device("main", METER, 1, 600, more=points("voltage", "active_power", "energy_import")),
                device("pump", METER, 2, 600, more=points("current", "energy_import")),
                device("tank", "tank.toml", 3, 600),
                device("flat-17", METER, 4, 900, more=PRIVATE),
                device("flat-18", METER, 5, 900, more=PRIVATE),
            ]
        )
    )


def second_site():
    """main is now called grid and shows its frequency, the pump and flat 17 are gone, a lift has come."""
    return (
        HEAD.format(board="esp32-devkit")
        + PRIVACY
        + RTU.format(baud=9600)
        + "".join(
            [
                device("grid", METER, 1, 600, more=points("voltage", "frequency", "energy_import")),
                device("tank", "tank.toml", 3, 600),
                device("flat-18", METER, 5, 900, more=PRIVATE),
                device("lift", METER, 6, 600, more=points("voltage")),
            ]
        )
    )


def write(folder, text, power_unit="kW", energy_exponent=-1):
    """The site with its profile beside it, its ids kept."""
    (folder / "tank.toml").write_text(profile(power_unit, energy_exponent))
    site = folder / "site.toml"
    site.write_text(text)
    compile_site(site)
    return site


def queued(cab):
    """{stream: samples that wait}, by the names that leave the cabinet; without events."""
    return {row[0]: row[3] for row in cab.ledger()["streams"] if row[0] != "(events)"}


def flats(names):
    """Those that are pseudonyms: of the households."""
    return {name for name in names if len(name) == len("0123456789abcdef/energy_import")}


def shown_by(cab):
    """{(device, point): [(us, what the device showed, exactly)]}"""
    found = {}
    for who, point, at_us, value in cab.buses[0].slaves.truth_log:
        found.setdefault((who, point), []).append((at_us, value))
    return found


@pytest.fixture
def live(cabinet, tmp_path):
    """A function: (cabinet whose broker was away for so long, all messages that it will publish)."""

    def start(duration):
        cab = cabinet(write(tmp_path, first_site()), seed=5)
        cab.buses[0].slaves.record_truth = True
        cab.stop_broker()
        messages = []
        feed = cab.broker.feed
        cab.broker.feed = lambda topic, payload: messages.append((topic, bytes(payload))) or feed(topic, payload)
        cab.run(duration)
        assert not messages
        return cab, messages

    return start


@pytest.mark.long
def test_a_backlog_of_a_day_outlives_a_re_deploy_with_its_names_units_and_exponents(live, tmp_path):
    cab, messages = live("24h")
    waited, truth, exponents = queued(cab), shown_by(cab), {s.name: s.exponent for s in cab.compiled.streams}
    units = {"voltage": "V", "active_power": "W", "energy_import": "kWh", "current": "A", "power": "kW"}
    pseudonyms = flats(waited)
    assert len(waited) == 9 and len(pseudonyms) == 2 and min(waited.values()) >= 95
    cab.deploy(write(tmp_path, second_site(), "W", -3))
    new_life_us, first_epoch = cab.timeline.now_us, cab.request("status")["epoch"] - 1
    cab.start_broker()
    cab.run("70m")
    ledger = cab.ledger()
    assert ledger["balanced"] and ledger["dropped"] == ledger["quarantined"] == 0 and ledger["queued"] < 20
    assert ledger["acknowledged"] == cab.broker.decoded and cab.broker.errors == 0

    # All that waited is there under its name and unit, to the digit.
    views = {(view.name, view.unit): view for view in cab.broker.streams.values()}
    for name, count in waited.items():
        device_id, point = name.split("/")
        view = views[name, units[point]]
        old = [sample for sample in view.samples if sample.epoch == first_epoch]
        assert len(old) == count, name
        if name in pseudonyms:
            continue
        for sample in old:
            if not sample.absolute:  # taken before the first time server has answered
                continue
            taken_us = (sample.time - cab.start_unix_s) * 1_000_000
            shown = [value for at_us, value in truth[device_id, point] if 0 <= at_us - taken_us < 20_000_000]
            if shown[0] is not None:
                said = Fraction(sample.value) / Fraction(10) ** exponents[name]
                assert said == mantissa(shown[0], exponents[name]), (name, sample)
                assert taken_us < new_life_us
    checked = [sample for view in cab.broker.streams.values() for sample in view.samples if sample.value is not None]
    assert len(checked) > 1200

    # Whoever begins to listen now can name everything; what is gone is marked, and what is new has an id of its own.
    assert all(name for name, _ in views)
    gone = {key for key, view in views.items() if view.retired}
    assert gone - {(name, "kWh") for name in pseudonyms} == {
        *(("main/voltage", "V"), ("main/active_power", "W"), ("main/energy_import", "kWh")),
        *(("pump/current", "A"), ("pump/energy_import", "kWh"), ("tank/power", "kW")),
    }
    for name in ("grid/voltage", "grid/frequency", "grid/energy_import", "lift/voltage"):
        assert len(cab.broker.stream(name).samples) >= 6 and not cab.broker.stream(name).retired

    # Another unit is another stream of the same name; another exponent is the same stream.
    assert cab.broker.stream("tank/power") is views["tank/power", "W"]
    assert views["tank/power", "W"].id > views["lift/voltage", "V"].id - 6 > views["tank/power", "kW"].id
    digits = {sample.value.as_tuple().exponent for sample in views["tank/current", "A"].samples}
    assert digits == {-1, -3}

    # The household that has moved out keeps its pseudonym, and no name of a household has left.
    assert flats(name for name, _ in views) == pseudonyms
    assert sum(views[name, "kWh"].retired for name in pseudonyms) == 1
    assert not any(b"flat-" in topic.encode() + payload for topic, payload in messages)

    # Devices that are gone have a birth, too.
    births = {
        topic.rsplit("/", 1)[1]: json.loads(kept[0])
        for topic, kept in cab.simulated_broker.core.retained.items()
        if "/birth/" in topic
    }
    moved_out = next(name for name in pseudonyms if views[name, "kWh"].retired).split("/")[0]
    assert {name for name, said in births.items() if said.get("retired")} == {"main", "pump", moved_out}
    pump = next(row for row in births["pump"]["streams"] if row["name"] == "pump/current")
    number = views["pump/current", "A"].id
    assert pump == {
        **{"n": short(number), "id": number, "name": "pump/current", "unit": "A", "exponent": -3, "kind": "gauge"},
        **{"class": "telemetry", "period_s": 600, "retired": True},
    }
    assert [row.get("retired", False) for row in births["tank"]["streams"]] == [False, False, True]

    # The console still finds them in the journal.
    history = cab.request("history", of="pump/current", value="3d")
    assert len(history["samples"]) == 50 and history["after"]


def test_the_ledger_balances_over_restarts_behind_a_re_deploy(live, tmp_path):
    cab, _ = live("3h")
    waited = queued(cab)
    new = {"tank/current"} | flats(waited)
    lost = sum(count for name, count in waited.items() if name not in new)
    cab.deploy(write(tmp_path, second_site(), "W", -3))
    for _ in range(3):
        cab.run("40m")
        assert queued(cab)["(other)"] > lost  # the flat, too
        cab.cut_power()
        cab.restore_power()
    cab.start_broker()
    cab.run("30m")
    ledger = cab.ledger()
    rows = {row[0]: row[1:] for row in ledger["streams"]}
    assert ledger["balanced"] and ledger["dropped"] == ledger["quarantined"] == 0 and ledger["queued"] < 20
    arrived = sum(view.count for view in cab.broker.streams.values() if view.retired)
    assert rows["(other)"] == [arrived, arrived, 0, 0, 0]
    assert ledger["acknowledged"] == cab.broker.decoded and cab.broker.errors == 0
