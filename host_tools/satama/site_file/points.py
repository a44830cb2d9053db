"""The form of what a site file says of one point, be it a device's or a derived one."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..core import firmware  # noqa: F401  makes `gateway` importable
from ..core.name import Name
from ..core.problems import Strict, Wrong
from ..core.quantities import Calibration, Number, Ratio, Span
from .filter_values import LONGEST_S
from .filters import MOST_FILTERS, Filter

# isort: split
from gateway.process.ranks import percent

DAY_S = 86400
OUTPUTS = ("mean", "min", "max", "last", "delta", "count", "time_mean")
MOST_OUTPUTS = 12


def _period(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong("must be a whole number of seconds")
    if not 1 <= value <= DAY_S:
        raise Wrong("is out of range", f"seconds, 1..{DAY_S}")
    if DAY_S % value:
        below = next(p for p in range(value, 0, -1) if DAY_S % p == 0)
        above = next(p for p in range(value, DAY_S + 1) if DAY_S % p == 0)
        raise Wrong("does not divide a day, so its rounds would fall on other times every day", f"{below} or {above}")
    return value


def _output(value: Any) -> str:
    if not isinstance(value, str) or not (value in OUTPUTS or percent(value)):
        raise Wrong("is no output of a window", f"{', '.join(OUTPUTS)}, or a quantile, p1 to p99")
    return value


def _point_name(value: Any) -> Any:
    if isinstance(value, int):
        raise Wrong("is not the name of a point", "a register address may stand only in the profile: name the point")
    return value


Period = Annotated[int, BeforeValidator(_period)]
Output = Annotated[str, BeforeValidator(_output)]
PointName = Annotated[str, BeforeValidator(_point_name)]


class Window(Strict):
    period_s: Period = Field(description="length of the window in seconds, a multiple of the point's period_s")
    outputs: list[Output] = Field(
        min_length=1,
        max_length=MOST_OUTPUTS,
        description="mean, min, max, last, delta, count, time_mean, p1 .. p99: one stream each, at most 12",
    )


class Report(Strict):
    change: Number = Field(gt=0, description="least change of a stream that is reported, in the point's unit")
    heartbeat_s: int = Field(
        3600, ge=1, le=LONGEST_S, description="at most so many seconds of silence of a stream, 1..604800"
    )


class PointOptions(Strict):
    period_s: Period | None = Field(None, description="seconds between readings; the device's if left out")
    filters: list[Filter] = Field(
        [], max_length=MOST_FILTERS, description='in processing order, at most 8, e.g. { kind = "median", size = 5 }'
    )
    window: Window | None = Field(None, description="{ period_s = .., outputs = [..] }")
    report: Report | None = Field(None, description="only what changes: { change = .., heartbeat_s = .. }")
    privacy: Name | None = Field(None, description="name of the [privacy.NAME] of this point; the device's if left out")
    calibration: Calibration | None = Field(None, description="[[microvolts, value], [microvolts, value]]")
    span: Span | None = Field(None, description="[value at 4 mA, value at 20 mA] of an instrument on a current loop")
    per_pulse: Ratio | None = Field(None, description='units per pulse: a number, or a ratio like "1/450"')
