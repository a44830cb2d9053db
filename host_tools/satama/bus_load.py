"""How busy a bus will be: known before anything is wired, from the compiled polls."""

from fractions import Fraction
from typing import NamedTuple

from .profile import BIT_FUNCTIONS
from .site import Bus

REQUEST_BYTES = 8
ANSWER_BYTES = 5  # unit, function, byte count, CRC; and the data


class BusLoad(NamedTuple):
    """If every device answers after its typical turnaround: the share of time that the bus is busy (1 = always), and
    how long all requests take that fall together on the longest period."""

    id: str
    requests_per_minute: Fraction
    busy: Fraction
    longest_slot_ms: Fraction


def bus_load(bus: Bus, index: int, polls: list[list]) -> BusLoad:
    """The load of the bus that is number `index` in the compiled polls."""
    char_ms = Fraction(1000 * (9 + bus.stop_bits + (bus.parity != "N")), bus.baud)
    silence_ms = char_ms * 7 / 2 if bus.baud <= 19200 else Fraction(7, 4)  # T3.5, Modbus over serial line 2.5.1.1
    per_s = busy = together_ms = Fraction(0)
    for period_s, reads, _ in polls:
        for on_bus, _, function, _, count, turnaround_ms, _, gap_ms, _ in reads:
            if on_bus == index:
                data = (count + 7) // 8 if function in BIT_FUNCTIONS else 2 * count
                took_ms = (REQUEST_BYTES + ANSWER_BYTES + data) * char_ms + turnaround_ms + max(silence_ms, gap_ms)
                per_s += Fraction(1, period_s)
                busy += took_ms / 1000 / period_s
                together_ms += took_ms
    return BusLoad(bus.id, per_s * 60, busy, together_ms)
