"""Modbus devices of one bus, on pymodbus' framers and PDUs; what their registers show comes from the world.

The datastore and the request handling are written here, because pymodbus' stock ones accept what devices refuse. A PDU
asks its context with coroutines that never really wait, so one `send(None)` completes a request.
"""

from fractions import Fraction
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.device import ModbusControlBlock

from ..world import World
from .faults import Fault
from .unit import MOST, READS, Layout, Unit

Reply = tuple[int, bytes, int]  # unit, frame, microseconds after the request's end

_DECODER = DecodePDU(True)
_RTU = FramerRTU(_DECODER)
_IDENTITY = ModbusControlBlock()  # where pymodbus' functions 17 and 43 look
_BROADCAST, _BROADCASTABLE = 0, (5, 6, 15, 16)
_REMEMBERED = 1024  # requests kept ready; polls repeat


class ModbusUnits:
    """All Modbus devices of one bus of a compiled site, each on the unit id of the site file.

    `record_truth = True` logs into `truth_log` what each point showed whenever it was read: (device, point, now_us,
    exact value or None). `faults` (see faults.py) are functions (unit, reply, delay_us) -> [(bytes, delay_us), ...] that
    every answer runs through in turn: return nothing to drop it, other bytes to garble it, a larger delay to be late.
    """

    def __init__(self, compiled: Any, world: World, bus_id: str):
        self.bus_id = bus_id
        self.record_truth = False
        self.truth_log: list[tuple[str, str, int, Fraction | None]] = []
        self.faults: list[Fault] = []
        self.usual_us = 0
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

    @property
    def numbers(self) -> list[int]:
        """Unit ids that devices answer to."""
        return list(self._units)

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

    def reboot(self, device_id: str, until_us: int) -> None:
        """A device restarts: silent until then, and what was only written into its registers is gone."""
        self.unit(device_id).restart(until_us)

    def answer(self, frame: bytes, now_us: int) -> list[Reply]:
        """What the bus answers to one RTU frame that silence ended at `now_us`: usually one reply or none.

        A frame with a wrong checksum, for nobody, or for all gets no answer. `usual_us` is the time of an answer without
        the faults.
        """
        self.world.advance(now_us)
        request = self._decoded.get(frame)
        if request is None:
            if len(frame) < 4 or not _RTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
                return []
            if frame[0] == _BROADCAST:
                self._broadcast(frame, now_us)
                return []
        unit = self._units.get(frame[0])
        if unit is None or unit.silent or now_us < unit.silent_until_us:
            return []
        response, self.usual_us = self._execute(unit, frame, request, now_us)
        replies = [(_RTU.buildFrame(response), self.usual_us)]
        for fault in self.faults:
            replies = [changed for reply, delay in replies for changed in fault(unit.number, reply, delay)]
        return [(unit.number, reply, delay) for reply, delay in replies]

    def ask(self, number: int, pdu: bytes, now_us: int) -> tuple[ModbusPDU, int] | None:
        """(answer of a unit to a PDU, microseconds that it takes); None when there is no such unit, or it is silent."""
        self.world.advance(now_us)
        unit = self._units.get(number)
        if unit is None or unit.silent or now_us < unit.silent_until_us:
            return None
        frame = bytes((number, *pdu, 0, 0))  # sizes are known of RTU frames
        return self._execute(unit, frame, self._decoded.get(frame), now_us)

    def _broadcast(self, frame: bytes, now_us: int) -> None:
        if frame[1] in _BROADCASTABLE:
            for unit in self._units.values():
                if not unit.silent and now_us >= unit.silent_until_us:
                    self._execute(unit, frame, None, now_us)

    def _execute(self, unit: Unit, frame: bytes, request: ModbusPDU | None, now_us: int) -> tuple[ModbusPDU, int]:
        function, layout = frame[1], None
        refusal = None if request else self._refusal(unit, frame)
        if refusal is None and request is None and (request := self._decode(frame)) is None:
            refusal = ExcCodes.ILLEGAL_VALUE
        if refusal is None and function in READS:
            refusal = unit.too_many(function, request.count)
            layout = None if refusal else unit.layout(function, request.address, request.count)
        elif refusal is None and function == 23:  # pymodbus would keep what it wrote
            refusal = None if unit.layout(3, request.read_address, request.read_count) else ExcCodes.ILLEGAL_ADDRESS
        if refusal:
            response: ModbusPDU = ExceptionResponse(function, refusal)
        else:
            _IDENTITY._identity = unit.identity
            response = _complete(request.datastore_update(unit.context, unit.number))
            if self.record_truth and layout and not response.isError():
                self._record(unit, layout, now_us)
        response.dev_id = unit.number
        return response, unit.delay_us(layout)

    @staticmethod
    def _refusal(unit: Unit, frame: bytes) -> ExcCodes | None:
        """What is wrong with a request before it is understood."""
        function = frame[1]
        if function not in unit.functions() or (function == 43 and frame[2] != 14):
            return ExcCodes.ILLEGAL_FUNCTION
        kind = _DECODER.lookupPduClass(frame)
        if kind is None or kind.calculateRtuFrameSize(frame) != len(frame):
            return ExcCodes.ILLEGAL_VALUE
        wrong = function == 5 and frame[4:6] not in (b"\xff\x00", b"\x00\x00")
        wrong |= function in READS and not 1 <= int.from_bytes(frame[4:6], "big") <= MOST[function]
        wrong |= function == 43 and not 1 <= frame[3] <= 4
        return ExcCodes.ILLEGAL_VALUE if wrong else None

    def _decode(self, frame: bytes) -> ModbusPDU | None:
        request = _DECODER.decode(frame[1:-2])
        if request is not None and frame[1] in READS:
            if len(self._decoded) >= _REMEMBERED:
                self._decoded.clear()
            self._decoded[bytes(frame)] = request
        return request

    def _record(self, unit: Unit, layout: Layout, now_us: int) -> None:
        for cell, first, end in layout:
            for name, value in cell.shown(first, end):
                self.truth_log.append((unit.device_id, name, now_us, value))


def _complete(coroutine: Any) -> ModbusPDU:
    """Runs a request to its end without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("a simulated device waited for something")
