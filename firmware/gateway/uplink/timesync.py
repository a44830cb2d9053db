"""SNTP (RFC 4330): ask one server, believe it only when the answer is one to our own question and of this century."""

import asyncio
import errno
import socket
import time
from struct import unpack_from

import os
from micropython import const

_NTP_2000 = const(3155673600)  # seconds from 1900 to 2000
_PORT = const(123)
_ANSWER_MS = const(2000)
_STEP_MS = const(20)
_MASK = const(0xFFFFFFFF)


async def ask(host, clock):
    """Set the clock from a server. True when it answered and was believed."""
    try:
        address = socket.getaddrinfo(host, _PORT)[0][-1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return False
    try:
        return await _exchange(udp, address, clock)
    except OSError:
        return False
    finally:
        udp.close()


async def _exchange(udp, address, clock):
    udp.setblocking(False)
    request = bytearray(48)
    request[0] = 0x23  # no warning, version 4, client
    request[40:48] = os.urandom(8)  # the server returns it: nobody else can answer for it
    sent = time.ticks_ms()
    udp.sendto(request, address)
    while time.ticks_diff(time.ticks_ms(), sent) < _ANSWER_MS:
        await asyncio.sleep_ms(_STEP_MS)
        try:
            answer = udp.recv(64)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            continue
        if len(answer) < 48 or answer[24:32] != request[40:48]:
            continue
        trip_ms = time.ticks_diff(time.ticks_ms(), sent)
        return _believe(answer, trip_ms, clock)
    return False


def _believe(answer, trip_ms, clock):
    if (
        answer[0] & 7 != 4 or answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15
    ):  # not a server, not in step, or a kiss of death
        return False
    seconds, fraction = unpack_from(">II", answer, 40)
    ms = (fraction * 1000 >> 32) + trip_ms // 2
    seconds = (seconds - _NTP_2000) & _MASK  # era 1 begins in 2036
    return clock.set_utc(seconds + ms // 1000, ms % 1000, "ntp", trip_ms // 2 + _STEP_MS // 2) is not False
