"""What the tests of provisioning share: a folder with a site file and a table, and a workshop without boards."""

from dataclasses import dataclass, field
from pathlib import Path

from satama.provisioning.workshop import Done, Failed

WIFI, SHARED = "fish-harbour-one", "four-green-cormorants"
SITE = """\
[site]
name = "yard"
gateway = "template"
board = "esp32-devkit"
[network]
kind = "wifi"
ssid = "yard"
password = "{wifi}"
[mqtt]
{mqtt}
[[device]]
id = "soil"
profile = "dfrobot-sen0193"
pin = "A1"
point.moisture.calibration = [[2400000, 0], [1270000, 100]]
"""
PLAIN = 'host = "broker.yard.example"\ninsecure = true'
TLS = 'host = "broker.yard.example"\nca = "broker-ca.pem"'


def write_site(folder: Path, mqtt: str = PLAIN, name: str = "site.toml") -> Path:
    path = folder / name
    path.write_text(SITE.format(mqtt=mqtt, wifi=WIFI))
    return path


def write_table(folder: Path, *rows: str, name: str = "cabinets.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@dataclass
class FakeWorkshop:
    """Boards that come to the port one after the other: MACs; `flashed` and `keys` are what each one got.

    fails   gateway -> sentence of its flash, or an exception
    red     gateway -> red checks
    starts  port of each board that was looked at, was not the right one and was started again; "" if it was left
    """

    boards: list[str]
    fails: dict = field(default_factory=dict)
    red: dict = field(default_factory=dict)
    flashed: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)
    ports: list = field(default_factory=list)
    starts: list = field(default_factory=list)
    firmware: dict = field(default_factory=lambda: {"version": "v1.26.1", "sha256": "ab" * 32})

    def prepare(self, order):
        return self.firmware

    def identify(self, port, order, choose, leave=False):
        self.ports.append(port)
        mac = self.boards.pop(0)
        if not mac.count(":"):
            raise Failed(mac)
        self.starts.append("" if leave else port)
        order = choose(mac)
        self.starts.pop()
        self.mac = mac
        return mac, order

    def start(self, port, order):
        self.starts.append(port)

    def flash(self, port, order, report):
        name = order.cabinet.gateway
        wrong = self.fails.get(name)
        if isinstance(wrong, BaseException):
            raise wrong
        if isinstance(wrong, str):
            raise Failed(wrong, changed=True)
        self.flashed[name] = order.files
        self.keys[name] = order.compiled.credentials.client_key
        return Done(self.mac, "esp32", self.firmware, ["filesystem"])

    def selftest(self, port, order, done, report, folder):
        red = self.red.get(order.cabinet.gateway, [])
        return {"passed": not red, "red": red}


def mac(number: int) -> str:
    return f"24:0a:c4:00:00:{number:02x}"
