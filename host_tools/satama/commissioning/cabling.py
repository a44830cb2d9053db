"""What a site file knows of the wires in a cabinet, as far as it helps a person who stands before it. No secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..boards.board import Board
from ..compiling.compiler import Compiled
from ..site_file.site import Device, ListeningBus, RtuBus, TcpBus


@dataclass(frozen=True)
class Cabling:
    """Without a site file: Cabling(), and the advice is general.

    ports     bus id -> where it is on the board, such as "port rs485 (TX GPIO 17, RX GPIO 16, DE GPIO 4)", or "192.0.2.7 port 502"
    settings  bus id -> "9600 baud 8N1"
    networked ids of the buses that are no wires of the board
    models    device id -> what it says on the device
    pins      device id -> "terminal A1 (GPIO 34)"
    """

    ports: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    networked: frozenset[str] = frozenset()
    models: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    ssid: str = ""
    time_servers: str = ""
    broker: str = ""


def cabling(compiled: Compiled) -> Cabling:
    site, board = compiled.site, compiled.board
    ports, settings = {}, {}
    for bus in site.bus:
        if isinstance(bus, TcpBus):
            ports[bus.id] = f"{bus.host} port {bus.tcp_port}"
        else:
            ports[bus.id] = _port(board, bus)
        if isinstance(bus, RtuBus):
            settings[bus.id] = f"{bus.baud} baud 8{bus.parity}{bus.stop_bits}"
    return Cabling(
        ports,
        settings,
        frozenset(bus.id for bus in site.bus if isinstance(bus, TcpBus)),
        {device.id: compiled.profiles[device.id].model for device in site.devices},
        {device.id: _pin(board, device) for device in site.devices if device.pin is not None},
        site.network.ssid or "",
        ", ".join(site.network.ntp),
        ", ".join(f"{host}:{port}" for host, port in site.mqtt.brokers),
    )


def _port(board: Board, bus: RtuBus | ListeningBus) -> str:
    port = board.ports.get(bus.port)
    if port is None:
        return f"port {bus.port}"
    pins = [f"TX GPIO {port.tx}", f"RX GPIO {port.rx}"] + ([] if port.de is None else [f"DE GPIO {port.de}"])
    return f"port {bus.port} ({', '.join(pins)})"


def _pin(board: Board, device: Device) -> str:
    if not isinstance(device.pin, str):
        return f"GPIO {device.pin}"
    gpio = {**board.adc, **board.pulse}.get(device.pin)
    return f"terminal {device.pin}" + ("" if gpio is None else f" (GPIO {gpio})")
