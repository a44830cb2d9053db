"""Does the site make sense? Board, profiles, pins, units and points are looked up; every mistake is collected."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..boards.board import Board, list_boards, load_board
from ..core.problems import Key, Problem, Problems, Source, again, closest
from ..core.scale import Scale
from ..profiles.library import list_profiles, load_profile, profile_path
from ..profiles.profile import Point, Profile
from ..site_file.points import PointOptions
from ..site_file.site import Device, Site, load_site
from .buses import MODBUS_KEYS, ON_BUS, check_buses, check_on_bus
from .derived import check_derived
from .filter_rules import check_filters
from .inputs import check_inputs
from .mqtt import check_mqtt
from .privacy_rules import check_privacy
from .resolved import Channel, Resolved
from .window_rules import check_report, check_window


def resolve_site(path: Path | str, overrides: Mapping[Key, Any] | None = None) -> Resolved:
    """Read a site file and all that it names. Raises Problems with every mistake found."""
    site, source = load_site(path, overrides)
    board = _find_board(site, source)
    resolved = Resolved(site, source, board)
    problems = [*_network(resolved), *check_mqtt(resolved), *check_buses(resolved)]
    problems += _devices(resolved)
    problems += check_inputs(resolved)
    problems += check_derived(resolved) if not problems else []
    problems += check_privacy(resolved)
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


def _devices(resolved: Resolved) -> Iterator[Problem]:
    source = resolved.source
    ids: dict[str, int] = {}
    units: dict[tuple[str, int], int] = {}
    broken: set[Path] = set()
    for index, device in enumerate(resolved.site.device):
        key: Key = ("device", index)
        if device.id in ids:
            yield again(source, "device", "id", index, ids[device.id], device.id)
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
        if profile not in resolved.profiles.values():
            resolved.warnings += _doubts(source, key, profile)
        resolved.profiles[device.id] = profile
        if profile.interface in ON_BUS:
            yield from check_on_bus(resolved, index, device, profile)
            if device.bus is not None and device.unit is not None:
                first = units.setdefault((device.bus, device.unit), index)
                if first != index:
                    owner = resolved.site.device[first].id
                    what = f"unit {device.unit} on bus '{device.bus}' is already that of device '{owner}'"
                    where = f"line {source.line(('device', first, 'unit'))}"
                    yield source.problem((*key, "unit"), what, f"every device on a bus needs its own unit ({where})")
        else:
            for wrong in sorted({"bus", *MODBUS_KEYS} & device.model_fields_set):
                what = f"'{wrong}' is for devices on a bus, but {profile.name} is read by one input of the board"
                yield source.problem((*key, wrong), what, 'remove it and give pin = ".."')
        yield from _channels(resolved, index, device, profile)


def _doubts(source: Source, key: Key, profile: Profile) -> Iterator[Problem]:
    doubts = len(list(profile.doubts()))
    if doubts:
        what = f"{doubts} of the facts in its profile {profile.name} are not certain"
        yield source.problem(key, what, f"`satama profiles show {profile.name}` tells what to compare with its display")


def _find_profile(device: Device, source: Source) -> Profile:
    """Raises Problems: empty if there is no such profile, else with the mistakes in it."""
    if not profile_path(device.profile, source.path.parent).is_file():
        raise Problems([])
    return load_profile(device.profile, source.path.parent)


def _no_profile(device: Device, path: Path) -> tuple[str, str]:
    if "/" in device.profile or device.profile.endswith(".toml"):
        return f"there is no profile {path}", "the path is relative to this file"
    return f"there is no profile '{device.profile}'", closest(device.profile, list_profiles(), "profiles")


def _channels(resolved: Resolved, index: int, device: Device, profile: Profile) -> Iterator[Problem]:
    source, key = resolved.source, ("device", index)
    known = [point.name for point in profile.points if _streamed(point)]
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
        if not _streamed(point):
            what = f"'{name}' is no value to be read in rounds: it " + (
                "identifies the device" if point.kind == "text" else "can only be written"
            )
            yield source.problem(where, what, "remove it")
            continue
        options = device.point.get(name, PointOptions())
        privacy = resolved.site.privacy.get(options.privacy or device.privacy or "")
        read_s = options.period_s or device.period_s
        channel = Channel(f"{device.id}/{name}", point, options, where, read_s, privacy, device, profile)
        for part, what, hint in _options(channel, resolved.board):
            yield source.problem((*key, "point", name, *part), what, hint)
        resolved.channels.append(channel)


def _scaling(channel: Channel) -> Iterator[tuple[Key, str, str]]:
    """An analogue input needs one way from volts to its value: a calibration, or a current loop's span."""
    analog, options = channel.profile.analog, channel.options
    if analog is None:
        return
    if analog.loop_ohm is None and options.span:
        yield ("span",), "'span' is for instruments on a 4-20 mA loop", "give a calibration instead"
    if analog.loop_ohm is not None and not (options.span or channel.calibration):
        what = "'span' is missing: which values do 4 mA and 20 mA stand for?"
        yield ("span",), what, "span = [lowest, highest], as on the instrument's label, e.g. span = [0, 5]"
    if analog.loop_ohm is None and not channel.calibration:
        what = "'calibration' is missing: the profile has none that fits all sensors"
        yield ("calibration",), what, "calibration = [[2540000, 0], [1270000, 100]], microvolts and values"


def _streamed(point: Point) -> bool:
    """Text that identifies a device, and what can only be written, make no stream."""
    return point.kind != "text" and point.readable


def _options(channel: Channel, board: Board) -> Iterator[tuple[Key, str, str]]:
    """What is wrong with the options of one point: (where in it, what, hint)."""
    point, options, interface = channel.point, channel.options, channel.profile.interface
    scale = Scale(point.exponent, point.unit)
    for name, owner in (("calibration", "analog"), ("span", "analog"), ("per_pulse", "pulse")):
        if name in options.model_fields_set and interface != owner:
            yield (name,), f"'{name}' is for {owner} inputs, but {channel.profile.name} is {interface}", "remove it"
    for name, value in (("span", value) for value in options.span or ()):
        if scale.steps(value).denominator != 1:
            yield (name,), f"{value} has more digits than are published", f"round it to 1e{point.exponent}"
    for _, value in options.calibration or ():
        if scale.steps(value).denominator != 1:
            yield ("calibration",), f"{value} has more digits than are published", f"round it to 1e{point.exponent}"
    yield from _scaling(channel)
    yield from check_filters(channel)
    yield from check_window(channel)
    yield from check_report(channel)
