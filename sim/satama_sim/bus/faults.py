"""What can go wrong on a bus, for tests: noise on the wire, and answers that are late, torn or of somebody else.

    bus.noise(percent=30, seed=3)                         # on the line, both directions
    bus.slaves.faults.append(only({5}, late(200_000)))    # on the answers of a unit

A fault is a function (unit, reply, delay_us) -> [(bytes, delay_us), ...]; those of a bus run in turn. They know RTU frames
and MBAP frames by nothing but their bytes, except where their name says which.
"""

import random
from collections.abc import Callable, Collection, Iterable

from pymodbus.framer import FramerRTU

Fault = Callable[[int, bytes, int], Iterable[tuple[bytes, int]]]


class Noise:
    """Damages `percent` % of the frames, drawn from a seed: bits flipped, characters lost, added, or cut off.

    No damaged frame has a checksum that fits: what CRC-16 cannot see, nobody can. `frames` and `damaged` count.
    """

    def __init__(self, seed: int, percent: int):
        self._draw = random.Random(f"noise {seed}")
        self._percent = percent
        self.frames = self.damaged = 0

    def __call__(self, frame: bytes) -> bytes:
        """What arrives of a frame."""
        self.frames += 1
        if self._draw.randrange(100) >= self._percent:
            return frame
        self.damaged += 1
        while True:
            heard = self._damage(bytearray(frame))
            if heard != frame and not _fits(heard):
                return heard

    def _damage(self, frame: bytearray) -> bytes:
        draw = self._draw
        kind, at = draw.randrange(4), draw.randrange(len(frame))
        if kind == 0:
            for _ in range(draw.randint(1, 8)):
                at = draw.randrange(8 * len(frame))
                frame[at // 8] ^= 1 << at % 8
        elif kind == 1:
            del frame[at]
        elif kind == 2:
            frame.insert(draw.randrange(len(frame) + 1), draw.randrange(256))
        else:
            del frame[at:]
        return bytes(frame)


def only(units: Collection[int], fault: Fault) -> Fault:
    """The fault befalls these units."""
    return lambda unit, reply, delay_us: fault(unit, reply, delay_us) if unit in units else [(reply, delay_us)]


def sometimes(seed: int, percent: int, fault: Fault) -> Fault:
    """The fault befalls `percent` % of the answers, drawn from a seed."""
    draw = random.Random(f"sometimes {seed}")
    return lambda unit, reply, delay_us: (
        fault(unit, reply, delay_us) if draw.randrange(100) < percent else [(reply, delay_us)]
    )


def dropped(unit: int, reply: bytes, delay_us: int) -> list[tuple[bytes, int]]:
    """No answer."""
    return []


def late(by_us: int) -> Fault:
    """The answer comes so much later than usual."""
    return lambda unit, reply, delay_us: [(reply, delay_us + by_us)]


class Behind:
    """Every answer waits for the next request to that unit: it comes in place of that one's own, always one behind."""

    def __init__(self) -> None:
        self._held: dict[int, bytes] = {}

    def __call__(self, unit: int, reply: bytes, delay_us: int) -> list[tuple[bytes, int]]:
        before, self._held[unit] = self._held.get(unit), reply
        return [] if before is None else [(before, delay_us)]


def leading(garbage: bytes) -> Fault:
    """Characters before the answer: 0x00 or 0xFF where a line floats while its direction changes."""
    return lambda unit, reply, delay_us: [(garbage + reply, delay_us)]


def trailing(garbage: bytes) -> Fault:
    """Characters behind the answer."""
    return lambda unit, reply, delay_us: [(reply + garbage, delay_us)]


def truncated(keep: int) -> Fault:
    """Of the answer only the first `keep` characters come."""
    return lambda unit, reply, delay_us: [(reply[:keep], delay_us)]


def oversized(registers: int) -> Fault:
    """RTU: an intact answer to a read, but with so many registers more than were asked for."""

    def fault(unit: int, reply: bytes, delay_us: int) -> list[tuple[bytes, int]]:
        data = reply[3:-2] + b"\x5a\xa5" * registers
        return [(_sealed(reply[:2] + bytes((len(data) & 0xFF,)) + data), delay_us)]

    return fault


def wrong_unit(number: int) -> Fault:
    """RTU: an intact answer that says it comes from another unit."""
    return lambda unit, reply, delay_us: [(_sealed(bytes((number,)) + reply[1:-2]), delay_us)]


def wrong_transaction(by: int) -> Fault:
    """TCP: the answer bears another transaction's number."""

    def fault(unit: int, reply: bytes, delay_us: int) -> list[tuple[bytes, int]]:
        number = (int.from_bytes(reply[:2], "big") + by) % 65536
        return [(number.to_bytes(2, "big") + reply[2:], delay_us)]

    return fault


def absurd_length(length: int) -> Fault:
    """TCP: the answer's head promises so many bytes."""
    return lambda unit, reply, delay_us: [(reply[:4] + length.to_bytes(2, "big") + reply[6:], delay_us)]


def _fits(frame: bytes) -> bool:
    return len(frame) >= 4 and FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


def _sealed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
