"""Privacy profiles: what of a household may leave its gateway, and how fine. The device enforces it where values come in."""

from typing import NamedTuple

from pydantic import Field

from ..core.problems import Strict
from .points import Period

FEWEST_HOUSEHOLDS = 5
"""So many different devices make a sum from which none of them can be told; fewer may not be published (design choice, as in
statistical offices' rules of thumb of three to ten)."""


class Privacy(Strict):
    floor_s: Period = Field(900, description="nothing leaves finer than one value in so many seconds, usual 900")
    pseudonym: bool = Field(False, description="true: device and streams are called by a keyed hash of their names")
    local_only: bool = Field(False, description="true: shown on the console, never stored or sent")
    aggregate_only: bool = Field(False, description="true: never shown; only sums over at least 5 devices are")
    retention_h: int | None = Field(
        None, ge=1, le=8760, description="hours after which flash is wiped of it, sent or not; never if left out"
    )


class Reduction(NamedTuple):
    """What the device does to the readings of a private point."""

    floor_s: int
    output: str  # mean or last
    hidden: int


def reduction(privacy: Privacy, kind: str, period_s: int) -> Reduction:
    """A gauge is averaged; of a counter or a state the last reading counts. `period_s`: what comes out, never below the floor."""
    return Reduction(period_s, "mean" if kind == "gauge" else "last", int(privacy.aggregate_only))
