"""The virtual board: a MicroPython VM, the peripherals that answer its calls, and the resets that befall both."""

from __future__ import annotations

import errno
import fcntl
import json
import random
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass, field

from ..net import Network
from ..timeline import Event, RealClock, Timeline, VirtualClock
from ..vm.modules import ops
from ..vm.process import VmEnded, VmSilent
from .flash import BLOCK, PAGE, NorFlash
from .nvs import Nvs
from .pins import Pins
from .radio import Radio
from .sockets import POLLHUP, POLLIN, POLLOUT, Sockets
from .uart import SimUart
from .vm_console import TalkingVm

POWER_ON, HARD, WATCHDOG, DEEP_SLEEP, SOFT = 1, 2, 3, 4, 5
_UNIX_2000 = 946_684_800
_CONSOLE_BUFFER = 260  # the port's ring buffer for stdin
_START_US = 300_000  # bootloader, until MicroPython runs
_SCAN_US = 2_000_000  # all channels, one after the other
_NO_COUNTER, _COUNTER_UNITS = 0, 8

Answer = tuple[int, bytes]


class SimError(Exception):
    """The simulation cannot go on; the text says why."""


class PowerLost(Exception):
    """Raised inside a call when the board loses its VM in the middle of it."""


@dataclass
class Traits:
    """What kind of board it is (from its board file)."""

    costs: dict[str, int]
    has_counter: bool = True
    tick_us: int = 10_000
    uarts: int = 3
    partitions: list[tuple[int, int, int, int, str]] = field(default_factory=list)  # type, subtype, offset, size, label
    flash_bytes: int = 4 << 20
    unique_id: bytes = b"\x24\x0a\xc4\x00\x00\x01"
    console_baud: int = 115200


@dataclass
class Wait:
    """The VM waits: for an answer that `ready` gives, at the latest until `deadline_us`, when `late` is the answer."""

    deadline_us: int | None
    ready: Callable[[], Answer | None] | None = None
    late: Answer | None = (0, b"")  # None: the VM has not asked yet, it is the bootloader that runs
    interruptible: bool = False
    ticked: bool = False  # ends on a scheduler tick only
    wake_us: int | None = None
    uarts: tuple[SimUart, ...] = ()  # whose bytes end it, too: they arrive without an event of their own


class SimBoard:
    """One board on a timeline. `run_until` lets it live; resets and power cuts start a new VM on the same flash."""

    def __init__(
        self,
        timeline: Timeline,
        clock: VirtualClock | RealClock,
        traits: Traits,
        flash: NorFlash,
        network: Network,
        radio: Radio,
        command: list[str],
        frozen: str,
        heap_bytes: int,
        seed: int = 1,
    ):
        self.timeline, self.clock, self.traits, self.flash = timeline, clock, traits, flash
        self.network, self.radio = network, radio
        network.reachable = radio.up
        self.nvs = Nvs()
        self.pins = Pins(timeline)
        self.uarts = [SimUart(n, timeline) for n in range(traits.uarts)]
        self.sockets = Sockets(timeline, network)
        self.rtc_memory = b""
        self.rtc_offset_us = 0  # RTC minus timeline
        self.resets: list[tuple[int, str]] = []  # (when, why)
        self.calls = 0
        self.on_print: list[Callable[[bytes], None]] = []
        self.idle = False
        self.silence_s = 20.0  # real seconds without a call after which the firmware counts as hanging
        self.age_us = 0  # how long the chip claims to have been up at its start: to try the wrap of the ticks
        self._command, self._frozen, self._heap_bytes = command, frozen, heap_bytes
        self._seeds = random.Random(seed)
        self._vm: TalkingVm | None = None
        self._wait: Wait | None = None
        self._boot_us = 0
        self._until_us = 0  # end of the current run: what comes then from outside, nobody knows yet
        self._console_in = bytearray()
        self._console_fed = False  # the VM may have bytes unread
        self._watchdog: tuple[int, int] | None = None  # (timeout, last fed)
        self._watching: Event | None = None
        self._waking: Event | None = None  # end of deep sleep
        self._handlers = self._table()

    # --- power and resets

    def power_on(self) -> None:
        self.rtc_offset_us = -self.timeline.now_us
        self.rtc_memory = b""
        self._start(POWER_ON, "power on")

    def power_off(self) -> None:
        """The supply is cut: whatever ran is gone, flash and committed NVS stay."""
        self._stop()

    @property
    def powered(self) -> bool:
        return self._vm is not None

    def reset(self, cause: int, why: str) -> None:
        self._stop(soft=cause == SOFT)
        self._start(cause, why)

    def _start(self, cause: int, why: str) -> None:
        self.resets.append((self.timeline.now_us, why))
        self._cause = cause
        self._boot_us = self.timeline.now_us + _START_US - self.age_us
        self._vm = TalkingVm(self._command, self._heap_bytes, self.silence_s)
        self._wait = Wait(self._boot_us + self.age_us, late=None)
        self.idle = False

    def _stop(self, soft: bool = False) -> None:
        """A soft reset closes the sockets and leaves the watchdog and the Wi-Fi driver running, as the port's main.c does."""
        if self._vm:
            self._drain_console()
            self._vm.kill()
        self._vm = self._wait = None
        if self._waking:
            self._waking.cancel()
        self._console_in.clear()
        self._console_fed = False
        self.nvs.reset()
        self.pins.reset()
        self.sockets.reset(close=soft)
        if not soft:
            self._watchdog = None
            self.radio.reset()

    # --- the run of time

    def run_until(self, until_us: int) -> None:
        """Let time pass until then. A VM that computes past it is caught at its next wait."""
        self._until_us = until_us
        while True:
            if self._vm and self._wait is None:
                self._serve_call(self._vm)
            elif not self._rest(until_us):
                return

    def _serve_call(self, vm: TalkingVm) -> None:
        try:
            call = vm.next_call()
        except VmSilent as error:
            if not self._watchdog:
                self._drain_console()
                raise SimError(f"{error}; the firmware hangs and no watchdog is on") from None
            self.timeline.run_to(max(self.timeline.now_us, sum(self._watchdog)))  # its event does the rest
            return
        except VmEnded as error:
            self._drain_console()
            raise SimError(f"{error}; see what it printed on the console") from None
        self.calls += 1
        self.timeline.run_to(max(self._boot_us + call.now_us, self.timeline.now_us))
        if self._vm is not vm:
            return  # reset or powered off meanwhile
        try:
            outcome = self._handlers[call.op](call.arg, call.data)
        except PowerLost:
            return
        if call.posted or self._vm is not vm:
            return
        if type(outcome) is Wait:
            self._begin_wait(outcome)
        elif type(outcome) is int:
            self._answer(outcome)
        else:
            self._answer(*outcome)

    def _begin_wait(self, wait: Wait) -> None:
        if wait.ticked and wait.deadline_us is not None:
            wait.deadline_us = self._tick_after(wait.deadline_us)
        if wait.deadline_us is None or wait.deadline_us - self.timeline.now_us >= self.traits.tick_us:
            self._drain_console()
        self._wait = wait
        self._consider()

    def _tick_after(self, at_us: int) -> int:
        tick = self.traits.tick_us
        return self._boot_us - (self._boot_us - at_us) // tick * tick

    def _consider(self) -> None:
        """See whether what the VM waits for has come."""
        wait = self._wait
        if wait is None:
            return
        now = self.timeline.now_us
        if wait.interruptible and self.pins.due and wait.late:
            self._answer(*wait.late)
        elif wait.wake_us is not None and now < wait.wake_us:
            return
        elif wait.ready and (answer := wait.ready()) is not None:
            if (
                wait.ticked
                and wait.wake_us is None
                and now % self.traits.tick_us != self._boot_us % self.traits.tick_us
            ):
                wait.wake_us = self._tick_after(now)
            else:
                self._answer(*answer)
        elif wait.deadline_us is not None and now >= wait.deadline_us:
            if wait.late:
                self._answer(*wait.late)
            else:
                self._wait = None

    def _rest(self, until_us: int) -> bool:
        """The VM waits (or is off): move on to whatever happens next. False when that is after `until_us`."""
        wait = self._wait
        target = self.timeline.next_us()
        if wait:
            arrivals = () if wait.wake_us else (uart.next_byte_us() for uart in wait.uarts)
            for due in (wait.deadline_us, wait.wake_us, *arrivals):
                if due is not None and (target is None or due < target):
                    target = due
        if target is None or target > until_us:
            if self.clock.wait_until(until_us):
                self._consider()
                return True
            self.timeline.run_to(until_us)
            return False
        if self.clock.wait_until(target):
            self._consider()
            return True
        if self.timeline.next_us() == target:
            self.timeline.run_next()
        else:
            self.timeline.run_to(target)
        self._consider()
        return True

    def _answer(self, result: int, data: bytes = b"") -> None:
        assert self._vm
        now = self.timeline.now_us
        self._wait = None
        if self.clock.name == "real":
            quiet = 0
            behind = self.clock.now_us() - now
            if behind > 0:
                self.timeline.run_to(now + behind)
                if self._vm is None:
                    return
                now = self.timeline.now_us
        else:
            upcoming = self.timeline.next_us()
            until = self._until_us if upcoming is None else min(upcoming, self._until_us)
            quiet = max(0, until - now - 1)
        try:
            self._vm.answer(now - self._boot_us, result, data, quiet, len(self.pins.due))
        except VmEnded as error:
            raise SimError(f"{error}; see what it printed on the console") from None

    def _spend(self, cost: str, times: int = 1) -> None:
        """The board is busy with something that costs time."""
        vm = self._vm
        self.timeline.run_to(self.timeline.now_us + self.traits.costs[cost] * times)
        if self._vm is not vm:
            raise PowerLost

    # --- the console

    def send_console(self, data: bytes) -> None:
        """Type on the serial console."""
        char_us = 10_000_000 // self.traits.console_baud

        def arrive() -> None:
            if not self._vm:
                return
            self._console_in.extend(data[: _CONSOLE_BUFFER * 8 - len(self._console_in)])

        self.timeline.after(len(data) * char_us, arrive)

    def _drain_console(self) -> None:
        assert self._vm
        printed = self._vm.printed()
        if printed:
            for listener in self.on_print:
                listener(printed)

    def _console_unread(self) -> int:
        if not self._console_fed and not self._console_in:
            return 0
        assert self._vm
        count = struct.unpack("i", fcntl.ioctl(self._vm.console_end, termios.FIONREAD, b"\0\0\0\0"))[0]
        if self._console_in and count < _CONSOLE_BUFFER:
            part = bytes(self._console_in[: _CONSOLE_BUFFER - count])
            del self._console_in[: len(part)]
            self._vm.console.send(part)
            count += len(part)
        self._console_fed = count > 0
        return count

    # --- what the VM may ask

    def _table(self) -> list[Callable]:
        table: list[Callable] = [self._unknown] * 100
        for name, handler in (
            (ops.HELLO, self._hello),
            (ops.WAIT, self._sleep),
            (ops.POLL, self._poll),
            (ops.IRQ_TAKE, lambda arg, data: (0, self.pins.take_due())),
            (ops.IRQ_DONE, lambda arg, data: self.pins.handled()),
            (ops.RESET, self._reset),
            (ops.IDLE, self._ended),
            (ops.PIN_MODE, lambda arg, data: self.pins.mode(arg, data[0], data[1])),
            (ops.PIN_SET, lambda arg, data: self.pins.set(arg >> 1, arg & 1)),
            (ops.PIN_GET, lambda arg, data: self.pins.level(arg)),
            (ops.PIN_IRQ, lambda arg, data: self.pins.interrupt_on(arg >> 2, arg & 3) or 0),
            (ops.ADC_READ, self._adc_read),
            (ops.COUNTER_ON, self._counter_on),
            (ops.COUNTER_VALUE, self._counter_value),
            (ops.UART_INIT, self._uart_init),
            (ops.UART_WRITE, lambda arg, data: self.uarts[arg].write(data)),
            (ops.UART_ANY, lambda arg, data: self.uarts[arg].any()),
            (ops.UART_READ, self._uart_read),
            (ops.RTC_SET, self._rtc_set),
            (ops.RTC_MEMORY, self._rtc_memory),
            (ops.WDT_START, self._watchdog_start),
            (ops.WDT_FEED, self._watchdog_feed),
            (ops.NVS_GET, self._nvs_get),
            (ops.NVS_SET, self._nvs_set),
            (ops.NVS_ERASE, lambda arg, data: 0 if self.nvs.erase(data) else -1),
            (ops.NVS_COMMIT, self._nvs_commit),
            (ops.PARTITIONS, lambda arg, data: (0, json.dumps(self.traits.partitions).encode())),
            (ops.FLASH_READ, self._flash_read),
            (ops.FLASH_PROGRAM, self._flash_program),
            (ops.FLASH_ERASE, self._flash_erase),
            (ops.NET_ACTIVE, self._net_active),
            (ops.NET_CONNECT, self._net_connect),
            (ops.NET_DISCONNECT, lambda arg, data: self.radio.disconnect() or 0),
            (ops.NET_STATUS, lambda arg, data: self.radio.status[arg]),
            (ops.NET_SCAN, self._net_scan),
            (ops.NET_RSSI, lambda arg, data: self.radio.rssi),
            (ops.NET_RECONNECTS, self._net_reconnects),
            (ops.SOCK_OPEN, lambda arg, data: self.sockets.create(arg == 1)),
            (ops.SOCK_CONNECT, self._socket_connect),
            (ops.SOCK_SEND, self._socket_send),
            (ops.SOCK_RECV, self._socket_receive),
            (ops.SOCK_CLOSE, lambda arg, data: self.sockets.close(arg) or 0),
            (ops.SOCK_SENDTO, self._socket_sendto),
            (ops.DNS, self._dns),
        ):
            table[name] = handler
        return table

    def _unknown(self, arg: int, data: bytes) -> int:
        raise SimError("the VM asked for an operation that this host does not know: do both come from one version?")

    def _hello(self, arg: int, data: bytes) -> Answer:
        birth = {
            "costs": self.traits.costs | {"scheduler_tick_us": self.traits.tick_us},
            "seed": self._seeds.getrandbits(30),
            "rtc_offset_us": self.rtc_offset_us + self._boot_us,
            "reset_cause": self._cause,
            "unique_id": list(self.traits.unique_id),
            "has_counter": self.traits.has_counter,
            "frozen": self._frozen,
        }
        return 0, json.dumps(birth).encode()

    def _sleep(self, arg: int, data: bytes) -> Wait:
        return Wait(self.timeline.now_us + arg, interruptible=True)

    def _poll(self, arg: int, data: bytes) -> Wait | Answer:
        if not data:
            return Wait(None if arg == ops.FOREVER else self.timeline.now_us + arg, interruptible=True, ticked=True)
        pairs = list(struct.iter_unpack("<HH", data))

        def ready() -> Answer | None:
            found = b"".join(
                struct.pack("<HH", handle, events & (wanted | POLLHUP | 8))
                for handle, wanted in pairs
                if (events := self._events(handle)) & (wanted | POLLHUP | 8)
            )
            return (0, found) if found else None

        answer = ready()
        if answer or arg == 0:
            return answer or (0, b"")
        deadline = None if arg == ops.FOREVER else self.timeline.now_us + arg
        uarts = tuple(
            self.uarts[handle - 1] for handle, wanted in pairs if 0 < handle < Sockets.FIRST and wanted & POLLIN
        )
        return Wait(deadline, ready, interruptible=True, ticked=True, uarts=uarts)

    def _events(self, handle: int) -> int:
        if handle == 0:
            return POLLIN if self._console_unread() else 0
        if handle < Sockets.FIRST:
            return POLLOUT | (POLLIN if self.uarts[handle - 1].any() else 0)
        socket = self.sockets.open.get(handle)
        return socket.events() if socket else POLLHUP

    def _reset(self, arg: int, data: bytes) -> None:
        if arg == 2:
            self._stop()
            if data:  # without a time nothing but the power switch wakes it
                sleep_us = struct.unpack("<Q", data)[0]
                self._waking = self.timeline.after(sleep_us, lambda: self._start(DEEP_SLEEP, "end of deep sleep"))
        else:
            self.reset(SOFT if arg else HARD, "soft reset" if arg else "reset by the firmware")

    def _ended(self, arg: int, data: bytes) -> Wait:
        self.idle = True
        return Wait(None)

    def _adc_read(self, arg: int, data: bytes) -> Answer:
        source = self.pins.adc.get(arg)
        now = self.timeline.now_us
        hold_us = max(0, min(self.pins.adc_holds_us(now), self._until_us - now))
        return (source() if source else 0), struct.pack("<I", hold_us)

    def _counter_on(self, arg: int, data: bytes) -> int:
        if not self.traits.has_counter or data[1] >= _COUNTER_UNITS:
            return -errno.EINVAL
        self.pins.counter_on(data[1], arg, data[0])
        return 0

    def _counter_value(self, arg: int, data: bytes) -> Answer:
        new = struct.unpack("<q", data)[0] if data else None
        return 0, struct.pack("<q", self.pins.counter(arg, new))

    def _uart_init(self, arg: int, data: bytes) -> int:
        if arg >= len(self.uarts):
            return -errno.EINVAL
        self.uarts[arg].init(*struct.unpack("<IBBBhhH", data))
        return 0

    def _uart_read(self, arg: int, data: bytes) -> Answer:
        uart = self.uarts[arg >> 16]
        got = uart.read(arg & 0xFFFF)
        return int(uart.next_byte_us() is not None or uart.any() > 0), got

    def _rtc_set(self, arg: int, data: bytes) -> int:
        self.rtc_offset_us = struct.unpack("<q", data)[0] - self.timeline.now_us
        return 0

    def _rtc_memory(self, arg: int, data: bytes) -> Answer:
        if arg:
            self.rtc_memory = data
        return 0, self.rtc_memory

    def _watchdog_start(self, arg: int, data: bytes) -> int:
        self._watchdog = (arg * 1000, self.timeline.now_us)
        if self._watching:
            self._watching.cancel()
        self._watch()
        return 0

    def _watch(self) -> None:
        if not self._watchdog:
            return
        timeout_us, fed_us = self._watchdog
        if self.timeline.now_us >= fed_us + timeout_us:
            self.reset(WATCHDOG, "watchdog")
        else:
            self._watching = self.timeline.at(fed_us + timeout_us, self._watch)

    def _watchdog_feed(self, arg: int, data: bytes) -> None:
        if self._watchdog:
            self._watchdog = (self._watchdog[0], self.timeline.now_us)

    def _nvs_get(self, arg: int, data: bytes) -> Answer:
        value = self.nvs.get(arg, data)
        return (-1, b"") if value is None else (0, value)

    def _nvs_set(self, arg: int, data: bytes) -> int:
        namespace, key, value = data.split(b"\0", 2)
        self.nvs.set(arg, namespace + b"\0" + key, value)
        return 0

    def _nvs_commit(self, arg: int, data: bytes) -> int:
        self._spend("flash_program_us", 2)
        self.nvs.commit()
        return 0

    def _flash_read(self, arg: int, data: bytes) -> Answer:
        length = struct.unpack("<I", data)[0]
        content = self.flash.read(arg, length)
        self._spend("flash_read_us", max(1, length // BLOCK)) if length >= BLOCK else None
        return 0, content

    def _flash_program(self, arg: int, data: bytes) -> int:
        self.flash.program(arg, data)
        self._spend("flash_program_us", (len(data) + PAGE - 1) // PAGE)
        return 0

    def _flash_erase(self, arg: int, data: bytes) -> int:
        for block in range(struct.unpack("<I", data)[0]):
            self.flash.erase(arg + block * BLOCK)
            self._spend("flash_erase_us")
        return 0

    def _net_active(self, arg: int, data: bytes) -> int:
        interface, order = arg >> 2, arg & 3
        if order != 2:
            self.radio.activate(interface, bool(order))
        return int(self.radio.active[interface])

    def _net_connect(self, arg: int, data: bytes) -> int:
        ssid, password = data.split(b"\0", 1)
        return self.radio.connect(ssid.decode(), password.decode())

    def _net_reconnects(self, arg: int, data: bytes) -> int:
        self.radio.reconnects = arg - 1
        return 0

    def _net_scan(self, arg: int, data: bytes) -> Wait:
        found = [[ssid, self.radio.rssi] for ssid in sorted(self.radio.access_points)] if self.radio.air else []
        return Wait(self.timeline.now_us + _SCAN_US, late=(0, json.dumps(found).encode()))

    def _socket_connect(self, arg: int, data: bytes) -> Wait | int:
        timeout_us, port = struct.unpack_from("<IH", data)
        socket = self.sockets.open.get(arg)
        if socket is None:
            return -errno.EBADF
        result = self.sockets.connect(socket, data[6:10], port)
        if result < 0 or not socket.stream:
            return result
        if timeout_us == 0:
            return -errno.EINPROGRESS

        def ready() -> Answer | None:
            if socket.opened:
                return 0, b""
            return (-(socket.error or errno.ECONNABORTED), b"") if socket.ended else None

        return self._blocking(timeout_us, ready)

    def _blocking(self, timeout_us: int, ready: Callable[[], Answer | None]) -> Wait:
        deadline = None if timeout_us == ops.FOREVER else self.timeline.now_us + timeout_us
        return Wait(deadline, ready, late=(-errno.ETIMEDOUT, b""))

    def _socket_send(self, arg: int, data: bytes) -> Wait | int:
        socket = self.sockets.open.get(arg)
        if socket is None:
            return -errno.EBADF
        timeout_us = struct.unpack_from("<I", data)[0]
        content = data[4:]
        sent = self.sockets.send(socket, content)
        if sent != -errno.EAGAIN or timeout_us == 0:
            return sent

        def ready() -> Answer | None:
            count = self.sockets.send(socket, content)
            return None if count == -errno.EAGAIN else (count, b"")

        return self._blocking(timeout_us, ready)

    def _socket_receive(self, arg: int, data: bytes) -> Wait | Answer | int:
        socket = self.sockets.open.get(arg >> 16)
        if socket is None:
            return -errno.EBADF
        if socket.stream and socket.peer is None:
            return -errno.ENOTCONN
        limit = arg & 0xFFFF
        timeout_us = struct.unpack("<I", data)[0]

        def ready() -> Answer | None:
            got = self.sockets.receive(socket, limit)
            if got == b"" and socket.error:
                return -socket.error, b""
            return None if got is None else (len(got), got)

        answer = ready()
        if answer is not None:
            return answer
        return -errno.EAGAIN if timeout_us == 0 else self._blocking(timeout_us, ready)

    def _socket_sendto(self, arg: int, data: bytes) -> int:
        port = struct.unpack_from("<H", data)[0]
        socket = self.sockets.open.get(arg)
        if socket is None:
            return -errno.EBADF
        self.network.send_datagram(socket, data[2:6], port, data[6:])
        return len(data) - 6

    def _dns(self, arg: int, data: bytes) -> Answer | Wait:
        address = self.network.resolve(data.decode())
        if address is None:
            return Wait(self.timeline.now_us + 1_000_000, late=(-1, b""))
        return Wait(self.timeline.now_us + 2 * self.network.latency_us, late=(0, address))
