"""How exact a board counts pulses: what each input stands, what a power cut may take, and what that costs in flash.

An interrupt's handler waits while the VM is held up. MicroPython's scheduler holds eight handlers and drops the rest (ports/esp32/
mpconfigport.h, py/scheduler.c); while flash is written no interrupt is served at all, and all edges of a pin become one (ESP-IDF,
"Concurrency Constraints for Flash on SPI1"; MicroPython does not ask for IRAM-safe interrupts, ports/esp32/machine_pin.c).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from ..boards.board import Board
from ..boards.chips import CHIPS
from ..core.quantities import symbol
from ..profiles.profile import Profile, Pulse

QUEUE = 8  # handlers that wait at most
COUNTER_RANGE = 32000  # of MicroPython's Counter; it is looked at every second
TOTAL_BYTES = 12  # of one total on flash, see gateway/acquire/inputs/totals.py
DAY_S, RESET_S = 86400, 1


@dataclass(frozen=True)
class PulseBound:
    """One pulse input. None stands for any length of time."""

    name: str
    counted: str  # "counter" or "interrupt"
    debounce_ms: int
    max_hz: int  # that its profile says
    exact_hz: int  # up to here, no erase of usual length loses a pulse
    interrupt_hz: int  # the same where MicroPython has no counter yet
    stall_ms: int | None  # longest write to flash that loses none at max_hz
    queued_ms: int | None  # longest wait of the handlers, likewise, all inputs at their max_hz
    quantum_s: int  # a power cut takes at most what came in so many seconds
    quantum_pulses: int  # as many pulses at max_hz
    quantum: Fraction  # as much in `unit`
    unit: str

    @property
    def exact(self) -> bool:
        return self.max_hz <= self.exact_hz


@dataclass(frozen=True)
class PulseBounds:
    """All pulse inputs of a site, and how often they write to flash at most, with pulses day and night."""

    inputs: tuple[PulseBound, ...]
    writes_per_day: int

    def as_data(self) -> dict[str, Any]:
        """For tools."""
        rows = [asdict(bound) | {"exact": bound.exact, "quantum": float(bound.quantum)} for bound in self.inputs]
        return {"inputs": rows, "writes_per_day": self.writes_per_day}

    def as_lines(self) -> list[str]:
        """For people; no lines without pulse inputs."""
        return list(self._lines()) if self.inputs else []

    def _lines(self) -> Iterator[str]:
        width = max(len(bound.name) for bound in self.inputs)
        for bound in self.inputs:
            name, indent = bound.name.ljust(width), " " * width
            if bound.counted == "counter":
                yield f"{name}  counted in hardware, exact up to {bound.exact_hz} Hz, whatever the board does"
                yield f"{indent}  (before MicroPython 1.26 by interrupt, exact up to {bound.interrupt_hz} Hz)"
            else:
                contact = f", debounced {bound.debounce_ms} ms" if bound.debounce_ms else ""
                yield f"{name}  counted by interrupt{contact}, exact up to {bound.exact_hz} Hz"
                yield f"{indent}  at {bound.max_hz} Hz flash may be busy for {bound.stall_ms} ms, handlers may wait {bound.queued_ms} ms"
            if not bound.exact:
                yield f"{indent}  but its profile says up to {bound.max_hz} Hz: above, losses are possible, and are reported"
            unit = symbol(bound.unit)
            amount = f"{float(bound.quantum):g} {unit}".rstrip()
            yield f"{indent}  a power cut takes at most {bound.quantum_s} s of pulses ({amount}), a reset {RESET_S} s"
        yield f"at most {self.writes_per_day} writes to flash a day"


def tolerable_stall_ms(pulse: Pulse) -> int:
    """How long interrupts may be held up so that no two pulses at the highest rate fall together; a millisecond is the clock's."""
    return max(0, 1000 // pulse.max_hz - pulse.debounce_ms - 1)


def pulse_bounds(board: Board, body: Mapping[str, Any], profiles: Mapping[str, Profile]) -> PulseBounds:
    """The bounds of a compiled site: its board, its body as a dict, and the profiles by device id."""
    rows = [(period_s, row) for period_s, _, inputs in body["polls"] for row in inputs if row[0] == "pulse"]
    pulses = [profiles[_name(body, row).split("/")[0]].pulse for _, row in rows]
    in_hardware = _counted_in_hardware(board, [row for _, row in rows])
    waiting_hz = sum(pulse.max_hz for pulse, counter in zip(pulses, in_hardware, strict=True) if not counter)
    bounds = tuple(
        _bound(board, body, period_s, row, pulse, counter, waiting_hz)
        for (period_s, row), pulse, counter in zip(rows, pulses, in_hardware, strict=True)
    )
    intervals = {bound.quantum_s for bound in bounds}  # totals that are due together are one write
    writes = sum(DAY_S // interval for interval in intervals)
    return PulseBounds(bounds, writes)


def counters(board: Board) -> int:
    """How many pulse inputs the chip can count by itself."""
    return CHIPS[board.chip].counters if board.counter else 0


def _counted_in_hardware(board: Board, rows: list[list]) -> list[bool]:
    """As the firmware does it: without a debounce time, and while there are counters left."""
    left = counters(board)
    chosen = []
    for row in rows:
        chosen.append(row[3] == 0 and left > 0)
        left -= chosen[-1]
    return chosen


def _bound(
    board: Board, body: Mapping[str, Any], period_s: int, row: list, pulse: Pulse, counter: bool, waiting_hz: int
) -> PulseBound:
    _, _, _, debounce_ms, at, m, shift, denominator, persist_s, _, stall_ms = row
    quantum_s = -(-max(period_s, persist_s) // period_s) * period_s  # flash is only written when the input is read
    quantum_pulses = quantum_s * pulse.max_hz
    exponent = body["points"][at][1]
    by_interrupt = interrupt_hz(board, debounce_ms)
    queued_ms = QUEUE * 1000 // waiting_hz if waiting_hz else 0
    return PulseBound(
        name=_name(body, row),
        counted="counter" if counter else "interrupt",
        debounce_ms=debounce_ms,
        max_hz=pulse.max_hz,
        exact_hz=COUNTER_RANGE // RESET_S if counter else by_interrupt,
        interrupt_hz=by_interrupt,
        stall_ms=None if counter else stall_ms,
        queued_ms=None if counter else min(queued_ms, stall_ms) if debounce_ms else queued_ms,
        quantum_s=quantum_s,
        quantum_pulses=quantum_pulses,
        quantum=quantum_pulses * m * Fraction(10) ** (shift + exponent) / denominator,
        unit=_unit(body, at),
    )


def interrupt_hz(board: Board, debounce_ms: int) -> int:
    """Up to this rate, no two pulses fall into one erase of flash."""
    return 1_000_000 // (board.costs.flash_erase_us + 1000 * (debounce_ms + 1))


def _name(body: Mapping[str, Any], row: list) -> str:
    return body["points"][row[4]][0]


def _unit(body: Mapping[str, Any], point: int) -> str:
    """Empty for a point that makes no stream."""
    outputs = body["points"][point][3]
    return body["streams"][outputs[0][1]][2] if outputs else ""
