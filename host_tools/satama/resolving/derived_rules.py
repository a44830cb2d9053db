"""Do the derived quantities of a site make sense? What is wrong, and what would be right; and which points they give."""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from ..core.problems import Key, closest
from ..core.quantities import ALARM
from ..core.scale import LARGEST
from ..site_file.derived import Bin, Derived, Given, Imbalance, Known, Leak, Soil, Sum, TemperatureAlarm, Tilt
from ..site_file.derived_numbers import SIZES, arguments_of, scale_of, volume_at
from ..site_file.points import PointOptions

Mistake = tuple[Key, str, str]


class Output(NamedTuple):
    """A point that is wanted of a derivation. `sources`: names, whose shortest period is its own; `key`: in the file."""

    name: str
    quantity: str
    unit: str
    exponent: int
    kind: str
    klass: int
    sources: tuple[str, ...]
    options: PointOptions
    key: Key


class Checked(NamedTuple):
    """`mistakes`: (where in the file, what, hint); `outputs`: in the order of the derivations and of what they give;
    `known`: all points, with those given."""

    mistakes: list[Mistake]
    outputs: list[Output]
    known: dict[str, Known]


# (key of a derivation, units that fit, kinds of points that fit)
_FITS = {
    ("bin", "distance"): ("length", ("gauge",)),
    ("bin", "temperature"): ("temperature", ("gauge",)),
    ("flow", "volume"): ("volume", ("counter",)),
    ("power", "energy"): ("energy", ("counter",)),
    ("volume", "flow"): ("flow", ("gauge",)),
    ("energy", "power"): ("power", ("gauge",)),
    ("leak", "flow"): ("flow", ("gauge",)),
    ("leak", "valve"): (None, ("state",)),
    ("soil", "permittivity"): (("", "/"), ("gauge",)),
    ("soil", "raw"): (None, ("gauge",)),
    ("sum", "members"): (None, ("gauge", "counter")),
    ("difference", "first"): (None, ("gauge", "counter")),
    ("difference", "minus"): (None, ("gauge", "counter")),
    ("imbalance", "phases"): (None, ("gauge",)),
    ("temperature_alarm", "temperature"): ("temperature", ("gauge",)),
    ("tilt", "contact"): (None, ("state",)),
    ("tilt", "angle"): ("angle", ("gauge",)),
}
_NOT_HERE = ("period_s", "calibration", "span", "per_pulse")


def check(steps: Iterable[Derived], known: Mapping[str, Any], devices: Iterable[str] = ()) -> Checked:
    """`known`: name -> (unit, exponent, kind, quantity) of the points of the devices. `devices`: their ids.

    The options of an output are checked as far as they are no filters and no windows: those are as of any point.
    """
    steps = list(steps)
    everything = {name: Known(*facts) for name, facts in known.items()}
    later = {step.id: at for at, step in enumerate(steps)}
    mistakes, outputs, taken = [], [], set(devices)
    for at, step in enumerate(steps):
        key: Key = ("derived", at)
        if step.id in taken:
            mistakes.append(((*key, "id"), f"the id '{step.id}' is already taken", "every id only once in the site"))
        taken.add(step.id)
        found = list(_sources(step, everything, later))
        given = [] if found else step.gives(everything)
        if not found:
            found += [*_between(step, everything), *_numbers(step, everything), *_wanted(step, given)]
            found = found or list(_computable(step, everything))
        mistakes += [((*key, *part), what, hint) for part, what, hint in found]
        names = tuple(name for _, name in step.sources())
        for one in given:
            if step.wants(one.name):
                full = f"{step.id}/{one.name}"
                options = step.point.get(one.name, PointOptions())
                where = (*key, "point", one.name) if one.name in step.point else key
                outputs.append(Output(full, *one[1:], names, options, where))
                everything[full] = Known(one.unit, one.exponent, one.kind, one.quantity)
    return Checked(mistakes, outputs, everything)


def _sources(step: Derived, known: Mapping[str, Known], later: Mapping[str, int]) -> Iterator[Mistake]:
    for part, name in step.sources():
        if name not in known:
            owner = name.partition("/")[0]
            if owner == step.id:
                yield part, f"'{name}' would be derived from itself", "a point of a device, or of a derivation above"
            elif owner in later:
                hint = "write that [[derived]] block before this one, and give it that point"
                yield part, f"'{name}' is not known here: '{owner}' does not give it, or only below", hint
            else:
                yield part, f"there is no point '{name}'", closest(name, known, "points")
            continue
        units, kinds = _FITS[step.kind, str(part[0])]
        fits = tuple(SIZES[units]) if isinstance(units, str) else units
        point = known[name]
        if point.kind not in kinds:
            yield part, f"'{name}' is a {point.kind}", f"a {' or a '.join(kinds)}"
        elif fits and point.unit not in fits:
            shown = ", ".join(f'"{unit}"' for unit in fits)
            yield part, f"'{name}' is in '{point.unit}'", f"a point in one of {shown}"


def _between(step: Derived, known: Mapping[str, Known]) -> Iterator[Mistake]:
    """Do the sources fit one another?"""
    names = list(step.sources())
    seen: set[str] = set()
    for part, name in names:
        if name in seen:
            yield part, f"'{name}' stands twice", "every point once"
        seen.add(name)
    if step.kind not in ("sum", "difference", "imbalance"):
        return
    first = names[0][1]
    for part, name in names[1:]:
        if known[name].unit != known[first].unit:
            yield part, f"'{name}' is in '{known[name].unit}', '{first}' in '{known[first].unit}'", "points of one unit"
        elif known[name].kind != known[first].kind:
            yield part, f"'{name}' is a {known[name].kind}, '{first}' a {known[first].kind}", "points of one kind"


def _numbers(step: Derived, known: Mapping[str, Known]) -> Iterator[Mistake]:
    if isinstance(step, Bin):
        yield from _bin(step, known)
    elif isinstance(step, Soil):
        yield from _soil(step, known)
    elif isinstance(step, Leak):
        if not step.after_h and not step.valve:
            yield ("after_h",), "nothing would be watched", 'after_h = 24, or valve = "device/point"'
        if step.after_h and step.quiet_s >= step.after_h * 3600:
            yield ("quiet_s",), f"quiet_s = {step.quiet_s} is not within after_h = {step.after_h}", "e.g. 3600 and 24"
        for name in {"closed_code", "closed_limit", "closed_after_s"} & step.model_fields_set:
            if not step.valve:
                yield (name,), f"'{name}' needs a valve", 'valve = "device/point", or remove it'
    elif isinstance(step, Sum):
        if step.least and step.least > len(step.members):
            yield ("least",), f"least = {step.least}, but there are {len(step.members)} members", "at most as many"
        elif step.least and step.least < len(step.members) and known[step.members[0]].kind == "counter":
            yield ("least",), "a total that lacks some of its counters would fall and jump", "remove it: all are needed"
    elif isinstance(step, TemperatureAlarm):
        if step.above is None and step.rise is None:
            yield (), "neither 'above' nor 'rise' is given", "above = 70, or rise = 10 with rise_s = 120, or both"
    elif isinstance(step, Tilt):
        yield from _one_of(step, "contact", "angle")
        if step.angle and step.hysteresis > step.most:
            yield ("hysteresis",), f"hysteresis = {step.hysteresis} is more than most = {step.most}", "less"
        if step.angle:
            yield from _digits(step, known[step.angle], [(("upright",), step.upright)])
    elif isinstance(step, Imbalance) and scale_of(known[step.phases[0]]).steps(step.floor) > LARGEST:
        yield ("floor",), f"floor = {step.floor} is more than a value can hold", "less"


def _bin(step: Bin, known: Mapping[str, Known]) -> Iterator[Mistake]:
    distance = known[step.distance]
    given = [((name,), getattr(step, name)) for name in ("height", "blanking", "full_at", "margin")]
    given += [(("shape", at), x) for at, (x, _) in enumerate(step.shape or ())]
    wrong = list(_digits(step, distance, given))
    yield from wrong
    if "assumed_cel" in step.model_fields_set and not step.temperature:
        yield ("assumed_cel",), "'assumed_cel' needs a temperature", 'temperature = "device/point", or remove it'
    if not step.blanking <= step.full_at < step.height:
        what = f"blanking = {step.blanking}, full_at = {step.full_at}, height = {step.height} are in no order"
        yield ("full_at",), what, "blanking <= full_at < height, all measured from the sensor"
        return
    if step.shape is None or wrong:
        return
    for at, (before, after) in enumerate(pairwise(step.shape), 1):
        if after[0] <= before[0] or after[1] < before[1]:
            yield ("shape", at), "the volume must rise with the height", "[[0, 0], [400, 20], [1200, 100]]"
            return
    if step.shape[0] != (0, 0):
        yield ("shape", 0), "it does not begin with [0, 0]: no material, no volume", "[[0, 0], ..]"
        return
    scale = scale_of(distance)
    shape = [(scale.exact(x), Fraction(y)) for x, y in step.shape]
    if not volume_at(shape, scale.exact(step.height - step.full_at)):
        yield ("shape",), "the volume is 0 where the bin is full", "a point with a volume at that height"


def _soil(step: Soil, known: Mapping[str, Known]) -> Iterator[Mistake]:
    yield from _one_of(step, "permittivity", "raw")
    if step.raw and step.table is None:
        yield ("table",), "'table' is missing: what does the raw value mean?", "table = [[raw, percent of volume], ..]"
    if not step.raw and step.table is not None:
        yield ("table",), "'table' is for raw values", 'raw = "device/point", or remove it'
    if step.raw and step.table is not None:
        yield from _digits(step, known[step.raw], [(("table", at), x) for at, (x, _) in enumerate(step.table)])
        percent = [(("table", at), y) for at, (_, y) in enumerate(step.table)]
        yield from _digits(step, Known("/100", -1, "gauge", "soil_moisture"), percent)
        for at, (before, after) in enumerate(pairwise(step.table), 1):
            if after[0] <= before[0]:
                yield (
                    ("table", at),
                    f"raw = {after[0]} is not above raw = {before[0]} before it",
                    "ascending, each once",
                )
                break
        for at, (_, y) in enumerate(step.table):
            if not 0 <= y <= 100:
                yield ("table", at), f"{y} is no percentage", "0 to 100 percent of volume"
    if (step.field_capacity is None) != (step.wilting_point is None):
        missing = "field_capacity" if step.field_capacity is None else "wilting_point"
        yield (
            (missing,),
            f"'{missing}' is missing: depletion needs both",
            "e.g. field_capacity = 32, wilting_point = 12",
        )
    elif step.field_capacity is not None and step.wilting_point is not None:
        limits = [(("field_capacity",), step.field_capacity), (("wilting_point",), step.wilting_point)]
        yield from _digits(step, Known("/100", -1, "gauge", "soil_moisture"), limits)
        if step.field_capacity <= step.wilting_point:
            what = f"field_capacity = {step.field_capacity} is not above wilting_point = {step.wilting_point}"
            yield ("field_capacity",), what, "e.g. 32 and 12"


def _one_of(step: Derived, one: str, other: str) -> Iterator[Mistake]:
    if (getattr(step, one) is None) == (getattr(step, other) is None):
        yield (), f"needs '{one}' or '{other}', and not both", f'{one} = "device/point"'


def _digits(step: Derived, point: Known, given: list[tuple[Key, Any]]) -> Iterator[Mistake]:
    scale = scale_of(point)
    for part, value in given:
        if scale.steps(value).denominator != 1:
            hint = f"that point is published in steps of {scale.shown(1)}"
            yield part, f"{value} has more digits than are published", hint


def _wanted(step: Derived, given: list[Given]) -> Iterator[Mistake]:
    names = [one.name for one in given]
    for at, name in enumerate(step.points or ()):
        if name not in names:
            yield ("points", at), f"'{step.kind}' gives no point '{name}'", closest(name, names, "points")
        elif name in step.points[:at]:
            yield ("points", at), f"point '{name}' stands twice in the list", "once is enough"
    if not any(step.wants(name) for name in names):
        yield ("points",), "no point is wanted of it", closest("", names, "points")
    elif step.kind == "bin" and not step.wants("fill"):
        yield ("points",), "a bin always gives 'fill': its events speak of it", 'points = ["fill", ..]'
    for name, options in step.point.items():
        if name not in names:
            yield ("point", name), f"'{step.kind}' gives no point '{name}'", closest(name, names, "points")
            continue
        if not step.wants(name):
            yield ("point", name), f"'{name}' is not in points", "add it there, or remove these options"
        for option in sorted(set(_NOT_HERE) & options.model_fields_set):
            yield ("point", name, option), f"'{option}' is for what is read; this is computed", "remove it"
        if options.window and next(one for one in given if one.name == name).klass == ALARM:
            what = "an alarm is reported when it changes: a window would hold it back"
            yield ("point", name, "window"), what, "remove it"


def _computable(step: Derived, known: Mapping[str, Known]) -> Iterator[Mistake]:
    """Numbers that are right one by one can be too large together for what the device computes with."""

    def largest(value: Any) -> int:
        return max(map(largest, value), default=0) if isinstance(value, list) else abs(value)

    if largest(arguments_of(step, known)[1]) > LARGEST:
        yield (), "its numbers have too many digits to compute with", "fewer digits"
