"""The form of a site file: what a cabinet is wired to and what of it is wanted. Its sense is for resolving/resolve.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from ..core.name import Name
from ..core.problems import Key, Source, Strict, Wrong
from ..profiles.values import Baud, Parity, StopBits
from .derived import Derived
from .hosts import Host
from .journal import JournalOptions
from .mqtt import Mqtt
from .points import DAY_S, Period, PointName, PointOptions
from .privacy import Privacy


def _ssid(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= 32:
        raise Wrong("must be text in quotes, 1 to 32 bytes", "the name of the Wi-Fi network")
    return value


def _passphrase(value: Any) -> Any:
    if isinstance(value, str) and value and not 8 <= len(value.encode()) <= 64:
        raise Wrong("a Wi-Fi passphrase has 8 to 63 characters", 'or "" for an open network')
    return value


def _pin(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Wrong("is not a pin", 'a name from the board file in quotes, e.g. "A1", or a GPIO number')
    return value


Pin = Annotated[str | int, BeforeValidator(_pin)]


class SiteHead(Strict):
    name: Name = Field(description="name of the site, part of every topic")
    gateway: Name = Field(description="name of this gateway, unique in the district")
    board: str = Field(description="a board's name, or the path of a board file relative to this file")


class Network(Strict):
    kind: Literal["wifi", "lan"] = Field(description="wifi or lan")
    ssid: Annotated[str, BeforeValidator(_ssid)] | None = Field(None, description="name of the Wi-Fi network")
    password: Annotated[SecretStr, BeforeValidator(_passphrase)] = Field(SecretStr(""), description="Wi-Fi passphrase")
    ntp: list[Host] = Field(
        ["pool.ntp.org"],
        description="time servers, all of them asked; where they contradict each other the most agree, then the first",
        max_length=4,
    )


class _ModbusBus(Strict):
    id: Name = Field(description="name of the bus")
    dead_share_percent: int = Field(
        5, ge=1, le=50, description="most of the bus time that silent devices may cost together, 1..50 percent"
    )


class RtuBus(_ModbusBus):
    kind: Literal["modbus-rtu"] = Field(description="Modbus RTU on an RS-485 port")
    port: str = Field(description="a port of the board file")
    baud: Baud = Field(description="bits per second; all devices of the bus must be set to it")
    parity: Parity = Field("N", description="N, E or O")
    stop_bits: StopBits = Field(1, description="1 or 2")
    echo: bool = Field(False, description="true where the transceiver hears its own frames")


class TcpBus(_ModbusBus):
    kind: Literal["modbus-tcp"] = Field(
        description="Modbus TCP: a device with a network socket, or a gateway to others"
    )
    host: Host = Field(description="host name or address; an address needs no name server")
    tcp_port: int = Field(502, ge=1, le=65535, description="TCP port, 1..65535")


class ListeningBus(Strict):
    id: Name = Field(description="name of the bus")
    kind: Literal["h1", "stream"] = Field(description="h1 (customer port of a meter), stream (a sensor that talks)")
    port: str = Field(description="a port of the board file")


Bus = Annotated[RtuBus | TcpBus | ListeningBus, Field(discriminator="kind")]
MODBUS_BUSES = ("modbus-rtu", "modbus-tcp")


class Device(Strict):
    id: Name = Field(description="name of the device, unique in the site")
    profile: str = Field(description="a profile's name, or the path of a profile relative to this file")
    bus: str | None = Field(None, description="id of the [[bus]] the device is on")
    unit: int | None = Field(None, ge=1, le=255, description="Modbus unit id, 1..255 (247 by the book)")
    pin: Pin | None = Field(None, description='an input named in the board file, e.g. "A1", or a GPIO number')
    reference_pin: Pin | None = Field(None, description="the ADC input that measures a ratiometric sensor's supply")
    persist_s: int = Field(
        0, ge=0, le=DAY_S, description="seconds between flash writes of a pulse total; 0: with every reading"
    )
    period_s: Period = Field(10, description="seconds between readings")
    privacy: Name | None = Field(None, description="name of the [privacy.NAME] that its points are under")
    points: list[PointName] | None = Field(None, description="names of points; all of the profile if left out")
    point: dict[str, PointOptions] = Field({}, description="[device.point.NAME] options of one point")
    max_registers: int | None = Field(
        None, ge=1, le=125, description="most registers in one read, if below the profile's"
    )
    gap_ms: int | None = Field(None, ge=0, le=2000, description="silence between requests, instead of the profile's")
    timeout_ms: int | None = Field(
        None, ge=10, le=10000, description="longest wait for an answer, instead of the profile's"
    )


class Site(Strict):
    """A site file. Fields are named as its blocks: [site], [network], [mqtt], [[bus]], [[device]]."""

    site: SiteHead = Field(description="[site] with name, gateway, board")
    network: Network = Field(description="[network] with kind, and ssid and password for wifi")
    mqtt: Mqtt = Field(description="[mqtt] with host, and ca, or insecure = true for plain TCP")
    journal: JournalOptions = Field(JournalOptions(), description="[journal] what is kept on flash, and how long")
    bus: list[Bus] = Field([], description="[[bus]] blocks")
    device: list[Device] = Field(min_length=1, description="at least one [[device]] block")
    derived: list[Derived] = Field([], description="[[derived]] blocks, computed from points of devices")
    privacy: dict[Name, Privacy] = Field({}, description="[privacy.NAME] profiles for what residents do at home")

    @property
    def devices(self) -> list[Device]:
        return self.device


def load_site(path: Path | str, overrides: Mapping[Key, Any] | None = None) -> tuple[Site, Source]:
    """Form only: keys, types, ranges. Raises Problems. See resolve.resolve_site for the rest.

    overrides   what one cabinet of many has of its own, such as {("site", "gateway"): "cab-07"}: as if it stood in the file
    """
    source = Source.read(path, "site file").overridden(overrides or {})
    return source.parse(Site), source
