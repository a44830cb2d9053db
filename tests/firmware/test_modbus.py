"""acquire.modbus against pymodbus: requests, and what tells the answers to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modbus_exchanges import FUNCTIONS, encoded, exchanges

from gateway.acquire.modbus import protocol, writes
from gateway.core import quality
from gateway.core.errors import FrameError


@pytest.mark.parametrize("function", FUNCTIONS)
@given(st.data())
def test_requests_are_those_of_pymodbus(function, data):
    exchange = data.draw(exchanges([function], 125))
    assert exchange.pdu == encoded(exchange.asked)


def test_the_longest_requests():
    assert len(writes.write_coils(0, [1] * 1968)) == len(writes.write_registers(0, [1] * 123)) == 252
    assert len(writes.read_write(65411, 125, 65415, [1] * 121)) == 252
    assert protocol.read(1, 0, 2000) == b"\x01\x00\x00\x07\xd0"
    assert protocol.read(3, 65535, 1) == b"\x03\xff\xff\x00\x01"
    assert protocol.device_id(4, 255) == b"\x2b\x0e\x04\xff"


def test_the_longest_answers():
    assert protocol.reply_size(protocol.read(3, 0, 125)) == protocol.reply_size(protocol.read(2, 0, 2000)) == 252
    assert [protocol.reply_size(protocol.read(1, 0, count)) for count in (1, 8, 9, 1992, 1993)] == [3, 3, 4, 251, 252]
    assert protocol.size_of(b"\x11\xfb", 0, 2) == 253
    assert protocol.size_of(b"\x2b\x0e\x01\x83\x00\x00\x01\x00\xf4", 0, 9) == 253
    assert protocol.size_of(b"\x2b\x0e\x01\x83\x00\x00\x02\x00\xf2" + bytes(244), 0, 253) == 253
    assert protocol.size_of(b"\x2b\x0e\x01\x83\x00\x00\x03\x00\xf2" + bytes(244), 0, 253) == protocol.MORE == -1


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        *[(protocol.read, wrong) for wrong in [(0, 0, 1), (5, 0, 1), (3, -1, 1), (3, 65535, 2), (3, 0, 0)]],
        *[(protocol.read, wrong) for wrong in [(3, 0, 126), (4, 0, 126), (1, 0, 2001), (2, 0, 2001)]],
        *[(writes.write_coil, (-1, 1)), (writes.write_coil, (65536, 1))],
        *[(writes.write_register, wrong) for wrong in [(-1, 0), (65536, 0), (0, -1), (0, 65536)]],
        *[(writes.write_coils, wrong) for wrong in [(0, []), (0, [1] * 1969), (65535, [1, 1]), (-1, [1])]],
        *[(writes.write_registers, wrong) for wrong in [(0, []), (0, [1] * 124), (65535, [1, 1]), (0, [65536])]],
        *[(writes.mask_write, wrong) for wrong in [(65536, 0, 0), (0, -1, 0), (0, 0, 65536)]],
        *[(writes.read_write, wrong) for wrong in [(0, 126, 0, [1]), (0, 1, 0, [1] * 122), (0, 0, 0, [1])]],
        *[(writes.read_write, wrong) for wrong in [(0, 1, 0, []), (65535, 2, 0, [1]), (0, 1, 65535, [1, 1])]],
        *[(protocol.device_id, wrong) for wrong in [(0, 0), (5, 0), (1, -1), (1, 256)]],
    ],
)
def test_impossible_requests_are_refused(make, wrong):
    with pytest.raises(FrameError) as caught:
        make(*wrong)
    assert caught.value.reason == quality.INVALID


@pytest.mark.parametrize("function", FUNCTIONS)
@given(st.data(), st.binary(max_size=4))
def test_the_size_of_an_answer_is_known_as_soon_as_it_can_be(function, data, before):
    exchange = data.draw(exchanges([function], 240))
    reply = encoded(exchange.answered)
    assert protocol.reply_size(exchange.pdu) == (0 if function in (17, 43) else len(reply))
    known = 1 if function in (5, 6, 15, 16, 22) else 2
    if function == 43:  # with the length of the last object
        last = [*exchange.answered.information.values()][-1:]
        known = len(reply) - len(last[0]) if last else 7
    at = len(before)
    buf = bytearray(before + reply) + bytearray(9)  # the caller's buffer is longer than what was received
    sizes = [protocol.size_of(buf, at, at + length) for length in range(len(reply) + 1)]
    assert sizes == [protocol.MORE] * known + [len(reply)] * (len(sizes) - known)
    for length in range(len(reply) + 1):
        assert protocol.fits(exchange.pdu, buf, at, length)
    found = at + protocol.data_at(exchange.pdu[0])
    assert buf[found : at + len(reply)] == exchange.data


@given(exchanges(), st.integers(1, 255))
def test_the_size_of_a_refusal(exchange, number):
    buf = bytearray([exchange.pdu[0] | 0x80, number])
    assert protocol.size_of(buf, 0, 1) == protocol.size_of(buf, 0, 2) == 2
    assert not protocol.fits(exchange.pdu, buf, 0, 2)


@given(exchanges(), exchanges())
def test_the_answer_to_another_request_does_not_fit(exchange, other):
    reply = encoded(other.answered)
    same = len(reply) == len(encoded(exchange.answered)) or exchange.pdu[0] in (17, 43)
    if exchange.pdu[0] in (5, 6, 15, 16, 22):
        same = reply == encoded(exchange.answered)  # which says what was written, and where
    elif exchange.pdu[0] == 43:
        same = exchange.pdu[2] == reply[2] if other.pdu[0] == 43 else False
    assert protocol.fits(exchange.pdu, reply, 0, len(reply)) == (same and other.pdu[0] == exchange.pdu[0])


@pytest.mark.parametrize(
    "wrong",
    [
        *[b"\x00\x01", b"\x07\x01", b"\x2a\x0e", b"\x7f\x00"],  # functions that were not asked for
        *[b"\x03\xfc", b"\x11\xff", b"\x17\xfe"],  # no frame has room for it
        b"\x2b\x0e\x01\x83\x00\x00\x01\x00\xf6",
        b"\x2b\x0e\x01\x83\x00\x00\xff\x00\xff",
        b"\x2b\x0e\x01\x83\x00\x00\x02\x00\x80" + bytes(128) + b"\x01\x80",
    ],
)
def test_what_is_no_answer_has_no_size(wrong):
    assert protocol.size_of(bytearray(wrong) + bytearray(300), 0, len(wrong)) == 0


@given(exchanges(), st.binary(max_size=260), st.integers(0, 9))
def test_anything_may_come(exchange, received, at):
    size = protocol.size_of(bytearray(received), at, len(received))
    assert size == protocol.MORE or 0 <= size <= 253
    assert protocol.fits(exchange.pdu, received, at, max(0, len(received) - at)) in (True, False)
