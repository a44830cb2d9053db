"""From a site file to the bytes that the device loads: everything decided on the host, laid out for the firmware.

The file is one header line, b"satama-site 2 <body length> <CRC-32 of the body, 8 hex digits>\\n", and the body:
compact ASCII JSON of integers, strings, lists and objects, without floats and null. Two builds of the same source give
the same bytes. Lines are broken so that the device can take it in, and look it up, row by row: the first line holds all that is no
list, the last one is "}"; in between each list has a line that ends in its name and "[", and a line for each of its items; a line that
begins with "]" ends it.
"""

import hashlib
import json
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .. import RELEASED, __version__
from ..boards.board import Board
from ..boards.lan import compile_lan
from ..core.problems import Key, Problem, Problems
from ..planning.bus_plan import BusPlan, judge, plan_buses
from ..planning.flash_budget import FlashBudget, fair_percents, flash_budget
from ..planning.pulse_bounds import pulse_bounds
from ..planning.timing import timing
from ..profiles.profile import Profile
from ..resolving.resolve import resolve_site
from ..resolving.resolved import Channel, Resolved, Signal
from ..site_file.derived_numbers import compile_derived
from ..site_file.privacy import reduction
from ..site_file.site import Site
from ..trust.certificates import Credentials
from .buses import compile_buses, compile_heard
from .firmware_modules import modules_of
from .ids import Ids, assign_ids, ids_path, load_ids, save_ids
from .inputs import compile_input
from .mqtt import compile_mqtt, device_certificates, public_digests
from .reads import compile_probes, compile_reads, compile_texts, compile_units, modbus_devices, too_long
from .retired import Retired, meanings, renewed, retention_h, retired_streams, warnings

FORMAT = 2


class Stream(NamedTuple):
    """One row of "streams", in the order of the compiled list."""

    id: int
    name: str
    unit: str
    exponent: int
    kind: str
    klass: int
    period_s: int
    private: int  # 1: wiped from flash when its time is over


@dataclass
class Compiled:
    """`data` for the device, `body` as a dict; `profiles`: device id -> Profile; `plans`: what its Modbus buses have to do; `flash`: its life;
    `refused`: what cannot be done; `warnings` are no mistakes; `retired`: streams that are gone; `credentials`: for TLS."""

    data: bytes
    body: dict[str, Any]
    streams: list[Stream]
    plans: list[BusPlan]
    flash: FlashBudget
    refused: list[Problem]
    warnings: list[Problem]
    board: Board
    site: Site
    profiles: dict[str, Profile]
    retired: list[Retired] = field(default_factory=list)
    credentials: Credentials = field(default_factory=Credentials, repr=False)

    @property
    def certificates(self) -> dict[str, bytes]:
        """Files that the device needs beside the compiled site: path -> DER. One of them may be a private key."""
        return device_certificates(self.credentials)


def compile_site(path: Path | str, write_ids: bool = True, overrides: Mapping[Key, Any] | None = None) -> Compiled:
    """Check and compile a site file; new stream ids are kept beside it unless write_ids is false.

    overrides   what one cabinet of many has of its own, see site.load_site
    Raises Problems: mistakes, or requests that cannot be made in time.
    """
    compiled, ids = _compile(Path(path), overrides)
    if compiled.refused:
        raise Problems(compiled.refused)
    if write_ids:
        save_ids(ids_path(Path(path)), ids)
    return compiled


def plan_site(path: Path | str) -> Compiled:
    """As compile_site, but a site that asks too much is let through, with the reasons in `refused`. Writes nothing."""
    return _compile(Path(path))[0]


def _compile(path: Path, overrides: Mapping[Key, Any] | None = None) -> tuple[Compiled, Ids]:
    resolved = resolve_site(path, overrides)
    mistakes = [
        resolved.source.problem(channel.key, what, "the device's own map or max_registers must be wrong")
        for channel in resolved.channels
        if (what := too_long(channel))
    ]
    if mistakes:
        raise Problems(mistakes)
    wanted = meanings(resolved)
    ids = assign_ids(load_ids(ids_path(path)), wanted)
    streams = sorted(
        Stream(ids.streams[name], name, m.unit, m.exponent, m.kind, m.klass, m.period_s, int(m.retention_h > 0))
        for name, m in wanted.items()
    )
    retired = retired_streams(ids)
    units = compile_units(resolved)
    polls = _polls(resolved, units)
    plans = plan_buses(resolved.site.bus, resolved.board, units, polls)
    refused, tight = [], []
    for verdict in judge(plans, [period_s for period_s, _, _ in polls]):
        problem = resolved.source.problem(("bus", verdict.index), verdict.what, verdict.hint)
        (refused if verdict.refused else tight).append(problem)
    body = _body(resolved, streams, retired, ids, units, polls)
    pulses = pulse_bounds(resolved.board, body, resolved.profiles)
    flash = flash_budget(resolved.board, body, pulses.writes_per_day)
    refused += [resolved.source.problem(("journal",), what, hint) for what, hint in flash.faults()]
    compiled = Compiled(
        pack(body),
        body,
        streams,
        plans,
        flash,
        refused,
        [*resolved.warnings, *tight, *warnings(resolved, ids, retired)],
        resolved.board,
        resolved.site,
        resolved.profiles,
        retired,
        resolved.credentials,
    )
    return compiled, ids


def pack(body: dict[str, Any]) -> bytes:
    """The file for the device."""
    head = [_item(name, value) for name, value in body.items() if not isinstance(value, list)]
    tables = [
        _compact(name) + b":[\n" + b"".join(_compact(row) + b",\n" for row in rows)[:-2] + b"\n" * bool(rows) + b"]"
        for name, rows in body.items()
        if isinstance(rows, list)
    ]
    text = (
        b"{" + b",".join(head) + b"," * bool(head and tables) + b"\n" + b",".join(tables) + b"\n" * bool(tables) + b"}"
    )
    return b"satama-site %d %d %08x\n" % (FORMAT, len(text), crc32(text)) + text


def _item(name: str, value: Any) -> bytes:
    return _compact(name) + b":" + _compact(value)


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _body(
    resolved: Resolved, streams: list[Stream], retired: list[Retired], ids: Ids, units: list[list], polls: list[list]
) -> dict[str, Any]:
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
        "mqtt": compile_mqtt(resolved),
        "buses": compile_buses(resolved),
        "units": units,
        "retention_h": retention_h(resolved, ids),
        "devices": _devices(resolved),
        "streams": [list(stream) for stream in streams],
        "retired": [list(row) for row in retired],
        "renewed": renewed(ids, retired),
        "points": [_point(signal, streams) for signal in resolved.signals],
        "derived": compile_derived(
            site.derived, resolved.known, {signal.name: at for at, signal in enumerate(resolved.signals)}
        ),
        "polls": polls,
        "texts": compile_texts(resolved),
        "probes": compile_probes(resolved),
    }
    if resolved.board.start:
        body["start"] = [[start.gpio, start.level] for start in resolved.board.start.values()]
    body["journal"] = site.journal.compiled(*fair_percents(body))
    body["modules"] = modules_of(body)
    body["config"] = _config(body, public_digests(resolved))
    return body


def _config(body: dict[str, Any], certificates: dict[str, str]) -> str:
    """What the device does, as 16 hex digits. It is published, so no password or private key enters: nobody can try them on it."""
    public = {key: value for key, value in body.items() if key not in ("config", "built", "version", "modules")}
    for part in ("network", "mqtt"):
        public[part] = {key: value for key, value in body[part].items() if key != "password"}
    if certificates:
        public["certificates"] = certificates
    return hashlib.sha256(_compact(public)).hexdigest()[:16]


def _network(resolved: Resolved) -> dict[str, Any]:
    network = resolved.site.network
    if network.kind == "lan":
        how = compile_lan(resolved.board.lan)
    else:
        how = {"ssid": network.ssid, "password": network.password.get_secret_value()}
    return {"kind": network.kind, **how, "ntp": network.ntp}


def _devices(resolved: Resolved) -> list[list]:
    """[id, profile, pseudonymous] of whatever has a birth of its own."""
    rows = [(device.id, resolved.profiles[device.id].name) for device in resolved.site.device]
    rows += [(step.id, f"derived {step.kind}") for step in resolved.site.derived]
    return [[name, profile, int(name in resolved.pseudonymous)] for name, profile in rows]


def _point(signal: Signal, streams: list[Stream]) -> list:
    """[name, exponent, chain, [[output, stream], ...]], and a dict of options where it has some."""
    index = {stream.name: at for at, stream in enumerate(streams)}
    outputs = [[output, index[signal.stream(output).name]] for output in signal.outputs]
    options: dict[str, Any] = {}
    if any(output.startswith("p") for output in signal.outputs):
        options["most"] = signal.most_readings
    if signal.report and signal.outputs:
        options["report"] = signal.report
    if signal.privacy and isinstance(signal, Channel):
        options["private"] = list(reduction(signal.privacy, signal.point.kind, signal.period_s))
    return [signal.name, signal.point.exponent, signal.chain(), outputs, *([options] if options else [])]


def _polls(resolved: Resolved, units: list[list]) -> list[list]:
    """[[period_s, [read, ...], [input, ...]], ...] by period; reads in the order of the devices, then by address."""
    site, costs = resolved.site, resolved.board.costs
    rows = {device.id: row for row, device in enumerate(modbus_devices(resolved))}
    buses = {bus.id: bus for bus in site.bus}
    polls = []
    for period_s in sorted({channel.read_s for channel in resolved.channels}):
        members = [(at, c) for at, c in enumerate(resolved.channels) if c.read_s == period_s]
        reads, inputs = [], []
        for device in site.device:
            mine = [(at, channel) for at, channel in members if channel.device is device]
            if device.id in rows:
                row = rows[device.id]
                reads += compile_reads(row, units[row], timing(buses[device.bus], costs), mine)
            elif device.bus is not None:
                inputs += [compile_heard(resolved, at, channel) for at, channel in mine]
            else:
                inputs += [compile_input(resolved, at, channel) for at, channel in mine]
        polls.append([period_s, reads, inputs])
    return polls
