"""What kind of board it is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Traits:
    """From its board file."""

    costs: dict[str, int]
    has_counter: bool = True
    counters: int = 8  # PCNT units
    tick_us: int = 10_000
    uarts: int = 3
    partitions: list[tuple[int, int, int, int, str]] = field(default_factory=list)  # type, subtype, offset, size, label
    flash_bytes: int = 4 << 20
    unique_id: bytes = b"\x24\x0a\xc4\x00\x00\x01"
    console_baud: int = 115200
    machine: str = "Simulated board with ESP32"  # os.uname().machine
