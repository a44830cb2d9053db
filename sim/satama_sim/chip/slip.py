"""SLIP framing of the serial protocol (RFC 1055; Espressif, Serial Protocol, "Low Level Protocol")."""

from __future__ import annotations

END = b"\xc0"
ESCAPE = 0xDB
LIMIT = 0x10000  # longer than any packet of the protocol


def encode(packet: bytes) -> bytes:
    """The packet between two END bytes, with END and ESCAPE inside replaced."""
    return END + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + END


class Decoder:
    """Packets out of a stream of bytes. What is not between two END bytes comes out too, as a packet that makes no sense:
    the next END puts host and chip in step again, whatever was lost before."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[bytes]:
        *ended, rest = data.split(END)
        packets = []
        for piece in ended:
            self._add(piece)
            if self._open and not self._too_long:
                packets.append(_unescape(bytes(self._open)))
            self.forget()
        self._add(rest)
        return packets

    def forget(self) -> None:
        """Drop the packet that has begun."""
        self._open.clear()
        self._too_long = False

    def _add(self, piece: bytes) -> None:
        self._open += piece
        if len(self._open) > LIMIT:
            self._open.clear()
            self._too_long = True


def _unescape(data: bytes) -> bytes:
    """An ESCAPE that is followed by neither DC nor DD is dropped, as is one at the end."""
    first, *others = data.split(b"\xdb")
    out = bytearray(first)
    for piece in others:
        out += {0xDC: b"\xc0", 0xDD: b"\xdb"}.get(piece[0], piece[:1]) if piece else b""
        out += piece[1:]
    return bytes(out)
