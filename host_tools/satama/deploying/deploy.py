"""The conversation of a deploy with the gateway's console; firmware/gateway/service/update.py is its other end."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.progress import Reporter
from ..packing import slot_archive
from ..packing.slot_archive import Row
from .delta import Piece, pieces, requests
from .identity import Wanted, why_not_board, why_not_gateway

_TRIAL_S = 700  # the gateway gives it up after 600
_LOOK_S = 3.0
_GONE_S = 60.0  # a board with a USB of its own takes its port away for a few seconds
_STUCK = 20  # answers in a row that bring nothing forward
_OTHERS_S = 40  # a deploy that was stopped has the gateway to itself for 30 s yet
# Answers of firmware/gateway/service/update.py that something is done about here.
_BUSY = "another one is on its way"
_LACKING = ("there is no other application", "the other application is damaged")


class DeployError(Exception):
    """It did not work; the text says why, and what to do. What ran before still runs, or comes back by itself."""


class Asker(Protocol):
    """A gateway's console."""

    def request(self, op: str, *, of: Any = None, value: Any = None) -> dict[str, Any]:
        """The answer. Raises an exception of its own when none comes."""


@dataclass
class Deployed:
    """What became of it. `sent` and `copied`: bytes; `slot`: where it runs now."""

    slot: str
    sent: int
    copied: int
    unchanged: bool = False


def deploy(
    gateway: Asker,
    archive: bytes,
    wanted: Wanted,
    report: Reporter,
    *,
    prove: bool = True,
    wait: Callable[[float], None] = time.sleep,
    lost: type[Exception] | tuple[type[Exception], ...] = (),
    gone: type[Exception] | tuple[type[Exception], ...] = (),
) -> Deployed:
    """Bring the application slot `archive` to the gateway that is `wanted`, switch to it and wait until it has proved itself.

    `lost`: what `gateway.request` raises while the gateway starts anew; `gone`: what it raises without the port, which may be for a minute
    then. Raises DeployError, and what `gateway.request` raises while it sends.
    """
    crc = f"{slot_archive.crc_of(archive):08x}"
    known = _look(gateway, crc, wanted)
    if known["crc"] == crc and not known["on_trial"]:
        return Deployed(known["running"], 0, 0, unchanged=True)
    sent = copied = 0
    target = known["running"]
    if not known["on_trial"]:
        target = "b" if known["running"] == "a" else "a"
        if known["other"] != crc or not _switched(gateway):
            rows = _rows(gateway.request("slots", of="members"))
            sent, copied = _bring(gateway, archive, pieces(archive, rows), report, wait)
            if not _switched(gateway):
                raise DeployError(
                    "what has just arrived is damaged -> the gateway's flash may be failing: see its console, status"
                )
    if prove:
        _prove(gateway, target, report, wait, lost, gone)
    return Deployed(target, sent, copied)


def _look(gateway: Asker, crc: str, wanted: Wanted) -> dict[str, Any]:
    """What it says of its slots. One that tries this very application may be asked again."""
    if why := why_not_gateway(gateway.request("status"), wanted):
        raise DeployError(why)
    known = gateway.request("slots")
    if "running" not in known:
        raise DeployError("this gateway's application is too old for a deploy -> satama flash, once")
    if why := why_not_board(known, wanted):
        raise DeployError(why)
    if known["on_trial"] and known["crc"] != crc:
        raise DeployError(
            "the gateway tries an application at this moment -> wait until it is done (ten minutes at most), see on its console: slots"
        )
    return known


def _rows(answer: dict[str, Any]) -> list[Row]:
    """The files in the slot that runs."""
    try:
        return [Row(*(int(text[at : at + 8], 16) for at in range(0, 32, 8))) for text in answer["rows"]]
    except (KeyError, TypeError, ValueError):
        why = answer.get("error", "its answer makes no sense")
        raise DeployError(
            f"the gateway does not tell what it runs: {why} -> try again; if it says so again: satama flash"
        ) from None


def _bring(
    gateway: Asker, archive: bytes, plan: list[Piece], report: Reporter, wait: Callable[[float], None]
) -> tuple[int, int]:
    """All of it into the idle slot; (bytes sent, bytes copied)."""
    begin = {"length": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    try:
        return _put(gateway, archive, plan, report, _begun(gateway, begin, report, wait))
    except _Damaged:  # two files of the same length and CRC-32, or flash that forgets: send everything, once
        try:
            whole = [Piece(0, len(archive), archive)]
            return _put(gateway, archive, whole, report, _begun(gateway, begin, report, wait))
        except _Damaged:
            raise DeployError(
                "what arrived is damaged, twice -> the gateway's flash may be failing: see its console, status"
            ) from None


class _Damaged(Exception):
    pass


def _begun(gateway: Asker, begin: dict[str, Any], report: Reporter, wait: Callable[[float], None]) -> int:
    """Where it goes on from."""
    answer = gateway.request("put", of="begin", value=begin)
    if answer.get("result") == _BUSY:
        with report.step("wait for another deploy to end", _OTHERS_S) as step:
            passed = 0.0
            while answer.get("result") == _BUSY and passed < _OTHERS_S:
                wait(_LOOK_S)
                passed += _LOOK_S
                step.to(min(round(passed), _OTHERS_S))
                answer = gateway.request("put", of="begin", value=begin)
    if answer.get("result") == _BUSY:
        raise DeployError("somebody else deploys to this gateway at this moment -> try again when that is done")
    return _at(answer)


def _put(gateway: Asker, archive: bytes, plan: list[Piece], report: Reporter, at: int) -> tuple[int, int]:
    sent = copied = stuck = 0
    with report.step("send what is new", len(archive)) as step:
        step.to(at)
        while at < len(archive):
            for piece in requests(plan, at):
                value = base64.b64encode(piece.data).decode() if piece.source is None else [piece.source, piece.length]
                now = _at(gateway.request("put", of=piece.at, value=value))
                if (
                    now != piece.at + piece.length
                ):  # it had that already, or has missed something: go on from where it is
                    stuck += 1
                    if stuck > _STUCK:
                        raise DeployError(
                            f"the gateway stands still at byte {now} -> try again; the old application runs"
                        )
                    at = now
                    break
                stuck = 0
                sent, copied = (sent + piece.length, copied) if piece.source is None else (sent, copied + piece.length)
                at = now
                step.to(at)
    done = gateway.request("put", of="end")
    if done.get("result") == "damaged on the way":
        raise _Damaged
    if "ready" not in done:
        _at(done)
    return sent, copied


def _at(answer: dict[str, Any]) -> int:
    if "at" in answer:
        return int(answer["at"])
    result = answer.get("result", answer.get("error", "no answer that makes sense"))
    if result == "no room":
        raise DeployError(f"the board has no room for it: {answer.get('free')} bytes are free -> satama flash")
    raise DeployError(f"the gateway does not take it: {result} -> try again; the old application runs")


def _switched(gateway: Asker) -> bool:
    """Whether it starts with the other slot now; not when that has to be brought first. Raises DeployError for another reason."""
    answer = gateway.request("switch")
    if "switching_to" in answer:
        return True
    why = answer.get("result", answer.get("error", "no reason given"))
    if why in _LACKING:
        return False
    raise DeployError(
        f"the gateway does not switch: {why} -> what ran before runs; try again, and if it says so again: satama flash"
    )


def _prove(gateway: Asker, target: str, report: Reporter, wait: Callable[[float], None], lost: Any, gone: Any) -> None:
    """Wait until the new application has proved itself, or the old one is back."""
    heard, there_s = True, 0.0
    with report.step("the new application proves itself", 60) as step:
        passed, began = 0.0, time.monotonic()
        while passed < _TRIAL_S:
            wait(_LOOK_S)
            passed = max(passed + _LOOK_S, time.monotonic() - began)  # to wait for an answer takes time, too
            step.to(min(round(passed), 59))
            try:
                known = gateway.request("slots")
            except lost:
                heard, there_s = False, passed
                continue  # it starts
            except gone:
                if passed - there_s > _GONE_S:
                    raise
                continue
            heard, there_s = True, passed
            if "running" not in known:
                continue  # it had no room for an answer just now: that says nothing about who runs
            if known["running"] == target and not known["on_trial"]:
                return
            if known["running"] != target and passed > 3 * _LOOK_S:
                raise DeployError(
                    "the new application did not prove itself; the old one is back and runs "
                    "-> see why on its console: crash, or the event update_rejected at the broker"
                )
    if not heard:
        raise DeployError(
            "nothing was heard of the gateway any more -> is the cable in, the board powered? The same command again tells what runs; "
            "if nothing answers: satama flash"
        )
    raise DeployError(
        "the new application is still on trial after ten minutes -> see the gateway's console: slots, status, crash"
    )
