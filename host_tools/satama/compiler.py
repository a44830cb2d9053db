"""From a site file to the bytes that the device loads: everything decided on the host, laid out for the firmware.

The file is one header line, b"satama-site 1 <body length> <CRC-32 of the body, 8 hex digits>\\n", and the body:
compact ASCII JSON of integers, strings, lists and objects, without floats and null. Two builds of the same source give
the same bytes.
"""

import hashlib
import json
import math
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from . import RELEASED, __version__
from .board import Board
from .bus_load import BusLoad, bus_load
from .compile_inputs import compile_input
from .compile_reads import compile_reads
from .ids import assign_ids, ids_path, load_ids, save_ids
from .problems import Problem, Problems
from .profile import Profile
from .resolve import LARGEST, Channel, Resolved, resolve_site
from .site import Bus, Site

FORMAT = 1
FULL, HEAVY = Fraction(1), Fraction(8, 10)  # bus load


class Stream(NamedTuple):
    """One row of "streams", in the order of the compiled list."""

    id: int
    name: str
    unit: str
    exponent: int
    kind: str
    klass: int
    period_s: int


@dataclass
class Compiled:
    """`data` for the device, `body` as a dict; `profiles`: device id -> Profile; `warnings` are no mistakes."""

    data: bytes
    body: dict[str, Any]
    streams: list[Stream]
    loads: list[BusLoad]
    warnings: list[Problem]
    board: Board
    site: Site
    profiles: dict[str, Profile]


def compile_site(path: Path | str, write_ids: bool = True) -> Compiled:
    """Check and compile a site file; new stream ids are kept beside it unless write_ids is false. Raises Problems."""
    path = Path(path)
    resolved = resolve_site(path)
    known = load_ids(ids_path(path))
    ids = assign_ids(known, [channel.stream(output)[0] for channel in resolved.channels for output in channel.outputs])
    streams = sorted(
        Stream(ids[name], name, channel.point.unit, channel.point.exponent, kind, klass, period_s)
        for channel in resolved.channels
        for name, kind, klass, period_s in map(channel.stream, channel.outputs)
    )
    polls = _polls(resolved)
    loads = [bus_load(bus, index, polls) for index, bus in enumerate(resolved.site.bus)]
    problems = list(_bus_problems(resolved, loads, polls))
    if problems:
        raise Problems(problems)
    body = _body(resolved, streams, polls)
    if write_ids:
        save_ids(ids_path(path), ids)
    return Compiled(
        pack(body), body, streams, loads, resolved.warnings, resolved.board, resolved.site, resolved.profiles
    )


def pack(body: dict[str, Any]) -> bytes:
    """The file for the device."""
    text = _compact(body)
    return b"satama-site %d %d %08x\n" % (FORMAT, len(text), crc32(text)) + text


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _body(resolved: Resolved, streams: list[Stream], polls: list[list]) -> dict[str, Any]:
    site, head = resolved.site, resolved.site.site
    body = {
        "site": head.name,
        "gateway": head.gateway,
        "board": resolved.board.name,
        "root": site.mqtt.root,
        "config": "",
        "built": RELEASED,
        "version": __version__,
        "network": _network(resolved),
        "mqtt": {
            "host": site.mqtt.host,
            "port": site.mqtt.port,
            "keepalive_s": site.mqtt.keepalive_s,
            "user": site.mqtt.user,
            "password": site.mqtt.password.get_secret_value(),
            "tls": 0,
            "batch_age_s": site.mqtt.batch_age_s,
            "batch_bytes": site.mqtt.batch_bytes,
        },
        "buses": [_bus(bus, resolved.board) for bus in site.bus],
        "devices": [[device.id, resolved.profiles[device.id].name] for device in site.device],
        "streams": [list(stream) for stream in streams],
        "points": [_point(channel, streams) for channel in resolved.channels],
        "polls": polls,
    }
    body["config"] = _config(body)
    return body


def _config(body: dict[str, Any]) -> str:
    """What the device does, as 16 hex digits. It is published, so passwords do not enter: nobody can try them on it."""
    public = {key: value for key, value in body.items() if key not in ("config", "built", "version")}
    for part in ("network", "mqtt"):
        public[part] = {key: value for key, value in body[part].items() if key != "password"}
    return hashlib.sha256(_compact(public)).hexdigest()[:16]


def _network(resolved: Resolved) -> dict[str, Any]:
    network, lan = resolved.site.network, resolved.board.lan
    if network.kind == "lan":
        how = {"phy": lan.phy, "mdc": lan.mdc, "mdio": lan.mdio, "phy_addr": lan.phy_addr}
    else:
        how = {"ssid": network.ssid, "password": network.password.get_secret_value()}
    return {"kind": network.kind, **how, "ntp": network.ntp}


def _bus(bus: Bus, board: Board) -> dict[str, Any]:
    port = board.ports[bus.port]
    return {
        "id": bus.id,
        "kind": bus.kind,
        "uart": port.uart,
        "tx": port.tx,
        "rx": port.rx,
        "de": -1 if port.de is None else port.de,
        "baud": bus.baud,
        "parity": bus.parity,
        "stop_bits": bus.stop_bits,
    }


def _point(channel: Channel, streams: list[Stream]) -> list:
    index = {stream.name: at for at, stream in enumerate(streams)}
    exponent, filters = channel.point.exponent, []
    if channel.point.range:
        filters.append(["range", *_mantissas(*channel.point.range, exponent)])
    for step in channel.options.filters:
        if step.kind == "range":
            filters.append(["range", *_mantissas(step.low, step.high, exponent)])
        else:
            filters.append(["median", step.size])
    outputs = [[output, index[channel.stream(output)[0]]] for output in channel.outputs]
    return [channel.name, exponent, filters, outputs]


def _mantissas(low: Decimal, high: Decimal, exponent: int) -> tuple[int, int]:
    """The mantissas that lie within low..high, exactly: low <= mantissa * 10**exponent <= high."""
    unit = Fraction(10) ** exponent
    return max(math.ceil(Fraction(low) / unit), -LARGEST), min(math.floor(Fraction(high) / unit), LARGEST)


def _polls(resolved: Resolved) -> list[list]:
    """[[period_s, [read, ...], [input, ...]], ...] by period; reads in the order of the devices, then by address."""
    polls = []
    for period_s in sorted({channel.period_s for channel in resolved.channels}):
        members = [(at, c) for at, c in enumerate(resolved.channels) if c.period_s == period_s]
        reads, inputs = [], []
        for device in resolved.site.device:
            mine = [(at, channel) for at, channel in members if channel.device is device]
            if resolved.profiles[device.id].interface == "modbus":
                for function in (1, 2, 3, 4):
                    reads += compile_reads(resolved, [(at, c) for at, c in mine if c.point.function == function])
            else:
                inputs += [compile_input(resolved, at, channel) for at, channel in mine]
        polls.append([period_s, reads, inputs])
    return polls


def _bus_problems(resolved: Resolved, loads: list[BusLoad], polls: list[list]) -> Iterator[Problem]:
    """Buses that cannot do what is asked of them are refused; those that hardly can are warned of."""
    hint = "longer periods, a higher baud rate, fewer points, or a second bus"
    for index, load in enumerate(loads):
        key = ("bus", index)
        what = f"the requests take {round(load.busy * 100)} % of the time, even if every device answers at once"
        if load.busy >= FULL:
            yield resolved.source.problem(key, what, hint)
            continue
        if load.busy >= HEAVY:
            resolved.warnings.append(resolved.source.problem(key, what, hint))
        periods = [period_s for period_s, reads, _ in polls if any(read[0] == index for read in reads)]
        if periods and load.longest_slot_ms > 1000 * min(periods):
            what = f"when all points are due at once, the requests take {round(load.longest_slot_ms)} ms"
            why = f"{what}, longer than the shortest period of {min(periods)} s"
            resolved.warnings.append(resolved.source.problem(key, why, hint))
