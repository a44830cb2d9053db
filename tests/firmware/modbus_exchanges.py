"""Modbus requests of the firmware, and both sides of the same exchange as pymodbus makes them."""

from typing import NamedTuple

from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu import bit_message as bits
from pymodbus.pdu import mei_message as mei
from pymodbus.pdu import other_message as other
from pymodbus.pdu import register_message as registers

from gateway.acquire.modbus import protocol, writes

RTU = FramerRTU(DecodePDU(True))
TCP = FramerSocket(DecodePDU(True))

UNITS = st.integers(1, 247)
WORDS = st.integers(0, 0xFFFF)
FIXED = [1, 2, 3, 4, 5, 6, 15, 16, 22, 23]  # functions whose request tells how long its answer is
FUNCTIONS = [*FIXED, 17, 43]


class Exchange(NamedTuple):
    pdu: bytes  # the request, by the firmware
    asked: ModbusPDU
    answered: ModbusPDU
    data: bytes  # what the answer says


def words(values):
    return b"".join(value.to_bytes(2, "big") for value in values)


def packed(values):
    return sum(bit << i for i, bit in enumerate(values)).to_bytes((len(values) + 7) // 8, "little")


def _lists(draw, elements, most):
    return draw(st.lists(elements, min_size=1, max_size=most))


def _reading_bits(draw, function, most):
    values = _lists(draw, st.booleans(), most)
    address = draw(st.integers(0, 65536 - len(values)))
    kind = "ReadCoils" if function == 1 else "ReadDiscreteInputs"
    asked = getattr(bits, kind + "Request")(address=address, count=len(values))
    answered = getattr(bits, kind + "Response")(bits=values + [False] * (-len(values) % 8))
    return Exchange(protocol.read(function, address, len(values)), asked, answered, packed(values))


def _reading_registers(draw, function, most):
    values = _lists(draw, WORDS, min(most, 125))
    address = draw(st.integers(0, 65536 - len(values)))
    kind = "ReadHoldingRegisters" if function == 3 else "ReadInputRegisters"
    asked = getattr(registers, kind + "Request")(address=address, count=len(values))
    answered = getattr(registers, kind + "Response")(registers=values)
    return Exchange(protocol.read(function, address, len(values)), asked, answered, words(values))


def _writing_coil(draw):
    address, on = draw(WORDS), draw(st.booleans())
    asked = bits.WriteSingleCoilRequest(address=address, bits=[on])
    answered = bits.WriteSingleCoilResponse(address=address, bits=[on])
    return Exchange(writes.write_coil(address, on), asked, answered, words([address, 0xFF00 * on]))


def _writing_register(draw):
    address, value = draw(WORDS), draw(WORDS)
    asked = registers.WriteSingleRegisterRequest(address=address, registers=[value])
    answered = registers.WriteSingleRegisterResponse(address=address, registers=[value])
    return Exchange(writes.write_register(address, value), asked, answered, words([address, value]))


def _writing_coils(draw, most):
    values = _lists(draw, st.booleans(), min(most, 1968))
    address = draw(st.integers(0, 65536 - len(values)))
    asked = bits.WriteMultipleCoilsRequest(address=address, bits=values)
    answered = bits.WriteMultipleCoilsResponse(address=address, count=len(values))
    return Exchange(writes.write_coils(address, values), asked, answered, words([address, len(values)]))


def _writing_registers(draw, most):
    values = _lists(draw, WORDS, min(most, 123))
    address = draw(st.integers(0, 65536 - len(values)))
    asked = registers.WriteMultipleRegistersRequest(address=address, registers=values)
    answered = registers.WriteMultipleRegistersResponse(address=address, count=len(values))
    return Exchange(writes.write_registers(address, values), asked, answered, words([address, len(values)]))


def _mask_writing(draw):
    three = draw(WORDS), draw(WORDS), draw(WORDS)
    asked, answered = registers.MaskWriteRegisterRequest(*three), registers.MaskWriteRegisterResponse(*three)
    return Exchange(writes.mask_write(*three), asked, answered, words(three))


def _reading_and_writing(draw, most):
    values, wrote = _lists(draw, WORDS, min(most, 125)), _lists(draw, WORDS, min(most, 121))
    address = draw(st.integers(0, 65536 - len(values)))
    write_address = draw(st.integers(0, 65536 - len(wrote)))
    asked = registers.ReadWriteMultipleRegistersRequest(address, len(values), write_address, wrote)
    answered = registers.ReadWriteMultipleRegistersResponse(registers=values)
    return Exchange(writes.read_write(address, len(values), write_address, wrote), asked, answered, words(values))


def _server_id(draw, most):
    name = draw(st.binary(max_size=min(most, 240)))
    answered = other.ReportDeviceIdResponse(name, True)
    return Exchange(protocol.server_id(), other.ReportDeviceIdRequest(), answered, name + b"\xff")


def _device_id(draw, most):
    code, first = draw(st.integers(1, 4)), draw(st.integers(0, 255))
    texts = draw(st.lists(st.binary(max_size=min(most, 40)), max_size=5))
    answered = mei.ReadDeviceInformationResponse(
        code, {first + i: text for i, text in enumerate(texts) if first + i < 256}
    )
    data = answered.encode()
    return Exchange(protocol.device_id(code, first), mei.ReadDeviceInformationRequest(code, first), answered, data)


@st.composite
def exchanges(draw, functions=FUNCTIONS, most=20):
    """An exchange of at most so many bits, registers or characters."""
    function = draw(st.sampled_from(functions))
    makers = {5: _writing_coil, 6: _writing_register, 22: _mask_writing}
    if function in makers:
        return makers[function](draw)
    if function in (1, 2, 3, 4):
        return (_reading_bits if function < 3 else _reading_registers)(draw, function, most)
    makers = {15: _writing_coils, 16: _writing_registers, 17: _server_id, 23: _reading_and_writing, 43: _device_id}
    return makers[function](draw, most)


def encoded(pdu):
    if isinstance(pdu, mei.ReadDeviceInformationResponse):  # counts its objects on and on
        pdu.number_of_objects, pdu.space_left = 0, 253 - 6
    return bytes([pdu.function_code]) + pdu.encode()


def on_rtu(pdu, unit):
    return RTU.encode(encoded(pdu), unit, 0)


def on_tcp(pdu, unit, transaction):
    return TCP.encode(encoded(pdu), unit, transaction)


def refusal(function, number):
    return ExceptionResponse(function, number)
