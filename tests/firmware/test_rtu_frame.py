"""acquire.rtu_frame against pymodbus: frames, the answer, and everything that is not the answer."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from modbus_exchanges import FIXED, UNITS, Exchange, encoded, exchanges, on_rtu, refusal
from pymodbus.framer import FramerRTU
from pymodbus.pdu import bit_message, register_message
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
from pymodbus.pdu.other_message import ReportDeviceIdRequest, ReportDeviceIdResponse

from gateway.acquire.modbus import protocol, rtu_frame, writes
from gateway.core import quality
from gateway.core.errors import FrameError

MORE = (protocol.MORE, 0)
REPEATED = [5, 6, 22]  # functions whose good answer is the request


def match(received, request, echo=False):
    buf = bytearray(received) + bytearray(9)  # the caller's buffer is longer than what was received
    return rtu_frame.match(buf, len(received), request, echo)


def verdict(received, request):
    return rtu_frame.verdict(bytearray(received) + bytearray(9), len(received), request)


def data_at(request):
    return 1 + protocol.data_at(request[1])


@st.composite
def questions(draw, functions=None, most=20):
    """(request, its answer by pymodbus)"""
    unit, exchange = draw(UNITS), draw(exchanges(functions) if functions else exchanges(most=most))
    return rtu_frame.frame(unit, exchange.pdu), on_rtu(exchange.answered, unit)


@given(st.binary(max_size=300), st.integers(0, 40))
def test_crc(data, start):
    start = min(start, len(data))
    wanted = int.from_bytes(FramerRTU.compute_CRC(data[start:]).to_bytes(2, "big"), "little")
    assert rtu_frame.crc16(data, start, len(data)) == wanted
    assert rtu_frame.crc16(bytearray(b"\x55") + data, start + 1, len(data) + 1) == wanted


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0xFFFF), (b"\x00", 0x40BF), (b"\xff", 0x00FF), (bytes(range(256)), 0xDE6C), (b"123456789", 0x4B37)],
)
def test_known_checksums(data, crc):
    assert rtu_frame.crc16(data, 0, len(data)) == crc


@pytest.mark.parametrize(
    ("unit", "pdu", "wire"),
    [
        (0x11, protocol.read(3, 0x6B, 3), "11 03 00 6B 00 03 76 87"),
        (1, protocol.read(3, 0, 10), "01 03 00 00 00 0A C5 CD"),
        (1, protocol.read(4, 0, 80), "01 04 00 00 00 50 F0 36"),
        (5, protocol.read(3, 0x9C72, 8), "05 03 9C 72 00 08 CB C3"),
        (1, writes.write_coil(0xAC, True), "01 05 00 AC FF 00 4C 1B"),
        (0x11, writes.write_coil(0xAC, True), "11 05 00 AC FF 00 4E 8B"),
        (1, writes.write_register(1, 3), "01 06 00 01 00 03 98 0B"),
        (1, writes.write_coils(0x13, [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]), "01 0F 00 13 00 0A 02 CD 01 72 CB"),
        (1, writes.write_registers(0x1C, [0x4000, 0]), "01 10 00 1C 00 02 04 40 00 00 00 E7 36"),
        (0, writes.write_register(5, 1), "00 06 00 05 00 01 59 DA"),
        (1, protocol.device_id(1, 0), "01 2B 0E 01 00 70 77"),
    ],
)
def test_known_requests(unit, pdu, wire):
    assert rtu_frame.frame(unit, pdu) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    ("unit", "pdu", "reply", "found"),
    [
        (1, writes.write_registers(0x1C, [0x4000, 0]), "01 10 00 1C 00 02 80 0E", (0, 2)),
        (1, protocol.read(3, 0, 2), "01 03 04 02 92 FF 9B 5A 3D", (0, 3)),
        (
            1,
            protocol.read(4, 0, 10),
            "01 04 14 08 D1 00 6C 00 00 00 F4 00 00 00 26 00 00 01 F4 00 64 00 00 51 34",
            (0, 3),
        ),
        (1, protocol.read(3, 0, 2), "01 83 02 C0 F1", (quality.EXCEPTION, 2)),
        (1, protocol.read(4, 0, 2), "01 84 02 C2 C1", (quality.EXCEPTION, 2)),
        (1, writes.write_coil(0, 1), "01 85 01 83 50", (quality.EXCEPTION, 1)),
    ],
)
def test_known_answers(unit, pdu, reply, found):
    assert match(bytes.fromhex(reply), rtu_frame.frame(unit, pdu)) == found


@given(st.integers(1, 255), exchanges(most=125))
@example(255, Exchange(b"\x11", ReportDeviceIdRequest(), None, b""))
def test_requests_are_those_of_pymodbus(unit, exchange):
    assert rtu_frame.frame(unit, exchange.pdu) == on_rtu(exchange.asked, unit)


@pytest.mark.parametrize(
    ("unit", "pdu"),
    [(-1, b"\x11"), (256, b"\x11"), *[(0, protocol.read(function, 0, 1)) for function in (1, 2, 3, 4)], (0, b"\x11")],
)
def test_impossible_units_are_refused(unit, pdu):
    with pytest.raises(FrameError) as caught:
        rtu_frame.frame(unit, pdu)
    assert caught.value.reason == quality.INVALID


@given(questions(most=125))
def test_the_answer_is_found_as_soon_as_it_is_whole(question):
    request, reply = question
    assert rtu_frame.reply_bytes(request) == (5 if request[1] in (17, 43) else len(reply))
    for length in range(len(reply)):
        assert match(reply[:length], request) == MORE
    assert match(reply, request) == (0, data_at(request))
    assert match(reply + b"\x00\xff", request) == (0, data_at(request))


@given(questions(most=60))
def test_on_a_line_with_echo_the_answer_is_what_follows_the_echo(question):
    request, reply = question
    received = request + reply
    for length in range(len(received)):
        assert match(received[:length], request, True) == MORE
    assert match(received, request, True) == (0, len(request) + data_at(request))
    assert verdict(request, request) == quality.TIMEOUT
    if reply != request:  # an echo nobody knew of does no harm either
        for length in range(len(received)):
            assert match(received[:length], request) == MORE
        assert match(received, request) == (0, len(request) + data_at(request))
        assert match(reply, request, True) == (0, data_at(request))


@given(questions(REPEATED))
def test_a_request_repeated_is_the_answer_or_the_echo(question):
    request, reply = question
    assert request == reply
    assert rtu_frame.match(request, len(request), request) == match(request, request) == (0, 2)
    assert match(request, request, True) == MORE
    assert match(request + reply, request, True) == (0, len(request) + 2)
    assert match(request + reply[:-1], request, True) == match(b"\x00" + reply, request, True) == MORE


def test_an_answer_that_looks_like_the_request():
    request = rtu_frame.frame(7, protocol.read(1, 0x0310, 20))  # answered by three bytes of coils
    assert match(request, request) == (0, 3)
    assert match(request, request, True) == MORE
    assert match(request + request, request, True) == (0, 8 + 3)
    assert verdict(request, request) == quality.TIMEOUT


NOISE = st.one_of(
    st.binary(max_size=12),
    st.lists(st.sampled_from([0, 0xFF]), max_size=12).map(bytes),
    questions(most=4).map(lambda question: question[1]),
    st.builds(
        lambda unit, function, number: on_rtu(refusal(function, number), unit),
        UNITS,
        st.integers(1, 127),
        st.integers(1, 11),
    ),
)


@given(questions(), st.lists(NOISE, max_size=3), st.booleans(), st.data())
def test_what_came_before_the_answer_is_skipped(question, noise, echo, data):
    request, reply = question
    before = b"".join(noise)
    assume(request[:2] not in before and match(before, request, echo) == MORE)
    if echo:
        before += request
    assert match(before + reply, request, echo) == (0, len(before) + data_at(request))
    cut = data.draw(st.integers(0, len(reply) - 1))
    assert match(before + reply[:cut], request, echo) == MORE


@given(questions(FIXED), st.binary(max_size=3), st.booleans())
def test_late_answers_of_the_same_device_are_skipped(question, noise, echo):
    request, reply = question
    pdu = protocol.read(3, 0, 99) if request[1] != 3 else protocol.read(4, 0, 99)
    late = on_rtu(register_message.ReadHoldingRegistersResponse(registers=[1] * 99), request[0])
    late = late if pdu[0] == 3 else on_rtu(register_message.ReadInputRegistersResponse(registers=[1] * 99), request[0])
    before = noise + late + (request if echo else b"")
    assume(match(before, request, echo) == MORE)
    assert match(before + reply, request, echo) == (0, len(before) + data_at(request))


@given(questions(), st.integers(1, 255), st.lists(NOISE, max_size=2))
def test_a_refusal_is_found(question, number, noise):
    request, _ = question
    reply = on_rtu(refusal(request[1], number), request[0])
    assert match(reply, request) == match(request + reply, request, True) == (quality.EXCEPTION, number)
    assert match(reply[:4], request) == MORE
    assert verdict(reply[:4], request) == quality.SHORT
    # Behind something like the head of the answer it is only sure once the deadline has passed.
    before = b"".join(noise)
    assume(request[:2] not in before and match(before, request) == MORE)
    assert match(before + reply, request) == (quality.EXCEPTION, number)


def assert_every_fault_is_seen(request, reply):
    for bit in range(8 * len(reply)):
        damaged = bytearray(reply)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        assert match(damaged, request) == MORE
        # WRONG_UNIT: a part of what is damaged can be a whole frame of another unit, by chance.
        assert verdict(damaged, request) in (quality.CRC, quality.SHORT, quality.WRONG_UNIT)
    for length in range(len(reply)):
        assert match(reply[:length], request) == MORE
        assert verdict(reply[:length], request) == (quality.SHORT if length else quality.TIMEOUT)


@given(questions(FIXED))
def test_no_flipped_bit_and_no_truncation_is_accepted(question):
    assert_every_fault_is_seen(*question)


@given(questions(), st.integers(1, 255))
def test_no_flipped_bit_and_no_truncation_of_a_refusal_is_accepted(question, number):
    request, _ = question
    assert_every_fault_is_seen(request, on_rtu(refusal(request[1], number), request[0]))


# Where a length stands in the answer itself a flipped bit can make another frame of it; one of 65536 has a right checksum.
@pytest.mark.parametrize(
    ("pdu", "answer"),
    [
        (protocol.server_id(), ReportDeviceIdResponse(b"", False)),
        (protocol.server_id(), ReportDeviceIdResponse(b"SOMMER SQ-X  2.01", True)),
        (protocol.device_id(1, 0), ReadDeviceInformationResponse(1, {0: b"Eastron", 1: b"SDM", 2: b"1.4", 3: b""})),
    ],
)
def test_no_fault_of_an_identification_is_accepted(pdu, answer):
    assert_every_fault_is_seen(rtu_frame.frame(33, pdu), on_rtu(answer, 33))


@given(questions(), st.lists(NOISE, max_size=4), st.booleans(), st.randoms())
def test_chunks_say_the_same_as_the_whole(question, noise, echo, rng):
    request, reply = question
    parts = [*noise, reply, request]
    rng.shuffle(parts)
    received = b"".join(parts)
    results = [match(received[:length], request, echo) for length in range(len(received) + 1)]
    final = results[-1]
    known = results.index(final)
    assert results == [MORE] * known + [final] * (len(results) - known)


@given(questions(), st.integers(1, 255))
def test_what_lies_behind_the_received_bytes_is_old(question, number):
    request, reply = question
    for old in (reply, on_rtu(refusal(request[1], number), request[0]), on_rtu(refusal(3, 1), request[0] ^ 1)):
        for length in range(len(old)):
            assert rtu_frame.match(bytearray(old + request), length, request) == MORE
            assert rtu_frame.verdict(bytearray(old + request), length, request) == verdict(old[:length], request)


def test_a_false_start():
    request = rtu_frame.frame(4, protocol.read(4, 0, 2))
    reply = bytearray(registers_read(4, 4, [0x0404, 0x0404]))
    for before in (b"\x04", b"\x04\x04", b"\x04\x84", b"\x04\x04\x05"):
        assert match(before + reply, request) == (0, len(before) + 3)
        assert rtu_frame.match(before + reply, len(before + reply), request) == (0, len(before) + 3)


def test_a_refusal_inside_the_data_of_the_answer_is_data():
    inner = on_rtu(refusal(3, 2), 9) + b"\x00"
    registers = [int.from_bytes(inner[i : i + 2], "big") for i in (0, 2, 4)]
    request = rtu_frame.frame(9, protocol.read(3, 0, 3))
    reply = on_rtu(register_message.ReadHoldingRegistersResponse(registers=registers), 9)
    for length in range(len(reply)):
        assert match(reply[:length], request) == MORE
    assert match(reply, request) == (0, 3)


def registers_read(unit, function, values):
    kind = "ReadHoldingRegistersResponse" if function == 3 else "ReadInputRegistersResponse"
    return on_rtu(getattr(register_message, kind)(registers=values), unit)


def register_written(unit, address, value):
    return on_rtu(register_message.WriteSingleRegisterResponse(address=address, registers=[value]), unit)


def refused(unit, function, number):
    return on_rtu(refusal(function, number), unit)


class TestVerdict:
    request = rtu_frame.frame(17, protocol.read(4, 0x20, 2))
    reply = registers_read(17, 4, [0x4366, 0x1234])

    @pytest.mark.parametrize(
        ("received", "reason"),
        [
            (b"", quality.TIMEOUT),
            (b"\x00", quality.TIMEOUT),
            (b"\xff\x00\xff\x00", quality.TIMEOUT),
            (b"\xff\x00\xff\x00\xff", quality.CRC),
            (request, quality.TIMEOUT),
            (b"\x00" + request + b"\xff", quality.TIMEOUT),
            (registers_read(17, 3, [1]), quality.TIMEOUT),  # late, to the question before this one
            (reply[:1], quality.SHORT),
            (reply[:-1], quality.SHORT),
            (request + reply[:4], quality.SHORT),
            (registers_read(17, 4, [1]), quality.SHORT),
            (registers_read(17, 4, [1, 2, 3]), quality.SHORT),
            (reply[:-1] + b"\x00", quality.CRC),
            (refused(17, 4, 2)[:-1] + b"\x00", quality.CRC),
            (reply[1:], quality.CRC),  # the driver was enabled too late: its first byte is lost
            (bytes(range(100, 130)), quality.CRC),
            (registers_read(18, 4, [1, 2]), quality.WRONG_UNIT),
            (b"\x00" + registers_read(18, 4, [1, 2]) + b"\x00", quality.WRONG_UNIT),
            (refused(18, 4, 2), quality.WRONG_UNIT),
            (on_rtu(bit_message.ReadCoilsResponse(bits=[True] * 8), 18), quality.WRONG_UNIT),
            (registers_read(18, 4, [1]), quality.WRONG_UNIT),
            (register_written(18, 1, 2), quality.WRONG_UNIT),
            (on_rtu(register_message.MaskWriteRegisterResponse(1, 2, 3), 18), quality.WRONG_UNIT),
            (on_rtu(ReportDeviceIdResponse(b"x", True), 18), quality.WRONG_UNIT),
            (on_rtu(ReadDeviceInformationResponse(1, {0: b"x"}), 18), quality.WRONG_UNIT),
            (register_written(17, 1, 2), quality.TIMEOUT),
            (refused(17, 3, 2), quality.TIMEOUT),
            (b"\x11\x04\x04" + refused(17, 4, 2), quality.SHORT),
            (registers_read(17, 4, [1]) + refused(17, 4, 2), quality.EXCEPTION),
            (registers_read(18, 4, [1, 2]) + reply[:-2], quality.SHORT),
        ],
    )
    def test_a_read(self, received, reason):
        assert match(received, self.request)[0] in (protocol.MORE, quality.EXCEPTION)
        assert verdict(received, self.request) == reason

    write = rtu_frame.frame(17, writes.write_register(5, 0x1234))

    @pytest.mark.parametrize(
        ("received", "reason"),
        [
            (write, quality.TIMEOUT),
            (write + write[:-1], quality.SHORT),
            (write + write[:-1] + b"\x00", quality.CRC),
            (write + register_written(17, 5, 0x1233), quality.SHORT),  # not what was asked for
            (write + register_written(17, 4, 0x1234), quality.SHORT),
            (write + register_written(18, 5, 0x1234), quality.WRONG_UNIT),
            (write + registers_read(17, 3, [1]), quality.TIMEOUT),
            (write + refused(17, 6, 4)[:-1], quality.SHORT),
        ],
    )
    def test_a_write_on_a_line_with_echo(self, received, reason):
        assert match(received, self.write, True) == MORE
        assert verdict(received, self.write) == reason

    @pytest.mark.parametrize(
        ("received", "reason"),
        [
            (b"\x11\x11\xff", quality.TIMEOUT),  # no answer is that long
            (b"\x11\x11\xff\x00\x00\x00", quality.CRC),
            (b"\x11\x11\x05abc", quality.SHORT),
            (on_rtu(ReportDeviceIdResponse(b"abc", True), 17)[:-1] + b"\x00", quality.CRC),
        ],
    )
    def test_a_length_that_the_answer_tells(self, received, reason):
        assert verdict(received, rtu_frame.frame(17, protocol.server_id())) == reason

    @given(questions(), st.one_of(st.binary(max_size=300), st.lists(NOISE, max_size=9).map(b"".join)), st.booleans())
    def test_anything_gets_a_verdict(self, question, received, echo):
        request, _ = question
        assert verdict(received, request) in range(1, 6)
        reason, _ = match(received, request, echo)
        assert reason in (protocol.MORE, 0, quality.EXCEPTION)

    @given(st.lists(st.sampled_from([1, 3, 4, 0x83, 0x84, 0x11, 0x2B, 0x0E, 0, 2]), max_size=300), UNITS)
    def test_nearly_answers_get_a_verdict(self, received, unit):
        for pdu in (protocol.read(3, 0, 1), protocol.server_id(), protocol.device_id(1, 0)):
            request = rtu_frame.frame(1, pdu)
            assert verdict(bytes(received), request) in range(1, 6)
            match(bytes(received), request)


def test_the_encoder_of_these_tests_is_pymodbus_own():
    request = register_message.ReadHoldingRegistersRequest(address=0x6B, count=3)
    assert encoded(request) == bytes.fromhex("03 00 6B 00 03")
