"""The composition root: builds the rooms of a compiled site, hands each its neighbours, starts the tasks."""

import time

import asyncio
import os
from esp32 import NVS, Partition

import gateway
from gateway.core import exact, lend
from gateway.core.clock import Clock
from gateway.acquire.poller import Poller
from gateway.journal import state, wear
from gateway.journal.journal import Journal
from gateway.journal.ledger import Ledger
from gateway.process.counters import Counters
from gateway.process.pipeline import Pipeline
from gateway.recorder import Recorder, lost_max
from gateway.service import status
from gateway.service.console import Console
from gateway.service.health import Health

_UNIX_2000 = 946684800
_BLOCKS = 4  # ioctl
_VERDICTS = 2  # keys in the state ring
_ADDRESSES = 5


class Gateway:
    """The rooms of one cabinet."""

    def __init__(self, site, health=None, archive=None, slots=None):
        from gateway import aliases
        from gateway.wiring import Wiring, way_out

        self.health = health or Health()
        self._slots = slots
        self.archive = archive
        self.receiving = None  # an update that is on its way (service.update)
        self.site = site
        self.version = gateway.VERSION
        self.clock = Clock(time.ticks_ms, time.ticks_diff, site["built"] - _UNIX_2000)
        self._born_ms = self.clock.uptime_ms()
        self._take_over_rtc()
        partition = Partition.find(Partition.TYPE_DATA, label="journal")[0]
        blocks, kept = state.share(partition.ioctl(_BLOCKS, 0))
        self.state = state.State(partition, blocks, kept)
        wiring = Wiring(site, self.state, self.clock, self.health.rtc)
        self.buses, self.units, self.pulses, self.analog = wiring.buses, wiring.units, wiring.pulses, wiring.analog
        classes = {stream[0]: stream[5] for stream in site["streams"]}
        self.ledger = Ledger(sorted(classes))
        self.promise = site["journal"]
        self.journal = Journal(partition, self.ledger, self.state, 0, blocks, self.promise["percents"], classes)
        self.epoch = self.journal.epoch = self._next_epoch()
        self.recorder = Recorder(self.journal, self.clock, self.epoch, self.promise, self.stalled_since)
        self.note = self.recorder.note
        secrets = None if site["retention_h"] else (site["network"].get("password"), site["mqtt"]["password"])
        self.health.open(self.clock, self.state, self.epoch, secrets, self.note, self.flush)
        self.counters = Counters(self.state)
        self.pipeline = Pipeline(site, self.counters, self._happened)
        self.recorder.so_far = self.pipeline.so_far
        self.keeper = self._keeper()
        self.aliases, self._nameless = aliases.give(site)
        site["schema"] = self.pipeline.schemas()
        self.poller = Poller(
            site["polls"],
            site["texts"],
            site["probes"],
            self.units,
            self.buses,
            wiring.inputs,
            self.clock,
            self._begin_round,
            self.pipeline.offer,
            self._finish_round,
            self._keep_verdicts,
        )
        self.poller.recall(self.state.get(_VERDICTS) or b"")
        self._periods = [poll[0] for poll in site["polls"]]
        for built in ("modules", "buses", "units", "polls", "texts", "probes", "derived"):
            del site[built]
        self.outlet = way_out(site, self, self.state.get(_ADDRESSES) or b"", self._keep_addresses)
        self.link, self.sender = self.outlet.link, self.outlet.sender
        self.recorder.first = self.sender.hurry
        self.console = Console(self)
        self.lost_max = lost_max(len(classes), self.health.boots.planned and not self.health.boots.powered_on)

    def _take_over_rtc(self):
        """The RTC keeps the time that the time servers gave it, over every reset but a power cut.

        When that was nobody knows: a minute is what a crystal can be wrong by after two weeks.
        """
        seconds, ms = divmod(time.time_ns() // 1000000, 1000)
        self.clock.set_utc(seconds, ms, "rtc", 60000)

    def _next_epoch(self):
        """One more than any boot before; a high random one when nothing of them is left."""
        try:
            last = NVS("satama").get_i32("epoch")
        except OSError:
            last = 0
        last = max(last, self.journal.epoch_found)
        return last + 1 if last else 1 << 16 | int.from_bytes(os.urandom(2), "big")

    def _keep_epoch(self):
        """No record may carry it before. The health's commit keeps both."""
        try:
            NVS("satama").set_i32("epoch", self.epoch)
        except OSError:
            pass  # the journal has it with the next event, before any sample
        self.health.keep()

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

    async def ask_devices(self):
        """Which Modbus devices answer now: see acquire.modbus.asking."""
        from gateway.acquire.modbus import asking

        lend.drop("acquire.modbus.asking")
        return await asking.ask_devices(self.units, self.buses, self.poller.reads, self.clock)

    def calibrate(self, name, mantissa):
        """What is before an analog input now has this value (None: forget what was calibrated). True when it is on flash.

        None for a point that is no analog input. Raises SettingError without a signal, or when both points say the same.
        """
        for source in self.analog:
            if self.site["points"][source.point][0] == name:
                started = self.clock.uptime_ms()
                kept = source.forget_calibration() if mantissa is None else source.calibrate(mantissa)
                self.stalled_since(started)
                return kept
        return None

    def _keep_verdicts(self, data):
        """What was learned about the devices on the buses outlives a restart."""
        self._keep(_VERDICTS, data)

    def _keep_addresses(self, data):
        """So do the last good addresses of broker and time servers."""
        self._keep(_ADDRESSES, data)

    def _keep(self, key, data):
        started = self.clock.uptime_ms()
        self.state.put(key, data)
        self.stalled_since(started)

    async def _keep_totals(self, alive):
        """A reset costs no more than a second of pulses."""
        while True:
            alive()
            await asyncio.sleep_ms(1000)
            self.pulses.keep_rtc()

    async def _forget(self, alive):
        """What is private does not stay on flash for longer than its profile says: a block a minute is looked at."""
        from gateway.journal.wiping import Wiper

        wiper = Wiper(self.journal)
        while True:
            alive()
            await asyncio.sleep_ms(60000)
            if self.clock.synced:
                started = self.clock.uptime_ms()
                wiper.next(self.clock.now_ms() // 1000 - self.site["retention_h"] * 3600)
                self.stalled_since(started)

    def flush(self):
        """What is only in RAM goes to flash, before a restart."""
        self.recorder.flush()
        if self.pulses:
            self.pulses.keep_rtc()
        self.counters.flush(self.clock.uptime_ms() // 1000)
        if self.keeper:
            self.keeper.keep()
        self.journal.save_all()

    def _begin_round(self, slot):
        self.recorder.begin(slot)
        self._round_s = self.clock.uptime_s(slot)
        self.pipeline.begin(slot, self._round_s)

    def _finish_round(self, slot):
        """The readings of a slot are complete."""
        self._rounds_alive()
        self.recorder.finish(slot, self.pipeline.finish(slot, self.recorder.synced))
        started = self.clock.uptime_ms()
        self.counters.tend(self._round_s)
        if self.keeper:
            self.keeper.second(self._round_s)
        self.stalled_since(started)

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

    def stalled_since(self, started):
        """Flash was written: pulse inputs may have missed something."""
        if self.pulses:
            self.pulses.stalled(self.clock.uptime_ms() - started)

    def wear(self):
        """See journal.wear.about()."""
        return wear.about(self.journal, self.state, self.clock.uptime_ms() - self._born_ms)

    def diagnosis(self):
        """What `diag` publishes."""
        return status.diagnosis(self)

    def _tell_slots(self):
        """What the starts before have done about an update; one that is on trial has to prove itself from here on."""
        slots, self._slots = self._slots, None
        if not slots:
            return
        news = slots.news()
        if news:
            self.note({"event": news, "version": self.version, "slot": slots.running})
        if slots.on_trial:
            from gateway.service.trial import Trial

            self.health.start("trial", Trial(self, slots).run, 60000)

    async def run(self):
        """Every task with how long it may go without progress. In safe mode the uplink comes late, and may fail."""
        health = self.health
        health.start("console", self.console.run, 60000)
        if self.pulses:
            health.start("totals", self._keep_totals, 60000)
        await health.settle()
        self._keep_epoch()
        self.note(
            {
                "event": "started",
                "cause": health.cause(),
                "boots": health.boots.number,
                "lost_max": self.lost_max,
                "durability_s": self.promise["durability_s"],
            }
        )
        health.tell()
        self._tell_slots()
        self._rounds_alive = health.watch.task("rounds", max(4000 * max(self._periods), 120000))
        health.start("poller", self.poller.run, 60000)
        boots = health.boots
        health.start("journal", self.recorder.tend, 60000)
        health.start("uplink", self.sender.run, 300000, self.sender.shed, boots.radio_ms, boots.safe)
        health.start("time", self.outlet.keep_time, 300000, None, boots.radio_ms, boots.safe)
        if self.site["retention_h"]:
            health.start("wiping", self._forget, 180000)
        for bus in self.buses:
            if hasattr(bus, "run"):  # one that listens
                health.start(bus.name, bus.run, 60000)
        await health.guard()
