"""TLS with a verified server: certificates from the file system, a handshake that never blocks, and reasons that people can use.

mbedTLS takes part in CERT_REQUIRED only with the host's name and a clock that is right. Nothing here ever connects without both.
"""

import errno
import select
import ssl

import asyncio
from micropython import const

from gateway.uplink.errors import LinkDown

_STEP_MS = const(20)
_UNASKED = const(25)  # so many steps of waiting for the server, then one without: ours may not have gone out whole
_HANDSHAKE_MS = const(20000)  # the computing alone takes up to 3 s on the slowest chip
# Error numbers of mbedTLS (mbedtls/ssl.h, x509.h), which are the same in 2.28 and 3.x
_EOF = const(-0x7280)
_ALERT = const(-0x7780)
_UNTRUSTED = const(-0x2700)
_NOT_TLS = (-0x7200, -0x7100, -0x7F00)  # an invalid record, in newer versions a bad argument, unsupported
_LIBRARY = const(-256)  # numbers below are mbedTLS's own, others are the socket's
# What mbedtls_x509_crt_verify_info() says; the first that is found counts: without a CA the rest means little
_VERDICTS = (
    ("trusted CA", "wrong CA"),
    ("Common Name", "wrong host name"),
    ("has expired", "certificate expired"),
    ("in the future", "certificate not yet valid"),
)


def context(spec, more=(), client=b""):
    """An SSLContext that verifies against every CA of `spec` (the compiled site's "mqtt") and those of `more` (DER), with the client's
    certificate if there is one: `client` (DER), of the same key, in the place of the site's.

    Raises LinkDown when a file is missing or mbedTLS cannot use it.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED
    path = ""
    try:
        for path in spec["ca"]:
            made.load_verify_locations(cadata=_content(path))  # one after the other: each is added to those before
        if not path:
            raise LinkDown("no CA in the site file")
        for data in more:
            made.load_verify_locations(cadata=data)
        if spec.get("cert"):
            path = spec["cert"]
            made.load_cert_chain(client or _content(path), _content(spec["key"]))
    except OSError as error:
        missing = error.errno == errno.ENOENT
        raise LinkDown(path + (" is missing" if missing else ": " + reason(error.errno)))
    except ValueError as error:
        raise LinkDown("{}: {}".format(path, error.args[0]))  # "invalid cert", "invalid key"
    return made


def _content(path):
    with open(path, "rb") as file:
        return file.read()


async def wrap(made, plain, host, first, clock, stalled):
    """The TLS socket over the connected, non-blocking socket `plain`, when the handshake has gone well and `first` (bytes) is written.

    mbedTLS does the handshake within the first write. `stalled(ms)` is told how long each step of it took. Raises LinkDown.
    """
    begun = clock.uptime_ms()
    poll = select.poll()
    poll.register(plain, select.POLLIN)
    heard = 0  # how often something had come from the server before a step that went well
    idle = 0
    sock = view = None
    try:
        while True:
            now = clock.uptime_ms()
            if now - begun > _HANDSHAKE_MS:
                raise LinkDown("handshake timed out")
            readable = False
            for _ in poll.ipoll(0):
                readable = True
            idle += 1
            # A step without poll's word for it would read what comes just now, and not count it as heard.
            if sock and not readable and idle < _UNASKED:
                await asyncio.sleep_ms(_STEP_MS)
                continue
            idle = 0
            try:
                if sock is None:
                    sock = made.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
                    view = memoryview(first)
                count = sock.write(view)
            finally:
                stalled(clock.uptime_ms() - now)
            if count:
                view = view[count:]
                if not view:
                    return sock
            if readable:
                heard += 1
            await asyncio.sleep_ms(_STEP_MS)
    except ValueError as error:
        raise LinkDown(_verdict(str(error)))
    except OSError as error:
        raise LinkDown(_failed(error.errno, heard))


def _verdict(text):
    for part, reason in _VERDICTS:
        if part in text:
            return reason
    return "certificate refused"


def _failed(number, heard):
    """Why the handshake ended. A server that speaks TLS says what it does not like (an alert) before it closes."""
    if number in _NOT_TLS or number in (_EOF, errno.ECONNRESET) and not heard:
        return "no TLS"
    if number == _ALERT and not heard:  # the answer to our hello
        return "TLS refused"
    if number in (_EOF, errno.ECONNRESET, errno.ENOTCONN):  # a reset may overtake the alert that says why
        return "closed in the handshake"
    return reason(number)


def reason(number):
    """A word for people for an error number of mbedTLS or of the socket under it."""
    if (
        number == _ALERT
    ):  # it has had everything from us: what is left to be refused is our certificate, or that there is none
        return "client certificate refused"
    if number == _EOF:
        return "closed by the broker"
    if number == _UNTRUSTED:
        return "certificate refused"
    if number is not None and number < _LIBRARY:
        return "TLS error -0x{:04x}".format(-number)
    return "errno {}".format(number)
