"""MQTT 3.1.1 control packets: cut them out of a byte stream, parse them, encode them.

Source: OASIS MQTT Version 3.1.1 (sections named below as "section n"). Whatever the specification forbids raises
`ProtocolError` and nothing else. Encoders take values of the program itself and raise ValueError for impossible ones.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14

# CONNACK return codes, section 3.2.2.3
ACCEPTED, BAD_PROTOCOL_LEVEL, IDENTIFIER_REJECTED, NOT_AUTHORIZED = 0, 1, 2, 5

MAX_REMAINING_LENGTH = 268_435_455
MAX_TEXT_BYTES = 65_535
MAX_PACKET_ID = 65_535

PINGREQ_PACKET = b"\xc0\x00"
PINGRESP_PACKET = b"\xd0\x00"
DISCONNECT_PACKET = b"\xe0\x00"

_U16 = struct.Struct(">H")
_PUBLISH_RETAIN, _PUBLISH_DUP = 0x01, 0x08
_USERNAME, _PASSWORD, _WILL_RETAIN, _WILL, _CLEAN_SESSION, _RESERVED = 0x80, 0x40, 0x20, 0x04, 0x02, 0x01


class ProtocolError(Exception):
    """The peer sent what MQTT 3.1.1 forbids, or what this broker does not accept; the connection must be closed."""


class ConnectRefused(ProtocolError):
    """A CONNECT that is answered with CONNACK `return_code` before the connection is closed."""

    def __init__(self, return_code: int, reason: str) -> None:
        super().__init__(reason)
        self.return_code = return_code


class Will(NamedTuple):
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Connect(NamedTuple):
    client_id: str
    clean_session: bool = True
    keepalive_s: int = 0
    will: Will | None = None
    username: str | None = None
    password: bytes | None = None


class Publish(NamedTuple):
    """`packet_id` is 0 where there is none (QoS 0)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0


class Subscribe(NamedTuple):
    packet_id: int
    filters: list[tuple[str, int]]


class Unsubscribe(NamedTuple):
    packet_id: int
    filters: list[str]


# ---- framing (section 2.2)


def cut_packet(
    stream: bytes | bytearray, start: int = 0, limit: int = MAX_REMAINING_LENGTH
) -> tuple[int, bytes, int] | None:
    """Return (first byte, body, end) of the packet at `start` of `stream`, or None while it is incomplete.

    Raises ProtocolError for a remaining length of more than four bytes, or of more than `limit`.
    """
    available = len(stream)
    length = shift = 0
    position = start + 1
    while True:
        if position >= available:
            return None
        byte = stream[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 21:
            raise ProtocolError("remaining length has more than four bytes")
    if length > limit:
        raise ProtocolError(f"packet of {length} bytes exceeds the limit of {limit}")
    end = position + length
    if end > available:
        return None
    return stream[start], bytes(stream[position:end]), end


def encode_packet(first_byte: int, body: bytes = b"") -> bytes:
    """Put the fixed header before `body`."""
    length = len(body)
    if length < 0x80:
        return bytes((first_byte, length)) + body
    if length > MAX_REMAINING_LENGTH:
        raise ValueError(f"an MQTT packet holds at most {MAX_REMAINING_LENGTH} bytes, not {length}")
    header = bytearray((first_byte,))
    while length >= 0x80:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + body


# ---- fields (section 1.5)


def _parse_bytes(body: bytes, offset: int) -> tuple[bytes, int]:
    start = offset + 2
    if start > len(body):
        raise ProtocolError("packet ends inside a length")
    end = start + _U16.unpack_from(body, offset)[0]
    if end > len(body):
        raise ProtocolError("packet ends inside a field")
    return body[start:end], end


def _parse_text(body: bytes, offset: int) -> tuple[str, int]:
    raw, end = _parse_bytes(body, offset)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ProtocolError("text is not valid UTF-8") from None
    if "\0" in text:
        raise ProtocolError("text contains U+0000")
    return text, end


def _parse_packet_id(body: bytes, offset: int = 0) -> int:
    if len(body) < offset + 2:
        raise ProtocolError("packet ends inside its packet identifier")
    packet_id = _U16.unpack_from(body, offset)[0]
    if packet_id == 0:
        raise ProtocolError("packet identifier 0")
    return packet_id


def _encode_bytes(raw: bytes) -> bytes:
    if len(raw) > MAX_TEXT_BYTES:
        raise ValueError(f"an MQTT field holds at most {MAX_TEXT_BYTES} bytes, not {len(raw)}")
    return _U16.pack(len(raw)) + raw


def _expect_flags(flags: int, expected: int) -> None:
    if flags != expected:
        raise ProtocolError(f"reserved flags of the fixed header are {flags:#x} instead of {expected:#x}")


# ---- topics (section 4.7)


def check_topic(topic: str) -> None:
    """Raise ProtocolError unless `topic` is a topic name: not empty and without wildcards."""
    if not topic or "+" in topic or "#" in topic:
        raise ProtocolError(f"not a topic name: {topic!r}")


def check_filter(topic_filter: str) -> None:
    """Raise ProtocolError unless wildcards stand alone in their level and `#` only in the last one."""
    levels = topic_filter.split("/")
    misplaced = any(("+" in level or "#" in level) and len(level) > 1 for level in levels) or "#" in levels[:-1]
    if not topic_filter or misplaced:
        raise ProtocolError(f"not a topic filter: {topic_filter!r}")


def matches(filter_levels: Sequence[str], topic_levels: Sequence[str]) -> bool:
    """Tell whether a topic matches a filter; both split at "/"."""
    first = filter_levels[0]
    if first in ("+", "#") and topic_levels[0].startswith("$"):
        return False
    if filter_levels[-1] == "#":
        filter_levels = filter_levels[:-1]  # "a/#" matches "a" too
        if len(topic_levels) < len(filter_levels):
            return False
    elif len(topic_levels) != len(filter_levels):
        return False
    return all(wanted in ("+", level) for wanted, level in zip(filter_levels, topic_levels, strict=False))


# ---- what clients send (sections 3.1, 3.3, 3.4, 3.8, 3.10)


def parse_connect(flags: int, body: bytes) -> Connect:
    """Parse a CONNECT. A Will QoS of 2 is read as 1, the highest this broker grants.

    Raises ConnectRefused for another protocol level, and for an empty client id that asks for a stored session.
    """
    _expect_flags(flags, 0)
    protocol, offset = _parse_bytes(body, 0)
    if protocol not in (b"MQTT", b"MQIsdp") or len(body) < offset + 4:
        raise ProtocolError("not an MQTT CONNECT")
    level, options, keepalive_s = struct.unpack_from(">BBH", body, offset)
    offset += 4
    if protocol != b"MQTT" or level != 4:
        raise ConnectRefused(BAD_PROTOCOL_LEVEL, f"protocol level {level}, only MQTT 3.1.1 (4) is served")
    will_qos = options >> 3 & 3
    if options & _RESERVED or will_qos == 3:
        raise ProtocolError("reserved bits in the connect flags")
    if not options & _WILL and (will_qos or options & _WILL_RETAIN):
        raise ProtocolError("Will QoS or Will retain without a Will")
    if options & _PASSWORD and not options & _USERNAME:
        raise ProtocolError("a password without a user name")

    client_id, offset = _parse_text(body, offset)
    will = username = password = None
    if options & _WILL:
        topic, offset = _parse_text(body, offset)
        check_topic(topic)
        payload, offset = _parse_bytes(body, offset)
        will = Will(topic, payload, min(will_qos, 1), bool(options & _WILL_RETAIN))
    if options & _USERNAME:
        username, offset = _parse_text(body, offset)
    if options & _PASSWORD:
        password, offset = _parse_bytes(body, offset)
    if offset != len(body):
        raise ProtocolError("bytes after the end of CONNECT")
    clean_session = bool(options & _CLEAN_SESSION)
    if not client_id and not clean_session:
        raise ConnectRefused(IDENTIFIER_REJECTED, "an empty client id asks for a stored session")
    return Connect(client_id, clean_session, keepalive_s, will, username, password)


def encode_connect(connect: Connect) -> bytes:
    options = _CLEAN_SESSION if connect.clean_session else 0
    fields = _encode_bytes(connect.client_id.encode())
    if connect.will is not None:
        will = connect.will
        options |= _WILL | will.qos << 3 | (_WILL_RETAIN if will.retain else 0)
        fields += _encode_bytes(will.topic.encode()) + _encode_bytes(will.payload)
    if connect.username is not None:
        options |= _USERNAME
        fields += _encode_bytes(connect.username.encode())
    if connect.password is not None:
        options |= _PASSWORD
        fields += _encode_bytes(connect.password)
    header = _encode_bytes(b"MQTT") + struct.pack(">BBH", 4, options, connect.keepalive_s)
    return encode_packet(CONNECT << 4, header + fields)


def parse_publish(flags: int, body: bytes) -> Publish:
    """Parse a PUBLISH of QoS 0 or 1; QoS 2 is not served and raises ProtocolError like a malformed packet."""
    topic, offset = _parse_text(body, 0)
    check_topic(topic)
    qos = flags >> 1 & 3
    packet_id = 0
    if qos == 1:
        packet_id = _parse_packet_id(body, offset)
        offset += 2
    elif qos:
        raise ProtocolError(f"PUBLISH with QoS {qos}, only 0 and 1 are served")
    elif flags & _PUBLISH_DUP:
        raise ProtocolError("DUP on a QoS 0 PUBLISH")
    return Publish(topic, body[offset:], qos, bool(flags & _PUBLISH_RETAIN), bool(flags & _PUBLISH_DUP), packet_id)


def encode_publish(
    topic: str, payload: bytes, qos: int = 0, retain: bool = False, dup: bool = False, packet_id: int = 0
) -> bytes:
    raw_topic = topic.encode()
    body = _encode_bytes(raw_topic) + (_U16.pack(packet_id) if qos else b"") + payload
    return encode_packet(PUBLISH << 4 | dup << 3 | qos << 1 | retain, body)


def parse_puback(flags: int, body: bytes) -> int:
    """Return the packet identifier."""
    _expect_flags(flags, 0)
    if len(body) != 2:
        raise ProtocolError("PUBACK of the wrong length")
    return _parse_packet_id(body)


def encode_puback(packet_id: int) -> bytes:
    return b"\x40\x02" + _U16.pack(packet_id)


def parse_subscribe(flags: int, body: bytes) -> Subscribe:
    """Parse a SUBSCRIBE; every filter is well-formed and every requested QoS 0, 1 or 2."""
    _expect_flags(flags, 2)
    packet_id = _parse_packet_id(body)
    filters = []
    offset = 2
    while offset < len(body):
        topic_filter, offset = _parse_text(body, offset)
        check_filter(topic_filter)
        if offset >= len(body) or body[offset] > 2:
            raise ProtocolError("a topic filter without a valid QoS")
        filters.append((topic_filter, body[offset]))
        offset += 1
    if not filters:
        raise ProtocolError("SUBSCRIBE without a topic filter")
    return Subscribe(packet_id, filters)


def encode_subscribe(packet_id: int, filters: Sequence[tuple[str, int]]) -> bytes:
    body = b"".join(_encode_bytes(topic_filter.encode()) + bytes((qos,)) for topic_filter, qos in filters)
    return encode_packet(SUBSCRIBE << 4 | 2, _U16.pack(packet_id) + body)


def parse_unsubscribe(flags: int, body: bytes) -> Unsubscribe:
    _expect_flags(flags, 2)
    packet_id = _parse_packet_id(body)
    filters = []
    offset = 2
    while offset < len(body):
        topic_filter, offset = _parse_text(body, offset)
        check_filter(topic_filter)
        filters.append(topic_filter)
    if not filters:
        raise ProtocolError("UNSUBSCRIBE without a topic filter")
    return Unsubscribe(packet_id, filters)


def encode_unsubscribe(packet_id: int, filters: Sequence[str]) -> bytes:
    body = b"".join(_encode_bytes(topic_filter.encode()) for topic_filter in filters)
    return encode_packet(UNSUBSCRIBE << 4 | 2, _U16.pack(packet_id) + body)


def check_empty(flags: int, body: bytes) -> None:
    """Raise ProtocolError unless the packet is two bytes, as PINGREQ and DISCONNECT are."""
    _expect_flags(flags, 0)
    if body:
        raise ProtocolError("bytes in a packet that has none")


# ---- what the broker answers (sections 3.2, 3.9, 3.11)


def encode_connack(return_code: int, session_present: bool = False) -> bytes:
    return bytes((CONNACK << 4, 2, session_present, return_code))


def encode_suback(packet_id: int, granted_qos: Sequence[int]) -> bytes:
    return encode_packet(SUBACK << 4, _U16.pack(packet_id) + bytes(granted_qos))


def encode_unsuback(packet_id: int) -> bytes:
    return b"\xb0\x02" + _U16.pack(packet_id)
