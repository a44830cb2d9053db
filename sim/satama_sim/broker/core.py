"""A sans-IO MQTT 3.1.1 broker: bytes and time go in, bytes come out; the caller owns sockets and clock.

    broker = Broker(on_publish=print)
    connection = broker.connect(now_us)            # a transport was accepted
    broker.feed(connection, data, now_us)          # bytes arrived
    for connection in broker.take_ready(): ...     # send and clear connection.out; close the transport if not .open
    broker.tick(now_us)                            # at broker.next_deadline_us(), or now and then

QoS 0 and 1, persistent sessions, retained messages, Wills, wildcards, take-over of a client id, keepalive. The same
calls give the same bytes, on every run. Where the standard leaves a choice the broker does what mosquitto does. It
differs where

- QoS 2 is not served: a subscription is granted QoS 1 at most, a QoS 2 PUBLISH closes the connection;
- overlapping subscriptions give the highest of their QoS, as section 3.3.5 wants, not that of the first;
- a take-over publishes the old connection's Will always, as section 3.1.2.5 wants, not for clean sessions only.

All times are integers in microseconds of one clock that never goes back. Errors of a peer close its connection and
never raise; what `authenticate` or `on_publish` raise reaches the caller.
"""

import heapq
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from . import packets
from .packets import ProtocolError, Will

MAX_PACKET_BYTES = 1 << 20
_MAX_REMEMBERED_ROUTES = 10_000


class Message(NamedTuple):
    """One application message as the broker accepted it.

    `client_id` names the publisher (of a Will: its owner) and is empty for `Broker.publish`; `packet_id` is 0 where
    the message came without one; `at_us` is the caller's time.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    client_id: str
    packet_id: int
    at_us: int


class _Outgoing(NamedTuple):
    topic: str
    payload: bytes
    retain: bool


class Connection:
    """One transport: send and clear `out`; close the transport once `open` is False, `closed_because` says why."""

    def __init__(self, number: int, deadline_us: int) -> None:
        self.out = bytearray()
        self.open = True
        self.client_id = ""
        self.closed_because = ""
        self._received = bytearray()
        self._session: _Session | None = None
        self._will: Will | None = None
        self._keepalive_us = 0
        self._deadline_us: int | None = deadline_us
        self._number = number


class _Session:
    """What the broker keeps for a client id (section 3.1.2.4)."""

    def __init__(self, client_id: str, clean: bool) -> None:
        self.client_id = client_id
        self.clean = clean
        self.connection: Connection | None = None
        self.subscriptions: dict[str, tuple[list[str], int]] = {}  # filter -> (its levels, granted QoS)
        self.inflight: dict[int, _Outgoing] = {}  # packet id -> sent, not acknowledged, in order of sending
        self.queue: deque[_Outgoing] = deque()
        self.last_packet_id = 0


class Broker:
    """The broker; the module's docstring shows how it is driven.

    max_inflight        QoS 1 messages sent to one client and not acknowledged yet, 1..65535
    max_queued          QoS 1 messages waiting behind them, per client; over it the newest are dropped (see `dropped`)
    connect_timeout_s   a new connection must send CONNECT within this time
    authenticate        called with (user name or None, password or None); False refuses the client
    on_publish          called with each accepted `Message` after it was routed, before the publisher's PUBACK
    max_packet_bytes    a longer packet closes its connection
    """

    def __init__(
        self,
        max_inflight: int = 20,
        max_queued: int = 100_000,
        connect_timeout_s: int = 10,
        authenticate: Callable[[str | None, bytes | None], bool] | None = None,
        on_publish: Callable[[Message], None] | None = None,
        max_packet_bytes: int = MAX_PACKET_BYTES,
    ) -> None:
        if not 1 <= max_inflight <= packets.MAX_PACKET_ID:
            raise ValueError(f"max_inflight must be 1..{packets.MAX_PACKET_ID}, not {max_inflight}")
        self.max_inflight = max_inflight
        self.max_queued = max_queued
        self.max_packet_bytes = max_packet_bytes
        self.authenticate = authenticate
        self.on_publish = on_publish
        self.retained: dict[str, tuple[bytes, int]] = {}
        self.dropped = 0
        self._connect_timeout_us = connect_timeout_s * 1_000_000
        self._sessions: dict[str, _Session] = {}
        self._connections: dict[Connection, None] = {}  # dicts serve as ordered sets
        self._ready: dict[Connection, None] = {}
        self._routes: dict[str, list[tuple[_Session, int]]] = {}  # topic -> who gets it at which highest QoS
        # Every open connection with a deadline has an entry here that is not later than it; see next_deadline_us.
        self._deadlines: list[tuple[int, int, Connection]] = []
        self._accepted = 0
        self._assigned_ids = 0

    # ---- transport

    def connect(self, now_us: int) -> Connection:
        """A transport was accepted."""
        connection = Connection(self._accepted, now_us + self._connect_timeout_us)
        self._accepted += 1
        self._connections[connection] = None
        self._watch(connection)
        return connection

    def feed(self, connection: Connection, data: bytes, now_us: int) -> None:
        """Bytes arrived from the client, cut anywhere. Ignored once the connection is closed."""
        received = connection._received
        received += data
        position = 0
        try:
            while connection.open:
                packet = packets.cut_packet(received, position, self.max_packet_bytes)
                if packet is None:
                    break
                first_byte, body, position = packet
                if connection._keepalive_us:
                    connection._deadline_us = now_us + connection._keepalive_us
                self._handle(connection, first_byte >> 4, first_byte & 15, body, now_us)
        except ProtocolError as error:
            if isinstance(error, packets.ConnectRefused):
                self._send(connection, packets.encode_connack(error.return_code))
            self._close(connection, str(error), now_us)
        finally:
            del received[:position]

    def lost(self, connection: Connection, now_us: int) -> None:
        """The transport is gone: the Will is published, unless DISCONNECT came before."""
        self._close(connection, "transport lost", now_us)

    def take_ready(self) -> list[Connection]:
        """Return the connections that got something to send or were closed since the last call, in order."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    # ---- time

    def next_deadline_us(self) -> int | None:
        """Return when `tick` is due next, or None. It moves whenever packets arrive, so ask again after each event."""
        heap = self._deadlines
        while heap:
            noted_us, number, connection = heap[0]
            deadline_us = connection._deadline_us
            if not connection.open or deadline_us is None:
                heapq.heappop(heap)
            elif noted_us < deadline_us:  # packets came meanwhile and moved it
                heapq.heapreplace(heap, (deadline_us, number, connection))
            else:
                return noted_us
        return None

    def tick(self, now_us: int) -> None:
        """Close the connections that are silent for 1.5 times their keepalive, or sent no CONNECT in time."""
        while (deadline_us := self.next_deadline_us()) is not None and deadline_us <= now_us:
            connection = self._deadlines[0][2]
            self._close(connection, "keepalive expired" if connection._session else "no CONNECT in time", now_us)

    # ---- the program's own side

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, now_us: int = 0) -> None:
        """Publish from the program itself. Raises ValueError for an impossible topic or QoS."""
        try:
            packets.check_topic(topic)
        except ProtocolError as error:
            raise ValueError(str(error)) from None
        if qos not in (0, 1):
            raise ValueError(f"QoS must be 0 or 1, not {qos}")
        if "\0" in topic or len(topic.encode()) > packets.MAX_TEXT_BYTES:
            raise ValueError(f"a topic has no U+0000 and at most {packets.MAX_TEXT_BYTES} bytes")
        self._publish(Message(topic, bytes(payload), qos, retain, False, "", 0, now_us))

    def sever_all(self, now_us: int) -> None:
        """The network is gone: nothing unsent arrives, every connection is lost, every Will is published."""
        owners = []
        for connection in list(self._connections):
            owners.append((connection.client_id, self._detach(connection, "network severed")))
            connection.out.clear()
        for client_id, will in owners:
            self._publish_will(client_id, will, now_us)

    def restart(self, keep_sessions: bool = True) -> None:
        """The broker process was killed and started again: connections and their Wills are gone, no Will is published.

        Persistent sessions and retained messages survive if `keep_sessions`, as with mosquitto's `persistence`.
        """
        for connection in list(self._connections):
            self._detach(connection, "broker restarted")
            connection.out.clear()
        if not keep_sessions:
            self._sessions.clear()
            self._routes.clear()
            self.retained.clear()

    # ---- connections

    def _watch(self, connection: Connection) -> None:
        if connection._deadline_us is not None:
            heapq.heappush(self._deadlines, (connection._deadline_us, connection._number, connection))

    def _send(self, connection: Connection, data: bytes) -> None:
        if connection.open:
            connection.out += data
            self._ready[connection] = None

    def _detach(self, connection: Connection, reason: str) -> Will | None:
        """Close the connection, end its session if it was a clean one, and return the Will that is now due."""
        if not connection.open:
            return None
        connection.open = False
        connection.closed_because = reason
        connection._received.clear()
        del self._connections[connection]
        self._ready[connection] = None
        will, connection._will = connection._will, None
        session, connection._session = connection._session, None
        if session is not None:
            session.connection = None
            if session.clean:
                self._forget(session)
        return will

    def _close(self, connection: Connection, reason: str, now_us: int) -> None:
        self._publish_will(connection.client_id, self._detach(connection, reason), now_us)

    def _publish_will(self, client_id: str, will: Will | None, now_us: int) -> None:
        if will is not None:
            self._publish(Message(will.topic, will.payload, will.qos, will.retain, False, client_id, 0, now_us))

    def _forget(self, session: _Session) -> None:
        del self._sessions[session.client_id]
        if session.subscriptions:
            self._routes.clear()

    # ---- packets

    def _handle(self, connection: Connection, kind: int, flags: int, body: bytes, now_us: int) -> None:
        session = connection._session
        if session is None:
            if kind != packets.CONNECT:
                raise ProtocolError("the first packet is not CONNECT")
            self._on_connect(connection, packets.parse_connect(flags, body), now_us)
        elif kind == packets.PUBLISH:
            topic, payload, qos, retain, dup, packet_id = packets.parse_publish(flags, body)
            self._publish(Message(topic, payload, qos, retain, dup, connection.client_id, packet_id, now_us))
            if qos:
                self._send(connection, packets.encode_puback(packet_id))
        elif kind == packets.PUBACK:
            session.inflight.pop(packets.parse_puback(flags, body), None)
            self._pump(session)
        elif kind == packets.PINGREQ:
            packets.check_empty(flags, body)
            self._send(connection, packets.PINGRESP_PACKET)
        elif kind == packets.SUBSCRIBE:
            self._on_subscribe(session, connection, packets.parse_subscribe(flags, body))
        elif kind == packets.UNSUBSCRIBE:
            packet_id, filters = packets.parse_unsubscribe(flags, body)
            for topic_filter in filters:
                session.subscriptions.pop(topic_filter, None)
            self._routes.clear()
            self._send(connection, packets.encode_unsuback(packet_id))
        elif kind == packets.DISCONNECT:
            packets.check_empty(flags, body)
            connection._will = None
            self._close(connection, "DISCONNECT", now_us)
        else:
            raise ProtocolError(f"a client sends no packet of type {kind} here")

    def _on_connect(self, connection: Connection, request: packets.Connect, now_us: int) -> None:
        if self.authenticate is not None and not self.authenticate(request.username, request.password):
            raise packets.ConnectRefused(packets.NOT_AUTHORIZED, "not authorized")
        client_id = request.client_id or self._assign_client_id()
        session = self._sessions.get(client_id)
        if session is not None and session.connection is not None:
            self._close(session.connection, "client id taken over", now_us)
            session = self._sessions.get(client_id)  # a clean one has just ended
        if session is not None and request.clean_session:
            self._forget(session)
            session = None
        session_present = session is not None
        if session is None:
            session = self._sessions[client_id] = _Session(client_id, request.clean_session)

        session.connection = connection
        connection._session = session
        connection.client_id = client_id
        connection._will = request.will
        connection._keepalive_us = request.keepalive_s * 1_500_000
        connection._deadline_us = now_us + connection._keepalive_us if request.keepalive_s else None
        self._watch(connection)
        self._send(connection, packets.encode_connack(packets.ACCEPTED, session_present))
        for packet_id, (topic, payload, retain) in session.inflight.items():
            self._send(connection, packets.encode_publish(topic, payload, 1, retain, True, packet_id))
        self._pump(session)

    def _assign_client_id(self) -> str:
        while True:
            self._assigned_ids += 1
            client_id = f"auto-{self._assigned_ids}"
            if client_id not in self._sessions:
                return client_id

    def _on_subscribe(self, session: _Session, connection: Connection, request: packets.Subscribe) -> None:
        granted = [(topic_filter, min(qos, 1)) for topic_filter, qos in request.filters]
        for topic_filter, qos in granted:
            session.subscriptions[topic_filter] = (topic_filter.split("/"), qos)
        self._routes.clear()
        self._send(connection, packets.encode_suback(request.packet_id, [qos for _, qos in granted]))
        for topic_filter, qos in granted:
            levels, _ = session.subscriptions[topic_filter]
            for topic, (payload, retained_qos) in self.retained.items():
                if packets.matches(levels, topic.split("/")):
                    self._deliver(session, topic, payload, min(qos, retained_qos), retain=True)

    # ---- routing

    def _publish(self, message: Message) -> None:
        topic, payload, qos = message.topic, message.payload, message.qos
        if message.retain:
            if payload:
                self.retained[topic] = (payload, qos)
            else:
                self.retained.pop(topic, None)
        route = self._routes.get(topic)
        if route is None:
            route = self._find_route(topic)
        for session, granted_qos in route:
            self._deliver(session, topic, payload, min(qos, granted_qos), retain=False)
        if self.on_publish is not None:
            self.on_publish(message)

    def _find_route(self, topic: str) -> list[tuple[_Session, int]]:
        levels = topic.split("/")
        route = []
        for session in self._sessions.values():
            granted = [qos for wanted, qos in session.subscriptions.values() if packets.matches(wanted, levels)]
            if granted:
                route.append((session, max(granted)))
        if len(self._routes) >= _MAX_REMEMBERED_ROUTES:
            self._routes.clear()
        self._routes[topic] = route
        return route

    def _deliver(self, session: _Session, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        if qos == 0:
            if session.connection is not None:
                self._send(session.connection, packets.encode_publish(topic, payload, 0, retain))
        elif len(session.queue) >= self.max_queued:
            self.dropped += 1
        else:
            session.queue.append(_Outgoing(topic, payload, retain))
            self._pump(session)

    def _pump(self, session: _Session) -> None:
        """Send from the queue while the client's window has room."""
        connection, queue, inflight = session.connection, session.queue, session.inflight
        while connection is not None and queue and len(inflight) < self.max_inflight:
            packet_id = session.last_packet_id % packets.MAX_PACKET_ID + 1
            while packet_id in inflight:
                packet_id = packet_id % packets.MAX_PACKET_ID + 1
            session.last_packet_id = packet_id
            message = inflight[packet_id] = queue.popleft()
            topic, payload, retain = message
            self._send(connection, packets.encode_publish(topic, payload, 1, retain, False, packet_id))
