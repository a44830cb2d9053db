"""Filters of a site: what the device gets is exact, what makes no sense is refused, what is done is told."""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway.core import quality
from gateway.process import filters as on_device
from satama.compiling.compiler import compile_site
from satama.core.problems import Problems
from satama.core.scale import LARGEST, Scale
from satama.profiles.library import list_profiles, load_profile
from satama.resolving.filter_rules import check_filters
from satama.resolving.resolve import resolve_site
from satama.site_file import filters
from satama.site_file.filters import FILTERS, Filter, compile_chain
from satama.site_file.points import PointOptions

FORM = TypeAdapter(Filter)
KINDS = {get_args(model.model_fields["kind"].annotation)[0]: model for model in FILTERS}
TENTHS = Scale(-1, "Cel")

SITE = """\
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
[[bus]]
id = "line"
kind = "modbus-rtu"
port = "rs485"
baud = 9600
[[device]]
id = "d"
profile = "./mixed.toml"
bus = "line"
unit = 1
[device.point.POINT]
filters = [
  FILTERS
]
"""
MIXED = """\
name = "mixed"
vendor = "nobody"
model = "M1"
kind = "electricity_meter"
interface = "modbus"
sources = ["invented for a test"]
[serial]
baud = 9600
parity = "N"
stop_bits = 1
[limits]
max_registers = 60
gap_ms = 5
turnaround_ms = 3
timeout_ms = 200
"""
for _address, (_name, _more) in enumerate(
    {
        "gauge": 'quantity = "air_temperature"\nunit = "Cel"\nrange = [-40, 85]\nmax_rate = 0.5',
        "plain": 'quantity = "air_temperature"\nunit = "Cel"',
        "coarse": 'quantity = "active_power"\nunit = "W"\nexponent = 2',
        "counter": 'quantity = "active_energy_import"\nunit = "kWh"\nmax_rate = 0.001',
        "state": 'quantity = "contact_state"\nunit = ""',
        "alarm": 'quantity = "alarm_state"\nunit = ""',
    }.items()
):
    MIXED += f'[[point]]\nname = "{_name}"\n{_more}\nfunction = 3\naddress = {_address}\ntype = "u16"\nsource = "it"\n'


@pytest.fixture
def compiled(tmp_path):
    """The specs of a point with these filters, written as in a site file."""

    def compiled(text, point="plain", more=""):
        (tmp_path / "mixed.toml").write_text(MIXED)
        site = SITE.replace("POINT", point).replace("FILTERS", text.replace("}, {", "},\n  {")) + more
        (tmp_path / "site.toml").write_text(site)
        body = compile_site(tmp_path / "site.toml", write_ids=False).body
        return next(specs for name, _, specs, _ in body["points"] if name == f"d/{point}")

    return compiled


# --- what the device gets

SPECS = {
    'kind = "range", low = -0.05, high = 99.95': ["range", 0, 999],
    'kind = "rate", most = 0.5': ["rate", 5, 1, 3],
    'kind = "rate", most = 2, per_s = 60, confirm = 5': ["rate", 20, 60, 5],
    'kind = "rate", most = 0.025, per_s = 10': ["rate", 1, 40, 3],
    'kind = "stuck", band = 0.25, after_s = 3600': ["stuck", 2, 3600],
    'kind = "stuck", band = 0, after_s = 3600': ["stuck", 0, 3600],
    'kind = "median", size = 31': ["median", 31],
    'kind = "hampel", size = 7': ["hampel", 7, 44478, 10000],
    'kind = "hampel", size = 7, k = 2.5': ["hampel", 7, 74130, 20000],
    'kind = "quantile", size = 9, share = 0.025': ["quantile", 9, 25],
    'kind = "mean", size = 4': ["mean", 4],
    'kind = "ema", share = 0.2': ["ema", 1, 5],
    'kind = "ema", share = 1': ["ema", 1, 1],
    'kind = "deadband", delta = 0.35': ["deadband", 4, 0],
    'kind = "deadband", delta = 2, heartbeat_s = 600': ["deadband", 20, 600],
    'kind = "throttle", every_s = 60': ["throttle", 60],
    'kind = "hold", for_s = 30': ["hold", 30],
    'kind = "calibrate", points = [[0, 0.5], [100, 98.5]]': ["calibrate", [[0, 5], [1000, 985]]],
    'kind = "scale", factor = "1/3"': ["scale", 1, 3],
    'kind = "scale", factor = -0.5': ["scale", -1, 2],
    'kind = "scale", factor = "-4/6"': ["scale", -2, 3],
    'kind = "offset", add = -1.5': ["offset", -15],
    'kind = "clamp", low = 0.01, high = 9.99': ["clamp", 1, 99],
}


@pytest.mark.parametrize("text", SPECS)
def test_a_filter_in_units_becomes_its_spec_in_mantissas(compiled, text):
    specs = compiled(f"{{ {text} }},")
    assert specs == [SPECS[text]]
    on_device.build(specs[0])


def test_every_kind_of_filter_is_compiled_in_this_file():
    assert {spec[0] for spec in SPECS.values()} | {"hysteresis", "debounce"} == set(KINDS)
    assert len(FILTERS) == len(get_args(get_args(Filter)[0])) == 17


def test_a_threshold_gives_a_state_that_is_published_as_0_and_1(compiled):
    specs = compiled('{ kind = "hysteresis", low = 20.05, high = 24.95 }, { kind = "debounce", count = 2 },')
    assert specs == [["hysteresis", 200, 250], ["scale", 10, 1], ["debounce", 2]]
    steps = [on_device.build(spec) for spec in specs]
    seen = []
    for now_s, mantissa in enumerate((230, 250, 250, 230, 200, 200)):
        reading = mantissa, 0
        for step in steps:
            reading = step.apply(*reading, now_s)
        seen.append(reading[0])
    assert seen == [0, 0, 10, 10, 10, 0]


def test_what_the_profile_knows_comes_first_and_the_sites_own_rate_replaces_the_profiles(compiled):
    median = '{ kind = "median", size = 3 },'
    assert compiled(median, "gauge") == [["range", -400, 850], ["rate", 5, 1, 3], ["median", 3]]
    own = '{ kind = "median", size = 3 }, { kind = "rate", most = 9 },'
    assert compiled(own, "gauge") == [["range", -400, 850], ["median", 3], ["rate", 90, 1, 3]]
    median = '{ kind = "median", size = 3 },'
    counter = ["counter", 0, 1, 10, 3, 100, 0, 1]  # 0.001 kWh a second at two digits: one step in 10 s
    assert compiled(median, "counter") == [counter, ["median", 3]]


def test_the_filters_of_every_known_point_are_such_as_the_device_takes():
    for name in list_profiles():
        for point in load_profile(name).points:
            for spec in compile_chain(point, []):
                on_device.build(spec)


# --- numbers

VALUES = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6)
POSITIVE = VALUES.map(abs).filter(bool)
SCALES = st.builds(Scale, st.integers(-6, 6), st.just("W"))


@given(low=VALUES, span=VALUES, scale=SCALES)
def test_limits_in_mantissas_keep_just_what_they_kept_in_the_unit(low, span, scale):
    high, unit = low + abs(span), Fraction(10) ** scale.exponent
    lowest, highest = scale.within(low, high)
    for mantissa in (lowest - 1, lowest, highest, highest + 1):
        assert (lowest <= mantissa <= highest) == (Fraction(low) <= mantissa * unit <= Fraction(high))


@given(low=VALUES, span=POSITIVE, scale=SCALES, offset=st.integers(-2, 2))
def test_a_threshold_in_mantissas_parts_the_readings_where_it_does_in_the_unit(low, span, scale, offset):
    step = FORM.validate_python({"kind": "hysteresis", "low": low, "high": low + span})
    lowest, highest = step.compile(scale)[0][1:]
    unit = Fraction(10) ** scale.exponent
    for mantissa in (lowest + offset, highest + offset):
        assert (mantissa <= lowest) == (mantissa * unit <= Fraction(low))
        assert (mantissa >= highest) == (mantissa * unit >= Fraction(low + span))


@given(most=POSITIVE, per_s=st.integers(1, 86400), scale=SCALES, elapsed=st.integers(1, 10**6))
def test_a_rate_is_never_rounded(most, per_s, scale, elapsed):
    step = FORM.validate_python({"kind": "rate", "most": most, "per_s": per_s})
    [[_, rise, seconds, _]] = step.compile(scale)
    unit = Fraction(10) ** scale.exponent
    assert Fraction(rise * elapsed, seconds) * unit == Fraction(most) * elapsed / per_s
    assert type(rise) is type(seconds) is int


@given(delta=POSITIVE, scale=SCALES)
def test_differences_are_rounded_half_even(delta, scale):
    [[_, mantissa, _]] = FORM.validate_python({"kind": "deadband", "delta": delta}).compile(scale)
    assert mantissa == int(delta.scaleb(-scale.exponent).to_integral_value("ROUND_HALF_EVEN"))


@given(k=st.decimals(min_value="0.01", max_value=100, places=3), share=st.integers(1, 1000))
def test_shares_and_factors_are_exact(k, share):
    [[_, _, n, d]] = FORM.validate_python({"kind": "hampel", "size": 5, "k": k}).compile(TENTHS)
    assert Fraction(n, d) == Fraction(k) * Fraction("1.4826")
    [[_, n, d]] = FORM.validate_python({"kind": "ema", "share": Decimal(share).scaleb(-3)}).compile(TENTHS)
    assert Fraction(n, d) == Fraction(share, 1000)


# --- what is refused

FORM_MISTAKES = {
    'kind = "median", size = 8': ("size = 8: is even", "7 or 9"),
    'kind = "hampel", size = 33': ("size = 33 is out of range", "odd, 3..31"),
    'kind = "mean", size = 32': ("size = 32 is out of range", "2..31"),
    'kind = "quantile", size = 5, share = 1.5': ("share = 1.5 is out of range", "the highest"),
    'kind = "quantile", size = 5, share = 0.9999': ("share = 0.9999: has more than three digits", "0.025"),
    'kind = "ema", share = 0': ("share = 0 is out of range", "above 0"),
    'kind = "rate", most = 0': ("most = 0 is out of range", "believable change"),
    'kind = "rate"': ("'most' is missing", "believable change"),
    'kind = "deadband", delta = 0': ("delta = 0 is out of range", "least change"),
    'kind = "deadband", delta = 1, heartbeat = 5': ("unknown key 'heartbeat'", "'heartbeat_s'"),
    'kind = "throttle", every_s = 0.5': ("must be a whole number", "one report"),
    'kind = "scale", factor = 0': ("makes every reading 0", "1/3"),
    'kind = "scale", factor = "a third"': ("is not a ratio", "1/450"),
    'kind = "scale", factor = "--1/3"': ("is not a ratio", "1/450"),
    'kind = "quantile", size = 5, share = 1e29': ("share = 1E+29 is out of range", "the highest"),
    'kind = "scale", factor = nan': ("must be a finite number", ""),
    'kind = "scale", factor = true': ("must be a number", ""),
    'kind = "calibrate", points = [[0, 1]]': ("has 1 points", "2 to 16"),
    'kind = "calibrate", points = [0, 1]': ("is not a list of points", "[[x, y], ..]"),
    'kind = "calibrate", points = [[0, 1], ["2", 3]]': ("must be a number", ""),
}
SENSE_MISTAKES = [
    ("plain", 'kind = "range", low = 5, high = 5', "low = 5 is not below high = 5", "low < high"),
    ("plain", 'kind = "clamp", low = 6, high = 5', "low = 6 is not below high = 5", "low < high"),
    ("plain", 'kind = "hysteresis", low = 6, high = 5', "low = 6 is not below high = 5", "low < high"),
    ("plain", 'kind = "range", low = 0.01, high = 0.04', "no published value lies between", "steps of 0.1 °C"),
    ("plain", 'kind = "offset", add = 1e20', "more than a value can hold", "at most 922337203685477580.7"),
    ("plain", 'kind = "offset", add = 0.05', "add = 0.05 has more digits than are published", "steps of 0.1 °C"),
    ("plain", 'kind = "calibrate", points = [[0, 0], [1, 1.25]]', "y 1.25 has more digits", "steps of 0.1 °C"),
    ("plain", 'kind = "calibrate", points = [[1, 0], [1, 1]]', "x = 1 is not above x = 1 before it", "ascending"),
    ("plain", 'kind = "calibrate", points = [[2, 0], [1, 1]]', "x = 1 is not above x = 2 before it", "ascending"),
    ("plain", 'kind = "calibrate", points = [[1, 5], [2, 5]]', "every point has y = 5", "[[x, y], ..]"),
    ("plain", 'kind = "deadband", delta = 0.05', "delta = 0.05 is less than can be published", "steps of 0.1 °C"),
    ("plain", 'kind = "stuck", band = 0.01, after_s = 600', "band = 0.01 is less", "steps of 0.1 °C"),
    ("plain", 'kind = "stuck", band = 0.1, after_s = 10', "makes two readings a run", "many times 10"),
    ("plain", 'kind = "scale", factor = 1', "changes nothing", "remove"),
    ("plain", 'kind = "rate", most = 1e-25', "too many digits to compute with", "fewer"),
    ("plain", 'kind = "throttle", every_s = 10', "lets everything through", "more than 10"),
    ("plain", 'kind = "deadband", delta = 1, heartbeat_s = 10', "lets everything through", "more than 10, or 0"),
    ("plain", 'kind = "hold", for_s = 9', "is over before the next reading", "at least 10"),
    ("plain", 'kind = "debounce", count = 2', "'debounce' of a gauge says nothing", "hysteresis before it"),
    ("coarse", 'kind = "hysteresis", low = 0, high = 1000', "published in steps of 100 W", "exponent = 0"),
    ("counter", 'kind = "hysteresis", low = 0, high = 10', "'hysteresis' of a counter says nothing", "only rises"),
    ("counter", 'kind = "mean", size = 5', "'mean' of a counter says nothing", "it is for gauges"),
    ("counter", 'kind = "hampel", size = 5', "'hampel' of a counter says nothing", "kind = rate"),
    ("counter", 'kind = "scale", factor = -1', "make a counter fall", "positive"),
    ("state", 'kind = "rate", most = 1', "'rate' of a state says nothing", "debounce"),
    ("state", 'kind = "stuck", band = 0, after_s = 600', "'stuck' of a state says nothing", "remove"),
    ("state", 'kind = "offset", add = 1', "'offset' of a state says nothing", "gauges and counters"),
    ("alarm", 'kind = "throttle", every_s = 60', "would hold an alarm back", "deadband"),
]


def refused(compiled, *arguments):
    with pytest.raises(Problems) as caught:
        compiled(*arguments)
    [problem] = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("point", "text", "what", "hint"), [("plain", text, *told) for text, told in FORM_MISTAKES.items()] + SENSE_MISTAKES
)
def test_what_makes_no_sense_is_refused_where_it_stands(compiled, point, text, what, hint):
    sound = '{ kind = "range", low = 0, high = 80 }, '
    problem = refused(compiled, f"{sound}{{ {text} }},", point)
    assert what in problem.what and hint in problem.hint, problem
    assert problem.line == SITE.split("\n").index("  FILTERS") + 2
    assert "filters[1]" in problem.key and f"point '{point}'" in problem.what


def test_a_window_needs_every_reading(compiled):
    window = 'window = { period_s = 60, outputs = ["last"] }\n'
    for text in ('kind = "deadband", delta = 1', 'kind = "throttle", every_s = 60'):
        problem = refused(compiled, f"{{ {text} }},", "plain", window)
        assert "exclude each other: a window needs every reading" in problem.what
    assert compiled('{ kind = "median", size = 5 },', "plain", window)


def test_what_needs_every_reading_stands_before_what_reports_only_some(compiled):
    problem = refused(compiled, '{ kind = "deadband", delta = 1 }, { kind = "median", size = 5 },')
    assert "'median' behind 'deadband' would see only what is reported" in problem.what
    assert problem.hint == "put it before 'deadband'"
    assert compiled('{ kind = "median", size = 5 }, { kind = "deadband", delta = 1 }, { kind = "offset", add = 1 },')


def test_behind_a_threshold_there_is_a_state(compiled):
    problem = refused(compiled, '{ kind = "hysteresis", low = 0, high = 1 }, { kind = "mean", size = 5 },')
    assert "'mean' of a state says nothing" in problem.what


def test_eight_filters_are_the_most(compiled):
    one = '{ kind = "offset", add = 1 }, '
    assert len(compiled(one * 8)) == 8
    assert "is too long: at most 8" in refused(compiled, one * 9).what


NUMBERS = st.one_of(
    st.integers(-1, 32),
    st.integers(1, 70000),
    VALUES,
    st.sampled_from([Decimal("0.1"), Decimal("1e25"), Decimal("1e-25"), "1/3", True]),
)
POINTS = st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=4)


@st.composite
def steps(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    names = [name for name in KINDS[kind].model_fields if name != "kind"]
    return {"kind": kind} | {name: draw(POINTS if name == "points" else NUMBERS) for name in names}


@settings(max_examples=400)
@given(data=steps(), point=st.sampled_from(["plain", "coarse", "counter", "state"]))
def test_what_passes_the_checks_is_taken_by_the_device_and_can_be_told(data, point, channels):
    """Whatever stands in a file: refused with words, or compiled to specs that the device builds."""
    try:
        step = FORM.validate_python(data)
    except ValidationError:
        return
    if channels(point, step):
        return
    scale = channels.scale(point)
    for spec in step.compile(scale):
        on_device.build(spec)
    assert all(step.explain(scale))


@pytest.fixture(scope="module")
def channels(tmp_path_factory):
    """The checks of one filter at one of the points."""
    path = tmp_path_factory.mktemp("channels") / "site.toml"
    (path.parent / "mixed.toml").write_text(MIXED)
    path.write_text(SITE[: SITE.index("[device.point")])
    found = {channel.point.name: channel for channel in resolve_site(path).channels}

    class Channels:
        def __call__(self, point, step):
            options = PointOptions.model_construct(filters=[step])
            return list(check_filters(replace(found[point], options=options)))

        def scale(self, point):
            return Scale(found[point].point.exponent, found[point].point.unit)

    return Channels()


# --- what is told


def test_the_reasons_are_those_of_the_device():
    for model in FILTERS:
        for reason in model.reasons:
            assert reason in quality._WORDS, model
    assert LARGEST == 2**63 - 1 and filters.MOST_FILTERS == 8


def test_the_page_has_a_line_for_every_filter_with_its_keys_and_reasons():
    page = Path(__file__).resolve().parents[3] / "docs" / "technician.md"
    section = re.search(r"\n## Filters\n(.*?)(?:\n## |\Z)", page.read_text(encoding="utf-8"), re.S)[1]
    rows = {
        row[0].strip("` "): row for row in (line.split("|")[1:-1] for line in section.splitlines() if "| `" in line)
    }
    assert list(rows) == list(KINDS)
    for kind, (_, keys, formula, reasons) in rows.items():
        assert set(re.findall(r"`(\w+)`", keys)) == set(KINDS[kind].model_fields) - {"kind"}, kind
        assert set(re.findall(r"`(\w+)`", reasons)) == set(KINDS[kind].reasons), kind
        assert formula.strip()
