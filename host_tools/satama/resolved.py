"""A site whose every name leads somewhere: what resolve.py makes of a site file, and what the compiler works on."""

from dataclasses import dataclass, field
from fractions import Fraction

from .board import Board
from .problems import Key, Problem, Source
from .profile import Calibration, Point, Profile
from .site import Device, PointOptions, Site


@dataclass(frozen=True)
class Channel:
    """One point of one device, as this site uses it."""

    device: Device
    profile: Profile
    point: Point
    options: PointOptions
    key: Key  # where the site file speaks of it

    @property
    def name(self) -> str:
        return f"{self.device.id}/{self.point.name}"

    @property
    def period_s(self) -> int:
        return self.options.period_s or self.device.period_s

    @property
    def outputs(self) -> list[str]:
        return list(self.options.window.outputs) if self.options.window else ["each"]

    @property
    def calibration(self) -> Calibration | None:
        return self.options.calibration or self.point.calibration

    @property
    def per_pulse(self) -> Fraction | None:
        return self.options.per_pulse or self.point.per_pulse

    def stream(self, output: str) -> tuple[str, str, int, int]:
        """(name, kind, class, period in seconds) of the stream that carries this output."""
        klass = self.point.klass
        if output == "each":
            return self.name, self.point.kind, klass, self.period_s
        kind = self.point.kind if output == "last" else "gauge"
        return f"{self.name}/{output}", kind, klass, self.options.window.period_s


@dataclass
class Resolved:
    """A site whose every name leads somewhere. `gpios`: device id -> GPIO of its input, `references`: of its supply's."""

    site: Site
    source: Source
    board: Board
    profiles: dict[str, Profile] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)
    gpios: dict[str, int] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
