"""Packet ids that wrap, on one connection, with PUBACKs that come late and in any order."""

import random

import pytest
from client_program import firmware, run_to_end

from satama_sim.broker import packets

COUNT = 70_000

PROGRAM = """
async def main():
    one = client()
    await connect(one)
    acknowledged = 0
    def done():
        nonlocal acknowledged
        acknowledged += 1
    payload = bytearray(4)
    most = 0
    for number in range(%d):
        payload[0], payload[1], payload[2] = number >> 16, number >> 8 & 255, number & 255
        await one.publish(b"t/data", lambda: (payload,), done)
        most = max(most, one.in_flight)
    await one.settle()
    ended(acknowledged, most, one.stray_pubacks, one.sent_again)
asyncio.run(main())
"""


class UntidyBroker:
    """Acknowledges each PUBLISH once, now and then later than others and all in a shuffled order. Remembers the numbers it got."""

    def __init__(self, peer, timeline, seed):
        self.peer, self.timeline, self.random = peer, timeline, random.Random(seed)
        self.stream = bytearray()
        self.numbers = []
        self.in_flight = set()
        self.wrong = []
        self.ids = [0, 0]  # least and greatest
        self.most = self.wraps = 0

    def received(self, data):
        self.stream += data
        at, answers = 0, []
        while (packet := packets.cut_packet(self.stream, at)) is not None:
            first, body, at = packet
            if first >> 4 == packets.CONNECT:
                self.peer.reply(packets.encode_connack(0, False))
            elif first >> 4 == packets.PUBLISH:
                answers.append(self._publish(first & 15, body))
            elif first >> 4 == packets.PINGREQ:
                self.peer.reply(packets.PINGRESP_PACKET)
        del self.stream[:at]
        self.random.shuffle(answers)
        late = [number for number in answers if self.random.random() < 0.1]
        self._acknowledge([number for number in answers if number not in late])
        if late:
            self.timeline.after(self.random.randrange(100_000), lambda: self._acknowledge(late))

    def _publish(self, flags, body):
        message = packets.parse_publish(flags, body)
        if message.packet_id in self.in_flight or message.dup or message.qos != 1:
            self.wrong.append(message)
        self.in_flight.add(message.packet_id)
        self.most = max(self.most, len(self.in_flight))
        self.wraps += message.packet_id == packets.MAX_PACKET_ID
        self.numbers.append(message.payload[0] << 16 | message.payload[1] << 8 | message.payload[2])
        return message.packet_id

    def _acknowledge(self, ids):
        self.in_flight -= set(ids)
        if ids:
            self.peer.reply(b"".join(packets.encode_puback(number) for number in ids))

    def closed(self, clean):
        pass


@pytest.mark.timeout(200)
def test_70_000_publishes_on_one_connection(cabinet, demo_site, tmp_path):
    cab = cabinet(demo_site, firmware=firmware(tmp_path, PROGRAM % COUNT))
    sessions = []

    def accept(peer):
        sessions.append(UntidyBroker(peer, cab.timeline, len(sessions)))
        return sessions[-1]

    (place,) = cab.network.tcp
    cab.network.tcp[place] = accept
    acknowledged, most, strays, again = map(int, run_to_end(cab, "2h"))
    (session,) = sessions
    assert session.wrong == []
    assert session.numbers == list(range(COUNT))
    assert session.wraps == 1
    assert acknowledged == COUNT and most == 16 and session.most > 4
    assert strays == again == 0
