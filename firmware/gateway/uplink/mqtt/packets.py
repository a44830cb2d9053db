"""What a broker may send (MQTT 3.1.1), cut out of a stream of bytes that is not believed.

Everything is judged at the first byte that shows it, before anything is allocated: a fixed header that no broker sends, a length
that the type does not have or that is over the cap. After a ProtocolError the stream is of no use any more, and every further
byte raises it again.
"""

from micropython import const

from gateway.uplink.errors import ProtocolError

# First bytes, flags included (section 2.2)
CONNACK = const(0x20)
PUBLISH = const(0x30)
PUBACK = const(0x40)
SUBACK = const(0x90)
PINGRESP = const(0xD0)

MOST_BYTES = const(2048)  # remaining length of a PUBLISH or SUBACK
_TYPE, _LENGTH, _BODY, _DEAD = const(0), const(1), const(2), const(3)  # what comes next
_SHORT = const(4)  # bodies up to that need no buffer of their own


class Parser:
    """Reads one connection. Of the packet that take() has just completed:

    kind      CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP; 0: none is complete
    id        of PUBACK, SUBACK and PUBLISH at QoS 1; 0 at QoS 0
    code      of CONNACK (section 3.2.2.3), 0..5
    present   of CONNACK: the broker knows this session
    qos, retain, dup, topic, payload   of PUBLISH, the last two as bytes
    codes     of SUBACK, bytes

    why       what was refused on this connection, "" when nothing was
    """

    def __init__(self):
        self._small = bytearray(_SHORT)
        self.reset()

    def reset(self):
        """A new connection begins: its first packet must be CONNACK [MQTT-3.2.0-1], and no other."""
        self.connected = False
        self.kind = 0
        self._next = _TYPE
        self._first = 0
        self._length = 0
        self._shift = 0
        self._body = self._small
        self._filled = 0
        self.why = ""
        self.topic = self.payload = self.codes = b""

    def take(self, buf, at, end):
        """Consume bytes from buf[at:end] until a packet is complete; returns the index behind what was consumed.

        `kind` says whether there is one. Raises ProtocolError.
        """
        self.kind = 0
        while at < end:
            if self._next == _BODY:
                count = min(self._length - self._filled, end - at)
                self._body[self._filled : self._filled + count] = buf[at : at + count]
                self._filled += count
                at += count
                if self._filled == self._length:
                    self._finish()
                    return at
            elif self._next == _TYPE:
                self._begin(buf[at])
                at += 1
            elif self._next == _LENGTH:
                self._measure(buf[at])
                at += 1
                if self.kind:
                    return at
            else:
                raise ProtocolError(self.why)
        return at

    def _refuse(self, why):
        self.why = why
        self._next = _DEAD
        self._body = self._small
        raise ProtocolError(why)

    def _begin(self, first):
        kind = first & 0xF0
        if (kind == CONNACK) == self.connected:
            self._refuse("a second CONNACK" if self.connected else "no CONNACK")
        if kind == PUBLISH:
            qos = first >> 1 & 3
            if qos > 1 or first & 8 and not qos:  # QoS 2 was never granted, 3 does not exist; DUP [MQTT-3.3.1-2]
                self._refuse("PUBLISH flags")
        elif first not in (CONNACK, PUBACK, SUBACK, PINGRESP):
            self._refuse("packet type")
        self._first = first
        self._length = self._shift = 0
        self._next = _LENGTH

    def _measure(self, byte):
        self._length |= (byte & 0x7F) << self._shift
        self._shift += 7
        kind = self._first & 0xF0
        least, most = 2, 2
        if kind == PINGRESP:
            least = most = 0
        elif kind == PUBLISH:
            least, most = (5 if self._first & 6 else 3), MOST_BYTES
        elif kind == SUBACK:
            least, most = 3, MOST_BYTES
        if self._length > most or byte & 0x80 and self._shift > 21:
            self._refuse("packet length")
        if byte & 0x80:
            return
        if self._length < least:
            self._refuse("packet length")
        self._filled = 0
        self._body = self._small if self._length <= _SHORT else bytearray(self._length)
        self._next = _BODY
        if not self._length:
            self._finish()

    def _finish(self):
        body, kind = self._body, self._first & 0xF0
        self._body = self._small
        if kind == CONNACK:
            self._connack(body)
        elif kind == PUBACK:
            self._take_id(body[0] << 8 | body[1])
        elif kind == SUBACK:
            self._suback(body)
        elif kind == PUBLISH:
            self._publish(body)
        self.kind = kind
        self._next = _TYPE

    def _take_id(self, number):
        if not number:  # [MQTT-2.3.1-1]
            self._refuse("packet id 0")
        self.id = number

    def _connack(self, body):
        if body[0] > 1 or body[1] > 5 or body[0] and body[1]:  # [MQTT-3.2.2-4]
            self._refuse("CONNACK")
        self.present, self.code = body[0] == 1, body[1]
        self.connected = True

    def _suback(self, body):
        self._take_id(body[0] << 8 | body[1])
        codes = bytes(memoryview(body)[2 : self._length])
        for code in codes:
            if code > 2 and code != 0x80:  # [MQTT-3.9.3-2]
                self._refuse("SUBACK")
        self.codes = codes

    def _publish(self, body):
        view = memoryview(body)[: self._length]
        self.qos, self.retain, self.dup = self._first >> 1 & 3, self._first & 1, self._first >> 3 & 1
        end = 2 + (view[0] << 8 | view[1])
        at = end + 2 if self.qos else end
        if end == 2 or at > self._length:
            self._refuse("topic length")
        if not _is_topic(view[2:end]):
            self._refuse("topic")
        if self.qos:
            self._take_id(view[end] << 8 | view[end + 1])
        else:
            self.id = 0
        self.topic = bytes(view[2:end])
        self.payload = bytes(view[at:])


def _is_topic(text):
    """UTF-8 without U+0000, surrogates or wildcards (sections 1.5.3 and 3.3.2.1)."""
    at, size = 0, len(text)
    while at < size:
        lead = text[at]
        at += 1
        if lead < 0x80:
            if lead in (0, 0x23, 0x2B):  # NUL, "#", "+"
                return False
            continue
        if not 0xC2 <= lead <= 0xF4:
            return False
        more = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
        if at + more > size:
            return False
        # what the second byte may be, so that nothing is longer than need be, a surrogate, or above U+10FFFF
        least = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
        most = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
        for _ in range(more):
            if not least <= text[at] <= most:
                return False
            least, most = 0x80, 0xBF
            at += 1
    return True


def head_room(packet):
    """Most that can stand before the payload of a session.Packet: fixed header, topic, id."""
    return 9 + len(packet.topic)


def put_publish_head(out, packet, size):
    """Write what stands before a payload of `size` bytes in a PUBLISH at QoS 1, so that it ends at out[head_room(packet)].

    The session.Packet is sent again when it was tried before. Returns where it begins.
    """
    topic = packet.topic
    end = head_room(packet)
    out[end - 2], out[end - 1] = packet.id >> 8, packet.id & 0xFF
    out[7 : end - 2] = topic
    out[5], out[6] = len(topic) >> 8, len(topic) & 0xFF
    length = size + len(topic) + 4
    digits = 1 if length < 0x80 else 2 if length < 0x4000 else 3 if length < 0x200000 else 4
    start = 4 - digits
    for at in range(start + 1, 5):
        out[at] = length & 0x7F | (0x80 if at < 4 else 0)
        length >>= 7
    out[start] = PUBLISH | 2 | (8 if packet.tried else 0) | (1 if packet.retain else 0)
    return start
