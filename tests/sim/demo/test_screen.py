"""The demo's screen: whatever has arrived, it fits the terminal exactly and says what a person needs to know."""

import importlib.util
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from satama.collecting.collector import Collector, StreamView
from satama.payloads.sample import Sample
from satama_sim.demo.screen import BusView, DemoView, exact_text, render

NOW = 1_796_119_200
BASE = "district/v1/kalasatama/demo-01"
PICTURE = Path(__file__).parents[3] / "docs" / "picture.py"


def view(collector, **changes):
    options = {
        "title": "demo-01",
        "vm": "MicroPython 1.28 64-bit",
        "clock": "real",
        "now_unix_s": NOW + 0.5,
        "elapsed_s": 3725.0,
        "broker": "127.0.0.1:1883",
        "buses": [BusView("rs485", 9600, 0.25, 490, 3)],
        "ptys": {"bus rs485": "/dev/pts/3", "console": "/dev/pts/4"},
    }
    return DemoView(collector=collector, **(options | changes))


def lines_of(shown, width, height):
    """The lines as a console of that size prints them; they must be those that were made, not cut and not folded."""
    text = render(shown, width, height)
    made = text.plain.split("\n")
    assert len(made) <= height
    assert max(map(cell_len, made)) <= width
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(text)
    printed = console.file.getvalue().removesuffix("\n").split("\n")
    assert [line.rstrip() for line in printed] == [line.rstrip() for line in made]
    return made


def stream(number, name="", unit="", exponent=0, value: int | Decimal | None = 1, reason="", time=NOW - 5, period_s=10):
    sample = Sample(number, time, value, reason, 7, number, None)
    made = StreamView(number, name, unit, exponent, "gauge", period_s, sample, 12)
    made.recent.extend([1, None, 3, value])
    return made


def heard(*streams, ledger=True):
    collector = Collector(BASE)
    collector.feed(f"{BASE}/state", json.dumps({"online": True, "ep": 7, "version": "0.1.0"}).encode())
    if ledger:
        account = {"produced": 100, "acknowledged": 91, "queued": 6, "dropped": 2, "quarantined": 1, "balanced": True}
        collector.feed(f"{BASE}/diag", json.dumps({"unix_s": NOW - 40, "ledger": account}).encode())
    collector.streams = {made.id: made for made in streams}
    return collector


def cabinet(devices=6, each=5):
    return [
        stream(number, f"meter-{number // each}/value_{number % each}", "Cel", -1, Decimal("20.5"))
        for number in range(devices * each)
    ]


def row(lines, name):
    [line] = [line for line in lines if name in line]
    return line


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (120, 24), (200, 50), (240, 24)])
def test_a_full_cabinet_fills_the_size(size):
    lines = lines_of(view(heard(*cabinet())), *size)
    assert len(lines) == size[1]
    screen = "\n".join(lines)
    for words in (
        "demo-01",
        "● online",
        "epoch 7",
        "firmware 0.1.0",
        "real clock",
        "MicroPython 1.28",
        "running 1 h 02 min",
    ):
        assert words in screen
    for words in ("100 produced", "91 acknowledged", "6 queued", "2 dropped", "1 quarantined", "✓ balanced"):
        assert words in screen
    for words in ("25 % busy", "490 requests", "3 errors", "/dev/pts/3", "/dev/pts/4", "0 duplicates"):
        assert words in screen
    assert 'mosquitto_sub -h 127.0.0.1 -p 1883 -v -t "district/v1' in screen


def test_all_streams_are_shown_where_they_fit():
    lines = lines_of(view(heard(*cabinet())), 120, 40)
    assert sum("20.5 °C" in line for line in lines) == 30
    assert not any("more" in line for line in lines)
    assert sum("meter-3" in line for line in lines) == 1  # a device is named once


def test_two_blocks_of_streams_on_a_low_and_wide_terminal():
    lines = lines_of(view(heard(*cabinet())), 200, 30)
    assert sum(line.count("20.5 °C") for line in lines) == 30


def test_a_small_terminal_shows_something_of_each_device_and_all_trouble():
    streams = cabinet()
    streams[29] = stream(29, "meter-5/value_4", "Cel", -1, None, "timeout")
    lines = lines_of(view(heard(*streams)), 80, 24)
    shown = sum("°C" in line for line in lines)
    assert 10 <= shown < 30
    assert all(any(f"meter-{device}" in line for line in lines) for device in range(6))
    assert "✗ timeout" in row(lines, "value_4")
    assert f"and {30 - shown} more" in "\n".join(lines)


def test_trouble_that_does_not_fit_is_counted():
    streams = [stream(n, f"meter-{n}/power", "W", 0, None, "timeout") for n in range(30)]
    lines = lines_of(view(heard(*streams)), 80, 24)
    shown = sum("✗ timeout" in line for line in lines)
    assert f"and {30 - shown} more, {30 - shown} of them bad or uncertain" in "\n".join(lines)
    assert "✗ 30 bad" in "\n".join(lines_of(view(heard(*streams)), 120, 40))


def test_quality_in_words_and_not_only_in_colours():
    streams = [
        stream(1, "bin/level", "mm", 0, 300),
        stream(2, "bin/temperature", "Cel", -1, None, "out_of_range"),
        stream(3, "bin/fill", "/100", -1, Decimal("41.5"), "partial"),
    ]
    lines = lines_of(view(heard(*streams)), 80, 24)
    assert "300 mm" in row(lines, "level") and "good" in row(lines, "level")
    assert "– °C" in row(lines, "temperature") and "✗ out of range" in row(lines, "temperature")
    assert "41.5 %" in row(lines, "fill") and "? partial" in row(lines, "fill")


def test_a_stream_before_its_birth_has_only_its_id():
    line = row(lines_of(view(heard(stream(31, value=Decimal("2.50")))), 80, 24), "no name yet")
    assert "id 1f" in line and "2.50" in line and "good" in line


def test_a_born_stream_without_a_sample_waits():
    silent = StreamView(1, "meter/power", "W", 0, "gauge", 10)
    line = row(lines_of(view(heard(silent)), 80, 24), "power")
    assert "– W" in line and "waiting" in line


def test_without_diag_the_ledger_is_not_yet_told():
    for size in ((80, 24), (120, 40)):
        assert "not yet told" in "\n".join(lines_of(view(heard(stream(1), ledger=False)), *size))


def test_an_unbalanced_ledger_is_called_so():
    collector = heard(stream(1))
    collector.diag["ledger"]["balanced"] = False
    assert "✗ not balanced" in "\n".join(lines_of(view(collector), 80, 24))


def test_before_anything_arrived_it_says_what_it_waits_for():
    lines = lines_of(view(Collector(BASE)), 80, 24)
    screen = "\n".join(lines)
    assert "not heard yet" in screen and "Nothing has arrived at the broker yet." in screen
    for awaited in ("○ state", "○ birth", "○ data", "○ diag", "not yet told"):
        assert awaited in screen
    assert "✓ state" in "\n".join(lines_of(view(heard()), 80, 24))


def test_offline_and_a_note_and_damage_and_the_last_event():
    collector = heard(stream(1))
    collector.feed(f"{BASE}/state", b'{"online": false, "ep": 7}')
    collector.feed(f"{BASE}/event", b'{"event": "time", "ep": 7, "ms": 1, "utc": 1790000000, "source": "ntp"}')
    collector.feed(f"{BASE}/d/7", b"\xff")
    screen = "\n".join(lines_of(view(collector, note="The broker went away."), 120, 40))
    for words in ("✗ offline", "The broker went away.", "✗ 1 damaged", "time", "source ntp", "the last of 1"):
        assert words in screen


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (NOW - 42, "42 s"),
        (NOW - 200, "3 min"),
        (NOW - 7300, "2 h"),
        (NOW - 200_000, "2 d"),
        (NOW + 3, "-3 s"),
        (-8, "≥8 s"),
    ],
)
def test_age_is_counted_from_the_samples_own_time(time, words):
    assert f" {words} " in row(lines_of(view(heard(stream(1, "meter/power", time=time))), 80, 24), "power")


@pytest.mark.parametrize(
    ("value", "exponent", "text"),
    [
        (231, -1, "231.0"),
        (Decimal("18446744073709551.615"), -3, "18446744073709551.615"),
        (2**64 + 1, 0, "18446744073709551617"),
        (Decimal("1E+2"), 2, "100"),
        (Decimal("-0.05"), -2, "-0.05"),
        (Decimal("1.25"), -1, "1.25"),  # more decimals than announced are not rounded away
        (Decimal("1E+5000"), 0, "1E+5000"),
    ],
)
def test_values_are_written_exactly(value, exponent, text):
    assert exact_text(value, exponent) == text


def test_the_trend_leaves_gaps_and_tells_open_from_shut():
    values = {"rising": [0, 1, 2, 3, 4, 5, 6], "gap": [1, None, 2], "shut": [0, 0, 0], "open": [1, 1, 1]}
    streams = []
    for number, (name, recent) in enumerate(values.items()):
        streams.append(stream(number, f"bed/{name}"))
        streams[-1].recent.clear()
        streams[-1].recent.extend(recent)
    lines = lines_of(view(heard(*streams)), 80, 24)
    for name, trend in (("rising", "▁▂▃▄▅▆▇"), ("gap", "▁ ▇"), ("shut", "▁▁▁"), ("open", "▄▄▄")):
        assert f" {trend} " in row(lines, name)


def test_what_arrives_cannot_move_the_cursor_or_speak_markup():
    lines = lines_of(view(heard(stream(1, "bad\n\x1b[2J/[red]x", "\t"))), 80, 24)
    assert "[red]x" in row(lines, "bad")


VALUES = st.none() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.just(Decimal("1E+99999"))
STREAMS = st.builds(
    stream,
    st.integers(0, 1 << 16),
    st.text(max_size=40) | st.from_regex(r"[a-z]{1,12}-[0-9]/[a-z_]{1,30}", fullmatch=True),
    st.sampled_from(["", "V", "Cel", "kWh", "m3/h", "%RH", "a very long unit", "温度"]),
    st.integers(-12, 6),
    VALUES,
    st.sampled_from(["", "timeout", "partial", "something_that_nobody_foresaw"]),
    st.integers(-100, 100) | st.integers(NOW - 10**7, NOW + 10**4),
)


@given(
    st.lists(STREAMS, max_size=60, unique_by=lambda made: made.id),
    st.integers(1, 260),
    st.integers(1, 70),
    st.booleans(),
    st.sampled_from(["", "a note", "a long note " * 30]),
)
def test_nothing_that_arrives_breaks_it(streams, width, height, ledger, note):
    lines_of(view(heard(*streams, ledger=ledger), note=note), width, height)


def test_the_picture_in_the_docs_can_be_drawn():
    spec = importlib.util.spec_from_file_location("picture", PICTURE)
    assert spec and spec.loader
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    svg = picture.draw(minutes=1)
    assert "main-meter" in svg and "balanced" in svg
    assert "@font-face" not in svg  # nothing is fetched when somebody looks at it
