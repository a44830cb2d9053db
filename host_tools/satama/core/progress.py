"""What a command that takes its time shows: a bar on a terminal, plain lines elsewhere, JSON events for tools.

with reporter(as_json) as report:
    with report.step("write application", 155_000) as step:
        step.to(4096)
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

_EVERY_S = 1.0  # how often a line or an event tells of progress


class Step(Protocol):
    def to(self, done: int, of: int | None = None) -> None:
        """So much is done now, of so much in all (bytes, cuts, checks); `of` where it was not known before."""


class Reporter:
    """Of one command. `say` is for people, `event` for tools; each kind of reporter ignores the other. Errors are the command's own."""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, text: str) -> None:
        """A sentence."""

    def event(self, name: str, **about: Any) -> None:
        """{"event": name, ...} on a line of its own."""

    @contextmanager
    def step(self, name: str, of: int = 0) -> Iterator[Step]:
        """Something that takes its time. `of`: how much there is to do, 0 while nobody knows."""
        raise NotImplementedError


@contextmanager
def _listener_may_go(stream: TextIO) -> Iterator[None]:
    """Nobody listens any more (`| head`, a terminal that was closed): what is being done to a board goes on in silence."""
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # the interpreter flushes it at its end
        os.close(nowhere)


def _print(text: str, stream: TextIO | None) -> None:
    if stream is not None:  # None: the command was started with it closed
        with _listener_may_go(stream):
            print(text, file=stream, flush=True)


class _Share(TaskProgressColumn):
    """Percent, where it is known how much there is to do."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:>3.0f} %")


class Bars(Reporter):
    """On a terminal, on stderr: what is written to stdout stays clean."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), _Share(), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        with _listener_may_go(sys.stderr):
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str, of: int = 0) -> Iterator[Step]:
        task = self._progress.add_task(name, total=of or None)
        progress = self._progress

        class Bar:
            def to(self, done: int, of: int | None = None) -> None:
                progress.update(task, completed=done, **({} if of is None else {"total": of}))

        try:
            yield Bar()
        finally:
            progress.remove_task(task)


class _Told:
    """A step of those that tell now and then, and at the end."""

    def __init__(self, tell: Any, of: int):
        self._tell, self.done, self.of = tell, 0, of
        self._next = time.monotonic() + _EVERY_S

    def to(self, done: int, of: int | None = None) -> None:
        self.done, self.of = done, self.of if of is None else of
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self._tell(self.done, self.of)


class Lines(Reporter):
    """Not on a terminal: a line at the beginning of a step, and now and then one on its way, on stderr."""

    def say(self, text: str) -> None:
        _print(text, sys.stderr)

    @contextmanager
    def step(self, name: str, of: int = 0) -> Iterator[Step]:
        self.say(f"{name} ...")
        yield _Told(lambda done, of: self.say(f"{name}: {100 * done // of} %" if of else f"{name}: {done}"), of)


class Events(Reporter):
    """For tools: one JSON object a line, on stdout."""

    def event(self, name: str, **about: Any) -> None:
        _print(json.dumps({"event": name, **about}), sys.stdout)

    @contextmanager
    def step(self, name: str, of: int = 0) -> Iterator[Step]:
        self.event("begin", step=name, of=of)
        step = _Told(lambda done, of: self.event("progress", step=name, done=done, of=of), of)
        yield step
        self.event("end", step=name, done=step.done, of=step.of)


def reporter(as_json: bool) -> Reporter:
    """The one that suits where the output goes."""
    if as_json:
        return Events()
    return Bars() if sys.stderr is not None and sys.stderr.isatty() else Lines()
