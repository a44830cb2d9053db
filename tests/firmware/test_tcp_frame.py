"""acquire.tcp_frame against pymodbus: the answer on a connection, and a stream that is out of step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modbus_exchanges import encoded, exchanges, on_tcp, refusal
from pymodbus.pdu import register_message
from pymodbus.pdu.other_message import ReportDeviceIdResponse

from gateway.acquire.modbus import protocol, tcp_frame, writes
from gateway.core import quality
from gateway.core.errors import FrameError

MORE = (protocol.MORE, 0)
UNITS = st.integers(0, 255)
TRANSACTIONS = st.integers(0, 0xFFFF)


def match(received, request):
    buf = bytearray(received) + bytearray(9)  # the caller's buffer is longer than what was received
    return tcp_frame.match(buf, len(received), request)


@st.composite
def questions(draw, most=20):
    """(unit, transaction, request, exchange)"""
    unit, transaction, exchange = draw(UNITS), draw(TRANSACTIONS), draw(exchanges(most=most))
    return unit, transaction, tcp_frame.frame(transaction, unit, exchange.pdu), exchange


@given(questions(125))
def test_requests_are_those_of_pymodbus(question):
    unit, transaction, request, exchange = question
    assert request == on_tcp(exchange.asked, unit, transaction)


@pytest.mark.parametrize(("transaction", "unit"), [(-1, 0), (65536, 0), (0, -1), (0, 256)])
def test_impossible_numbers_are_refused(transaction, unit):
    with pytest.raises(FrameError) as caught:
        tcp_frame.frame(transaction, unit, b"\x11")
    assert caught.value.reason == quality.INVALID


@given(questions(240), st.lists(st.tuples(st.integers(1, 0x7FFF), UNITS, exchanges()), max_size=3))
def test_the_answer_is_found_behind_older_ones(question, late):
    unit, transaction, request, exchange = question
    before = b"".join(on_tcp(old.answered, other, (transaction - age) & 0xFFFF) for age, other, old in late)
    reply = on_tcp(exchange.answered, unit, transaction)
    for length in range(len(before + reply)):
        assert match((before + reply)[:length], request) == MORE
    found = len(before) + 7 + protocol.data_at(exchange.pdu[0])
    assert match(before + reply, request) == match(before + reply + b"\x00\x01", request) == (0, found)
    assert (before + reply)[found:] == exchange.data


@given(questions(), st.integers(1, 255))
def test_a_refusal_is_found(question, number):
    unit, transaction, request, exchange = question
    reply = on_tcp(refusal(exchange.pdu[0], number), unit, transaction)
    assert match(reply, request) == (quality.EXCEPTION, number)
    assert match(reply[:-1], request) == MORE


@given(questions(), st.integers(1, 0x7FFF), st.integers(1, 255))
def test_a_stream_out_of_step_is_told_at_once(question, ahead, other):
    unit, transaction, request, exchange = question
    pdu = encoded(exchange.answered)
    reply = on_tcp(exchange.answered, unit, transaction)
    never_asked = on_tcp(exchange.answered, unit, (transaction + ahead) & 0xFFFF)
    assert match(never_asked, request) == match(never_asked[:6], request) == (quality.CRC, 0)
    for number in (1, 0x100):
        assert match(reply[:2] + number.to_bytes(2, "big") + reply[4:6], request) == (quality.CRC, 0)
    for length in (0, 1, 2, 255, 256, 0xFFFF):
        assert match(reply[:4] + length.to_bytes(2, "big"), request) == (quality.CRC, 0)
    assert match(on_tcp(exchange.answered, unit ^ other, transaction), request) == (quality.WRONG_UNIT, 0)
    longer = reply[:4] + (len(pdu) + 2).to_bytes(2, "big") + reply[6:] + b"\x00"
    assert match(longer, request) == (quality.SHORT, 0)
    if len(pdu) > 2:
        shorter = reply[:4] + len(pdu).to_bytes(2, "big") + reply[6:-1]
        assert match(shorter, request) == (quality.SHORT, 0)
    strange = on_tcp(refusal(exchange.pdu[0] ^ 1, 2), unit, transaction)
    assert match(strange, request) == (quality.SHORT, 0)


def test_an_answer_to_another_read_or_write():
    request = tcp_frame.frame(7, 1, protocol.read(3, 0, 2))
    for values in ([1], [1, 2, 3]):
        reply = on_tcp(register_message.ReadHoldingRegistersResponse(registers=values), 1, 7)
        assert match(reply, request) == (quality.SHORT, 0)
    request = tcp_frame.frame(7, 1, writes.write_register(5, 6))
    reply = on_tcp(register_message.WriteSingleRegisterResponse(address=5, registers=[7]), 1, 7)
    assert match(reply, request) == (quality.SHORT, 0)


def test_the_longest_answer():
    request = tcp_frame.frame(0xFFFF, 255, protocol.server_id())
    reply = on_tcp(ReportDeviceIdResponse(b"x" * 250, True), 255, 0xFFFF)
    assert len(reply) == 260 and match(reply, request) == (0, 9)
    assert match(on_tcp(ReportDeviceIdResponse(b"x" * 251, True), 255, 0xFFFF), request) == (quality.CRC, 0)


@pytest.mark.parametrize(("age", "result"), [(0x7FFF, MORE), (0x8000, (quality.CRC, 0))])
def test_a_transaction_is_older_or_was_never_asked(age, result):
    request = tcp_frame.frame(0x9000, 1, protocol.read(3, 0, 1))
    reply = on_tcp(register_message.ReadHoldingRegistersResponse(registers=[1]), 1, 0x9000 - age)
    assert match(reply, request) == result


def test_transactions_wrap_around():
    request = tcp_frame.frame(1, 9, protocol.read(3, 0, 1))
    answer = register_message.ReadHoldingRegistersResponse(registers=[1])
    received = on_tcp(answer, 9, 65535) + on_tcp(answer, 9, 0) + on_tcp(answer, 9, 1)
    assert match(received, request) == (0, 22 + 9)
    assert match(on_tcp(answer, 9, 2), request) == (quality.CRC, 0)


@given(questions(), st.binary(max_size=600))
def test_anything_may_come_in_any_chunks(question, received):
    _, _, request, _ = question
    results = [match(received[:length], request) for length in range(len(received) + 1)]
    final = results[-1]
    known = results.index(final)
    assert results == [MORE] * known + [final] * (len(results) - known)
    assert final[0] in (protocol.MORE, 0, quality.CRC, quality.WRONG_UNIT, quality.SHORT, quality.EXCEPTION)
