"""The VM whose console never fills up: what it prints is taken in while the host waits for its next call."""

from __future__ import annotations

import os
import select
import time

from ..vm.process import VmEnded, VmProcess, VmSilent

_TALK_BYTES = 32 << 20  # so much on the console between two calls, and the firmware hangs in a loop of prints


class TalkingVm(VmProcess):
    """Without this, a firmware that prints more than the console's buffer holds and the host would wait for each other."""

    def __init__(self, command: list[str], heap_bytes: int, silence_s: float):
        super().__init__(command, heap_bytes, silence_s)
        self._heard = bytearray()
        self._console_fd = self.console.fileno()
        self._poll.register(self._console_fd, select.POLLIN)

    def _read(self) -> bytes:
        deadline = time.monotonic() + self._silence_s
        while True:
            ready = [fd for fd, _ in self._poll.poll(max(0, int((deadline - time.monotonic()) * 1000)))]
            if self._console_fd in ready:
                self._heard += super().printed()
                if len(self._heard) > _TALK_BYTES:
                    raise VmSilent(f"no call from the VM, only {_TALK_BYTES >> 20} MiB of console text")
            if self._calls in ready:
                part = os.read(self._calls, 65536)
                if not part:
                    raise VmEnded(f"the MicroPython process ended (status {self._process.wait()})")
                return part
            if time.monotonic() >= deadline:
                raise VmSilent(f"no call from the VM for {self._silence_s:g} s of real time")

    def printed(self) -> bytes:
        """What the VM wrote on its console since last asked."""
        printed = bytes(self._heard) + super().printed()
        self._heard.clear()
        return printed
