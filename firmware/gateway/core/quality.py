"""The quality of a sample in one byte: quality << 6 | reason. 0 is good, without a reason."""

from micropython import const

GOOD = const(0)
UNCERTAIN = const(1)
BAD = const(2)

NONE = const(0)
TIMEOUT = const(1)  # nobody answered
CRC = const(2)  # bytes came, but no frame with a right checksum
EXCEPTION = const(3)  # the device refused (Modbus exception)
SHORT = const(4)  # a frame was cut off, or held less or more than asked for
WRONG_UNIT = const(5)  # another device answered
OUT_OF_RANGE = const(6)  # physically impossible
INVALID = const(7)  # the device's own mark for "no value", NaN, infinity
STALE = const(8)
PARTIAL = const(9)  # a window that lacks some of its readings
STUCK = const(10)
NO_DATA = const(11)  # a window without any reading
OVERFLOW = const(12)  # does not fit 64 bits
BUS_DOWN = const(13)
BROKEN_WIRE = const(14)  # a current loop below the least current of a live instrument
OVER_RANGE = const(15)  # a current loop above the most
PULSES_LOST = const(16)  # a counted total that may lack pulses
IMPLAUSIBLE = const(17)  # changed faster than the quantity can
SUBSTITUTED = const(18)  # a filter's estimate in the place of what was read
QUARANTINED = const(19)  # a counter's jump that waits to be confirmed by repetition
RESET = const(20)  # a counter began anew within this interval: what it had counted before is not known
EXCHANGED = const(21)  # the meter was exchanged within this interval
ESTIMATED = const(22)
NEAR_ECHO = const(23)  # closer than the sensor can measure
NO_ECHO = const(24)
INCOMPLETE = const(25)  # something it is derived from is missing

_WORDS = (
    "none",
    "timeout",
    "crc",
    "exception",
    "short",
    "wrong_unit",
    "out_of_range",
    "invalid",
    "stale",
    "partial",
    "stuck",
    "no_data",
    "overflow",
    "bus_down",
    "broken_wire",
    "over_range",
    "pulses_lost",
    "implausible",
    "substituted",
    "quarantined",
    "reset",
    "exchanged",
    "estimated",
    "near_echo",
    "no_echo",
    "incomplete",
)


def pack(quality, reason):
    """The quality byte of a quality (0..2) and a reason (0..63)."""
    return quality << 6 | reason


def quality(byte):
    """GOOD, UNCERTAIN or BAD."""
    return byte >> 6


def reason_name(byte):
    """The word for the reason, as on the wire and on the console; "unknown" for one of a later version."""
    reason = byte & 63
    return _WORDS[reason] if reason < len(_WORDS) else "unknown"
