"""What the site file says is wired to the board, wired: buses with their devices, probes and pulse outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from satama.compiling.compiler import Compiled

from .board.board import SimBoard
from .bus.devices import ModbusUnits
from .bus.monitor import BusMonitor
from .bus.pushing import PushingLine
from .bus.rs485 import Rs485Bus
from .bus.tcp_server import ModbusTcpServer, RealModbusTcp
from .network.net import Network
from .ports import SerialBus
from .timeline import RealClock, Timeline
from .world import World
from .world.build import REFERENCE_UV

_SECOND = 1_000_000


class Wiring:
    """The wires of one cabinet. `real`: bus id -> serial port (of a modbus-rtu bus) or host:port (of a modbus-tcp one)."""

    def __init__(
        self,
        compiled: Compiled,
        world: World,
        board: SimBoard,
        network: Network,
        timeline: Timeline,
        clock: Any,
        real: Mapping[str, str],
    ):
        self.compiled, self.world, self.board = compiled, world, board
        self.network, self.timeline, self.clock = network, timeline, clock
        self.monitors: list[BusMonitor] = []
        specs = compiled.body["buses"]
        unknown = sorted(set(real) - {spec["id"] for spec in specs})
        if unknown:
            names = ", ".join(spec["id"] for spec in specs) or "none"
            raise ValueError(f"the site has no bus {unknown[0]!r} -> its buses: {names}")
        if real and not isinstance(clock, RealClock):
            raise ValueError("a real bus needs the real clock -> clock='real'")
        wire: dict[str, Callable[[dict[str, Any], str | None], Any]] = {
            "modbus-rtu": self._rtu,
            "modbus-tcp": self._tcp,
            "h1": self._pushing,
            "stream": self._pushing,
        }
        self.buses: list[Any] = []
        try:
            for spec in specs:
                self.buses.append(wire[spec["kind"]](spec, real.get(spec["id"])))
            self._inputs()
        except BaseException:  # one of several real ports cannot be opened
            self.close()
            raise

    def _rtu(self, spec: dict[str, Any], port: str | None) -> Rs485Bus | SerialBus:
        uart = self.board.uarts[spec["uart"]]
        if port:
            uart.wire = SerialBus(spec["id"], port, spec, self.timeline, self.clock)
            return uart.wire
        units = ModbusUnits(self.compiled, self.world, spec["id"])
        de = spec["de"] if spec["de"] >= 0 else None
        index = self.compiled.body["buses"].index(spec)
        gaps = {unit[1]: unit[5] * 1000 for unit in self.compiled.body["units"] if unit[0] == index}
        bus = Rs485Bus(spec["id"], self.timeline, self.board.pins, de, units, gaps)
        bus.echo = spec["echo"]
        bus.switches = [(start.gpio, start.level) for start in self.compiled.board.start.values()]
        self.monitors.append(BusMonitor(bus))
        uart.wire = bus
        return bus

    def _tcp(self, spec: dict[str, Any], address: str | None) -> ModbusTcpServer | RealModbusTcp:
        if address:
            server: ModbusTcpServer | RealModbusTcp = RealModbusTcp(spec["id"], self.clock, address)
        else:
            units = ModbusUnits(self.compiled, self.world, spec["id"])
            server = ModbusTcpServer(spec["id"], self.timeline, units)
        self.network.serve_locally(spec["host"], spec["port"], server.accept, lambda: server.connected)
        return server

    def _pushing(self, spec: dict[str, Any], port: str | None) -> PushingLine:
        if port:
            raise ValueError(f"bus {spec['id']!r} listens: only its simulated device can be heard -> leave it out")
        uart = self.board.uarts[spec["uart"]]
        line = PushingLine(self.compiled, spec, self.world, self.timeline, uart)
        uart.wire = line
        return line

    def _inputs(self) -> None:
        pins = self.board.pins
        pins.adc_holds_us = lambda now_us: _SECOND - now_us % _SECOND  # the world moves on full seconds
        body = self.compiled.body
        for _, _, inputs in body["polls"]:
            for entry in inputs:
                if entry[0] == "heard":
                    continue
                model = self.world.device(body["points"][entry[4]][0].split("/")[0])
                if entry[0] == "adc":
                    pins.adc[entry[1]] = self._probe(model)
                    if entry[5] >= 0:
                        pins.adc[entry[5]] = lambda: REFERENCE_UV
                else:
                    pins.pulses[entry[1]] = _Pulses(self, model)

    def _probe(self, model: Any) -> Callable[[], int]:
        def microvolts() -> int:
            self.world.advance(self.timeline.now_us)
            return model.microvolts()

        return microvolts

    def close(self) -> None:
        """Take the wires off: devices that talk by themselves fall silent, real ports are given back."""
        for bus in self.buses:
            if isinstance(bus, SerialBus | PushingLine | RealModbusTcp):
                bus.close()


class _Pulses:
    """A meter's pulse output, with the world brought up to the moment that is asked about."""

    def __init__(self, wiring: Wiring, model: Any):
        self._wiring, self._model = wiring, model

    def pulse_times(self, from_us: int, to_us: int) -> list[int]:
        self._wiring.world.advance(self._wiring.timeline.now_us)
        return self._model.pulse_times(from_us, to_us)
