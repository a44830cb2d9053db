"""One MicroPython process: started, asked for its next call, answered, killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .path import LIFELINE

MODULES = Path(__file__).parent / "modules"
_HEAD = struct.Struct("<HHIQI")
_ANSWER = struct.Struct("<QiIHHI")
_MAX_QUIET_US = 0xFFFFFFFF
_POSTED = 0x8000
_LOOK_S = 0.1
_TALK_BYTES = 32 << 20  # so much on the console between two calls, and the firmware hangs in a loop of prints


class Call(NamedTuple):
    """What the VM asks: an operation of vm/modules/ops.py, at its own time (microseconds since its boot)."""

    op: int
    posted: bool
    arg: int
    now_us: int
    data: bytes


class VmEnded(Exception):
    """The process is gone, of its own accord or by a signal."""


class VmSilent(Exception):
    """The firmware computes and computes without asking the host anything."""


class VmProcess:
    """A MicroPython process on two pipes (calls and answers) and a socket pair as its serial console."""

    def __init__(self, command: list[str], heap_bytes: int, flash: int, silence_s: float = 20.0):
        """`flash`: descriptor of the file that holds the chip's content."""
        answers_r, answers_w = os.pipe()
        calls_r, calls_w = os.pipe()
        lifeline, self._lifeline = os.pipe()  # nothing is ever written: it ends with this process, and the VM with it
        self.console, self.console_end = socket.socketpair()  # ours; the VM's, kept open to see how much is unread
        self.console.setblocking(False)
        self._silence_s = silence_s
        self._poll = select.poll()
        self._poll.register(calls_r, select.POLLIN)
        self._console_fd = self.console.fileno()
        self._poll.register(self._console_fd, select.POLLIN)
        self._heard = bytearray()
        self._buffer = b""
        self._calls = calls_r
        self._answers = answers_w
        try:
            self._process = subprocess.Popen(
                [
                    *command,
                    "-X",
                    f"heapsize={heap_bytes}",
                    str(MODULES / "board_boot.py"),
                    str(answers_r),
                    str(calls_w),
                    str(flash),
                ],
                stdin=self.console_end,
                stdout=self.console_end,
                stderr=self.console_end,
                pass_fds=(answers_r, calls_w, flash, lifeline),
                env={"PATH": os.defpath, "MICROPYPATH": ".frozen", LIFELINE: str(lifeline)},
                start_new_session=True,  # Ctrl-C at the terminal is for the host alone
            )
        except BaseException:
            self.abandon()
            raise
        finally:
            for theirs in (answers_r, calls_w, lifeline):
                os.close(theirs)

    def next_call(self, meanwhile: Callable[[], bool] = lambda: True) -> Call | None:
        """Wait for the VM's next call. `meanwhile()` is called now and then while the VM computes; when it says False, nothing more is
        waited for, and None comes back: ask again later, or never. Raises VmEnded, VmSilent."""
        buffer = self._buffer
        while True:
            if len(buffer) >= 20:
                op, flags, arg, now_us, length = _HEAD.unpack_from(buffer)
                if len(buffer) >= 20 + length:
                    self._buffer = buffer[20 + length :]
                    return Call(op, flags & _POSTED != 0, arg, now_us, buffer[20 : 20 + length])
            part = self._read(meanwhile)
            if part is None:
                self._buffer = buffer
                return None
            buffer = buffer + part if buffer else part

    def _read(self, meanwhile: Callable[[], bool]) -> bytes | None:
        """Bytes of the next call. What is printed meanwhile is taken in, or a firmware that prints much and the host would wait for each other."""
        looked = time.monotonic()
        deadline = looked + self._silence_s
        while True:
            ready = [fd for fd, _ in self._poll.poll(_LOOK_S * 1000)]
            if self._console_fd in ready:
                self._heard += self._hear()
                if len(self._heard) > _TALK_BYTES:
                    raise VmSilent(f"no call from the VM, only {_TALK_BYTES >> 20} MiB of console text")
            if self._calls in ready:
                part = os.read(self._calls, 65536)
                if not part:
                    raise VmEnded(f"the MicroPython process ended (status {self._process.wait()})")
                return part
            now = time.monotonic()
            if now >= looked + _LOOK_S:
                looked = now
                if not meanwhile():
                    return None
            if now >= deadline:
                raise VmSilent(f"no call from the VM for {self._silence_s:g} s of real time")

    def answer(
        self,
        now_us: int,
        result: int = 0,
        data: bytes = b"",
        quiet_us: int = 0,
        interrupts: int = 0,
        ctrl_c: bool = False,
    ) -> None:
        """Answer the last call. `quiet_us`: for how long nothing can come in from outside; `ctrl_c`: it ends in a KeyboardInterrupt."""
        head = _ANSWER.pack(now_us, result, min(quiet_us, _MAX_QUIET_US), interrupts, ctrl_c, len(data))
        try:
            os.write(self._answers, head + data if data else head)
        except BrokenPipeError as error:
            raise VmEnded("the MicroPython process ended") from error

    def printed(self) -> bytes:
        """What the VM wrote on its console since last asked."""
        printed = bytes(self._heard) + self._hear()
        self._heard.clear()
        return printed

    def _hear(self) -> bytes:
        parts = []
        while True:
            try:
                part = self.console.recv(65536)
            except BlockingIOError:
                break
            except ConnectionError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)

    def interrupt(self) -> None:
        """Ctrl-C while it computes, and has not asked for anything."""
        self._process.send_signal(signal.SIGINT)

    def take_back(self) -> bytes:
        """What was typed on its console and it has not read."""
        try:
            return self.console_end.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def kill(self) -> None:
        """Power off: the process is gone at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.abandon()

    def abandon(self) -> None:
        """Let go of it without a word: after a fork it is the other process's."""
        for descriptor in (self._calls, self._answers, self._lifeline):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.console.close()
        self.console_end.close()
