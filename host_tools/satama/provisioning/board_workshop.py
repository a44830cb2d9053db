"""The workshop for real boards: esptool's session by satama.flashing, the self-test by satama.commissioning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..commissioning.after_flash import Commissioned, commission
from ..commissioning.report import as_dict, as_html, as_json
from ..core.problems import Problems
from ..core.progress import Reporter
from ..core.whole_file import write_whole
from ..flashing.errors import FlashError
from ..flashing.firmware_cache import FirmwareCache
from ..flashing.flash import flash
from ..flashing.plan import Plan, check_chip, make_plan
from ..flashing.session import ROM_BAUD, connect
from ..flashing.stock import load_stock
from ..serial_line.gateway import LineError
from ..serial_line.ports import PortError
from .prepare import Order
from .workshop import Done, Failed


class BoardWorkshop:
    """`firmware`: a stock MicroPython .bin, or None for the newest that was fetched for the board; `by`: whose work it is."""

    def __init__(
        self,
        firmware: Path | None,
        test: bool = True,
        by: str = "",
        erase_journal: bool = False,
        baud: int | None = None,
    ) -> None:
        self._firmware, self._test, self._by = firmware, test, by
        self._erase_journal, self._baud = erase_journal, baud

    def prepare(self, order: Order) -> dict[str, str]:
        try:
            stock = self._plan(order).stock
        except FlashError as error:
            raise Failed(str(error)) from None
        return {"version": stock.version, "sha256": stock.sha256}

    def identify(
        self, port: str, order: Order, choose: Callable[[str], Order], leave: bool = False
    ) -> tuple[str, Order]:
        try:
            with connect(port, order.compiled.board, ROM_BAUD) as session:
                try:
                    mac = session.mac
                    chosen = choose(mac)
                    check_chip(self._plan(chosen), session.chip, session.revision, session.attach())
                except BaseException as error:
                    if not (leave and isinstance(error, Failed | FlashError)):
                        session.restart()
                    raise
                return mac, chosen  # no restart: it may bring another USB port, or need the BOOT button again
        except FlashError as error:
            raise Failed(str(error)) from None

    def start(self, port: str, order: Order) -> None:
        with contextlib.suppress(FlashError), connect(port, order.compiled.board, ROM_BAUD) as session:
            session.restart()

    def flash(self, port: str, order: Order, report: Reporter) -> Done:
        try:
            done = flash(
                port,
                order.compiled.board,
                order.compiled,
                self._firmware_for(order),
                report,
                erase_journal=self._erase_journal,
                baud=self._baud,
            )
        except FlashError as error:
            if error.kind == "interrupted":
                raise KeyboardInterrupt(str(error)) from None
            raise Failed(str(error), error.changed) from None
        for remark in done.remarks:
            report.say(f"note: {remark}")
        if not done.restarted:
            report.say(f"{port} has no line to restart the board -> press its RESET button")
        written = [region.name for region in done.regions if not region.kept]
        firmware = {"version": done.firmware, "sha256": done.firmware_sha256}
        return Done(done.mac, done.chip, firmware, written, done.tellable())

    def selftest(self, port: str, order: Order, done: Done, report: Reporter, folder: Path) -> dict[str, Any] | None:
        if not self._test:
            return None
        try:
            tested = commission(port, report, compiled=order.compiled)
            self._write_report(order, done, tested, port, folder / "reports")
        except (PortError, LineError, Problems) as error:
            raise Failed(f"flashed, but {error}", changed=True) from None
        unsure = [line for line in tested.lines if line.state == "waits"]
        red = [f"{line.check} {line.of}".strip() for line in tested.red or unsure]
        return {"passed": tested.passed, "red": [] if tested.passed else red}

    def _write_report(self, order: Order, done: Done, tested: Commissioned, port: str, folder: Path) -> None:
        """Raises Problems."""
        told = as_dict(tested, port=port, by=self._by, site=order.compiled.body["site"], flashed=done.about)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"flashed, but {folder} cannot be made: {error.strerror} -> --records DIR is another place"
            raise Failed(what, changed=True) from None
        write_whole(folder / f"{order.cabinet.file_name}.html", as_html(told))
        write_whole(folder / f"{order.cabinet.file_name}.json", as_json(told))

    def _plan(self, order: Order) -> Plan:
        """Raises FlashError."""
        return make_plan(order.compiled.board, order.compiled, load_stock(self._firmware_for(order)))

    def _firmware_for(self, order: Order) -> Path:
        """Raises FlashError."""
        if self._firmware is None:
            cache = FirmwareCache()
            return cache.path(cache.newest_for(order.compiled.board))
        return self._firmware
