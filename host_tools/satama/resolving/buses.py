"""Buses of a site: their ports, and whether each device on them fits."""

from collections.abc import Iterator

from ..boards.pins import port_pins
from ..core.problems import Key, Problem, Source, again, closest
from ..profiles.profile import Profile, Serial
from ..site_file.site import MODBUS_BUSES, Bus, Device, RtuBus
from .resolved import Resolved

ON_BUS = {"modbus": MODBUS_BUSES, "h1": ("h1",), "stream": ("stream",)}  # interface -> kinds of bus
MODBUS_KEYS = {"unit", "max_registers", "gap_ms", "timeout_ms"}  # of a device


def check_buses(resolved: Resolved) -> Iterator[Problem]:
    site, source, lan = resolved.site, resolved.source, resolved.board.lan
    ids: dict[str, int] = {}
    used: dict[str, str] = {}
    pins = dict.fromkeys(lan.pins, "the network") if lan and site.network.kind == "lan" else {}
    for index, bus in enumerate(site.bus):
        if bus.id in ids:
            yield again(source, "bus", "id", index, ids[bus.id], bus.id)
        ids.setdefault(bus.id, index)
        if bus.kind != "modbus-tcp":
            yield from _port(resolved, index, bus, used, pins)
        on_it = [device.id for device in site.device if device.bus == bus.id]
        if not on_it and bus.kind in MODBUS_BUSES:
            resolved.warnings.append(source.problem(("bus", index), "no device is on this bus"))
        elif not on_it:
            what = f"no device is on this bus, and a bus of kind {bus.kind} is set up for its device"
            yield source.problem(("bus", index), what, "a [[device]] with this bus, or remove the bus")
        if bus.kind not in MODBUS_BUSES and len(on_it) > 1:
            what = f"a bus of kind {bus.kind} hears one device, but {', '.join(on_it)} are on it"
            yield source.problem(("bus", index), what, "a [[bus]] with a port of its own for each")


def _port(resolved: Resolved, index: int, bus: Bus, used: dict[str, str], pins: dict[int, str]) -> Iterator[Problem]:
    """`used`: port -> bus, `pins`: GPIO -> what has it; both grow."""
    source, board, key = resolved.source, resolved.board, ("bus", index, "port")
    kind = "rs485" if bus.kind == "modbus-rtu" else "ttl"
    fitting = [name for name, port in board.ports.items() if port.kind == kind]
    if bus.port not in board.ports:
        what = f"the board {board.name} has no port '{bus.port}'"
        yield source.problem(key, what, closest(bus.port, board.ports, "ports"))
    elif kind == "ttl" and bus.port not in fitting:
        what = f"port '{bus.port}' is behind an RS-485 transceiver, but a bus of kind {bus.kind} needs the bare pins"
        yield source.problem(key, what, closest("", fitting, f"ports of {board.name} with bare pins"))
    elif bus.port in used:
        yield source.problem(key, f"port '{bus.port}' is already that of bus '{used[bus.port]}'")
    else:
        yield from _clash(resolved, key, bus, used, pins)
        if kind == "rs485" and bus.port not in fitting:
            what = f"port '{bus.port}' has bare pins, but bus '{bus.id}' is RS-485"
            hint = "a transceiver that finds its direction itself goes between"
            resolved.warnings.append(source.problem(key, what, hint))
    used.setdefault(bus.port, bus.id)


def _clash(resolved: Resolved, key: Key, bus: Bus, used: dict[str, str], pins: dict[int, str]) -> Iterator[Problem]:
    """Two ports of a board can share a UART or a GPIO: only one of them can be in use."""
    source, ports = resolved.source, resolved.board.ports
    port = ports[bus.port]
    for other in used:
        if other in ports and ports[other].uart == port.uart:
            what = f"ports '{bus.port}' and '{other}' are one UART ({port.uart}), and bus '{used[other]}' has it"
            yield source.problem(key, what, closest("", set(ports) - set(used), "ports that are left"))
            return
    for gpio in port_pins(port):
        if gpio in pins:
            what = f"GPIO {gpio} of port '{bus.port}' is already used by {pins[gpio]}"
            hint = "another port, or Wi-Fi" if pins[gpio] == "the network" else "another port"
            yield source.problem(key, what, hint)
    pins |= {gpio: f"bus '{bus.id}'" for gpio in port_pins(port)}


def check_on_bus(resolved: Resolved, index: int, device: Device, profile: Profile) -> Iterator[Problem]:
    source, key = resolved.source, ("device", index)
    buses = {bus.id: bus for bus in resolved.site.bus}
    fitting = [bus.id for bus in resolved.site.bus if bus.kind in ON_BUS[profile.interface]]
    modbus = profile.interface == "modbus"
    if device.pin is not None:
        what = f"'pin' is for analogue and pulse inputs, but {profile.name} is on a bus"
        yield source.problem((*key, "pin"), what, "remove it and give bus" + (" and unit" if modbus else ""))
    if modbus and device.unit is None:
        factory = profile.serial.unit if profile.serial else profile.tcp.unit
        hint = f"unit = {factory} (as it leaves the factory)" if factory else "unit = 1..247"
        yield source.problem((*key, "unit"), "'unit' is missing", hint)
    for wrong in [] if modbus else sorted(MODBUS_KEYS & device.model_fields_set):
        what = f"'{wrong}' is for Modbus devices, but {profile.name} talks by itself"
        yield source.problem((*key, wrong), what, "remove it")
    if device.bus is None:
        yield source.problem((*key, "bus"), "'bus' is missing", closest("", fitting, "buses of this site that fit"))
    elif device.bus not in buses:
        yield source.problem(
            (*key, "bus"), f"there is no bus '{device.bus}'", closest(device.bus, buses, "buses of this site")
        )
    elif device.bus not in fitting:
        what = f"bus '{device.bus}' is of kind {buses[device.bus].kind}, but {profile.name} needs "
        what += " or ".join(ON_BUS[profile.interface])
        yield source.problem((*key, "bus"), what, closest("", fitting, "buses of this site that fit"))
    elif modbus:
        resolved.warnings += _wiring(source, key, buses[device.bus], device, profile)


def _wiring(source: Source, key: Key, bus: Bus, device: Device, profile: Profile) -> Iterator[Problem]:
    """What a technician has to set or check before the device answers on that bus."""
    factory = profile.serial
    if bus.kind == "modbus-tcp":
        if profile.tcp is None:
            what = (
                f"a {profile.model} has no network socket: bus '{bus.id}' must lead to a gateway that has it on RS-485"
            )
            yield source.problem(key, what, f"set the gateway's serial side to {_serial(factory)}")
    elif factory is None:
        what = f"a {profile.model} speaks Modbus TCP only, but bus '{bus.id}' is RS-485"
        yield source.problem(key, what, 'a [[bus]] with kind = "modbus-tcp" and its host')
    elif _serial(bus) != _serial(factory):
        what = f"the bus runs at {_serial(bus)}, but a {profile.model} leaves the factory at {_serial(factory)}"
        hint = f"set the device to {_serial(bus)} before it is wired in"
        if (bus.baud, bus.parity) == (factory.baud, factory.parity):
            hint += "; if it cannot be set, stop_bits = 2 on the bus suits devices of either kind"
        yield source.problem(key, what, hint)
    if device.unit and device.unit > 247 and bus.kind == "modbus-rtu":
        what = f"unit {device.unit} is reserved (Modbus over serial line V1.02, 2.2); some devices use it all the same"
        yield source.problem((*key, "unit"), what, "1..247 where the device can be set to it")


def _serial(settings: Serial | RtuBus) -> str:
    return f"{settings.baud} 8{settings.parity}{settings.stop_bits}"
