"""Modbus RTU devices of one bus, on pymodbus' framer and PDUs; what their registers show comes from the world.

The datastore and the request handling are written here, because pymodbus' stock ones accept what devices refuse. A PDU
asks its context with coroutines that never really wait, so one `send(None)` completes a request.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU

from satama_sim.bus.registers import Cell
from satama_sim.world import Model, World
from satama_sim.world.signals import source

Reply = tuple[int, bytes, int]  # unit, frame, microseconds after the request's end
Fault = Callable[[int, bytes, int], Iterable[tuple[bytes, int]]]

_DECODER = DecodePDU(True)
_RTU = FramerRTU(_DECODER)
_READ_BITS, _READ_WORDS = (1, 2), (3, 4)
_READS = _READ_BITS + _READ_WORDS
_MOST = {1: 2000, 2: 2000, 3: 125, 4: 125}  # the protocol's own limits of one read
_WRITES_TO = {5: 1, 15: 1, 6: 3, 16: 3}  # write function -> function that reads the cell back
_BROADCAST = 0
_REMEMBERED = 1024  # requests and layouts kept ready; polls repeat
_JITTERS = 251


class _Reserved:
    """A register inside the map that the maker left empty: reads as 0."""

    words = (0,)

    @staticmethod
    def refresh() -> bool:
        return True


_RESERVED = _Reserved()


class Unit:
    """One device on the bus.

    `writable` names the points that may be written (the coils, unless changed). `cap_exception` answers a read of more
    than `max_registers`. `reserved_gap`: holes of up to so many registers between two points read as 0, as in meters
    whose map has reserved places; larger holes, and all by default, are an illegal address.
    """

    def __init__(self, device_id: str, number: int, profile: Any, model: Model, seed: int):
        self.device_id, self.number = device_id, number
        self.max_registers, self.max_bits = profile.limits.max_registers, profile.limits.max_bits
        self.cap_exception = ExcCodes.ILLEGAL_VALUE
        self.reserved_gap = 0
        self.silent = False
        self.writable = {point.name for point in profile.points if point.function == 1}
        self._cells = {function: {} for function in _READS}  # function -> address -> (cell, word of the cell)
        for point in profile.points:
            cell = Cell(model, point)
            for word in range(cell.codec.count):
                self._cells[point.function][point.address + word] = (cell, word)
        self._layouts: dict[tuple[int, int, int, int], list | None] = {}
        self._delays_us = _delays(profile.limits, seed, device_id)
        self._answered = 0

    def functions(self) -> set[int]:
        """Function codes that the device answers."""
        reads = {function for function, cells in self._cells.items() if cells}
        points = [cell.point for cells in self._cells.values() for cell, _ in cells.values()]
        written = {point.function for point in points if point.name in self.writable}
        return reads | {function for function, reads_back in _WRITES_TO.items() if reads_back in written}

    def delay_us(self) -> int:
        """Time from the request to the next answer."""
        self._answered += 1
        return self._delays_us[self._answered % _JITTERS]

    def too_many(self, function: int, count: int) -> ExcCodes | None:
        if not 1 <= count <= _MOST[function]:
            return ExcCodes.ILLEGAL_VALUE
        cap = self.max_bits if function in _READ_BITS else self.max_registers
        return self.cap_exception if count > cap else None

    def layout(self, function: int, address: int, count: int) -> list | None:
        """The cells behind a read, as (cell, first word, end word); None when it touches a hole."""
        key = (function, address, count, self.reserved_gap)
        if key not in self._layouts:
            if len(self._layouts) >= _REMEMBERED:
                self._layouts.clear()
            self._layouts[key] = self._lay_out(function, address, count)
        return self._layouts[key]

    def _lay_out(self, function: int, address: int, count: int) -> list | None:
        cells, layout = self._cells[function], []
        at, end = address, address + count
        while at < end:
            if at not in cells:
                if not self._is_reserved(cells, at):
                    return None
                layout.append((_RESERVED, 0, 1))
                at += 1
                continue
            cell, first = cells[at]
            length = min(cell.codec.count - first, end - at)
            layout.append((cell, first, first + length))
            at += length
        return layout

    def _is_reserved(self, cells: dict, at: int) -> bool:
        low = high = at
        while low not in cells and at - low <= self.reserved_gap:
            low -= 1
        while high not in cells and high - at <= self.reserved_gap:
            high += 1
        return low in cells and high in cells and high - low - 1 <= self.reserved_gap

    def read(self, function: int, address: int, count: int) -> list[int] | ExcCodes:
        layout = self.layout(function, address, count)
        if layout is None:
            return ExcCodes.ILLEGAL_ADDRESS
        values: list[int] = []
        for cell, first, end in layout:
            if not cell.refresh():
                return ExcCodes.DEVICE_FAILURE
            words = cell.words
            values += words if end - first == len(words) else words[first:end]
        return values

    def write(self, function: int, address: int, values: list[int]) -> ExcCodes | None:
        layout = self.layout(_WRITES_TO[function], address, len(values))
        if layout is None or any(cell is _RESERVED or cell.point.name not in self.writable for cell, _, _ in layout):
            return ExcCodes.ILLEGAL_ADDRESS
        at = 0
        for cell, first, end in layout:
            cell.write(first, values[at : at + end - first])
            at += end - first
        return None


class ModbusUnits:
    """All Modbus devices of one bus of a compiled site, each on the unit id of the site file.

    `record_truth = True` logs into `truth_log` what each point showed whenever it was read: (device, point, now_us,
    exact value or None). `faults` are functions (unit, reply, delay_us) -> [(bytes, delay_us), ...] that every answer
    runs through in turn: return nothing to drop it, other bytes to garble it, a larger delay to be late.
    """

    def __init__(self, compiled: Any, world: World, bus_id: str):
        self.bus_id = bus_id
        self.record_truth = False
        self.truth_log: list[tuple[str, str, int, Fraction | None]] = []
        self.faults: list[Fault] = []
        self.world = world
        self._units: dict[int, Unit] = {}
        self._numbers: dict[str, int] = {}
        self._decoded: dict[bytes, ModbusPDU] = {}
        for device in compiled.site.devices:
            profile = compiled.profiles[device.id]
            if device.bus != bus_id or profile.interface != "modbus":
                continue
            if device.unit in self._units:
                other = self._units[device.unit].device_id
                raise ValueError(f"bus {bus_id}: {other} and {device.id} both have unit {device.unit}")
            self._numbers[device.id] = device.unit
            self._units[device.unit] = Unit(device.id, device.unit, profile, world.device(device.id), world.seed)

    @property
    def device_ids(self) -> list[str]:
        return list(self._numbers)

    def unit(self, device_id: str) -> Unit:
        """A device's unit; KeyError that names the choices."""
        if device_id not in self._numbers:
            raise KeyError(f"no device {device_id!r} on bus {self.bus_id}; there are: {', '.join(self._numbers)}")
        return self._units[self._numbers[device_id]]

    def silence(self, device_id: str) -> None:
        """Cuts a device off: it neither answers nor obeys until `revive`."""
        self.unit(device_id).silent = True

    def revive(self, device_id: str) -> None:
        self.unit(device_id).silent = False

    def answer(self, frame: bytes, now_us: int) -> list[Reply]:
        """What the bus answers to one frame that silence ended at `now_us`: usually one reply or none.

        A frame with a wrong checksum, for nobody, or for all gets no answer.
        """
        self.world.advance(now_us)
        request = self._decoded.get(frame)
        if request is None:
            if len(frame) < 4 or not _RTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
                return []
            if frame[0] == _BROADCAST:
                self._broadcast(frame)
                return []
        unit = self._units.get(frame[0])
        if unit is None or unit.silent:
            return []
        response = self._execute(unit, frame, request, now_us)
        response.dev_id = unit.number
        replies = [(_RTU.buildFrame(response), unit.delay_us())]
        for fault in self.faults:
            replies = [changed for reply, delay in replies for changed in fault(unit.number, reply, delay)]
        return [(unit.number, reply, delay) for reply, delay in replies]

    def _broadcast(self, frame: bytes) -> None:
        if frame[1] in _WRITES_TO:
            for unit in self._units.values():
                if not unit.silent:
                    self._execute(unit, frame, None, 0)

    def _execute(self, unit: Unit, frame: bytes, request: ModbusPDU | None, now_us: int) -> ModbusPDU:
        function = frame[1]
        if request is None:
            if function not in unit.functions():
                return ExceptionResponse(function, ExcCodes.ILLEGAL_FUNCTION)
            request = self._decode(unit, frame)
            if request is None:
                return ExceptionResponse(function, ExcCodes.ILLEGAL_VALUE)
        if function in _READS and (refusal := unit.too_many(function, request.count)):
            return ExceptionResponse(function, refusal)
        response = _complete(request.datastore_update(_Context(unit), unit.number))
        if self.record_truth and function in _READS and not response.isError():
            self._record(unit, function, request.address, request.count, now_us)
        return response

    def _decode(self, unit: Unit, frame: bytes) -> ModbusPDU | None:
        function = frame[1]
        kind = _DECODER.lookupPduClass(frame)
        if len(frame) < 8 or kind is None or kind.calculateRtuFrameSize(frame) != len(frame):
            return None
        if function == 5 and frame[4:6] not in (b"\xff\x00", b"\x00\x00"):
            return None
        if function in _READS and not 1 <= int.from_bytes(frame[4:6], "big") <= _MOST[function]:
            return None
        request = _DECODER.decode(frame[1:-2])
        if request is not None and function in _READS:
            if len(self._decoded) >= _REMEMBERED:
                self._decoded.clear()
            self._decoded[bytes(frame)] = request
        return request

    def _record(self, unit: Unit, function: int, address: int, count: int, now_us: int) -> None:
        for cell, first, end in unit.layout(function, address, count):
            if cell is not _RESERVED and end - first == cell.codec.count:
                self.truth_log.append((unit.device_id, cell.point.name, now_us, cell.shown()))


class _Context:
    """What a pymodbus request asks for its data."""

    __slots__ = ("_unit",)

    def __init__(self, unit: Unit):
        self._unit = unit

    async def async_getValues(self, _unit: int, function: int, address: int, count: int = 1) -> list[int] | ExcCodes:
        return self._unit.read(_WRITES_TO.get(function, function), address, count)

    async def async_setValues(self, _unit: int, function: int, address: int, values: list[int]) -> ExcCodes | None:
        return self._unit.write(function, address, values)


def _complete(coroutine: Any) -> ModbusPDU:
    """Runs a request to its end without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("a simulated device waited for something")


def _delays(limits: Any, seed: int, device_id: str) -> list[int]:
    """Answer times in microseconds around the typical one, whole milliseconds, never beyond the longest."""
    spread = limits.turnaround_ms // 8
    draw = source(seed, device_id, "turnaround")
    low = max(0, limits.turnaround_ms - spread)
    high = max(low, min(limits.turnaround_ms + spread, limits.timeout_ms - 1))
    return [1000 * draw.randint(low, high) for _ in range(_JITTERS)]
