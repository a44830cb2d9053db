"""Is anything missing? Holes in the record numbers of a gateway, and what it says the broker has acknowledged against what came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hole:
    """Record numbers `first` to `last` of this start of the gateway have not come, later ones have."""

    epoch: int
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Account:
    """Fed by the Collector. What lies before the first record that came, nobody here can judge.

    The device counts what was acknowledged, a report ("diag") comes behind it on the same connection: so everything that the count grew by
    between two reports must have come between them. Two of one start of the gateway are needed; after a restart the count begins at 0.
    """

    def __init__(self) -> None:
        self._seqs: dict[int, set[int]] = {}
        self._since: set[tuple[int, int, str]] = set()  # came since the report before
        self._epoch: int | None = None
        self._acknowledged = 0
        self.unseen = 0  # samples that were acknowledged, but never came here
        self.reports = 0

    def sample(self, key: tuple[int, int, str]) -> None:
        epoch, seq, _ = key
        self._since.add(key)
        if epoch >= 0 and seq >= 0:
            self._seqs.setdefault(epoch, set()).add(seq)

    def event(self, content: dict[str, Any]) -> None:
        """A journaled event is a record too, though no sample; one without a number is none."""
        epoch, seq = content.get("ep"), content.get("sq")
        if type(epoch) is int and type(seq) is int and epoch >= 0 and seq >= 0:
            self._seqs.setdefault(epoch, set()).add(seq)

    def diagnosed(self, content: dict[str, Any]) -> None:
        ledger, epoch = content.get("ledger"), content.get("epoch")
        if not isinstance(ledger, dict) or type(ledger.get("acknowledged")) is not int or type(epoch) is not int:
            return
        now = ledger["acknowledged"]
        if self._epoch is not None and epoch >= self._epoch:
            before = self._acknowledged if epoch == self._epoch else 0
            self.unseen += max(0, now - before - len(self._since))
            self.reports += 1
        self._epoch, self._acknowledged = epoch, now
        self._since.clear()

    def holes(self) -> list[Hole]:
        found = []
        for epoch in sorted(self._seqs):
            seqs = sorted(self._seqs[epoch])
            for before, after in zip(seqs, seqs[1:], strict=False):
                if after > before + 1:
                    found.append(Hole(epoch, before + 1, after - 1))
        return found
