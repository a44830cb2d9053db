"""Wait for a gateway to start, and run its self-test until it passes or nothing more can be hoped for.

done = commission("/dev/ttyUSB0", report)
done.passed, done.lines
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..compiling.compiler import Compiled
from ..core.progress import Reporter
from ..serial_line.boot_words import Trouble
from ..serial_line.gateway import Asker, GatewayLine, LineError
from ..serial_line.ports import PortError
from .cabling import cabling
from .checklist import Line, checklist, passed

WAIT_S = 90.0  # network and broker take up to a minute after a start
START_S = 60.0
ABSENT_S = 10.0
_AGAIN_S = 0.5
_LEAST_S = 5.0
_PAUSE_S = 3.0
_HOPELESS_S = (
    30.0  # red in the same places for so long, and nothing is waited for; a silent device is asked again within 20 s
)
_TEST_S = 20.0  # the gateway asks its devices for 6 s at most


@dataclass(frozen=True)
class Commissioned:
    """`answer`: the gateway's own, as it came last; `lines`: what a person reads; `slots`: its answer to `slots`, {} when it has none;
    `tests`: how often it was asked."""

    answer: Mapping[str, Any]
    lines: list[Line]
    slots: Mapping[str, Any] = field(default_factory=dict)
    tests: int = 1

    @property
    def passed(self) -> bool:
        return passed(self.answer) and not self.red

    @property
    def red(self) -> list[Line]:
        return [line for line in self.lines if line.state == "red"]

    def as_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, "checks": [line.as_dict() for line in self.lines], "tests": self.tests}


def commission(
    port: str,
    report: Reporter,
    *,
    compiled: Compiled | None = None,
    wait_s: float = WAIT_S,
    start_s: float = START_S,
    absent_s: float = ABSENT_S,
) -> Commissioned:
    """`port`: any that pyserial can open; opening it does not restart the board. `compiled`: the site that should be on it, for advice
    with its terminals. `absent_s`: how long the port itself may be away. Raises PortError and LineError: there is no gateway to be asked."""
    with report.step("wait for the gateway", round(start_s)) as step:
        line = started(port, start_s, absent_s, lambda passed_s: step.to(round(passed_s)))
    with line, report.step("self-test") as step:

        def tell(lines: list[Line]) -> None:
            step.to(sum(one.state in ("ok", "open") for one in lines), len(lines))

        return repeat(line, wait_s, compiled, tell=tell)


def unanswered(compiled: Compiled, mac: str, why: str) -> Commissioned:
    """Of a board that is written, and of which nothing more is known. `why`: "what is wrong -> what to do"."""
    what, _, advice = why.partition(" -> ")
    who = {key: compiled.body[key] for key in ("gateway", "board", "config")} | {"mac": mac, "passed": False}
    return Commissioned(who, [Line("gateway", who["gateway"], "red", what, advice)], tests=0)


def started(port: str, start_s: float, absent_s: float, tell: Callable[[float], None]) -> GatewayLine:
    """The line to a gateway that answers. A board with a USB of its own takes its port away as it restarts: it may come back within
    `absent_s`. Raises PortError and LineError."""
    begun = gone = time.monotonic()
    while True:
        try:
            line = GatewayLine.open(port)
        except PortError:
            if time.monotonic() - gone >= absent_s:
                raise
        else:
            try:
                line.wait_for_start(max(_LEAST_S, begun + start_s - time.monotonic()), tell)
                return line
            except BaseException as error:
                line.close()
                gone = time.monotonic()
                if not isinstance(error, PortError) or gone - begun >= start_s:
                    raise
        time.sleep(_AGAIN_S)


def repeat(
    asker: Asker,
    wait_s: float,
    compiled: Compiled | None = None,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[list[Line]], None] | None = None,
) -> Commissioned:
    """Ask for the self-test again and again: until it passes, `wait_s` are over, or the same is red for half a minute and nothing is
    waited for. Raises LineError."""
    wires = cabling(compiled) if compiled else None
    end = now() + wait_s
    red: list[tuple[str, str]] = []
    red_since = now()
    tests = 0
    while True:
        answer = _asked(asker, end, now)
        tests += 1
        lines = ([_site(answer, compiled)] if compiled else []) + checklist(answer, wires)
        if tell:
            tell(lines)
        done = Commissioned(answer, lines, {}, tests)
        found = [(line.check, line.of) for line in done.red]
        if found != red:
            red, red_since = found, now()
        hopeless = found and now() - red_since >= _HOPELESS_S and not any(line.state == "waits" for line in lines)
        if done.passed or hopeless or now() + _PAUSE_S > end:
            slots = asker.request("slots")
            return Commissioned(answer, lines, slots if slots.get("ok") else {}, tests)
        sleep(_PAUSE_S)


def _asked(asker: Asker, end: float, now: Callable[[], float]) -> Mapping[str, Any]:
    """The answer. A gateway that starts anew meanwhile is waited for, once."""
    try:
        answer = (
            asker.request("selftest", timeout_s=_TEST_S)
            if isinstance(asker, GatewayLine)
            else asker.request("selftest")
        )
    except LineError:
        if not isinstance(asker, GatewayLine):
            raise
        asker.wait_for_start(max(_TEST_S, end - now()))
        answer = asker.request("selftest", timeout_s=_TEST_S)
    if not answer.get("ok"):
        what = "this gateway is older than its self-test"
        raise LineError(Trouble("old", f"{what} -> bring its program up to date with satama flash, or satama deploy"))
    return answer


def _site(answer: Mapping[str, Any], compiled: Compiled) -> Line:
    """Is it the gateway that the site file is about, in this version of it?"""
    body = compiled.body
    for key, what in (("gateway", "gateway"), ("board", "board"), ("config", "version of the site file")):
        if answer.get(key) != body[key]:
            seen = f"it runs as {what} {answer.get(key)}, the site file says {body[key]}"
            way = "satama deploy" if key == "config" else "satama flash"  # a deploy refuses another gateway or board
            advice = f"is it the right port and the right site file? if so, bring the site onto it: {way}"
            return Line("site", body["gateway"], "red", seen, advice)
    return Line("site", body["gateway"], "ok", f"runs this site file (config {body['config']})", "")
