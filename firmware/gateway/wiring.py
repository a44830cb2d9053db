"""What the cabinet is wired to: buses, the devices on them, inputs, of which only the kinds that a site has are imported; and the way out.

Wanted at the start only: no function of it may outlive it.
"""

from machine import Pin

from gateway.core import rtc_memory
from gateway.outlet import Outlet, random_below
from gateway.uplink.batch import Batch
from gateway.uplink.birth import Birth
from gateway.uplink.mqtt.client import Client
from gateway.uplink.network.wifi import WifiLink
from gateway.uplink.encoding.packer import SAMPLE_BYTES, Packer
from gateway.uplink.sender import Sender
from gateway.uplink.network.supervisor import Supervisor
from gateway.uplink.clock.notes import TimeNotes
from gateway.uplink.clock.sync import TimeSync


class Wiring:
    """`site`: the body of a compiled site; `inputs`: those of every poll; `rtc`: a core.rtc_memory.Shared."""

    def __init__(self, site, state, clock, rtc):
        self._rtc = rtc
        self._state = state
        self._clock = clock
        for gpio, level in site.get("start", ()):  # what switches the board's own parts on
            Pin(gpio, Pin.OUT, value=level)
        self.buses = [self._bus(spec) for spec in site["buses"]]
        self.units = [self._unit(spec) for spec in site["units"]]
        self.pulses = None
        self.analog = []
        self.inputs = [[self._input(spec) for spec in poll[2]] for poll in site["polls"]]

    def _bus(self, spec):
        """The owner of a bus."""
        kind = spec["kind"]
        if kind == "modbus-rtu":
            from gateway.acquire.modbus.rtu import RtuLink as Link
        elif kind == "modbus-tcp":
            from gateway.acquire.modbus.tcp import TcpLink as Link
        else:
            from gateway.acquire.pushed.listener import Listener

            return Listener(spec, self._clock)
        from gateway.acquire.modbus.bus import Bus

        return Bus(spec, Link(spec), self._clock)

    def _unit(self, spec):
        from gateway.acquire.modbus.unit import Unit

        unit = Unit(spec)
        self.buses[unit.bus].units.append(unit)
        return unit

    def _input(self, spec):
        kind = spec[0]
        if kind == "adc":
            from gateway.acquire.inputs.analog import AnalogInput
            from gateway.acquire.inputs.calibrations import Calibrations

            made = AnalogInput(spec, self.analog[0].calibrations if self.analog else Calibrations(self._state))
            self.analog.append(made)
        elif kind == "pulse":
            from gateway.acquire.inputs.pulses import Pulses

            if not self.pulses:
                self.pulses = Pulses(self._state, self._rtc.area(rtc_memory.PULSES), self._clock.uptime_ms)
            made = self.pulses.add(spec)
        else:
            from gateway.acquire.pushed.listener import Heard

            made = Heard(self.buses[spec[1]], spec)
        return made


def way_out(site, rooms, kept, keep):
    """An Outlet. `site`: the body of a compiled site; `rooms`: the composition root, of which it takes clock, journal, epoch, aliases,
    and hands `note` what is to be told; `kept`: the addresses that an earlier start has given to keep()."""
    mqtt, clock, journal = site["mqtt"], rooms.clock, rooms.journal
    birth = Birth(site, rooms.aliases, rooms.poller.texts, rooms.epoch, rooms.version)
    packer = Packer(mqtt["encoding"], birth.base_name, rooms.aliases, rooms.epoch, clock)
    batch = Batch(
        journal,
        SAMPLE_BYTES[mqtt["encoding"]],
        mqtt["batch_bytes"],
        mqtt["batch_samples"],
        mqtt["batch_age_s"] * 1000,
        mqtt["backlog_bytes_s"],
    )
    link = _link(site["network"])
    renewal = _renewal(mqtt, birth.topic("certs"), rooms)
    client = Client(birth.client_id, mqtt, birth.topic("state"), birth.state(False), clock, renewal)
    supervisor = Supervisor(site["network"], mqtt["hosts"], link, clock, random_below, keep)
    supervisor.recall(kept)
    time = TimeSync(site["network"]["ntp"], clock, supervisor.resolver)
    notes = TimeNotes(time, clock, rooms.note, rooms.recorder.made)
    sender = Sender(site, birth, packer, batch, client, supervisor, time, clock, journal, rooms.diagnosis)
    return Outlet(link, client, supervisor, sender, time, notes)


def _renewal(spec, topic, rooms):
    """What takes certificates from the broker; None without TLS: there is nobody to be believed."""
    if not spec["tls"]:
        return None
    from gateway.uplink.mqtt.renewal import Renewal

    return Renewal(spec, topic, rooms.note, rooms.clock, rooms.stalled_since)


def _link(spec):
    """The network interface that a site's "network" asks for; uplink/network/wifi.py tells its methods."""
    if spec["kind"] == "wifi":
        return WifiLink(spec)
    from gateway.uplink.network.ethernet import EthernetLink

    return EthernetLink(spec)
