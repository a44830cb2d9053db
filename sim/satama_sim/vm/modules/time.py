"""MicroPython's `time` as the ESP32 has it: ticks wrap at 2**30, the epoch is 2000-01-01."""

import utime
import link

_PERIOD = 1 << 30
_HALF = 1 << 29
_UNIX_2000 = 946684800
rtc_offset_us = 0  # RTC time (microseconds since 2000) minus boot time


def ticks_ms():
    link.now += 1  # busy waits must see time pass
    return (link.now // 1000) & (_PERIOD - 1)


def ticks_us():
    link.now += 1
    return link.now & (_PERIOD - 1)


ticks_cpu = ticks_us


def ticks_diff(end, start):
    return ((end - start + _HALF) & (_PERIOD - 1)) - _HALF


def ticks_add(ticks, delta):
    if not -_HALF < delta < _HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) & (_PERIOD - 1)


def sleep_ms(ms):
    if ms > 0:
        link.wait(ms * 1000)


def sleep_us(us):
    if us > 0:
        link.wait(us)


def sleep(seconds):
    sleep_ms(round(seconds * 1000))  # whole milliseconds, as the port does; rounded alike with 32-bit and 64-bit floats


def time():
    link.now += 1
    return (link.now + rtc_offset_us) // 1000000


def time_ns():
    link.now += 1
    return (link.now + rtc_offset_us) * 1000


def gmtime(seconds=None):
    return utime.gmtime((time() if seconds is None else seconds) + _UNIX_2000)[:8]


localtime = gmtime


def mktime(parts):
    year, month, day, hour, minute, second = parts[:6]
    before = year - 2000
    days = before * 365 + (before + 3) // 4 - (before + 99) // 100 + (before + 399) // 400
    for m in range(1, month):
        days += 31 - (m in (4, 6, 9, 11)) - 3 * (m == 2)
    if month > 2 and year % 4 == 0 and (year % 100 or year % 400 == 0):
        days += 1
    return ((days + day - 1) * 24 + hour) * 3600 + minute * 60 + second
