"""The MQTT codec against the specification's own examples, round trips and random bytes."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satama_sim.broker import packets
from satama_sim.broker.packets import Connect, ProtocolError, Publish, Will

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
topics = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=30)
filters = st.lists(st.sampled_from(["+", "a", "", "$x", "löyly"]), min_size=1, max_size=5).map("/".join).filter(bool)
packet_ids = st.integers(1, 65_535)
wills = st.builds(Will, topics, st.binary(max_size=300), st.integers(0, 1), st.booleans())
connects = st.builds(
    Connect,
    client_id=st.text("abc-1", min_size=1, max_size=23),
    clean_session=st.booleans(),
    keepalive_s=st.integers(0, 65_535),
    will=st.none() | wills,
    username=texts,
    password=st.none() | st.binary(max_size=50),
)


def cut(stream: bytes) -> tuple[int, int, bytes]:
    """The one packet in `stream`: type, flags, body."""
    first_byte, body, end = packets.cut_packet(stream)
    assert end == len(stream)
    return first_byte >> 4, first_byte & 15, body


# ---- framing


@pytest.mark.parametrize(
    ("length", "field"),  # section 2.2.3, table 2.4
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (2_097_151, b"\xff\xff\x7f"),
        (2_097_152, b"\x80\x80\x80\x01"),
    ],
)
def test_remaining_length_has_the_specified_bytes(length, field):
    packet = packets.encode_packet(0x30, bytes(length))
    assert packet[: 1 + len(field)] == b"\x30" + field
    assert len(packet) == 1 + len(field) + length
    assert cut(packet) == (3, 0, bytes(length))


def test_longest_remaining_length_is_understood():
    assert packets.cut_packet(b"\x30\xff\xff\xff\x7f") is None
    with pytest.raises(ProtocolError, match="four bytes"):
        packets.cut_packet(b"\x30\xff\xff\xff\xff")


def test_packet_over_the_limit_is_refused_before_its_body_arrives():
    assert packets.cut_packet(b"\x30\x05", limit=5) is None
    with pytest.raises(ProtocolError, match="exceeds the limit of 5"):
        packets.cut_packet(b"\x30\x06", limit=5)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=200)), max_size=5))
def test_packets_are_cut_from_a_stream_one_by_one(wanted):
    stream = b"".join(packets.encode_packet(first_byte, body) for first_byte, body in wanted)
    found, position = [], 0
    while packet := packets.cut_packet(stream, position):
        first_byte, body, position = packet
        found.append((first_byte, body))
    assert found == wanted
    assert position == len(stream)


@given(st.integers(0, 255), st.binary(max_size=200))
def test_every_proper_prefix_of_a_packet_is_incomplete(first_byte, body):
    packet = packets.encode_packet(first_byte, body)
    assert all(packets.cut_packet(packet[:size]) is None for size in range(len(packet)))


# ---- packets


def test_connect_has_the_specified_bytes():
    connect = Connect("gw", False, 60, Will("w", b"\x00off", 1, True), "user", b"pw")
    expected = b"\x10\x21\x00\x04MQTT\x04\xec\x00\x3c\x00\x02gw\x00\x01w\x00\x04\x00off\x00\x04user\x00\x02pw"
    assert packets.encode_connect(connect) == expected
    assert packets.parse_connect(0, expected[2:]) == connect


def test_the_other_packets_have_the_specified_bytes():
    assert packets.encode_publish("a/b", b"!") == b"\x30\x06\x00\x03a/b!"
    assert packets.encode_publish("a/b", b"", 1, True, True, 10) == b"\x3b\x07\x00\x03a/b\x00\x0a"
    assert packets.encode_puback(258) == b"\x40\x02\x01\x02"
    assert packets.encode_subscribe(10, [("a/b", 1), ("c/d", 2)]) == b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x02"
    assert packets.encode_suback(10, [1, 0]) == b"\x90\x04\x00\x0a\x01\x00"
    assert packets.encode_unsubscribe(10, ["a/b"]) == b"\xa2\x07\x00\x0a\x00\x03a/b"
    assert packets.encode_unsuback(10) == b"\xb0\x02\x00\x0a"
    assert packets.encode_connack(0, True) == b"\x20\x02\x01\x00"


@given(connects)
def test_connect_round_trip(connect):
    assert packets.parse_connect(*cut(packets.encode_connect(connect))[1:]) == connect


@given(topics, st.binary(max_size=300), st.integers(0, 1), st.booleans(), st.booleans(), packet_ids)
def test_publish_round_trip(topic, payload, qos, retain, dup, packet_id):
    publish = Publish(topic, payload, qos, retain, dup and qos == 1, packet_id if qos else 0)
    kind, flags, body = cut(packets.encode_publish(*publish))
    assert kind == packets.PUBLISH
    assert packets.parse_publish(flags, body) == publish


@given(packet_ids, st.lists(st.tuples(filters, st.integers(0, 2)), min_size=1, max_size=5))
def test_subscribe_and_unsubscribe_round_trip(packet_id, wanted):
    kind, flags, body = cut(packets.encode_subscribe(packet_id, wanted))
    assert (kind, packets.parse_subscribe(flags, body)) == (packets.SUBSCRIBE, (packet_id, wanted))
    names = [name for name, _ in wanted]
    kind, flags, body = cut(packets.encode_unsubscribe(packet_id, names))
    assert (kind, packets.parse_unsubscribe(flags, body)) == (packets.UNSUBSCRIBE, (packet_id, names))


@pytest.mark.parametrize(
    ("parse", "flags", "body"),
    [
        pytest.param(packets.parse_connect, 1, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", id="connect-header-flags"),
        pytest.param(packets.parse_connect, 0, b"\x00\x04HTTP\x04\x02\x00\x00\x00\x01a", id="connect-other-protocol"),
        pytest.param(packets.parse_connect, 0, b"\x00\x04MQTT\x04\x02\x00", id="connect-ends-early"),
        pytest.param(packets.parse_connect, 0, b"\x00\x04MQTT\x04\x03\x00\x00\x00\x01a", id="connect-reserved-bit"),
        pytest.param(packets.parse_connect, 0, b"\x00\x04MQTT\x04\x22\x00\x00\x00\x01a", id="connect-retain-no-will"),
        pytest.param(packets.parse_connect, 0, b"\x00\x04MQTT\x04\x0a\x00\x00\x00\x01a", id="connect-qos-no-will"),
        pytest.param(
            packets.parse_connect, 0, b"\x00\x04MQTT\x04\x1e\x00\x00\x00\x01a\x00\x01w\x00\x00", id="connect-will-qos-3"
        ),
        pytest.param(
            packets.parse_connect, 0, b"\x00\x04MQTT\x04\x06\x00\x00\x00\x01a\x00\x01+\x00\x00", id="connect-will-topic"
        ),
        pytest.param(packets.parse_connect, 0, b"\x00\x04MQTT\x04\x42\x00\x00\x00\x01a\x00\x01p", id="connect-pw-only"),
        pytest.param(packets.parse_connect, 0, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01a!", id="connect-trailing"),
        pytest.param(packets.parse_publish, 4, b"\x00\x01a\x00\x01", id="publish-qos-2"),
        pytest.param(packets.parse_publish, 6, b"\x00\x01a\x00\x01", id="publish-qos-3"),
        pytest.param(packets.parse_publish, 8, b"\x00\x01a", id="publish-dup-qos-0"),
        pytest.param(packets.parse_publish, 2, b"\x00\x01a\x00\x00", id="publish-packet-id-0"),
        pytest.param(packets.parse_publish, 2, b"\x00\x01a\x00", id="publish-ends-early"),
        pytest.param(packets.parse_publish, 0, b"\x00\x00", id="publish-empty-topic"),
        pytest.param(packets.parse_publish, 0, b"\x00\x03a/#", id="publish-wildcard"),
        pytest.param(packets.parse_publish, 0, b"\x00\x02a\x00", id="publish-nul"),
        pytest.param(packets.parse_publish, 0, b"\x00\x03\xed\xa0\x80", id="publish-surrogate"),
        pytest.param(packets.parse_puback, 0, b"\x00\x01\x00", id="puback-long"),
        pytest.param(packets.parse_puback, 0, b"\x00\x00", id="puback-packet-id-0"),
        pytest.param(packets.parse_puback, 2, b"\x00\x01", id="puback-flags"),
        pytest.param(packets.parse_subscribe, 0, b"\x00\x01\x00\x01a\x00", id="subscribe-flags"),
        pytest.param(packets.parse_subscribe, 2, b"\x00\x01", id="subscribe-nothing"),
        pytest.param(packets.parse_subscribe, 2, b"\x00\x01\x00\x01a", id="subscribe-no-qos"),
        pytest.param(packets.parse_subscribe, 2, b"\x00\x01\x00\x01a\x03", id="subscribe-qos-3"),
        pytest.param(packets.parse_subscribe, 2, b"\x00\x01\x00\x02a+\x00", id="subscribe-bad-filter"),
        pytest.param(packets.parse_unsubscribe, 0, b"\x00\x01\x00\x01a", id="unsubscribe-flags"),
        pytest.param(packets.parse_unsubscribe, 2, b"\x00\x01", id="unsubscribe-nothing"),
        pytest.param(packets.check_empty, 0, b"\x00", id="ping-with-body"),
        pytest.param(packets.check_empty, 1, b"", id="ping-flags"),
    ],
)
def test_what_the_specification_forbids_is_refused(parse, flags, body):
    with pytest.raises(ProtocolError) as refusal:
        parse(flags, body)
    assert type(refusal.value) is ProtocolError


@pytest.mark.parametrize(
    ("body", "return_code"),
    [
        (b"\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a", packets.BAD_PROTOCOL_LEVEL),
        (b"\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a", packets.BAD_PROTOCOL_LEVEL),
        (b"\x00\x04MQTT\x04\x00\x00\x00\x00\x00", packets.IDENTIFIER_REJECTED),
    ],
)
def test_a_connect_that_deserves_an_answer_is_refused_with_its_code(body, return_code):
    with pytest.raises(packets.ConnectRefused) as refusal:
        packets.parse_connect(0, body)
    assert refusal.value.return_code == return_code


PARSERS = [
    packets.parse_connect,
    packets.parse_publish,
    packets.parse_puback,
    packets.parse_subscribe,
    packets.parse_unsubscribe,
    packets.check_empty,
]


@given(
    st.sampled_from(PARSERS),
    st.integers(0, 15),
    st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"\x00\x04MQTT\x04" + tail),
)
def test_random_bodies_raise_nothing_but_protocol_errors(parse, flags, body):
    with contextlib.suppress(ProtocolError):
        parse(flags, body)


@given(connects, st.data())
def test_a_connect_that_is_cut_short_is_refused(connect, data):
    body = cut(packets.encode_connect(connect))[2]
    size = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ProtocolError):
        packets.parse_connect(0, body[:size])


@pytest.mark.parametrize(
    "encode",
    [
        lambda: packets.encode_publish("t" * 65_536, b""),
        lambda: packets.encode_subscribe(1, [("f" * 65_536, 0)]),
        lambda: packets.encode_connect(Connect("c" * 65_536)),
        lambda: packets.encode_publish("\ud800", b""),
    ],
)
def test_impossible_values_are_not_encoded(encode):
    with pytest.raises(ValueError):
        encode()


# ---- topics


@pytest.mark.parametrize("good", ["#", "+", "a", "/", "a/+/b", "+/+", "a/#", "/#", "a//b", "$SYS/#", "a b"])
def test_good_filters(good):
    packets.check_filter(good)


@pytest.mark.parametrize("bad", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "##", "a/#b", "++"])
def test_bad_filters(bad):
    with pytest.raises(ProtocolError):
        packets.check_filter(bad)


@pytest.mark.parametrize(
    ("wanted", "topic", "expected"),  # section 4.7
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/#", "sports", False),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("#", "a/$x", True),
    ],
)
def test_matching_as_in_the_specification(wanted, topic, expected):
    assert packets.matches(wanted.split("/"), topic.split("/")) is expected


words = st.sampled_from(["a", "b", "", "$s"])


@given(
    st.lists(words | st.just("+"), min_size=1, max_size=4),
    st.booleans(),
    st.lists(words, min_size=1, max_size=4).filter(lambda levels: levels != [""]),
)
def test_matching_agrees_with_a_regular_expression(levels, with_rest, topic):
    wanted = [*levels, "#"] if with_rest else levels
    pattern = "/".join("[^/]*" if level == "+" else re.escape(level) for level in levels)
    pattern += "(/.*)?" if with_rest else ""
    hidden = topic[0].startswith("$") and wanted[0] == "+"
    expected = re.fullmatch(pattern, "/".join(topic)) is not None and not hidden
    assert packets.matches(wanted, topic) is expected
