"""Devices that talk by themselves: a meter's customer port (H1, P1) and sensors that stream frames; what they say comes from the world.

    line = cabinet.buses[0]
    line.noise(percent=30, seed=3)                        # damage on the wire
    line.faults.append(sometimes(1, 20, torn))            # what the device does wrong: those here, and those of faults.py
    line.record_truth = True                              # line.truth_log: (device, point, now_us, exact value)

Written from the standards, not from the firmware: its CRC divides by the polynomial from the high end, its numbers are Decimals.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ..board.uart import SimUart
from ..timeline import Timeline
from ..world import Model, World
from ..world.exact import round_ratio
from .faults import Fault
from .registers import Codec

Shown = list[tuple[str, Fraction]]  # (point, exact value as it was said)

# Digits before and behind the point, as a Swedish meter's telegram has them (ndokter/dsmr_parser, pull request 124).
_DIGITS = {"kWh": (8, 3), "kvarh": (8, 3), "kW": (4, 3), "kvar": (4, 3), "V": (3, 1), "A": (3, 1)}
_OTHER_DIGITS = (5, 3)
_NORMAL_TIME = timedelta(hours=2)  # of Finland, the whole year
_DEVICE = 0  # where faults want a unit


def _reversed(value: int, width: int) -> int:
    return int(f"{value:0{width}b}"[::-1], 2)


def _remainder(byte: int) -> int:
    """Of x**8 times the byte, divided by x16 + x15 + x2 + 1."""
    rest = byte << 8
    for _ in range(8):
        rest <<= 1
        if rest & 0x10000:
            rest ^= 0x18005
    return rest


_FLIPPED = [_reversed(byte, 8) for byte in range(256)]
_REMAINDERS = [_remainder(byte) for byte in range(256)]


def crc16_arc(data: bytes) -> int:
    """CRC-16/ARC: bits of a byte from the low end, start and final value 0."""
    rest = 0
    for byte in data:
        rest = (rest << 8 & 0xFFFF) ^ _REMAINDERS[rest >> 8 ^ _FLIPPED[byte]]
    return _reversed(rest, 16)


class H1Meter:
    """A meter's telegrams, with a line for each point that it has a value of."""

    inverted = True  # open collector: the line is high while the transistor is off (P1 Companion Standard 5.0.2, 5.7)

    def __init__(self, profile: Any, model: Model, world: World):
        self.interval_us = 1_000_000 * profile.telegram.interval_s
        self._points, self._model, self._world = profile.points, model, world

    def message(self, now_us: int) -> tuple[bytes, Shown]:
        lines, shown = [f"0-0:1.0.0({self._time(now_us)})"], []
        for point in self._points:
            ratio = self._model.ratio(point.name)
            if ratio is not None:
                number, said = _number(point, ratio)
                lines.append(f"{point.obis}({number}*{point.telegram_unit})")
                shown.append((point.name, said))
        body = ("/SIM5\\2SATAMA-H1\r\n\r\n" + "".join(line + "\r\n" for line in lines) + "!").encode()
        return body + f"{crc16_arc(body):04X}\r\n".encode(), shown

    def _time(self, now_us: int) -> str:
        seconds = self._world.start_unix_s + now_us // 1_000_000
        return f"{datetime.fromtimestamp(seconds, UTC) + _NORMAL_TIME:%y%m%d%H%M%S}W"

    @staticmethod
    def is_heard_in(data: bytes) -> bool:
        """Whether there is an intact telegram in it."""
        found = re.finditer(rb"/[^/!]*!([0-9A-F]{4})", data)
        return any(crc16_arc(match[0][:-4]) == int(match[1], 16) for match in found)


def _number(point: Any, ratio: tuple[int, int]) -> tuple[str, Fraction]:
    """(what stands in the telegram, the value that it stands for)."""
    before, behind = _DIGITS.get(point.telegram_unit.replace("VAr", "var"), _OTHER_DIGITS)
    scale = Fraction(point.scale)
    units = Fraction(*ratio) / scale * 10**behind
    steps = round_ratio(units.numerator, units.denominator)
    if point.kind == "counter":
        steps %= 10 ** (before + behind)
    text = f"{Decimal(steps).scaleb(-behind):0{before + 1 + behind}.{behind}f}"
    return text, Fraction(steps, 10**behind) * scale


class FrameSensor:
    """A sensor's frames: header, values, checksum. Without a value it is silent."""

    inverted = False

    def __init__(self, profile: Any, model: Model, world: World):
        stream = profile.stream
        self.interval_us = int(1_000_000 * stream.interval_s)
        self._header, self._length = bytes(stream.header), stream.length
        self._cells = [(point, Codec(point)) for point in profile.points]
        self._model = model

    def message(self, now_us: int) -> tuple[bytes, Shown]:
        frame, shown = bytearray(self._length - 1), []
        frame[: len(self._header)] = self._header
        for point, codec in self._cells:
            raw = codec.encode(self._model.ratio(point.name))
            if raw is None:
                return b"", []
            for place, word in enumerate(codec.words(raw)):
                at = point.address + 2 * place
                frame[at : at + 2] = word.to_bytes(2, "big")
            value = codec.decode(raw)
            if value is not None:
                shown.append((point.name, value))
        return bytes(frame) + bytes((sum(frame) % 256,)), shown

    def is_heard_in(self, data: bytes) -> bool:
        """Whether there is an intact frame in it."""
        windows = (data[at : at + self._length] for at in range(len(data) - self._length + 1))
        return any(one.startswith(self._header) and sum(one[:-1]) % 256 == one[-1] for one in windows)


SPEAKERS: dict[str, Callable[[Any, Model, World], H1Meter | FrameSensor]] = {"h1": H1Meter, "stream": FrameSensor}


class PushingLine:
    """The wire from one device that talks by itself to a UART. Nobody listens to what the UART sends.

    `inverted`: how the line is wired; turn it over for a missing or needless inverter. `interval_us`: from one message to the next.
    """

    def __init__(self, compiled: Any, spec: dict[str, Any], world: World, timeline: Timeline, uart: SimUart):
        self.name = spec["id"]
        self.device = next(device.id for device in compiled.site.devices if device.bus == self.name)
        profile = compiled.profiles[self.device]
        self.speaker = SPEAKERS[profile.interface](profile, world.device(self.device), world)
        self.inverted, self.interval_us = self.speaker.inverted, self.speaker.interval_us
        self.connected = True  # the plug at the cabinet
        self.record_truth = False
        self.truth_log: list[tuple[str, str, int, Fraction]] = []
        self.faults: list[Fault] = []
        self.requests = 0  # messages on the wire
        self.busy_us = self.wire_limit_us = 0
        self._world, self._timeline, self._uart = world, timeline, uart
        bits = 9 + spec["stop_bits"] + (spec["parity"] != "N")
        self.char_us = (2_000_000 * bits + spec["baud"]) // (2 * spec["baud"])
        self._noise: Damage | None = None
        self._free_us = 0
        first_us = random.Random(f"{world.seed} {self.name}").randrange(self.interval_us)
        self._talking = timeline.after(first_us, self._talk)

    def transmit(self, uart: SimUart, start_us: int, char_us: int, data: bytes) -> None:
        """The device has no ear."""

    def noise(self, percent: int, seed: int = 1) -> None:
        """From now on so many percent of the messages arrive damaged; the seed says which. 0: none."""
        self._noise = Damage(seed, percent, self.speaker.is_heard_in) if percent else None

    def close(self) -> None:
        """The device is gone for good, and the wire is free for another one."""
        self.connected = False
        self._talking.cancel()

    def _talk(self) -> None:
        now = self._timeline.now_us
        self._talking = self._timeline.after(self.interval_us, self._talk)
        self._world.advance(now)
        message, shown = self.speaker.message(now)
        if not message:
            return
        if self.record_truth:
            self.truth_log += [(self.device, point, now, value) for point, value in shown]
        said = [(message, 0)]
        for fault in self.faults:
            said = [changed for data, delay_us in said for changed in fault(_DEVICE, data, delay_us)]
        for data, delay_us in said:
            self._timeline.after(delay_us, lambda data=data: self._send(data))

    def _send(self, data: bytes) -> None:
        if not self.connected:
            return
        start = max(self._timeline.now_us, self._free_us)
        self._free_us = start + len(data) * self.char_us
        self.requests += 1
        self.busy_us += len(data) * self.char_us
        self.wire_limit_us = self.busy_us
        self._uart.receive(start, self.char_us, self._noise(data) if self._noise else data, self.inverted)


class Damage:
    """Damages `percent` % of the messages, drawn from a seed: bits flipped, a character lost or added, the end or the beginning cut off.

    No message is still intact in what is heard then (`is_heard_in`): a sum cannot see everything.
    """

    def __init__(self, seed: int, percent: int, is_heard_in: Callable[[bytes], bool]):
        self._draw = random.Random(f"damage {seed}")
        self._percent, self._is_heard_in = percent, is_heard_in
        self.messages = self.damaged = 0

    def __call__(self, message: bytes) -> bytes:
        """What arrives of a message."""
        self.messages += 1
        if self._draw.randrange(100) >= self._percent:
            return message
        self.damaged += 1
        while True:
            heard = self._damage(bytearray(message))
            if not self._is_heard_in(heard):
                return heard

    def _damage(self, message: bytearray) -> bytes:
        draw = self._draw
        kind, at = draw.randrange(5), draw.randrange(len(message))
        if kind == 0:
            for _ in range(draw.randint(1, 8)):
                bit = draw.randrange(8 * len(message))
                message[bit // 8] ^= 1 << bit % 8
        elif kind == 1:
            del message[at]
        elif kind == 2:
            message.insert(at, draw.randrange(256))
        elif kind == 3:
            del message[at:]
        else:
            del message[: at + 1]
        return bytes(message)


def torn(unit: int, message: bytes, delay_us: int) -> list[tuple[bytes, int]]:
    """The device stops in the middle."""
    return [(message[: len(message) // 2], delay_us)]


def doubled(unit: int, message: bytes, delay_us: int) -> list[tuple[bytes, int]]:
    """The same twice, one right behind the other."""
    return [(message, delay_us), (message, delay_us)]
