"""Serial ports by name or URL: /dev/ttyUSB0, COM3, socket://host:port, rfc2217://host:port. What goes wrong is told in sentences."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

import serial
from serial.tools import list_ports

try:
    from termios import error as _TerminalError  # what pyserial lets through when a port has gone; no OSError
except ModuleNotFoundError:  # Windows
    _TerminalError = OSError  # type: ignore[assignment,misc]

CONSOLE_BAUD = 115200
PORT_FAULTS = (serial.SerialException, OSError, _TerminalError)  # all that an open port may raise
_SEE = "see its name with: satama ports"
_ESPRESSIF = 0x303A
# USB ids of the chips on gateway boards, from their data sheets and drivers; what a technician calls them.
_KNOWN = {
    (0x10C4, 0xEA60): "CP2102 or CP2104 bridge",
    (0x1A86, 0x7523): "CH340 bridge",
    (0x1A86, 0x55D4): "CH9102 bridge",
    (0x0403, 0x6001): "FT232 bridge",
    (_ESPRESSIF, 0x1001): "ESP32-S3 or C3, own USB (USB-Serial-JTAG)",
    (_ESPRESSIF, 0x0002): "ESP32-S2 in download mode",
    (_ESPRESSIF, 0x4001): "ESP32-S2 or S3, own USB of MicroPython",
}


class PortError(Exception):
    """A port cannot be used (any more); the text says why and what to do."""


@dataclass(frozen=True)
class FoundPort:
    """A serial port of this machine. `usb` is "VID:PID" in hex, "" for one that is not on USB."""

    name: str
    what: str
    usb: str
    serial_number: str

    @property
    def likely(self) -> bool:
        """Whether a gateway board may be behind it."""
        return bool(self.usb)


def find_ports() -> list[FoundPort]:
    """The serial ports of this machine, those on USB first."""
    found = []
    for port in list_ports.comports():
        usb = "" if port.vid is None else f"{port.vid:04X}:{port.pid:04X}"
        told = port.description if port.description not in (None, "n/a") else ""
        what = ", ".join(filter(None, (_KNOWN.get((port.vid, port.pid), ""), told)))
        found.append(FoundPort(port.device, what, usb, port.serial_number or ""))
    return sorted(found, key=lambda port: (not port.usb, port.name))


def open_port(url: str, baud: int = CONSOLE_BAUD, read_timeout_s: float = 0.1) -> serial.SerialBase:
    """Open a port without resetting the board behind it: DTR and RTS are released before it opens. Raises PortError.

    Nobody else can open it meanwhile, where the system can promise that. A write that nobody takes ends after five
    seconds (not over RFC 2217, where pyserial has no such limit).
    """
    _check_address(url)
    try:
        port = serial.serial_for_url(url, do_not_open=True)
        port.baudrate = baud
        port.timeout = read_timeout_s
        if not is_rfc2217(url):
            port.write_timeout = 5
        port.dtr = port.rts = False
        if is_local(url):
            port.exclusive = True
        port.open()
    except (*PORT_FAULTS, ValueError) as error:
        raise PortError(sentence(url, error)) from None
    return port


def _check_address(url: str) -> None:
    """pyserial's own words about a wrong host or port number help nobody."""
    scheme = url.partition("://")[0].lower()
    if scheme in ("socket", "rfc2217") and "://" in url:
        try:
            parts = urllib.parse.urlsplit(url)
            right = bool(parts.hostname and parts.port)
        except ValueError:
            right = False
        if not right:
            raise PortError(f"{url} is not the address of a port -> write it like {scheme}://192.168.1.20:4000")


def is_local(url: str) -> bool:
    """Whether it is the name of a port of this machine, and not a URL."""
    return "://" not in url


def is_rfc2217(url: str) -> bool:
    return url.lower().startswith("rfc2217:")


def is_socket(url: str) -> bool:
    """Whether it is plain TCP, which has no lines that reset a board."""
    return url.lower().startswith("socket:")


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """What goes wrong inside with an open port comes out as PortError: the cable was pulled, the server went away."""
    try:
        yield
    except PORT_FAULTS as error:
        raise PortError(lost(url, error)) from None


def lost(url: str, error: Exception) -> str:
    """The sentence about a port that worked until now."""
    if isinstance(error, serial.SerialTimeoutException):
        return (
            f"nobody takes what is sent to {url} -> is the board powered? pull the cable, plug it in again, try again"
        )
    if not is_local(url):
        return f"the connection to {url} broke -> does another program use it? close that, see that its server runs, then try again"
    return f"the cable of {url} broke -> plug it in again, see with satama ports that it is there, then try again"


def sentence(url: str, error: Exception) -> str:
    """Why the port cannot be opened, and what to do, from what pyserial raised."""
    cause = error if isinstance(error, OSError) and error.errno else error.__context__
    number = cause.errno if isinstance(cause, OSError) else None
    text = str(error)
    if not is_local(url):
        return _about_url(url, error, cause, text)
    if not url.strip():
        return f"the name of the port is missing -> {_SEE}"
    if number == errno.ENOENT or "FileNotFoundError" in text:
        return f"there is no port {url} -> plug the cable in, and {_SEE}"
    busy = number in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in text or "Access is denied" in text
    if busy or (sys.platform == "win32" and "PermissionError" in text):  # Windows says so of a port that is open
        return f"another program uses {url} -> close it (a serial terminal, another satama or esptool), then try again"
    if number in (errno.EACCES, errno.EPERM):
        return f"no right to open {url} -> join the group that owns it (often dialout or uucp), then log in again"
    if number in (errno.EIO, errno.ENXIO, errno.ENODEV) or "OSError(22, 'A device" in text:
        return f"{url} does not answer its driver -> pull the cable, plug it in again, and {_SEE}"
    if "baud" in text.lower():
        return f"{url} does not know this speed -> leave --baud out, or take 115200"
    if number in (errno.ENOTTY, errno.EISDIR, errno.EINVAL) or "ioctl" in text:
        return f"{url} is not a serial port -> {_SEE}"
    return f"{url} cannot be opened: {text} -> check the name and the cable, and {_SEE}"


def _about_url(url: str, error: Exception, cause: BaseException | None, text: str) -> str:
    scheme = url.partition("://")[0]
    if isinstance(error, ValueError) and "not known" in text:
        return f"{url}: ports are not reached by {scheme}:// -> socket://host:port or rfc2217://host:port"
    where = re.sub(r"^[^:]+://", "", url).partition("?")[0].rstrip("/")
    if isinstance(cause, ConnectionRefusedError) or "refused" in text:
        return f"nobody listens at {where} -> start the serial server there, or check address and port number"
    if isinstance(cause, BrokenPipeError | ConnectionResetError):
        return f"{where} hangs up at once -> does another program use it? close that, then try again"
    if isinstance(cause, socket.gaierror) or "Name or service" in text or "getaddrinfo" in text:
        return f"there is no machine named {where.rpartition(':')[0]} -> check the name, or write its IP address"
    if "RFC2217" in text or "RFC 2217" in text or "negotiat" in text:
        return f"{where} does not speak RFC 2217 -> try socket://{where}, or switch the server's protocol"
    if isinstance(cause, TimeoutError) or "timed out" in text:
        return f"{where} does not answer -> is that machine on, and in this network?"
    return f"{url} cannot be opened: {text} -> check address and port number"
