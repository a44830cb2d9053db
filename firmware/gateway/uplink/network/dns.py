"""Questions to a name server and its answers (RFC 1035): IPv4 addresses only, and nothing is believed that we did not ask.

A message: header of 12 bytes (ident, flags, four counts), the question, resource records. A name is a run of labels, each behind its
length, with an empty one at the end; two bits set in a length make it a pointer to an earlier place in the message.
"""

from struct import pack, unpack_from

from micropython import const

from gateway.core.errors import FrameError
from gateway.core.quality import INVALID

LONGEST = const(512)  # section 2.3.4: bytes of a message over UDP
MOST = const(4)  # addresses of a name that are of use to us
_MOST_RECORDS = const(24)
_MOST_ALIASES = const(8)
_NAME = const(255)  # section 2.3.4
_LABEL = const(63)
_A = const(1)
_CNAME = const(5)
_INTERNET = const(1)
_RESPONSE = const(0x8000)
_OPCODE = const(0x7800)
_CUT = const(0x0200)  # truncated: the rest would be had over TCP
_RECURSE = const(0x0100)
_NO_SUCH_NAME = const(3)

FOUND = const(0)
UNKNOWN = const(1)  # there is no such name, or it has no IPv4 address
FAILED = const(2)  # the server cannot tell


def wire(name):
    """A name as it travels, in small letters. Raises FrameError for what is none."""
    out = bytearray()
    for label in (name[:-1] if name.endswith(".") else name).lower().encode().split(b"."):
        if not 0 < len(label) <= _LABEL:
            raise FrameError(INVALID)
        out.append(len(label))
        out.extend(label)
    out.append(0)
    if len(out) > _NAME:
        raise FrameError(INVALID)
    return bytes(out)


def query(ident, name):
    """The question for the addresses of a name in wire form; `ident`: 16 random bits that the answer has to repeat."""
    return pack(">HHHHHH", ident, _RECURSE, 1, 0, 0, 0) + name + pack(">HH", _A, _INTERNET)


def read(packet, ident, name):
    """(what, addresses of 4 bytes each, seconds for which they hold), or None when it is not the answer to our question.

    Raises FrameError for an answer that is damaged.
    """
    if len(packet) < 12:
        return None
    got, flags, questions, answers = unpack_from(">HHHH", packet)
    if got != ident or not flags & _RESPONSE or flags & _OPCODE or questions != 1:
        return None
    asked, at = _name(packet, 12)
    if asked != name or _pair(packet, at) != (_A, _INTERNET):
        return None
    if flags & 15:
        return UNKNOWN if flags & 15 == _NO_SUCH_NAME else FAILED, [], 0
    addresses, hold_s = _follow(_records(packet, at + 4, answers), name)
    if addresses:
        return FOUND, addresses, hold_s
    return FAILED if flags & _CUT or answers > _MOST_RECORDS else UNKNOWN, [], 0


def _pair(packet, at):
    if at + 4 > len(packet):
        raise FrameError(INVALID)
    return unpack_from(">HH", packet, at)


def _name(packet, at):
    """(the name at that place in wire form, in small letters, where the message goes on)."""
    out = bytearray()
    after = -1
    earliest = at
    while True:
        if at >= len(packet):
            raise FrameError(INVALID)
        length = packet[at]
        if length >= 0xC0:
            if at + 1 >= len(packet):
                raise FrameError(INVALID)
            if after < 0:
                after = at + 2
            at = (length & 0x3F) << 8 | packet[at + 1]
            if not 12 <= at < earliest:  # each jump leads further back, so there is an end
                raise FrameError(INVALID)
            earliest = at
            continue
        if length > _LABEL or at + 1 + length > len(packet) or len(out) + 1 + length > _NAME:
            raise FrameError(INVALID)
        out.extend(packet[at : at + 1 + length])
        at += 1 + length
        if not length:
            return bytes(out).lower(), at if after < 0 else after


def _records(packet, at, count):
    """[(owner, is it an alias, the name or 4 bytes of address, seconds)] of the answers that are of use."""
    found = []
    for _ in range(min(count, _MOST_RECORDS)):
        if at >= len(packet):
            raise FrameError(INVALID)
        owner, at = _name(packet, at)
        kind, space = _pair(packet, at)
        if at + 10 > len(packet):
            raise FrameError(INVALID)
        seconds, size = unpack_from(">IH", packet, at + 4)
        at += 10
        if at + size > len(packet):
            raise FrameError(INVALID)
        if seconds >> 31:  # RFC 2181 section 8
            seconds = 0
        if space == _INTERNET and kind == _A:
            if size != 4:
                raise FrameError(INVALID)
            found.append((owner, False, bytes(packet[at : at + 4]), seconds))
        elif space == _INTERNET and kind == _CNAME:
            said, end = _name(packet, at)
            if end != at + size:
                raise FrameError(INVALID)
            found.append((owner, True, said, seconds))
        at += size
    return found


def _follow(records, name):
    """(addresses, seconds) at the end of the chain of aliases that begins with the name."""
    hold_s = 0x7FFFFFFF
    for _ in range(_MOST_ALIASES):
        alias = None
        addresses = []
        for owner, is_alias, said, seconds in records:
            if owner != name:
                continue
            hold_s = min(hold_s, seconds)
            if is_alias:
                alias = said
            elif len(addresses) < MOST and said not in addresses:
                addresses.append(said)
        if addresses or alias is None:
            return addresses, hold_s
        name = alias
    return [], 0
