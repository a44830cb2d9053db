"""A laboratory for the virtual board: any main.py on the real MicroPython VM, with hands on everything around it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from satama.boards.board import load_board
from satama.packing.image import filesystem
from satama_sim.board.board import SimBoard, Traits
from satama_sim.board.flash import NorFlash
from satama_sim.board.radio import Radio
from satama_sim.board.uart import SimUart
from satama_sim.cabinet import HEAP_BYTES, one_core
from satama_sim.network.net import Network, TcpPeer
from satama_sim.pytest_plugin import missing
from satama_sim.timeline import Timeline, VirtualClock
from satama_sim.vm import umqtt
from satama_sim.vm.path import VmMissing, find_vm

SSID, PASSWORD = "quay", "herring"
GREETING = re.compile(r'MicroPython [^\n]*\nType "help\(\)" [^\n]*\n>>> ')
START_US = 300_000  # from power to MicroPython

WIFI_UP = """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("quay", "herring")
while not wlan.isconnected():
    time.sleep_ms(100)
"""


SOCKETS = (
    WIFI_UP
    + """
import errno, select, socket
NAMES = {getattr(errno, name): name for name in dir(errno) if name[0] == "E"}
def address(name="pier.example", port=80):
    return socket.getaddrinfo(name, port)[0][-1]
def took(action):
    start, start_ms = time.ticks_us(), time.ticks_ms()
    try:
        result = action()
    except OSError as error:
        result = NAMES.get(error.errno, error.errno)
    ms = time.ticks_diff(time.ticks_ms(), start_ms)
    return result, ms if ms > 60000 else time.ticks_diff(time.ticks_us(), start) // 1000
def opened(timeout=None):
    sock = socket.socket()
    sock.connect(address())
    sock.settimeout(timeout)
    return sock
"""
)


class Lab:
    """One board on its own timeline under the virtual clock. `main` and `files` are what its filesystem holds."""

    def __init__(
        self,
        main: str,
        files: dict[str, str | bytes] | None = None,
        *,
        board: str = "esp32-devkit",
        vm: str | None = None,
        seed: int = 1,
        age_us: int = 0,
        silence_s: float = 20.0,
        blank: bool = False,
    ):
        spec = load_board(board)
        self.costs = spec.costs.model_dump()
        self.timeline = Timeline()
        self.flash = NorFlash(spec.flash_bytes)
        self.vfs, self.journal = spec.partitions["vfs"], spec.partitions["journal"]
        content = {name: text.encode() if isinstance(text, str) else text for name, text in (files or {}).items()}
        if not blank:
            image = filesystem({"main.py": main.encode(), **content}, self.vfs.size)
            self.flash.data[self.vfs.offset : self.vfs.offset + self.vfs.size] = image
        self.network = Network(self.timeline, latency_us=10_000)
        self.radio = Radio(self.timeline, {SSID: PASSWORD})
        try:
            command, frozen = find_vm(vm), umqtt.ensure()
        except (VmMissing, umqtt.UmqttMissing) as error:
            missing(str(error))
        self.board = SimBoard(
            self.timeline,
            VirtualClock(),
            Traits(
                costs=self.costs,
                has_counter=spec.counter,
                tick_us=spec.scheduler_tick_ms * 1000,
                uarts=spec.uarts,
                partitions=[(p.type, p.subtype, p.offset, p.size, name) for name, p in spec.partitions.items()],
                flash_bytes=spec.flash_bytes,
                console_baud=spec.console.baud,
            ),
            self.flash,
            self.network,
            self.radio,
            command,
            str(frozen),
            HEAP_BYTES,
            seed,
        )
        self.board.silence_s = silence_s
        self.board.age_us = age_us
        self._console = bytearray()
        self.board.on_print.append(self._console.extend)
        self.power_on()

    # --- power and time

    def power_on(self) -> None:
        with one_core():
            self.board.power_on()

    def power_off(self) -> None:
        self.board.power_off()

    def run(self, seconds: float) -> str:
        """Let simulated time pass; returns the console's text so far."""
        with one_core():
            self.board.run_until(self.timeline.now_us + round(seconds * 1_000_000))
        return self.text

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Have something happen that long after now."""
        self.timeline.after(round(seconds * 1_000_000), lambda: action() and None)

    def close(self) -> None:
        self.board.power_off()

    # --- the console

    @property
    def text(self) -> str:
        """Without the greeting of the prompt behind the end of main.py."""
        return GREETING.sub("", self.console)

    @property
    def console(self) -> str:
        return self._console.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def said(self, word: str) -> list[str]:
        """What was printed behind that word, one entry a line."""
        return [line[len(word) + 1 :] for line in self.lines if line.startswith(word + " ")]

    # --- what is wired to the board

    def wire(self, number: int = 1) -> WireEnd:
        """The far end of a UART."""
        end = WireEnd(self.board.uarts[number])
        self.board.uarts[number].wire = end
        return end

    def pulses(self, gpio: int, times_us: list[int]) -> None:
        """Pulses at these times of the timeline."""
        self.board.pins.pulses[gpio] = Pulses(times_us)

    def adc(self, gpio: int, microvolts: int) -> None:
        self.board.pins.adc[gpio] = lambda: microvolts

    def serve_tcp(self, name: str, port: int, session: Callable[[TcpPeer], object]) -> None:
        """Put a server on the network; `session(peer)` makes the server's side of each connection, or None to refuse."""
        self.network.tcp[self.network.address(name), port] = session

    def serve_udp(self, name: str, port: int, answer: Callable[[bytes], bytes | None]) -> None:
        self.network.udp[self.network.address(name), port] = answer


@dataclass
class Pulses:
    times_us: list[int]

    def pulse_times(self, from_us: int, to_us: int) -> list[int]:
        return [at for at in self.times_us if from_us < at <= to_us]


class WireEnd:
    """Records what a UART sends, and sends to it."""

    def __init__(self, uart: SimUart):
        self._uart = uart
        self.heard: list[tuple[int, int, bytes]] = []  # (start, microseconds a character, bytes)

    def transmit(self, uart: SimUart, start_us: int, char_us: int, data: bytes) -> None:
        self.heard.append((start_us, char_us, data))

    @property
    def data(self) -> bytes:
        return b"".join(data for _, _, data in self.heard)

    def send(self, data: bytes, start_us: int | None = None, char_us: int | None = None) -> None:
        """Begin to send at a time of the timeline (now), at the UART's own pace unless told otherwise."""
        start = self._uart.timeline.now_us if start_us is None else start_us
        self._uart.receive(start, char_us or self._uart.char_us, data)


@dataclass
class Server:
    """A scripted TCP server: keeps what it gets and calls `on_data(peer, bytes)`."""

    on_data: Callable[[TcpPeer, bytes], object] = lambda peer, data: None
    on_open: Callable[[TcpPeer], object] = lambda peer: None
    got: bytearray = field(default_factory=bytearray)
    peers: list[TcpPeer] = field(default_factory=list)
    closed: int = 0

    def __call__(self, peer: TcpPeer) -> _ServerSession:
        self.peers.append(peer)
        self.on_open(peer)
        return _ServerSession(self, peer)


class _ServerSession:
    def __init__(self, server: Server, peer: TcpPeer):
        self._server, self._peer = server, peer

    def received(self, data: bytes) -> None:
        self._server.got += data
        self._server.on_data(self._peer, data)

    def closed(self, clean: bool) -> None:
        self._server.closed += 1


def echo(peer: TcpPeer, data: bytes) -> None:
    peer.reply(data)
