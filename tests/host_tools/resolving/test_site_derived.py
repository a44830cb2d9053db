"""Derived quantities of a site: what the device gets is exact, what makes no sense is refused, what is done is told."""

import math
import re
import tomllib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway.core import quality
from gateway.process import derived as on_device
from satama.core.problems import Problems, Source, Strict
from satama.core.quantities import ALARM, COUNTER, QUANTITIES, TELEMETRY
from satama.resolving.derived_rules import _FITS, check
from satama.site_file.derived import DERIVED, Derived, Known
from satama.site_file.derived_numbers import SIZES, arguments_of, compile_derived

FORM = TypeAdapter(Derived)
KINDS = {get_args(model.model_fields["kind"].annotation)[0]: model for model in DERIVED}

KNOWN = {
    "b/distance": ("mm", 0, "gauge", "distance"),
    "b/metres": ("m", -2, "gauge", "distance"),
    "b/air": ("Cel", -1, "gauge", "air_temperature"),
    "s/e": ("/", -2, "gauge", "permittivity"),
    "s/raw": ("", 0, "gauge", "raw_value"),
    "w/volume": ("l", 0, "counter", "volume"),
    "w/cubic": ("m3", -3, "counter", "volume"),
    "w/flow": ("l/s", -3, "gauge", "volume_flow"),
    "w/hourly": ("m3/h", -2, "gauge", "volume_flow"),
    "w/valve": ("", 0, "state", "relay_state"),
    "m/energy": ("kWh", -2, "counter", "active_energy_import"),
    "m/energy2": ("kWh", -1, "counter", "active_energy_import"),
    "m/power": ("W", 0, "gauge", "active_power"),
    "m/kilo": ("kW", -3, "gauge", "active_power"),
    "m/u1": ("V", -1, "gauge", "voltage"),
    "m/u2": ("V", -1, "gauge", "voltage"),
    "m/u3": ("V", -2, "gauge", "voltage"),
    "t/contact": ("", 0, "state", "contact_state"),
    "t/angle": ("deg", -1, "gauge", "phase_angle"),
}
INDEX = {name: at for at, name in enumerate(KNOWN)}
BIN = 'kind = "bin"\ndistance = "b/distance"\nheight = 1200\nblanking = 30\nfull_at = 200\n'


class Site(Strict):
    derived: list[Derived] = []


def parse(tmp_path, text):
    """The steps of [[derived]] blocks, and the file that they stand in."""
    path = tmp_path / "site.toml"
    path.write_text(text)
    source = Source.read(path)
    return source.parse(Site).derived, source


def block(body, name="d"):
    return f'[[derived]]\nid = "{name}"\n{body}\n'


def compiled(tmp_path, text):
    steps, _ = parse(tmp_path, text)
    checked = check(steps, KNOWN)
    assert checked.mistakes == []
    index = INDEX | {one.name: len(INDEX) + at for at, one in enumerate(checked.outputs)}
    rows = compile_derived(steps, checked.known, index)
    for row in rows:
        on_device.build(row, None)
    return rows, checked


# --- what the device gets

N = len(KNOWN)
SPECS = {
    BIN: [
        "bin", [0], [N, N + 1, N + 2, N + 3], [1200, 30, 0], [[[0, 0], [1200, 1]], 1200, 1], 1000, [],
        [300, 3], [21600, 36000, 1], [1, 60, 43200],
    ],
    BIN + 'temperature = "b/air"\nmargin = 40\nshape = [[0, 0], [400, 20], [1200, 100]]\nemptied_by = 12.5\nconfirm = 2': [
        "bin", [0, 2], [N, N + 1, N + 2, N + 3], [1200, 30, 40], [[[0, 0], [400, 20], [1200, 100]], 25, 2], 1000,
        [1, 10, 343420], [125, 2], [21600, 36000, 1], [1, 60, 43200],
    ],
    BIN.replace("b/distance", "b/metres").replace("1200", "1.2").replace("30", "0.03").replace("200", "0.2")
    + 'points = ["fill"]': [
        "bin", [1], [N, -1, -1, -1], [120, 3, 0], [[[0, 0], [120, 1]], 1200, 1], 1000, [],
        [300, 3], [21600, 36000, 1], [1, 60, 43200],
    ],
    'kind = "soil"\npermittivity = "s/e"': ["topp", [3], [N, -1], 1, 100, 1000, 1000, []],
    'kind = "soil"\nraw = "s/raw"\ntable = [[500, 0], [900, 45.5]]\nfield_capacity = 32\nwilting_point = 12.5': [
        "table", [4], [N, N + 1], [[500, 0], [900, 455]], 1000, 1000, [320, 125],
    ],
    'kind = "flow"\nvolume = "w/volume"': ["rate", [5], [N], 1000, 1, 60],
    'kind = "flow"\nvolume = "w/cubic"\nunit = "m3/h"\nover_s = 600': ["rate", [6], [N], 3600, 1, 600],
    'kind = "power"\nenergy = "m/energy"': ["rate", [10], [N], 36000, 1, 60],
    'kind = "power"\nenergy = "m/energy"\nunit = "kW"\nexponent = -1': ["rate", [10], [N], 360, 1, 60],
    'kind = "volume"\nflow = "w/flow"': ["total", [7], [N], 1, 1000, 300],
    'kind = "volume"\nflow = "w/hourly"\nunit = "m3"\nexponent = -3': ["total", [8], [N], 1, 360, 300],
    'kind = "energy"\npower = "m/power"': ["total", [12], [N], 1, 36000, 300],
    'kind = "energy"\npower = "m/kilo"\ndirection = "export"\nunit = "Wh"': ["total", [13], [N], -1, 36, 300],
    'kind = "leak"\nflow = "w/flow"\nzero = 0.0015\nvalve = "w/valve"': [
        "leak", [7, 9], [N], [1, 3600, 86400], [0, 0, 60], 3600,
    ],
    'kind = "leak"\nflow = "w/flow"\nafter_h = 0\nvalve = "w/valve"\nclosed_code = 2': [
        "leak", [7, 9], [N], [], [2, 0, 60], 3600,
    ],
    'kind = "sum"\nmembers = ["m/energy", "m/energy2"]': ["sum", [10, 11], [N], 2, 1, [1, 10]],
    'kind = "sum"\nmembers = ["m/u1", "m/u3"]\nleast = 1\nexponent = 0': ["sum", [14, 16], [N], 1, 100, [10, 1]],
    'kind = "difference"\nfirst = "m/u1"\nminus = ["m/u2", "m/u3"]': ["sum", [14, 15, 16], [N], 3, 1, [10, -10, -1]],
    'kind = "imbalance"\nphases = ["m/u1", "m/u2", "m/u3"]\nfloor = 100': [
        "imbalance", [14, 15, 16], [N], 10000, 1000, [10, 10, 1],
    ],
    'kind = "temperature_alarm"\ntemperature = "b/air"\nabove = 69.95\nrise = 10': [
        "temperature_alarm", [2], [N], [700, 679], [100, 120], 2, 3600,
    ],
    'kind = "tilt"\ncontact = "t/contact"\ntilted_code = 0': ["tilt", [17], [N], 1, 1, 0, 3, 3600],
    'kind = "tilt"\nangle = "t/angle"\nupright = 90': ["tilt", [18], [N], 900, 300, 250, 3, 3600],
}  # fmt: skip


@pytest.mark.parametrize("body", SPECS)
def test_a_derivation_in_units_becomes_its_spec_in_steps(tmp_path, body):
    [row], _ = compiled(tmp_path, block(body))
    assert row == SPECS[body]


def test_every_kind_is_compiled_in_this_file_and_every_source_has_its_rule():
    assert {re.search(r'kind = "(\w+)"', body)[1] for body in SPECS} == set(KINDS)
    assert len(DERIVED) == 12
    keys = {(kind, key) for kind, model in KINDS.items() for key in (*model.single, *model.lists)}
    assert set(_FITS) == keys


def test_what_they_give_is_a_point_of_a_known_quantity(tmp_path):
    text = "".join(block(body, f"d{at}") for at, body in enumerate(SPECS))
    _, checked = compiled(tmp_path, text)
    for one in checked.outputs:
        quantity = QUANTITIES[one.quantity]
        assert one.unit in quantity.units and one.klass in (ALARM, COUNTER, TELEMETRY), one
        assert one.sources and all(name in checked.known for name in one.sources)
    facts = {one.name: one[1:6] for one in checked.outputs}
    assert facts["d0/fill"] == ("fill", "/100", -1, "gauge", TELEMETRY)
    assert facts["d0/fill_rate"] == ("fill_per_hour", "/100", -2, "gauge", TELEMETRY)
    assert facts["d0/time_to_full"] == ("duration", "min", 0, "gauge", TELEMETRY)
    assert facts["d0/emptied"] == ("count", "count", 0, "counter", COUNTER)
    assert facts["d15/sum"] == ("active_energy_import", "kWh", -2, "counter", COUNTER)
    assert facts["d17/difference"] == ("voltage", "V", -2, "gauge", TELEMETRY)
    assert facts["d19/alarm"][3:] == ("state", ALARM)


def test_one_stands_on_another_and_options_come_along(tmp_path):
    text = block('kind = "flow"\nvolume = "w/volume"', "f") + block('kind = "leak"\nflow = "f/volume_flow"', "l")
    text += '[derived.point.leak]\nfilters = [{ kind = "debounce", count = 2 }]\n'
    rows, checked = compiled(tmp_path, text)
    assert rows[1][:3] == ["leak", [N], [N + 1]]
    assert checked.outputs[1].options.filters[0].kind == "debounce"
    assert checked.outputs[1].key == ("derived", 1, "point", "leak")


@given(
    energy=st.sampled_from([("kWh", 3_600_000), ("Wh", 3600), ("J", 1)]),
    unit=st.sampled_from([("W", 1), ("kW", 1000)]),
    digits=st.tuples(st.integers(-6, 3), st.integers(-6, 3)),
)
def test_units_and_exponents_are_exact(energy, unit, digits):
    """Joules a second are watts; power and energy are each other's inverse."""
    known = {"m/e": Known(energy[0], digits[0], "counter", "active_energy")}
    step = FORM.validate_python({"id": "d", "kind": "power", "energy": "m/e", "unit": unit[0], "exponent": digits[1]})
    _, [n, d, _] = arguments_of(step, known)
    ratio = Fraction(energy[1] * Fraction(10) ** digits[0], unit[1] * Fraction(10) ** digits[1])
    assert Fraction(n, d) == ratio and math.gcd(n, d) == 1


# --- what is refused

MISTAKES = [
    ('kind = "other"', "'kind' must be one of bin, soil", ""),
    ('kind = "bin"\ndistance = "b/distance"\nheight = 1200\nfull_at = 9', "'blanking' is missing", "sees nothing"),
    (BIN.replace("b/distance", "b/distanse"), "there is no point 'b/distanse'", "did you mean 'b/distance'?"),
    (BIN.replace("b/distance", "b/air"), "'b/air' is in 'Cel'", '"mm", "cm", "m"'),
    (BIN.replace("b/distance", "d/fill"), "would be derived from itself", "a derivation above"),
    (BIN.replace("= 30", "= 30.5"), "30.5 has more digits than are published", "steps of 1 mm"),
    (BIN.replace("= 200", "= 20"), "are in no order", "blanking <= full_at < height"),
    (BIN.replace("= 200", "= 1200"), "are in no order", "measured from the sensor"),
    (BIN + "assumed_cel = 15", "'assumed_cel' needs a temperature", "remove it"),
    (BIN + "shape = [[0, 0], [500, 9], [400, 20]]", "the volume must rise", "[[0, 0]"),
    (BIN + "shape = [[0, 5], [500, 9]]", "does not begin with [0, 0]", "[[0, 0]"),
    (BIN + "shape = [[0, 0], [1100, 0]]", "the volume is 0 where the bin is full", "a point with a volume"),
    (BIN + 'points = ["emptied"]', "a bin always gives 'fill'", '"fill"'),
    (BIN + 'points = ["fill", "level"]', "'bin' gives no point 'level'", "fill_rate"),
    (BIN + 'points = ["fill", "fill"]', "stands twice in the list", "once"),
    (BIN + "points = []", "no point is wanted of it", "fill"),
    (BIN + "[derived.point.level]", "'bin' gives no point 'level'", "fill"),
    (BIN + 'points = ["fill"]\n[derived.point.emptied]', "'emptied' is not in points", "add it"),
    (BIN + "[derived.point.fill]\nspan = [0, 5]", "'span' is for what is read", "remove"),
    (BIN + 'margin = 1e25', "numbers have too many digits", "fewer"),
    ('kind = "soil"', "needs 'permittivity' or 'raw', and not both", "device/point"),
    ('kind = "soil"\nraw = "s/raw"', "'table' is missing", "[[raw, percent"),
    ('kind = "soil"\npermittivity = "s/e"\ntable = [[0, 0], [1, 1]]', "'table' is for raw values", "remove it"),
    ('kind = "soil"\nraw = "s/raw"\ntable = [[9, 0], [1, 1]]', "raw = 1 is not above raw = 9", "ascending"),
    ('kind = "soil"\nraw = "s/raw"\ntable = [[0, 0], [1, 110]]', "110 is no percentage", "0 to 100"),
    ('kind = "soil"\npermittivity = "s/e"\nfield_capacity = 30', "'wilting_point' is missing", "field_capacity = 32"),
    ('kind = "soil"\npermittivity = "s/e"\nfield_capacity = 10\nwilting_point = 12', "is not above", "32 and 12"),
    ('kind = "flow"\nvolume = "w/flow"', "'w/flow' is a gauge", "a counter"),
    ('kind = "flow"\nvolume = "m/energy"', "'m/energy' is in 'kWh'", '"l", "m3"'),
    ('kind = "power"\nenergy = "m/energy"\nover_s = 0', "over_s = 0 is out of range", "averaged"),
    ('kind = "leak"\nflow = "w/flow"\nafter_h = 0', "nothing would be watched", "after_h = 24"),
    ('kind = "leak"\nflow = "w/flow"\nafter_h = 1', "quiet_s = 3600 is not within after_h = 1", "3600 and 24"),
    ('kind = "leak"\nflow = "w/flow"\nclosed_code = 1', "'closed_code' needs a valve", "remove it"),
    ('kind = "leak"\nflow = "w/flow"\n[derived.point.leak]\nwindow = { period_s = 60, outputs = ["max"] }',
     "a window would hold it back", "remove it"),
    ('kind = "sum"\nmembers = ["m/u1"]', "is too short: at least 2", ""),
    ('kind = "sum"\nmembers = ["m/u1", "m/power"]', "'m/power' is in 'W', 'm/u1' in 'V'", "one unit"),
    ('kind = "sum"\nmembers = ["m/u1", "m/u1"]', "'m/u1' stands twice", "once"),
    ('kind = "sum"\nmembers = ["m/u1", "t/contact"]', "'t/contact' is a state", "a gauge or a counter"),
    ('kind = "sum"\nmembers = ["m/u1", "m/u2"]\nleast = 3', "least = 3, but there are 2", "at most"),
    ('kind = "sum"\nmembers = ["m/energy", "m/energy2"]\nleast = 1', "would fall and jump", "remove it"),
    ('kind = "imbalance"\nphases = ["m/u1", "m/u2"]\nfloor = 1', "is too short: at least 3", ""),
    ('kind = "imbalance"\nphases = ["m/u1", "m/u2", "m/u3"]\nfloor = 0', "floor = 0 is out of range", "mean"),
    ('kind = "temperature_alarm"\ntemperature = "b/air"', "neither 'above' nor 'rise'", "above = 70"),
    ('kind = "tilt"\ncontact = "t/contact"\nangle = "t/angle"', "and not both", ""),
    ('kind = "tilt"\nangle = "t/angle"\nmost = 3', "hysteresis = 5 is more than most = 3", "less"),
    ('kind = "tilt"\ncontact = "t/contact"\ntilted_code = 2', "tilted_code = 2", ""),
]  # fmt: skip


def problems(tmp_path, text, devices=()):
    try:
        steps, source = parse(tmp_path, text)
    except Problems as error:
        return error.problems
    return [source.problem(*mistake) for mistake in check(steps, KNOWN, devices).mistakes]


@pytest.mark.parametrize(("body", "what", "hint"), MISTAKES)
def test_what_makes_no_sense_is_refused_where_it_stands(tmp_path, body, what, hint):
    sound = block('kind = "flow"\nvolume = "w/volume"', "sound")
    [problem] = problems(tmp_path, sound + block(body))
    assert what in problem.what and hint in problem.hint, problem
    assert problem.line > 4 and "derived[1]" in problem.key


def test_ids_are_unique_and_only_what_stands_above_can_be_used(tmp_path):
    flow, leak = block('kind = "flow"\nvolume = "w/volume"', "f"), block('kind = "leak"\nflow = "f/volume_flow"', "l")
    [problem] = problems(tmp_path, leak + flow)
    assert "'f' does not give it, or only below" in problem.what
    [problem] = problems(tmp_path, flow + flow)
    assert "the id 'f' is already taken" in problem.what
    [problem] = problems(tmp_path, flow, ["f"])
    assert "the id 'f' is already taken" in problem.what


def test_every_mistake_is_found_at_once(tmp_path):
    text = block(BIN.replace("b/distance", "x/y"), "a") + block('kind = "leak"\nflow = "w/flow"\nafter_h = 0', "b")
    assert len(problems(tmp_path, text)) == 2


NUMBERS: Any = st.one_of(
    st.integers(-1, 40),
    st.integers(1, 70000),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-2000, max_value=2000, places=2),
    st.sampled_from([Decimal("1e25"), Decimal("1e-25"), True, "W", "l", "export"]),
)
CURVES = st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=4)


@st.composite
def steps(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    model, data = KINDS[kind], {"id": "d", "kind": kind}
    for name, field in model.model_fields.items():
        if name in ("id", "kind", "point", "points") or not (field.is_required() or draw(st.booleans())):
            continue
        units = _FITS.get((kind, name), (None,))[0]
        fit = [n for n, facts in KNOWN.items() if not isinstance(units, str) or facts[0] in SIZES[units]]
        if name in model.single:
            data[name] = draw(st.sampled_from(fit))
        elif name in model.lists:
            data[name] = draw(st.lists(st.sampled_from(["m/u1", "m/u2", "m/u3", "m/energy"]), max_size=4, unique=True))
        else:
            data[name] = draw(CURVES if name in ("shape", "table") else NUMBERS)
    return data


@settings(max_examples=500)
@given(data=steps())
def test_what_passes_the_checks_is_taken_by_the_device_and_can_be_told(data):
    """Whatever stands in a file: refused with words, or compiled to a spec that the device builds."""
    try:
        step = FORM.validate_python(data)
    except ValidationError:
        return
    checked = check([step], KNOWN)
    if checked.mistakes:
        assert all(what and hint for _, what, hint in checked.mistakes)
        return
    index = INDEX | {one.name: N + at for at, one in enumerate(checked.outputs)}
    [row] = compile_derived([step], checked.known, index)
    on_device.build(row, None)
    assert all(step.explain())


# --- what is told


def test_the_reasons_are_those_of_the_device():
    for model in DERIVED:
        assert set(model.reasons) <= set(quality._WORDS), model


def test_every_derivation_of_this_file_is_told_in_words(tmp_path):
    for body in SPECS:
        [step], _ = parse(tmp_path, block(body))
        told = step.explain()
        assert told.formula and told.words and "None" not in told.formula + told.words, told


def test_the_page_has_a_line_for_every_kind_with_its_keys_points_and_reasons():
    page = Path(__file__).resolve().parents[3] / "docs" / "technician.md"
    section = re.search(r"\n## Derived quantities\n(.*?)(?:\n## |\Z)", page.read_text(encoding="utf-8"), re.S)[1]
    rows = {r[0].strip("` "): r for r in (line.split("|")[1:-1] for line in section.splitlines() if "| `" in line)}
    known = {name: Known(*facts) for name, facts in KNOWN.items()}
    assert set(rows) == set(KINDS)
    for kind, (_, sources, keys, gives, formula, reasons) in rows.items():
        model = KINDS[kind]
        named = {*model.single, *model.lists}
        assert set(re.findall(r"`(\w+)`", sources)) == named, kind
        own = set(model.model_fields) - named - {"id", "kind", "point", "points"}
        assert set(re.findall(r"`(\w+)`", keys)) == own, kind
        for default, name in [(m[2], m[1]) for m in re.finditer(r"`(\w+)` \(([-\w/.]+)", keys)]:
            given = model.model_fields[name].default
            assert default in (str(given), "all", "straight"), (kind, name)
        assert set(re.findall(r"`(\w+)`", reasons)) == set(model.reasons), kind
        assert formula.strip()
        body = next(b for b in reversed(SPECS) if f'kind = "{kind}"' in b)
        fields = {"id": "d", **data_of(body)}
        step = FORM.validate_python({**fields, "points": None})
        assert re.findall(r"`(\w+)`", gives) == [one.name for one in step.gives(known)], kind


def data_of(body):
    return tomllib.loads(body, parse_float=Decimal)
