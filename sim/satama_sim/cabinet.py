"""A cabinet on the desk: its site file compiled, its board booted on the real MicroPython VM, its devices alive. The simulator's public face.

with Cabinet("site.toml", seed=7) as cabinet:
    cabinet.run("10m")
    assert cabinet.broker.stream("main-meter/voltage_l1").last.value > 200
    cabinet.pull_cable("network")
    cabinet.run("1h")
    cabinet.plug_in("network")
    cabinet.run("5m")
    assert cabinet.ledger()["queued"] == 0
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from satama.boards.board import Board
from satama.collecting.collector import Collector
from satama.compiling.compiler import Compiled, compile_site
from satama.core.places import FIRMWARE
from satama.packing.image import device_files, filesystem
from satama.planning.pulse_bounds import counters

from .authority import Issued
from .board.board import SimBoard, SimError, Traits
from .board.flash import NorFlash
from .board.flash_file import FlashFile
from .board.radio import Radio
from .broker.core import Broker, Message
from .bus.rs485 import Rs485Bus
from .chip.kinds import KINDS
from .module import Module
from .network.far_end import MQTTS, FrozenRelay, LiveRelay, SimulatedBroker, require_reachable
from .network.faults import NetworkFaults
from .network.net import Accept, NameServer, Network, TimeServer
from .network.tls_end import TlsEnd, authority_der, simulated_server
from .ports import PtyPort, SerialBus
from .timeline import RealClock, Timeline, VirtualClock
from .vm import umqtt
from .vm.path import VmMissing, find_vm
from .wiring import Wiring
from .world import build_world

SECOND = 1_000_000
# Far more than a board has (the VM's words are twice as long as the chip's, and the board's modules live there too): with 768 KiB a
# third of the VM's computing is collecting garbage. How little will do, tests/gateway/test_memory.py asks.
HEAP_BYTES = 4 << 20
START_UNIX_S = 1_796_119_200  # 2026-12-01 10:00 UTC
_UNITS = {"ms": 1_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}
_CONSOLE_PATIENCE_US = 10 * SECOND


def microseconds(duration: str | int | float) -> int:
    """ "90s", "10m", "24h", "500ms", "7d", or a number of seconds. Raises ValueError."""
    if isinstance(duration, int | float):
        return round(duration * SECOND)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*", duration)
    if not match:
        raise ValueError(f"{duration!r} is no duration -> a number and ms, s, m, h or d, such as 20s, 90m or 24h")
    return round(float(match[1]) * _UNITS[match[2]])


@lru_cache(maxsize=8)
def vm_version(command: tuple[str, ...]) -> str:
    """What the VM says it is, with the width of its words. Raises VmMissing."""
    code = "import sys; print(sys.version.split('; ')[-1].split(' on ')[0], '64-bit' if sys.maxsize > 1 << 40 else '32-bit')"
    try:
        done = subprocess.run([*command, "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VmMissing(f"{command[0]} does not start: {error} -> give --vm a MicroPython unix executable") from None
    if done.returncode or "MicroPython" not in done.stdout:
        raise VmMissing(
            f"{command[0]} is no MicroPython: {done.stderr.strip()[:200]} -> give --vm a MicroPython unix executable"
        )
    return done.stdout.strip()


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """VM and host take turns, so they share one core: no wake-ups across cores (17 instead of 92 microseconds a call).

    Which one: by SATAMA_SIM_SEAT, for processes that run side by side and were given numbers, or by the number of the process.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    cores = sorted(allowed)
    seat = int(os.environ.get("SATAMA_SIM_SEAT", os.getpid()))
    os.sched_setaffinity(0, {cores[seat % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def _without_gc() -> Iterator[None]:
    """The host makes no reference cycles while it runs: looking for them would only cost time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Cabinet:
    """One simulated cabinet. Not to be shared between threads; close it, or use it in a `with` block."""

    def __init__(
        self,
        site: str | os.PathLike[str],
        *,
        seed: int = 1,
        vm: str | os.PathLike[str] | None = None,
        clock: str = "virtual",
        broker: str | None = None,
        serial_buses: Mapping[str, str] | None = None,
        start_unix_s: int | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        keep: bool = True,
        firmware: Path | None = None,
        heap_bytes: int = HEAP_BYTES,
        age: str | int = 0,
        journal_bytes: int | None = None,
        tls_server: Issued | None = None,
        round_trip_ms: int = 20,
        files: Mapping[str, bytes] | None = None,
        flash: bytes | os.PathLike[str] | None = None,
    ):
        """
        site          the site file; its ids file beside it is read but not written
        seed          the same seed gives the same run, to the byte
        vm            a MicroPython executable; default: the pip package's
        clock         "virtual" (as fast as it goes) or "real"
        broker        host:port of a real broker; default: the simulated one. TLS ends in the simulator, whose own CA stands in the
                      place of the site's; with mqtts://host:port (real clock only) it goes through to the broker, and the
                      site's own certificates count
        tls_server    certificate of the simulated broker, for which the site's own CA counts
        serial_buses  bus id -> serial port (or, of a modbus-tcp bus, host:port) of a real bus to poll instead of the
                      simulated one (real clock only)
        start_unix_s  what time it is in the world at the start (under the real clock: now, unless given)
        overrides     options of the world's models by device id, such as {"heat": {"initial": {"energy": 5_000_000_000}}}
        keep          remember every sample that arrives (False: only counts and the last ones)
        journal_bytes  size of the journal partition, to try a full one (default: the board's)
        round_trip_ms  to everything behind the uplink, and back
        files         more files for the device's filesystem, by path
        flash         what the chip's flash holds, from address 0 on, b"" for a blank chip; or a file that holds it, made if need
                      be, and written when the cabinet is closed. The board boots from it, by way of ROM, boot loader and
                      partition table (`module.chip` is the chip); site, firmware and certificates on it are what somebody has
                      flashed. Default: the simulator has flashed it, and nothing of a boot loader is there
        age           how long the chip claims to have been running at power on (ticks wrap after 12.4 days)

        Raises satama.core.problems.Problems (the site file), VmMissing, UmqttMissing.
        """
        self.compiled: Compiled = compile_site(Path(site), write_ids=False)
        self.command = find_vm(vm)
        self.vm = vm_version(tuple(self.command))
        self.seed = seed
        self.timeline = Timeline()
        self.clock: VirtualClock | RealClock = RealClock() if clock == "real" else VirtualClock()
        if start_unix_s is None:
            start_unix_s = int(time.time()) if clock == "real" else START_UNIX_S
        self.start_unix_s = start_unix_s
        self.console_output = bytearray()
        self._requests = 0
        self._relays: list[LiveRelay | FrozenRelay] = []  # to a real broker
        body = self.compiled.body
        board = self.compiled.board
        self._overrides = dict(overrides or {})
        self.world = build_world(self.compiled, seed, start_unix_s, overrides)
        self._flash_file = FlashFile(flash, board.flash_bytes)
        self.flash = NorFlash(board.flash_bytes, self._flash_file.read())
        self._firmware, self._files = firmware, files or {}
        secure = body["mqtt"]["tls"]
        through = broker is not None and broker.startswith(MQTTS)
        if through and clock != "real":
            raise ValueError(f"{broker}: {MQTTS} needs the real clock -> --clock real")
        if through and not secure:
            raise ValueError(f"{broker}: this site speaks plain TCP (insecure = true) -> host:port without {MQTTS}")
        self._own_authority = bool(secure) and not through and tls_server is None
        if self._own_authority:
            tls_server = simulated_server(tuple(host for host, _ in body["mqtt"]["hosts"]))
        if flash is None:
            self._fill_vfs()
        self.network = Network(self.timeline, round_trip_ms * 500)
        self.network_faults = NetworkFaults(self.timeline)  # what goes wrong on the way to the broker
        network = body["network"]
        self.radio = Radio(self.timeline, {network["ssid"]: network["password"]} if network["kind"] == "wifi" else {})
        self.time_servers = {}
        for at, name in enumerate(network["ntp"]):
            self.time_servers[name] = TimeServer(self.timeline, start_unix_s, at)
        for name, server in self.time_servers.items():
            self.network.udp[self.network.address(name), 123] = server
        self.broker = Collector(f"{body['root']}/{body['site']}/{body['gateway']}", keep)
        accept = self._broker_at(broker and broker.removeprefix(MQTTS))
        self.tls_end = TlsEnd(accept, tls_server) if secure and not through else None
        if self.tls_end:
            accept = self.tls_end.accept
        for host, port in body["mqtt"]["hosts"]:
            self.network.tcp[self.network.address(host), port] = self.network_faults.wrap(accept)
        self.board = SimBoard(
            self.timeline,
            self.clock,
            _traits(board, self.compiled, journal_bytes),
            self.flash,
            self.network,
            self.radio,
            self.command,
            str(umqtt.ensure()),
            heap_bytes,
            seed,
        )
        self.board.age_us = microseconds(age)
        self.module: Module | None = None
        if flash is None:
            self.board.on_print.append(self.console_output.extend)
        else:
            self.module = Module(self.board, board)
            self.module.chip.send = self.console_output.extend
        self.ptys: dict[str, PtyPort] = {}
        self._real_s = 0.0
        self._wire(serial_buses or {})
        self.clock.start(self.timeline)
        try:
            with one_core():
                self.board.power_on()
        except BaseException:
            self._let_go()
            raise

    # --- wiring

    def _fill_vfs(self) -> None:
        """Application, site and certificates into the partition of the files, as the flash tool does it."""
        site = self.compiled
        certificates = site.certificates
        if self._own_authority:
            certificates |= {path.removeprefix("/slot/"): authority_der() for path in site.body["mqtt"]["ca"]}
        files = device_files(site.data, self._firmware or FIRMWARE, certificates) | self._files
        vfs = site.board.partitions["vfs"]
        self.flash.data[vfs.offset : vfs.offset + vfs.size] = filesystem(files, vfs.size)

    def _wire(self, serial_buses: Mapping[str, str]) -> None:
        self.wiring = Wiring(
            self.compiled, self.world, self.board, self.network, self.timeline, self.clock, serial_buses
        )
        self.buses = self.wiring.buses

    def _broker_at(self, address: str | None) -> Accept:
        self.simulated_broker: SimulatedBroker | None = None
        if address is None:
            core = Broker(on_publish=self._arrived)
            self.simulated_broker = SimulatedBroker(self.timeline, core)
            return self.simulated_broker.accept
        host, port = require_reachable(address)
        relay = LiveRelay(self.clock, host, port) if isinstance(self.clock, RealClock) else FrozenRelay(host, port)
        self._relays.append(relay)
        return relay.accept

    def _arrived(self, message: Message) -> None:
        self.broker.feed(message.topic, message.payload)

    def offer_ptys(self) -> dict[str, str]:
        """Open pseudo terminals for the console and the simulated buses: other programs can join. Name -> path."""
        if not isinstance(self.clock, RealClock):
            raise ValueError("ptys need the real clock -> clock='real'")
        if self.ptys:
            return {name: port.path for name, port in self.ptys.items()}
        console = PtyPort(self.clock, self.board.send_console)
        self.board.on_print.append(console.write)
        self.ptys["console"] = console
        for bus in self.buses:
            if isinstance(bus, Rs485Bus):
                port = PtyPort(self.clock, bus.join)
                bus.on_wire.append(lambda start_us, data, port=port: port.write(data))
                self.ptys[f"bus {bus.name}"] = port
        return {name: port.path for name, port in self.ptys.items()}

    @property
    def name_server(self) -> NameServer:
        """The DNS server of the network."""
        return self.network.name_server

    @property
    def time_server(self) -> TimeServer:
        """The first one of the site file; all of them are in `time_servers`, by name."""
        return next(iter(self.time_servers.values()))

    # --- living

    def run(self, duration: str | int | float) -> None:
        """Let simulated time pass: "10m", "24h" or seconds. Raises SimError when the simulation cannot go on."""
        self.run_to_us(self.timeline.now_us + microseconds(duration))

    def run_to_us(self, until_us: int) -> None:
        started = time.perf_counter()
        with one_core(), _without_gc():
            self.board.run_until(until_us)
        self._real_s += time.perf_counter() - started

    def run_until(self, condition: Any, within: str | int | float, step: str | int | float = 1) -> None:
        """Run until `condition()` holds, looking every `step`; TimeoutError when it does not within the simulated time."""
        deadline = self.timeline.now_us + microseconds(within)
        while not condition():
            if self.timeline.now_us >= deadline:
                raise TimeoutError(f"the condition did not come true within {within} of simulated time")
            self.run_to_us(min(deadline, self.timeline.now_us + microseconds(step)))

    @property
    def now_s(self) -> float:
        """Simulated seconds since the start."""
        return self.timeline.now_us / SECOND

    # --- what can happen to a cabinet

    def pull_cable(self, what: str) -> None:
        """ "network" (access point or Ethernet gone), "uplink" (the way behind it), "power", or a bus by its id."""
        self._plug(what, False)

    def plug_in(self, what: str) -> None:
        """Undo pull_cable."""
        self._plug(what, True)

    def _plug(self, what: str, there: bool) -> None:
        buses = {bus.name: bus for bus in self.buses}
        if what == "network":
            self.radio.set_air(there)
            self.radio.set_cable(there)
        elif what == "uplink":
            self.network.uplink = there
        elif what == "power":
            self.restore_power() if there else self.cut_power()
        elif what in buses:
            buses[what].connected = there
        else:
            raise ValueError(f"no cable {what!r} -> network, uplink, power, or a bus: {', '.join(buses) or 'none'}")

    def cut_power(self) -> None:
        self.board.power_off()
        if self.module:
            self.module.chip.power_off()  # a chip without power hears nobody, and nobody can reset it

    def restore_power(self) -> None:
        if not self.board.powered:
            with one_core():
                self.board.power_on()

    def deploy(self, site: str | os.PathLike[str]) -> None:
        """Flash another version of the site, with its devices, and start again; the journal and what the gateway has learned stay.

        Time, network and broker go on; the devices begin as they did at the start. Raises Problems; ValueError for another board,
        gateway, network or broker, with real ports, and for a chip that others flash.
        """
        if self.module:
            raise ValueError("this cabinet boots from what was flashed -> flash it again, or Cabinet(..) without flash")
        compiled = compile_site(Path(site), write_ids=False)
        old, new = ({**body, **body["mqtt"]} for body in (self.compiled.body, compiled.body))
        for what in ("board", "root", "site", "gateway", "network", "hosts", "tls"):
            if new[what] != old[what]:
                raise ValueError(f"{site}: with other {what} it is another cabinet -> Cabinet({str(site)!r})")
        if self.ptys or any(isinstance(bus, SerialBus) for bus in self.buses):
            raise ValueError("the buses are held open by real ports -> deploy to a cabinet that has none")
        self.cut_power()
        self.wiring.close()
        self.compiled = compiled
        devices = {device.id for device in compiled.site.devices}
        overrides = {name: options for name, options in self._overrides.items() if name in devices}
        self.world = build_world(compiled, self.seed, self.start_unix_s, overrides)
        self.board.pins.adc.clear()
        self.board.pins.pulses.clear()
        self._fill_vfs()
        self._wire({})
        self.restore_power()

    def stop_broker(self) -> None:
        """Kill the simulated broker's process (what it has acknowledged it keeps)."""
        self._simulated().stop()

    def start_broker(self) -> None:
        self._simulated().start()

    def _simulated(self) -> SimulatedBroker:
        if self.simulated_broker is None:
            raise ValueError("this cabinet talks to a real broker: stop and start that one yourself")
        return self.simulated_broker

    # --- asking the gateway

    def request(self, name: str, **about: str) -> dict[str, Any]:
        """Ask over the serial console, as a tool does; `about`: what the request is about (of="main-meter"). Raises SimError when no answer comes within 10 simulated seconds."""
        self._requests += 1
        number = self._requests
        start = len(self.console_output)
        question = json.dumps({"id": number, "op": name, **about}).encode()
        self.board.send_console(b"\x1e" + question + b"\n")
        deadline = self.timeline.now_us + _CONSOLE_PATIENCE_US
        while self.timeline.now_us < deadline:
            self.run_to_us(self.timeline.now_us + 50_000)
            for line in bytes(self.console_output[start:]).split(b"\x1e")[1:]:
                text, ended, _ = line.partition(b"\n")
                with contextlib.suppress(ValueError):  # an answer that a restart cut off
                    if ended and (answer := json.loads(text)).get("id") == number:
                        return answer
        raise SimError(
            f"the gateway did not answer {name!r} on its console within 10 s; it printed: {self.console_text()[-2000:]}"
        )

    def type(self, line: str, wait: str | int | float = 2) -> str:
        """Type a line as a person does and return what the console shows within `wait`."""
        start = len(self.console_output)
        self.board.send_console(line.encode() + b"\r")
        self.run(wait)
        return bytes(self.console_output[start:]).decode(errors="replace")

    def console_text(self) -> str:
        """All that the gateway has printed."""
        return bytes(self.console_output).decode(errors="replace")

    def ledger(self) -> dict[str, Any]:
        return self.request("ledger")

    # --- the account

    def report(self) -> dict[str, Any]:
        """The figures of the run so far, as `satama sim run --json` prints them."""
        now_us, real_s = self.timeline.now_us, self._real_s
        ledger = self.ledger()
        status = self.request("status")
        names = {stream.name for stream in self.compiled.streams}
        seen = {view.name for view in self.broker.streams.values() if view.count}
        return {
            "vm": self.vm,
            "clock": self.clock.name,
            "seed": self.seed,
            "virtual_s": round(now_us / SECOND, 3),
            "streams": len(seen & names),
            "streams_missing": sorted(names - seen),
            "produced": ledger["produced"],
            "acknowledged": ledger["acknowledged"],
            "queued": ledger["queued"],
            "dropped": ledger["dropped"],
            "quarantined": ledger["quarantined"],
            "decoded_at_broker": self.broker.decoded,
            "duplicates": self.broker.duplicates,
            "decode_errors": self.broker.errors,
            "payload_bytes": self.broker.payload_bytes,
            "payload_sha256": self.broker.payload_sha256,
            "modbus_requests": sum(bus["requests"] for bus in status["buses"]),
            "modbus_errors": sum(bus["errors"] for bus in status["buses"]),
            "missed_slots": status["missed_slots"],
            "resets": len(self.board.resets) - 1,
            "vm_calls": self.board.calls,
            "us_per_call": round(real_s * 1e6 / max(1, self.board.calls), 1),
            "virtual_per_real": round(now_us / SECOND / max(real_s, 1e-6), 1),
            "flash_bytes_programmed": self.flash.programmed_bytes,
            "flash_erases": sum(self.flash.erases),
            "buses": [
                {"name": bus.name, "busy_us": bus.busy_us, "wire_limit_us": bus.wire_limit_us} for bus in self.buses
            ],
        }

    def close(self) -> None:
        """End it; harmless when ended already. Raises ValueError when the file of the flash cannot be written."""
        try:
            self.board.power_off()
            self._flash_file.write(self.flash.data)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Of the process, the ports and the connections, and of nothing that somebody still wants to look at."""
        self.board.power_off()
        for port in self.ptys.values():
            port.close()
        self.ptys.clear()
        self.wiring.close()
        for relay in self._relays:
            relay.close()
        self.flash.close()
        self._flash_file.let_go()

    def __enter__(self) -> Cabinet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _traits(board: Board, compiled: Compiled, journal_bytes: int | None) -> Traits:
    mac = bytes.fromhex("240ac4") + compiled.body["config"].encode()[:3]
    return traits_of(board, mac, {"journal": journal_bytes} if journal_bytes else {})


def traits_of(board: Board, mac: bytes, sizes: Mapping[str, int] | None = None) -> Traits:
    """The board's file as the simulator wants it. `sizes`: of partitions, where they differ from the board's."""
    return Traits(
        costs=board.costs.model_dump(),
        has_counter=board.counter,
        counters=counters(board),
        tick_us=board.scheduler_tick_ms * 1000,
        uarts=board.uarts,
        partitions=[
            (part.type, part.subtype, part.offset, (sizes or {}).get(name, part.size), name)
            for name, part in board.partitions.items()
        ],
        flash_bytes=board.flash_bytes,
        unique_id=mac,
        console_baud=board.console.baud,
        machine=f"Simulated board with {KINDS[board.chip].title}",
    )
