"""Derived quantities on the real VM through a day of the simulated street corner, against what the world knows."""

import re
from fractions import Fraction

import pytest

MORNING = 1796094000  # 2026-12-01, 5 o'clock in Helsinki: before the crew comes, and before the beds are watered

BIN = ("bin-1", "bin-1-level")
BED = ("bed-1-valve", "bed-1", "bed-1-flow", "bed-1-water", "bed-1-leak")


@pytest.fixture
def part(demo_site, tmp_path):
    """A function that writes the street corner's site with only some of its devices and derived quantities: hours of the others' samples
    would say nothing about these."""

    def write(ids):
        head, *blocks = re.split(r"^(?=\[\[)", demo_site.read_text(), flags=re.M)
        named = {re.search(r'^id = "(.+)"', block, re.M)[1]: block for block in blocks}
        site = tmp_path / f"{ids[0]}.toml"
        site.write_text(head + "".join(named[name] for name in ("rs485", *ids)))
        return site

    return write


@pytest.mark.long
def test_a_morning_of_a_street_bin(cabinet, part):
    cab = cabinet(part(BIN), seed=7, start_unix_s=MORNING)
    bin_ = cab.world.device("bin-1")
    bin_.heap = bin_._room * 7 // 10
    heaps = {}
    for _ in range(7 * 60):
        cab.run("1m")
        heaps[cab.start_unix_s + round(cab.now_s)] = Fraction(bin_.heap * 100, bin_._room)
    fill = cab.broker.stream("bin-1-level/fill").samples
    good = [sample for sample in fill if sample.value is not None and not sample.reason]
    assert len(good) > 30
    # The sensor trembles by 1.5 mm and the median lags by some readings; a piece of litter is at most 8 mm high.
    far = [
        s
        for s in good
        if min(abs(Fraction(s.value) - heap) for at, heap in heaps.items() if abs(at - s.time) <= 90) > 3
    ]
    assert not far
    visits = [
        at
        for at, before, after in zip(list(heaps)[1:], heaps.values(), list(heaps.values())[1:], strict=False)
        if after < before - 20
    ]
    emptied = [event for event in cab.broker.events if event["event"] == "bin_emptied"]
    assert len(visits) >= 1 and len(emptied) == len(visits)
    for event, visit in zip(emptied, visits, strict=True):
        assert 0 <= event["utc"] - visit + 60 < 240 and Fraction(event["from"]) > Fraction(event["to"]) + 30
        assert event["point"] == "bin-1-level/fill"
    assert cab.broker.stream("bin-1-level/emptied").last.value == len(visits)
    estimates = [s for s in cab.broker.stream("bin-1-level/time_to_full").samples if s.value is not None]
    assert estimates and {s.reason for s in estimates} == {"estimated"}


def leaks(cab):
    return [event for event in cab.broker.events if event["event"] == "leak_suspected"]


@pytest.mark.long
def test_the_morning_watering_is_no_leak_but_water_through_a_closed_valve_is(cabinet, part):
    for closed in (False, True):
        cab = cabinet(part(BED), seed=7, start_unix_s=MORNING)
        if closed:  # the relay says so: its contact has welded
            cab.world.set("bed-1-valve", "relay_1", 0)
        cab.run("2h")
        flow = [s.value for s in cab.broker.stream("bed-1-water/volume_flow").samples if s.value is not None]
        assert max(flow) > Fraction(25, 1000)
        assert len(leaks(cab)) == closed
        if closed:
            assert leaks(cab)[0]["cause"] == "closed_valve" and leaks(cab)[0]["point"] == "bed-1-water/volume_flow"
            assert 1 in [s.value for s in cab.broker.stream("bed-1-leak/leak").samples]
