"""The file that a chip's flash comes from, and that it goes to at the end."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from pathlib import Path
from typing import BinaryIO

_OWNER_ONLY = 0o600  # passphrase and keys of the gateway are in it


class FlashFile:
    """Where the content of a chip comes from, and where it goes to: a file, or nowhere (`source` is bytes, or None).

    From `read` to `write` the file is locked: of two boards on one file the later would undo the earlier one's life.
    """

    def __init__(self, source: bytes | os.PathLike[str] | None, size: int):
        self._content = source if isinstance(source, bytes) else b""
        self._path = None if source is None or isinstance(source, bytes) else Path(source)
        self._size = size
        self._held: BinaryIO | None = None

    def read(self) -> bytes:
        """At most `size` bytes; b"" where there is nothing yet. Raises ValueError for what no such chip can hold, and for what could
        not be written at the end."""
        content = self._taken(self._path) if self._path else self._content
        if self._path and content and len(content) != self._size:
            self.let_go()
            raise ValueError(
                f"{self._path} has {len(content)} bytes, but the board's flash has {self._size} -> another file, "
                "or the board that it belongs to"
            )
        if len(content) > self._size:
            raise ValueError(f"{len(content)} bytes do not fit the board's flash of {self._size} -> a smaller image")
        return content

    def _taken(self, path: Path) -> bytes:
        if path.exists() and not path.is_file():  # a folder, or a device, in whose place there would be a file
            raise ValueError(f"{path} is no file -> the name of a file in a folder of your own")
        if not os.access(path.resolve().parent, os.W_OK):
            raise ValueError(f"{path} cannot be written at the end -> a file in a folder of your own")
        if path.exists() and not path.stat().st_mode & 0o222:  # root may write whatever the file's rights say
            raise ValueError(f"{path} is write-protected -> chmod u+w {path}, or a copy of it")
        try:
            held = open(os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY), "r+b")  # noqa: SIM115  held until the end
        except OSError as error:
            raise ValueError(f"{path} cannot be opened: {error.strerror} -> a file of your own") from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise ValueError(f"{path} is the flash of a board that runs -> end that one, or another file") from None
        self._held = held
        return held.read()

    def write(self, content: bytes | bytearray | mmap.mmap) -> None:
        """Into the file, whole or not at all. Raises ValueError."""
        if self._held is None:
            return
        assert self._path
        path = self._path.resolve()  # a link stays a link
        fresh = path.with_name(path.name + ".new")
        try:
            rights = stat.S_IMODE(os.fstat(self._held.fileno()).st_mode)
            fresh.unlink(missing_ok=True)
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
                file.write(content)
            fresh.chmod(rights)
            os.replace(fresh, path)
        except OSError as error:
            raise ValueError(f"{path} cannot be written: {error.strerror} -> a folder of your own") from None
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Of the file, as it is."""
        if self._held:
            self._held.close()
            self._held = None
