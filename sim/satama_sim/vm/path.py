"""Which MicroPython executable runs the firmware."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

LIFELINE = "SATAMA_LIFELINE"
# What `python -m micropython_unix` does, without Python's site packages: half the time, at every start of a board. When the last writer of
# the lifeline, a pipe, is gone, SIGIO ends the VM, even one that computes and asks nobody anything (Linux; fcntl(2), F_SETOWN).
_LAUNCH = """import fcntl, posix, sys
lifeline = posix.environ.get(b"SATAMA_LIFELINE")
if lifeline and sys.platform == "linux":
    fcntl.fcntl(int(lifeline), fcntl.F_SETOWN, posix.getpid())
    fcntl.fcntl(int(lifeline), fcntl.F_SETFL, posix.O_ASYNC)
sys.path.insert(0, {!r})
from micropython_run import run_main
sys.exit(run_main(["micropython", *sys.argv[1:]]))"""


class VmMissing(Exception):
    """No MicroPython VM on this machine; the text says what to do."""


def find_vm(executable: str | os.PathLike[str] | None = None) -> list[str]:
    """The command that starts the VM: the given executable, else the one of the pip package, else a `micropython` on the path."""
    if executable:
        found = shutil.which(str(executable))
        if not found:
            raise VmMissing(
                f"{executable} is no executable file -> give --vm the path of a MicroPython unix executable"
            )
        return [str(Path(found).resolve())]
    package = importlib.util.find_spec("micropython_run")
    if package and package.origin:
        return [sys.executable, "-I", "-S", "-c", _LAUNCH.format(str(Path(package.origin).parent))]
    found = shutil.which("micropython")
    if found:
        return [found]
    raise VmMissing(
        "no MicroPython VM found -> pip install 'satama[sim]'; where that package has no wheel for your platform, "
        "give --vm the path of any MicroPython unix executable (1.24 or later)"
    )
