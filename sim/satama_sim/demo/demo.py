"""The demonstration: a cabinet under the real clock in one thread, the broker in another, and a screen of what arrives there."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from satama.collecting.collector import Collector

from ..broker.core import Broker, Message
from ..broker.serve import BrokerThread
from ..cabinet import Cabinet
from ..network.far_end import require_reachable
from .screen import BusView, DemoView, render
from .subscriber import Subscriber

_SLICE_S = 0.2
_REFRESH_HZ = 4
_SETTLE_S = 1.5  # at the end: what was acknowledged reaches the subscriber


class Demo:
    """One demonstration. Raises what Cabinet raises, FarEndError, CannotListen, PortError."""

    def __init__(self, site: Path, *, broker: str | None, port: int, buses: dict[str, str], seed: int, vm: Path | None):
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._ending = threading.Event()
        self._own_broker: BrokerThread | None = None
        self._subscriber: Subscriber | None = None
        if broker:
            require_reachable(broker)
        else:
            self._own_broker = BrokerThread(Broker(), port=port, on_publish=self._arrived).start()
            broker = f"127.0.0.1:{self._own_broker.port}"
        self.broker = broker
        try:
            self.cabinet = Cabinet(site, seed=seed, vm=vm, clock="real", broker=broker, serial_buses=buses, keep=False)
        except BaseException:
            self._stop_broker()
            raise
        self.collector: Collector = self.cabinet.broker
        try:
            if self._own_broker is None:
                self._subscriber = Subscriber(broker, self.collector.base + "#", self._take)
            self.ptys = self.cabinet.offer_ptys()
        except BaseException:
            self._close()
            raise
        self._bus_history = {bus.name: [(0, 0)] for bus in self.cabinet.buses}

    def _arrived(self, message: Message) -> None:
        self._take(message.topic, message.payload)

    def _take(self, topic: str, payload: bytes) -> None:
        with self._lock:
            self.collector.feed(topic, payload)

    def run(self, length_us: int | None, screen: bool) -> dict[str, Any]:
        """Show it for so long (None: until Ctrl-C) and return the report."""
        worker = threading.Thread(target=self._live, name="cabinet", daemon=True)
        started = time.monotonic()
        worker.start()
        until = None if length_us is None else started + length_us / 1e6
        try:
            self._show(started, until, screen)
        except KeyboardInterrupt:
            pass
        finally:
            self._ending.set()
            worker.join()
        try:
            if self._failure:
                raise self._failure
            return self._report()
        finally:
            self._close()

    def _close(self) -> None:
        self.cabinet.close()
        if self._subscriber:
            self._subscriber.close()
        self._stop_broker()

    def _stop_broker(self) -> None:
        if self._own_broker:
            self._own_broker.stop()

    def _live(self) -> None:
        try:
            while not self._ending.is_set():
                self.cabinet.run(_SLICE_S)
        except BaseException as error:
            self._failure = error
            self._ending.set()

    def _show(self, started: float, until: float | None, screen: bool) -> None:
        console = Console(file=sys.stdout)
        if not screen or not console.is_terminal:
            if screen:
                console.print("no terminal here: running without the screen; the report follows")
            self._ending.wait(None if until is None else max(0.0, until - time.monotonic()))
            return
        with Live(
            console=console,
            screen=True,
            refresh_per_second=_REFRESH_HZ,
            get_renderable=lambda: self._picture(started, console),
        ):
            self._ending.wait(None if until is None else max(0.0, until - time.monotonic()))

    def _picture(self, started: float, console: Console) -> Any:
        with self._lock:
            return render(self._view(started), console.width, console.height)

    def _view(self, started: float) -> DemoView:
        cabinet = self.cabinet
        now_us = cabinet.timeline.now_us
        diag_buses = {row["bus"]: row for row in self.collector.diag.get("buses", [])}
        buses = []
        for spec, bus in zip(cabinet.compiled.body["buses"], cabinet.buses, strict=True):
            history = self._bus_history[bus.name]
            history.append((now_us, bus.busy_us))
            del history[: max(0, len(history) - 10 * _REFRESH_HZ)]
            span = max(1, history[-1][0] - history[0][0])
            busy = min(1.0, (history[-1][1] - history[0][1]) / span)
            row = diag_buses.get(bus.name, {})
            buses.append(BusView(bus.name, spec["baud"], busy, bus.requests, row.get("errors", 0)))
        return DemoView(
            collector=self.collector,
            title=cabinet.compiled.body["gateway"],
            vm=cabinet.vm,
            clock=cabinet.clock.name,
            now_unix_s=cabinet.start_unix_s + now_us / 1e6,
            elapsed_s=time.monotonic() - started,
            broker=self.broker,
            buses=buses,
            ptys=self.ptys,
            note="",
        )

    def _report(self) -> dict[str, Any]:
        ledger = self.cabinet.ledger()
        deadline = time.monotonic() + _SETTLE_S
        while self.collector.decoded < ledger["acknowledged"] and time.monotonic() < deadline:
            self.cabinet.run(0.1)
        return self.cabinet.report()
