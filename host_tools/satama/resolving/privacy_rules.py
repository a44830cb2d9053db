"""Does what a site says of privacy hold together? A profile that lets out what it promises to keep is a mistake here, not in the field.

The gateway knows devices, not households: a household with two devices counts as two, which only who wires the cabinet can see.
What crowds (sums of points that are aggregate_only) may be made of is in privacy_crowds.py.

Harmless, and so not refused:
- what is computed from streams that are sent anyway: whoever has them can do so, too;
- report by exception, windows, alarms and filters behind the floor: all of them see one reading per floor_s and no other. Silence
  of a stream says no more than its value would;
- serial numbers and other texts: they are not read of a pseudonymous device (compiling/reads.py), and of another its id is no secret;
- a range that a profile knows: outside of it a reading is bad, and so is every sum with it.
"""

from collections.abc import Iterator

from ..core.problems import Key, Problem, closest
from ..site_file.derived_numbers import SIZES
from ..site_file.points import DAY_S
from ..site_file.privacy import Privacy
from .privacy_crowds import check_crowds, crowds_of, shown
from .resolved import Channel, Resolved, Signal

Mistake = tuple[Key, str, str]

BILL_S = 900
"""Nothing that tells the same as a hidden point may be finer: what the bill needs, and the usual floor."""
TELL = ("bin", "leak", "temperature_alarm", "tilt")
"""Derivations that send events of their own, whatever is made of their points."""
_FAMILIES = {unit: name for name, units in SIZES.items() for unit in units}
_FAMILIES |= dict.fromkeys(SIZES["power"] | SIZES["energy"], "electricity or heat")
_FAMILIES |= dict.fromkeys(("A", "VA", "kVA", "var", "kvar", "VAh", "kVAh", "varh", "kvarh"), "electricity or heat")
_FAMILIES |= dict.fromkeys(SIZES["flow"] | SIZES["volume"], "flow")


def check_privacy(resolved: Resolved) -> Iterator[Problem]:
    """Every mistake; fills in `pseudonymous`. Channels and derivations are resolved, as far as they are right."""
    rules = _names, _devices, _floors, _siblings, _silent, _derived, _own_profiles
    mistakes = [mistake for rule in rules for mistake in rule(resolved)]
    for key, what, hint in (*mistakes, *check_crowds(resolved, family)):
        yield resolved.source.problem(key, what, hint)


def family(unit: str) -> str:
    """What tells the same: energy is power and time, flow is volume and time, a current nearly is a power."""
    return _FAMILIES.get(unit, unit)


def _names(resolved: Resolved) -> Iterator[Mistake]:
    site = resolved.site
    wanted: list[tuple[Key, str]] = []
    for block, things in (("device", site.device), ("derived", site.derived)):
        for at, thing in enumerate(things):
            if getattr(thing, "privacy", None):
                wanted.append(((block, at, "privacy"), thing.privacy))
            wanted += [
                ((block, at, "point", name, "privacy"), options.privacy)
                for name, options in thing.point.items()
                if options.privacy
            ]
    for key, name in wanted:
        if name not in site.privacy:
            yield key, f"there is no [privacy.{name}]", closest(name, site.privacy, "profiles")
    used = {name for _, name in wanted}
    for name, profile in site.privacy.items():
        if name not in used:
            yield ("privacy", name), "nobody is under this profile", f'privacy = "{name}" at a device, or remove it'
        if profile.local_only and profile.aggregate_only:
            what = "'local_only' shows a value on the console, 'aggregate_only' nowhere"
            yield ("privacy", name), what, "one of the two"


def _devices(resolved: Resolved) -> Iterator[Mistake]:
    """A device has one name: either it is a pseudonym or it is not."""
    site = resolved.site
    for at, device in enumerate(site.device):
        own = site.privacy.get(device.privacy or "")
        if own and own.pseudonym:
            resolved.pseudonymous.add(device.id)
        for name, options in device.point.items():
            other = site.privacy.get(options.privacy or "")
            if other and other.pseudonym != bool(own and own.pseudonym):
                what = f"'{options.privacy}' and the device's profile differ in 'pseudonym'"
                yield ("device", at, "point", name, "privacy"), what, "a device has one name: the same in both"


def _floors(resolved: Resolved) -> Iterator[Mistake]:
    for channel in resolved.channels:
        floor_s = channel.privacy.floor_s if channel.privacy else channel.read_s
        if floor_s % channel.read_s and channel.read_s % floor_s:
            what = f"it is read every {channel.read_s} s, which does not divide the floor of {floor_s} s"
            fits = [s for s in range(1, floor_s + 1) if floor_s % s == 0 and DAY_S % s == 0]
            nearest = sorted(sorted(fits, key=lambda s: abs(s - channel.read_s))[:3])
            yield channel.key, what, f"period_s = {', '.join(map(str, nearest))}"


def _siblings(resolved: Resolved) -> Iterator[Mistake]:
    """Points of one device that tell the same: the finest of them is what is let out."""
    private = [channel for channel in resolved.channels if channel.privacy]
    for channel in resolved.channels:
        if not channel.outputs:
            continue
        like = [other for other in private if other is not channel and _tell_the_same(other, channel)]
        strictest = max(like, key=_least_s, default=None)
        if strictest is not None and channel.period_s < _least_s(strictest):
            what = f"'{channel.name}' every {channel.period_s} s tells what '{strictest.name}' may not"
            yield (
                channel.key,
                what,
                f"a privacy profile with floor_s = {_least_s(strictest)}, or one that hides it as well",
            )


def _tell_the_same(one: Channel, other: Channel) -> bool:
    return one.device is other.device and bool(one.point.unit) and family(one.point.unit) == family(other.point.unit)


def _least_s(channel: Channel) -> int:
    return channel.privacy.floor_s if shown(channel.privacy) else max(channel.privacy.floor_s, BILL_S)


def _silent(resolved: Resolved) -> Iterator[Mistake]:
    """A counter tells of resets and exchanges in events, with its readings: they would leave."""
    for channel in resolved.channels:
        if not shown(channel.privacy) and channel.point.kind == "counter":
            what = f"'{channel.name}' may not leave, but a counter that jumps is told in an event, with its readings"
            yield channel.key, what, "a profile with floor_s and pseudonym = true, or leave it out of points"


def _derived(resolved: Resolved) -> Iterator[Mistake]:
    """What is derived from a private point is as private. Sums of what is hidden are for privacy_crowds.py."""
    signals: dict[str, Signal] = {signal.name: signal for signal in resolved.signals}
    crowds = {crowd.at for crowd in crowds_of(resolved)}
    for at, step in enumerate(resolved.site.derived):
        given = [signal for signal in resolved.derived if signal.owner == step.id]
        if any(signal.privacy and signal.privacy.pseudonym for signal in given):
            resolved.pseudonymous.add(step.id)
        if at in crowds:
            continue
        names = [name for _, name in step.sources() if name in signals]
        if any(signals[name].owner in resolved.pseudonymous for name in names):
            resolved.pseudonymous.add(step.id)  # its id may well name the flat
        profiles = [signals[name].privacy for name in names if signals[name].privacy]
        if any(profile.local_only for profile in profiles):
            yield from _local(at, step.kind, given)
        elif any(profile.retention_h for profile in profiles):
            for signal in given:
                if signal.outputs and not (signal.privacy and signal.privacy.retention_h):
                    what = f"'{signal.name}' would stay on flash, but it is derived from what is wiped after its time"
                    yield signal.key, what, f"[derived.point.{signal.point.name}] with a profile that has retention_h"
    if resolved.pseudonymous and resolved.site.mqtt.encoding == "compact":
        what = "compact packets call streams by their ids, which the ids file beside the site file explains"
        yield ("mqtt", "encoding"), what, 'encoding = "cbor", or no profile with pseudonym = true'


def _local(at: int, kind: str, given: list[Signal]) -> Iterator[Mistake]:
    for signal in given:
        if not (signal.privacy and signal.privacy.local_only):
            what = f"'{signal.name}' would be sent, but it is derived from a point that is local_only"
            yield signal.key, what, f"[derived.point.{signal.point.name}] with a privacy profile that is local_only"
    if kind in TELL:
        what = (
            f"a {kind} tells of what happens in events, which leave, but it is derived from a point that is local_only"
        )
        yield ("derived", at, "kind"), what, "a profile with a floor for that point, or remove this block"


def _own_profiles(resolved: Resolved) -> Iterator[Mistake]:
    """The device has its floors where values come in: what a derived point says of itself must come true of its own."""
    for signal in resolved.derived:
        privacy: Privacy | None = signal.privacy
        if privacy is None:
            continue
        if privacy.aggregate_only:
            what = f"'{signal.name}' is derived, and shown on the console: only points of devices can be aggregate_only"
            yield signal.key, what, "such a profile at its sources, or one that is local_only here"
        elif signal.outputs and privacy.floor_s > signal.read_s:
            what = (
                f"'{signal.name}' comes every {signal.read_s} s, and its own floor of {privacy.floor_s} s has no effect"
            )
            yield signal.key, what, f"floor_s = {signal.read_s}, or the longer one at its sources"
