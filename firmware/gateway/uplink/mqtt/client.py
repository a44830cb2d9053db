"""MQTT 3.1.1 at QoS 1 on umqtt.simple, subclassed here and nowhere else.

umqtt makes the CONNECT packet. The rest of it waits without end, believes its peer and loses count (field notes B.2): here wire.Wire
owns the socket, packets.Parser reads what comes in, and session.Session matches it to what is in flight.
"""

from micropython import const
from umqtt import simple

from gateway.core import lend
from gateway.uplink.mqtt import packets
from gateway.uplink.errors import LinkDown, ProtocolError
from gateway.uplink.mqtt.session import Session
from gateway.uplink.mqtt.wire import CONNECT_MS, Wire
from gateway.uplink.mqtt.writer import Writer

IN_FLIGHT_BYTES = const(16384)
_ANSWER_MS = const(10000)  # most that the broker may be silent while it owes an answer, or not read while we write
_PACKET_MS = const(30000)  # most that one packet may wait for its PUBACK while others get theirs
_STEP_MS = const(10)
_WAIT_MS = const(1000)
_MOST_TOPIC = const(512)
_READ = const(256)
_READS = const(8)  # buffers in a row: a flood must not keep us from everything else
_MOST_OWED = const(64)  # bytes of PUBACKs that we owe; then nothing more is read
_REFUSALS = ("", "protocol version", "client id", "broker unavailable", "user or password", "not authorised")


class Client(simple.MQTTClient):
    """One connection at a time, used by one task. Every wait is bounded, and every failure of the connection is a LinkDown.

    sent_again, stray_pubacks, protocol_errors, inbound   counters; `forbidden` says what the last protocol error was
    """

    def __init__(self, client_id, spec, will_topic, will, clock, renewal=None):
        """`spec`: the compiled site's "mqtt"; `client_id`, `will_topic` and `will` are bytes; `renewal`: a renewal.Renewal, with TLS."""
        user = spec["user"]
        super().__init__(
            client_id,
            "",
            user=user.encode() if user else None,
            password=spec["password"].encode() if user else None,
            keepalive=spec["keepalive_s"],
        )
        self.set_last_will(will_topic, will, retain=True, qos=1)
        self._spec = spec
        self._clock = clock
        keepalive_ms = (spec["keepalive_s"] or 60) * 1000
        self._ping_ms = keepalive_ms // 2  # with what follows: a silent broker is noticed within 1.25 keep-alives
        self._answer_ms = min(_ANSWER_MS, keepalive_ms * 3 // 4)
        self._packet_ms = min(_PACKET_MS, keepalive_ms * 3 // 2)
        self._session = Session(spec.get("window", 16), IN_FLIGHT_BYTES)
        self._parser = packets.Parser()
        self._wire = Wire(clock, self._answer_ms)
        self._writer = Writer(self._wire, self._take)
        self.renewal = renewal
        self._down = "not connected"
        self._in = bytearray(_READ)
        self._owed = bytearray()  # PUBACKs of ours that wait until no packet is half written
        self._pinged_ms = -1  # since when a PINGREQ is unanswered
        self._heard_ms = 0
        self.sent_again = self.protocol_errors = self.inbound = 0
        self.forbidden = ""

    # --- what the sender sees

    @property
    def room(self):
        """May another publish start without waiting? Never without a connection."""
        return not self._down and self._session.room

    @property
    def stray_pubacks(self):
        return self._session.strays

    @property
    def in_flight(self):
        """Packets without a PUBACK."""
        return len(self._session.packets)

    def take_stalls(self):
        """By phase ("connect", "handshake", "write", "read"), the longest that one step has held the event loop since last asked, ms."""
        return self._wire.take_stalls()

    async def open(self, host, address):
        """Connect to `address` (ip, port) with a persistent session and send again what is in flight. True: the broker knows us still.

        `host`: the name that the broker's certificate must bear. Raises LinkDown.
        """
        self.shut()
        try:
            return await self._open(host, address)
        except BaseException as error:
            self.shut()
            if not (self.renewal and isinstance(error, LinkDown) and self.renewal.failed(error.args[0])):
                raise
        return await self.open(host, address)  # with the certificates of before

    def shut(self):
        """Close without a DISCONNECT: the Will speaks. What is in flight stays so."""
        self._wire.close()
        self._down = "not connected"
        self._session.lost_connection()
        if self.renewal:
            self.renewal.closed(self._parser.why)
        self._parser.reset()
        self._owed = bytearray()
        self._pinged_ms = -1

    def forget(self):
        """Give up what is in flight: its done() will not be called."""
        self._session.forget()

    async def publish(self, topic, pieces, done, retain=False):
        """Send at QoS 1. `pieces()` iterates over the payload's parts (bytes), always the same ones; `done()` is called at the PUBACK.

        Once this returns, the packet is in flight and stays so over reconnects, even when the connection breaks meanwhile (the next
        call then says so). When it raises, it is not: LinkDown is raised before anything of it was sent. `pieces()` may return
        None when the payload is no more: then it is given up, and done() not called.
        """
        if len(topic) > _MOST_TOPIC:
            raise ValueError("topic")
        self._require()
        while not self._session.room:
            await self.listen(_WAIT_MS)
        self._wire.step()
        packet = self._session.begin(topic, pieces, done, retain)
        try:
            await self._pay()
            await self._send(packet)
            await self._wire.pause("write", 0)  # a fast broker must not keep us from everything else
        except LinkDown as error:
            self._down = error.args[0]

    async def listen(self, ms):
        """Take what comes, for at most that long; back at once after something came. Raises LinkDown, also when the broker is silent."""
        self._require()
        wire = self._wire
        wire.step()
        end, left = wire.now_ms + ms, ms
        # else nothing is likely to have come since the last time
        ready = left <= 0 or self.in_flight > 0 or len(self._owed) > 0
        try:
            while True:
                if not ready:
                    ready = await wire.readable(min(left, _WAIT_MS))
                heard = ready and self._take()
                await self._pay()
                await self._check()
                left = end - wire.now_ms
                if heard or left <= 0:
                    if ready:
                        await wire.pause("read", 0)
                    return
                ready = False
        except LinkDown as error:
            self._down = error.args[0]
            raise

    async def settle(self):
        """Until nothing is in flight. Raises LinkDown."""
        while self._session.packets:
            await self.listen(_WAIT_MS)

    def _require(self):
        if self._down:
            raise LinkDown(self._down)

    # --- connecting

    async def _open(self, host, address):
        wire, parser = self._wire, self._parser
        secure = self._spec.get("tls")
        if secure:
            if not self._clock.synced:  # no certificate could be judged
                raise LinkDown("clock not set")
            wire.prepare(self._spec, self.renewal)
        await wire.connect(address)
        hello = self._hello()
        if secure:
            await wire.secure(host, hello)
        else:
            await self._writer.write(memoryview(hello))
        begun = self._heard_ms = wire.now_ms
        while not parser.connected:
            self._take()
            if wire.now_ms - begun > CONNECT_MS:
                raise LinkDown("no answer")
            await wire.pause("read", _STEP_MS)
        if parser.code:
            raise LinkDown("refused: " + _REFUSALS[parser.code])
        present = parser.present
        if self.renewal:
            await self._writer.write(memoryview(self.renewal.connected(self._session.new_id())))
        while True:
            packet = self._session.unsent()
            if packet is None:
                break
            await self._pay()
            await self._send(packet)
            self.sent_again += 1
            self._take()
            await wire.pause("write", 0)
        self._down = ""
        return present

    def _hello(self):
        """The CONNECT packet."""
        from gateway.uplink.mqtt import connect

        lend.drop("uplink.mqtt.connect")  # it stays as long as we use it
        return connect.packet_of(self)

    # --- writing

    async def _send(self, packet):
        try:
            size = await self._writer.publish(packet)
        except LinkDown:
            raise
        except BaseException:  # of pieces(), or we are cancelled: half a packet may be written
            self._session.drop(packet)
            self._down = "interrupted"
            raise
        if size:
            self._session.written(packet, size, self._wire.wrote_ms)
        else:
            self._session.drop(packet)

    async def _pay(self):
        """Send the PUBACKs that we owe."""
        if self._owed:
            owed, self._owed = self._owed, bytearray()
            await self._writer.write(memoryview(owed))

    # --- reading

    def _take(self):
        """Read and handle what is there; True when there was something."""
        parser, heard = self._parser, False
        for _ in range(_READS):
            if len(self._owed) >= _MOST_OWED:
                break
            count = self._wire.read(self._in)
            if count is None:
                break
            heard = True
            self._heard_ms = self._clock.uptime_ms()
            try:
                at = 0
                while at < count:
                    at = parser.take(self._in, at, count)
                    if parser.kind:
                        self._handle(parser)
            except ProtocolError as error:
                self.protocol_errors += 1
                self.forbidden = error.args[0]
                raise LinkDown("protocol error")
            if count < _READ:
                break
        return heard

    def _handle(self, packet):
        kind = packet.kind
        if kind == packets.PUBACK:
            acknowledged = self._session.acknowledged(packet.id)
            if acknowledged:
                acknowledged.done()
        elif kind == packets.PINGRESP:
            if self._pinged_ms < 0:
                raise ProtocolError("PINGRESP unasked")
            self._pinged_ms = -1
        elif kind == packets.PUBLISH:
            self.inbound += 1
            if packet.qos:
                self._owed.extend(bytes((0x40, 2, packet.id >> 8, packet.id & 0xFF)))
            if self.renewal:
                self.renewal.came(packet.topic, packet.payload, packet.retain)
        elif kind == packets.SUBACK and not (self.renewal and self.renewal.answered(packet.id)):
            raise ProtocolError("SUBACK unasked")

    async def _check(self):
        """What has come is read: does the broker owe us an answer for too long? When it is quiet, ask it for a sign of life."""
        now = self._clock.uptime_ms()
        oldest = self._session.oldest_ms()
        if oldest >= 0 and (now - max(oldest, self._heard_ms) >= self._answer_ms or now - oldest >= self._packet_ms):
            raise LinkDown("no answer")
        if self._pinged_ms >= 0:
            if now - self._pinged_ms >= self._answer_ms:
                raise LinkDown("no answer")
        elif now - min(self._heard_ms, self._wire.wrote_ms) >= self._ping_ms:
            self._pinged_ms = now
            await self._writer.write(memoryview(b"\xc0\0"))
