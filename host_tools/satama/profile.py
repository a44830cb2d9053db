"""Device types: firmware/profiles/<name>.toml, the only place where a register address may stand."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from . import places
from .problems import Problem, Problems, Source, Strict, Wrong, closest
from .quantities import QUANTITIES, Calibration, Kind, Number, Ratio, Span

REGISTERS = {"bool": 1, "u16": 1, "s16": 1, "u32": 2, "s32": 2, "f32": 2, "u64": 4, "s64": 4, "f64": 4}
BIT_FUNCTIONS, WORD_FUNCTIONS = (1, 2), (3, 4)  # Modbus: read coils, discrete inputs; holding, input registers

DataType = Literal["bool", "u16", "s16", "u32", "s32", "f32", "u64", "s64", "f64"]
Interface = Literal["modbus", "analog", "pulse"]
BAUD_RATES = (1200, 2400, 4800, 9600, 14400, 19200, 38400, 57600, 115200)


def _name(value: Any) -> str:
    allowed = "A-Z a-z 0-9 - : . _ , at most 32, the first a letter or digit (RFC 8428 section 4.5.1)"
    if not isinstance(value, str):
        raise Wrong("must be text in quotes", allowed)
    plain = value.isascii() and all(c.isalnum() or c in "-:._" for c in value)
    if not plain or not value[:1].isalnum() or len(value) > 32:
        raise Wrong("is not a valid name", allowed)
    return value


def _baud(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong("must be a whole number", f"one of {', '.join(map(str, BAUD_RATES))}")
    if value not in BAUD_RATES:
        nearest = min(BAUD_RATES, key=lambda rate: abs(rate - value))
        raise Wrong("is not a usual baud rate", f"nearest is {nearest}; one of {', '.join(map(str, BAUD_RATES))}")
    return value


Name = Annotated[str, BeforeValidator(_name)]
Baud = Annotated[int, BeforeValidator(_baud)]
Parity = Literal["N", "E", "O"]
StopBits = Literal[1, 2]


def _quantity(value: Any) -> str:
    if not isinstance(value, str) or value not in QUANTITIES:
        raise Wrong("is not a known quantity", closest(value, QUANTITIES))
    return value


QuantityName = Annotated[str, BeforeValidator(_quantity)]


class Serial(Strict):
    """Serial settings as the device leaves its factory."""

    baud: Baud = Field(description="bits per second")
    parity: Parity = Field(description="N, E or O")
    stop_bits: StopBits = Field(description="1 or 2")
    unit: int | None = Field(None, ge=1, le=247, description="Modbus unit id; left out where the factory sets none")


class Limits(Strict):
    """What the device bears: registers (or bits) in one read, and its timing in milliseconds."""

    max_registers: int = Field(description="most registers in one read, 1..125", ge=1, le=125)
    max_bits: int = Field(2000, description="most coils or inputs in one read, 1..2000", ge=1, le=2000)
    gap_ms: int = Field(description="silence the device wants between requests, 0..2000", ge=0, le=2000)
    turnaround_ms: int = Field(
        description="typical time from end of request to start of answer, 0..5000", ge=0, le=5000
    )
    timeout_ms: int = Field(
        description="longest time from end of request to start of answer, 10..10000", ge=10, le=10000
    )


class Analog(Strict):
    """How the ADC reads the sensor."""

    attenuation_db: Literal[0, 6, 11] = Field(11, description="input attenuation: 0, 6 or 11 dB")
    samples: int = Field(16, ge=1, le=64, description="readings averaged for one value, 1..64")


class Pulse(Strict):
    """How pulses are told from bounce."""

    edge: Literal["falling", "rising"] = Field(description="the edge that counts: falling or rising")
    debounce_ms: int = Field(0, ge=0, le=1000, description="edges closer than this are one pulse, 0..1000")
    max_hz: int = Field(ge=1, le=10000, description="highest pulse rate, 1..10000")


class Point(Strict):
    """One value of a device. `range` and `calibration` are in the unit; `invalid` are raw bit patterns, unsigned."""

    name: Name = Field(description="short name, unique in the profile")
    quantity: QuantityName = Field(description="what is measured, from satama.quantities")
    unit: str = Field(description="SenML unit that fits the quantity")
    kind: Kind = Field("gauge", description="gauge, counter or state; the quantity's own if left out")
    exponent: int = Field(0, ge=-9, le=9, description="published decimal exponent; the quantity's own if left out")
    range: Span | None = Field(None, description="[lowest, highest] physically possible, in the unit")
    function: Literal[1, 2, 3, 4] | None = Field(None, description="Modbus read function: 1, 2 for bool, else 3, 4")
    address: int | None = Field(None, ge=0, le=65535, description="0-based PDU address, 0..65535")
    type: DataType | None = Field(None, description=f"one of {', '.join(REGISTERS)}")
    word_order: Literal["big", "little"] = Field("big", description="big: most significant word first; or little")
    scale: Number = Field(Decimal(1), description="exact factor from raw number to unit")
    invalid: list[int | Literal["NaN"]] = Field([], description="raw patterns that mean no value; NaN always does")
    calibration: Calibration | None = Field(None, description="[[microvolts, value], [microvolts, value]]")
    per_pulse: Ratio | None = Field(None, description='units per pulse: a number, or a ratio like "1/450"')
    source: str = Field(description="who says so: keys of the profile's sources")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """What a point leaves out, its quantity knows."""
        usual = QUANTITIES.get(data.get("quantity")) if isinstance(data, dict) else None
        return {"kind": usual.kind, "exponent": usual.exponent, **data} if usual else data

    @property
    def registers(self) -> int:
        """Number of 16-bit registers (of bits, for bool) that the value takes; 0 if it is not read over Modbus."""
        return REGISTERS[self.type] if self.type else 0

    @property
    def klass(self) -> int:
        """Delivery class: 0 alarm, 1 counter, 2 telemetry."""
        return QUANTITIES[self.quantity].klass


class Profile(Strict):
    """A device type. Which of serial, limits, analog and pulse it has follows from its interface."""

    name: Name = Field(description="equals the file's name without .toml")
    vendor: str = Field(description="who makes it")
    model: str = Field(description="what it says on the device")
    kind: str = Field(description="what the device is, e.g. electricity_meter")
    interface: Interface = Field(description="modbus, analog or pulse")
    sources: list[str] = Field(description="where the facts come from", min_length=1)
    serial: Serial | None = Field(None, description="[serial] baud, parity, stop_bits, unit: factory defaults")
    limits: Limits | None = Field(None, description="[limits] max_registers, gap_ms, turnaround_ms, timeout_ms")
    analog: Analog | None = Field(None, description="[analog] attenuation_db, samples")
    pulse: Pulse | None = Field(None, description="[pulse] edge, debounce_ms, max_hz")
    points: list[Point] = Field(alias="point", min_length=1, description="[[point]] blocks")

    def point(self, name: str) -> Point | None:
        """The point of that name, or None."""
        return next((p for p in self.points if p.name == name), None)


def list_profiles() -> list[str]:
    """Names of the device types that come with Satama, sorted."""
    return sorted(path.stem for path in places.PROFILES.glob("*.toml"))


def profile_path(name_or_path: str | Path, base: Path | None = None) -> Path:
    """Where a profile lies: a plain name is one of ours; with a slash or .toml it is a path, relative to `base`."""
    text = str(name_or_path)
    if "/" in text or text.endswith(".toml"):
        return (base or Path()) / text
    return places.PROFILES / f"{text}.toml"


def load_profile(name_or_path: str | Path, base: Path | None = None) -> Profile:
    """A profile by name or path (see profile_path). Raises Problems: missing, or with mistakes."""
    path = profile_path(name_or_path, base)
    if path.parent == places.PROFILES and not path.exists():
        what = f"there is no profile named '{name_or_path}'"
        raise Problems([Problem(path, None, "", what, closest(name_or_path, list_profiles(), "profiles"))])
    source = Source.read(path, "profile")
    profile = source.parse(Profile)
    problems = list(_check(profile, source))
    if problems:
        raise Problems(problems)
    return profile


_SECTIONS = {"modbus": ("serial", "limits"), "analog": ("analog",), "pulse": ("pulse",)}
_POINT_KEYS = {"modbus": ("function", "address", "type"), "analog": ("calibration",), "pulse": ("per_pulse",)}
_MODBUS_ONLY = ("word_order", "scale", "invalid")


def _check(profile: Profile, source: Source) -> Iterator[Problem]:
    """What no single field can tell."""
    if profile.name != source.path.stem:
        yield source.problem(
            ("name",),
            f'name = "{profile.name}", but the file is {source.path.name}',
            f'name = "{source.path.stem}", or rename the file',
        )
    for interface, sections in _SECTIONS.items():
        for section in sections:
            if (getattr(profile, section) is None) == (interface == profile.interface):
                verb = "needs" if interface == profile.interface else "must not have"
                yield source.problem((section,), f'a profile with interface = "{profile.interface}" {verb} [{section}]')
    if profile.interface != "modbus" and len(profile.points) != 1:
        yield source.problem(("point", 1), f"one pin gives one value, but there are {len(profile.points)} points")
    seen: set[str] = set()
    for index, point in enumerate(profile.points):
        if point.name in seen:
            yield source.problem(("point", index, "name"), "another point has this name", "names must be unique")
        seen.add(point.name)
        for key, what, hint in _check_point(profile, point):
            yield source.problem(("point", index, key), what, hint)


def _check_point(profile: Profile, point: Point) -> Iterator[tuple[str, str, str]]:
    quantity = QUANTITIES[point.quantity]
    if point.unit not in quantity.units:
        units = ", ".join(f'"{unit}"' for unit in quantity.units)
        yield "unit", f'unit = "{point.unit}" does not fit the quantity {point.quantity}', f"one of {units}"
    for interface, keys in _POINT_KEYS.items():
        for key in keys:
            if (getattr(point, key) is None) == (interface == profile.interface):
                verb = "needs" if interface == profile.interface else "must not have"
                yield key, f"a point of a profile with interface = \"{profile.interface}\" {verb} '{key}'", ""
    for key in _MODBUS_ONLY:
        if profile.interface != "modbus" and key in point.model_fields_set:
            yield key, f"'{key}' belongs to Modbus, not to interface = \"{profile.interface}\"", f"remove {key}"
    if profile.interface == "modbus" and point.type and point.function:
        yield from _check_registers(profile, point)
    for _, value in point.calibration or ():
        if value != round(value, -point.exponent):
            yield "calibration", f"{value} has more digits than exponent = {point.exponent} publishes", "round it"


def _check_registers(profile: Profile, point: Point) -> Iterator[tuple[str, str, str]]:
    functions = BIT_FUNCTIONS if point.type == "bool" else WORD_FUNCTIONS
    if point.function not in functions:
        yield (
            "function",
            f"function = {point.function} cannot read type {point.type}",
            f"{functions[0]} or {functions[1]}",
        )
    if point.address is not None and point.address + point.registers > 65536:
        yield "address", f"{point.registers} registers from {point.address} end beyond 65535", "check the address"
    if profile.limits and point.type != "bool" and point.registers > profile.limits.max_registers:
        yield "type", f"type {point.type} takes more registers than max_registers = {profile.limits.max_registers}", ""
    if point.scale == 0 or (point.type == "bool" and point.scale != 1):
        yield (
            "scale",
            f"scale = {point.scale} makes no sense for type {point.type}",
            "an exact factor, not 0; 1 for bool",
        )
    bits = 1 if point.type == "bool" else 16 * point.registers
    for pattern in point.invalid:
        if pattern == "NaN" and point.type not in ("f32", "f64"):
            yield "invalid", f"type {point.type} has no NaN", "give the raw pattern as a number, e.g. 0x7FFF"
        if isinstance(pattern, int) and not 0 <= pattern < 1 << bits:
            yield (
                "invalid",
                f"{pattern} is not a raw pattern of type {point.type}",
                f"0 to {hex((1 << bits) - 1)}, unsigned",
            )
