"""The [journal] block of a site file: what is kept on flash until the broker has confirmed it, and for how long."""

from typing import Any

from pydantic import Field, model_validator

from ..core.problems import Strict, Wrong

KEEP = 3650  # days
MOST_PERCENT = 95


class JournalOptions(Strict):
    durability_s: int = Field(
        10, ge=1, le=60, description="a power cut takes at most what was read within so many seconds, 1..60"
    )
    alarm_percent: int | None = Field(
        None,
        ge=1,
        le=90,
        description="share of the journal for alarms and events, 1..90 percent; left out: by the rates",
    )
    counter_percent: int | None = Field(None, ge=1, le=90, description="the same for counters; telemetry has the rest")
    alarm_days: int = Field(
        0, ge=0, le=KEEP, description="unsent alarms are dropped after so many days; 0: when the share is full"
    )
    counter_days: int = Field(0, ge=0, le=KEEP, description="the same for counters")
    telemetry_days: int = Field(0, ge=0, le=KEEP, description="the same for telemetry")

    @model_validator(mode="after")
    def _shares(self) -> Any:
        if (self.alarm_percent or 0) + (self.counter_percent or 0) > MOST_PERCENT:
            raise Wrong(
                "leaves less than 5 percent for telemetry", "alarm_percent and counter_percent together at most 95"
            )
        return self

    def compiled(self, alarm: int, counter: int) -> dict[str, Any]:
        """The "journal" of a compiled site. `alarm`, `counter`: percents where none are given; `ages_h` by class, 0: no limit."""
        alarm = self.alarm_percent or min(alarm, MOST_PERCENT - (self.counter_percent or 1))
        counter = min(self.counter_percent or counter, MOST_PERCENT - alarm)
        days = (self.alarm_days, self.counter_days, self.telemetry_days)
        return {
            "durability_s": self.durability_s,
            "percents": [alarm, counter],
            "ages_h": [24 * each for each in days],
        }
