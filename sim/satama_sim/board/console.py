"""The board's end of its serial console: what was typed and not read yet, the key that interrupts, and what the VM prints."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable

from ..timeline import Timeline
from ..vm.modules.ops import FOREVER as NO_KEY
from ..vm.process import VmProcess

_PORT_BUFFER = 260  # the port's ring buffer for stdin
_LAST_BYTES = 600
_TYPED_LIMIT = 8 * _PORT_BUFFER  # what comes while the firmware reads nothing is lost beyond that


class Console:
    """Between whoever types and listens, and a VM that comes and goes.

    on_print   called with each piece of what the VM has printed
    raw        the prompt is in its raw mode, which outlives a soft reset
    """

    def __init__(self, timeline: Timeline, baud: int):
        self.on_print: list[Callable[[bytes], None]] = []
        self.raw = False
        self._timeline, self._char_us = timeline, 10_000_000 // baud
        self._vm: VmProcess | None = None
        self._printed = b""  # the end of it
        self._typed = bytearray()  # and not handed to the VM yet
        self._handed = False  # the VM may have bytes unread
        self._busy_us = 0  # until then bytes that were typed are on the wire
        self._key = b""
        self._interrupted = False  # that key was typed, and the VM does not know yet

    def attach(self, vm: VmProcess) -> None:
        """A VM has started."""
        self._vm = vm

    def detach(self) -> None:
        """It is gone, and what was typed for it with it."""
        self._vm = None
        self._typed.clear()
        self._handed = False
        self.let_interrupt(NO_KEY)

    # --- towards the outside

    def send(self, data: bytes) -> None:
        """Type, behind what is on the wire already."""
        self._busy_us = max(self._busy_us, self._timeline.now_us) + len(data) * self._char_us
        self._timeline.at(self._busy_us, lambda: self._arrived(data))

    def _arrived(self, data: bytes) -> None:
        if not self._vm:
            return
        if self._key and self._key in data:  # the driver keeps that key for itself
            data = data.replace(self._key, b"")
            self._interrupted = True
        self._typed.extend(data[: max(0, _TYPED_LIMIT - len(self._typed))])

    def drain(self) -> None:
        """Pass on what the VM has printed."""
        printed = self._vm.printed() if self._vm else b""
        if printed:
            self._printed = (self._printed + printed)[-_LAST_BYTES:]
            for listener in self.on_print:
                listener(printed)

    @property
    def last(self) -> str:
        """The end of what was printed, for people who look for the cause of something."""
        return self._printed.decode(errors="replace").strip()

    # --- towards the VM

    @property
    def waiting(self) -> int:
        """Bytes that were typed and not handed over yet."""
        return len(self._typed)

    def hand_over(self) -> int:
        """Give the VM what its buffer takes; how many bytes it has unread then."""
        if not self._vm or (not self._handed and not self._typed):
            return 0
        count = struct.unpack("i", fcntl.ioctl(self._vm.console_end, termios.FIONREAD, b"\0\0\0\0"))[0]
        if self._typed and count < _PORT_BUFFER:
            part = bytes(self._typed[: _PORT_BUFFER - count])
            del self._typed[: len(part)]
            self._vm.console.send(part)
            count += len(part)
        self._handed = count > 0
        return count

    def read(self, last: bytes) -> bytes:
        """For the prompt: what was typed and not read yet, up to the first one of the keys `last`."""
        assert self._vm
        if self._handed:
            self._typed[:0] = self._vm.take_back()
            self._handed = False
        end = next((at + 1 for at, key in enumerate(self._typed) if key in last), len(self._typed))
        part = bytes(self._typed[:end])
        del self._typed[:end]
        return part

    # --- the key that interrupts

    @property
    def interruptible(self) -> bool:
        """Whether Ctrl-C stops what runs."""
        return bool(self._key)

    @property
    def interrupted(self) -> bool:
        """Whether it was typed, and nobody has taken it yet."""
        return self._interrupted

    def let_interrupt(self, key: int) -> None:
        """The key that raises KeyboardInterrupt from now on; ops.FOREVER: none."""
        self._key = bytes((key & 0xFF,)) if key != NO_KEY else b""
        self._interrupted = False

    def take_interrupt(self) -> bool:
        """Whether it was typed; the next time it was not."""
        taken, self._interrupted = self._interrupted, False
        return taken
