"""How the board and the calls of its VM speak of answers: at once, later, or never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .uart import SimUart

Answer = tuple[int, bytes]


class SimError(Exception):
    """The simulation cannot go on; the text says why."""


class PowerLost(Exception):
    """Raised inside a call when the board loses its VM in the middle of it."""


@dataclass
class Wait:
    """The VM waits: for an answer that `ready` gives, at the latest until `deadline_us`, when `late` is the answer."""

    deadline_us: int | None
    ready: Callable[[], Answer | None] | None = None
    late: Answer | None = (0, b"")  # None: the VM has not asked yet, it is the bootloader that runs
    interruptible: bool = False
    ticked: bool = False  # ends on a scheduler tick only
    wake_us: int | None = None
    uarts: tuple[SimUart, ...] = ()  # whose bytes end it, too: they arrive without an event of their own
