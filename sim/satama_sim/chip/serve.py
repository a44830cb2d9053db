"""A chip with a door and nothing else: for whoever tests a flashing tool without a gateway behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..timeline import RealClock, Timeline
from .chip import Chip
from .door import Door

_SECOND_US = 1_000_000
_LOOK_US = 20_000  # how often `until` is asked
_LEFT_OVER = 1000  # events at the end: what a host did before it ended is still seen


def keep_saying(chip: Chip, timeline: Timeline) -> None:
    """Have a chip that finds nothing to start say so once a second, from now on."""

    def again() -> None:
        chip.say_fault()
        timeline.after(_SECOND_US, again)

    timeline.after(_SECOND_US, again)


def serve(door: Door, until: Callable[[], bool]) -> None:
    """Serve the door until `until()`. Its clock must be a RealClock that nothing else drives."""
    timeline = Timeline()
    door.owner = threading.get_ident()
    door.clock.start(timeline)
    keep_saying(door.chip, timeline)
    while not until():
        due_us = min(timeline.next_us() or 0, door.clock.now_us() + _LOOK_US)
        door.clock.wait_until(due_us)
        timeline.run_to(max(timeline.now_us, door.clock.now_us()))
    for _ in range(_LEFT_OVER):
        if not door.clock.wait_until(0):
            break


@contextmanager
def served(chip: Chip, door: type[Door], **options: bool) -> Iterator[Door]:
    """A powered chip behind a door of this class, served by a thread meanwhile.

    with served(Chip("esp32", NorFlash(4 << 20), mac), PtyDoor) as port:
        subprocess.run([.., "--port", port.url, ..])
    """
    one = door(chip, RealClock(), **options)
    chip.power_on()
    ended = threading.Event()
    thread = threading.Thread(target=serve, args=(one, ended.is_set), daemon=True)
    thread.start()
    try:
        yield one
    finally:
        ended.set()
        thread.join()
        one.close()
