"""What a time server says (SNTP, RFC 4330 and RFC 5905 section 7): the request, and what its answer is worth."""

from struct import unpack_from

from micropython import const

SIZE = const(48)
_NTP_2000 = const(3155673600)  # seconds from 1900 to 2000
_MASK = const(0xFFFFFFFF)
_HALF = const(0x80000000)  # of an NTP era, which has 136 years
_FAR_MS = const(16000)  # RFC 5905: a server that may be wrong by so much is not synchronised

ANSWER = const(0)
NOTHING = const(1)  # not to be believed: not a server, or itself not synchronised
SLOWER = const(2)  # kiss of death: ask less often
NEVER = const(3)  # kiss of death: do not ask again


def request(nonce):
    """The question. `nonce`: 8 random bytes that the answer has to repeat: nobody who has not seen them can answer."""
    packet = bytearray(SIZE)
    packet[0] = 0x23  # no warning, version 4, client
    packet[40:48] = nonce
    return packet


def answers(packet, nonce):
    """Is it the answer to the question with that nonce?"""
    return len(packet) >= SIZE and packet[24:32] == nonce


def read(packet, floor):
    """(what, seconds since 2000, ms, uncertainty in ms by its own account). `floor`: the release date, for the era.

    Seconds are those of the 136 years around the floor: 1970 must not look like 2106, as a server with an empty clock would have it.
    """
    if packet[0] & 7 != 4:
        return NOTHING, 0, 0, 0
    if packet[1] == 0:
        code = bytes(packet[12:16])
        if code == b"RATE":
            return SLOWER, 0, 0, 0
        return NEVER if code in (b"DENY", b"RSTR") else NOTHING, 0, 0, 0
    delay, dispersion = unpack_from(">II", packet, 4)
    uncertainty = (delay // 2 + dispersion) * 1000 >> 16
    seconds, fraction = unpack_from(">II", packet, 40)
    if packet[0] >> 6 == 3 or packet[1] > 15 or uncertainty >= _FAR_MS or not seconds:
        return NOTHING, 0, 0, 0
    earliest = floor - _HALF
    seconds = (seconds - _NTP_2000 - earliest & _MASK) + earliest
    return ANSWER, seconds, fraction * 1000 >> 32, uncertainty
