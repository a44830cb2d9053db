"""The composition root: reads the compiled site, builds the rooms, hands each its neighbours, starts the tasks."""

import gc
import json
import sys
import time

import asyncio
import machine
import os
from esp32 import NVS, Partition

import gateway
from gateway import aliases, needs
from gateway.core import exact
from gateway.core import site as site_file
from gateway.core.clock import Clock
from gateway.core.errors import SettingError
from gateway.core.record import Event, Round
from gateway.acquire.poller import Poller
from gateway.journal import state
from gateway.journal.ledger import Ledger
from gateway.journal.ring import Journal
from gateway.process.counters import Counters
from gateway.process.pipeline import Pipeline
from gateway.service import health
from gateway.service.console import Console
from gateway.service.requests import Requests
from gateway.uplink import network
from gateway.uplink.sender import Sender
from gateway.wiring import Wiring

_UNIX_2000 = 946684800
_BLOCKS = 4  # ioctl
_VERDICTS = 2  # key in the state ring
_ALARM = 0  # class


class Gateway:
    """The rooms of one cabinet."""

    def __init__(self, site):
        self.site = site
        self.version = gateway.VERSION
        self.clock = Clock(time.ticks_ms, time.ticks_diff, site["built"] - _UNIX_2000)
        self._seq = 0
        self._round_synced = False
        self._round_ms = 0
        self._take_over_rtc()
        partition = Partition.find(Partition.TYPE_DATA, label="journal")[0]
        blocks, kept = state.share(partition.ioctl(_BLOCKS, 0))
        self.state = state.State(partition, blocks, kept)
        self.wiring = Wiring(site, self.state, self.clock)
        self.buses, self.units, self.pulses = self.wiring.buses, self.wiring.units, self.wiring.pulses
        self.ledger = Ledger([stream[0] for stream in site["streams"]])
        self.journal = Journal(partition, self.ledger, 0, blocks)
        self.epoch = self._next_epoch()
        self.counters = Counters(self.state)
        self.pipeline = Pipeline(site, self.counters, self._happened)
        self.keeper = self._keeper()
        site["points"] = [(row[0], row[1]) for row in site["points"]]  # the pipeline has the rest
        self.aliases, self._nameless = aliases.give(site)
        site["schema"] = self.pipeline.schemas()
        self.poller = Poller(
            site["polls"],
            site["texts"],
            site["probes"],
            self.units,
            self.buses,
            self.wiring.inputs,
            self.clock,
            self._begin_round,
            self.pipeline.offer,
            self._finish_round,
            self._keep_verdicts,
        )
        self.poller.recall(self.state.get(_VERDICTS) or b"")
        self._periods = [poll[0] for poll in site["polls"]]
        for built in ("buses", "units", "polls", "texts", "probes", "derived"):
            del site[built]
        self.link = network.link(site["network"])
        self.sender = Sender(
            site,
            self.link,
            self.clock,
            self.journal,
            self.epoch,
            self.version,
            self.diagnosis,
            _random_below,
            self.poller.texts,
            self.aliases,
            self.note,
            lambda: self._seq,
        )
        self.console = Console(Requests(self))

    def _take_over_rtc(self):
        """The RTC keeps the time that the time servers gave it, over every reset but a power cut.

        When that was nobody knows: a minute is what a crystal can be wrong by after two weeks.
        """
        seconds, ms = divmod(time.time_ns() // 1000000, 1000)
        self.clock.set_utc(seconds, ms, "rtc", 60000)

    def _next_epoch(self):
        """One more than any boot before; a high random one when nothing of them is left."""
        nvs = NVS("satama")
        try:
            last = nvs.get_i32("epoch")
        except OSError:
            last = 0
        last = max(last, self.journal.epoch_found)
        epoch = last + 1 if last else 1 << 16 | int.from_bytes(os.urandom(2), "big")
        nvs.set_i32("epoch", epoch)
        nvs.commit()
        return epoch

    def _keeper(self):
        """What keeps the totals of derived quantities, None where there are none."""
        named = [(self.site["points"][made.outputs[0]][0], made) for made in self.pipeline.derivations if made.outputs]
        if not named:
            return None
        from gateway.process.derived.keeping import Keeper

        return Keeper(self.state, named)

    async def identify(self, unit):
        """What a Modbus device says of itself, between two polls."""
        from gateway.acquire.modbus.identify import identify

        return await identify(self.buses[unit.bus], unit)

    def calibrate(self, name, mantissa):
        """What is before an analog input now has this value (None: forget what was calibrated). True when it is on flash.

        None for a point that is no analog input. Raises SettingError without a signal, or when both points say the same.
        """
        for source in self.wiring.analog:
            if self.site["points"][source.point][0] == name:
                started = self.clock.uptime_ms()
                kept = source.forget_calibration() if mantissa is None else source.calibrate(mantissa)
                self._stalled_since(started)
                return kept
        return None

    def _keep_verdicts(self, data):
        """What was learned about the devices on the buses outlives a restart."""
        started = self.clock.uptime_ms()
        self.state.put(_VERDICTS, data)
        self._stalled_since(started)

    async def _keep_totals(self):
        """A reset costs no more than a second of pulses."""
        while True:
            await asyncio.sleep_ms(1000)
            self.pulses.keep_rtc()

    async def _forget(self):
        """What is private does not stay on flash for longer than its profile says: a block a minute is looked at."""
        while True:
            await asyncio.sleep_ms(60000)
            if self.clock.synced:
                started = self.clock.uptime_ms()
                self.journal.wipe_next(self.clock.now_ms() // 1000 - self.site["retention_h"] * 3600)
                self._stalled_since(started)

    def _begin_round(self, slot):
        """The time of a round is that of its slot, by the clock as it was then: it may be set while the devices are read."""
        self._round_synced = self.clock.synced
        self._round_ms = self.clock.uptime_ms()
        self._round_s = self.clock.uptime_s(slot)
        self.pipeline.begin(slot, self._round_s)

    def _finish_round(self, slot):
        """The readings of a slot are complete: into the journal with them, a record a schema."""
        for number, schema, urgent, values, marks in self.pipeline.finish(slot, self._round_synced):
            made = Round(schema, self.epoch, self._next_seq(), self._round_synced, slot, self._round_ms, values, marks)
            started = self.clock.uptime_ms()
            self.journal.append(number, made)
            self._stalled_since(started)
            if urgent:
                self.sender.urgent = True
        started = self.clock.uptime_ms()
        self.counters.tend(self._round_s)
        if self.keeper:
            self.keeper.second(self._round_s)
        self._stalled_since(started)

    def _next_seq(self):
        self._seq += 1
        return self._seq

    def _happened(self, event, point, about):
        """Into the journal with an event: `about` has mantissas of the point, and texts."""
        if self.pipeline.hidden(point):
            return
        name, exponent = self.site["points"][point][:2]
        body = {"event": event, "point": name}
        for key, value in about:
            if key.endswith("_serial") and point in self._nameless:  # the number on a meter is a name
                continue
            body[key] = value if isinstance(value, str) else exact.decimal(value, exponent)
        self.note(body)

    def note(self, body):
        """Into the journal with an event that says `body`, a dict for JSON."""
        clock = self.clock
        seconds, ms = divmod(clock.now_ms(), 1000)
        data = json.dumps(body).encode()
        started = clock.uptime_ms()
        self.journal.append_event(Event(_ALARM, self.epoch, self._next_seq(), clock.synced, seconds, ms, started, data))
        self._stalled_since(started)

    def _stalled_since(self, started):
        """Flash was written: pulse inputs may have missed something."""
        if self.pulses:
            self.pulses.stalled(self.clock.uptime_ms() - started)

    def diagnosis(self):
        """What `diag` publishes."""
        requests = Requests(self)
        diagnosis = requests.status()
        ledger = requests.ledger()
        del ledger["streams"]
        diagnosis["ledger"] = ledger
        diagnosis["rssi"] = self.link.rssi()
        diagnosis["damaged_records"] = self.journal.damaged
        diagnosis["state_failures"] = self.state.failures
        diagnosis["pulse_suspicions"] = self.pulses.suspicions() if self.pulses else 0
        return diagnosis

    async def run(self):
        asyncio.create_task(self.sender.run())
        asyncio.create_task(self.console.run())
        if self.pulses:
            asyncio.create_task(self._keep_totals())
        if self.site["retention_h"]:
            asyncio.create_task(self._forget())
        for bus in self.buses:
            if hasattr(bus, "run"):  # one that listens
                asyncio.create_task(bus.run())
        asyncio.create_task(health.guard(self.poller, self.clock, max(self._periods)))
        await self.poller.run()


def _random_below(limit):
    return int.from_bytes(os.urandom(3), "big") % limit


def main(path):
    """Run the cabinet that `path` describes. Returns only when that file cannot be used; the reason is on the console."""
    try:
        site = _load(path)
        needed = needs.of(site)
        del site
        gc.collect()
        needs.import_all(*needed)
        rooms = Gateway(_load(path))
        gc.threshold(-1)  # boot.py has set it
        asyncio.get_event_loop().set_exception_handler(lambda loop, context: _restart(context["exception"]))
        gc.collect()
        print("satama", gateway.VERSION, rooms.site["gateway"], "epoch", rooms.epoch)
        asyncio.run(rooms.run())
    except _Unusable as error:
        print("satama: no usable site file", path, error.args[0], "- build and deploy it again")
    except Exception as error:
        _restart(error)


class _Unusable(Exception):
    """The site file; why."""


def _load(path):
    try:
        with open(path, "rb") as file:
            return site_file.load(file)
    except (OSError, SettingError, ValueError) as error:
        raise _Unusable(repr(error))


def _restart(error):
    """No task may die alone: a gateway that half works is worse than one that starts again."""
    sys.print_exception(error)
    print("satama: restarting in 5 s")
    time.sleep(5)
    machine.reset()
