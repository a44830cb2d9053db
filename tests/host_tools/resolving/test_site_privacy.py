"""What a site says of privacy: what would let out what it promises to keep is refused, with the line and a way out."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satama.compiling.compiler import compile_site
from satama.core.places import SITES
from satama.core.problems import Problems
from satama.resolving.resolve import resolve_site
from satama.site_file.privacy import FEWEST_HOUSEHOLDS, Privacy

HEAD = """\
[site]
name = "yard"
gateway = "gw-1"
board = "esp32-devkit"
[network]
kind = "wifi"
ssid = "yard"
password = "fish-harbour"
[mqtt]
host = "broker.yard.example"
insecure = true
[privacy.bill]
pseudonym = true
retention_h = 720
[privacy.crowd]
floor_s = 60
pseudonym = true
aggregate_only = true
[[bus]]
id = "line"
kind = "modbus-rtu"
port = "rs485"
baud = 9600
[[device]]
id = "house"
profile = "eastron-sdm630"
bus = "line"
unit = 1
period_s = 60
points = ["active_power", "energy_import"]
"""
FLATS = range(1, 8)


def flat(number, power='privacy = "crowd"'):
    return (
        f'[[device]]\nid = "flat-{number}"\nprofile = "eastron-sdm120"\nbus = "line"\nunit = {10 + number}\n'
        f'privacy = "bill"\npoints = ["energy_import"]\n[device.point.active_power]\n{power}\n'
    )


def summed(name, flats, more=""):
    members = ", ".join(f'"flat-{number}/active_power"' for number in flats)
    return f'[[derived]]\nid = "{name}"\nkind = "sum"\nmembers = [{members}]\n{more}\n'


GOOD = HEAD + "".join(map(flat, FLATS)) + summed("flats", FLATS)


def derived(kind, body, name="d"):
    return f'[[derived]]\nid = "{name}"\nkind = "{kind}"\n{body}\n'


@pytest.fixture
def check(tmp_path):
    def check(text):
        """[(the line, what, hint)] of every mistake."""
        path = tmp_path / "site.toml"
        path.write_text(text)
        try:
            resolve_site(path)
        except Problems as error:
            lines = ["", *text.splitlines()]
            return [(lines[one.line or 0], one.what, one.hint) for one in error.problems]
        return []

    return check


def test_the_good_sites_pass(check):
    assert check(GOOD) == check(THREE_PHASE) == []
    resolved = resolve_site(SITES / "house.toml")
    assert resolved.pseudonymous == {f"flat-{number}" for number in range(1, 7)}


FIVE = "".join(map(flat, range(1, 6)))
LOCAL = "[privacy.home]\nlocal_only = true\n[privacy.crowd]"
SHOWN = 'privacy = "bill"'
THREE_PHASE = GOOD.replace("sdm120", "sdm630").replace(
    "[device.point.active_power]", '[device.point.active_power_l1]\nprivacy = "crowd"\n[device.point.active_power]'
)
WRONG = {
    # name: (site, line, what, hint)
    "unknown profile": (GOOD.replace('"crowd"\n', '"croud"\n', 1), 'privacy = "croud"', "no [privacy.croud]", "crowd"),
    "unused profile": (
        GOOD.replace("[privacy.bill]", "[privacy.none]\nfloor_s = 60\n[privacy.bill]"),
        "[privacy.none]", "nobody is under this profile", "at a device",
    ),
    "local and aggregate": (
        GOOD.replace("aggregate_only = true", "aggregate_only = true\nlocal_only = true"),
        "[privacy.crowd]", "'aggregate_only' nowhere", "one of the two",
    ),
    "one name a device": (
        GOOD.replace("floor_s = 60\npseudonym = true", "floor_s = 60"), SHOWN.replace("bill", "crowd"),
        "differ in 'pseudonym'", "the same in both",
    ),
    "compact": (
        GOOD.replace("insecure = true", 'insecure = true\nencoding = "compact"'),
        'encoding = "compact"', "ids file", "cbor",
    ),
    "floor and reading": (
        GOOD.replace("points = [\"energy_import\"]", "points = [\"energy_import\"]\nperiod_s = 27", 1),
        "points = [\"energy_import\"]", "does not divide the floor of 900 s", "period_s = ",
    ),
    # --- points of one device that tell the same
    "energy finer than the bill": (
        GOOD.replace("[privacy.crowd]", "[privacy.fine]\nfloor_s = 60\npseudonym = true\n[privacy.crowd]").replace(
            SHOWN, 'privacy = "fine"', 1
        ),
        'points = ["energy_import"]', "'flat-1/energy_import' every 60 s tells what 'flat-1/active_power' may not", "floor_s = 900",
    ),
    "a point beside that is not private": (
        HEAD.replace("pseudonym = true\n", "") + "".join(map(flat, range(1, 6)))
        .replace(SHOWN + "\n", "", 1) + summed("flats", range(1, 6)),
        'points = ["energy_import"]', "every 10 s tells what 'flat-1/active_power' may not", "hides it as well",
    ),
    "a hidden counter": (
        GOOD.replace("[privacy.crowd]", LOCAL.replace("local_only", "pseudonym = true\nlocal_only"), 1).replace(
            SHOWN, 'privacy = "home"', 1
        ),
        'points = ["energy_import"]', "told in an event, with its readings", "floor_s and pseudonym",
    ),
    # --- what is derived
    "derived from what is local": (
        GOOD.replace("[privacy.crowd]", LOCAL).replace('unit = 1\n', 'unit = 1\nprivacy = "home"\n', 1)
        .replace('"active_power", "energy_import"', '"voltage_l1", "voltage_l2", "voltage_l3"')
        + derived("imbalance", 'phases = ["house/voltage_l1", "house/voltage_l2", "house/voltage_l3"]\nfloor = 1'),
        "[[derived]]", "'d/imbalance' would be sent", "[derived.point.imbalance]",
    ),
    "events of what is local": (
        GOOD.replace("[privacy.crowd]", LOCAL)
        + '[[device]]\nid = "room"\nprofile = "xy-md02"\nbus = "line"\nunit = 30\nprivacy = "home"\n'
        + derived("temperature_alarm", 'temperature = "room/temperature"\nabove = 60\n[derived.point.alarm]\nprivacy = "home"'),
        'kind = "temperature_alarm"', "in events, which leave", "a profile with a floor",
    ),
    "derived from what is wiped": (
        GOOD + derived("power", 'energy = "flat-1/energy_import"\nover_s = 900'),
        "[[derived]]", "'d/active_power' would stay on flash", "profile that has retention_h",
    ),
    "a floor that has no effect": (
        GOOD + derived("difference", 'first = "house/active_power"\nminus = ["flats/sum"]\n[derived.point.difference]\n' + SHOWN),
        "[derived.point.difference]", "comes every 60 s, and its own floor of 900 s has no effect", "floor_s = 60, or",
    ),
    "a derived point that is hidden": (
        GOOD + '[derived.point.sum]\nprivacy = "crowd"', "[derived.point.sum]", "only points of devices", "at its sources",
    ),
    # --- sums of what is hidden
    "no sum": (
        GOOD + derived("difference", 'first = "flat-1/active_power"\nminus = ["flat-2/active_power"]'),
        "[[derived]]", "'flat-1/active_power' may only be part of a sum", "kind = sum over at least 5 devices",
    ),
    "the house without the flats": (
        GOOD + derived("difference", 'first = "house/active_power"\nminus = ["flat-1/active_power"]'),
        "[[derived]]", "may only be part of a sum", "at least 5",
    ),
    "an integral": (
        GOOD + derived("energy", 'power = "flat-1/active_power"'), "[[derived]]", "may only be part of a sum", "kind = sum",
    ),
    "a small crowd": (
        HEAD.replace('"active_power", ', "") + "".join(map(flat, range(1, 5))) + summed("flats", range(1, 5)),
        "members = [", "a sum over 4 devices", "at least 5 devices",
    ),
    "a small crowd with many points": (
        THREE_PHASE.replace(summed("flats", FLATS), summed("flats", range(1, 5))).replace(
            "members = [", 'members = ["flat-4/active_power_l1", '
        ),
        "members = [", "a sum over 4 devices", "at least 5 devices",
    ),
    "least": (GOOD + "least = 6", "least = 6", "the sum changes its members", "remove it"),
    "a member that is shown": (
        GOOD.replace('"flat-1/active_power", ', '"house/active_power", "flat-1/active_power", '),
        "members = [", "'house/active_power' can be had elsewhere", "a second sum",
    ),
    "one member faster than the others": (
        GOOD.replace("[privacy.crowd]", "[privacy.slow]\npseudonym = true\naggregate_only = true\n[privacy.crowd]").replace(
            'privacy = "crowd"', 'privacy = "slow"', 6
        ),
        "members = [", "only flat-7/active_power has a new reading every 60 s", "floor_s = 900",
    ),
    "a filter that weighs": (
        GOOD.replace('privacy = "crowd"', 'privacy = "crowd"\nfilters = [{ kind = "scale", factor = 0.001 }]', 1),
        "filters = [", "filters weigh it there", "filter the sum",
    ),
    "all, and all but one": (
        GOOD + summed("most", range(1, 7)), "[[derived]]", "differ by flat-7: one from the other", "of no device in common",
    ),
    "the same devices, but one with another point": (
        THREE_PHASE + summed("more", FLATS).replace("members = [", 'members = ["flat-4/active_power_l1", '),
        "[[derived]]", "differ by flat-4/active_power_l1: one from the other", "of the same points",
    ),
    "another point of some of the devices": (
        THREE_PHASE + summed("more", range(1, 7)).replace("active_power", "active_power_l1"),
        "[[derived]]", "differ by flat-7: one from the other", "of no device in common",
    ),
    "two left out": (
        GOOD.replace(summed("flats", FLATS), summed("flats", range(1, 6))),
        "[[derived]]", "'house/active_power' minus this sum tells what flat-6, flat-7 do", "all of them in the sum",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_would_let_it_out_is_refused(check, name):
    text, line, what, hint = WRONG[name]
    found = check(text)
    assert any(line in at and what in said and hint in way for at, said, way in found), found
    assert all(way for _, _, way in found)


GOOD_TOO = {
    "a difference with the crowd": derived("difference", 'first = "house/active_power"\nminus = ["flats/sum"]'),
    "a sum of sums": derived("sum", 'members = ["flats/sum", "house/active_power"]'),
    "the same sum twice, with a window": summed(
        "again", FLATS, '[derived.point.sum]\nwindow = { period_s = 3600, outputs = ["mean", "max"] }'
    ),
    "another point of all devices": summed("more", FLATS).replace("active_power", "active_power_l1"),
    "power of a quarter of an hour": derived(
        "power", 'energy = "flat-1/energy_import"\nover_s = 900\n[derived.point.active_power]\n' + SHOWN
    ),
}


@pytest.mark.parametrize("name", GOOD_TOO)
def test_what_tells_nothing_new_passes(check, name):
    assert check(THREE_PHASE + GOOD_TOO[name]) == []


def test_two_staircases_and_the_sum_of_both_pass(check):
    flats = range(1, 11)
    text = HEAD + "".join(map(flat, flats)) + summed("left", range(1, 6)) + summed("right", range(6, 11))
    both = derived("sum", 'members = ["left/sum", "right/sum"]', "both")
    assert check(text + both) == []
    # Each differs from this one by five, but of three of them together a single flat remains.
    assert any("differ by" in what for _, what, _ in check(text + summed("most", range(2, 11))))


def test_what_is_derived_from_a_pseudonymous_device_is_called_by_a_pseudonym_too(tmp_path):
    path = tmp_path / "site.toml"
    kept = 'privacy = "kept"'  # says nothing of a pseudonym
    path.write_text(
        GOOD.replace("[privacy.crowd]", "[privacy.kept]\nretention_h = 24\n[privacy.crowd]")
        + derived("power", 'energy = "flat-1/energy_import"\n[derived.point.active_power]\n' + kept, "flat-1-power")
        + derived("energy", 'power = "flat-1-power/active_power"\n[derived.point.energy]\n' + kept, "flat-1-again")
    )
    body = compile_site(path, write_ids=False).body
    called = {row[0]: row[2] for row in body["devices"]}
    assert called.pop("house") == called.pop("flats") == 0 and set(called.values()) == {1}
    private = {row[1]: row[7] for row in body["streams"]}
    assert private["flat-1-again/energy"] == private["flat-1/energy_import"] == 1 and private["flats/sum"] == 0


def test_a_profile_with_a_pseudonym_at_a_derived_point_counts(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(GOOD + '[derived.point.sum]\nprivacy = "named"\n[privacy.named]\nfloor_s = 60\npseudonym = true\n')
    assert "flats" in resolve_site(path).pseudonymous


MEMBERS = st.frozensets(st.sampled_from(FLATS), min_size=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sums=st.lists(MEMBERS, min_size=1, max_size=3))
def test_sums_that_differ_by_a_few_never_pass(check, sums):
    text = HEAD + "".join(map(flat, FLATS))
    found = check(text + "".join(summed(f"s{at}", sorted(flats)) for at, flats in enumerate(sums)))
    if any(len(flats) < FEWEST_HOUSEHOLDS for flats in sums):
        assert any("tells too much of each" in what for _, what, _ in found)
    if any(0 < len(one ^ other) < FEWEST_HOUSEHOLDS for one, other in combinations(sums, 2) if one & other):
        assert any("differ by" in what for _, what, _ in found)
    if set(sums) == {frozenset(FLATS)}:
        assert found == []


NAMES = st.sampled_from(
    [
        "flat-1/active_power",
        "flat-2/energy_import",
        "house/active_power",
        "flats/sum",
        "d/sum",
        "e/sum",
        "x/y",
        "flat-1",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=st.lists(st.tuples(st.lists(NAMES, min_size=2, max_size=4), st.booleans()), min_size=1, max_size=3))
def test_no_chain_makes_it_fall_over(check, chain):
    text = GOOD
    for name, (members, plain) in zip("def", chain, strict=False):
        if plain:
            text += derived("sum", f"members = {members}".replace("'", '"'), name)
        else:
            rest = f"minus = {members[1:]}".replace("'", '"')
            text += derived("difference", f'first = "{members[0]}"\n{rest}', name)
    found = check(text)
    assert all(line and what and hint for line, what, hint in found)
    if any("flat-1/active_power" in members for members, _ in chain):
        assert found


def test_the_page_has_a_line_for_every_key():
    page = Path(__file__).resolve().parents[3] / "docs" / "technician.md"
    section = re.search(r"\n## Privacy\n(.*?)(?:\n## |\Z)", page.read_text(encoding="utf-8"), re.S)[1]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(Privacy.model_fields)
    for name, usual, means in rows:
        default = Privacy.model_fields[name.strip("`")].default
        assert usual == ("none" if default is None else str(default).lower())
        assert means
    assert f"at least {FEWEST_HOUSEHOLDS} devices" in section
