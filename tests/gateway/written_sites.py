"""Site files that tests write for themselves."""

from collections.abc import Iterable

HEAD = """
[site]
name = "kalasatama"
gateway = "bus-test"
board = "{board}"

[network]
kind = "wifi"
ssid = "kalasatama-iot"
password = "fish-harbour"
ntp = ["ntp.kalasatama.example"]

[mqtt]
host = "broker.kalasatama.example"
insecure = true
batch_age_s = 10
"""
RTU = """
[[bus]]
id = "rs485"
kind = "modbus-rtu"
port = "rs485"
baud = {baud}
"""
TCP = """
[[bus]]
id = "{name}"
kind = "modbus-tcp"
host = "{host}"
"""


def device(name: str, profile: str, unit: int, period_s: int = 10, bus: str = "rs485", more: str = "") -> str:
    block = f'\n[[device]]\nid = "{name}"\nprofile = "{profile}"\nbus = "{bus}"\nunit = {unit}\nperiod_s = {period_s}\n'
    return block + more


def rtu_site(devices: Iterable[str], baud: int = 9600, board: str = "esp32-devkit") -> str:
    """A cabinet with one RS-485 bus."""
    return HEAD.format(board=board) + RTU.format(baud=baud) + "".join(devices)


def tcp_bus(name: str, host: str) -> str:
    return TCP.format(name=name, host=host)
