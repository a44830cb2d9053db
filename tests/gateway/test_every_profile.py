"""Every Modbus device type, read by the whole gateway on the real MicroPython VM: what it shows arrives digit for digit."""

import pytest
from exact_values import assert_exact
from written_sites import HEAD, device, rtu_site, tcp_bus

from satama.profiles.library import list_profiles, load_profile

MODBUS = [name for name in list_profiles() if load_profile(name).interface == "modbus"]
AT_ONCE = 6
GROUPS = [MODBUS[at : at + AT_ONCE] for at in range(0, len(MODBUS), AT_ONCE)]


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: f"{names[0]}..{names[-1]}")
def test_what_devices_show_arrives_exactly(cabinet, tmp_path, names):
    site = tmp_path / "all.toml"
    blocks = [device(name, name, unit, period_s=60, bus="lan") for unit, name in enumerate(names, 1)]
    site.write_text(HEAD.format(board="esp32-devkit") + tcp_bus("lan", "192.168.1.40") + "".join(blocks))
    cab = cabinet(site, seed=5, heap_bytes=2 << 20)  # far more points than one board is meant for
    cab.buses[0].slaves.record_truth = True
    cab.run("4m")
    assert cab.report()["streams_missing"] == []
    assert assert_exact(cab, cab.buses[0].slaves.truth_log, within_us=20_000_000) >= 2 * len(names)
    for unit in cab.request("buses")["units"]:
        # Before the Wi-Fi is up nothing is heard; and a SunSpec device is looked for at its usual places.
        expected = {"bus_down", "exception"} if unit["device"].startswith("sunspec") else {"bus_down"}
        assert {kind for kind, _ in unit["errors"]} <= expected, unit
    truth = {(who, point): value for who, point, _, value in cab.buses[0].slaves.truth_log}
    for stream in cab.compiled.streams:
        sample = cab.broker.stream(stream.name).last
        if sample.value is None:  # then the device had nothing to show
            assert truth[tuple(stream.name.split("/"))] is None, (stream.name, sample.reason)


def test_what_identifies_a_device_is_in_its_birth_and_on_the_console(cabinet, tmp_path):
    site = tmp_path / "abb.toml"
    site.write_text(rtu_site([device("meter", "abb-b23", 1)]))
    cab = cabinet(site, seed=5)
    cab.run("1m")
    texts = {name: text for _, name, text in cab.request("buses")["texts"]}
    assert set(texts) == {p.name for p in load_profile("abb-b23").points if p.kind == "text" and p.readable}
    assert all(texts.values())
    cab.cut_power()
    cab.restore_power()
    cab.run("1m")
    assert "meter: firmware" in cab.type("buses", wait=4)
