"""What is done to one board: look who it is, flash it, ask it how it feels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..core.progress import Reporter
from .prepare import Order


class Failed(Exception):
    """A step at one board went wrong; the text is a sentence. `changed`: the board is not as it was before."""

    def __init__(self, text: str, changed: bool = False) -> None:
        super().__init__(text)
        self.changed = changed


@dataclass(frozen=True)
class Done:
    """Of one flash. `firmware`: {"version", "sha256"}; `written`: names of the regions that were written; `about`: for reports."""

    mac: str
    chip: str
    firmware: dict[str, str]
    written: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


class Workshop(Protocol):
    def prepare(self, order: Order) -> dict[str, str]:
        """What can be looked at before a board is there: firmware, room. The firmware that it will get: {"version", "sha256"}.
        Raises Failed."""

    def identify(
        self, port: str, order: Order, choose: Callable[[str], Order], leave: bool = False
    ) -> tuple[str, Order]:
        """The MAC of the board at this port, as 24:0a:c4:00:00:01, and what it is to become. `order`: what is expected there;
        `choose` gets the MAC, says what it really is, and raises Failed for a board that is not to be written.

        Changes nothing on it. It waits for its flash then; one that is not to be written, or has another chip than it should,
        is started again, unless it is to be left in its boot loader, for another look. Raises Failed."""

    def start(self, port: str, order: Order) -> None:
        """Start the board that was left there, if it still is."""

    def flash(self, port: str, order: Order, report: Reporter) -> Done:
        """Raises Failed, and KeyboardInterrupt with a sentence about the board."""

    def selftest(self, port: str, order: Order, done: Done, report: Reporter, folder: Path) -> dict[str, Any] | None:
        """{"passed": bool, "red": [name of a check, ...]}, or None where none is wanted; reports go into the folder.

        Raises Failed when the gateway does not start or cannot be asked.
        """
