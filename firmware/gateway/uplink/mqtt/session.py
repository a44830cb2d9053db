"""QoS 1 packets in flight: sent, and not acknowledged by the broker yet.

What is in flight outlives the connection (MQTT 3.1.1, section 4.1). On the next one it is sent again: all of it, oldest first
[MQTT-4.6.0-1], under its own id and with DUP [MQTT-3.3.1-1]. Section 4.4 makes that an obligation of every reconnect with
CleanSession 0 [MQTT-4.4.0-1], whatever Session Present says: a broker that has lost its session does not know these packets, the
less may they be given up, or their ids go to others. Within a connection nothing is ever sent again: TCP does not lose anything.
"""

from micropython import const

_MOST_ID = const(65535)


class Packet:
    """One PUBLISH. `pieces()` gives its payload part by part, `done()` is called at its PUBACK."""

    def __init__(self, number, topic, pieces, done, retain):
        self.id = number
        self.topic = topic
        self.pieces = pieces
        self.done = done
        self.retain = retain
        self.size = 0  # bytes of the whole packet
        self.tried = False  # some of it may have reached a broker
        self.sent_ms = -1  # when it was written on this connection; -1: not yet


class Session:
    """At most `window` packets and, about, `most_bytes` bytes are in flight; a larger packet goes alone."""

    def __init__(self, window, most_bytes):
        self._window = window
        self._most_bytes = most_bytes
        self._last = 0
        self.packets = []  # in the order of their first sending
        self.bytes = 0
        self.strays = 0  # PUBACKs that acknowledge nothing

    @property
    def room(self):
        """May another packet start?"""
        return len(self.packets) < self._window and (self.bytes < self._most_bytes or not self.packets)

    def begin(self, topic, pieces, done, retain):
        """A new Packet in flight."""
        packet = Packet(self.new_id(), topic, pieces, done, retain)
        self.packets.append(packet)
        return packet

    def new_id(self):
        """From 1..65535, and none of those in flight."""
        number = self._last % _MOST_ID + 1
        while self._find(number) is not None:
            number = number % _MOST_ID + 1
        self._last = number
        return number

    def written(self, packet, size, now_ms):
        """The last byte of the packet has gone to the socket, and before a PUBACK can have come."""
        self.bytes += size - packet.size
        packet.size = size
        packet.sent_ms = now_ms

    def acknowledged(self, number):
        """The Packet that this PUBACK frees. None for one that comes late or twice, or acknowledges what was not sent here: counted."""
        packet = self._find(number)
        if packet is None or packet.sent_ms < 0:
            self.strays += 1
            return None
        self.drop(packet)
        return packet

    def drop(self, packet):
        """Not in flight any more."""
        self.packets.remove(packet)
        self.bytes -= packet.size

    def lost_connection(self):
        """What was sent on it must be sent again."""
        for packet in self.packets:
            packet.sent_ms = -1

    def unsent(self):
        """The Packet that is due to be sent again, None when all are out: they go in order."""
        for packet in self.packets:
            if packet.sent_ms < 0:
                return packet
        return None

    def oldest_ms(self):
        """Since when a packet waits for its PUBACK, -1 when none does."""
        return self.packets[0].sent_ms if self.packets else -1

    def forget(self):
        """Give up whatever is in flight."""
        self.packets = []
        self.bytes = 0

    def _find(self, number):
        for packet in self.packets:
            if packet.id == number:
                return packet
        return None
