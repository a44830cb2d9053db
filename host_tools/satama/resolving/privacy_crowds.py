"""Sums of what nobody may see: is each household safe in its crowd, and when the crowds are compared?

Two crowds have no household in common; or they have the same ones, with the same points or without a common point. So the sums that
are published, taken as vectors over the points, are equal or lie in different points: any multiple of them, however they are added and
taken from each other, holds a point of a household only together with those of at least FEWEST_HOUSEHOLDS - 1 others. What is known
besides (a meter of the house, sums of these sums) is no help to tell them apart, unless it is about the members: hence the rules on
members that are shown elsewhere, on those left out, and on filters and periods that make one of them stand out. A calibration, a span or a
factor of pulses may weigh, too, but it says what the instrument is; and of meters that nobody has wired the host knows nothing.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

from ..core.problems import Key
from ..site_file.derived import Derived, Sum
from ..site_file.privacy import FEWEST_HOUSEHOLDS, Privacy
from .resolved import Resolved, Signal

Mistake = tuple[Key, str, str]


class Crowd(NamedTuple):
    """A derivation with hidden sources. `at`: its place; `members`: device -> its points in it."""

    at: int
    step: Derived
    members: dict[str, frozenset[str]]


def shown(privacy: Privacy | None) -> bool:
    """Does anything of such a point leave the gateway by itself?"""
    return privacy is None or not (privacy.local_only or privacy.aggregate_only)


def hidden(privacy: Privacy | None) -> bool:
    """May it only be part of a sum?"""
    return privacy is not None and privacy.aggregate_only


def crowds_of(resolved: Resolved) -> list[Crowd]:
    """Every derivation that has a hidden source, whether it may or not."""
    secret = {channel.name for channel in resolved.channels if hidden(channel.privacy)}
    found = []
    for at, step in enumerate(resolved.site.derived):
        names = [name for _, name in step.sources()]
        if secret.intersection(names):
            members: dict[str, frozenset[str]] = {}
            for name in names:
                owner = name.partition("/")[0]
                members[owner] = members.get(owner, frozenset()) | {name}
            found.append(Crowd(at, step, members))
    return found


def check_crowds(resolved: Resolved, family: Callable[[str], str]) -> Iterator[Mistake]:
    """Every mistake. `family`: of a unit, the name of all that tells the same."""
    signals: dict[str, Signal] = {signal.name: signal for signal in resolved.signals}
    for channel in resolved.channels:
        if hidden(channel.privacy) and channel.options.filters:
            what = f"'{channel.name}' is seen in sums only, and filters weigh it there: a factor of 0 for all others shows it"
            yield (*_block(channel), "filters"), what, "remove them, or filter the sum"
    crowds = crowds_of(resolved)
    for crowd in crowds:
        yield from _members(crowd, signals)
    for one, other in combinations(crowds, 2):
        yield from _between(one, other)
    yield from _left_out(resolved, crowds, family)


def _block(signal: Signal) -> Key:
    name = signal.name.partition("/")[2]
    return signal.key if "point" in signal.key else (*signal.key[:2], "point", name)


def _members(crowd: Crowd, signals: dict[str, Signal]) -> Iterator[Mistake]:
    step, key = crowd.step, ("derived", crowd.at)
    known = [(part, signals[name]) for part, name in step.sources() if name in signals]
    secret = [signal for _, signal in known if hidden(signal.privacy)]
    if not isinstance(step, Sum):
        what = f"'{secret[0].name}' may only be part of a sum: its profile says aggregate_only"
        yield key, what, f"kind = sum over at least {FEWEST_HOUSEHOLDS} devices"
        return
    for part, signal in known:
        if not hidden(signal.privacy):
            what = f"'{signal.name}' can be had elsewhere and taken from the sum, so that it hides nobody"
            yield (
                (*key, *part),
                what,
                "only points that are aggregate_only; what others add goes into a second sum, of this one",
            )
    if len(crowd.members) < FEWEST_HOUSEHOLDS:
        what = f"a sum over {len(crowd.members)} devices tells too much of each"
        yield (*key, "members"), what, f"at least {FEWEST_HOUSEHOLDS} devices"
    if step.least and step.least < len(step.members):
        what = f"with least = {step.least} the sum changes its members, and the difference tells what one of them is"
        yield (*key, "least"), what, "remove it: the sum is bad while one is missing"
    paces = {signal.period_s for signal in secret}
    if len(paces) > 1:
        shortest, longest = min(paces), max(paces)
        fast = ", ".join(signal.name for signal in secret if signal.period_s == shortest)
        what = f"only {fast} has a new reading every {shortest} s: what the sum changes by then is theirs alone"
        yield (*key, "members"), what, f"one period for all of them, floor_s = {longest}"


def _between(one: Crowd, other: Crowd) -> Iterator[Mistake]:
    common = one.members.keys() & other.members.keys()
    apart = one.members.keys() ^ other.members.keys()
    mine, theirs = (frozenset().union(*crowd.members.values()) for crowd in (one, other))
    if not common or (not apart and (mine == theirs or not mine & theirs)):
        return
    told = sorted(apart) or sorted(mine ^ theirs)
    what = f"this sum and '{one.step.id}' differ by {', '.join(told)}: one from the other tells what is theirs"
    hint = "sums of the same points, or of no device in common; a further sum may add these up"
    yield ("derived", other.at), what, hint


def _left_out(resolved: Resolved, crowds: list[Crowd], family: Callable[[str], str]) -> Iterator[Mistake]:
    """A meter of the whole house minus the crowd is what the others do: they must be many, or nobody."""
    covered: dict[str, set[str]] = {}
    first: dict[str, Crowd] = {}
    units = {channel.name: family(channel.point.unit) for channel in resolved.channels}
    for crowd in crowds:
        for name in (name for names in crowd.members.values() for name in names if name in units):
            covered.setdefault(units[name], set()).add(name.partition("/")[0])
            first.setdefault(units[name], crowd)
    for kin, inside in covered.items():
        alike = [channel for channel in resolved.channels if kin and units[channel.name] == kin]
        outside = {channel.device.id for channel in alike if channel.privacy} - inside
        whole = next((channel for channel in alike if not channel.privacy and channel.device.id not in inside), None)
        if whole and 0 < len(outside) < FEWEST_HOUSEHOLDS:
            what = f"'{whole.name}' minus this sum tells what {', '.join(sorted(outside))} do, which the sum leaves out"
            yield ("derived", first[kin].at), what, f"all of them in the sum, or at least {FEWEST_HOUSEHOLDS} outside"
