"""The way to the broker: brings the interface up, finds an address, decides when to try again. Pure decisions are its neighbours'."""

import asyncio

from micropython import const

from gateway.uplink.network import backoff
from gateway.uplink.network import supervisor_state as states
from gateway.uplink.network.backoff import Backoff
from gateway.uplink.errors import LinkDown
from gateway.uplink.network.places import Places
from gateway.uplink.network.resolver import Resolver

_SLICE_MS = const(1000)
_KEEP_MS = const(3600000)  # between two writes of the last good addresses: some brokers change theirs every minute


def _nothing(*_):
    pass


class Supervisor:
    """`spec`: the compiled site's "network"; name servers under "dns" come before those of the network.

    `hosts`: [[name or address, port], ...], the wanted one first; `link`: an interface of uplink.network.
    `random(n)` gives an integer from 0 to n - 1. `keep(bytes)` keeps the last good addresses over a restart, at most 480 bytes and once
    an hour; recall() takes them back. `alive` is called at least every half minute while something is awaited.
    """

    def __init__(self, spec, hosts, link, clock, random, keep=None):
        self._name_servers = spec.get("dns", [])
        self._hosts = hosts
        self._link = link
        self._clock = clock
        self._random = random
        self._keep = keep or _nothing
        self._kept = b""
        self._kept_ms = -_KEEP_MS
        now = clock.uptime_ms()
        self.resolver = Resolver(self._servers, clock.uptime_ms)
        self.resolver.heard = self._heard
        self.places = Places(len(hosts))
        self.state = states.State(now)
        self._backoff = Backoff(random)
        self.alive = _nothing
        self._is_broker = False  # a connect was made, and is to be answered for

    # --- what the sender calls

    async def way(self):
        """(name, address as text, port) of the broker to connect to now. Raises LinkDown."""
        clock, state, link = self._clock, self.state, self._link
        if not link.is_up():
            state.enter(states.ADDRESS if link.is_linked() else states.INTERFACE, clock.uptime_ms())
            if not await link.bring_up(self.alive):
                raise LinkDown(link.reason)
            self._backoff.fresh()
        state.interface_up()
        await self._rest(self._backoff.to_wait_ms(clock.uptime_ms()), False)
        self.places.begin(clock.uptime_ms())
        for _ in self._hosts:
            host, port = self._hosts[self.places.at]
            state.enter(states.NAME, clock.uptime_ms())
            found, why = await self.resolver.lookup(host)
            self.alive()
            if not found:
                raise LinkDown(why)
            address = self.places.choose(found)
            if address:
                now = clock.uptime_ms()
                state.enter(states.BROKER, now)
                self._backoff.connecting(now)
                self._is_broker = True
                return host, address, port
            self.places.failed(clock.uptime_ms())  # the name has fewer addresses than it had
        raise LinkDown("no address left")

    def connected(self):
        """The broker has accepted us."""
        now = self._clock.uptime_ms()
        self.state.connected(now)
        self.places.connected(now)
        self._backoff.connected(now)
        data = self.resolver.keep()
        if data != self._kept and now - self._kept_ms >= _KEEP_MS:
            self._kept = data
            self._kept_ms = now
            self._keep(data)

    async def pause(self, reason):
        """Something failed, for that reason; rest until it is time to call way() again."""
        now = self._clock.uptime_ms()
        state, places = self.state, self.places
        is_up = self._link.is_up()
        kind = backoff.kind_of(reason) if is_up else backoff.NEAR
        is_name = state.name == states.NAME
        if state.failed(reason, is_up, now):
            self._link.take_down()
        more = False
        if is_up and (self._is_broker or is_name) and kind != backoff.CLOCK:
            at, more = places.at, places.more_to_try
            if places.failed(now) and not is_name:
                self.resolver.distrust(self._hosts[at][0])
        self._is_broker = False
        if is_up:
            state.enter(states.BROKER, now)
        await self._rest(self._backoff.pause_ms(kind, more, now), kind == backoff.CLOCK)

    def recall(self, data):
        """What keep() was given before the restart."""
        self._kept = data
        self.resolver.recall(data)

    @property
    def wants_home(self):
        """Connected for an hour with another broker than the first: a quiet moment is good to call way() anew."""
        return self.places.away(self._clock.uptime_ms())

    def about(self):
        """For people: where it stands, since how many seconds, and why."""
        now, state = self._clock.uptime_ms(), self.state
        about = {
            "state": state.name,
            "for_s": (now - state.since_ms) // 1000,
            "reason": state.reason,
            "broker": self._hosts[self.places.at][0],
            "connects": state.connects,
            "failures": state.failures,
            "start_overs": state.start_overs,
            "old_addresses": self.resolver.stale,
        }
        return about

    # --- waiting

    async def _rest(self, ms, for_clock):
        """Wait, but no longer than makes sense: not for a broker while the interface needs us, not when it has just come back."""
        clock, link = self._clock, self._link
        until = clock.uptime_ms() + ms
        was_up = link.is_up()
        while True:
            self.alive()
            left = until - clock.uptime_ms()
            if left <= 0 or for_clock and clock.synced:
                return
            await asyncio.sleep_ms(min(left, _SLICE_MS))
            is_up = link.is_up()
            if was_up and not is_up:
                return
            if is_up and not was_up:
                was_up = True
                self._backoff.fresh()
                until = min(until, clock.uptime_ms() + self._random(_SLICE_MS))

    def _servers(self):
        return self._name_servers + self._link.dns_servers()

    def _heard(self):
        self.state.heard(self._clock.uptime_ms())
