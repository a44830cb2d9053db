"""How long the gateway is busy with one read, in whole microseconds: what firmware/gateway/acquire/modbus/rtu.py and tcp.py do, step by step.

Both kinds of bus answer the same questions:
  size(function, count)        bytes of request and answer together
  request_us(...)              from the first step of this request to the first step of the next one
  limit_us(...)                what no gateway can do without: the bytes, the device's turnaround, the silence after it
with `turnaround_us` and `gap_us` (silence that the device wants before the next request) as its profile declares them.
"""

from ..boards.model import Costs
from ..profiles.values import BIT_FUNCTIONS
from ..site_file.site import RtuBus, TcpBus

REQUEST_BYTES = 8
ANSWER_BYTES = 5  # unit, function, byte count, CRC; and the data
TCP_REQUEST_BYTES, TCP_ANSWER_BYTES = 12, 9  # 7 bytes of header instead of unit and CRC
FIXED_SILENCE_ABOVE, FIXED_SILENCE_US = 19_200, 1_750  # Modbus over serial line V1.02, 2.5.1.1
TCP_LATENCY_US = 5_000  # judgement: there and back in a cabinet's own network
TCP_LOOK_US = 10_000  # the firmware looks for the answer once in a scheduler tick
SECOND_US = 1_000_000


def data_bytes(function: int, count: int) -> int:
    """Bytes of data in the answer to a read of `count` bits (functions 1, 2) or registers."""
    return (count + 7) // 8 if function in BIT_FUNCTIONS else 2 * count


class RtuTiming:
    """A serial line, each of whose devices answers after its typical turnaround."""

    def __init__(self, bus: RtuBus, costs: Costs) -> None:
        self.baud = bus.baud
        self.bits = 9 + bus.stop_bits + (bus.parity != "N")
        self.char_us = -(-self.bits * SECOND_US // bus.baud)
        self.silence_us = FIXED_SILENCE_US if bus.baud > FIXED_SILENCE_ABOVE else (7 * self.char_us + 1) // 2
        # Direction pin there and back, handing over the frame. The firmware ends its waits in place, so scheduler ticks
        # add nothing; seeing an answer's last character late may add one, once the response time has been learned.
        self._costs_us = 2 * costs.pin_us + costs.uart_write_us

    def size(self, function: int, count: int) -> int:
        return REQUEST_BYTES + ANSWER_BYTES + data_bytes(function, count)

    def request_us(self, function: int, count: int, turnaround_us: int, gap_us: int) -> int:
        waits = max(turnaround_us, self.silence_us) + max(self.silence_us, gap_us)
        return self._costs_us + self.size(function, count) * self.char_us + waits

    def limit_us(self, function: int, count: int, turnaround_us: int, gap_us: int) -> int:
        silence_us = FIXED_SILENCE_US
        if self.baud <= FIXED_SILENCE_ABOVE:
            silence_us = 7 * self.bits * SECOND_US // (2 * self.baud)
        return self.size(function, count) * self.bits * SECOND_US // self.baud + turnaround_us + max(silence_us, gap_us)


class TcpTiming:
    """A network connection: a fixed latency instead of bytes on a wire. What a gateway to RS-485 adds, nobody here knows."""

    baud = None

    def __init__(self, costs: Costs) -> None:
        self._costs_us = 2 * costs.socket_us + costs.task_step_us

    def size(self, function: int, count: int) -> int:
        return TCP_REQUEST_BYTES + TCP_ANSWER_BYTES + data_bytes(function, count)

    def request_us(self, function: int, count: int, turnaround_us: int, gap_us: int) -> int:
        looks, gaps = -(-(turnaround_us + TCP_LATENCY_US) // TCP_LOOK_US), -(-gap_us // TCP_LOOK_US)
        return self._costs_us + (looks + gaps) * TCP_LOOK_US

    def limit_us(self, function: int, count: int, turnaround_us: int, gap_us: int) -> int:
        return turnaround_us + TCP_LATENCY_US + gap_us


Timing = RtuTiming | TcpTiming


def timing(bus: RtuBus | TcpBus, costs: Costs) -> Timing:
    """The model of a Modbus bus on a board."""
    return TcpTiming(costs) if bus.kind == "modbus-tcp" else RtuTiming(bus, costs)
