"""Keeps the gateway well: one watchdog, fed from one place and only while every task makes progress; no task dies alone; a gateway
that keeps failing starts in safe mode; and after power on the flash is left alone until the supply has settled.
"""

import asyncio
import gc
import sys
import time

import esp32
import machine
import micropython
from micropython import const

from gateway.core import rtc_memory
from gateway.service import crash
from gateway.service.boots import LIVED_S, SIZE, Boots
from gateway.service.watch import Watch

CRASH_KEY = const(4)  # in the state ring
_TIMEOUT_MS = const(60000)
_START_MS = const(900000)
_FEED_MS = const(5000)
_SETTLED_MS = const(2000)  # ten brown-outs may fall into five seconds
_BEFORE_RESET_S = const(5)  # a crash loop turns slowly, and somebody at the console can read why
_SOON_S = const(2)
_WINDOW_MS = const(3000)  # so long after a reset Ctrl-C leads to the prompt
_REPEATS_MS = const(600000)  # running out of memory twice in so long is no accident
_PAUSE_MS = const(30000)
_PAUSE_MOST_MS = const(600000)


class Health:
    """To be made first of all: from then on the start counts. open() it when there are rooms.

    `others`: the starts before were those of an update that is undone now.
    """

    def __init__(self, others=False):
        self._began = time.ticks_ms()
        self.rtc = rtc_memory.Shared(machine.RTC().memory)
        self._boots_area = self.rtc.area(rtc_memory.BOOTS)
        self._crash_area = self.rtc.area(rtc_memory.CRASH)
        self._nvs = esp32.NVS("satama")
        self._cause = machine.reset_cause()
        self.boots = Boots(self._boots_area.memory(), self._kept(), self._cause == machine.PWRON_RESET)
        self._crash = crash.unpacked(self._crash_area.memory())
        if not self._crash:
            self._crash = self._unexplained()
        if others:
            self.boots.forgive()
        self._boots_area.memory(self.boots.record(0))
        self._watchdog = None
        self._settled = False
        self._lived = False
        self.watch = None
        self._state = None
        self._note = None
        self.prompt_until_ms = None  # of uptime: so long Ctrl-C leads to MicroPython's prompt
        self.shortages = 0  # how often memory ran out, and the task went on

    def _kept(self):
        kept = bytearray(SIZE)
        try:
            self._nvs.get_blob("boots", kept)
        except OSError:
            return b""
        return kept

    def _unexplained(self):
        """What is told of a start that ended without a word: it had not planned to, and the power was not cut."""
        boots = self.boots
        if boots.powered_on or boots.planned or boots.stopped or self._cause == machine.PWRON_RESET:
            return None
        error = "watchdog: nothing went on" if self._cause == machine.WDT_RESET else "reset without a word"
        return False, {"error": error, "task": "?", "at": "", "uptime_s": boots.last_uptime_s}

    def open(self, clock, state, epoch, secrets, note, flush):
        """`secrets`: texts that must not get into a record, None when no text of an exception may; note(event dict) takes an event into the journal, flush() saves what is only
        in RAM."""
        self._watchdog = machine.WDT(timeout=_START_MS)  # reading a long journal takes its time, but not for ever
        self._clock = clock
        self._born_ms = clock.uptime_ms()
        self._state = state
        self._epoch = epoch
        self._secrets = secrets
        self._note = note
        self._flush = flush
        self.watch = Watch(clock)
        self.prompt_until_ms = self._born_ms + _WINDOW_MS - time.ticks_diff(time.ticks_ms(), self._began)
        if not self._crash:
            self._crash = crash.unpacked(state.get(CRASH_KEY))

    # --- the start

    async def settle(self):
        """Nothing goes to flash before the supply has proved itself. A chip that has kept its RTC memory through another reset had it."""
        self._watchdog = machine.WDT(timeout=_TIMEOUT_MS)
        if self.boots.powered_on or self._cause == machine.PWRON_RESET:
            await asyncio.sleep_ms(max(0, _SETTLED_MS - time.ticks_diff(time.ticks_ms(), self._began)))
        self._settled = True
        self.boots.settled()

    def keep(self):
        """What is known of the starts goes to where a power cut does not reach it."""
        record = self.boots.record(self._uptime_s())
        self._boots_area.memory(record)
        try:
            self._nvs.set_blob("boots", record)
            self._nvs.commit()
        except OSError:
            pass  # RTC memory has it, and every reset but a power cut will find it there

    def tell(self):
        """Into the journal with what the starts before have left: to be called once, when it takes events."""
        self._tell_crash()
        if self.boots.safe:
            self._note({"event": "safe_mode", "failures": self.boots.failures, "lasts_s": self.boots.safe_s})

    def _tell_crash(self):
        if self._crash and not self._crash[0]:
            event = {"event": "crashed"}
            event.update(self._crash[1])
            self._note(event)
            self._crash = (True, self._crash[1])
            self._state.put(CRASH_KEY, crash.packed(self._crash[1], True))
            self._crash_area.memory(b"")

    # --- the tasks

    def start(self, name, make, limit_ms, shed=None, first_ms=0, expendable=False):
        """Run the task make(alive), first_ms from now; `alive` as of Watch.task().

        shed() lets go of what the task holds in RAM, when there is too little of it, and before it begins anew. One that is `expendable`
        is begun anew after any failure, after a while that grows; the failure of another is the gateway's.
        """
        alive = self.watch.task(name, limit_ms)
        alive(False)
        asyncio.create_task(self._run(name, make, alive, shed, first_ms, expendable))

    async def _run(self, name, make, alive, shed, first_ms, expendable):
        if first_ms:
            await asyncio.sleep_ms(first_ms)
        short_ms = -_REPEATS_MS
        pause_ms = _PAUSE_MS
        while True:
            alive()
            error = await self._outcome(make, alive)
            alive(False)
            if shed:
                shed()
            gc.collect()
            now = self._clock.uptime_ms()
            if expendable:
                self._record(name, error)
                self._tell_crash()
                await asyncio.sleep_ms(pause_ms)
                pause_ms = min(2 * pause_ms, _PAUSE_MOST_MS)
            elif isinstance(error, MemoryError) and now - short_ms >= _REPEATS_MS:
                short_ms = now
                self.shortages += 1
                await asyncio.sleep_ms(1000)
            else:
                self.crashed(name, error)

    async def _outcome(self, make, alive):
        try:
            await make(alive)
        except Exception as error:
            return error
        return RuntimeError("the task has ended")

    async def guard(self):
        """Feed the watchdog as long as nobody is late. Does not return."""
        while True:
            late = self.watch.late()
            if late:  # from here on nobody feeds the watchdog: should even the restart hang, it bites
                self.crashed(late[0], RuntimeError("no progress for {} s".format(late[1] // 1000)))
            self._watchdog.feed()
            uptime_s = self._uptime_s()
            self._boots_area.memory(self.boots.record(uptime_s))
            if not self._lived and uptime_s >= LIVED_S:
                self._lived = True
                self.boots.lived()
                self.keep()
            if self.boots.safe and uptime_s >= self.boots.safe_s:
                self.restart()
            await asyncio.sleep_ms(self._mind_prompt())

    def _uptime_s(self):
        """Seconds since this start, which ticks that go through a soft reset do not tell."""
        return (self._clock.uptime_ms() - self._born_ms) // 1000 if self.watch else 0

    def _mind_prompt(self):
        """From a moment on Ctrl-C is a character like any other, but in safe mode. Returns the milliseconds until the next look."""
        left = _FEED_MS
        if self.prompt_until_ms is not None and not self.boots.safe:
            left = self.prompt_until_ms - self._clock.uptime_ms()
            if left <= 0:
                self.prompt_until_ms, left = None, _FEED_MS
                micropython.kbd_intr(-1)
        return min(left, _FEED_MS)

    # --- the end

    def crashed(self, task, error):
        """No task may die alone: a gateway that half works is worse than one that starts again. Does not return."""
        gc.collect()
        self._record(task, error)
        print("satama: restarting in {} s".format(_BEFORE_RESET_S))
        time.sleep(_BEFORE_RESET_S)
        self.save()
        machine.reset()

    def restart(self):
        """On purpose: nothing is lost, and the next start tries everything. Does not return."""
        self.boots.plan()
        self.leave()
        self.save()
        machine.reset()

    def restart_soon(self):
        """As restart(), in so many seconds, which it returns: the one who asked for it gets an answer first."""
        asyncio.create_task(self._restart_later())
        return _SOON_S

    async def _restart_later(self):
        await asyncio.sleep_ms(1000 * _SOON_S)
        self.restart()

    def leave(self):
        """What is known of the starts is to outlive this one's end, which comes now."""
        self._boots_area.memory(self.boots.record(0))
        if self._settled:
            self.keep()

    def excuse(self):
        """This start ends on purpose."""
        self.boots.plan()
        self._boots_area.memory(self.boots.record(0))

    def save(self):
        if self._state and self._settled:
            try:
                self._flush()
            except Exception as error:
                sys.print_exception(error)

    def _record(self, task, error):
        """Into RTC memory first: flash may be what has failed."""
        secrets = self._secrets if self.watch else ()
        try:
            text = crash.trace(error, secrets)
            print("satama: failure in", task)
            print(text)
            body = {"error": crash.name(error, secrets), "task": task, "at": crash.where(text)}
            body["heap_free"] = gc.mem_free()
            body["heap_largest"] = max([region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])
        except Exception:  # there is no memory even for that
            body = {"error": type(error).__name__, "task": task, "at": ""}
        if self.watch:
            body["uptime_s"] = self._uptime_s()
            body["of_epoch"] = self._epoch
        self._crash = (False, body)
        record = crash.packed(body, False)
        self._crash_area.memory(record)
        if self._state and self._settled:
            try:
                self._state.put(CRASH_KEY, record)
            except Exception as failure:
                sys.print_exception(failure)

    # --- what the console and `diag` say

    def status(self):
        """{"mode", "boots", "failures", "reset_cause", "crash"}: the last one in a line, "" without any."""
        boots, body = self.boots, self.last_crash()
        return {
            "mode": "safe" if boots.safe else "full",
            "boots": boots.number,
            "failures": boots.failures,
            "reset_cause": self.cause(),
            "crash": "{task}: {error}".format(**body) if body else "",
            "shortages": self.shortages,
        }

    def cause(self):
        """What the chip says of its last reset; a watchdog's is told as a soft one by some."""
        names = {
            machine.PWRON_RESET: "power on",
            machine.HARD_RESET: "hard",
            machine.WDT_RESET: "watchdog",
            machine.DEEPSLEEP_RESET: "deep sleep",
            machine.SOFT_RESET: "soft",
        }
        return names.get(self._cause, "unknown")

    def last_crash(self):
        """The last crash record as a dict, None when there is none."""
        return self._crash and self._crash[1]
