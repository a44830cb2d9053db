"""Do the window of a point and its report by exception make sense? What is wrong, and what would be right."""

from collections.abc import Iterator

from ..core import firmware  # noqa: F401  makes `gateway` importable
from ..core.problems import Key
from ..core.scale import LARGEST, Scale
from ..site_file.points import DAY_S
from .resolved import Channel

# isort: split
from gateway.process.ranks import percent
from gateway.process.window import MOST, SUMS

Mistake = tuple[Key, str, str]

_QUANTILES = "p1 .. p99"
_ALLOWED = {
    "gauge": ("mean", "min", "max", "last", "time_mean", "count", _QUANTILES),
    "counter": ("last", "delta", "count"),
    "state": ("min", "max", "last", "count"),
}

_TOLD = {
    "mean": "sum / count, rounded half-even",
    "min": "the lowest reading",
    "max": "the highest reading",
    "last": "the last reading",
    "delta": "last reading - last one of the window before",
    "count": "how many readings were usable",
    "time_mean": "sum(value * seconds it held) / sum(seconds), each value until the next, rounded half-even",
}


def told_output(name: str) -> str:
    """What an output of a window is, as a formula; not in the table are the quantiles."""
    if name in _TOLD:
        return _TOLD[name]
    return f"the reading at place {percent(name)} % * (n - 1) of the n of the window, sorted, from 0 (the nearest rank)"


def check_window(channel: Channel) -> Iterator[Mistake]:
    """(where in the point's options, what, hint) of every mistake."""
    window, kind = channel.options.window, channel.point.kind
    if not window:
        return
    if window.period_s % channel.period_s:
        nearest = ", ".join(map(str, sorted(sorted(_fits(channel), key=lambda m: abs(m - window.period_s))[:3])))
        what = f"a window of {window.period_s} s is no multiple of the point's period of {channel.period_s} s"
        yield ("window", "period_s"), what, f"e.g. {nearest}"
    allowed = _ALLOWED[kind]
    for at, output in enumerate(window.outputs):
        if (_QUANTILES if percent(output) else output) not in allowed:
            what = f"'{output}' of a {kind} says nothing"
            yield ("window", "outputs", at), what, f"for a {kind}: {', '.join(allowed)}"
        elif percent(output) and channel.most_readings > MOST:
            what = f"'{output}' would have to keep {channel.most_readings} readings, more than the {MOST} that fit"
            longest = max((m for m in _fits(channel) if m <= MOST * channel.period_s), default=channel.period_s)
            hint = f"a window of at most {longest} s, or a period_s of at least {-(-window.period_s // MOST)} s"
            yield ("window", "outputs", at), what, hint
        if output in window.outputs[:at]:
            yield ("window", "outputs", at), f"'{output}' stands twice", "once is enough"


def _fits(channel: Channel) -> list[int]:
    return [m for m in range(channel.period_s, DAY_S + 1, channel.period_s) if DAY_S % m == 0]


def check_report(channel: Channel) -> Iterator[Mistake]:
    """(where in the point's options, what, hint) of every mistake."""
    report, window = channel.options.report, channel.options.window
    if not report:
        return
    scale = Scale(channel.point.exponent, channel.point.unit)
    change = scale.nearest(report.change)
    if not 0 < change <= LARGEST:
        what = f"change = {report.change} is {'more' if change else 'less'} than can be published"
        yield ("report", "change"), what, f"this point is published in steps of {scale.shown(1)}"
    period_s = window.period_s if window else channel.period_s
    if report.heartbeat_s <= period_s:
        what = f"heartbeat_s = {report.heartbeat_s} lets everything through: a value comes every {period_s} s"
        yield ("report", "heartbeat_s"), what, f"more than {period_s}"
    for output in window.outputs if window else ():
        if output in SUMS:
            what = f"'{output}' adds up over windows, so none of it may be left out"
            yield ("report",), what, f"remove report, or '{output}' of the outputs: {_instead(output)}"
    if any(step.kind == "deadband" for step in channel.options.filters):
        yield ("report",), "'report' does what the filter 'deadband' has done already", "remove one of them"


def _instead(output: str) -> str:
    if output == "delta":
        return "'last' says the same and may be reported by exception"
    return "without it every reading that is missing shows as partial"
