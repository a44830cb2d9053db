"""What goes out: packets, above all PUBLISH, whose payload never lies in RAM as a whole."""

from micropython import const

from gateway.uplink.mqtt import packets
from gateway.uplink.errors import LinkDown

_SEGMENT = const(1400)  # bytes that are written at once, about a TCP segment


class Writer:
    """`wire`: a wire.Wire; `meanwhile()` reads while it takes nothing."""

    def __init__(self, wire, meanwhile):
        self._wire = wire
        self._meanwhile = meanwhile
        self._out = bytearray(_SEGMENT)

    async def write(self, view):
        await self._wire.write(view, self._meanwhile)

    async def publish(self, packet):
        """Write a session.Packet: its size in bytes, 0 when its payload is no more. Raises LinkDown, and whatever its pieces() raises.

        The payload goes through one buffer. What is longer than that is asked for twice, the first time only for its length.
        """
        out, room = self._out, packets.head_room(packet)
        pieces = packet.pieces()
        if pieces is None:
            return 0
        at, size, fits = room, 0, True
        for piece in pieces:
            count = len(piece)
            fits = fits and at + count <= _SEGMENT
            if fits:
                out[at : at + count] = piece
                at += count
            elif size // _SEGMENT < (size + count) // _SEGMENT:
                await self._wire.pause("write", 0)  # making the pieces takes its time
            size += count
        start = packets.put_publish_head(out, packet, size)
        packet.tried = True
        if fits:
            await self.write(memoryview(out)[start:at])
        else:
            await self._write_pieces(packet.pieces(), start, room, size)
        return room + size

    async def _write_pieces(self, pieces, start, at, left):
        view = memoryview(self._out)
        for piece in pieces or ():
            left -= len(piece)
            if left < 0:
                break
            if at + len(piece) > _SEGMENT:
                await self.write(view[start:at])
                start = at = 0
            if len(piece) > _SEGMENT:
                await self.write(memoryview(piece))
            else:
                view[at : at + len(piece)] = piece
                at += len(piece)
        if left:
            raise LinkDown("payload changed")
        await self.write(view[start:at])
