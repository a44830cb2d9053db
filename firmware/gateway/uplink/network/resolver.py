"""Addresses of names, asked of the network's name servers without holding up the event loop.

What was found is believed for as long as the answer says; the last good addresses are kept beyond that, for when the name servers are
dead or say nonsense: an old address with a verified certificate behind it is better than none.
"""

import errno
import os
import socket

import asyncio
from micropython import const

from gateway.core import lend
from gateway.core.errors import FrameError

_PORT = const(53)
_STEP_MS = const(20)
_WAITS_MS = (1000, 2000, 2000)  # for an answer to the first, second and third question
_LEAST_S = const(30)  # a shorter life would only make traffic
_MOST_S = const(86400)
_NAMES = const(8)
_STALE_MS = const(30000)  # so long a last good address serves before the servers are asked again
_KEPT = const(480)  # bytes of keep(): a value of the state ring

NO_SERVER = "no name server"
SILENT = "name server silent"
FAILING = "name server failing"
UNKNOWN = "no such name"


class Resolver:
    """`servers()` gives the addresses of the name servers, `uptime_ms()` the time. Addresses are texts such as "192.0.2.1".

    `heard` is called when a name server has answered, `worst_ms` is the longest time that a look-up held everything up (names of the
    local network, which only the port's own resolver knows).
    """

    def __init__(self, servers, uptime_ms):
        self._servers = servers
        self._uptime_ms = uptime_ms
        self._names = []  # [name, addresses, believed until], the one that was asked for last at the end
        self.heard = None
        self.stale = 0  # how often an address served beyond its time
        self.worst_ms = 0

    async def lookup(self, name):
        """(addresses, why there are none or they are old: "" when all is well). Takes at most 5 s."""
        if is_dotted(name):
            return [name], ""
        if name.endswith(".local"):
            return self._ask_port(name)
        row = self._row(name)
        if row and self._uptime_ms() < row[2]:
            return row[1], ""
        from gateway.uplink.network import dns

        try:
            what, found, hold_s = await self._ask(dns, dns.wire(name))
        except FrameError:
            return [], UNKNOWN
        finally:
            lend.drop("uplink.network.dns")  # most of the time nobody asks
        now = self._uptime_ms()
        if what == "":
            self._remember(
                name, [dotted(address) for address in found], now + min(max(hold_s, _LEAST_S), _MOST_S) * 1000
            )
            return self._row(name)[1], ""
        if row:
            self.stale += 1
            row[2] = now + _STALE_MS
            return row[1], what
        return [], what

    def distrust(self, name):
        """Nobody answered at its addresses: ask anew next time."""
        row = self._row(name)
        if row:
            row[2] = 0

    def _row(self, name):
        for row in self._names:
            if row[0] == name:
                return row
        return None

    def _remember(self, name, addresses, until_ms):
        row = self._row(name)
        if row:
            self._names.remove(row)
        elif len(self._names) >= _NAMES:
            del self._names[0]
        self._names.append([name, addresses, until_ms])

    def _ask_port(self, name):
        started = self._uptime_ms()
        try:
            return [socket.getaddrinfo(name, 0)[0][-1][0]], ""
        except OSError:
            return [], UNKNOWN
        finally:
            self.worst_ms = max(self.worst_ms, self._uptime_ms() - started)

    # --- the question

    async def _ask(self, dns, name):
        """("" or why not, addresses, seconds)."""
        servers = self._servers()
        if not servers:
            return NO_SERVER, [], 0
        try:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:
            return SILENT, [], 0
        why = SILENT
        try:
            udp.setblocking(False)
            ident = int.from_bytes(os.urandom(2), "big")
            for turn, wait_ms in enumerate(_WAITS_MS):
                try:
                    udp.sendto(dns.query(ident, name), (servers[turn % len(servers)], _PORT))
                except OSError:
                    continue  # no way out at the moment
                answer = await self._await(dns, udp, servers, ident, name, wait_ms)
                if answer is None:
                    continue
                if self.heard:
                    self.heard()
                if answer[0] == dns.FOUND:
                    return "", answer[1], answer[2]
                why = UNKNOWN if answer[0] == dns.UNKNOWN else FAILING
                if why == UNKNOWN:
                    break
        finally:
            udp.close()
        return why, [], 0

    async def _await(self, dns, udp, servers, ident, name, wait_ms):
        until = self._uptime_ms() + wait_ms
        while self._uptime_ms() < until:
            await asyncio.sleep_ms(_STEP_MS)
            for _ in range(_NAMES):  # a flood must not keep us here
                try:
                    packet, source = udp.recvfrom(dns.LONGEST)
                except OSError as error:
                    if error.errno != errno.EAGAIN:
                        return None
                    break
                if source[1] != _PORT or source[0] not in servers:
                    continue
                try:
                    answer = dns.read(packet, ident, name)
                except FrameError:
                    continue  # the true answer may still come
                if answer:
                    return answer
        return None

    # --- over a restart

    def keep(self):
        """The last good addresses as bytes: per name its length, the name, a count, the addresses of 4 bytes each."""
        out = bytearray()
        for name, addresses, _ in sorted(self._names):
            row = bytes((len(name),)) + name.encode() + bytes((len(addresses),))
            for address in sorted(addresses):
                row += packed(address)
            if len(out) + len(row) <= _KEPT:
                out.extend(row)
        return bytes(out)

    def recall(self, data):
        """What keep() gave before the restart. It serves when the name servers do not."""
        at = 0
        while at < len(data) and len(self._names) < _NAMES:
            count_at = at + 1 + data[at]
            if count_at >= len(data) or count_at + 1 + 4 * data[count_at] > len(data):
                return
            name = bytes(data[at + 1 : count_at]).decode()
            at = count_at + 1 + 4 * data[count_at]
            addresses = [dotted(data[first : first + 4]) for first in range(count_at + 1, at, 4)]
            if addresses and not self._row(name):
                self._names.append([name, addresses, 0])


def dotted(address):
    """4 bytes as text."""
    return "{}.{}.{}.{}".format(address[0], address[1], address[2], address[3])


def packed(address):
    """The text as 4 bytes."""
    return bytes([int(part) for part in address.split(".")])


def is_dotted(name):
    """Is it an IPv4 address?"""
    parts = name.split(".")
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return len(parts) == 4
