"""Non-volatile storage: what is set becomes durable with commit, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable


class Nvs:
    """Keys are `namespace NUL key`; integers and blobs live in separate drawers, as in ESP-IDF. `full`: it takes nothing more."""

    def __init__(self) -> None:
        self.committed: dict[tuple[int, bytes], bytes] = {}
        self._pending: dict[tuple[int, bytes], bytes | None] = {}
        self.on_commit: Callable[[], None] = lambda: None
        self.full = False

    def reset(self) -> None:
        """A reset forgets what was not committed."""
        self._pending.clear()

    def get(self, kind: int, key: bytes) -> bytes | None:
        if (kind, key) in self._pending:
            return self._pending[kind, key]
        return self.committed.get((kind, key))

    def set(self, kind: int, key: bytes, value: bytes) -> bool:
        """False when there is no room."""
        if not self.full:
            self._pending[kind, key] = value
        return not self.full

    def erase(self, key: bytes) -> bool:
        found = False
        for kind in (0, 1):
            if self.get(kind, key) is not None:
                self._pending[kind, key] = None
                found = True
        return found

    def commit(self) -> None:
        for key, value in self._pending.items():
            if value is None:
                self.committed.pop(key, None)
            else:
                self.committed[key] = value
        self._pending.clear()
        self.on_commit()
