"""Modbus requests that write (MODBUS application protocol V1.1b3, section 6). FrameError(INVALID) outside the protocol's limits."""

from struct import pack

from micropython import const

from gateway.acquire.modbus.protocol import check, check_span

_WRITE_COILS = const(15)
_WRITE_REGISTERS = const(16)
_READ_WRITE = const(23)


def _words(words):
    data = bytearray()
    for word in words:
        check(0 <= word <= 0xFFFF)
        data.append(word >> 8)
        data.append(word & 0xFF)
    return bytes(data)


def write_coil(address, on):
    return b"\x05" + _words((address, 0xFF00 if on else 0))


def write_register(address, value):
    """`value`: the 16 bits as an unsigned number."""
    return b"\x06" + _words((address, value))


def write_coils(address, bits):
    """`bits`: 1 to 1968 of them, 0 or 1."""
    count = len(bits)
    check_span(address, count, 1968)
    data = bytearray((count + 7) // 8)
    for i in range(count):
        if bits[i]:
            data[i >> 3] |= 1 << (i & 7)
    return pack(">BHHB", _WRITE_COILS, address, count, len(data)) + bytes(data)


def write_registers(address, words):
    """`words`: 1 to 123 unsigned numbers of 16 bits."""
    count = len(words)
    check_span(address, count, 123)
    return pack(">BHHB", _WRITE_REGISTERS, address, count, 2 * count) + _words(words)


def mask_write(address, and_mask, or_mask):
    """The register becomes (register & and_mask) | (or_mask & ~and_mask)."""
    return b"\x16" + _words((address, and_mask, or_mask))


def read_write(address, count, write_address, words):
    """Write 1 to 121 words, then read 1 to 125 registers, in one transaction."""
    wrote = len(words)
    check_span(address, count, 125)
    check_span(write_address, wrote, 121)
    return pack(">BHHHHB", _READ_WRITE, address, count, write_address, wrote, 2 * wrote) + _words(words)
