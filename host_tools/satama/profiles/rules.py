"""Does a profile make sense? What no single field can tell: each mistake as (key, what is wrong, the right form)."""

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from ..core.problems import Key, Problem, Source
from ..core.quantities import QUANTITIES
from .counters import check_counter
from .profile import Point, Profile
from .values import BIT_FUNCTIONS, WORD_FUNCTIONS

Mistake = tuple[str, str, str]  # key of a point, what is wrong, the right form

READ_BACK = {5: 1, 15: 1, 6: 3, 16: 3}  # function that writes -> function that reads the same place

# interface -> tables it needs, tables it may have
_TABLES = {
    "modbus": (("limits",), ("serial", "tcp", "identity", "sunspec")),
    "analog": (("analog",), ()),
    "pulse": (("pulse",), ()),
    "h1": (("telegram",), ()),
    "stream": (("serial", "stream"), ()),
}
_TABLE_FORMS = {
    "serial": 'baud = 9600, parity = "N", stop_bits = 1',
    "tcp": "port = 502, unit = 1",
    "limits": "max_registers = 60, gap_ms = 10, turnaround_ms = 20, timeout_ms = 500",
    "identity": 'function = 3, address = 11, type = "u16", value = 1648',
    "sunspec": "model = 103",
    "analog": "attenuation_db = 11, samples = 16",
    "pulse": 'edge = "falling", debounce_ms = 50, max_hz = 2',
    "telegram": "interval_s = 10",
    "stream": 'header = [0xFF], length = 4, checksum = "sum8", interval_s = 0.3',
}
_ONE_PIN = ("analog", "pulse")

# interface -> keys that its points need, keys that they may have
_LAYOUT = ("word_order", "byte_order", "scale", "invalid", "states")
_POINT_KEYS = {
    "modbus": (
        ("address", "type"),
        ("function", *_LAYOUT, "length", "bits", "scale_register", "rollover", "write", "turnaround_ms", "timeout_ms"),
    ),
    "analog": (("calibration",), ()),
    "pulse": (("per_pulse",), ()),
    "h1": (("obis", "telegram_unit"), ("scale", "rollover")),
    "stream": (("address", "type"), _LAYOUT),
}
_OWNED = sorted({key for needs, may in _POINT_KEYS.values() for key in (*needs, *may)})
_POINT_FORMS = {
    "address": "address = 72",
    "type": 'type = "f32"',
    "function": "function = 3, or write = { .. } for what can only be written",
    "calibration": "calibration = [[2540000, 0], [1270000, 100]]",
    "per_pulse": 'per_pulse = "1/450"',
    "obis": 'obis = "1-0:1.8.0"',
    "telegram_unit": 'telegram_unit = "kWh"',
    "length": "length = 8",
}
_FLOATS = ("f32", "f64")
_FLAT = ("bool", "string", *_FLOATS)  # no slice of bits, no register for its scale


def check_profile(profile: Profile, source: Source) -> Iterator[Problem]:
    """Every mistake, at its line."""
    for key, what, hint in (*_check_tables(profile, source), *_check_points(profile)):
        yield source.problem(key, what, hint)


def _check_tables(profile: Profile, source: Source) -> Iterator[tuple[Key, str, str]]:
    if profile.name != source.path.stem:
        what = f'name = "{profile.name}", but the file is {source.path.name}'
        yield ("name",), what, f'name = "{source.path.stem}", or rename the file'
    needs, may = _TABLES[profile.interface]
    owner = f'a profile with interface = "{profile.interface}"'
    for table, form in _TABLE_FORMS.items():
        if getattr(profile, table) is None:
            if table in needs:
                yield (table,), f"{owner} needs [{table}]", f"[{table}] with {form}"
        elif table not in (*needs, *may):
            yield (table,), f"{owner} must not have [{table}]", "remove it, or correct interface"
    if profile.interface == "modbus" and profile.serial is None and profile.tcp is None:
        hint = f"[serial] with {_TABLE_FORMS['serial']}; or [tcp] with {_TABLE_FORMS['tcp']}"
        yield ("serial",), f"{owner} needs [serial], [tcp] or both", hint
    if profile.interface in _ONE_PIN and len(profile.points) != 1:
        yield (
            ("point", 1),
            f"one pin gives one value, but there are {len(profile.points)} points",
            "one profile for each",
        )
    if profile.stream and len(profile.stream.header) >= profile.stream.length:
        what = f"the header fills the frame of {profile.stream.length} bytes, nothing is left for a value"
        yield ("stream", "length"), what, "length counts header, values and checksum, e.g. 4"
    if profile.analog and profile.analog.loop_ohm is not None and profile.analog.ratiometric:
        yield ("analog", "ratiometric"), "a current loop is not ratiometric", "loop_ohm or ratiometric"


def _check_points(profile: Profile) -> Iterator[tuple[Key, str, str]]:
    names: set[str] = set()
    codes: set[str] = set()
    for index, point in enumerate(profile.points):
        if point.name in names:
            yield ("point", index, "name"), "another point has this name", "names must be unique"
        names.add(point.name)
        if point.obis and point.obis in codes:
            yield ("point", index, "obis"), f"another point has {point.obis}", "every OBIS code once"
        codes.add(point.obis or "")
        for key, what, hint in _check_point(profile, point):
            yield ("point", index, key), what, hint


def _check_point(profile: Profile, point: Point) -> Iterator[Mistake]:
    yield from _check_keys(profile, point)
    yield from _check_meaning(point)
    if point.type and point.address is not None:
        if profile.interface == "modbus":
            yield from _check_place(profile, point)
        if profile.stream:
            yield from _check_offset(profile, point)
        yield from _check_type(point)
        if point.scale:
            yield from _check_states(point)
            yield from _check_write(point)
    yield from _check_calibration(profile, point)


def _check_keys(profile: Profile, point: Point) -> Iterator[Mistake]:
    needs, may = _POINT_KEYS[profile.interface]
    owner = f'a point of a profile with interface = "{profile.interface}"'
    if profile.analog and profile.analog.loop_ohm is not None:
        needs, may = (), (*needs, *may)  # the site gives the instrument's span
    for key in _OWNED:
        if key in needs and getattr(point, key) is None:
            yield key, f"{owner} needs '{key}'", _POINT_FORMS[key]
        if key in point.model_fields_set and key not in (*needs, *may):
            yield key, f"{owner} must not have '{key}'", f"remove {key}"
    if profile.interface == "modbus" and point.function is None and point.write is None:
        yield "function", f"{owner} needs 'function'", _POINT_FORMS["function"]


def _check_meaning(point: Point) -> Iterator[Mistake]:
    quantity = QUANTITIES[point.quantity]
    if point.unit not in quantity.units:
        units = ", ".join(f'"{unit}"' for unit in quantity.units)
        yield "unit", f'unit = "{point.unit}" does not fit the quantity {point.quantity}', f"one of {units}"
    if point.range:
        low, high = (Fraction(bound) / Fraction(10) ** point.exponent for bound in point.range)
        if math.ceil(low) > math.floor(high):
            what = (
                f"no value that exponent = {point.exponent} publishes lies within {point.range[0]} to {point.range[1]}"
            )
            yield "range", what, "a wider range, or a smaller exponent"
    if point.rollover is not None and point.kind != "counter":
        yield "rollover", f"a {point.kind} does not roll over", 'remove rollover, or write kind = "counter"'
    yield from check_counter(point)
    if point.states and point.kind not in ("state", "text"):
        yield "states", f"a {point.kind} has no states", 'remove states, or write kind = "state"'
    if point.kind == "text":
        for key in {"range", "max_rate"} & point.model_fields_set:
            yield key, f"a text is only shown, so '{key}' says nothing", f"remove {key}"
    if point.type == "string" and not point.states and point.kind != "text":
        what = f'kind = "{point.kind}", but a string without states is no number'
        yield "kind", what, 'kind = "text"; or states = { A = 0, B = 1 } for a state'


def _check_place(profile: Profile, point: Point) -> Iterator[Mistake]:
    """Where a value stands on Modbus, and whether one read can bring it."""
    functions = BIT_FUNCTIONS if point.type == "bool" else WORD_FUNCTIONS
    if point.function and point.function not in functions:
        what = f"function = {point.function} cannot read type {point.type}"
        yield "function", what, f"{functions[0]} or {functions[1]}"
    size = point.registers
    if point.address + size > 65536:
        yield "address", f"{size} registers from {point.address} end beyond 65535", "check the address"
    if point.type == "string":
        if point.length is None:
            yield "length", "a string needs 'length'", _POINT_FORMS["length"]
    elif point.length is not None:
        yield "length", f"type {point.type} has its own length", "remove length"
    limits = profile.limits
    if limits and point.type != "bool" and size > limits.max_registers:
        what = f"type {point.type} takes more registers than max_registers = {limits.max_registers}"
        yield "type", what, f"max_registers = {size} or more"
    elif limits and point.scale_register is not None:
        first, last = min(point.address, point.scale_register), max(point.address + size - 1, point.scale_register)
        if last - first >= limits.max_registers:
            what = f"value and scale register span {last - first + 1} registers, more than max_registers allows in one read"
            yield "scale_register", what, f"within {limits.max_registers} registers"
    for area in limits.forbidden if limits else ():
        if area.function == point.function and area.first < point.address + size and point.address <= area.last:
            yield (
                "address",
                f"touches the forbidden {area.first} to {area.last}",
                "mend the point or [limits] forbidden",
            )
    if profile.sunspec and point.function not in (3, None):
        yield "function", f"function = {point.function}, but SunSpec models stand in holding registers", "function = 3"
    turnaround = point.turnaround_ms if point.turnaround_ms is not None else limits and limits.turnaround_ms
    timeout = point.timeout_ms or (limits and limits.timeout_ms)
    if (point.turnaround_ms or point.timeout_ms) and limits and turnaround > timeout:
        key = "turnaround_ms" if point.turnaround_ms is not None else "timeout_ms"
        what = f"typical answer after {turnaround} ms, but none is waited for longer than {timeout} ms"
        yield key, what, "turnaround_ms below timeout_ms"


def _check_offset(profile: Profile, point: Point) -> Iterator[Mistake]:
    """Where a value stands in a stream's frame."""
    end = point.address + 2 * point.registers
    room = profile.stream.length - 1  # the checksum
    if point.type in ("bool", "string"):
        yield "type", f"type {point.type} is not for streams", 'a number, e.g. "u16"'
    elif point.address < len(profile.stream.header) or end > room:
        what = f"bytes {point.address} to {end - 1} are not between the header and the checksum of the frame"
        yield "address", what, f"byte offset {len(profile.stream.header)} to {room - 2 * point.registers}"


def _check_type(point: Point) -> Iterator[Mistake]:
    """What goes with the type of the raw number."""
    plain = point.type in ("bool", "string")
    if point.scale == 0 or (plain and point.scale != 1):
        what = f"scale = {point.scale} makes no sense for type {point.type}"
        yield "scale", what, f"an exact factor, not 0; 1 for {point.type if plain else 'bool'}"
    if point.type == "string" and point.word_order == "little":
        yield "word_order", "a string has no word order", 'byte_order = "little" where its letters are swapped in pairs'
    for key in ("bits", "scale_register"):
        if getattr(point, key) is not None and point.type in _FLAT:
            yield key, f"'{key}' does not go with type {point.type}", 'a whole number, e.g. type = "u16"'
    if point.bits and point.scale_register is not None:
        yield "bits", "'bits' and 'scale_register' do not go together", "one of them"
    width = 1 if point.type == "bool" else 16 * point.registers
    if point.bits and point.type not in _FLAT:
        if point.type[0] != "u":
            yield "bits", f"bits of type {point.type} are taken as they are, without sign", f'type = "u{width}"'
        elif sum(point.bits) > width:
            yield (
                "bits",
                f"bits {point.bits[0]} to {sum(point.bits) - 1} are not all in type {point.type}",
                f"below {width}",
            )
    for marker in point.invalid:
        if marker == "NaN":
            if point.type not in _FLOATS:
                yield "invalid", f"type {point.type} has no NaN", "give the raw pattern as a number, e.g. 0x7FFF"
            continue
        for pattern in (marker,) if isinstance(marker, int) else marker:
            if not 0 <= pattern < 1 << width:
                what = f"{pattern} is not a raw pattern of type {point.type}"
                yield "invalid", what, f"0 to {hex((1 << width) - 1)}, unsigned"


def _check_states(point: Point) -> Iterator[Mistake]:
    if not point.states or point.kind not in ("state", "text"):
        return
    texts = isinstance(next(iter(point.states)), str)
    if texts != (point.type == "string"):
        if texts:
            yield "states", f"type {point.type} gives numbers, and states names them", '{ "0" = "off", "1" = "on" }'
        else:
            yield "states", "a string gives texts, and states gives each its number", "{ A = 0, B1 = 1 }"
    elif texts:
        for text in point.states:
            if len(text) > 2 * point.registers:
                yield "states", f"'{text}' is longer than {point.registers} registers", f"length = {len(text) + 1 >> 1}"
    else:
        low, high = _raw_limits(point)
        for code in point.states:
            if low is not None and not low <= code / point.scale <= high:
                yield "states", f"type {point.type} never gives {code}", f"codes from {low} to {high}"


def _check_write(point: Point) -> Iterator[Mistake]:
    write = point.write
    if write is None:
        return
    back = READ_BACK[write.function]
    if (back in BIT_FUNCTIONS) != (point.type == "bool"):
        functions = "5 or 15" if point.type == "bool" else "6 or 16"
        yield "write", f"function = {write.function} cannot write type {point.type}", functions
    elif point.function not in (None, back):
        what = f"function = {write.function} does not write where function = {point.function} reads"
        yield "write", what, f"function = {back} to read it back, or a point of its own without function"
    elif write.function == 6 and point.registers > 1:
        yield "write", f"function = 6 writes one register, type {point.type} has {point.registers}", "function = 16"
    elif point.type == "string" or point.bits or point.scale_register is not None:
        yield (
            "write",
            "only whole numbers and floats can be written, not texts, bits or what a register scales",
            "remove",
        )
    else:
        low, high = _raw_limits(point)
        for value in (*(write.range or ()), *write.values):
            if low is not None and not low <= round(value / point.scale) <= high:
                yield "write", f"{value} does not fit type {point.type} with scale = {point.scale}", "check the bounds"
        for value in write.values:
            if low is not None and value % point.scale:
                yield "write", f"{value} is no multiple of scale = {point.scale}", f"e.g. {value - value % point.scale}"


def _raw_limits(point: Point) -> tuple[Decimal | None, Decimal | None]:
    """Lowest and highest raw number; None for a float."""
    if point.type in _FLOATS:
        return None, None
    width = point.bits[1] if point.bits else 1 if point.type == "bool" else 16 * point.registers
    if point.type.startswith("bcd"):
        return Decimal(0), Decimal(10 ** (width // 4) - 1)
    if point.type[0] == "s":
        return Decimal(-(1 << width - 1)), Decimal((1 << width - 1) - 1)
    return Decimal(0), Decimal((1 << width) - 1)


def _check_calibration(profile: Profile, point: Point) -> Iterator[Mistake]:
    for x, value in point.calibration or ():
        if value != round(value, -point.exponent):
            yield "calibration", f"{value} has more digits than exponent = {point.exponent} publishes", "round it"
        if profile.analog and profile.analog.ratiometric and x > 1_000_000:
            what = f"{x} millionths of the supply is more than all of it"
            yield "calibration", what, "0 to 1000000, e.g. [[0, 0], [1000000, 5120]]"
