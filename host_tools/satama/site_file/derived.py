"""Derived quantities that a site file may name: their form, what they give, and what they compute, in words.

Keys with values are in the unit of the point that they speak of. What makes no sense together, resolving/derived_rules.py
refuses; derived_numbers.py lays them out for the device.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, NamedTuple, get_args

from pydantic import Field

from ..core.name import Name
from ..core.problems import Key, Strict
from ..core.quantities import QUANTITIES, Number
from ..core.scale import Told
from .filter_values import Curve, Seconds
from .points import PointName, PointOptions

Confirm = Annotated[int, Field(ge=1, le=31)]
Digits = Annotated[int, Field(ge=-9, le=9)]
Heartbeat = Annotated[int, Field(ge=60, le=86400)]
_CONFIRM = "readings in a row that it takes, 1..31"
_HEARTBEAT = "seconds between reports while nothing changes, 60..86400"
_EXPONENT = "published decimal exponent, -9..9; the quantity's own if left out"
_OVER = "seconds that it is averaged over, 1..604800"


class Known(NamedTuple):
    """What there is to know of a point that others are derived from."""

    unit: str
    exponent: int
    kind: str
    quantity: str


class Given(NamedTuple):
    """A point that a derivation gives, `name` without that of the derivation."""

    name: str
    quantity: str
    unit: str
    exponent: int
    kind: str
    klass: int


def _given(name: str, quantity: str, exponent: int | None = None, unit: str | None = None) -> Given:
    usual = QUANTITIES[quantity]
    digits = usual.exponent if exponent is None else exponent
    return Given(name, quantity, usual.units[0] if unit is None else unit, digits, usual.kind, usual.klass)


class _Derived(Strict):
    """`single`: keys that name a point; `lists`: keys that name several; `reasons`: what it can give of its own."""

    id: Name = Field(description="name of the derivation, unique among the devices and derivations of the site")
    points: list[PointName] | None = Field(None, description="which of its points are wanted; all if left out")
    point: dict[str, PointOptions] = Field({}, description="[derived.point.NAME] options of one of its points")
    single: ClassVar[tuple[str, ...]] = ()
    lists: ClassVar[tuple[str, ...]] = ()
    reasons: ClassVar[tuple[str, ...]] = ("incomplete",)

    def sources(self) -> Iterator[tuple[Key, str]]:
        """(key, name) of every point that it is derived from, in the order of the device."""
        for key in self.single:
            if getattr(self, key) is not None:
                yield (key,), getattr(self, key)
        for key in self.lists:
            yield from (((key, at), name) for at, name in enumerate(getattr(self, key)))

    def gives(self, known: dict[str, Known]) -> list[Given]:
        """All the points that it can give, those that are not wanted too. Its sources are known."""
        raise NotImplementedError

    def wants(self, name: str) -> bool:
        return self.points is None or name in self.points

    def explain(self) -> Told:
        raise NotImplementedError


class Bin(_Derived):
    kind: Literal["bin"]
    distance: PointName = Field(description='point of the sensor in the lid, e.g. "bin-1/distance"')
    temperature: PointName | None = Field(None, description="point of the air temperature in the bin, for ultrasound")
    assumed_cel: int = Field(
        20, ge=-40, le=60, description="temperature that the sensor itself computes with, usual 20"
    )
    height: Number = Field(gt=0, description="from the sensor down to the floor of the bin")
    blanking: Number = Field(
        ge=0, description="closer than this the sensor sees nothing; 30 mm to 280 mm, see its manual"
    )
    full_at: Number = Field(gt=0, description="distance at which the bin counts as full")
    margin: Number = Field(Decimal(0), ge=0, description="how far beyond the floor an echo is still believed")
    shape: Curve | None = Field(None, description="[[height, volume], ..] of the material; straight walls if left out")
    emptied_by: Number = Field(Decimal(30), ge=1, le=100, description="fall in percent that is an emptying, 1..100")
    confirm: Confirm = Field(3, description=_CONFIRM)
    rate_s: Seconds = Field(21600, description="seconds that the fill rate is averaged over, 1..604800")
    single = ("distance", "temperature")
    reasons = ("near_echo", "no_echo", "incomplete", "estimated", "no_data", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [
            _given("fill", "fill", -1),
            _given("fill_rate", "fill_per_hour"),
            _given("time_to_full", "duration", 0, "min"),
            _given("emptied", "count"),
        ]

    def explain(self) -> Told:
        sound = f" * (331.3 + 0.606 t) / (331.3 + 0.606 * {self.assumed_cel})" if self.temperature else ""
        formula = f"fill = volume({self.height:f} - x{sound}) / volume({self.height:f} - {self.full_at:f}) * 100 %"
        near = f"an echo within {self.blanking:f} is uncertain, {self.confirm} in a row are bad: full or dirty"
        none = f"one beyond {self.height + self.margin:f} is none"
        fall = f"emptied when it falls by {self.emptied_by:f} % for {self.confirm} readings"
        return Told(formula, f"{near}; {none}; {fall}; rate per hour over {self.rate_s} s, since the last emptying")


class Soil(_Derived):
    kind: Literal["soil"]
    permittivity: PointName | None = Field(None, description="point with the relative permittivity, for Topp's formula")
    raw: PointName | None = Field(None, description="point with whatever the probe gives, for a table")
    table: Curve | None = Field(None, description="[[raw, percent of volume], ..], 2 to 16 points, raw ascending")
    field_capacity: Number | None = Field(None, gt=0, le=100, description="percent of volume that this soil holds")
    wilting_point: Number | None = Field(None, ge=0, lt=100, description="percent of volume that plants cannot take")
    single = ("permittivity", "raw")
    reasons = ("incomplete", "out_of_range", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        water = _given("water_content", "soil_moisture")
        return [water] if self.field_capacity is None else [water, _given("depletion", "water_depletion")]

    def explain(self) -> Told:
        formula = "y = -5.3 + 2.92 e - 0.055 e^2 + 0.00043 e^3 % (Topp et al. 1980)"
        if self.table:
            formula = "y on straight lines through " + ", ".join(f"{x:f} -> {y:f} %" for x, y in self.table)
        used = f"depletion = ({self.field_capacity} - y) / ({self.field_capacity} - {self.wilting_point}) * 100 %"
        return Told(formula, used if self.field_capacity is not None else "0 to 100 %")


class Flow(_Derived):
    kind: Literal["flow"]
    volume: PointName = Field(description="point with the volume counter")
    over_s: Seconds = Field(60, description=_OVER)
    unit: Literal["l/s", "m3/s", "m3/h", "l/h"] = Field("l/s", description="unit of the flow")
    exponent: Digits | None = Field(None, description=_EXPONENT)
    single = ("volume",)
    reasons = ("incomplete", "no_data", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("volume_flow", "volume_flow", self.exponent, self.unit)]

    def explain(self) -> Told:
        return Told(f"y = (x - x {self.over_s} s ago) / seconds between", "a counter that falls begins anew")


class Power(_Derived):
    kind: Literal["power"]
    energy: PointName = Field(description="point with the energy counter")
    over_s: Seconds = Field(60, description=_OVER)
    unit: Literal["W", "kW"] = Field("W", description="unit of the power")
    exponent: Digits | None = Field(None, description=_EXPONENT)
    single = ("energy",)
    reasons = ("incomplete", "no_data", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("active_power", "active_power", self.exponent, self.unit)]

    def explain(self) -> Told:
        return Told(f"y = (x - x {self.over_s} s ago) / seconds between", "a counter that falls begins anew")


_GAP = "longest silence in seconds that is bridged; what passed in a longer one is not counted, 1..604800"


class Volume(_Derived):
    kind: Literal["volume"]
    flow: PointName = Field(description="point with the flow; below 0 it counts nothing")
    gap_s: Seconds = Field(300, description=_GAP)
    unit: Literal["l", "m3"] = Field("l", description="unit of the volume")
    exponent: Digits | None = Field(None, description=_EXPONENT)
    single = ("flow",)
    reasons = ("incomplete", "reset", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("volume", "volume", self.exponent, self.unit)]

    def explain(self) -> Told:
        return Told("y = y + (x before + x) / 2 * seconds between", f"silence above {self.gap_s} s is not counted")


class Energy(_Derived):
    kind: Literal["energy"]
    power: PointName = Field(description="point with the power")
    direction: Literal["import", "export"] = Field("import", description="export counts what is below 0")
    gap_s: Seconds = Field(300, description=_GAP)
    unit: Literal["kWh", "Wh"] = Field("kWh", description="unit of the energy")
    exponent: Digits | None = Field(None, description=_EXPONENT)
    single = ("power",)
    reasons = ("incomplete", "reset", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("energy", f"active_energy_{self.direction}", self.exponent, self.unit)]

    def explain(self) -> Told:
        sign = "-" if self.direction == "export" else ""
        formula = f"y = y + (x before + x) / 2 * seconds between, x = max(0, {sign}power)"
        return Told(formula, f"silence above {self.gap_s} s is not counted")


class Leak(_Derived):
    kind: Literal["leak"]
    flow: PointName = Field(description="point with the flow")
    zero: Number = Field(Decimal(0), ge=0, description="flow that still counts as none, in the unit of the flow")
    quiet_s: Seconds = Field(3600, description="seconds without flow that prove that nothing leaks, 1..604800")
    after_h: int = Field(
        24, ge=0, le=168, description="hours without such a rest that make it suspicious; 0: not watched"
    )
    valve: PointName | None = Field(None, description="point with the valve's state")
    closed_code: int = Field(0, description="state of the valve that means closed")
    closed_limit: Number = Field(Decimal(0), ge=0, description="flow through a closed valve that is still believed")
    closed_after_s: Seconds = Field(60, description="seconds that it must flow through the closed valve, 1..604800")
    heartbeat_s: Heartbeat = Field(3600, description=_HEARTBEAT)
    single = ("flow", "valve")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("leak", "alarm_state")]

    def explain(self) -> Told:
        ways = []
        if self.after_h:
            ways.append(f"never x <= {self.zero:f} for {self.quiet_s} s in {self.after_h} h")
        if self.valve:
            ways.append(f"x > {self.closed_limit:f} for {self.closed_after_s} s while the valve is {self.closed_code}")
        return Told("y = 1 if " + ", or ".join(ways), "time in which the flow is not known counts neither way")


class Sum(_Derived):
    kind: Literal["sum"]
    members: list[PointName] = Field(min_length=2, max_length=32, description="2 to 32 points of one unit")
    least: int | None = Field(None, ge=1, le=32, description="how many must be good; all if left out")
    exponent: Digits | None = Field(None, description="published decimal exponent; the finest of the members'")
    lists = ("members",)
    reasons = ("incomplete", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_across(self, known, [known[name] for name in self.members])]

    def explain(self) -> Told:
        least = len(self.members) if self.least is None else self.least
        return Told("y = " + " + ".join(self.members), f"bad while fewer than {least} of them are usable")


class Difference(_Derived):
    kind: Literal["difference"]
    first: PointName = Field(description="point that is taken from")
    minus: list[PointName] = Field(min_length=1, max_length=31, description="1 to 31 points of the same unit")
    exponent: Digits | None = Field(None, description="published decimal exponent; the finest of the points'")
    single = ("first",)
    lists = ("minus",)
    reasons = ("incomplete", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_across(self, known, [known[self.first], *(known[name] for name in self.minus)])]

    def explain(self) -> Told:
        return Told(f"y = {self.first} - " + " - ".join(self.minus), "bad while one of them is")


def _across(step: Sum | Difference, known: dict[str, Known], members: list[Known]) -> Given:
    """What adds up is of its members' quantity; a difference of counters can fall, so it is a gauge."""
    first = members[0]
    exponent = min(member.exponent for member in members) if step.exponent is None else step.exponent
    counted = step.kind == "sum" and all(member.kind == "counter" for member in members)
    quantity = QUANTITIES[first.quantity]
    kind, klass = ("counter", quantity.klass) if counted else ("gauge", QUANTITIES["active_power"].klass)
    return Given(step.kind, first.quantity, first.unit, exponent, kind, klass)


class Imbalance(_Derived):
    kind: Literal["imbalance"]
    phases: list[PointName] = Field(min_length=3, max_length=3, description="the points of the three phases")
    floor: Number = Field(gt=0, description="mean below which it says nothing, in the unit of the phases")
    lists = ("phases",)
    reasons = ("incomplete", "overflow")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("imbalance", "imbalance")]

    def explain(self) -> Told:
        words = f"as NEMA MG 1 defines it; bad while |mean| is below {self.floor:f}"
        return Told("y = largest |x - mean| / |mean| * 100 %", words)


class TemperatureAlarm(_Derived):
    kind: Literal["temperature_alarm"]
    temperature: PointName = Field(description="point with the temperature")
    above: Number | None = Field(None, description="alarm at this temperature or above")
    hysteresis: Number = Field(Decimal(2), gt=0, description="it ends so far below")
    rise: Number | None = Field(None, gt=0, description="alarm at such a rise within rise_s: fire, e.g. 10")
    rise_s: Seconds = Field(120, description="seconds for the rise, 1..604800")
    confirm: Confirm = Field(2, description=_CONFIRM)
    heartbeat_s: Heartbeat = Field(3600, description=_HEARTBEAT)
    single = ("temperature",)

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("alarm", "alarm_state")]

    def explain(self) -> Told:
        ways = [] if self.above is None else [f"x >= {self.above:f}"]
        ways += [] if self.rise is None else [f"x >= lowest of the last {self.rise_s} s + {self.rise:f}"]
        end = "ends with the rise" if self.above is None else f"0 if x <= {self.above - self.hysteresis:f} without it"
        return Told("y = 1 if " + " or ".join(ways), f"{end}; {self.confirm} readings in a row confirm either")


class Tilt(_Derived):
    kind: Literal["tilt"]
    contact: PointName | None = Field(None, description="point with a tilt switch")
    tilted_code: Literal[0, 1] = Field(1, description="its state when it lies, 0 or 1")
    angle: PointName | None = Field(None, description="point with an angle in degrees")
    upright: Number = Field(Decimal(0), description="the angle when it stands")
    most: Number = Field(Decimal(30), gt=0, description="so far from upright it lies")
    hysteresis: Number = Field(Decimal(5), gt=0, description="it stands again so much closer")
    confirm: Confirm = Field(3, description=_CONFIRM)
    heartbeat_s: Heartbeat = Field(3600, description=_HEARTBEAT)
    single = ("contact", "angle")

    def gives(self, known: dict[str, Known]) -> list[Given]:
        return [_given("tilt", "alarm_state")]

    def explain(self) -> Told:
        formula = f"y = 1 if x = {self.tilted_code}"
        if self.angle:
            back = self.most - self.hysteresis
            formula = f"y = 1 if |x - {self.upright:f}| >= {self.most:f}, 0 if <= {back:f}"
        return Told(formula, f"{self.confirm} readings in a row confirm it")


Derived = Annotated[
    Bin | Soil | Flow | Volume | Power | Energy | Leak | Sum | Difference | Imbalance | TemperatureAlarm | Tilt,
    Field(discriminator="kind"),
]
DERIVED: tuple[type[_Derived], ...] = get_args(get_args(Derived)[0])
