"""The network around the cabinet: names, latency, outages, and the services at its far ends."""

from __future__ import annotations

import errno
import ipaddress
import random
import struct
from collections.abc import Callable
from typing import Any, Protocol

from ..timeline import Timeline

NTP_UNIX = 2_208_988_800  # seconds from 1900 to 1970
LAN_LATENCY_US = 1_000  # to hosts on the cabinet's own network
_SYN_US = 19_000_000  # then lwIP gives up a connection that nobody answers (micropython issue 4801)
_RETRY_US = 500_000  # a sender tries again that often while the way is cut


class SocketEnd(Protocol):
    """What the network needs to know of the board's socket."""

    def on_open(self) -> None: ...
    def on_data(self, data: bytes) -> None: ...
    def on_datagram(self, address: bytes, port: int, data: bytes) -> None: ...
    def on_taken(self, count: int) -> None: ...
    def on_close(self, error: int = 0) -> None: ...


class Session(Protocol):
    """A server's side of one connection."""

    def received(self, data: bytes) -> None: ...
    def closed(self, clean: bool) -> None: ...


class Way:
    """The path to one host. Segments keep their order; while it is cut they wait, as retransmission would have it."""

    def __init__(self, timeline: Timeline, up: Callable[[], bool], latency_us: int):
        self.timeline, self.up, self.latency_us = timeline, up, latency_us
        self._retrying = False
        self._held: list[tuple[TcpPeer, Callable[[], object]]] = []  # until the way comes back

    def carry(self, action: Callable[[], object], peer: TcpPeer) -> None:
        """Carry a segment of a connection, either way; while the way is cut it is kept and tried again."""
        if not self.up() or self._held:
            if not self._retrying:
                self._retrying = True
                self.timeline.after(_RETRY_US, self._retry)
            self._held.append((peer, action))
        else:
            self.timeline.after(self.latency_us, action)

    def forget(self, gone: TcpPeer) -> None:
        self._held = [(peer, action) for peer, action in self._held if peer is not gone]

    def _retry(self) -> None:
        if self._held and not self.up():
            self.timeline.after(_RETRY_US, self._retry)
            return
        self._retrying = False
        held, self._held = self._held, []
        for _, action in held:
            self.timeline.after(self.latency_us, action)


class TcpPeer:
    """One TCP connection."""

    def __init__(self, network: Network, way: Way, socket: SocketEnd):
        self.network, self.way = network, way
        self._socket: SocketEnd | None = socket
        self.session: Session | None = None
        self.held = False  # the far end says itself what it has taken

    # from the board

    def send(self, data: bytes) -> None:
        if self.way is self.network.uplink_way:
            for observer in self.network.on_sent:
                observer(data)

        def arrive() -> None:
            if self.session:
                self.session.received(data)
                if not self.held:
                    self.taken(len(data))
            else:
                self.hang_up(errno.ECONNRESET)

        self.way.carry(arrive, self)

    def close(self) -> None:
        self._socket = None

        def arrive() -> None:
            session, self.session = self.session, None
            if session:
                session.closed(True)

        self.way.carry(arrive, self)

    def vanish(self) -> None:
        """The board is gone without a word: the far end hears nothing, and what was held for retransmission is lost."""
        self._socket = None
        self.way.forget(self)

    # from the far end

    def taken(self, count: int) -> None:
        """So many bytes no longer lie in its window."""
        self._to_board(lambda: self._socket and self._socket.on_taken(count))

    def reply(self, data: bytes) -> None:
        self._to_board(lambda: self._socket and self._socket.on_data(data))

    def hang_up(self, error: int = 0) -> None:
        """The far end closes (error 0) or resets the connection."""
        self.session = None
        self._to_board(lambda: self._socket and self._socket.on_close(error))

    def opened(self) -> None:
        self._to_board(lambda: self._socket and self._socket.on_open())

    def _to_board(self, action: Callable[[], object]) -> None:
        self.way.carry(action, self)


Accept = Callable[[TcpPeer], "Session | Any"]  # a session, None (refused) or NO_ANSWER
# the answer, or that and how many microseconds longer it is under way, or several such
Datagram = Callable[[bytes], "bytes | tuple[bytes, int] | list[tuple[bytes, int]] | None"]
NAME_SERVER = bytes((10, 77, 0, 1))  # what network.ifconfig() names
NO_ANSWER = object()  # instead of a session: not even a refusal comes back


class Network:
    """Names and services. `uplink`: the way out to the district; `reachable`: the board's own interface."""

    def __init__(self, timeline: Timeline, latency_us: int = 10_000):
        self.timeline = timeline
        self.latency_us = latency_us
        self.reachable: Callable[[], bool] = lambda: True
        self.uplink = True
        self.on_sent: list[Callable[[bytes], None]] = []  # observers of every byte that the board sends up over TCP
        self.names: dict[str, bytes] = {}
        self.tcp: dict[tuple[bytes, int], Accept] = {}
        self.udp: dict[tuple[bytes, int], Datagram] = {}
        self.uplink_way = Way(timeline, self.up, latency_us)
        self._local_ways: dict[tuple[bytes, int], Way] = {}  # to servers on the cabinet's own network
        self._further: dict[str, list[bytes]] = {}  # more addresses of a name
        self.name_server = NameServer(self)
        self.udp[NAME_SERVER, 53] = self.name_server

    def up(self) -> bool:
        return self.uplink and self.reachable()

    def address(self, name: str) -> bytes:
        """The IPv4 address of a name, made up in order of first mention; of an address in dots, that address."""
        if name not in self.names:
            try:
                self.names[name] = ipaddress.IPv4Address(name).packed
            except ValueError:
                self.names[name] = bytes((10, 77, 1, len(self.names) + 1))
        return self.names[name]

    def another_address(self, name: str, port: int) -> bytes:
        """One more address of a name, where the same server listens."""
        first = self.address(name)
        further = self._further.setdefault(name, [])
        further.append(bytes((10, 77, 2 + len(further), first[3])))
        self.tcp[further[-1], port] = self.tcp[first, port]
        return further[-1]

    def addresses_of(self, name: str) -> list[bytes]:
        """All of them; none of a name that nobody has mentioned."""
        return [self.names[name], *self._further.get(name, [])] if name in self.names else []

    def resolve(self, name: str) -> bytes | None:
        address = self.names.get(name)
        local = any(address == host for host, _ in self._local_ways)
        return address if self.up() or (local and self.reachable()) else None

    def serve_locally(self, name: str, port: int, accept: Accept, connected: Callable[[], bool]) -> None:
        """A TCP server on the cabinet's own network, there whatever becomes of the uplink. `connected`: its plug is in."""
        place = (self.address(name), port)
        self.tcp[place] = accept
        self._local_ways[place] = Way(self.timeline, lambda: self.reachable() and connected(), LAN_LATENCY_US)

    def connect(self, socket: SocketEnd, address: bytes, port: int) -> TcpPeer:
        way = self._local_ways.get((address, port), self.uplink_way)
        peer = TcpPeer(self, way, socket)

        answered = False

        def arrive() -> None:
            nonlocal answered
            accept = self.tcp.get((address, port))
            if accept is None and address not in self.names.values():
                return  # nobody lives there
            session = accept(peer) if accept else None
            if session is NO_ANSWER:
                return
            answered = True
            if session is None:
                peer.hang_up(errno.ECONNRESET)  # what lwIP makes of a refusal (micropython pull request 5788)
            else:
                peer.session = session
                peer.opened()

        def give_up() -> None:
            if not answered and peer._socket:
                peer._socket.on_close(errno.ECONNABORTED)

        if way.up():  # a SYN into a dead link is lost
            way.carry(arrive, peer)
        self.timeline.after(_SYN_US, give_up)
        return peer

    def send_datagram(self, socket: SocketEnd, address: bytes, port: int, data: bytes) -> None:
        def arrive() -> None:
            serve = self.udp.get((address, port))
            answer = serve(data) if serve else None
            if answer is None or not self.up():
                return
            for one in answer if isinstance(answer, list) else [answer]:
                content, longer_us = one if isinstance(one, tuple) else (one, 0)
                self.timeline.after(
                    self.latency_us + longer_us, lambda content=content: socket.on_datagram(address, port, content)
                )

        if self.up():
            self.timeline.after(self.latency_us, arrive)


class NameServer:
    """DNS (RFC 1035) of the simulated world, for IPv4 addresses. Its attributes make it dead, slow or a liar.

    silent      it does not answer
    failing     it answers SERVFAIL
    ttl_s       how long its answers hold
    delay_us    how long it thinks
    records     name -> the addresses to answer instead of those of the network; an empty list: NXDOMAIN
    aliases     name -> the name that it stands for (CNAME)
    forged      packets that come before each answer, from the same place: whoever guesses, guesses so
    """

    def __init__(self, network: Network):
        self.network = network
        self.silent = self.failing = False
        self.ttl_s = 300
        self.delay_us = 0
        self.records: dict[str, list[bytes]] = {}
        self.aliases: dict[str, str] = {}
        self.forged: list[bytes] = []
        self.asked: list[tuple[int, str]] = []  # when, in microseconds, and for which name

    def __call__(self, query: bytes) -> list[tuple[bytes, int]]:
        labels, at = [], 12
        try:
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
        except (IndexError, UnicodeDecodeError):  # no query at all
            return []
        name, question = ".".join(labels), query[12 : at + 5]
        self.asked.append((self.network.timeline.now_us, name))
        if self.silent:
            return []
        answers, final = [], name
        while final in self.aliases:
            alias = _dns_name(self.aliases[final])
            answers.append(_dns_name(final) + struct.pack(">HHIH", 5, 1, self.ttl_s, len(alias)) + alias)
            final = self.aliases[final]
        addresses = self.records.get(final, self.network.addresses_of(final))
        owner = b"\xc0\x0c" if final == name else _dns_name(final)
        answers += [owner + struct.pack(">HHIH", 1, 1, self.ttl_s, 4) + address for address in addresses]
        rcode = 2 if self.failing else 0 if answers else 3
        if rcode:
            answers = []
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(answers), 0, 0)
        return [(packet, 0) for packet in self.forged] + [(head + question + b"".join(answers), self.delay_us)]


def _dns_name(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"


class TimeServer:
    """SNTP (RFC 4330) of the simulated world. Its attributes make it wrong, slow, silent or unfriendly; the same ones give the same run.

    offset_s, offset_ms   how far it is wrong (both count): a jump of years is a lie
    silent                it does not answer
    kiss                  a code such as "RATE" or "DENY": every answer is that kiss of death
    leap, stratum         3 or 16: it says itself that it is not synchronised
    dispersion_ms         how far it may be wrong by its own account
    jitter_us             answers are under way up to that much longer, each its own time
    """

    def __init__(self, timeline: Timeline, start_unix_s: int, seed: int = 0):
        self.timeline = timeline
        self.start_unix_s = start_unix_s
        self.offset_s = self.offset_ms = 0
        self.silent = False
        self.kiss = ""
        self.leap, self.stratum, self.dispersion_ms = 0, 1, 0
        self.jitter_us = 0
        self.asked: list[int] = []  # when, in microseconds
        self._random = random.Random(seed)

    def unix_us(self) -> int:
        return (self.start_unix_s + self.offset_s) * 1_000_000 + self.offset_ms * 1000 + self.timeline.now_us

    def __call__(self, request: bytes) -> tuple[bytes, int] | None:
        self.asked.append(self.timeline.now_us)
        if len(request) < 48 or self.silent:
            return None
        seconds, us = divmod(self.unix_us(), 1_000_000)
        stamp = struct.pack(">II", (seconds + NTP_UNIX) & 0xFFFFFFFF, us * (1 << 32) // 1_000_000)
        first = self.leap << 6 | 0x24
        dispersion = (self.dispersion_ms << 16) // 1000
        stratum, name = (0, self.kiss.encode()) if self.kiss else (self.stratum, b"GPS\0")
        head = struct.pack(">BBbbII4s", first, stratum, 6, -20, 0, dispersion, name)
        longer_us = self._random.randrange(self.jitter_us + 1)
        return head + stamp + request[40:48] + stamp + stamp, longer_us
