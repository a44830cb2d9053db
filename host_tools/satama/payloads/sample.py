"""One value of one stream, as it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .senml_resolve import ABSOLUTE


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a stream. `name`: its short name, as on the wire. `value` is None for a bad sample.

    `time` is Unix seconds, or relative to the sending while unknown. `uptime_ms`: when it was taken, where the gateway's clock was not
    set at that moment.
    """

    name: str
    time: int | Decimal
    value: int | Decimal | None
    reason: str  # empty: good
    epoch: int
    seq: int
    uptime_ms: int | None = None

    @property
    def key(self) -> tuple[int, int, str]:
        """What makes a duplicate recognisable."""
        return self.epoch, self.seq, self.name

    @property
    def absolute(self) -> bool:
        return self.time >= ABSOLUTE

    @property
    def quality(self) -> str:
        return "bad" if self.value is None else "uncertain" if self.reason else "good"
