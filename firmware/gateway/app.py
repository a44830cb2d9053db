"""The composition root: reads the compiled site, builds the rooms, hands each its neighbours, starts the tasks."""

import gc
import sys
import time

import asyncio
import machine
import os
from esp32 import NVS, Partition

import gateway
from gateway.core import site as site_file
from gateway.core.clock import Clock
from gateway.core.errors import SettingError
from gateway.acquire.poller import Poller
from gateway.journal.ledger import Ledger
from gateway.journal.ring import MOST_SAMPLES, Journal
from gateway.process.pipeline import Pipeline
from gateway.service import health
from gateway.service.console import Console
from gateway.service.requests import Requests
from gateway.uplink import network
from gateway.uplink.sender import Sender

_UNIX_2000 = 946684800


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
        self.ledger = Ledger([stream[0] for stream in site["streams"]])
        self.journal = Journal(Partition.find(Partition.TYPE_DATA, label="journal")[0], self.ledger)
        self.epoch = self._next_epoch()
        self.pipeline = Pipeline(site)
        self.buses = [self._bus(spec) for spec in site["buses"]]
        inputs = self._inputs()
        self.poller = Poller(
            site["polls"],
            self.buses,
            inputs,
            self.clock,
            self._begin_round,
            self.pipeline.offer,
            self._finish_round,
        )
        self.link = network.link(site["network"])
        self.sender = Sender(
            site, self.link, self.clock, self.journal, self.epoch, self.version, self.diagnosis, _random_below
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
        from gateway.acquire.rtu import RtuBus

        return RtuBus(spec)

    def _inputs(self):
        """The inputs of every poll, built only where the site has some."""
        built = []
        pulses = 0
        for _, _, specs in self.site["polls"]:
            row = []
            for spec in specs:
                from gateway.acquire.inputs import AnalogInput, PulseInput

                if spec[0] == "adc":
                    row.append(AnalogInput(spec))
                else:
                    row.append(PulseInput(spec, pulses))
                    pulses += 1
            built.append(row)
        return built

    def _begin_round(self, slot):
        """The time of a round is that of its slot, by the clock as it was then: it may be set while the devices are read."""
        self._round_synced = self.clock.synced
        self._round_ms = self.clock.uptime_ms()
        self.pipeline.close_windows(slot)

    def _finish_round(self, slot):
        """The readings of a slot are complete: into the journal with them, a record a class and period."""
        for cls, _, urgent, samples in self.pipeline.take():
            for at in range(0, len(samples), MOST_SAMPLES):
                self._seq += 1
                part = samples[at : at + MOST_SAMPLES]
                self.journal.append(cls, self.epoch, self._seq, self._round_synced, slot, self._round_ms, part)
            if urgent:
                self.sender.urgent = True

    def diagnosis(self):
        """What `diag` publishes."""
        requests = Requests(self)
        diagnosis = requests.status()
        ledger = requests.ledger()
        del ledger["streams"]
        diagnosis["ledger"] = ledger
        diagnosis["rssi"] = self.link.rssi()
        diagnosis["damaged_records"] = self.journal.damaged
        return diagnosis

    async def run(self):
        periods = [poll[0] for poll in self.site["polls"]]
        asyncio.create_task(self.sender.run())
        asyncio.create_task(self.console.run())
        asyncio.create_task(health.guard(self.poller, self.clock, max(periods)))
        await self.poller.run()


def _random_below(limit):
    return int.from_bytes(os.urandom(3), "big") % limit


def main(path):
    """Run the cabinet that `path` describes. Returns only when that file cannot be used; the reason is on the console."""
    try:
        with open(path, "rb") as file:
            site = site_file.load(file.read())
    except (OSError, SettingError, ValueError) as error:
        print("satama: no usable site file", path, repr(error), "- build and deploy it again")
        return
    try:
        rooms = Gateway(site)
        asyncio.get_event_loop().set_exception_handler(lambda loop, context: _restart(context["exception"]))
        gc.collect()
        print("satama", gateway.VERSION, site["gateway"], "epoch", rooms.epoch)
        asyncio.run(rooms.run())
    except Exception as error:
        _restart(error)


def _restart(error):
    """No task may die alone: a gateway that half works is worse than one that starts again."""
    sys.print_exception(error)
    print("satama: restarting in 5 s")
    time.sleep(5)
    machine.reset()
