"""Modbus TCP on the simulated network: a device with a network socket, or a gateway to the units behind it.

Frames by pymodbus' FramerSocket. A unit that is not there is answered as gateways do, with exception 0x0B, at once; one
that is silent likewise, after the time that the gateway gives it (MODBUS messaging on TCP/IP V1.0b, 4.4.2).
"""

from __future__ import annotations

import errno

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse

from ..network.far_end import LiveRelay, require_reachable
from ..network.net import Session, TcpPeer
from ..timeline import RealClock, Timeline
from .devices import ModbusUnits
from .faults import Fault

_FRAMER = FramerSocket(DecodePDU(True))
_HEAD = 6  # bytes up to the length field's end
_LENGTHS = range(2, 255)  # unit and PDU


class ModbusTcpServer:
    """The server's end of one site bus of kind "modbus-tcp". `accept` belongs into Network.serve_locally.

    `connected`: its plug is in. `listening` False refuses connections. `deaf` True takes requests and never answers (as
    a half-open connection looks from the gateway). `faults` run over whole answers, MBAP head included (faults.py).
    """

    SILENCE_US = 1_000_000  # then the gateway gives up a silent unit
    MOST_CONNECTIONS = 4  # as small devices have it
    UNUSED_US = (
        60_000_000  # judged: whoever asked nothing for so long has to make room (of a board that lost its power)
    )

    def __init__(self, name: str, timeline: Timeline, units: ModbusUnits):
        self.name, self.timeline, self.slaves = name, timeline, units
        self.connected = True
        self.listening = True
        self.deaf = False
        self.faults: list[Fault] = []
        self.requests = 0
        self.busy_us = self.wire_limit_us = 0  # no wire to account for
        self.refused = 0
        self.accepted = 0  # connections since the start
        self._sessions: list[_Session] = []

    def accept(self, peer: TcpPeer) -> _Session | None:
        if not self.listening or not self._has_room():
            self.refused += 1
            return None
        session = _Session(self, peer)
        self.accepted += 1
        self._sessions.append(session)
        return session

    def _has_room(self) -> bool:
        if len(self._sessions) < self.MOST_CONNECTIONS:
            return True
        oldest = min(self._sessions, key=lambda session: session.asked_us)
        if self.timeline.now_us - oldest.asked_us < self.UNUSED_US:
            return False
        self._sessions.remove(oldest)
        oldest.peer.hang_up(errno.ECONNRESET)
        return True

    @property
    def connections(self) -> int:
        return len(self._sessions)

    def drop(self) -> None:
        """Reset all connections, as a device does that restarts."""
        for session in self._sessions:
            session.peer.hang_up(errno.ECONNRESET)
        self._sessions.clear()

    def forget(self) -> None:
        """Lose all connections without a word: the next segment of the other side is answered with a reset."""
        for session in self._sessions:
            session.peer.session = None
        self._sessions.clear()


class _Session:
    """One connection. Requests are answered one after the other, in their order."""

    def __init__(self, server: ModbusTcpServer, peer: TcpPeer):
        self.server, self.peer = server, peer
        self.asked_us = server.timeline.now_us  # when something came last
        self._buffer = bytearray()
        self._free_us = 0  # when the answers to what came so far are out

    def received(self, data: bytes) -> None:
        self.asked_us = self.server.timeline.now_us
        self._buffer += data
        while len(self._buffer) >= _HEAD:
            length = int.from_bytes(self._buffer[4:_HEAD], "big")
            if self._buffer[2:4] != b"\0\0" or length not in _LENGTHS:
                self._end()
                self.peer.hang_up()
                return
            frame = bytes(self._buffer[: _HEAD + length])
            if len(frame) < _HEAD + length:
                return
            del self._buffer[: _HEAD + length]
            _, unit, transaction, pdu = _FRAMER.decode(frame)
            self._serve(unit, transaction, pdu)

    def _serve(self, unit: int, transaction: int, pdu: bytes) -> None:
        server = self.server
        server.requests += 1
        now_us = server.timeline.now_us
        answer = server.slaves.ask(unit, pdu, now_us)
        if answer is None:
            response = ExceptionResponse(pdu[0] & 0x7F, ExcCodes.GATEWAY_NO_RESPONSE, unit)
            took_us = server.SILENCE_US if unit in server.slaves.numbers else 0
        else:
            response, took_us = answer
        if server.deaf:
            return
        response.transaction_id = transaction
        replies = [(_FRAMER.buildFrame(response), took_us)]
        for fault in server.faults:
            replies = [changed for reply, delay in replies for changed in fault(unit, reply, delay)]
        for reply, delay_us in replies:
            self._free_us = max(self._free_us, now_us) + delay_us
            server.timeline.at(self._free_us, lambda reply=reply: self._answer(reply))

    def _answer(self, reply: bytes) -> None:
        if self.peer.session is self:
            self.peer.reply(reply)

    def closed(self, clean: bool) -> None:
        self._end()

    def _end(self) -> None:
        if self in self.server._sessions:
            self.server._sessions.remove(self)


class RealModbusTcp:
    """A real Modbus TCP server in the place of the simulated one, under the real clock.

    Raises ValueError (no address), FarEndError (nobody answers there).
    """

    def __init__(self, name: str, clock: RealClock, address: str):
        self.name = name
        self.connected = True
        self.requests = 0  # segments that the gateway has sent
        self.busy_us = self.wire_limit_us = 0  # no wire to account for
        self._relay = LiveRelay(clock, *require_reachable(address, "Modbus TCP server"))

    def accept(self, peer: TcpPeer) -> Session | None:
        session = self._relay.accept(peer)
        return _Counted(self, session) if session else None

    def close(self) -> None:
        self._relay.close()


class _Counted:
    def __init__(self, bus: RealModbusTcp, session: Session):
        self._bus, self._session = bus, session

    def received(self, data: bytes) -> None:
        self._bus.requests += 1
        self._session.received(data)

    def closed(self, clean: bool) -> None:
        self._session.closed(clean)
