"""The closed list of quantities that a profile may name, with their units; and exact numbers for all files.

Units are SenML units (RFC 8428 section 12.1, RFC 8798 section 2) or secondary units (RFC 8798 section 3), as in the
IANA "SenML Units" registry. Two units stand outside it: m3/h and l/h, which heat meters give and which no registered
unit expresses by an exact decimal factor. Where the registry lacks a device's unit but has one that differs by a power
of ten, the profile's scale does the rest: uS/cm to S/m, mg/l to kg/m3, mg/kg and ppb to ppm, kPa to hPa, us to ms.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from .problems import Wrong

Kind = Literal["gauge", "counter", "state", "text"]
"""What a value is to those who process it; text (a serial number, a setting) is shown on demand and never a stream."""
ALARM, COUNTER, TELEMETRY = 0, 1, 2


@dataclass(frozen=True)
class Quantity:
    """`units` that fit (the first is usual), `kind` of its values, usual published `exponent`, delivery `klass`.

    `fastest` of a counter: (most in the first unit, seconds that it is for), what no device of this quantity exceeds.
    """

    units: tuple[str, ...]
    kind: Kind
    exponent: int
    klass: int
    fastest: tuple[Decimal, int] | None = None


def _gauge(units: str, exponent: int) -> Quantity:
    return Quantity(tuple(units.split()), "gauge", exponent, TELEMETRY)


def _gauge_of_none(exponent: int) -> Quantity:
    return Quantity(("",), "gauge", exponent, TELEMETRY)


def _counter(units: str, exponent: int, most: str, per_s: int = 1) -> Quantity:
    return Quantity(tuple(units.split()), "counter", exponent, COUNTER, (Decimal(most), per_s))


# The highest rates, where neither profile nor site knows better. They part what a device may count from garbage, not the usual from the
# rare. The seconds are also how rarely a device may bring its register up to date: so much may come in one reading.
_ELECTRIC = ("10", 1)  # kWh; 36 MW: more than a cable of a 20 kV network carries (630 A: 22 MVA)
_THERMAL = ("2500", 900)  # kWh; 10 MW, the substation of a large block; M-Bus modules pass on a value every 15 min
_WATER = ("15000", 60)  # l; 250 l/s: a DN 300 main at 3.5 m/s; meters on a battery measure at least once a minute
_RAIN = ("40", 60)  # mm; the most ever measured in a minute is 38 mm (Barot, Guadeloupe, 1970; WMO)
_PULSES = ("10000", 1)  # as many as a pulse input may have (profiles: max_hz)
_RUNNING = ("1.1", 3600)  # h; an hour an hour, by a clock that may be far off; some devices count whole hours


def _state(klass: int = TELEMETRY) -> Quantity:
    return Quantity(("",), "state", 0, klass)


def _text(units: tuple[str, ...] = ("",)) -> Quantity:
    return Quantity(units, "text", 0, TELEMETRY)


QUANTITIES: dict[str, Quantity] = {
    # electricity
    "voltage": _gauge("V mV", -1),
    "voltage_ll": _gauge("V", -1),
    "current": _gauge("A mA", -2),
    "active_power": _gauge("W kW", 0),
    "active_power_import": _gauge("W kW", 0),  # the direction alone, never negative
    "active_power_export": _gauge("W kW", 0),
    "reactive_power": _gauge("var kvar", 0),
    "reactive_power_import": _gauge("var kvar", 0),
    "reactive_power_export": _gauge("var kvar", 0),
    "apparent_power": _gauge("VA kVA", 0),
    "power_factor": _gauge("/ /100", -3),
    "power_factor_4q": _gauge("/", -3),  # Schneider's coding: beyond +-1 the quadrant, pf = +-2 - value
    "phase_angle": _gauge("deg", -1),
    "frequency": _gauge("Hz", -2),
    "active_power_demand": _gauge("W kW", 0),
    "active_power_demand_max": _gauge("W kW", 0),
    "apparent_power_demand": _gauge("VA kVA", 0),
    "current_demand": _gauge("A", -2),
    "current_demand_max": _gauge("A", -2),
    "imbalance": _gauge("/100", -1),  # of three phases: largest deviation from the mean
    "thd_voltage": _gauge("/100 /", -1),
    "thd_current": _gauge("/100 /", -1),
    "active_energy_import": _counter("kWh Wh", -2, *_ELECTRIC),
    "active_energy_export": _counter("kWh Wh", -2, *_ELECTRIC),
    "active_energy_total": _counter("kWh Wh", -2, *_ELECTRIC),
    "active_energy": _counter("kWh Wh", -2, *_ELECTRIC),  # one direction; which one depends on how the meter is wired
    "active_energy_net": _gauge("kWh Wh", -2),
    "reactive_energy_import": _counter("kvarh varh", -2, *_ELECTRIC),
    "reactive_energy_export": _counter("kvarh varh", -2, *_ELECTRIC),
    "reactive_energy_total": _counter("kvarh varh", -2, *_ELECTRIC),
    "reactive_energy_net": _gauge("kvarh varh", -2),
    "apparent_energy": _counter("kVAh VAh", -2, *_ELECTRIC),
    "phase_sequence": _state(),
    # direct current, charging
    "dc_voltage": _gauge("V", -1),
    "dc_current": _gauge("A", -2),
    "dc_power": _gauge("W kW", 0),
    "inverter_state": _state(),
    "charge_state": _state(),
    "plug_state": _state(),
    "lock_state": _state(),
    "current_limit": _gauge("A mA", -1),
    "session_energy": _gauge("Wh kWh", 0),  # begins again at 0 with every session, so no counter
    # heat and water
    "heat_energy": _counter("kWh Wh J", 0, *_THERMAL),
    "cooling_energy": _counter("kWh Wh J", 0, *_THERMAL),
    "heat_power": _gauge("kW W", -1),
    "flow_temperature": _gauge("Cel", -1),
    "return_temperature": _gauge("Cel", -1),
    "temperature_difference": _gauge("K", -2),
    "volume": _counter("l m3", 0, *_WATER),
    "volume_flow": _gauge("l/s m3/s m3/h l/h", -3),
    # bins, beds, weather
    "distance": _gauge("mm m cm", 0),
    "level": _gauge("mm m cm", 0),
    "fill": _gauge("/100 /", 0),
    "fill_per_hour": _gauge("/100", -2),  # what an hour adds; the registry has no percent per hour, but it has percent
    "soil_moisture": _gauge("/100 /", -1),
    "water_depletion": _gauge("/100", -1),  # how much of what plants can take is used up
    "permittivity": _gauge("/", -2),  # relative to vacuum
    "soil_temperature": _gauge("Cel", -1),
    "conductivity": _gauge("S/m", -4),
    "salinity": _gauge("kg/m3", -3),
    "tds": _gauge("kg/m3", -3),  # total dissolved solids
    "nitrogen": _gauge("ppm", 0),  # of mass: mg/kg
    "phosphorus": _gauge("ppm", 0),
    "potassium": _gauge("ppm", 0),
    "ph": _gauge("pH", -1),
    "temperature": _gauge("Cel", -1),
    "air_temperature": _gauge("Cel", -1),
    "device_temperature": _gauge("Cel", -1),
    "humidity": _gauge("%RH", -1),
    "air_pressure": _gauge("hPa Pa", -1),
    "wind_speed": _gauge("m/s", -1),
    "wind_direction": _gauge("deg", 0),
    "wind_sector": _state(),
    "wind_force": _gauge_of_none(0),  # Beaufort; no SenML unit
    "rainfall": _counter("mm", -1, *_RAIN),
    "illuminance": _gauge("lx", 0),
    "sound_level": _gauge("dB", -1),
    "co2": _gauge("ppm", 0),
    "voc": _gauge("ppm", -3),
    "particulate_matter": _gauge("ug/m3", 0),
    "pm1": _gauge("ug/m3", 0),
    "pm2_5": _gauge("ug/m3", 0),
    "pm10": _gauge("ug/m3", 0),
    "motion": _gauge_of_none(0),  # how much moved; a number of the sensor's own
    # counts and states
    "count": _counter("count", 0, *_PULSES),
    "pulse_frequency": _gauge("Hz", -3),
    "raw_value": _gauge_of_none(0),  # a number whose unit only the device's own settings tell
    "loop_current": _gauge("mA", -2),
    "echo_time": _gauge("ms", -3),
    "load": _gauge("/100 /", 0),
    "duration": _gauge("s min h", 0),
    "battery": _gauge("%EL", 0),
    "operating_time": _counter("h min s", 0, *_RUNNING),
    "relay_state": _state(),
    "lamp_state": _state(),
    "dim_level": _gauge("/100 /", 0),
    "scene": _state(),
    "enabled": _state(),
    "command": _state(),
    "contact_state": _state(),
    "alarm_state": _state(ALARM),
    "status": _state(),
    # what a device says of itself, and how it is set: shown, never a stream
    "serial_number": _text(),
    "firmware": _text(),
    "identity": _text(),
    "setting": _text(("", "s", "ms", "m", "cm", "mm", "Cel", "%RH")),
}

SYMBOLS = {
    "/100": "%",
    "/": "",
    "Cel": "°C",
    "m3": "m³",
    "m3/h": "m³/h",
    "m3/s": "m³/s",
    "kg/m3": "kg/m³",
    "ug/m3": "µg/m³",
    "deg": "°",
    "%RH": "% RH",
    "%EL": "%",
    "count": "",
}


def symbol(unit: str) -> str:
    """How a person reads a SenML unit: /100 is %, Cel is °C."""
    return SYMBOLS.get(unit, unit)


def _number(value: Any) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise Wrong("must be a number")
    if not value.is_finite():
        raise Wrong("must be a finite number")
    if len(value.as_tuple().digits) > 20 or abs(value.adjusted()) > 30:
        raise Wrong("has too many digits", "at most 20 digits, between 1e-30 and 1e30")
    return value


_RATIO = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*")


def _ratio(value: Any) -> Fraction:
    if isinstance(value, str):
        parts = _RATIO.fullmatch(value)
        if not parts or not Fraction(parts[2]):
            raise Wrong("is not a ratio", 'a number, or a ratio in quotes like "1/450"')
        ratio = Fraction(parts[1]) / Fraction(parts[2])
    else:
        ratio = Fraction(_number(value))
    if ratio <= 0:
        raise Wrong("must be greater than 0")
    return ratio


Number = Annotated[Decimal, BeforeValidator(_number)]
"""An exact decimal: TOML integer or number with a point; never a bool, never infinite."""

Ratio = Annotated[Fraction, BeforeValidator(_ratio)]
"""An exact positive ratio: a number, or text like "1/450"."""


def _pair(value: Any) -> tuple[Decimal, Decimal]:
    if not isinstance(value, list) or len(value) != 2:
        raise Wrong("must be a pair [lowest, highest]")
    low, high = map(_number, value)
    if low >= high:
        raise Wrong(f"the lowest value {low} is not below the highest {high}")
    return low, high


def _calibration(value: Any) -> tuple[tuple[int, Decimal], ...]:
    hint = "2 to 16 points [[microvolts, value], ..], e.g. [[2540000, 0], [1270000, 100]]"
    if not isinstance(value, list) or not all(isinstance(p, list) and len(p) == 2 for p in value):
        raise Wrong("is not a list of points", hint)
    if not 2 <= len(value) <= 16:
        raise Wrong(f"has {len(value)} points", hint)
    points = [(x, _number(reading)) for x, reading in value]
    for x, _ in points:
        if isinstance(x, bool) or not isinstance(x, int) or not 0 <= x <= 5_000_000:
            raise Wrong("microvolts must be whole numbers from 0 to 5000000", hint)
    steps = [after[0] - before[0] for before, after in pairwise(points)]
    if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        raise Wrong("microvolts must rise, or fall, from each point to the next", hint)
    if len({reading for _, reading in points}) == 1:
        raise Wrong("all points have the same value", hint)
    return tuple(points)


Span = Annotated[tuple[Decimal, Decimal], BeforeValidator(_pair)]
"""[lowest, highest] of a value, in its unit."""

Calibration = Annotated[tuple[tuple[int, Decimal], ...], BeforeValidator(_calibration)]
"""Points of a line of straight pieces, ((x, value), ..), x rising or falling: microvolts, or millionths of the supply."""
