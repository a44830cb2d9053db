"""Write a board: nothing is erased before everything was checked, and its partition table comes last.

A board whose table is away starts nothing, so a flash that is cut off at any moment leaves a board that waits in the ROM for
the same command to be run again. What is in the flash already is not written once more.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..boards.board import Board
from ..compiling.compiler import Compiled
from ..core.progress import Reporter
from .errors import AGAIN, FlashError
from .farewell import let_it_end
from .plan import CHIP_NAMES, FILESYSTEM, Plan, Region, check_chip, make_plan, may_be_stray, to_erase
from .quiet_log import Tell, told_to
from .session import FAST_BAUD, Session, connect
from .stock import build_of, load_stock
from .table_sector import SECTOR_BYTES, read_sector

HIDDEN = "not told: passwords are in it"
JOURNAL_MARKS = (b"SATJ", b"SATS")  # docs/FORMAT.md: how blocks of the journal and of its state begin


@dataclass(frozen=True)
class Written:
    """What became of a part of the flash: `bytes` from `at`; `kept`: they stood there already."""

    name: str
    at: int
    bytes: int
    sha256: str
    kept: bool


@dataclass(frozen=True)
class Flashed:
    """What a board carries now. `image_sha256`: of the files in its filesystem; `restarted`: False when RESET must be pressed."""

    mac: str
    chip: str
    board: str
    site: str
    gateway: str
    config: str
    firmware: str
    firmware_sha256: str
    image_sha256: str
    regions: list[Written]
    journal_kept: bool
    restarted: bool
    seconds: float
    remarks: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All of it. Checksums of what holds the site's passwords are among it: keep them to yourself."""
        return asdict(self)

    def tellable(self) -> dict[str, Any]:
        """For screens and reports: without the checksums on which somebody could try out passwords."""
        told = self.as_dict()
        del told["image_sha256"]
        return told | {"regions": [_tellable(row) for row in self.regions]}


def _tellable(row: Written) -> dict[str, Any]:
    return asdict(row) | ({"sha256": HIDDEN} if row.name == FILESYSTEM else {})


def flash(
    port: str,
    board: Board,
    compiled: Compiled,
    firmware: Path,
    reporter: Reporter,
    *,
    erase_journal: bool = False,
    baud: int | None = None,
    tell: Tell | None = None,
    gateway_runs: bool = False,
) -> Flashed:
    """Bring a board to the state that board, site and firmware describe, and start it.

    port   a name, or a URL of pyserial (socket://, rfc2217://)
    erase_journal   samples that were not delivered yet may be lost
    baud   while writing; None: FAST_BAUD
    tell   gets what esptool says, line by line
    gateway_runs   one may run on the board: it is asked to end first, see farewell.py

    Raises FlashError; its `changed` says whether the board still is as it was. Ctrl-C comes out as one, too.
    """
    began = time.monotonic()
    stock = load_stock(firmware)
    remarks = [*stock.remarks, *_other_build(firmware, board)]
    with reporter.step("prepare the filesystem"):
        plan = make_plan(board, compiled, stock)
    session: Session | None = None
    try:
        if gateway_runs:
            let_it_end(port, board, reporter)
        with told_to(tell):
            with reporter.step("connect"):
                connection = connect(port, board, baud or FAST_BAUD)
                session = connection.__enter__()
            try:
                return _flash(session, plan, compiled, reporter, erase_journal, began, remarks)
            except BaseException:
                if not session.changed and not session.restart():  # what ran there goes on
                    reporter.say("the board waits in its boot loader -> press its RESET button")
                raise
            finally:
                connection.__exit__(None, None, None)
    except KeyboardInterrupt:
        raise _stopped(session) from None
    except FlashError as error:
        error.changed = session is not None and session.changed
        raise


def _other_build(firmware: Path, board: Board) -> list[str]:
    build = build_of(firmware.name)
    if not build or build in board.firmware_names:
        return []
    return [f"{firmware.name} is the build {build}; {board.name} is meant for {' or '.join(board.firmware_names)}"]


def _stopped(session: Session | None) -> FlashError:
    changed = session is not None and session.changed
    kept = "stopped before anything was changed -> nothing to do; if the board stays silent, press its RESET button"
    what = f"stopped -> {AGAIN}" if changed else kept
    error = FlashError(what, "interrupted")
    error.changed = changed
    return error


def _flash(
    session: Session,
    plan: Plan,
    compiled: Compiled,
    reporter: Reporter,
    erase_journal: bool,
    began: float,
    remarks: list[str],
) -> Flashed:
    mac, size = session.mac, session.attach()
    check_chip(plan, session.chip, session.revision, size)
    reporter.event("chip", chip=session.chip, mac=mac, flash_bytes=size)
    reporter.say(f"{CHIP_NAMES[session.chip]}, MAC {mac}, {(size or 0) >> 20} MiB")
    found = read_sector(session.read(plan.table.at, SECTOR_BYTES))
    stray = may_be_stray(found) and _journal_there(session, plan)
    erase = to_erase(plan, found, stray, erase_journal)
    if "journal" not in erase and not found.note:
        what = "the journal on the board, whose gateway it does not say, was kept"
        hint = "if it was another one: --erase-journal, before samples go out under a wrong name"
        remarks.append(f"{what} for {plan.note['gateway']} -> {hint}")
    regions = _write(session, plan, erase, reporter)
    with reporter.step("restart"):
        restarted = session.restart()
    body = compiled.body
    return Flashed(
        mac, session.chip, plan.board.name, body["site"], body["gateway"], body["config"],
        plan.stock.version, plan.stock.sha256, plan.digest,
        regions, "journal" not in erase, restarted, round(time.monotonic() - began, 1), remarks,
    )  # fmt: skip


def _write(session: Session, plan: Plan, erase: list[str], reporter: Reporter) -> list[Written]:
    """Bring the flash to what the plan says, in an order that may be cut off anywhere. `erase`: names of partitions."""
    with reporter.step("compare"):
        changed = [region for region in plan.regions if not _stands(session, region)]
        erase = [name for name in erase if not _erased(session, *plan.room(name))]
        complete = not changed and not erase and _stands(session, plan.table)
    if not complete:
        meanwhile = Region("table away", plan.table.at, plan.without_table(erase))
        for region in [meanwhile, *erase, *changed, plan.table]:
            if isinstance(region, str):
                at, size = plan.room(region)
                with reporter.step(f"erase {region}", size) as step:
                    session.erase(at, size, step)
            elif not _stands(session, region):
                with reporter.step(f"write {region.name}", len(region.data)) as step:
                    session.write(region.at, region.data, step)
        changed.append(plan.table)
    rows = [
        Written(region.name, region.at, len(region.data), region.sha256, region not in changed)
        for region in [*plan.regions, plan.table]
    ]
    for row in rows:
        reporter.event("region", **{"region" if key == "name" else key: value for key, value in _tellable(row).items()})
    return rows


def _stands(session: Session, region: Region) -> bool:
    return session.md5(region.at, len(region.data)) == region.md5


def _erased(session: Session, at: int, size: int) -> bool:
    blank = hashlib.md5()
    for _ in range(0, size, SECTOR_BYTES):
        blank.update(b"\xff" * SECTOR_BYTES)
    return session.md5(at, size) == blank.hexdigest()


def _journal_there(session: Session, plan: Plan) -> bool:
    """Whether a gateway's journal stands at the place that the board has for it, without a table that says so."""
    at, size = plan.room("journal")
    if _erased(session, at, size):
        return False
    blocks = size // SECTOR_BYTES
    state = blocks - min(24, max(2, blocks // 8))
    looked_at = [*range(min(4, state)), *range(state, blocks)]
    return any(session.read(at + block * SECTOR_BYTES, 4) in JOURNAL_MARKS for block in looked_at)
