"""Simulated devices that talk by themselves: what they say, when, and what a wire wired wrong makes of it."""

import re
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satama.profiles.library import load_profile
from satama_sim.board.uart import SimUart, misread
from satama_sim.bus import faults, pushing
from satama_sim.bus.pushing import Damage, PushingLine, crc16_arc
from satama_sim.timeline import Timeline
from satama_sim.world import build_world

H1_LINE = {"id": "line", "baud": 115_200, "parity": "N", "stop_bits": 1}
STREAM_LINE = H1_LINE | {"baud": 9600}
TELEGRAM = re.compile(rb"/[A-Z]{3}5[^/!\r\n]*\r\n\r\n((?:\d-\d:\d+\.\d+\.\d+\([^()]*\)\r\n)+)!([0-9A-F]{4})\r\n")
START_UNIX_S = 1_796_119_200  # 2026-12-01 10:00 UTC


class Rig:
    """One device on a line to a UART, in a world of its own."""

    def __init__(self, profile, spec, inverted, seed=1):
        device = SimpleNamespace(id="it", bus="line", point={})
        compiled = SimpleNamespace(
            site=SimpleNamespace(devices=[device]), profiles={"it": load_profile(profile)}, body={}
        )
        self.timeline = Timeline()
        self.world = build_world(compiled, seed, START_UNIX_S)
        self.uart = SimUart(2, self.timeline)
        self.uart.init(spec["baud"], 8, 0, 1, 26, 25 | SimUart.INVERTED if inverted else 25, 4096)
        self.line = PushingLine(compiled, spec, self.world, self.timeline, self.uart)
        self.line.record_truth = True

    def hear(self, seconds):
        """All that the UART receives in that time."""
        got = b""
        for _ in range(round(10 * seconds)):
            self.timeline.run_to(self.timeline.now_us + 100_000)
            got += self.uart.read(8192)
        return got


@pytest.fixture
def h1():
    return Rig("h1-port", H1_LINE, inverted=True)


@pytest.fixture
def stream():
    return Rig("a02yyuw-uart", STREAM_LINE, inverted=False)


def test_the_checksum_is_crc_16_arc():
    assert crc16_arc(b"123456789") == 0xBB3D


@given(st.binary(max_size=40))
def test_the_checksum_of_a_message_and_its_checksum_is_none(data):
    crc = crc16_arc(data)
    assert crc16_arc(data + bytes((crc & 0xFF, crc >> 8))) == 0


def test_a_meter_pushes_a_telegram_every_ten_seconds(h1):
    got = h1.hear(60)
    telegrams = list(TELEGRAM.finditer(got))
    assert len(telegrams) == h1.line.requests == 6
    assert b"".join(match[0] for match in telegrams) == got
    points = {point.obis: point for point in h1.line.speaker._points}
    for number, match in enumerate(telegrams):
        assert crc16_arc(match[0][:-6]) == int(match[2], 16)
        lines = [line.decode() for line in match[1].split(b"\r\n")[:-1]]
        assert lines[0].startswith("0-0:1.0.0(2612011200") and lines[0].endswith("W)")
        truth = h1.line.truth_log[number * len(points) : (number + 1) * len(points)]
        assert len(lines) == 1 + len(points) == 1 + len(truth)
        for line, (_, name, _, value) in zip(lines[1:], truth, strict=True):
            obis, text, unit = re.fullmatch(r"(.*)\((-?[0-9.]+)\*(\w+)\)", line).groups()
            assert (points[obis].name, points[obis].telegram_unit) == (name, unit)
            assert Fraction(text) * Fraction(points[obis].scale) == value
    assert h1.line.busy_us == h1.line.wire_limit_us == 87 * len(got)


def test_values_come_from_the_world_and_are_rounded_to_the_telegrams_digits(h1):
    for name, value in (("energy_import", "6678.3945"), ("voltage_l1", "239.96"), ("power_import", "0.0005")):
        h1.world.set("it", name, value)
    h1.world.set("it", "energy_export", 100_000_000 + 3)  # one digit too many
    h1.world.set("it", "current_l1", None)
    got = h1.hear(12)
    assert b"\n1-0:1.8.0(00006678.394*kWh)\r" in got and b"\n1-0:2.8.0(00000003.000*kWh)\r" in got
    assert b"\n1-0:32.7.0(240.0*V)\r" in got and b"\n1-0:1.7.0(0000.000*kW)\r" in got
    assert b"1-0:31.7.0(" not in got
    assert ("it", "energy_import", Fraction("6678.394")) in [(d, p, v) for d, p, _, v in h1.line.truth_log]


def test_a_sensor_streams_frames(stream):
    stream.world.set("it", "distance", 1953)
    got = stream.hear(30)
    assert got == bytes.fromhex("FF07A1A7") * (len(got) // 4)
    assert 98 <= len(got) // 4 == stream.line.requests <= 101
    assert stream.line.truth_log[-1][1::2] == ("distance", Fraction(1953))


def test_the_same_seed_says_the_same():
    runs = [Rig("h1-port", H1_LINE, inverted=True, seed=seed).hear(30) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_a_line_wired_upside_down_is_garbage(h1, stream):
    for rig in (h1, stream):
        rig.line.inverted = not rig.line.inverted
        got = rig.hear(30)
        assert got and not rig.line.speaker.is_heard_in(got)


@pytest.mark.parametrize(
    ("sent", "heard"),
    [(b"", b""), (b"\xff", b"\0"), (b"\0\0", b"\xff\0"), (b"UU", b"UU"), (b"\xf0\xf0", b"\xf0\0"), (b"/!", b"ho")],
)
def test_how_bits_slip(sent, heard):
    assert misread(sent) == heard


def test_a_pulled_plug_is_silent(h1):
    h1.line.connected = False
    assert h1.hear(30) == b"" and h1.line.requests == 0
    h1.line.connected = True
    assert len(TELEGRAM.findall(h1.hear(30))) == 3


def test_a_device_that_was_taken_off_leaves_the_wire_to_another(h1):
    h1.hear(30)
    h1.line.close()
    assert h1.hear(30) == b"" and h1.timeline.next_us() is None


def test_what_nobody_reads_stays_bounded(h1):
    h1.timeline.run_to(3_600_000_000)
    assert h1.uart.any() == 4096 + h1.uart.FIFO and len(h1.uart._arriving) <= 1


def test_faults(h1):
    h1.line.faults.append(pushing.doubled)
    got = h1.hear(10)
    assert len(TELEGRAM.findall(got)) == 2 and got[: len(got) // 2] * 2 == got
    h1.line.faults[:] = [pushing.torn]
    assert not TELEGRAM.search(h1.hear(10)) and h1.line.requests == 3
    h1.line.faults[:] = [faults.dropped]
    assert h1.hear(10) == b""
    h1.line.faults[:] = [faults.leading(b"/\0!"), faults.late(2_000_000)]
    assert h1.hear(10).startswith(b"/\0!/SIM5")


@pytest.mark.parametrize("name", ["h1", "stream"])
def test_noise_damages_its_share_and_repeats_itself(name, request):
    rig = request.getfixturevalue(name)
    message, _ = rig.line.speaker.message(0)
    is_heard_in = rig.line.speaker.is_heard_in
    assert is_heard_in(b"\0" + message + b"\0")
    noise, again, other = (Damage(seed, 30, is_heard_in) for seed in (3, 3, 4))
    heard = [noise(message) for _ in range(400)]
    assert heard == [again(message) for _ in range(400)] != [other(message) for _ in range(400)]
    assert noise.messages == 400 and noise.damaged == sum(one != message for one in heard)
    assert 90 < noise.damaged < 150
    assert sum(is_heard_in(one) for one in heard) == 400 - noise.damaged


def test_a_noisy_line_still_says_something(h1):
    h1.line.interval_us = 1_000_000
    h1.line.noise(percent=50, seed=2)
    got = h1.hear(60)
    assert 10 < len(TELEGRAM.findall(got)) < 50
    h1.line.noise(0)
    assert len(TELEGRAM.findall(h1.hear(11))) >= 10
