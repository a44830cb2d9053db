"""What the VM's calls need of the board that they are answered for; board.py is it."""

from __future__ import annotations

import random
from typing import Protocol

from ..network.net import Network
from ..timeline import Event, Timeline
from .console import Console
from .flash import NorFlash
from .nvs import Nvs
from .pins import Pins
from .radio import Radio
from .sockets import Sockets
from .traits import Traits
from .uart import SimUart


class Host(Protocol):
    """Times are microseconds of the timeline."""

    # what it is made of
    timeline: Timeline
    traits: Traits
    console: Console
    flash: NorFlash
    network: Network
    nvs: Nvs
    pins: Pins
    radio: Radio
    sockets: Sockets
    uarts: list[SimUart]
    # what it remembers of this start, and over resets
    boot_us: int
    cause: int
    frozen: str
    heap_bytes: int
    idle: bool
    rtc_memory: bytes
    rtc_offset_us: int
    seeds: random.Random
    until_us: int
    waking: Event | None
    watchdog: tuple[int, int] | None

    def boot(self, cause: int, why: str) -> None: ...
    def reset(self, cause: int, why: str) -> None: ...
    def stop(self) -> None: ...
    def spend(self, cost: str, times: int = 1) -> None: ...
    def start_watchdog(self, timeout_us: int) -> None: ...
