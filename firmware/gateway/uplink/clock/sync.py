"""Keeps the clock: asks all time servers of the site at once, has their answers judged, sets clock and RTC.

An hour passes between two questions while all is well, a minute while the time is not known or in doubt. A server that says so is
asked less often, or never again. The machine's RTC is set too: it keeps the time over every reset but a power cut.
"""

import asyncio
import errno
import os
import socket
import time

import machine
from micropython import const

from gateway.core import lend
from gateway.uplink.network.resolver import UNKNOWN
from gateway.uplink.clock.sntp import ANSWER, NEVER, SLOWER
from gateway.uplink.clock.votes import Votes

_PORT = const(123)
_ANSWER_MS = const(2000)
_STEP_MS = const(20)
_LOOK_MS = const(1000)
_LOOK_FIRST_MS = const(100)
_HOUR_MS = const(3600000)
_MINUTE_MS = const(60000)
_DAY_MS = const(86400000)
_KISS_MS = const(240000)  # the first rest after "ask less often"; doubles each time, up to a day
_UNNAMED_MS = const(50000)  # the first rest of a name that was not found; doubles each time, up to an hour
_SILENCES = const(3)  # then its name is looked up again: it may have moved


class _Server:
    def __init__(self, index, host):
        self.index = index
        self.host = host
        self.address = None
        self.rest_until_ms = 0
        self.rest_ms = 0  # how long the last rest was
        self.denied = False
        self.silences = 0
        self.nonce = b""

    def rest(self, now, first_ms, most_ms):
        self.rest_ms = min(max(first_ms, 2 * self.rest_ms), most_ms)
        self.rest_until_ms = now + self.rest_ms


class TimeSync:
    """`hosts`: names or addresses of at most four servers, the preferred one first; `resolver`: an uplink.resolver."""

    def __init__(self, hosts, clock, resolver):
        self._clock = clock
        self._resolver = resolver
        self._servers = [_Server(index, host) for index, host in enumerate(hosts)]
        self.votes = Votes(len(hosts))
        if clock.synced:
            self.votes.carried(clock.uptime_ms())
        self.has_asked = False
        self._due_ms = 0
        self._hourly_ms = 0
        self._retry_ms = _MINUTE_MS
        self.refused = []  # (host, what it said in seconds since 2000, how many ms that is off or None): to be told

    async def run(self, is_up, changed, alive):
        """For ever: ask when it is due and the network `is_up()`. What else is to be sent does not wait for it.

        After each poll `changed(moved)` is called, with what poll() returned, before anybody else can read the clock. `alive()` is
        called at least every half minute.
        """
        while True:
            if self.is_due() and is_up():
                changed(await self.poll())
                self.has_asked = True
            alive()
            await asyncio.sleep_ms(_LOOK_MS if self.has_asked else _LOOK_FIRST_MS)

    async def first(self, most_ms):
        """Wait for the end of the first poll, but no longer than that: what is sent with its time from the start needs no event later."""
        until = self._clock.uptime_ms() + most_ms
        while not self.has_asked and self._clock.uptime_ms() < until:
            await asyncio.sleep_ms(_STEP_MS)

    def is_due(self):
        return self._clock.uptime_ms() >= self._due_ms

    async def poll(self):
        """Ask, and set the clock if the answers are believed. Returns as Clock.set_utc; False when nothing was set."""
        witnesses, absurd = [], []
        await self._ask(witnesses, absurd)
        from gateway.uplink.clock import judge as time_judge

        lend.drop("uplink.clock.judge")  # for an hour nobody wants it any more
        clock = self._clock
        now = clock.uptime_ms()
        near = clock.offset_at(now) if clock.synced else None
        believed, refused = time_judge.judge(self.votes, witnesses, absurd, near, now)
        moved = False
        if believed:
            ms = now + believed[0]
            moved = clock.set_utc(ms // 1000, ms % 1000, "ntp", believed[1])
            if moved is not False:
                _keep(clock)
                near = believed[0]
        for witness in refused:
            off_ms = None if near is None else witness[1] - near
            self.refused.append((self._servers[witness[0]].host, (now + witness[1]) // 1000, off_ms))
        self._plan(now, moved is not False)
        return moved

    def _plan(self, now, fine):
        """When to ask next."""
        if fine:
            self._retry_ms = _MINUTE_MS
            if now >= self._hourly_ms:
                self._hourly_ms = now + _HOUR_MS
            self._due_ms = self._hourly_ms
            if self.votes.in_doubt:
                self._due_ms = min(self._due_ms, now + _MINUTE_MS)
            return
        self._due_ms = now + self._retry_ms
        if self._clock.synced and not self.votes.in_doubt:
            # They are silent: the clock runs on.
            self._retry_ms = min(2 * self._retry_ms, _HOUR_MS)
        else:
            self._retry_ms = _MINUTE_MS

    # --- the question

    async def _ask(self, witnesses, absurd):
        """Fill in (server, UTC minus uptime in ms, uncertainty in ms) of each that answers; those apart that say what cannot be."""
        asked = await self._reachable()
        if not asked:
            return
        from gateway.uplink.clock import sntp

        lend.drop("uplink.clock.sntp")  # for an hour nobody wants it any more
        try:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:
            return
        try:
            await self._exchange(sntp, udp, asked, witnesses, absurd)
        except OSError:
            pass  # the network went: what has been heard until then counts
        finally:
            udp.close()

    async def _reachable(self):
        """The servers to ask. Once no name server has answered, no other name is looked up in this poll."""
        now = self._clock.uptime_ms()
        asked, addresses, deaf = [], [], False
        for server in sorted(
            self._servers, key=lambda server: (server.rest_ms, server.index)
        ):  # who has failed comes last
            if server.denied or now < server.rest_until_ms or server.address is None and deaf:
                continue
            if server.address is None:
                found, why = await self._resolver.lookup(server.host)
                if not found:
                    deaf = why != UNKNOWN
                    server.rest(self._clock.uptime_ms(), _UNNAMED_MS, _HOUR_MS)
                    continue
                server.address = (found[0], _PORT)
                server.rest_ms = 0
            if server.address not in addresses:  # two names of one server are one witness
                addresses.append(server.address)
                asked.append(server)
        return asked

    async def _exchange(self, sntp, udp, asked, witnesses, absurd):
        udp.setblocking(False)
        clock = self._clock
        waiting = []
        sent_ms = clock.uptime_ms()
        for server in asked:
            server.nonce = os.urandom(8)
            try:
                udp.sendto(sntp.request(server.nonce), server.address)
                waiting.append(server)
            except OSError:
                self._silent(server)
        while waiting and clock.uptime_ms() - sent_ms < _ANSWER_MS:
            await asyncio.sleep_ms(_STEP_MS)
            for _ in asked:  # no more than can have answered: a flood must not keep us here
                try:
                    packet = udp.recv(64)
                except OSError as error:
                    if error.errno != errno.EAGAIN:
                        raise
                    break
                for server in waiting:
                    if sntp.answers(packet, server.nonce):
                        waiting.remove(server)
                        self._hear(server, sntp.read(packet, clock.floor), sent_ms, witnesses, absurd)
                        break
        for server in waiting:
            self._silent(server)

    def _silent(self, server):
        server.silences += 1
        if server.silences >= _SILENCES:
            server.silences = 0
            server.address = None
            self._resolver.distrust(server.host)

    def _hear(self, server, answer, sent_ms, witnesses, absurd):
        clock = self._clock
        server.silences = 0
        now = clock.uptime_ms()
        trip_ms = now - sent_ms
        what, seconds, ms, uncertainty = answer
        if what == NEVER:
            server.denied = True
        elif what == SLOWER:
            server.rest(now, _KISS_MS, _DAY_MS)
        elif what == ANSWER:
            server.rest_ms = 0
            offset = seconds * 1000 + ms + trip_ms // 2 - now
            heard = witnesses if clock.plausible(seconds) else absurd
            heard.append((server.index, offset, uncertainty + trip_ms // 2 + _STEP_MS // 2))


def _keep(clock):
    """Set the machine's own clock, which goes on through a reset."""
    seconds, ms = divmod(clock.now_ms(), 1000)
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, ms * 1000))
