"""What goes wrong on the way to the broker, as a layer between the network and the far end: `cabinet.network_faults`.

Every method adds a fault that strikes the connections from then on (`times`: only so many of them), until heal():

    faults.refuse(times=3)                              # a reset in answer to the SYN
    faults.black_hole()                                 # nothing at all in answer to it
    faults.cut(UP, 100, RESET)                          # after 100 bytes from the board
    faults.cut(DOWN, after=(packets.PUBACK, 2), how=SILENCE)
    faults.segments(1)                                  # one byte a segment, both ways
    faults.slow(200)                                    # the far end reads 200 bytes a second
    faults.pubacks(lose=3, late_us=2_000_000, twice=5, shuffle=8)
    faults.instead(hostile.Script(...))                 # a broker of our own behind the address
    faults.vanish()                                     # of connections that stand: the peer is gone without a word

Several work together. `struck` counts what really happened.
"""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable

from ..broker import packets
from ..timeline import Timeline
from .hostile import MALFORMED, Hostile
from .net import NO_ANSWER, Accept, Session, TcpPeer

UP, DOWN = "up", "down"  # from the board, to the board
RESET = "reset"  # both ends see it
SILENCE = "silence"  # both ends live on and hear nothing of each other
HALF_OPEN = "half-open"  # the far end is gone, the board sees nothing of it
_SEGMENT_GAP_US = 1_000
_PUBACK_PATIENCE_US = 1_000_000  # a shuffled handful that does not fill is dealt after that

Emit = Callable[[bytes], None]


class Line:
    """One connection through the layer. Bytes pass the stages of their direction, one after the other."""

    def __init__(self, faults: NetworkFaults, peer: TcpPeer):
        self.faults, self.peer = faults, peer
        self.timeline = faults.timeline
        self.inner: Session | None = None
        self.alive = True  # False: it swallows everything
        self.stages: dict[str, list[Stage]] = {UP: [], DOWN: []}
        peer.held = True

    # the network's side: a session

    def received(self, data: bytes) -> None:
        self._pass(UP, 0, data)

    def closed(self, clean: bool) -> None:
        self.faults.lines.pop(self, None)
        inner, self.inner = self.inner, None
        if inner:
            inner.closed(clean)

    # the far end's side: a peer

    def reply(self, data: bytes) -> None:
        self._pass(DOWN, 0, data)

    def hang_up(self, error: int = 0) -> None:
        self.inner = None
        if self.alive:
            self._pass(DOWN, 0, b"", lambda: self.peer.hang_up(error))

    # what can become of it

    def end(self, how: str) -> None:
        if not self.alive:
            return
        self.faults.struck[how] += 1
        self.alive = False
        if how == SILENCE:
            return
        inner, self.inner = self.inner, None
        if inner:
            self.timeline.after(0, lambda: inner.closed(False))
        if how == RESET:
            self.peer.hang_up(errno.ECONNRESET)

    def _pass(self, way: str, number: int, data: bytes, then: Callable[[], None] | None = None) -> None:
        if not self.alive:
            return
        stages = self.stages[way]
        if number < len(stages):
            stages[number].feed(self, data, lambda out: self._pass(way, number + 1, out))
        elif way == UP:
            if self.inner:
                self.inner.received(data)
                self.peer.taken(len(data))
        elif data:
            self.peer.reply(data)
        if then:
            last = max((stage.busy_until_us for stage in stages), default=0)
            self.timeline.at(max(self.timeline.now_us, last), then)


class Stage:
    """Takes bytes of one direction and emits them, or what becomes of them."""

    busy_until_us = 0

    def feed(self, line: Line, data: bytes, emit: Emit) -> None:
        raise NotImplementedError


class _Cut(Stage):
    """Passes so many bytes, or all up to the end of the n-th packet of a kind, then ends the connection."""

    def __init__(self, after: int | tuple[int, int], how: str):
        self.left = after if isinstance(after, int) else None
        self.kind, self.packets_left = (0, 0) if isinstance(after, int) else after
        self.how = how
        self._seen = bytearray()

    def feed(self, line: Line, data: bytes, emit: Emit) -> None:
        count = len(data) if self.left is None else self.left
        if self.left is None:
            count, found = self._up_to(data)
            over = found
        else:
            over = len(data) >= self.left
            self.left -= min(self.left, len(data))
        if data[:count]:
            emit(data[:count])
        if over:
            line.faults.struck["cut"] += line.alive
            line.end(self.how)

    def _up_to(self, data: bytes) -> tuple[int, bool]:
        before = len(self._seen)
        self._seen += data
        position = 0
        while (packet := packets.cut_packet(self._seen, position, 1 << 28)) is not None:
            head, _, position = packet
            if head >> 4 == self.kind:
                self.packets_left -= 1
                if self.packets_left == 0:
                    return position - before, True
        del self._seen[:position]
        return len(data), False


class _Segments(Stage):
    """Cuts into segments of `size` bytes, `gap_us` apart: one byte at a time, or a reader of so many bytes a second."""

    def __init__(self, size: int, gap_us: int):
        self.size, self.gap_us = size, gap_us

    def feed(self, line: Line, data: bytes, emit: Emit) -> None:
        at_us = max(line.timeline.now_us, self.busy_until_us)
        for at in range(0, len(data), self.size):
            part = data[at : at + self.size]
            at_us += self.gap_us
            line.timeline.at(at_us, lambda part=part: emit(part))
        self.busy_until_us = at_us


class _Pubacks(Stage):
    """Loses, delays, doubles and shuffles PUBACKs; all else passes."""

    def __init__(self, lose: int, late_us: int, twice: int, shuffle: int):
        self.lose, self.late_us, self.twice, self.shuffle = lose, late_us, twice, shuffle
        self.count = 0
        self._seen = bytearray()
        self._hand: list[bytes] = []
        self._dealing = False

    def feed(self, line: Line, data: bytes, emit: Emit) -> None:
        self._seen += data
        position = 0
        while (packet := packets.cut_packet(self._seen, position, 1 << 28)) is not None:
            start, (head, _, position) = position, packet
            whole = bytes(self._seen[start:position])
            if head >> 4 == packets.PUBACK:
                self._puback(line, whole, emit)
            else:
                emit(whole)
        del self._seen[:position]

    def _puback(self, line: Line, whole: bytes, emit: Emit) -> None:
        self.count += 1
        struck = line.faults.struck
        if self.lose and self.count % self.lose == 0:
            struck["puback lost"] += 1
            return
        if self.twice and self.count % self.twice == 0:
            struck["puback twice"] += 1
            whole += whole
        if self.shuffle:
            self._hand.append(whole)
            if len(self._hand) >= self.shuffle:
                self._deal(line, emit)
            elif not self._dealing:
                self._dealing = True
                line.timeline.after(_PUBACK_PATIENCE_US, lambda: self._deal(line, emit))
        else:
            self._later(line, whole, emit)

    def _deal(self, line: Line, emit: Emit) -> None:
        hand, self._hand, self._dealing = self._hand[::-1], [], False
        if len(hand) > 1:
            line.faults.struck["puback out of order"] += len(hand)
        for whole in hand:
            self._later(line, whole, emit)

    def _later(self, line: Line, whole: bytes, emit: Emit) -> None:
        if not self.late_us:
            emit(whole)
            return
        line.faults.struck["puback late"] += 1
        line.timeline.after(self.late_us, lambda: emit(whole))


class _Fault:
    """How it strikes a new connection: `accept` instead of the true server, or stages for its bytes."""

    def __init__(self, times: int | None, accept: Accept | None = None, stages: Callable[[], dict] | None = None):
        self.times, self.accept, self.stages = times, accept, stages

    def strikes(self) -> bool:
        if self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class NetworkFaults:
    """The faults of one cabinet's way to its brokers. `connections` counts the attempts that reached the far end's address."""

    def __init__(self, timeline: Timeline):
        self.timeline = timeline
        self.lines: dict[Line, None] = {}  # in the order of their coming
        self.struck: Counter[str] = Counter()
        self.connections: list[int] = []  # when, in microseconds
        self._faults: list[_Fault] = []

    def wrap(self, accept: Accept) -> Accept:
        """The server behind this layer."""

        def accepted(peer: TcpPeer) -> Session | object | None:
            self.connections.append(self.timeline.now_us)
            chosen = accept
            line = Line(self, peer)
            for fault in self._faults:
                if fault.strikes():
                    chosen = fault.accept or chosen
                    for way, stages in (fault.stages() if fault.stages else {}).items():
                        line.stages[way] += stages
            session = chosen(line)  # type: ignore[arg-type]
            if session is None or session is NO_ANSWER:
                self.struck["refused" if session is None else "black hole"] += 1
                return session
            line.inner = session
            self.lines[line] = None
            return line

        return accepted

    # --- faults of connections to come

    def refuse(self, times: int | None = None) -> None:
        self._faults.append(_Fault(times, accept=lambda peer: None))

    def black_hole(self, times: int | None = None) -> None:
        self._faults.append(_Fault(times, accept=lambda peer: NO_ANSWER))

    def instead(self, accept: Accept, times: int | None = None) -> None:
        self._faults.append(_Fault(times, accept=accept))

    def cut(self, way: str, after: int | tuple[int, int], how: str = RESET, times: int | None = None) -> None:
        """`after` so many bytes, or (kind of packet, how many of them)."""
        self._faults.append(_Fault(times, stages=lambda: {way: [_Cut(after, how)]}))

    def segments(self, size: int, gap_us: int = _SEGMENT_GAP_US, times: int | None = None) -> None:
        self._faults.append(
            _Fault(times, stages=lambda: {UP: [_Segments(size, gap_us)], DOWN: [_Segments(size, gap_us)]})
        )

    def slow(self, bytes_per_s: int, times: int | None = None) -> None:
        size = max(1, bytes_per_s // 20)
        self._faults.append(_Fault(times, stages=lambda: {UP: [_Segments(size, size * 1_000_000 // bytes_per_s)]}))

    def pubacks(
        self, lose: int = 0, late_us: int = 0, twice: int = 0, shuffle: int = 0, times: int | None = None
    ) -> None:
        """`lose` and `twice`: every n-th; `shuffle`: so many are held and dealt from behind."""
        self._faults.append(_Fault(times, stages=lambda: {DOWN: [_Pubacks(lose, late_us, twice, shuffle)]}))

    def strike(self, rng: random.Random, times: int | None = None) -> str:
        """One of them all by chance, and which."""
        way = rng.choice([UP, DOWN])
        how = rng.choice([RESET, SILENCE, HALF_OPEN])
        kind = rng.choice([packets.CONNACK, packets.PUBACK])
        broken = MALFORMED[rng.choice(sorted(MALFORMED))]
        at = rng.randint(1, 9)
        blows: dict[str, Callable[[], None]] = {
            "refuse": lambda: self.refuse(times),
            "black hole": lambda: self.black_hole(times),
            "cut after bytes": lambda: self.cut(way, rng.choice([1, 3, 5, 7, 60, 300, 2000]), how, times),
            "cut after a packet": lambda: self.cut(DOWN, (kind, 1 if kind == packets.CONNACK else at), how, times),
            "segments": lambda: self.segments(rng.choice([1, 2, 7, 100]), times=times),
            "slow": lambda: self.slow(rng.choice([40, 200, 1000]), times),
            "pubacks": lambda: self.pubacks(
                rng.choice([0, 3, 9]),
                rng.choice([0, 500_000, 9_000_000]),
                rng.choice([0, 2]),
                rng.choice([0, 4]),
                times,
            ),
            "refused by code": lambda: self.instead(Hostile(bytes((0x20, 2, 0, rng.randint(1, 5))), ends=True), times),
            "malformed": lambda: self.instead(Hostile(answer=lambda number, packet_id: broken), times),
        }
        name = rng.choice(sorted(blows))
        blows[name]()
        return name

    # --- of those that stand

    def vanish(self, how: str = HALF_OPEN) -> None:
        for line in list(self.lines):
            line.end(how)

    @property
    def pending(self) -> bool:
        """Is there one that has not struck as often as it may?"""
        return any(fault.times != 0 for fault in self._faults)

    def heal(self) -> None:
        """New connections are well; on those that stand, what was struck stays so."""
        self._faults.clear()
