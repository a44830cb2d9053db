"""What a board without a running gateway says on its serial port, and what that means. Pure.

The words are those of the ESP32's ROM and boot loader (ESP-IDF), of MicroPython's start (ports/esp32, shared/runtime/pyexec.c) and of
our own firmware (main.py, gateway/start.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LEAST_GARBAGE = 24  # bytes, before so many can be judged
_GARBAGE_SHARE = 3  # one in so many is no text


@dataclass(frozen=True)
class Trouble:
    """Why no gateway answers. `kind`: a word for tools; `sentence`: what is wrong, and what to do; `final`: waiting does not help."""

    kind: str
    sentence: str
    final: bool = False


_FLASH_AGAIN = "flash it again with: satama flash"
_SAID: list[tuple[str, str, str, bool]] = [
    (
        rb"(?:invalid header: 0x[0-9a-f]+\s+){2}",
        "blank",
        f"the board's flash holds no program (its ROM says 'invalid header') -> {_FLASH_AGAIN}",
        True,
    ),
    (
        rb"waiting for download",
        "download",
        "the board waits to be flashed (download mode) -> let go of its BOOT button and press RESET, or EN",
        True,
    ),
    (
        rb"Brownout detector was triggered",
        "brown_out",
        "the supply broke down while the board started -> another cable or USB port, or a stronger supply; 3.3 V must not dip",
        False,
    ),
    (
        rb"no usable site in (\S+)",
        "site",
        "the gateway cannot use the site file in {0} -> build and flash it again with: satama flash",
        True,
    ),
    (
        rb"satama: no application in ",
        "application",
        f"neither of the board's application slots is whole -> {_FLASH_AGAIN}; samples in the journal stay",
        True,
    ),
    (
        rb"filesystem appears to be corrupted",
        "filesystem",
        f"the board's filesystem is damaged -> {_FLASH_AGAIN}; samples in the journal stay",
        True,
    ),
    (
        rb"No bootable app partitions|invalid magic byte|Checksum failed|Image hash failed|flash read err|partition table .* bad"
        rb"|Failed to verify partition table|ets_main\.c",
        "image",
        f"what is on the board's flash is not whole: its boot loader refuses it -> {_FLASH_AGAIN}",
        False,
    ),
    (
        rb"satama: failure in (\S+)",
        "crash",
        "the gateway starts and fails in its task '{0}' -> keep what is on this screen for a report, then "
        + _FLASH_AGAIN,
        False,
    ),
    (
        rb"Guru Meditation Error[^\r\n]*|abort\(\) was called[^\r\n]*|assert failed[^\r\n]*",
        "panic",
        "MicroPython itself crashed ({whole}) -> try another MicroPython version, then " + _FLASH_AGAIN,
        False,
    ),
    (
        rb"raw REPL; CTRL-B to exit",
        "raw_repl",
        "another tool has stopped the gateway and left MicroPython's raw REPL -> press RESET, then try again",
        True,
    ),
    (
        rb"(?:ImportError|SyntaxError|OSError|ValueError): [^\r\n]*",
        "program",
        "the program on the board ends with an error ({whole}) -> " + _FLASH_AGAIN,
        False,
    ),
    (
        rb"(?:\r\n|^)>>> ",
        "repl",
        "MicroPython runs, but no gateway: only its prompt answers -> press RESET; if it stays so, " + _FLASH_AGAIN,
        True,
    ),
]
_CONSEQUENCES = ("program", "repl")  # they follow from what was said before
_BANNER = re.compile(rb"satama (\S+) (\S+) epoch (\d+)\s*\r?\n")


def trouble(heard: bytes) -> Trouble | None:
    """What is wrong with a board of which this was heard; None while nothing says so. The last that it said counts."""
    found: tuple[int, Trouble] | None = None
    for pattern, kind, sentence, final in _SAID:
        if not (matches := list(re.finditer(pattern, heard))):
            continue
        match = matches[-1]
        if found is None or (match.start() > found[0] and kind not in _CONSEQUENCES):
            words = [_text(group) for group in match.groups()]
            found = match.start(), Trouble(kind, sentence.format(*words, whole=_text(match[0])[:80]), final)
    if found:
        return found[1]
    return _garbage(heard)


def _garbage(heard: bytes) -> Trouble | None:
    strange = sum(1 for byte in heard if byte > 126 or (byte < 32 and byte not in b"\r\n\t\x1b\x1e"))
    if len(heard) < _LEAST_GARBAGE or strange * _GARBAGE_SHARE < len(heard):
        return None
    return Trouble(
        "garbage",
        "what comes from the port is no text -> is it the gateway's port, and not that of a meter? Its speed is 115200 baud",
    )


def unknown(heard: bytes, port: str) -> Trouble:
    """When the time is over and nothing is known: somebody else speaks there, or nobody."""
    lines = [line for line in _text(heard).splitlines() if line.strip()]
    if lines:
        last = lines[-1].strip()[:60]
        return Trouble(
            "stranger",
            f"{port} speaks, but not as a Satama gateway does (last: '{last}') -> is it the right port? see: satama ports",
        )
    return Trouble(
        "silent",
        f"nothing answers at {port} -> is the board powered, is this its port (satama ports)? Press RESET, or EN; "
        "if it stays silent, flash it",
    )


def last_start(heard: bytes) -> tuple[str, bytes]:
    """(name of the gateway that has announced its start last, what came after that); "" and everything when none has."""
    found = None
    for match in _BANNER.finditer(heard):
        found = match
    return (_text(found[2]), heard[found.end() :]) if found else ("", heard)


def _text(data: bytes) -> str:
    """Printable ASCII only: it goes to a terminal."""
    return "".join(chr(byte) if 32 <= byte < 127 or byte in b"\r\n" else "?" for byte in data)
