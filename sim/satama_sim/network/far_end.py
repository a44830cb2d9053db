"""What stands at the far end of the network: the simulated broker, or a real server in two manners."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from ..broker import packets
from ..broker.core import Broker, Connection
from ..timeline import Event, RealClock, Timeline
from .net import TcpPeer

MQTTS = "mqtts://"  # before an address: the gateway's TLS goes through to that broker
_ANSWERED_BY = {
    1: 1,
    3: 1,
    8: 1,
    10: 1,
    12: 1,
}  # CONNECT, PUBLISH at QoS 1, SUBSCRIBE, UNSUBSCRIBE, PINGREQ: one answer each
_ANSWERS = (2, 4, 9, 11, 13)


class FarEndError(Exception):
    """The real broker cannot be reached or does not answer; the text says which one."""


class SimulatedBroker:
    """The broker core as part of the simulated world, on the timeline."""

    def __init__(self, timeline: Timeline, broker: Broker):
        self.timeline = timeline
        self.core = broker
        self.listening = True
        self._peers: dict[Connection, TcpPeer] = {}
        self._deadline: Event | None = None

    def accept(self, peer: TcpPeer) -> _CoreSession | None:
        if not self.listening:
            return None
        connection = self.core.connect(self.timeline.now_us)
        self._peers[connection] = peer
        self._flush()
        return _CoreSession(self, connection)

    def stop(self) -> None:
        """The broker process is killed: connections are reset, sessions and retained messages persist."""
        self.listening = False
        self.core.restart()
        self._flush()

    def start(self) -> None:
        self.listening = True

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """A message of somebody else's, at QoS 1."""
        self.core.publish(topic, payload, 1, retain, self.timeline.now_us)
        self._flush()

    def _flush(self) -> None:
        for connection in self.core.take_ready():
            peer = self._peers.get(connection)
            if peer is None:
                continue
            if connection.out:
                peer.reply(bytes(connection.out))
                connection.out.clear()
            if not connection.open:
                del self._peers[connection]
                peer.hang_up()
        due = self.core.next_deadline_us()
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None if due is None else self.timeline.at(due, self._tick)

    def _tick(self) -> None:
        self.core.tick(self.timeline.now_us)
        self._flush()


class _CoreSession:
    def __init__(self, server: SimulatedBroker, connection: Connection):
        self._server = server
        self._connection = connection

    def received(self, data: bytes) -> None:
        self._server.core.feed(self._connection, data, self._server.timeline.now_us)
        self._server._flush()

    def closed(self, clean: bool) -> None:
        self._server._peers.pop(self._connection, None)
        self._server.core.lost(self._connection, self._server.timeline.now_us)
        self._server._flush()


class FrozenRelay:
    """A real broker under the virtual clock: time stands still until the answer that is due has come.

    The gateway then cannot tell it from the simulated broker: same bytes at the same simulated times.
    """

    PATIENCE_S = 10.0

    def __init__(self, host: str, port: int):
        self.host, self.port = host, port
        self._sessions: set[_RelaySession] = set()

    def accept(self, peer: TcpPeer) -> _RelaySession | None:
        try:
            sock = socket.create_connection((self.host, self.port), timeout=self.PATIENCE_S)
        except OSError:
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = _RelaySession(self._sessions, peer, sock, self.PATIENCE_S)
        self._sessions.add(session)
        return session

    def close(self) -> None:
        """The connections, those of boards that are gone without a word as well."""
        for session in list(self._sessions):
            session.closed(False)


class _RelaySession:
    def __init__(self, open_ones: set[_RelaySession], peer: TcpPeer, sock: socket.socket, patience_s: float):
        self._open_ones, self._peer, self._sock, self._patience_s = open_ones, peer, sock, patience_s
        self._asked = bytearray()  # what the gateway has sent, as far as no whole packet
        self._answered = bytearray()
        self._due = 0

    def received(self, data: bytes) -> None:
        self._asked += data
        self._due += _count(self._asked, lambda head: head >> 4 in _ANSWERED_BY and (head >> 4 != 3 or head & 6 == 2))
        try:
            self._sock.sendall(data)
            answer = self._wait()
        except OSError:
            self.closed(False)
            self._peer.hang_up()
            return
        if answer:
            self._peer.reply(answer)

    def _wait(self) -> bytes:
        answer = bytearray()
        deadline = time.monotonic() + self._patience_s
        while self._due > 0:
            self._sock.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._sock.recv(65536)
            if not part:
                raise ConnectionResetError
            answer += part
            self._answered += part
            self._due -= _count(self._answered, lambda head: head >> 4 in _ANSWERS)
        return bytes(answer)

    def closed(self, clean: bool) -> None:
        self._open_ones.discard(self)
        self._sock.close()


def _count(buffer: bytearray, wanted: Callable[[int], bool]) -> int:
    """Cut whole packets off the front of the buffer; how many of them are wanted."""
    found = position = 0
    while (packet := packets.cut_packet(buffer, position, 1 << 28)) is not None:
        head, _, position = packet
        found += wanted(head)
    del buffer[:position]
    return found


class LiveRelay:
    """A real TCP server (a broker, a Modbus device) under the real clock: bytes go both ways as they come."""

    def __init__(self, clock: RealClock, host: str, port: int):
        self.clock, self.host, self.port = clock, host, port
        self._sessions: set[_LiveSession] = set()

    def accept(self, peer: TcpPeer) -> _LiveSession | None:
        try:
            sock = socket.create_connection((self.host, self.port), timeout=5)
        except OSError:
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = _LiveSession(self._sessions, self.clock, peer, sock)
        self._sessions.add(session)
        return session

    def close(self) -> None:
        """The connections, those of boards that are gone without a word as well."""
        for session in list(self._sessions):
            session.closed(False)


class _LiveSession:
    def __init__(self, open_ones: set[_LiveSession], clock: RealClock, peer: TcpPeer, sock: socket.socket):
        self._open_ones, self._clock, self._peer, self._sock = open_ones, clock, peer, sock
        clock.watch(sock.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65536)
        except OSError:
            data = b""
        if data:
            self._peer.reply(data)
        else:
            self._end()
            self._peer.hang_up()

    def received(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError:
            self._end()
            self._peer.hang_up()

    def closed(self, clean: bool) -> None:
        self._end()

    def _end(self) -> None:
        self._open_ones.discard(self)
        if self._sock.fileno() >= 0:
            self._clock.unwatch(self._sock.fileno())
            self._sock.close()


def require_reachable(address: str, what: str = "broker") -> tuple[str, int]:
    """(host, port) of a server that accepts connections. Raises ValueError (no address), FarEndError (nobody there)."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        example = "localhost:1883" if what == "broker" else "192.168.1.20:502"
        raise ValueError(f"{address!r} is no {what} address -> host:port, such as {example}")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise FarEndError(f"no {what} answers at {address} ({reason}) -> start it, or check host and port") from None
    return host, int(port)
