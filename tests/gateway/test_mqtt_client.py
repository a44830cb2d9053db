"""The MQTT client on the real MicroPython, against brokers that a script plays."""

import errno

import pytest
from client_program import firmware, run_to_end

from satama_sim.broker import packets

MAIN = "\nasyncio.run(main())\n"
KEEPALIVE_S = 60  # of the demo site


class Script:
    """A broker of a few lines: it keeps what each connection sent, and `on_packet(script, packet)` says what happens."""

    def __init__(self, cab, on_packet=None):
        self.timeline = cab.timeline
        self.on_packet = on_packet or Script.answer
        self.connections = []  # of each, the packets as (first byte, body)
        self.peer = None
        self.present = False
        (place,) = cab.network.tcp
        cab.network.tcp[place] = self.accept

    def accept(self, peer):
        self.peer = peer
        self.connections.append([])
        self._stream = bytearray()
        return self

    def received(self, data):
        self._stream += data
        while self._stream and (packet := packets.cut_packet(self._stream)) is not None:
            first, body, end = packet
            del self._stream[:end]
            self.connections[-1].append((first, body))
            self.on_packet(self, first, body)

    def closed(self, clean):
        pass

    def answer(self, first, body):
        """As a broker does that is well."""
        if first >> 4 == packets.CONNECT:
            self.peer.reply(packets.encode_connack(0, self.present))
        elif first >> 4 == packets.PUBLISH:
            self.peer.reply(packets.encode_puback(self.published(first, body).packet_id))
        elif first >> 4 == packets.PINGREQ:
            self.peer.reply(packets.PINGRESP_PACKET)

    @staticmethod
    def published(first, body):
        return packets.parse_publish(first & 15, body)

    def publishes(self, connection):
        return [self.published(*packet) for packet in self.connections[connection] if packet[0] >> 4 == packets.PUBLISH]


@pytest.fixture
def run(cabinet, demo_site, tmp_path):
    """run(program, on_packet, within): the words that it ended with, and the script that it met."""

    def start(program, on_packet=None, within="5m", prepare=lambda cab, script: None):
        cab = cabinet(demo_site, firmware=firmware(tmp_path, program + MAIN))
        script = Script(cab, on_packet)
        prepare(cab, script)
        return run_to_end(cab, within), script, cab

    return start


def silent_after(kinds):
    """A broker that answers only these."""
    return lambda script, first, body: script.answer(first, body) if first >> 4 in kinds else None


# --- connecting


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, "refused: protocol version"),
        (2, "refused: client id"),
        (3, "refused: broker unavailable"),
        (4, "refused: user or password"),
        (5, "refused: not authorised"),
    ],
)
def test_every_refusal_has_its_reason(run, code, reason):
    words, _, _ = run(
        "async def main():\n    ended(await down(connect(client())))",
        lambda script, first, body: script.peer.reply(packets.encode_connack(code)),
    )
    assert " ".join(words) == reason


@pytest.mark.parametrize(
    ("accept", "reason"),
    [
        (lambda peer: None, "connection refused"),
        (lambda peer: peer.hang_up() or SilentSession(), "closed by the broker"),
        (lambda peer: SilentSession(), "no answer"),
    ],
)
def test_other_ways_not_to_be_connected(run, accept, reason):
    def prepare(cab, script):
        (place,) = cab.network.tcp
        cab.network.tcp[place] = accept

    words, _, _ = run("async def main():\n    ended(await down(connect(client())))", prepare=prepare)
    assert " ".join(words) == reason


class SilentSession:
    def received(self, data):
        pass

    def closed(self, clean):
        pass


def test_a_host_that_does_not_answer_costs_five_seconds(run):
    program = """
async def main():
    one = client()
    await connect(one)
    one.shut()
    begun = time.ticks_ms()
    reason = await down(one.open(host, ("10.99.99.99", 1883)))
    stalls = one.take_stalls()
    ended(time.ticks_diff(time.ticks_ms(), begun) // 1000, max(stalls["connect"], stalls["read"]), reason)
"""
    words, _, _ = run(program)
    assert words[0] == "5" and words[2:] == ["no", "answer"]
    assert int(words[1]) < 50  # the event loop was never held


def test_a_session_that_the_broker_knows(run):
    program = "async def main():\n    one = client()\n    ended(await connect(one), await connect(one))"

    def answer(script, first, body):
        script.answer(first, body)
        script.present = True

    words, script, _ = run(program, answer)
    assert words == ["False", "True"]
    for first, body in (connection[0] for connection in script.connections):
        hello = packets.parse_connect(first & 15, body)
        assert not hello.clean_session and hello.client_id == "quay-9" and hello.keepalive_s == KEEPALIVE_S
        assert (hello.will.topic, hello.will.payload, hello.will.qos, hello.will.retain) == (
            "t/state",
            b"gone",
            1,
            True,
        )


# --- PUBACKs


def test_late_twice_and_unknown_pubacks_are_counted_and_change_nothing(run):
    program = """
async def main():
    one = client()
    await connect(one)
    for number in range(6):
        await numbered(one, number)
    await one.settle()
    await asyncio.sleep_ms(500)
    await one.listen(0)
    ended(sorted(acknowledged) == list(range(6)), one.stray_pubacks, one.in_flight, one.protocol_errors)
"""

    def answer(script, first, body):
        script.answer(first, body)
        if first >> 4 == packets.PUBLISH:
            number = script.published(first, body).packet_id
            script.peer.reply(packets.encode_puback(number) + packets.encode_puback(number + 1000))

    words, _, _ = run(program, answer)
    assert words == ["True", "12", "0", "0"]


def test_the_window_holds_16_packets_or_16_kilobytes(run):
    program = """
async def main():
    one = client()
    await connect(one)
    counts = []
    for size in (4, 3000):
        count = 0
        while one.room:
            await numbered(one, count, size)
            count += 1
        counts.append(count)
        await one.settle()
    ended(*counts)
"""

    def answer(script, first, body):
        if first >> 4 == packets.PUBLISH:
            number = script.published(first, body).packet_id
            script.timeline.after(3_000_000, lambda: script.peer.reply(packets.encode_puback(number)) and None)
        else:
            script.answer(first, body)

    words, _, _ = run(program, answer)
    assert words == ["16", "6"]


AGAIN = """
async def main():
    one = client()
    await connect(one)
    reasons = []
    for number in range(5):
        reasons.append(await down(numbered(one, number, 900)))
    reasons.append(await down(one.settle()))
    torn = one.in_flight
    one.shut()
    await connect(one)
    await one.settle()
    ended(torn, one.sent_again, len(acknowledged), len(set(acknowledged)), one.in_flight, reasons[-1])
"""


@pytest.mark.parametrize("present", [False, True])
@pytest.mark.parametrize("fatal", [1, 3, 5])
def test_after_a_reset_it_is_sent_again_oldest_first_with_dup_and_its_own_id(run, fatal, present):
    """Whatever Session Present says (section 4.4)."""

    def answer(script, first, body):
        if first >> 4 == packets.PUBLISH and len(script.connections) == 1:
            if len(script.publishes(0)) == fatal:
                script.peer.hang_up(errno.ECONNRESET)
        else:
            script.present = present and len(script.connections) == 2
            script.answer(first, body)

    words, script, _ = run(AGAIN, answer)
    torn, again, acknowledged, distinct, left = map(int, words[:5])
    assert " ".join(words[5:]) in ("reset by the broker", "not connected")
    assert acknowledged == distinct == again == torn >= fatal and left == 0
    first, second = script.publishes(0), script.publishes(1)
    assert [packet.packet_id for packet in second] == [
        packet.packet_id for packet in sorted(second, key=lambda p: p.packet_id)
    ]
    assert [packet.payload for packet in second[: len(first)]] == [packet.payload for packet in first]
    assert all(packet.dup for packet in second) and not any(packet.dup for packet in first)


@pytest.mark.parametrize("bytes_taken", [1, 2, 3, 9, 500, 3000])
def test_a_reset_after_part_of_a_packet(run, bytes_taken):
    program = """
async def main():
    one = client()
    await connect(one)
    await numbered(one, 7, 4000)
    torn = await down(one.settle())
    one.shut()
    await connect(one)
    await one.settle()
    ended(acknowledged == [7], one.sent_again, one.in_flight)
"""

    class Torn(Script):
        def received(self, data):
            if len(self.connections) == 1 and self.connections[0]:
                self.taken += data
                if len(self.taken) >= bytes_taken:
                    self.peer.hang_up(errno.ECONNRESET)
                return
            super().received(data)

    def prepare(cab, script):
        script.__class__ = Torn
        script.taken = bytearray()

    words, script, _ = run(program, prepare=prepare)
    assert words == ["True", "1", "0"]
    (message,) = script.publishes(1)
    assert message.dup and len(message.payload) == 4000


def test_a_connection_that_breaks_while_it_is_sent_again(run):
    program = """
async def main():
    one = client()
    await connect(one)
    for number in range(5):
        await numbered(one, number, 900)
    await down(one.settle())
    breaks = 0
    while one.in_flight:
        one.shut()
        breaks += await down(connect(one)) != "still up"
        await down(one.settle())
    ended(acknowledged == list(range(5)), one.in_flight, breaks > 0)
"""

    def answer(script, first, body):
        if first >> 4 == packets.PUBLISH and len(script.publishes(-1)) > len(script.connections) - 1:
            script.peer.hang_up(errno.ECONNRESET)
        else:
            script.answer(first, body)

    words, script, _ = run(program, answer)
    assert words[:2] == ["True", "0"]
    assert len(script.connections) == 6


# --- silence


@pytest.mark.parametrize("keepalive_s", [5, 60])
@pytest.mark.parametrize("busy", [False, True])
def test_a_silent_broker_is_noticed_within_one_and_a_half_keepalives(run, keepalive_s, busy):
    program = f"""
async def main():
    spec["keepalive_s"] = {keepalive_s}
    one = client()
    await connect(one)
    begun = time.ticks_ms()
    if {busy}:
        await numbered(one, 1)
    reason = "still up"
    while reason == "still up":
        reason = await down(one.listen(1000))
    ended(time.ticks_diff(time.ticks_ms(), begun), reason, "in flight:", one.in_flight)
"""
    words, _, _ = run(program, silent_after([packets.CONNECT]))
    assert " ".join(words[1:]) == f"no answer in flight: {int(busy)}"
    assert keepalive_s * 500 * (not busy) < int(words[0]) <= keepalive_s * 1500


def test_an_idle_connection_lives_on_pings(run):
    program = """
async def main():
    one = client()
    await connect(one)
    end = time.ticks_add(time.ticks_ms(), 600000)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        await one.listen(1000)
    ended("alive")
"""
    words, script, _ = run(program, within="15m")
    assert words == ["alive"]
    assert 18 <= [first for first, _ in script.connections[0]].count(0xC0) <= 21


def test_one_puback_that_is_lost_ends_the_connection_though_others_come(run):
    program = """
async def main():
    one = client()
    await connect(one)
    reason, number, begun = "still up", 0, time.ticks_ms()
    while reason == "still up":
        reason = await down(numbered(one, number))
        number += 1
        await down(one.listen(1000))
    late = time.ticks_diff(time.ticks_ms(), begun)
    one.shut()
    await connect(one)
    await one.settle()
    ended(late // 1000, sorted(acknowledged) == list(range(len(acknowledged))), one.sent_again)
"""

    def answer(script, first, body):
        if (
            first >> 4 == packets.PUBLISH
            and len(script.connections) == 1
            and script.published(first, body).packet_id == 3
        ):
            return
        script.answer(first, body)

    words, _, _ = run(program, answer)
    assert 30 <= int(words[0]) <= 90 and words[1:] == ["True", "1"]


# --- a broker that reads slowly, or not


def slowly(script, delay_us):
    """From now on the far end takes every byte only after a while, None: never."""
    socket = script.peer._socket
    taken = socket.on_taken
    socket.on_taken = lambda count: (
        script.timeline.after(delay_us, lambda: taken(count) and None) if delay_us is not None else None
    )


def test_a_slow_reader_gets_everything_in_whole_packets(run):
    program = """
async def main():
    one = client()
    await connect(one)
    ticks = 0
    async def others():
        nonlocal ticks
        while True:
            await asyncio.sleep_ms(50)
            ticks += 1
    asyncio.create_task(others())
    begun = time.ticks_ms()
    for number in range(12):
        await numbered(one, number, 4000)
    await one.settle()
    took = time.ticks_diff(time.ticks_ms(), begun)
    ended(sorted(acknowledged) == list(range(12)), took > 8000, ticks >= took // 100, one.take_stalls()["write"] < 100)
"""

    def answer(script, first, body):
        script.answer(first, body)
        if first >> 4 == packets.CONNECT:
            slowly(script, 1_500_000)

    words, script, _ = run(program, answer)
    assert words == ["True"] * 4
    assert [len(message.payload) for message in script.publishes(0)] == [4000] * 12


def test_a_broker_that_does_not_read(run):
    program = """
async def main():
    one = client()
    await connect(one)
    reasons = []
    for number in range(3):
        reasons.append(await down(numbered(one, number, 4000)))
    ended(reasons.count("still up"), one.in_flight, one.room, reasons[2])
"""

    def answer(script, first, body):
        if first >> 4 == packets.CONNECT:
            script.answer(first, body)
            slowly(script, None)

    words, _, _ = run(program, answer)
    assert " ".join(words) == "2 2 False broker does not read"


# --- what a broker may send unasked


def test_messages_of_an_older_subscription_are_acknowledged_and_dropped(run):
    """The PUBACKs go out between packets, never within one, even while the broker reads slowly."""
    program = """
async def main():
    one = client()
    await connect(one)
    for number in range(4):
        await numbered(one, number, 6000)
    while one.inbound < 40 or one.in_flight:
        await one.listen(1000)
    await one.listen(0)
    ended(acknowledged == list(range(4)), one.inbound, one.protocol_errors)
"""

    def answer(script, first, body):
        script.answer(first, body)
        if first >> 4 == packets.CONNECT:
            slowly(script, 700_000)
            for number in range(1, 41):
                data = packets.encode_publish("t/cmd", b"x" * number, number % 2, False, False, number * (number % 2))
                script.timeline.after(100_000 * number, lambda data=data: script.peer.reply(data) and None)

    words, script, _ = run(program, answer)
    assert words == ["True", "40", "0"]
    acknowledged = [packets.parse_puback(first & 15, body) for first, body in script.connections[0] if first >> 4 == 4]
    assert acknowledged == list(range(1, 41, 2))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x10\x00", "packet type"),
        (b"\x20\x02\x00\x00", "a second CONNACK"),
        (b"\xd0\x00", "PINGRESP unasked"),
        (b"\x90\x03\x00\x01\x00", "SUBACK unasked"),
        (b"\x30\xff\xff\xff\x7f", "packet length"),
        (b"\x40\x02\x00\x00", "packet id 0"),
    ],
)
def test_what_is_forbidden_ends_the_connection(run, data, what):
    program = """
async def main():
    one = client()
    await connect(one)
    await numbered(one, 1)
    reason = await down(one.settle())
    one.shut()
    ended(one.in_flight, one.protocol_errors, reason, "-", one.forbidden)
"""

    def answer(script, first, body):
        script.peer.reply(packets.encode_connack(0) if first >> 4 == packets.CONNECT else data)

    words, _, _ = run(program, answer)
    assert " ".join(words) == f"1 1 protocol error - {what}"


# --- payloads


def test_payloads_in_pieces(run):
    program = """
async def main():
    one = client()
    await connect(one)
    calls = 0
    def pieces(*sizes):
        def give():
            nonlocal calls
            calls += 1
            for at, size in enumerate(sizes):
                yield bytes([at + 1]) * size
        return give
    def done():
        acknowledged.append(calls)
    counts = []
    for sizes in ((), (0,), (5, 0, 7), (1391,), (1392,), (1395,), (1396,), (700, 700, 700), (20, 3000, 1), (5000, 5000)):
        await one.publish(b"t/p", pieces(*sizes), done)
        await one.settle()
    ended(*acknowledged)
"""
    words, script, _ = run(program)
    sizes = ((), (0,), (5, 0, 7), (1391,), (1392,), (1395,), (1396,), (700, 700, 700), (20, 3000, 1), (5000, 5000))
    expected = [b"".join(bytes([at + 1]) * size for at, size in enumerate(parts)) for parts in sizes]
    assert [message.payload for message in script.publishes(0)] == expected
    calls = [later - earlier for earlier, later in zip([0, *map(int, words)], map(int, words), strict=False)]
    assert calls == [1, 1, 1, 1 if 12 + 1391 <= 1400 else 2, 2, 2, 2, 2, 2, 2]


def test_payloads_that_are_gone_change_or_fail(run):
    program = """
async def main():
    one = client()
    await connect(one)
    seen = []
    await one.publish(b"t/p", lambda: None, lambda: seen.append("gone"))
    seen.append(one.in_flight)

    def bad():
        raise ValueError
    try:
        await one.publish(b"t/p", bad, lambda: seen.append("bad"))
    except ValueError:
        seen.append("error")
    seen.append(one.in_flight)
    one.shut()

    await connect(one)
    lengths = [3000, 2000, 2500, 2500]
    await one.publish(b"t/p", lambda: (bytes(1000), bytes(lengths.pop(0) - 1000)), lambda: seen.append("changed"))
    seen.append(await down(one.listen(0)))
    one.shut()
    await connect(one)
    await one.settle()

    kept = [1]
    await one.publish(b"t/p", lambda: (b"once",) if kept else None, lambda: seen.append("once"))
    one.shut()
    kept.clear()
    await connect(one)
    seen.append(one.in_flight)
    await numbered(one, 1)
    await one.settle()
    ended(*seen)
"""
    words, script, _ = run(program)
    assert words == ["0", "error", "0", "payload", "changed", "changed", "0"]
    assert [len(message.payload) for message in script.publishes(2)] == [2500, 4]


def test_a_publish_that_is_cancelled_leaves_no_half_packet_on_a_living_connection(run):
    program = """
async def main():
    one = client()
    await connect(one)
    try:
        await asyncio.wait_for_ms(numbered(one, 1, 9000), 500)
    except asyncio.TimeoutError:
        pass
    reason = await down(one.listen(0))
    one.shut()
    await connect(one)
    await numbered(one, 2)
    await one.settle()
    ended(reason, acknowledged, one.in_flight)
"""

    def answer(script, first, body):
        script.answer(first, body)
        if len(script.connections) == 1:
            slowly(script, None)

    words, _, _ = run(program, answer)
    assert words == ["interrupted", "[2]", "0"]


def test_stalls_are_measured_and_read_once(run):
    program = """
async def main():
    one = client()
    await connect(one)
    def slow():
        time.sleep_ms(300)
        return (b"x",)
    await one.publish(b"t/p", slow, lambda: time.sleep_ms(200))
    await one.settle()
    first = one.take_stalls()
    ended(first["write"] // 100, first["read"] // 100, first["connect"] < 50, max(one.take_stalls().values()))
"""
    words, _, _ = run(program)
    assert words == ["3", "2", "True", "0"]
