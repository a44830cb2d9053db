"""What is done to one board: look who it is, flash it, ask it how it feels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..progress import Reporter
from .prepare import Order


class Failed(Exception):
    """A step at one board went wrong; the text is a sentence."""


@dataclass(frozen=True)
class Done:
    """Of one flash. `firmware`: {"version", "sha256"}; `written`: names of the regions that were written; `about`: for reports."""

    mac: str
    chip: str
    firmware: dict[str, str]
    written: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


class Workshop(Protocol):
    def prepare(self, order: Order) -> None:
        """What can be looked at before a board is there: firmware, room. Raises Failed."""

    def identify(self, port: str, order: Order, judge: Callable[[str], None]) -> str:
        """The MAC of the board at this port, as 24:0a:c4:00:00:01. `judge` gets it, and raises Failed for a board that is not
        to be written: that one is started again, any other one waits for its flash. Changes nothing on it. Raises Failed."""

    def flash(self, port: str, order: Order, report: Reporter) -> Done:
        """Raises Failed."""

    def selftest(self, port: str, order: Order, done: Done, report: Reporter, folder: Path) -> dict[str, Any] | None:
        """{"passed": bool, "red": [name of a check, ...]}, or None where none is wanted; reports go into the folder.

        Raises Failed when the gateway does not start or cannot be asked.
        """
