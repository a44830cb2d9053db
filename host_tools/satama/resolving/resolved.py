"""A site whose every name leads somewhere: what resolve.py makes of a site file, and what the compiler works on."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from ..boards.board import Board
from ..core.problems import Key, Problem, Source
from ..core.scale import Scale
from ..profiles.profile import Calibration, Point, Profile
from ..site_file.derived import Known
from ..site_file.filters import compile_chain, compile_filters
from ..site_file.points import PointOptions
from ..site_file.privacy import Privacy
from ..site_file.site import Device, Site
from ..trust.certificates import Credentials


class Made(NamedTuple):
    """One stream that a point makes."""

    name: str
    kind: str
    klass: int
    period_s: int
    unit: str
    exponent: int


@dataclass(frozen=True)
class DerivedPoint:
    """What a profile's Point is to a device's point."""

    name: str
    quantity: str
    unit: str
    exponent: int
    kind: str
    klass: int


@dataclass(frozen=True)
class Signal:
    """A point as this site uses it. `read_s`: seconds between what is read, or derived."""

    name: str
    point: Point | DerivedPoint
    options: PointOptions
    key: Key  # where the site file speaks of it
    read_s: int
    privacy: Privacy | None

    @property
    def owner(self) -> str:
        """Id of the device or derivation that it belongs to."""
        return self.name.partition("/")[0]

    @property
    def period_s(self) -> int:
        """Seconds between the readings that filters and windows see."""
        return max(self.read_s, self.privacy.floor_s) if self.privacy else self.read_s

    @property
    def outputs(self) -> list[str]:
        """What is made a stream of: nothing of what must not leave the gateway."""
        if self.privacy and (self.privacy.local_only or self.privacy.aggregate_only):
            return []
        return list(self.options.window.outputs) if self.options.window else ["each"]

    @property
    def most_readings(self) -> int:
        """That a window can have."""
        return self.options.window.period_s // self.period_s

    @property
    def report(self) -> list[int] | None:
        """[change as a mantissa, heartbeat_s] of every stream, as the device's report.ByException takes them."""
        report = self.options.report
        return report and [Scale(self.point.exponent, self.point.unit).nearest(report.change), report.heartbeat_s]

    def chain(self) -> list[list]:
        """The specs of its filters for the device."""
        return compile_filters(self.point, self.options.filters)

    def stream(self, output: str) -> Made:
        """The stream that carries this output."""
        point = self.point
        if output == "each":
            return Made(self.name, point.kind, point.klass, self.period_s, point.unit, point.exponent)
        name, period_s = f"{self.name}/{output}", self.options.window.period_s
        if output == "count":
            return Made(name, "gauge", point.klass, period_s, "count", 0)
        kind = point.kind if output == "last" else "gauge"
        return Made(name, kind, point.klass, period_s, point.unit, point.exponent)


@dataclass(frozen=True)
class Channel(Signal):
    """A point of a device."""

    device: Device
    profile: Profile

    @property
    def calibration(self) -> Calibration | None:
        return self.options.calibration or self.point.calibration

    @property
    def per_pulse(self) -> Fraction | None:
        return self.options.per_pulse or self.point.per_pulse

    def chain(self) -> list[list]:
        return compile_chain(self.point, self.options.filters, self.options.per_pulse)


@dataclass
class Resolved:
    """A site whose every name leads somewhere. `gpios`: device id -> GPIO of its input, `references`: of its supply's."""

    site: Site
    source: Source
    board: Board
    profiles: dict[str, Profile] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)
    derived: list[Signal] = field(default_factory=list)  # what the [[derived]] blocks give, as far as it is wanted
    known: dict[str, Known] = field(default_factory=dict)  # all points, those that are derived too
    gpios: dict[str, int] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=Credentials)  # for TLS; empty with plain TCP
    warnings: list[Problem] = field(default_factory=list)
    pseudonymous: set[str] = field(default_factory=set)  # ids of devices and derivations whose names must not leave

    @property
    def signals(self) -> list[Signal]:
        """In the order of the compiled points."""
        return [*self.channels, *self.derived]

    @property
    def private(self) -> set[str]:
        """Ids of the devices of which some point is private."""
        return {channel.device.id for channel in self.channels if channel.privacy}
