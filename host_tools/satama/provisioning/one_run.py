"""One run at a time in a folder, by a file that is locked. The system takes the lock back however the run ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.problems import Problem, Problems

LOCK_FILE = ".lock"


@contextmanager
def one_run(folder: Path, what: str, other: str) -> Iterator[None]:
    """Nobody else is in here with this folder, which is made if need be. `what` is written there; `other`: how to take
    another folder.

    Raises Problems: another run is at work there, or the folder cannot be written to.
    """
    path = folder / LOCK_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        hint = f"is the folder writable, and is there space? {other}"
        raise Problems([Problem(folder, None, "", f"{what} cannot be written: {error.strerror}", hint)]) from None
    try:
        if not _locked(file):
            raise Problems([Problem(folder, None, "", f"another run is writing {what}", f"let it end; {other}")])
        yield
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    """Whether it is ours until it is closed. A filesystem that knows no locks (some network drives) is taken as it is."""
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
