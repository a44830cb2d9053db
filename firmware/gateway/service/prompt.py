"""MicroPython's prompt on a gateway that runs: how to get in, and what is left behind. Loaded when somebody wants it.

Ctrl-C stops the gateway for 3 s after a reset, in safe mode, and for a minute after it was asked for; else it is a character like any
other, and a tool that looks for the prompt does no harm (Health.guard).
"""

import machine
import micropython

OFFERED_S = 60
LASTS_S = 900  # a prompt that was forgotten is no gateway: then it starts again
_CTRL_C = 3


def offer(rooms):
    """From now on Ctrl-C works. What was measured so far is on flash; what comes until then is not."""
    rooms.health.save()
    rooms.health.prompt_until_ms = rooms.clock.uptime_ms() + 1000 * OFFERED_S
    micropython.kbd_intr(_CTRL_C)
    return {"in": "Ctrl-C", "within_s": OFFERED_S, "out": "machine.reset()", "by_itself_s": LASTS_S}


def stopped(health):
    """Ctrl-C was typed. Nothing is saved: a task may have stood in the middle of writing to flash.

    The watchdog cannot be stopped (machine.WDT, ESP32 port), but it takes a longer time-out.
    """
    micropython.kbd_intr(-1)
    machine.WDT(timeout=1000 * LASTS_S)
    health.boots.stop()
    health.leave()
    print("satama: stopped by Ctrl-C; starts again with machine.reset(), or by itself in", LASTS_S, "s")
