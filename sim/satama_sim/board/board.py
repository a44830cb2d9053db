"""The virtual board: a MicroPython VM, the peripherals that answer its calls, and the resets that befall both."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from ..network.net import Network
from ..timeline import Event, RealClock, Timeline, VirtualClock
from ..vm.modules.ops import POWER_ON, SOFT, WATCHDOG
from ..vm.process import VmEnded, VmProcess, VmSilent
from .calls import Calls
from .console import Console
from .flash import NorFlash
from .nvs import Nvs
from .pins import Pins
from .radio import Radio
from .sockets import Sockets
from .traits import Traits
from .uart import SimUart
from .wait import PowerLost, SimError, Wait

_START_US = 300_000  # bootloader, until MicroPython runs


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
        self.console = Console(timeline, traits.console_baud)
        self.on_print = self.console.on_print
        self.nvs = Nvs()
        self.pins = Pins(timeline)
        self.uarts = [SimUart(n, timeline) for n in range(traits.uarts)]
        self.sockets = Sockets(timeline, network)
        self.rtc_memory = b""
        self.rtc_offset_us = 0  # RTC minus timeline
        self.resets: list[tuple[int, str]] = []  # (when, why)
        self.calls = 0
        self.bootloader: Callable[[int, str], None] | None = None  # (cause, why): starts what it finds, or nothing
        self.idle = False
        self.silence_s = 20.0  # real seconds without a call after which the firmware counts as hanging
        self.age_us = 0  # how long the chip claims to have been up at its start: to try the wrap of the ticks
        self._command, self.frozen, self.heap_bytes = command, frozen, heap_bytes
        self.seeds = random.Random(seed)
        self._vm: VmProcess | None = None
        self._wait: Wait | None = None
        self.boot_us = 0
        self.until_us = 0  # end of the current run: what comes then from outside, nobody knows yet
        self.watchdog: tuple[int, int] | None = None  # (timeout, last fed)
        self._watching: Event | None = None
        self.waking: Event | None = None  # end of deep sleep
        self._handlers = Calls(self).table()

    # --- power and resets

    def power_on(self) -> None:
        self.forget_rtc()
        self.boot(POWER_ON, "power on")

    def forget_rtc(self) -> None:
        """The chip had no power, or its reset pin was pulled."""
        self.rtc_offset_us = -self.timeline.now_us
        self.rtc_memory = b""

    def power_off(self) -> None:
        """The supply is cut: whatever ran is gone, flash and committed NVS stay."""
        self.stop()

    @property
    def powered(self) -> bool:
        return self._vm is not None

    def reset(self, cause: int, why: str) -> None:
        self.stop(soft=cause == SOFT)
        self.boot(cause, why)

    def boot(self, cause: int, why: str) -> None:
        """Start, by way of the boot loader; a soft reset does without."""
        if self.bootloader and cause != SOFT:
            self.bootloader(cause, why)
        else:
            self.start(cause, why)

    def start(self, cause: int, why: str) -> None:
        self.resets.append((self.timeline.now_us, why))
        self.cause = cause
        self.boot_us = self.timeline.now_us + _START_US - self.age_us
        self.console.raw = self.console.raw and cause == SOFT
        silence_s = (
            math.inf if self.clock.name == "real" else self.silence_s
        )  # there the watchdog bites in its own time
        self._vm = VmProcess(self._command, self.heap_bytes, self.flash.share(), silence_s)
        self.console.attach(self._vm)
        self._wait = Wait(self.boot_us + self.age_us, late=None)
        self.idle = False

    def stop(self, soft: bool = False, heard: bool = True) -> None:
        """A soft reset closes the sockets and leaves the watchdog and the Wi-Fi driver running, as the port's main.c does.

        `heard`: what it has printed last is still seen.
        """
        if self._vm:
            if heard:
                self.console.drain()
            self._vm.kill()
        self._vm = self._wait = None
        if self.waking:
            self.waking.cancel()
        self.console.detach()
        self.nvs.reset()
        self.pins.reset()
        self.sockets.reset(close=soft)
        if not soft:
            self.watchdog = None
            self.radio.reset()

    def branch(self) -> None:
        """After a fork: this process's board loses its power; the VM and the chip that it had are the other process's."""
        assert self._vm
        self._vm.abandon()
        self._vm = None
        self.flash.part()
        self.stop()

    def start_watchdog(self, timeout_us: int) -> None:
        """From now on the firmware must feed it in time. A new time-out replaces the old one."""
        self.watchdog = (timeout_us, self.timeline.now_us)
        if self._watching:
            self._watching.cancel()
        self._watch()

    def _watch(self) -> None:
        if not self.watchdog:
            return
        timeout_us, fed_us = self.watchdog
        if self.timeline.now_us >= fed_us + timeout_us:
            self.reset(WATCHDOG, "watchdog")
        else:
            self._watching = self.timeline.at(fed_us + timeout_us, self._watch)

    # --- the run of time

    def run_until(self, until_us: int) -> None:
        """Let time pass until then. A VM that computes past it is caught at its next wait."""
        self.until_us = until_us
        while True:
            if self._vm and self._wait is None:
                self._serve_call(self._vm)
                if self.clock.name == "real" and self._wait is None and self.timeline.now_us >= until_us:
                    return  # it computes on, and is looked after in the next run
            elif not self._rest(until_us):
                return

    def _serve_call(self, vm: VmProcess) -> None:
        try:
            call = vm.next_call(self._meanwhile)
        except VmSilent as error:
            if not self.watchdog:
                self.timeline.run_to(self.until_us)
                if self._vm is not vm:
                    return
                interrupted, typed = self.console.interrupted, self.console.waiting
                if self._meanwhile() and (interrupted or self.console.waiting < typed):
                    return
                raise self._last_words(f"{error}; the firmware hangs and no watchdog is on") from None
            self.timeline.run_to(max(self.timeline.now_us, sum(self.watchdog)))  # its event does the rest
            return
        except VmEnded as error:
            raise self._last_words(error) from None
        if call is None:
            return
        self.calls += 1
        self.timeline.run_to(max(self.boot_us + call.now_us, self.timeline.now_us))
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

    def _last_words(self, why: object) -> SimError:
        """The end of the simulation, with what the firmware had to say."""
        self.console.drain()
        return SimError(f"{why}; the last that it printed: {self.console.last or 'nothing'}")

    def _meanwhile(self) -> bool:
        """The VM computes. False when it need not be waited for any more: it was reset, or the run is over."""
        vm = self._vm
        assert vm
        if self.clock.name == "real":
            self.console.drain()
            self.clock.wait_until(self.timeline.now_us)
            self.timeline.run_to(max(self.timeline.now_us, min(self.clock.now_us(), self.until_us)))
        if self._vm is not vm:
            return False
        if self.console.waiting:
            self.console.hand_over()  # it may wait for a key, in C
        if self.console.take_interrupt():
            vm.interrupt()
        return self.clock.name != "real" or self.timeline.now_us < self.until_us

    def _begin_wait(self, wait: Wait) -> None:
        if wait.ticked and wait.deadline_us is not None:
            wait.deadline_us = self._tick_after(wait.deadline_us)
        if wait.deadline_us is None or wait.deadline_us - self.timeline.now_us >= self.traits.tick_us:
            self.console.drain()
        self._wait = wait
        self._consider()

    def _tick_after(self, at_us: int) -> int:
        tick = self.traits.tick_us
        return self.boot_us - (self.boot_us - at_us) // tick * tick

    def _consider(self) -> None:
        """See whether what the VM waits for has come."""
        wait = self._wait
        if wait is None:
            return
        now = self.timeline.now_us
        if wait.late and (self.console.interrupted or (wait.interruptible and self.pins.due)):
            self._answer(*wait.late)
        elif wait.wake_us is not None and now < wait.wake_us:
            return
        elif wait.ready and (answer := wait.ready()) is not None:
            if wait.ticked and wait.wake_us is None and now % self.traits.tick_us != self.boot_us % self.traits.tick_us:
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
                vm = self._vm
                self.timeline.run_to(now + behind)
                if self._vm is not vm:
                    return
                now = self.timeline.now_us
        else:
            upcoming = self.timeline.next_us()
            until = self.until_us if upcoming is None else min(upcoming, self.until_us)
            quiet = max(0, until - now - 1)
        try:
            ctrl_c = self.console.take_interrupt()
            self._vm.answer(now - self.boot_us, result, data, quiet, len(self.pins.due), ctrl_c)
        except VmEnded as error:
            raise self._last_words(error) from None

    def spend(self, cost: str, times: int = 1) -> None:
        """The board is busy with something that costs time."""
        vm = self._vm
        self.timeline.run_to(self.timeline.now_us + self.traits.costs[cost] * times)
        if self._vm is not vm:
            raise PowerLost

    # --- the console

    def send_console(self, data: bytes) -> None:
        """Type on the serial console."""
        self.console.send(data)

    @property
    def interruptible(self) -> bool:
        """Whether Ctrl-C on the console stops what runs."""
        return self.console.interruptible
