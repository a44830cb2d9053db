"""uplink.mqtt.packets: what a broker may send is read, in whatever pieces it comes, and nothing else is believed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.uplink.errors import ProtocolError
from gateway.uplink.mqtt import packets
from gateway.uplink.mqtt.packets import Parser
from satama_sim.broker import packets as broker

HELLO = b"\x20\x02\x00\x00"
IDS = st.integers(1, 65535)
TOPICS = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=40)


def said(parser):
    """The complete packet as a plain tuple."""
    if parser.kind == packets.CONNACK:
        return "CONNACK", parser.present, parser.code
    if parser.kind == packets.PUBACK:
        return "PUBACK", parser.id
    if parser.kind == packets.SUBACK:
        return "SUBACK", parser.id, parser.codes
    if parser.kind == packets.PINGRESP:
        return ("PINGRESP",)
    assert parser.kind == packets.PUBLISH
    return "PUBLISH", parser.topic, parser.payload, parser.qos, parser.retain, parser.dup, parser.id


def read(pieces, parser=None):
    """What is read of the pieces, and at the end the refusal, if there is one."""
    parser = parser or Parser()
    found = []
    for piece in pieces:
        buf, at = bytearray(piece), 0
        while at < len(buf):
            try:
                at = parser.take(buf, at, len(buf))
            except ProtocolError as error:
                return [*found, error.args[0]]
            if parser.kind:
                found.append(said(parser))
    return found


def cut(stream, places):
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in zip(edges, edges[1:], strict=False)]


PLACES = st.lists(st.integers(0, 5000), max_size=8)


@st.composite
def good(draw):
    """(bytes, what they say) of one packet that may follow CONNACK."""
    kind = draw(st.sampled_from(["PUBACK", "PUBLISH", "SUBACK", "PINGRESP"]))
    if kind == "PINGRESP":
        return broker.PINGRESP_PACKET, (kind,)
    number = draw(IDS)
    if kind == "PUBACK":
        return broker.encode_puback(number), (kind, number)
    if kind == "SUBACK":
        codes = draw(st.lists(st.sampled_from([0, 1, 2, 128]), min_size=1, max_size=200))
        return broker.encode_suback(number, codes), (kind, number, bytes(codes))
    topic, payload = draw(TOPICS), draw(st.binary(max_size=300))
    qos, retain = draw(st.integers(0, 1)), draw(st.booleans())
    dup = qos == 1 and draw(st.booleans())
    number = number if qos else 0
    data = broker.encode_publish(topic, payload, qos, retain, dup, number)
    return data, (kind, topic.encode(), payload, qos, int(retain), int(dup), number)


@given(st.booleans(), st.lists(good(), max_size=6), PLACES)
def test_what_a_broker_sends_is_read_whole_or_in_pieces(present, stream, places):
    data = broker.encode_connack(0, present) + b"".join(packet for packet, _ in stream)
    assert read(cut(data, places)) == [("CONNACK", present, 0), *[words for _, words in stream]]
    assert read([data[at : at + 1] for at in range(len(data))]) == read([data])


@given(st.binary(max_size=200), PLACES)
@example(b"\x30\x03\x00\x01a", [3])
def test_anything_in_any_pieces_ends_the_same_and_in_nothing_but_a_protocol_error(noise, places):
    for data in (noise, HELLO + noise):
        whole = read([data])
        assert read(cut(data, places)) == whole
        assert read([data[at : at + 1] for at in range(len(data))]) == whole


@given(st.lists(good(), min_size=1, max_size=4), st.integers(0, 10**6), st.integers(0, 7), PLACES)
def test_a_damaged_stream_ends_the_same_in_any_pieces(stream, where, bit, places):
    data = bytearray(HELLO + b"".join(packet for packet, _ in stream))
    data[where % len(data)] ^= 1 << bit
    whole = read([data])
    assert read(cut(bytes(data), places)) == whole


@given(st.binary(max_size=60), st.integers(0, 15))
def test_a_publish_is_accepted_exactly_when_another_parser_accepts_it(body, flags):
    """The simulated broker's, which rests on Python's decoder."""
    found = read([HELLO + bytes((0x30 | flags, len(body))) + body])[1:]
    try:
        topic, payload, qos, retain, dup, number = broker.parse_publish(flags, body)
    except broker.ProtocolError:
        assert len(found) == 1 and isinstance(found[0], str)
        return
    assert found == [("PUBLISH", topic.encode(), payload, qos, int(retain), int(dup), number)]


@given(st.binary(min_size=1, max_size=12))
def test_a_topic_is_utf_8_exactly_when_python_can_decode_it(topic):
    found = read([HELLO + bytes((0x30, len(topic) + 2, 0, len(topic))) + topic])[1:]
    try:
        fine = not any(forbidden in topic.decode() for forbidden in "\0+#")
    except UnicodeDecodeError:
        fine = False
    assert found == ([("PUBLISH", topic, b"", 0, 0, 0, 0)] if fine else ["topic"])


@pytest.mark.parametrize(
    ("topic", "fine"),
    [
        ("c1bf", False),  # longer than need be
        ("c280", True),
        ("e09fbf", False),
        ("e0a080", True),
        ("ed9fbf", True),
        ("eda080", False),  # a surrogate
        ("ee8080", True),
        ("f08fbfbf", False),
        ("f0908080", True),
        ("f48fbfbf", True),
        ("f4908080", False),  # above U+10FFFF
        ("f5808080", False),
        ("80", False),
        ("e0a0", False),
        ("e0a0c0", False),
    ],
)
def test_the_edges_of_utf_8(topic, fine):
    data = bytes.fromhex(topic)
    found = read([HELLO + bytes((0x30, len(data) + 2, 0, len(data))) + data])[1:]
    assert found == ([("PUBLISH", data, b"", 0, 0, 0, 0)] if fine else ["topic"])


@given(st.text(min_size=1, max_size=12).filter(lambda text: not any(forbidden in text for forbidden in "\0+#")))
def test_every_topic_that_can_be_encoded_is_accepted(topic):
    data = topic.encode()
    assert read([HELLO + bytes((0x30, len(data) + 2, 0, len(data))) + data])[1:] == [("PUBLISH", data, b"", 0, 0, 0, 0)]


@pytest.mark.parametrize("code", range(256))
def test_connack_codes(code):
    assert read([bytes((0x20, 2, 0, code))]) == ([("CONNACK", False, code)] if code <= 5 else ["CONNACK"])
    assert read([bytes((0x20, 2, 1, code))]) == ([("CONNACK", True, 0)] if code == 0 else ["CONNACK"])


@pytest.mark.parametrize("flags", range(2, 256))
def test_reserved_connack_flags(flags):
    assert read([bytes((0x20, 2, flags, 0))]) == ["CONNACK"]


def test_nothing_comes_before_connack_and_connack_comes_once():
    for first in (b"\x40\x02\x00\x01", b"\xd0\x00", b"\x30\x03\x00\x01a", b"HTTP/1.1 400 Bad Request"):
        assert read([first]) == ["no CONNACK"]
    assert read([HELLO + HELLO]) == [("CONNACK", False, 0), "a second CONNACK"]


@pytest.mark.parametrize("first", [first for first in range(256) if first >> 4 not in (2, 3)])
def test_first_bytes(first):
    expected = {0x40: None, 0x90: None, 0xD0: None}
    found = read([HELLO, bytes((first,))])[1:]
    assert found == ([] if first in expected else ["packet type"])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x40\x02\x00\x00", "packet id 0"),
        (b"\x40\x01", "packet length"),
        (b"\x40\x03", "packet length"),
        (b"\xd0\x01", "packet length"),
        (b"\x90\x02", "packet length"),
        (b"\x90\x03\x00\x00\x00", "packet id 0"),
        (b"\x90\x03\x00\x01\x03", "SUBACK"),
        (b"\x90\x04\x00\x01\x00\x81", "SUBACK"),
        (b"\x32\x05\x00\x01a\x00\x00", "packet id 0"),
        (b"\x32\x04", "packet length"),
        (b"\x30\x02", "packet length"),
        (b"\x30\x03\x00\x00a", "topic length"),
        (b"\x30\x03\x00\x02a", "topic length"),
        (b"\x32\x05\x00\x02abc", "topic length"),
        (b"\x34", "PUBLISH flags"),
        (b"\x36", "PUBLISH flags"),
        (b"\x38", "PUBLISH flags"),
        (b"\xb0", "packet type"),
        (b"\x50", "packet type"),
    ],
)
def test_what_is_forbidden(data, why):
    assert read([HELLO, *[data[at : at + 1] for at in range(len(data))]]) == [("CONNACK", False, 0), why]
    assert read([HELLO, data[:-1]]) == [("CONNACK", False, 0)], "it is told at the first byte that shows it"


@pytest.mark.parametrize(
    "head",
    [b"\x30\x81\x10", b"\x30\xff\xff\xff\x7f", b"\x30\xff\xff\xff\xff", b"\x30\x80\x80\x80\x80", b"\x90\x81\x10"],
)
def test_what_is_too_long_is_refused_before_a_byte_of_it_has_come(head, monkeypatch):
    parser = Parser()
    assert read([HELLO], parser)
    taken = []
    monkeypatch.setattr(packets, "bytearray", lambda size: taken.append(size) or bytearray(size), raising=False)
    assert read([head], parser) == ["packet length"]
    assert taken == []


def test_the_longest_publish():
    body = b"\x00\x01a" + bytes(packets.MOST_BYTES - 3)
    data = b"\x30\x80\x10" + body
    assert len(body) == 2048 and read([HELLO + data])[1:] == [("PUBLISH", b"a", bytes(2045), 0, 0, 0, 0)]


def test_after_a_refusal_nothing_is_read_until_a_new_connection():
    parser = Parser()
    assert read([HELLO + b"\x10"], parser) == [("CONNACK", False, 0), "packet type"]
    assert read([b"\x40\x02\x00\x07"], parser) == ["packet type"]
    parser.reset()
    assert read([HELLO + b"\x40\x02\x00\x07"], parser) == [("CONNACK", False, 0), ("PUBACK", 7)]


class OnItsWay:
    def __init__(self, topic, number, tried, retain):
        self.topic, self.id, self.tried, self.retain = topic, number, tried, retain


@given(TOPICS, IDS, st.booleans(), st.booleans(), st.sampled_from([0, 1, 100, 127, 128, 16_000, 2_100_000]))
def test_the_head_of_a_publish_is_that_of_the_broker_s_encoder(topic, number, tried, retain, size):
    packet = OnItsWay(topic.encode(), number, tried, retain)
    out = bytearray(200)
    start, end = packets.put_publish_head(out, packet, size), packets.head_room(packet)
    assert bytes(out[start:end]) + bytes(size) == broker.encode_publish(topic, bytes(size), 1, retain, tried, number)
    assert not any(out[end:])
