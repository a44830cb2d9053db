"""Every board of ours starts a small site: its RS-485 device is polled, and the first sample arrives at the broker."""

import pytest
from written_sites import HEAD, device, rtu_site

from satama.boards.board import list_boards, load_board

WIFI = 'kind = "wifi"\nssid = "kalasatama-iot"\npassword = "fish-harbour"\n'
POINTS = 'points = ["temperature"]\n'
WITH_LAN = [name for name in list_boards() if load_board(name).lan]


def site_on(board: str, tmp_path, network: str = WIFI):
    path = tmp_path / "site.toml"
    path.write_text(rtu_site([device("probe", "xy-md02", 1, more=POINTS)], board=board).replace(WIFI, network))
    return path


def first_sample(cab) -> None:
    cab.run_until(lambda: any(view.count for view in cab.broker.streams.values()), within="2m")
    assert cab.broker.stream("probe/temperature").last.value is not None


@pytest.mark.parametrize("name", [name for name in list_boards() if name not in WITH_LAN])
def test_the_first_sample_arrives_by_wifi(cabinet, tmp_path, name):
    first_sample(cabinet(site_on(name, tmp_path), seed=3))


@pytest.mark.parametrize("name", WITH_LAN)
def test_the_first_sample_arrives_by_ethernet(cabinet, tmp_path, name):
    cab = cabinet(site_on(name, tmp_path, 'kind = "lan"\n'), seed=3)
    first_sample(cab)
    assert cab.radio.active == [False, True]


def test_without_the_levels_of_the_start_the_bus_is_dead(cabinet, tmp_path):
    """The T-CAN485's transceiver has no power before its booster is on: the levels are set before the first request."""
    cab = cabinet(site_on("lilygo-t-can485", tmp_path), seed=3)
    first_sample(cab)
    pins = cab.board.pins
    assert [pins.level(gpio) for gpio in (16, 17, 19)] == [1, 1, 1]
    assert cab.request("status")["buses"][0]["errors"] == 0
    pins.set(16, 0)  # somebody switches the booster off
    cab.run("1m")
    assert cab.request("status")["buses"][0]["errors"] > 0


def test_inputs_beyond_the_chips_counters_are_counted_by_interrupt(cabinet, tmp_path):
    """Eight S0 meters on an S3: four units of its PCNT are in use, and the other four count all the same."""
    meters = [
        f'\n[[device]]\nid = "meter-{n}"\nprofile = "pulse-s0-energy"\npin = "DI{n}"\n[device.point.energy_import]\nper_pulse = 1\n'
        for n in range(1, 9)
    ]
    path = tmp_path / "site.toml"
    path.write_text(HEAD.format(board="waveshare-esp32-s3-eth-8di-8ro") + "".join(meters))
    cab = cabinet(path, seed=3)
    cab.run("3m")
    pins = cab.board.pins
    assert [pins.counter(unit, None) > 0 for unit in range(4)] == [True] * 4
    with pytest.raises(KeyError):
        pins.counter(4, None)
    last = [cab.broker.stream(f"meter-{n}/energy_import").last for n in range(1, 9)]
    assert all(sample.value > 0 and not sample.reason for sample in last)
