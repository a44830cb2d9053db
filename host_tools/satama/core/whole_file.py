"""A file replaced in one step: the old one or the new one, never half of it."""

import os
from pathlib import Path

from .problems import Problem, Problems


def write_whole(path: Path, data: bytes, secret: bool = False) -> None:
    """Replace a file in one step, so that a crash leaves the old one or the new one. Raises Problems if impossible.

    secret   holds passwords or keys: for the owner's eyes only
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and path.read_bytes() == data:
            if secret:
                path.chmod(0o600)
            return
        mode = 0o600 if secret else 0o666
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        hint = "is the folder writable, and is there space?"
        raise Problems([Problem(path, None, "", f"the file cannot be written: {error.strerror}", hint)]) from None
