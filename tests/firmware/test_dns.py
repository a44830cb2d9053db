"""uplink.network.dns: the right addresses from right answers, nothing from others, and no exception but FrameError from any bytes."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.errors import FrameError
from gateway.uplink.network import dns
from satama_sim.network.net import Network
from satama_sim.timeline import Timeline

NAME = "broker.example"
WIRE = b"\x06broker\x07example\x00"
# The answer of RFC 1035's own example form, written out by hand: one alias, two addresses behind it, one with a pointer into a pointer.
ANSWER = bytes.fromhex(
    "beef 8180 0001 0003 0000 0000"
    "0662726f6b6572076578616d706c6500 0001 0001"  # at 12: the question
    "c00c 0005 0001 0000003c 0007 0461626364 c013"  # at 32: alias abcd.example (the name is at 44)
    "c02c 0001 0001 00000e10 0004 c0000201"
    "0461626364c013 0001 0001 0000001e 0004 c0000202"
)


@pytest.fixture
def server():
    network = Network(Timeline())
    network.address(NAME)
    return network.name_server


def ask(server, name=NAME, ident=0xBEEF):
    wire = dns.wire(name)
    ((packet, _),) = server(dns.query(ident, wire))
    return dns.read(packet, ident, wire)


def records(*rows, ident=0xBEEF, flags=0x8180, name=WIRE):
    body = b"".join(
        owner + struct.pack(">HHIH", kind, space, ttl, len(data)) + data for owner, kind, space, ttl, data in rows
    )
    return struct.pack(">HHHHHH", ident, flags, 1, len(rows), 0, 0) + name + b"\0\1\0\1" + body


def test_a_name_in_wire_form():
    assert dns.wire(NAME) == WIRE == dns.wire("BROKER.example.")


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64 + ".example", ".".join(["x" * 60] * 5)])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(FrameError):
        dns.wire(name)


def test_an_answer_byte_for_byte():
    addresses = [bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))]
    assert dns.read(ANSWER, 0xBEEF, WIRE) == (dns.FOUND, addresses, 30)


def test_every_damage_of_length_is_told():
    for end in range(12, len(ANSWER)):
        with pytest.raises(FrameError):
            dns.read(ANSWER[:end], 0xBEEF, WIRE)


def test_answers_of_the_simulated_server(server):
    assert ask(server) == (dns.FOUND, [bytes((10, 77, 1, 1))], 300)
    server.records[NAME] = [bytes((10, 0, 0, at)) for at in range(9)]
    assert ask(server)[1] == [bytes((10, 0, 0, at)) for at in range(dns.MOST)]
    server.aliases[NAME] = "cluster.example"
    server.records["cluster.example"] = [b"\1\2\3\4"]
    assert ask(server) == (dns.FOUND, [b"\1\2\3\4"], 300)
    assert ask(server, "nobody.example") == (dns.UNKNOWN, [], 0)
    server.failing = True
    assert ask(server) == (dns.FAILED, [], 0)


def test_aliases_in_a_ring_come_to_an_end():
    packet = records((WIRE, 5, 1, 60, b"\x01a\0"), (b"\x01a\0", 5, 1, 60, WIRE))
    assert dns.read(packet, 0xBEEF, WIRE) == (dns.UNKNOWN, [], 0)


def test_an_alias_of_four_bytes_is_no_address():
    packet = records((WIRE, 5, 1, 60, b"\x02ab\0"), (b"\x02ab\0", 1, 1, 60, b"\1\1\1\1"))
    assert dns.read(packet, 0xBEEF, WIRE) == (dns.FOUND, [b"\1\1\1\1"], 60)


def test_what_nobody_asked_for_is_not_taken():
    other = (b"\x04evil\0", 1, 1, 60, b"\6\6\6\6")
    true = (WIRE, 1, 1, 60, b"\1\1\1\1")
    assert dns.read(records(other, true), 0xBEEF, WIRE)[1] == [b"\1\1\1\1"]
    assert dns.read(records(other), 0xBEEF, WIRE)[0] == dns.UNKNOWN
    assert dns.read(records(true), 0xBEEE, WIRE) is None
    assert dns.read(records(true, name=b"\x04evil\0"), 0xBEEF, WIRE) is None
    assert dns.read(records(true, flags=0x0100), 0xBEEF, WIRE) is None  # a question
    assert dns.read(records((WIRE, 1, 3, 60, b"\1\1\1\1")), 0xBEEF, WIRE)[0] == dns.UNKNOWN  # class CHAOS


def test_capital_letters_and_a_time_to_live_of_centuries():
    packet = records((WIRE.upper().replace(b"\x06", b"\x06"), 1, 1, 0xFFFFFFFF, b"\1\1\1\1"))
    assert dns.read(packet, 0xBEEF, WIRE) == (dns.FOUND, [b"\1\1\1\1"], 0)


def test_a_truncated_answer_is_as_good_as_what_is_in_it():
    assert dns.read(records(flags=0x8380), 0xBEEF, WIRE)[0] == dns.FAILED
    assert dns.read(records((WIRE, 1, 1, 9, b"\1\1\1\1"), flags=0x8380), 0xBEEF, WIRE)[1] == [b"\1\1\1\1"]


def test_a_pointer_to_itself_or_forward_is_refused():
    for pointer in (b"\xc0\x20", b"\xc0\x30", b"\xff\xff", b"\xc0\x00"):
        with pytest.raises(FrameError):
            dns.read(records((pointer, 1, 1, 60, b"\1\1\1\1")), 0xBEEF, WIRE)


@given(st.binary(max_size=80), st.integers(0, len(ANSWER)), st.integers(0, len(ANSWER)))
@example(b"", 0, 0)
def test_only_a_frame_error_escapes(noise, start, end):
    packet = ANSWER[:start] + noise + ANSWER[end:]
    try:
        answer = dns.read(packet, 0xBEEF, WIRE)
    except FrameError:
        return
    if answer is not None:
        what, addresses, hold_s = answer
        assert (what == dns.FOUND) == bool(addresses) and len(addresses) <= dns.MOST
        assert all(len(address) == 4 for address in addresses) and 0 <= hold_s < 1 << 31


@given(st.lists(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True), min_size=1, max_size=6))
def test_any_name_is_found_again(labels):
    network = Network(Timeline())
    name = ".".join(labels)
    network.names[name] = b"\1\2\3\4"
    assert ask(network.name_server, name) == (dns.FOUND, [b"\1\2\3\4"], 300)
