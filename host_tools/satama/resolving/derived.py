"""The derived quantities of a site: what they are made of is there, and what they give has filters and windows like any point."""

from collections.abc import Iterator

from ..core.problems import Problem
from .derived_rules import Output, check
from .filter_rules import check_filters
from .resolved import DerivedPoint, Resolved, Signal
from .window_rules import check_report, check_window


def check_derived(resolved: Resolved) -> Iterator[Problem]:
    """Fills in `derived` and `known`. The devices' points are resolved."""
    site, source = resolved.site, resolved.source
    known = {c.name: (c.point.unit, c.point.exponent, c.point.kind, c.point.quantity) for c in resolved.channels}
    checked = check(site.derived, known, [device.id for device in site.device])
    resolved.known = checked.known
    for key, what, hint in checked.mistakes:
        yield source.problem(key, what, hint)
    pace = {channel.name: channel.period_s for channel in resolved.channels}
    profiles = {channel.name: channel.privacy for channel in resolved.channels}
    for output in checked.outputs:
        if not all(name in pace for name in output.sources):
            continue
        signal = _signal(output, min(pace[name] for name in output.sources), resolved, profiles)
        pace[signal.name], profiles[signal.name] = signal.period_s, signal.privacy
        resolved.derived.append(signal)
        for mistakes in (check_filters, check_window, check_report):
            for part, what, hint in mistakes(signal):
                yield source.problem((*output.key, *part), what, hint)


def _signal(output: Output, pace_s: int, resolved: Resolved, profiles: dict) -> Signal:
    facts = output.quantity, output.unit, output.exponent, output.kind, output.klass
    point = DerivedPoint(output.name.partition("/")[2], *facts)
    privacy = resolved.site.privacy.get(output.options.privacy or "")
    return Signal(output.name, point, output.options, output.key, pace_s, privacy)
