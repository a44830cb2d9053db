"""The composition root: reads the compiled site, builds the rooms, hands each its neighbours, starts the tasks."""

import gc
import sys
import time

import asyncio
import machine
import os
from esp32 import NVS, Partition

import gateway
from gateway import needs
from gateway.core import site as site_file
from gateway.core.clock import Clock
from gateway.core.errors import SettingError
from gateway.acquire.poller import Poller
from gateway.journal import state
from gateway.journal.ledger import Ledger
from gateway.journal.ring import MOST_SAMPLES, Journal
from gateway.process.pipeline import Pipeline
from gateway.service import health
from gateway.service.console import Console
from gateway.service.requests import Requests
from gateway.uplink import network
from gateway.uplink.sender import Sender

_UNIX_2000 = 946684800
_BLOCKS = 4  # ioctl
_VERDICTS = 2  # key in the state ring


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
        self.buses = [self._bus(spec) for spec in site["buses"]]
        self.units = [self._unit(spec) for spec in site["units"]]
        self.pulses = None
        self.analog = []
        inputs = self._inputs()
        self.ledger = Ledger([stream[0] for stream in site["streams"]])
        self.journal = Journal(partition, self.ledger, 0, blocks)
        self.epoch = self._next_epoch()
        self.pipeline = Pipeline(site)
        site["points"] = [(name, exponent) for name, exponent, _, _ in site["points"]]  # the pipeline has the rest
        self.poller = Poller(
            site["polls"],
            site["texts"],
            site["probes"],
            self.units,
            self.buses,
            inputs,
            self.clock,
            self._begin_round,
            self.pipeline.offer,
            self._finish_round,
            self._keep_verdicts,
        )
        self.poller.recall(self.state.get(_VERDICTS) or b"")
        self._periods = [poll[0] for poll in site["polls"]]
        for built in ("buses", "units", "polls", "texts", "probes"):
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
        )
        self.console = Console(Requests(self))

    def _take_over_rtc(self):
        """The RTC keeps the time over every reset but a power cut."""
        self.clock.set_utc(time.time(), 0, "rtc", 1000)

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

    def _bus(self, spec):
        """The owner of a bus. Only the kinds that this site has are imported."""
        kind = spec["kind"]
        if kind == "modbus-rtu":
            from gateway.acquire.modbus.rtu import RtuLink as Link
        elif kind == "modbus-tcp":
            from gateway.acquire.modbus.tcp import TcpLink as Link
        else:
            from gateway.acquire.pushed.listener import Listener

            return Listener(spec, self.clock)
        from gateway.acquire.modbus.bus import Bus

        return Bus(spec, Link(spec), self.clock)

    def _unit(self, spec):
        from gateway.acquire.modbus.unit import Unit

        unit = Unit(spec)
        self.buses[unit.bus].units.append(unit)
        return unit

    def _inputs(self):
        """The inputs of every poll. Only the kinds that this site has are imported."""
        return [[self._input(spec) for spec in poll[2]] for poll in self.site["polls"]]

    def _input(self, spec):
        kind = spec[0]
        if kind == "adc":
            from gateway.acquire.inputs.analog import AnalogInput
            from gateway.acquire.inputs.calibrations import Calibrations

            made = AnalogInput(spec, self.analog[0].calibrations if self.analog else Calibrations(self.state))
            self.analog.append(made)
        elif kind == "pulse":
            from gateway.acquire.inputs.pulses import Pulses

            if not self.pulses:
                self.pulses = Pulses(self.state, machine.RTC(), self.clock.uptime_ms)
            made = self.pulses.add(spec)
        else:
            from gateway.acquire.pushed.listener import Heard

            made = Heard(self.buses[spec[1]], spec)
        return made

    async def identify(self, unit):
        """What a Modbus device says of itself, between two polls."""
        from gateway.acquire.modbus.identify import identify

        return await identify(self.buses[unit.bus], unit)

    def calibrate(self, name, mantissa):
        """What is before an analog input now has this value (None: forget what was calibrated). True when it is on flash.

        None for a point that is no analog input. Raises SettingError without a signal, or when both points say the same.
        """
        for source in self.analog:
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

    def _begin_round(self, slot):
        """The time of a round is that of its slot, by the clock as it was then: it may be set while the devices are read."""
        self._round_synced = self.clock.synced
        self._round_ms = self.clock.uptime_ms()
        self.pipeline.close_windows(slot, self.clock.uptime_s(slot))

    def _finish_round(self, slot):
        """The readings of a slot are complete: into the journal with them, a record a class and period."""
        for cls, _, urgent, samples in self.pipeline.take():
            for at in range(0, len(samples), MOST_SAMPLES):
                self._seq += 1
                part = samples[at : at + MOST_SAMPLES]
                started = self.clock.uptime_ms()
                self.journal.append(cls, self.epoch, self._seq, self._round_synced, slot, self._round_ms, part)
                self._stalled_since(started)
            if urgent:
                self.sender.urgent = True

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
        names, specs = needs.of(site)
        del site
        gc.collect()
        needs.import_all(names, specs)
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
