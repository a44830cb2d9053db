"""acquire.modbus against pymodbus: requests, answers, and everything that is not the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, bit_message, register_message

from gateway.acquire import modbus
from gateway.core import quality
from gateway.core.errors import FrameError

FRAMER = FramerRTU(DecodePDU(True))
REQUESTS = {
    1: bit_message.ReadCoilsRequest,
    2: bit_message.ReadDiscreteInputsRequest,
    3: register_message.ReadHoldingRegistersRequest,
    4: register_message.ReadInputRegistersRequest,
}
RESPONSES = {
    1: bit_message.ReadCoilsResponse,
    2: bit_message.ReadDiscreteInputsResponse,
    3: register_message.ReadHoldingRegistersResponse,
    4: register_message.ReadInputRegistersResponse,
}
UNITS = st.integers(1, 247)
FUNCTIONS = st.integers(1, 4)
MORE = (modbus.MORE, 0)


def frame(pdu, unit):
    pdu.dev_id = unit
    return FRAMER.buildFrame(pdu)


def answer(unit, function, values):
    """values: bits or registers."""
    if function < 3:
        padded = values + [False] * (-len(values) % 8)
        return frame(RESPONSES[function](bits=padded), unit)
    return frame(RESPONSES[function](registers=values), unit)


def refusal(unit, function, number):
    return frame(ExceptionResponse(function, number), unit)


@st.composite
def questions(draw, most=125):
    """(request, its answer by pymodbus)"""
    unit, function, count = draw(UNITS), draw(FUNCTIONS), draw(st.integers(1, most))
    value = st.booleans() if function < 3 else st.integers(0, 0xFFFF)
    values = draw(st.lists(value, min_size=count, max_size=count))
    address = draw(st.integers(0, 65536 - count))
    return modbus.read_request(unit, function, address, count), answer(unit, function, values)


def is_echo_like(request, reply):
    """An answer that cannot be told from the own echo: it begins like the request."""
    return reply[: len(request)] == request[: len(reply)]


def match(received, request):
    buf = bytearray(received) + bytearray(9)  # the caller's buffer is longer than what was received
    return modbus.match_reply(buf, len(received), request)


def verdict(received, request):
    return modbus.verdict(bytearray(received) + bytearray(9), len(received), request)


@given(st.binary(max_size=300), st.integers(0, 40))
def test_crc(data, start):
    start = min(start, len(data))
    wanted = int.from_bytes(FramerRTU.compute_CRC(data[start:]).to_bytes(2, "big"), "little")
    assert modbus.crc16(data, start, len(data)) == wanted
    assert modbus.crc16(bytearray(b"\x55") + data, start + 1, len(data) + 1) == wanted


@given(UNITS, FUNCTIONS, st.data())
def test_requests_are_those_of_pymodbus(unit, function, data):
    count = data.draw(st.integers(1, 2000 if function < 3 else 125))
    address = data.draw(st.integers(0, 65536 - count))
    wanted = frame(REQUESTS[function](address=address, count=count), unit)
    assert modbus.read_request(unit, function, address, count) == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        *[(0, 3, 0, 1), (256, 3, 0, 1), (1, 0, 0, 1), (1, 5, 0, 1)],
        *[(1, 3, -1, 1), (1, 3, 65535, 2), (1, 3, 0, 0)],
        *[(1, 3, 0, 126), (1, 4, 0, 126), (1, 1, 0, 2001), (1, 2, 0, 2001)],
    ],
)
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(FrameError) as caught:
        modbus.read_request(*wrong)
    assert caught.value.reason == quality.INVALID


@given(questions())
def test_the_answer_is_found_as_soon_as_it_is_whole(question):
    request, reply = question
    assert len(reply) == modbus.reply_length(request[1], request[4] << 8 | request[5])
    if is_echo_like(request, reply):
        return
    for length in range(len(reply)):
        assert match(reply[:length], request) == MORE
    assert match(reply, request) == (0, 3)
    assert match(reply + b"\x00\xff", request) == (0, 3)


NOISE = st.one_of(
    st.binary(max_size=12),
    st.lists(st.sampled_from([0, 0xFF]), max_size=12).map(bytes),
    questions(4).map(lambda question: question[1]),
    st.tuples(UNITS, FUNCTIONS, st.integers(1, 11)).map(lambda late: refusal(*late)),
)


@given(questions(20), st.lists(NOISE, max_size=3), st.booleans(), st.data())
def test_what_came_before_the_answer_is_skipped(question, noise, echo, data):
    request, reply = question
    before = b"".join(noise)
    if match(before, request) != MORE or (not echo and is_echo_like(request, reply)):
        return
    if echo:
        before += request
    assert match(before + reply, request) == (0, len(before) + 3)
    cut = data.draw(st.integers(0, len(reply) - 1))
    assert match(before + reply[:cut], request) == MORE


@given(questions(), st.integers(1, 255), st.lists(NOISE, max_size=2))
def test_a_refusal_is_found(question, number, noise):
    request, _ = question
    reply = refusal(request[0], request[1], number)
    assert match(reply, request) == match(request + reply, request) == (quality.EXCEPTION, number)
    assert match(reply[:4], request) == MORE
    assert verdict(reply[:4], request) == quality.SHORT
    # Behind something like the head of the answer it is only sure once the deadline has passed.
    head = bytes((request[0], request[1], modbus.reply_length(request[1], request[4] << 8 | request[5]) - 5))
    before = b"".join(noise)
    if match(before, request) == MORE and head not in before:
        assert match(before + reply, request) == (quality.EXCEPTION, number)


@given(questions(10))
def test_no_flipped_bit_and_no_truncation_is_accepted(question):
    request, reply = question
    if is_echo_like(request, reply):
        return
    for bit in range(8 * len(reply)):
        damaged = bytearray(reply)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        assert match(damaged, request) == MORE
        assert verdict(damaged, request) in (quality.CRC, quality.SHORT)
    for length in range(len(reply)):
        assert match(reply[:length], request) == MORE
        assert verdict(reply[:length], request) == (quality.SHORT if length else quality.TIMEOUT)


@given(questions(), st.integers(1, 11))
def test_no_flipped_bit_of_a_refusal_is_accepted(question, number):
    request, _ = question
    reply = refusal(request[0], request[1], number)
    for bit in range(8 * len(reply)):
        damaged = bytearray(reply)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        assert match(damaged, request) == MORE


def test_an_answer_that_looks_like_the_request_needs_the_echo_before_it():
    request = modbus.read_request(7, 1, 0x0310, 20)  # answered by three bytes of coils
    assert match(request, request) == MORE
    assert match(request + request, request) == (0, 8 + 3)
    assert verdict(request, request) == quality.TIMEOUT


def test_a_refusal_inside_the_data_of_the_answer_is_data():
    inner = refusal(9, 3, 2)
    registers = [int.from_bytes(inner[0:2], "big"), int.from_bytes(inner[2:4], "big"), inner[4] << 8]
    request = modbus.read_request(9, 3, 0, 3)
    reply = answer(9, 3, registers)
    for length in range(len(reply)):
        assert match(reply[:length], request) == MORE
    assert match(reply, request) == (0, 3)


class TestVerdict:
    request = modbus.read_request(17, 4, 0x20, 2)
    reply = answer(17, 4, [0x4366, 0x1234])

    @pytest.mark.parametrize(
        ("received", "reason"),
        [
            (b"", quality.TIMEOUT),
            (b"\x00", quality.TIMEOUT),
            (b"\xff\x00\xff", quality.TIMEOUT),
            (request, quality.TIMEOUT),
            (b"\x00" + request + b"\xff", quality.TIMEOUT),
            (answer(17, 3, [1]), quality.TIMEOUT),  # late, to the question before this one
            (reply[:1], quality.SHORT),
            (reply[:-1], quality.SHORT),
            (request + reply[:4], quality.SHORT),
            (answer(17, 4, [1]), quality.SHORT),
            (answer(17, 4, [1, 2, 3]), quality.SHORT),
            (reply[:-1] + b"\x00", quality.CRC),
            (refusal(17, 4, 2)[:-1] + b"\x00", quality.CRC),
            (reply[1:], quality.CRC),  # the driver was enabled too late: its first byte is lost
            (bytes(range(100, 130)), quality.CRC),
            (answer(18, 4, [1, 2]), quality.WRONG_UNIT),
            (b"\x00" + answer(18, 4, [1, 2]) + b"\x00", quality.WRONG_UNIT),
            (refusal(18, 4, 2), quality.WRONG_UNIT),
            (answer(18, 1, [True]), quality.WRONG_UNIT),
            (answer(18, 4, [1]), quality.WRONG_UNIT),
            (frame(register_message.WriteSingleRegisterResponse(address=1, registers=[2]), 18), quality.WRONG_UNIT),
            (frame(register_message.WriteMultipleRegistersResponse(address=1, count=2), 18), quality.WRONG_UNIT),
            (frame(register_message.WriteMultipleRegistersResponse(address=1, count=2), 17), quality.TIMEOUT),
            (refusal(17, 3, 2), quality.TIMEOUT),
            (b"\x11\x04\x04" + refusal(17, 4, 2), quality.SHORT),
            (answer(17, 4, [1]) + refusal(17, 4, 2), quality.EXCEPTION),
            (answer(18, 4, [1, 2]) + reply[:-2], quality.SHORT),
        ],
    )
    def test_cases(self, received, reason):
        assert verdict(received, self.request) == reason

    @given(st.binary(max_size=300))
    def test_anything_gets_a_verdict(self, received):
        assert verdict(received, self.request) in range(1, 6)
        reason, _ = match(received, self.request)
        assert reason in (modbus.MORE, 0, quality.EXCEPTION)
