"""Analog and pulse inputs as the device gets them: tables in mantissas, faults of a loop, names that stay."""

import json
from decimal import Decimal

import pytest

from satama.compiling.compiler import compile_site
from satama.compiling.inputs import fault_limits

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
"""
SOIL = '[[device]]\nid = "soil"\nprofile = "dfrobot-sen0193"\npin = "A1"\n'
FLOW = '[[device]]\nid = "flow"\nprofile = "yf-s201"\npin = "P1"\n'
WATER = '[[device]]\nid = "water"\nprofile = "pulse-water"\npin = "P2"\n'


@pytest.fixture
def rows(tmp_path):
    """A function that compiles devices: rows(text) -> name of the channel -> its row."""

    def build(*devices):
        path = tmp_path / "yard.toml"
        path.write_text(HEAD + "".join(devices))
        body = json.loads(compile_site(path, write_ids=False).data.split(b"\n", 1)[1])
        found = [row for _, _, inputs in body["polls"] for row in inputs]
        return {body["points"][row[4]][0]: row for row in found}

    return build


def test_a_probe_with_the_points_of_its_profile(rows):
    row = rows(SOIL)["soil/moisture"]
    assert row[:9] == ["adc", 34, 11, 16, 0, -1, -1, -1, [[1270000, 1000], [2540000, 0]]]


def test_a_table_of_many_points_whichever_way_they_are_listed(rows):
    points = [[2400000, 0], [2000000, 12.5], [1150000, 100]]
    row = rows(SOIL, f"[device.point.moisture]\ncalibration = {points}\n")["soil/moisture"]
    assert row[8] == [[1150000, 1000], [2000000, 125], [2400000, 0]]


LOOP = '[[device]]\nid = "well"\nprofile = "loop-4-20ma-level"\npin = "A2"\n'


def test_a_loop_has_the_limits_of_its_shunt_and_the_span_of_its_instrument(rows):
    row = rows(LOOP, "[device.point.level]\nspan = [-500, 5500]\n")["well/level"]
    assert row[5:9] == [-1, 360000, 2100000, [[400000, -500], [2000000, 5500]]]


def test_a_loop_without_a_span_is_its_current_and_a_calibration_of_the_site_goes_before_all(rows):
    current = LOOP.replace("-level", "")
    assert rows(current)["well/current"][8] == [[400000, 400], [2000000, 2000]]
    calibrated = "[device.point.current]\ncalibration = [[410000, 4], [2010000, 20]]\n"
    assert rows(current, calibrated)["well/current"][8] == [[410000, 400], [2010000, 2000]]


def test_limits_of_a_loop():
    assert fault_limits(Decimal(100), 11) == (360_000, 2_100_000)
    assert fault_limits(Decimal("46.4"), 6) == (167_040, 974_400)
    assert fault_limits(Decimal(150), 11) == (540_000, 3_099_999)  # 21 mA would be 3.15 V, more than the ADC tells
    assert fault_limits(None, 11) == (-1, -1)


def test_a_sensor_that_follows_its_supply_names_the_pin_that_measures_it(rows):
    sonar = '[[device]]\nid = "bin"\nprofile = "maxbotix-mb7389"\npin = "A1"\nreference_pin = "A4"\n'
    row = rows(sonar)["bin/distance"]
    assert (row[1], row[5]) == (34, 39)
    assert row[8] == [[0, 0], [1000000, 5120]]


def test_a_pulse_input(rows):
    row = rows(FLOW)["flow/volume"]
    assert row[:9] == ["pulse", 32, "rising", 0, 0, 2, 1, 9, 0]
    assert row[10] == 3  # 225 Hz: 4.4 ms from pulse to pulse
    private = rows(WATER.replace("pin", "persist_s = 3600\npin"))["water/volume"]
    assert (private[3], private[8], private[10]) == (50, 3600, 449)


def test_the_total_of_an_input_keeps_its_name_whatever_comes_beside_it(rows):
    alone, beside = rows(WATER)["water/volume"][9], rows(FLOW, SOIL, WATER)["water/volume"][9]
    assert alone == beside != rows(FLOW)["flow/volume"][9]
    assert rows(WATER.replace('"P2"', '"P3"'))["water/volume"][9] == alone  # the wire has moved, the meter has not
    assert 0 <= alone < 1 << 30


def test_a_calibration_on_the_device_does_not_outlive_another_table_or_pin(rows):
    number = rows(SOIL)["soil/moisture"][9]
    assert rows(FLOW, SOIL)["soil/moisture"][9] == number
    other = "[device.point.moisture]\ncalibration = [[2400000, 0], [1150000, 100]]\n"
    assert rows(SOIL, other)["soil/moisture"][9] != number
    assert rows(SOIL.replace('"A1"', '"A2"'))["soil/moisture"][9] != number
