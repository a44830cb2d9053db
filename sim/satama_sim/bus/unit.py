"""One Modbus device: its map of cells, with holes and reserved places, what may be read and written, and who it is."""

from bisect import bisect_left
from fractions import Fraction
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.pdu.device import ModbusDeviceIdentification

from ..world import Model
from ..world.signals import source
from . import address_map
from .cells import Fixed

READ_BITS, READ_WORDS = (1, 2), (3, 4)
READS = address_map.READS
MOST = {1: 2000, 2: 2000, 3: 125, 4: 125}  # the protocol's own limits of one read
READS_BACK = {5: 1, 15: 1, 6: 3, 16: 3, 22: 3, 23: 3}  # function that writes -> function that reads the same cells

_WHOLE_MAP = 1 << 16
_REMEMBERED = 1024  # layouts kept ready; polls repeat
_JITTERS = 251

Layout = list[tuple[Any, int, int]]  # cell, first and end of its words


class Unit:
    """One device on the bus.

    `writable` names the points that may be written, within the profile's bounds. `cap_exception` answers a read of more
    than `max_registers`. `reserved_gap`: holes of up to so many registers between two points read as 0, as in meters
    whose map has reserved places; larger holes are an illegal address. `also`: functions that the device answers
    besides those that its points call for (15, 16, 17, 22, 23, 43). `identity`: what 17 and 43 tell, object id -> text.
    """

    def __init__(self, device_id: str, number: int, profile: Any, model: Model, seed: int):
        limits = profile.limits
        self.device_id, self.number = device_id, number
        self.max_registers, self.max_bits = limits.max_registers, limits.max_bits
        self.cap_exception = ExcCodes.ILLEGAL_VALUE
        self.reserved_gap = _WHOLE_MAP if limits.holes == "readable" else 0
        self.silent = False
        self.silent_until_us = 0
        points = [point for point in profile.points if point.function]
        self._points = {point.name: point for point in points}
        self.writable = {point.name for point in points if point.write}
        identity, self.also = _identity(profile)
        self.identity = ModbusDeviceIdentification(identity)
        self.context = _Context(self)
        self._forbidden = [(span.function, span.first, span.last) for span in limits.forbidden]
        self._cells = address_map.build(profile, points, model, seed)
        self._places = {function: sorted(cells) for function, cells in self._cells.items()}
        self._layouts: dict[tuple[int, int, int, int], Layout | None] = {}
        self._delays_us = _delays(limits, seed, device_id)
        self._slower_us = {
            point.name: 1000 * (point.turnaround_ms - limits.turnaround_ms) for point in points if point.turnaround_ms
        }
        self._answered = 0

    # --- what it does

    def functions(self) -> set[int]:
        """Function codes that the device answers."""
        reads = {function for function, cells in self._cells.items() if cells}
        return reads.union(self.also, *(_write_functions(self._points[name]) for name in self.writable))

    def delay_us(self, layout: Layout | None = None) -> int:
        """Time from the request to the next answer; longer where the device measures while one waits."""
        self._answered += 1
        delay = self._delays_us[self._answered % _JITTERS]
        if self._slower_us and layout:
            names = [name for cell, first, end in layout for name, _ in cell.shown(first, end)]
            delay += max([0, *(self._slower_us.get(name, 0) for name in names)])
        return delay

    def restart(self, until_us: int) -> None:
        """Reboots: says nothing until then, and forgets what was only written into registers."""
        self.silent_until_us = until_us
        for cells in self._cells.values():
            for cell, _ in cells.values():
                cell.forget()

    def too_many(self, function: int, count: int) -> ExcCodes | None:
        if not 1 <= count <= MOST[function]:
            return ExcCodes.ILLEGAL_VALUE
        cap = self.max_bits if function in READ_BITS else self.max_registers
        return self.cap_exception if count > cap else None

    # --- the map

    def layout(self, function: int, address: int, count: int) -> Layout | None:
        """The cells behind a read, as (cell, first word, end word); None when it touches a hole."""
        key = (function, address, count, self.reserved_gap)
        if key not in self._layouts:
            if len(self._layouts) >= _REMEMBERED:
                self._layouts.clear()
            self._layouts[key] = self._lay_out(function, address, count)
        return self._layouts[key]

    def _lay_out(self, function: int, address: int, count: int) -> Layout | None:
        cells, layout = self._cells[function], []
        at, end = address, address + count
        while at < end:
            if at not in cells:
                empty = self._reserved(function, at, end)
                if not empty:
                    return None
                layout.append((Fixed([0] * empty), 0, empty))
                at += empty
                continue
            cell, first = cells[at]
            length = min(cell.count - first, end - at)
            layout.append((cell, first, first + length))
            at += length
        forbidden = any(f == function and first < end and address <= last for f, first, last in self._forbidden)
        return None if forbidden else layout

    def _reserved(self, function: int, at: int, end: int) -> int:
        """How many registers from `at` on the maker left empty, up to `end`; 0 when they are no part of the map."""
        places = self._places[function]
        above = bisect_left(places, at)
        inside = 0 < above < len(places) and places[above] - places[above - 1] - 1 <= self.reserved_gap
        return min(end, places[above]) - at if inside else 0

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
        """All of it or nothing: an exception when a register is not writable, or a value beyond its bounds."""
        layout = self.layout(READS_BACK[function], address, len(values))
        if layout is None:
            return ExcCodes.ILLEGAL_ADDRESS
        taken, at = [], 0
        for cell, first, end in layout:
            touched = cell.touched(first, values[at : at + end - first])
            mine = [(one, words) for one, words in touched if one.point.name in self.writable]
            if not mine:
                return ExcCodes.ILLEGAL_ADDRESS
            taken += mine
            at += end - first
        for cell, words in taken:
            if not _within(cell.point.write, cell.value_of(words)):
                return ExcCodes.ILLEGAL_VALUE
        for cell, words in taken:
            cell.take(words)
        return None


class _Context:
    """What a pymodbus request asks for its data."""

    __slots__ = ("_unit",)

    def __init__(self, unit: Unit):
        self._unit = unit

    async def async_getValues(self, _unit: int, function: int, address: int, count: int = 1) -> list[int] | ExcCodes:
        return self._unit.read(READS_BACK.get(function, function), address, count)

    async def async_setValues(self, _unit: int, function: int, address: int, values: list[int]) -> ExcCodes | None:
        return self._unit.write(function, address, values)


def _write_functions(point: Any) -> set[int]:
    """Functions that write a point: the one that the profile names, else those usual for its kind."""
    if point.write:
        return {point.write.function}
    return {1: {5, 15}, 3: {6, 16}}.get(point.function, set())


def _within(write: Any, value: Fraction | None) -> bool:
    """Whether a value may be written (`write` None: no bounds, for a test has declared the point writable)."""
    if write is None:
        return True
    in_range = write.range is not None and value is not None and write.range[0] <= value <= write.range[1]
    return in_range or value in write.values


def _identity(profile: Any) -> tuple[dict[int, str], set[int]]:
    """What the device says of itself, and the functions by which it is asked."""
    texts, probe = {0: profile.vendor, 1: profile.model, 2: "1.0"}, profile.identity
    if probe and probe.object is not None:
        return texts | {probe.object: probe.contains}, {43}
    if probe and probe.server_id is not None:
        return texts | {1: probe.server_id}, {17}
    return texts, set()


def _delays(limits: Any, seed: int, device_id: str) -> list[int]:
    """Answer times in microseconds around the typical one, whole milliseconds, never beyond the longest."""
    spread = limits.turnaround_ms // 8
    draw = source(seed, device_id, "turnaround")
    low = max(0, limits.turnaround_ms - spread)
    high = max(low, min(limits.turnaround_ms + spread, limits.timeout_ms - 1))
    return [1000 * draw.randint(low, high) for _ in range(_JITTERS)]
