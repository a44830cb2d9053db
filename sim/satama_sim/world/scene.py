"""What all models of one world share: the seed, the clock, the weather, the planting beds."""

from dataclasses import dataclass, field
from typing import Any

from .weather import Weather


class Clock:
    """The world's time: `step`, seconds since the start, and `version`, new whenever any value may have changed."""

    __slots__ = ("step", "version")

    def __init__(self) -> None:
        self.step = 0
        self.version = 0


@dataclass
class Scene:
    seed: int
    weather: Weather
    clock: Clock = field(default_factory=Clock)
    beds: dict[str, Any] = field(default_factory=dict)  # planting beds by name
