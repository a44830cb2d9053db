"""What esptool says and how far it is, taken from its logger instead of the screen.

esptool has one logger for the whole process, and some of its releases only take over the class of the one that they are
given: so what is told to whom stands in this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from esptool.logger import TemplateLogger, log

Tell = Callable[[str], None]
Progress = Callable[[int, int], None]

_tell: Tell | None = None
_progress: Progress | None = None


class _QuietLog(TemplateLogger):
    def print(self, *args: Any, **_: Any) -> None:
        text = " ".join(map(str, args)).strip()
        if _tell and text.strip("."):
            _tell(f"esptool: {text}")

    def note(self, message: str) -> None:
        self.print(message)

    warning = error = note

    def stage(self, finish: bool = False) -> None:
        pass

    def progress_bar(
        self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30
    ) -> None:
        if _progress:
            _progress(cur_iter, total_iters)

    def set_verbosity(self, verbosity: str) -> None:
        pass


log.set_verbosity("silent")  # the logger that esptool began with: what it bound to that one stays so
log.set_logger(_QuietLog())


@contextmanager
def told_to(tell: Tell | None) -> Iterator[None]:
    """Inside, esptool's lines go to `tell`; to nobody when it is None."""
    global _tell
    before, _tell = _tell, tell
    try:
        yield
    finally:
        _tell = before


@contextmanager
def progress_to(progress: Progress) -> Iterator[None]:
    """Inside, how far esptool is goes to `progress` as (done, of), in esptool's units."""
    global _progress
    before, _progress = _progress, progress
    try:
        yield
    finally:
        _progress = before
