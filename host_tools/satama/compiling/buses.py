"""From the buses of a site, and what is heard on them, to what the device builds."""

from typing import Any

from ..profiles.profile import Profile
from ..resolving.resolved import Channel, Resolved
from ..site_file.site import ListeningBus, RtuBus, TcpBus
from .reads import compile_field, exact_scale

H1_LINE = {"baud": 115_200, "parity": "N", "stop_bits": 1}  # decree 767/2021; the port sends inverted
H1_INTERVAL_S = 10  # longest that a meter may take between telegrams
_STALE_AFTER = 3  # intervals without a good telegram or frame


def compile_buses(resolved: Resolved) -> list[dict[str, Any]]:
    """One entry for each bus of the site, in its order."""
    compile_bus = {"modbus-rtu": _rtu, "modbus-tcp": _tcp, "h1": _h1, "stream": _stream}
    return [{"id": bus.id, "kind": bus.kind} | compile_bus[bus.kind](resolved, bus) for bus in resolved.site.bus]


def _rtu(resolved: Resolved, bus: RtuBus) -> dict[str, Any]:
    port = resolved.board.ports[bus.port]
    return {
        "uart": port.uart,
        "tx": port.tx,
        "rx": port.rx,
        "de": -1 if port.de is None else port.de,
        "baud": bus.baud,
        "parity": bus.parity,
        "stop_bits": bus.stop_bits,
        "echo": int(bus.echo),
        "dead_share": bus.dead_share_percent,
    }


def _tcp(_: Resolved, bus: TcpBus) -> dict[str, Any]:
    return {"host": bus.host, "port": bus.tcp_port, "dead_share": bus.dead_share_percent}


def _h1(resolved: Resolved, bus: ListeningBus) -> dict[str, Any]:
    port, profile = resolved.board.ports[bus.port], _speaker(resolved, bus)
    interval_s = profile.telegram.interval_s if profile else H1_INTERVAL_S
    return {"uart": port.uart, "tx": port.tx, "rx": port.rx, "invert": 1, **H1_LINE, "stale_ms": _stale_ms(interval_s)}


def _stream(resolved: Resolved, bus: ListeningBus) -> dict[str, Any]:
    port, profile = resolved.board.ports[bus.port], _speaker(resolved, bus)
    line, frame = profile.serial, profile.stream
    return {
        "uart": port.uart,
        "tx": port.tx,
        "rx": port.rx,
        "invert": 0,
        "baud": line.baud,
        "parity": line.parity,
        "stop_bits": line.stop_bits,
        "stale_ms": _stale_ms(frame.interval_s),
        "header": list(frame.header),
        "length": frame.length,
        "checksum": frame.checksum,
    }


def compile_heard(resolved: Resolved, at: int, channel: Channel) -> list:
    """The row of the input that takes point number `at` from what a bus was told last."""
    bus = [bus.id for bus in resolved.site.bus].index(channel.device.bus)
    point = channel.point
    if channel.profile.interface == "stream":
        return ["heard", bus, at, compile_field(at, point, 0)]
    return ["heard", bus, at, point.obis, point.telegram_unit, *exact_scale(point.scale, point.exponent)]


def _stale_ms(interval_s: Any) -> int:
    return int(1000 * _STALE_AFTER * interval_s)


def _speaker(resolved: Resolved, bus: ListeningBus) -> Profile | None:
    """The profile of the one device on a bus that listens; None if there is none."""
    return next((resolved.profiles[device.id] for device in resolved.site.device if device.bus == bus.id), None)
