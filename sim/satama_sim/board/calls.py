"""What the VM may ask of its board: every operation of vm/modules/ops.py but the sockets', one handler each.

A handler takes the call's argument and data; it answers with a number, a number and bytes, or a Wait.
"""

from __future__ import annotations

import errno
import json
import struct
from collections.abc import Callable

from ..vm.modules import ops
from ..vm.process import MODULES
from .flash import BLOCK, PAGE
from .host import Host
from .socket_calls import SocketCalls
from .sockets import POLLHUP, POLLIN, POLLOUT, Sockets
from .wait import Answer, SimError, Wait

_MAY_END_A_COMMAND = b"\x01\x02\x03\x04\x05\r"
_SCAN_US = 2_000_000  # all channels, one after the other

Handler = Callable[[int, bytes], "int | Answer | Wait | None"]


class Calls:
    """The handlers of one board."""

    def __init__(self, board: Host):
        self.board = board

    def table(self) -> list[Handler]:
        """Handlers by number of the operation."""
        table: list[Handler] = [self._unknown] * 100
        for name, handler in (
            (ops.HELLO, self._hello),
            (ops.WAIT, self._sleep),
            (ops.POLL, self._poll),
            (ops.IRQ_TAKE, lambda arg, data: (0, self.board.pins.take_due())),
            (ops.IRQ_DONE, lambda arg, data: self.board.pins.handled()),
            (ops.RESET, self._reset),
            (ops.IDLE, self._ended),
            (ops.CONSOLE_READ, self._console_read),
            (ops.KBD_INTR, lambda arg, data: self.board.console.let_interrupt(arg) or 0),
            (ops.NO_MEMORY, self._no_memory),
            (ops.PIN_MODE, lambda arg, data: self.board.pins.mode(arg, data[0], data[1])),
            (ops.PIN_SET, lambda arg, data: self.board.pins.set(arg >> 1, arg & 1)),
            (ops.PIN_GET, lambda arg, data: self.board.pins.level(arg)),
            (ops.PIN_IRQ, lambda arg, data: self.board.pins.interrupt_on(arg >> 2, arg & 3) or 0),
            (ops.ADC_READ, self._adc_read),
            (ops.COUNTER_ON, self._counter_on),
            (ops.COUNTER_VALUE, self._counter_value),
            (ops.UART_INIT, self._uart_init),
            (ops.UART_WRITE, lambda arg, data: self.board.uarts[arg].write(data)),
            (ops.UART_ANY, lambda arg, data: self.board.uarts[arg].any()),
            (ops.UART_READ, self._uart_read),
            (ops.RTC_SET, self._rtc_set),
            (ops.RTC_MEMORY, self._rtc_memory),
            (ops.WDT_START, self._watchdog_start),
            (ops.WDT_FEED, self._watchdog_feed),
            (ops.NVS_GET, self._nvs_get),
            (ops.NVS_SET, self._nvs_set),
            (ops.NVS_ERASE, lambda arg, data: 0 if self.board.nvs.erase(data) else -1),
            (ops.NVS_COMMIT, self._nvs_commit),
            (ops.PARTITIONS, lambda arg, data: (0, json.dumps(self.board.traits.partitions).encode())),
            (ops.FLASH_PROGRAM, self._flash_program),
            (ops.FLASH_ERASE, self._flash_erase),
            (ops.NET_ACTIVE, self._net_active),
            (ops.NET_CONNECT, self._net_connect),
            (ops.NET_DISCONNECT, lambda arg, data: self.board.radio.disconnect() or 0),
            (ops.NET_STATUS, lambda arg, data: self.board.radio.status[arg]),
            (ops.NET_SCAN, self._net_scan),
            (ops.NET_RSSI, lambda arg, data: self.board.radio.rssi),
            (ops.NET_RECONNECTS, self._net_reconnects),
            *SocketCalls(self.board.timeline, self.board.network, self.board.sockets).rows(),
        ):
            table[name] = handler
        return table

    def _unknown(self, arg: int, data: bytes) -> int:
        raise SimError("the VM asked for an operation that this host does not know: do both come from one version?")

    def _no_memory(self, arg: int, data: bytes) -> int:
        raise SimError(
            f"the VM's heap of {self.board.heap_bytes >> 10} KiB is full to the last bytes -> give it more (heap_bytes), "
            "or let the firmware need less"
        )

    def _hello(self, arg: int, data: bytes) -> Answer:
        birth = {
            "costs": self.board.traits.costs | {"scheduler_tick_us": self.board.traits.tick_us},
            "seed": self.board.seeds.getrandbits(30),
            "rtc_offset_us": self.board.rtc_offset_us + self.board.boot_us,
            "reset_cause": self.board.cause,
            "unique_id": list(self.board.traits.unique_id),
            "has_counter": self.board.traits.has_counter,
            "frozen": self.board.frozen,
            "machine": self.board.traits.machine,
            "raw_repl": self.board.console.raw,
        }
        return 0, json.dumps(birth).encode()

    def _sleep(self, arg: int, data: bytes) -> Wait:
        return Wait(self.board.timeline.now_us + arg, interruptible=True)

    def _poll(self, arg: int, data: bytes) -> Wait | Answer:
        if not data:
            return Wait(
                None if arg == ops.FOREVER else self.board.timeline.now_us + arg, interruptible=True, ticked=True
            )
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
        deadline = None if arg == ops.FOREVER else self.board.timeline.now_us + arg
        uarts = tuple(
            self.board.uarts[handle - 1] for handle, wanted in pairs if 0 < handle < Sockets.FIRST and wanted & POLLIN
        )
        return Wait(deadline, ready, interruptible=True, ticked=True, uarts=uarts)

    def _events(self, handle: int) -> int:
        if handle == 0:
            return POLLIN if self.board.console.hand_over() else 0
        if handle < Sockets.FIRST:
            return POLLOUT | (POLLIN if self.board.uarts[handle - 1].any() else 0)
        socket = self.board.sockets.open.get(handle)
        return socket.events() if socket else POLLHUP

    def _reset(self, arg: int, data: bytes) -> None:
        if arg == 2:
            self.board.stop()
            if data:  # without a time nothing but the power switch wakes it
                sleep_us = struct.unpack("<Q", data)[0]
                self.board.waking = self.board.timeline.after(
                    sleep_us, lambda: self.board.boot(ops.DEEP_SLEEP, "end of deep sleep")
                )
        else:
            self.board.reset(ops.SOFT if arg else ops.HARD, "soft reset" if arg else "reset by the firmware")

    def _ended(self, arg: int, data: bytes) -> Answer:
        self.board.idle = True
        return 0, (MODULES / "board_repl.py").read_bytes()

    def _console_read(self, arg: int, data: bytes) -> Wait | Answer:
        self.board.console.raw = bool(arg)

        def ready() -> Answer | None:
            typed = self.board.console.read(_MAY_END_A_COMMAND)
            return (0, typed) if typed else None

        return ready() or Wait(None, ready)

    def _adc_read(self, arg: int, data: bytes) -> Answer:
        source = self.board.pins.adc.get(arg)
        now = self.board.timeline.now_us
        hold_us = max(0, min(self.board.pins.adc_holds_us(now), self.board.until_us - now))
        return (source() if source else 0), struct.pack("<I", hold_us)

    def _counter_on(self, arg: int, data: bytes) -> int:
        if not self.board.traits.has_counter or data[1] >= self.board.traits.counters:
            return -errno.EINVAL
        self.board.pins.counter_on(data[1], arg, data[0])
        return 0

    def _counter_value(self, arg: int, data: bytes) -> Answer:
        new = struct.unpack("<q", data)[0] if data else None
        return 0, struct.pack("<q", self.board.pins.counter(arg, new))

    def _uart_init(self, arg: int, data: bytes) -> int:
        if arg >= len(self.board.uarts):
            return -errno.EINVAL
        self.board.uarts[arg].init(*struct.unpack("<IBBBhhH", data))
        return 0

    def _uart_read(self, arg: int, data: bytes) -> Answer:
        uart = self.board.uarts[arg >> 16]
        got = uart.read(arg & 0xFFFF)
        return int(uart.next_byte_us() is not None or uart.any() > 0), got

    def _rtc_set(self, arg: int, data: bytes) -> int:
        self.board.rtc_offset_us = struct.unpack("<q", data)[0] - self.board.timeline.now_us
        return 0

    def _rtc_memory(self, arg: int, data: bytes) -> Answer:
        if arg:
            self.board.rtc_memory = data
        return 0, self.board.rtc_memory

    def _watchdog_start(self, arg: int, data: bytes) -> int:
        self.board.start_watchdog(arg * 1000)
        return 0

    def _watchdog_feed(self, arg: int, data: bytes) -> None:
        if self.board.watchdog:
            self.board.watchdog = (self.board.watchdog[0], self.board.timeline.now_us)

    def _nvs_get(self, arg: int, data: bytes) -> Answer:
        value = self.board.nvs.get(arg, data)
        return (-1, b"") if value is None else (0, value)

    def _nvs_set(self, arg: int, data: bytes) -> int:
        namespace, key, value = data.split(b"\0", 2)
        return 0 if self.board.nvs.set(arg, namespace + b"\0" + key, value) else -1

    def _nvs_commit(self, arg: int, data: bytes) -> int:
        self._busy_flash("flash_program_us", 2)
        self.board.nvs.commit()
        return 0

    def _flash_program(self, arg: int, data: bytes) -> int:
        flash = self.board.flash
        if flash.refuses and arg in flash.failing:
            return -errno.EIO
        flash.program(arg, data)
        self._busy_flash("flash_program_us", (len(data) + PAGE - 1) // PAGE)
        return 0

    def _flash_erase(self, arg: int, data: bytes) -> int:
        flash = self.board.flash
        for block in range(struct.unpack("<I", data)[0]):
            if flash.refuses and arg in flash.failing:
                return -errno.EIO
            flash.erase(arg + block * BLOCK)
            self._busy_flash("flash_erase_us")
        return 0

    def _busy_flash(self, cost: str, times: int = 1) -> None:
        """The chip runs without its cache meanwhile, and serves no interrupt of a pin."""
        self.board.pins.hold()
        self.board.spend(cost, times)
        self.board.pins.release()

    def _net_active(self, arg: int, data: bytes) -> int:
        interface, order = arg >> 2, arg & 3
        if order != 2:
            self.board.radio.activate(interface, bool(order))
        return int(self.board.radio.active[interface])

    def _net_connect(self, arg: int, data: bytes) -> int:
        ssid, password = data.split(b"\0", 1)
        return self.board.radio.connect(ssid.decode(), password.decode())

    def _net_reconnects(self, arg: int, data: bytes) -> int:
        self.board.radio.reconnects = arg - 1
        return 0

    def _net_scan(self, arg: int, data: bytes) -> Wait:
        found = (
            [[ssid, self.board.radio.rssi] for ssid in sorted(self.board.radio.access_points)]
            if self.board.radio.air
            else []
        )
        return Wait(self.board.timeline.now_us + _SCAN_US, late=(0, json.dumps(found).encode()))
