"""DTR and RTS: the sequences that hosts send, and where the chip ends up."""

import pytest
from chip_lab import Host, flashed

from satama_sim.chip import Lines


def forget(host: Host) -> None:
    host.events.clear()


def drive(lines: Lines, sequence: str) -> None:
    """ "D1 R0": DTR on, RTS off."""
    for step in sequence.split():
        setattr(lines, {"D": "dtr", "R": "rts"}[step[0]], step[1] == "1")


@pytest.fixture
def bridge():
    host = Host("esp32", flashed("esp32", 4 << 20))
    host.chip.power_on()
    forget(host)
    return host, Lines(host.chip, usb_jtag=False)


@pytest.fixture
def usb():
    host = Host("esp32c3", flashed("esp32c3", 4 << 20), usb_jtag=True)
    host.chip.power_on()
    forget(host)
    return host, Lines(host.chip, usb_jtag=True)


def test_opening_a_port_with_both_lines_on_resets_nothing(bridge):
    host, lines = bridge
    drive(lines, "D1 R1")
    lines.drop()
    assert host.events == []


def test_the_classic_order_enters_download_mode(bridge):
    host, lines = bridge
    drive(lines, "D1 R1")  # opened
    drive(lines, "D0 R1 R1 D0 D1 R0 R0 D1 D0")  # every change of RTS repeats DTR
    assert (host.chip.mode, host.events) == ("rom", ["download"])


def test_a_pulse_on_rts_starts_the_application(bridge):
    host, lines = bridge
    host.chip.reset(download=True)
    forget(host)
    drive(lines, "D0 R1 R0")
    assert (host.chip.mode, host.events) == ("app", ["app"])


def test_the_order_for_usb_does_not_reach_download_mode_on_a_bridge(bridge):
    host, lines = bridge
    drive(lines, "R0 D0 D1 R0 R1 D0 R1 D0 R0")
    assert host.chip.mode == "app"


def test_a_host_that_closes_in_the_middle_of_a_reset_lets_the_chip_go(bridge):
    host, lines = bridge
    drive(lines, "D0 R1")
    assert host.events == []
    lines.drop()
    assert host.events == ["app"]


def test_usb_jtag_by_its_own_order(usb):
    host, lines = usb
    drive(lines, "D1 R1")  # opened
    drive(lines, "R0 D0 D1 R0 R1 D0 R1 D0 R0")
    assert (host.chip.mode, host.events) == ("rom", ["download"])
    forget(host)
    drive(lines, "R1 R0")
    assert (host.chip.mode, host.events) == ("app", ["app"])


def test_usb_jtag_forgets_a_request_that_is_taken_back(usb):
    host, lines = usb
    drive(lines, "D1 D0 R1")
    assert host.events == ["app"]
