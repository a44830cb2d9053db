"""From a profile to a device's map: which cell stands at which address."""

from collections import defaultdict
from typing import Any

from ..world import Model
from ..world.signals import source
from . import sunspec
from .cells import Cell, Fixed, Overlap, ScaleRegister, usual_exponent

READS = (1, 2, 3, 4)  # Modbus functions: coils, discrete inputs, holding registers, input registers

Map = dict[int, dict[int, tuple[Any, int]]]  # function -> address -> (cell, word of the cell)


def build(profile: Any, points: list[Any], model: Model, seed: int) -> Map:
    """The map of one device. `points` are those that can be read."""
    placed: dict[int, list[tuple[int, Cell]]] = {function: [] for function in READS}
    others: list[tuple[int, int, Any]] = []  # function, address, cell that is no point
    scaled = defaultdict(list)
    for point in points:
        if point.type == "string" and not point.states:
            others.append((point.function, point.address, Fixed.text(_text(profile, point), point.length)))
            continue
        cell = Cell(model, point)
        placed[point.function].append((point.address, cell))
        if point.scale_register is not None:
            scaled[point.function, point.scale_register].append(cell)
    for (function, address), cells in scaled.items():
        coin = source(seed, model.id, "scale", address).randrange(2)
        usual = usual_exponent([cell.point for cell in cells], coin)
        others.append((function, address, ScaleRegister(cells, usual, model.clock)))
    if profile.identity and profile.identity.function:
        others.append((profile.identity.function, profile.identity.address, _identity(profile.identity)))
    if profile.sunspec:
        return _sunspec(profile, placed, others, seed, model)
    laid: Map = {function: {} for function in READS}
    for function, cells in placed.items():
        for address, cell in _joined(cells, model.clock):
            _lay(laid[function], address, cell)
    for function, address, cell in others:
        _lay(laid[function], address, cell)
    return laid


def _sunspec(profile: Any, placed: dict, others: list, seed: int, model: Model) -> Map:
    """All in one table: the profile's model somewhere in a chain of models, its points counted from its id."""
    (function,) = [function for function, cells in placed.items() if cells]
    cells = [*_joined(placed[function], model.clock), *((address, cell) for _, address, cell in others)]
    end = max(address + cell.count for address, cell in cells)
    start, chain = sunspec.place(profile, end, seed, model.id)
    laid: Map = {function: {} for function in READS}
    own = ((start + address, cell) for address, cell in cells if address >= sunspec.HEAD)
    for address, cell in [*chain, *own]:
        _lay(laid[function], address, cell)
    return laid


def _lay(table: dict[int, tuple[Any, int]], address: int, cell: Any) -> None:
    for word in range(cell.count):
        table[address + word] = (cell, word)


def _joined(cells: list[tuple[int, Cell]], clock: Any) -> list[tuple[int, Any]]:
    """Cells that share registers become one."""
    runs: list[list[tuple[int, Cell]]] = []
    end = -1
    for address, cell in sorted(cells, key=lambda placed: placed[0]):
        if address < end:
            runs[-1].append((address, cell))
        else:
            runs.append([(address, cell)])
        end = max(end, address + cell.count)
    return [run[0] if len(run) == 1 else _overlap(run, clock) for run in runs]


def _overlap(run: list[tuple[int, Cell]], clock: Any) -> tuple[int, Overlap]:
    start = run[0][0]
    count = max(address + cell.count for address, cell in run) - start
    return start, Overlap([(address - start, cell) for address, cell in run], count, clock)


def _identity(probe: Any) -> Fixed:
    """What stands where the profile's probe looks."""
    if probe.type == "string":
        return Fixed.text(probe.text, (len(probe.text) + 1) // 2)
    value = probe.value[0] if isinstance(probe.value, list) else probe.value
    count = int(probe.type[1:]) // 16
    return Fixed(value >> 16 * (count - 1 - at) & 0xFFFF for at in range(count))


def _text(profile: Any, point: Any) -> str:
    """What a text register says that only identifies the device."""
    known = {"manufacturer": profile.vendor, "model": profile.model}
    return known.get(point.name, f"{point.name} 1.0")
