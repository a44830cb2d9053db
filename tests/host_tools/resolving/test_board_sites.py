"""A site that wants of its board what the board cannot do is refused, at its line, with the reason and a way out."""

import pytest
import typer
from typer.testing import CliRunner

from satama.commands import site as commands_site
from satama.compiling.compiler import compile_site
from satama.core.places import BOARDS
from satama.core.problems import Problems

HEAD = """\
[site]
name = "kalasatama"
gateway = "pins"
board = "{board}"

[network]
kind = "{network}"
{wifi}
[mqtt]
host = "broker.kalasatama.example"
insecure = true
"""
WIFI = 'ssid = "kalasatama-iot"\npassword = "fish-harbour"\n'
RS485 = '\n[[bus]]\nid = "line"\nkind = "modbus-rtu"\nport = "{port}"\nbaud = 9600\n'
METER = '\n[[device]]\nid = "meter"\nprofile = "xy-md02"\nbus = "line"\nunit = 1\n'
H1 = '\n[[bus]]\nid = "h1"\nkind = "h1"\nport = "serial"\n\n[[device]]\nid = "customer"\nprofile = "h1-port"\nbus = "h1"\n'


def site(tmp_path, board, *blocks, network="wifi"):
    path = tmp_path / "site.toml"
    wifi = WIFI if network == "wifi" else ""
    path.write_text(HEAD.format(board=board, network=network, wifi=wifi) + "".join(blocks))
    return path


def probe(pin, name="bed"):
    value = f'"{pin}"' if isinstance(pin, str) else pin
    return f'\n[[device]]\nid = "{name}"\nprofile = "dfrobot-sen0193"\npin = {value}  # HERE {name}\n'


def meter(pin, name="water", profile="pulse-water"):
    value = f'"{pin}"' if isinstance(pin, str) else pin
    block = f'\n[[device]]\nid = "{name}"\nprofile = "{profile}"\npin = {value}  # HERE {name}\n'
    return block + ("\n[device.point.volume]\nper_pulse = 10\n" if profile == "pulse-water" else "")


def rs485(port="rs485"):
    return RS485.format(port=port) + METER


REFUSED = {
    "an input without a pull-up": ("esp32-devkit", [meter(34)], "no pull-up resistor inside"),
    "a strapping pin": ("esp32-devkit", [meter(12)], "decides how the chip starts"),
    "the flash": ("esp32-devkit", [meter(6)], "wired to the flash"),
    "the flash of an S3": ("esp32-s3-devkit", [meter(27)], "wired to the flash"),
    "the PSRAM": ("waveshare-esp32-s3-eth-8di-8ro", [meter(35)], "wired to the PSRAM"),
    "the console": ("esp32-devkit", [meter(3)], "belongs to the console"),
    "the USB lines": ("esp32-c3-devkit", [meter(19)], "line of the chip's USB"),
    "no such GPIO": ("esp32-devkit", [meter(24)], "the ESP32 has no GPIO 24"),
    "no ADC there": ("esp32-devkit", [probe(18)], "no analogue-to-digital converter"),
    "ADC2": ("esp32-devkit", [probe(25)], "ADC2, which does not work beside Wi-Fi"),
    "the transceiver on the board": ("lilygo-t-can485", [meter(22)], "belongs to port 'rs485'"),
    "a level of the start": ("lilygo-t-can485", [meter(16)], "5 V booster"),
    "a relay": ("olimex-esp32-evb", [meter(32)], "belongs to relay REL1"),
    "the card": ("olimex-esp32-poe", [meter(14)], "belongs to the microSD card"),
    "the LED": ("m5stack-atom-rs485", [meter(27)], "belongs to the status LED"),
    "Ethernet on the board": ("wt32-eth01", [meter(25)], "belongs to the Ethernet of the board"),
    "behind an expander": ("kincony-kc868-a16", [meter("X01")], "port expander (PCF8574 0x22)"),
    "no analogue input at all": (
        "waveshare-esp32-s3-eth-8di-8ro",
        [probe(4)],
        "a board with ADC inputs: satama boards",
    ),
    "no such port": ("kincony-kc868-a16", [rs485("rs485-2")], "no port 'rs485-2'"),
    "no bare serial port": ("kincony-kc868-a16", [H1], "no port 'serial'"),
    "one pin for two": ("lilygo-t-can485", [probe("A3"), meter("P3")], "GPIO 32 is already used by device 'bed'"),
    "one pin for port and input": ("lilygo-t-can485", [H1, meter("P1")], "GPIO 25 is already used by bus 'h1'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_board_cannot_do_is_refused_with_the_reason(tmp_path, case):
    board, blocks, reason = REFUSED[case]
    path = site(tmp_path, board, *blocks)
    with pytest.raises(Problems) as caught:
        compile_site(path, write_ids=False)
    [problem] = caught.value.problems
    assert reason in f"{problem.what} -> {problem.hint}"
    assert problem.hint, "no way out"
    if len(blocks) == 1 and "# HERE" in blocks[0]:
        assert "# HERE" in path.read_text().split("\n")[problem.line - 1]
    assert problem.key.split("[")[0] in ("device", "bus")


def one_problem(path):
    with pytest.raises(Problems) as caught:
        compile_site(path, write_ids=False)
    [problem] = caught.value.problems
    return problem


@pytest.mark.parametrize(
    "board", ["lilygo-t-can485", "m5stack-atom-rs485", "waveshare-esp32-s3-relay-6ch", "esp32-c3-devkit"]
)
def test_ethernet_on_a_board_without(tmp_path, board):
    problem = one_problem(site(tmp_path, board, rs485(), network="lan"))
    assert f"the board {board} has no Ethernet" in problem.what and 'kind = "wifi"' in problem.hint


def test_a_port_whose_pins_the_ethernet_takes(tmp_path):
    """The bare pins of the DevKit are RMII lines as soon as the LAN is used."""
    blocks = [rs485(), H1]
    compile_site(site(tmp_path, "esp32-devkit", *blocks), write_ids=False)
    with pytest.raises(Problems) as caught:
        compile_site(site(tmp_path, "esp32-devkit", *blocks, network="lan"), write_ids=False)
    for problem, gpio in zip(caught.value.problems, (26, 25), strict=True):
        assert problem.what == f"bus 'h1': GPIO {gpio} of port 'serial' is already used by the network"
        assert problem.hint == "another port, or Wi-Fi"


def test_two_ports_on_one_uart(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (BOARDS / "esp32-devkit" / "board.toml").read_text()
    text = text.replace('name = "esp32-devkit"', 'name = "mine"').replace("uart = 2\ntx = 26", "uart = 1\ntx = 26")
    (folder / "board.toml").write_text(text)
    problem = one_problem(site(tmp_path, "./mine", rs485(), H1))
    assert "ports 'serial' and 'rs485' are one UART (1), and bus 'line' has it" in problem.what


def test_more_fast_pulses_than_counters(tmp_path):
    """The S3 counts four inputs by itself; a fifth flow sensor would lose pulses, a reed contact would not."""
    board = "waveshare-esp32-s3-eth-8di-8ro"
    fast = [meter(f"DI{n}", f"flow-{n}", "yf-s201") for n in range(1, 6)]
    compile_site(site(tmp_path, board, *fast[:4], meter("DI8", "reed")), write_ids=False)
    problem = one_problem(site(tmp_path, board, *fast))
    assert "device 'flow-5'" in problem.what and "4 counters" in problem.what and "exact up to" in problem.hint


def test_rs485_on_bare_pins_is_let_through_with_a_word(tmp_path):
    compiled = compile_site(site(tmp_path, "lilygo-t-can485", rs485("serial")), write_ids=False)
    assert any("has bare pins, but bus 'line' is RS-485" in str(warning) for warning in compiled.warnings)


def test_what_the_device_is_told_of_its_board(tmp_path):
    told = compile_site(site(tmp_path, "lilygo-t-can485", rs485()), write_ids=False).body
    assert told["start"] == [[16, 1], [19, 1], [17, 1]] and told["buses"][0]["de"] == -1
    plain = compile_site(site(tmp_path, "esp32-devkit", rs485()), write_ids=False).body
    assert "start" not in plain and plain["buses"][0]["de"] == 4
    lan = {
        name: compile_site(site(tmp_path, name, rs485(), network="lan"), write_ids=False).body["network"]
        for name in ("esp32-devkit", "olimex-esp32-poe", "wt32-eth01", "waveshare-esp32-s3-eth-8di-8ro")
    }
    for network in lan.values():
        del network["ntp"]
    assert lan == {
        "esp32-devkit": {"kind": "lan", "phy": "LAN8720", "phy_addr": 1, "mdc": 23, "mdio": 18},
        "olimex-esp32-poe": {
            "kind": "lan",
            "phy": "LAN8720",
            "phy_addr": 0,
            "mdc": 23,
            "mdio": 18,
            "power": 12,
            "ref_clk": 17,
            "ref_clk_out": 1,
        },
        "wt32-eth01": {
            "kind": "lan",
            "phy": "LAN8720",
            "phy_addr": 1,
            "mdc": 23,
            "mdio": 18,
            "power": 16,
            "ref_clk": 0,
            "ref_clk_out": 0,
        },
        "waveshare-esp32-s3-eth-8di-8ro": {
            "kind": "lan",
            "phy": "W5500",
            "phy_addr": 0,
            "cs": 16,
            "int": 12,
            "reset": 39,
            "spi": [1, 15, 13, 14],
        },
    }


def test_the_reason_reaches_the_technician(tmp_path):
    app = typer.Typer()
    app.command()(lambda: None)
    commands_site.register(app)
    done = CliRunner().invoke(app, ["check", str(site(tmp_path, "lilygo-t-can485", rs485(), meter(16)))])
    assert done.exit_code == 2 and "5 V booster" in done.output and "by name: P1, P2, P3, P4" in done.output
