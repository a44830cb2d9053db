"""Does the site make sense? Board, profiles, pins, units and points are looked up; every mistake is collected."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from .board import Board, list_boards, load_board
from .problems import Key, Problem, Problems, Source, Wrong, closest
from .profile import Calibration, Point, Profile, list_profiles, load_profile, profile_path
from .site import DAY_S, Device, PointOptions, Site, load_site

LARGEST = (1 << 63) - 1  # of a mantissa
IRQ_SAFE_HZ = 80  # MicroPython queues eight pin interrupts; a garbage collection may hold them up for 100 ms


@dataclass(frozen=True)
class Channel:
    """One point of one device, as this site uses it."""

    device: Device
    profile: Profile
    point: Point
    options: PointOptions
    key: Key  # where the site file speaks of it

    @property
    def name(self) -> str:
        return f"{self.device.id}/{self.point.name}"

    @property
    def period_s(self) -> int:
        return self.options.period_s or self.device.period_s

    @property
    def outputs(self) -> list[str]:
        return list(self.options.window.outputs) if self.options.window else ["each"]

    @property
    def calibration(self) -> Calibration | None:
        return self.options.calibration or self.point.calibration

    @property
    def per_pulse(self) -> Fraction | None:
        return self.options.per_pulse or self.point.per_pulse

    def stream(self, output: str) -> tuple[str, str, int, int]:
        """(name, kind, class, period in seconds) of the stream that carries this output."""
        klass = self.point.klass
        if output == "each":
            return self.name, self.point.kind, klass, self.period_s
        kind = self.point.kind if output == "last" else "gauge"
        return f"{self.name}/{output}", kind, klass, self.options.window.period_s


@dataclass
class Resolved:
    """A site whose every name leads somewhere. `gpios`: device id -> GPIO of its input."""

    site: Site
    source: Source
    board: Board
    profiles: dict[str, Profile] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)
    gpios: dict[str, int] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)


def resolve_site(path: Path | str) -> Resolved:
    """Read a site file and all that it names. Raises Problems with every mistake found."""
    site, source = load_site(path)
    board = _find_board(site, source)
    resolved = Resolved(site, source, board)
    problems = [*_network(resolved), *_buses(resolved)]
    problems += _devices(resolved)
    problems += _inputs(resolved)
    if problems:
        raise Problems(problems)
    return resolved


def _find_board(site: Site, source: Source) -> Board:
    name = site.site.board
    if "/" not in name and not name.endswith(".toml") and name not in list_boards():
        raise Problems(
            [source.problem(("site", "board"), f"there is no board '{name}'", closest(name, list_boards(), "boards"))]
        )
    return load_board(name, source.path.parent)


def _network(resolved: Resolved) -> Iterator[Problem]:
    site, source = resolved.site, resolved.source
    if site.network.kind == "wifi" and site.network.ssid is None:
        yield source.problem(("network", "ssid"), "'ssid' is missing", 'ssid = "name of the Wi-Fi network"')
    if site.network.kind == "lan":
        for key in {"ssid", "password"} & site.network.model_fields_set:
            yield source.problem(("network", key), f"'{key}' belongs to Wi-Fi", 'remove it, or write kind = "wifi"')
        if resolved.board.lan is None:
            what = f'kind = "lan", but the board {resolved.board.name} has no Ethernet'
            yield source.problem(("network", "kind"), what, 'kind = "wifi", or a board file with a [lan] block')
    if not site.mqtt.insecure:
        hint = (
            "insecure = true, if everybody on the way may read and change the data; this version speaks plain TCP only"
        )
        yield source.problem(
            ("mqtt", "insecure"), "the connection to the broker would be plain TCP, without encryption", hint
        )
    if site.mqtt.password.get_secret_value() and not site.mqtt.user:
        yield source.problem(
            ("mqtt", "password"), "a password needs a user name (MQTT 3.1.1 section 3.1.2.9)", 'user = ".."'
        )


def _buses(resolved: Resolved) -> Iterator[Problem]:
    site, source, ports = resolved.site, resolved.source, resolved.board.ports
    ids: dict[str, int] = {}
    used: dict[str, str] = {}
    for index, bus in enumerate(site.bus):
        if bus.id in ids:
            yield _again(source, "bus", "id", index, ids[bus.id], bus.id)
        ids.setdefault(bus.id, index)
        if bus.port not in ports:
            what = f"the board {resolved.board.name} has no port '{bus.port}'"
            yield source.problem(("bus", index, "port"), what, closest(bus.port, ports, "ports"))
        elif bus.port in used:
            yield source.problem(("bus", index, "port"), f"port '{bus.port}' is already that of bus '{used[bus.port]}'")
        used.setdefault(bus.port, bus.id)
        if not any(device.bus == bus.id for device in site.device):
            resolved.warnings.append(source.problem(("bus", index), "no device is on this bus"))


def _devices(resolved: Resolved) -> Iterator[Problem]:
    source = resolved.source
    ids: dict[str, int] = {}
    units: dict[tuple[str, int], int] = {}
    broken: set[Path] = set()
    for index, device in enumerate(resolved.site.device):
        key: Key = ("device", index)
        if device.id in ids:
            yield _again(source, "device", "id", index, ids[device.id], device.id)
        ids.setdefault(device.id, index)
        try:
            profile = _find_profile(device, source)
        except Problems as error:
            path = profile_path(device.profile, source.path.parent)
            if path not in broken:
                yield from error.problems or [source.problem((*key, "profile"), *_no_profile(device, path))]
            if error.problems:
                broken.add(path)
            continue
        resolved.profiles[device.id] = profile
        if profile.interface == "modbus":
            yield from _on_bus(resolved, index, device, profile)
            if device.bus is not None and device.unit is not None:
                first = units.setdefault((device.bus, device.unit), index)
                if first != index:
                    owner = resolved.site.device[first].id
                    what = f"unit {device.unit} on bus '{device.bus}' is already that of device '{owner}'"
                    where = f"line {source.line(('device', first, 'unit'))}"
                    yield source.problem((*key, "unit"), what, f"every device on a bus needs its own unit ({where})")
        else:
            for wrong in sorted({"bus", "unit", "max_registers", "gap_ms", "timeout_ms"} & device.model_fields_set):
                what = f"'{wrong}' is for devices on a bus, but {profile.name} is read by one input of the board"
                yield source.problem((*key, wrong), what, 'remove it and give pin = ".."')
        yield from _channels(resolved, index, device, profile)


def _find_profile(device: Device, source: Source) -> Profile:
    """Raises Problems: empty if there is no such profile, else with the mistakes in it."""
    if not profile_path(device.profile, source.path.parent).is_file():
        raise Problems([])
    return load_profile(device.profile, source.path.parent)


def _no_profile(device: Device, path: Path) -> tuple[str, str]:
    if "/" in device.profile or device.profile.endswith(".toml"):
        return f"there is no profile {path}", "the path is relative to this file"
    return f"there is no profile '{device.profile}'", closest(device.profile, list_profiles(), "profiles")


def _on_bus(resolved: Resolved, index: int, device: Device, profile: Profile) -> Iterator[Problem]:
    source, key = resolved.source, ("device", index)
    buses = {bus.id: bus for bus in resolved.site.bus}
    if device.pin is not None:
        what = f"'pin' is for analogue and pulse inputs, but {profile.name} is read over Modbus"
        yield source.problem((*key, "pin"), what, "remove it and give bus and unit")
    if device.unit is None:
        factory = f"unit = {profile.serial.unit} (as it leaves the factory)" if profile.serial.unit else "unit = 1..247"
        yield source.problem((*key, "unit"), "'unit' is missing", factory)
    if device.bus is None:
        yield source.problem((*key, "bus"), "'bus' is missing", closest("", buses, "buses of this site"))
    elif device.bus not in buses:
        yield source.problem(
            (*key, "bus"), f"there is no bus '{device.bus}'", closest(device.bus, buses, "buses of this site")
        )
    else:
        bus, factory = buses[device.bus], profile.serial
        here = f"{bus.baud} 8{bus.parity}{bus.stop_bits}"
        there = f"{factory.baud} 8{factory.parity}{factory.stop_bits}"
        if here != there:
            what = f"the bus runs at {here}, but a {profile.model} leaves the factory at {there}"
            resolved.warnings.append(source.problem(key, what, f"set the device to {here} before it is wired in"))


def _channels(resolved: Resolved, index: int, device: Device, profile: Profile) -> Iterator[Problem]:
    source, key = resolved.source, ("device", index)
    known = [point.name for point in profile.points]
    wanted: dict[str, Key] = {}
    for at, name in enumerate(known if device.points is None else device.points):
        if name in wanted:
            yield source.problem((*key, "points", at), f"point '{name}' stands twice in the list", "once is enough")
        wanted.setdefault(name, key if device.points is None else (*key, "points", at))
    wanted |= {name: (*key, "point", name) for name in device.point}
    if not wanted:
        yield source.problem((*key, "points"), "no point is read from this device", closest("", known, "points"))
    for name, where in wanted.items():
        point = profile.point(name)
        if point is None:
            yield source.problem(
                where, f"the profile {profile.name} has no point '{name}'", closest(name, known, "points")
            )
            continue
        channel = Channel(device, profile, point, device.point.get(name, PointOptions()), where)
        for part, what, hint in _options(channel, resolved.board):
            yield source.problem((*key, "point", name, *part), what, hint)
        resolved.channels.append(channel)


def _options(channel: Channel, board: Board) -> Iterator[tuple[Key, str, str]]:
    """What is wrong with the options of one point: (where in it, what, hint)."""
    point, options, interface = channel.point, channel.options, channel.profile.interface
    for name, owner in (("calibration", "analog"), ("per_pulse", "pulse")):
        if name in options.model_fields_set and interface != owner:
            yield (name,), f"'{name}' is for {owner} inputs, but {channel.profile.name} is {interface}", "remove it"
    for _, value in options.calibration or ():
        if value != round(value, -point.exponent):
            yield ("calibration",), f"{value} has more digits than are published", f"round it to 1e{point.exponent}"
    for at, step in enumerate(options.filters):
        if step.kind == "range":
            if step.low >= step.high:
                yield ("filters", at), f"low = {step.low} is not below high = {step.high}", "low < high"
            for name, value in (("low", step.low), ("high", step.high)):
                if abs(value.scaleb(-point.exponent)) > LARGEST:
                    yield ("filters", at, name), f"{name} = {value} {point.unit} is more than a value can hold", ""
    window = options.window
    if not window:
        return
    if window.period_s % channel.period_s:
        fits = [m for m in range(channel.period_s, DAY_S + 1, channel.period_s) if DAY_S % m == 0]
        nearest = ", ".join(map(str, sorted(sorted(fits, key=lambda m: abs(m - window.period_s))[:3])))
        what = f"a window of {window.period_s} s is no multiple of the point's period of {channel.period_s} s"
        yield ("window", "period_s"), what, f"e.g. {nearest}"
    allowed = {"gauge": ("mean", "min", "max", "last"), "counter": ("last", "delta"), "state": ("min", "max", "last")}[
        point.kind
    ]
    for at, output in enumerate(window.outputs):
        if output not in allowed:
            what = f"'{output}' of a {point.kind} says nothing"
            yield ("window", "outputs", at), what, f"for a {point.kind}: {', '.join(allowed)}"
        if output in window.outputs[:at]:
            yield ("window", "outputs", at), f"'{output}' stands twice", "once is enough"


def _inputs(resolved: Resolved) -> Iterator[Problem]:
    """Analogue and pulse inputs: every device has a pin that can do it, and no pin serves two."""
    source, board = resolved.source, resolved.board
    taken: dict[int, str] = {}
    for bus in resolved.site.bus:
        port = board.ports.get(bus.port)
        for gpio in (port.tx, port.rx, port.de) if port else ():
            taken[gpio] = f"bus '{bus.id}'"
    if resolved.site.network.kind == "lan" and board.lan:
        taken |= dict.fromkeys(board.lan.pins, "the network")
    for index, device in enumerate(resolved.site.device):
        profile = resolved.profiles.get(device.id)
        if profile is None or profile.interface == "modbus":
            continue
        key: Key = ("device", index, "pin")
        try:
            gpio = board.find_input(profile.interface, device.pin)
        except Wrong as wrong:
            yield source.problem(key, wrong.what, wrong.hint)
            continue
        if gpio in taken:
            yield source.problem(key, f"GPIO {gpio} is already used by {taken[gpio]}", "another pin")
        taken.setdefault(gpio, f"device '{device.id}'")
        resolved.gpios[device.id] = gpio
        resolved.warnings += _input_warnings(resolved, index, device, profile)


def _input_warnings(resolved: Resolved, index: int, device: Device, profile: Profile) -> Iterator[Problem]:
    source, board = resolved.source, resolved.board
    if profile.pulse and profile.pulse.max_hz > IRQ_SAFE_HZ and not board.counter:
        what = f"up to {profile.pulse.max_hz} pulses a second, but the board {board.name} has no hardware counter"
        yield source.problem(("device", index), what, f"pulses may be lost above about {IRQ_SAFE_HZ} a second")
    channel = next((c for c in resolved.channels if c.device is device), None)
    if profile.analog and profile.analog.attenuation_db == 11 and channel and channel.calibration:
        low, high = board.gpio.adc_linear_uv
        for uv, _ in channel.calibration:
            if not low <= uv <= high:
                what = f"a calibration point at {Decimal(uv) / 1000} mV lies where this board's ADC is not straight"
                hint = f"{low // 1000} to {high // 1000} mV are; use a divider or calibrate within"
                yield source.problem(("device", index), what, hint)


def _again(source: Source, block: str, name: str, index: int, first: int, value: str) -> Problem:
    where = source.line((block, first, name))
    return source.problem(
        (block, index, name), f"the {name} '{value}' is already taken (line {where})", "names must be unique"
    )
