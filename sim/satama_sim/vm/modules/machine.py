"""`machine` of the ESP32 port, answered by the host."""

import struct
import sys

import link
import time

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_reset_cause = PWRON_RESET
_unique_id = b"\0" * 6
_has_counter = False


def reset_cause():
    return _reset_cause


def unique_id():
    return _unique_id


def reset():
    link.call(4, 0)


def soft_reset():
    link.call(4, 1)


def deepsleep(ms=None):
    link.call(4, 2, b"" if ms is None else struct.pack("<Q", ms * 1000))


def freq(hz=None):
    return 240000000


def idle():
    link.wait(1000)


def lightsleep(ms=0):
    link.wait(ms * 1000)


def disable_irq():
    return 0


def enable_irq(state=0):
    pass


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, gpio, mode=-1, pull=-1, value=None):
        self.gpio = gpio
        self._level = 0
        self._out = False
        if mode != -1:
            self.init(mode, pull, value)

    def init(self, mode=-1, pull=-1, value=None):
        if value is not None:
            self._write(value)
        self._out = mode in (Pin.OUT, Pin.OPEN_DRAIN)
        link.spend("pin_us")
        link.post(10, self.gpio, bytes((mode & 0xFF, pull & 0xFF)))

    def _write(self, level):
        self._level = 1 if level else 0
        link.spend("pin_us")
        link.post(11, self.gpio << 1 | self._level)

    def value(self, level=None):
        if level is not None:
            self._write(level)
        elif self._out:
            return self._level
        else:
            link.spend("pin_us")
            return link.call(12, self.gpio)

    __call__ = value

    def on(self):
        self._write(1)

    def off(self):
        self._write(0)

    def irq(self, handler=None, trigger=3, wake=None, hard=False):
        if hard:
            raise ValueError("hard interrupts are not supported")
        for entry in _handlers:
            if entry[0] == self.gpio:
                _handlers.remove(entry)
                break
        if handler:
            _handlers.append((self.gpio, handler, self))
        link.call(13, self.gpio << 2 | (trigger if handler else 0))


class SPI:
    """Only to be handed to network.LAN: nothing else of the board is on SPI."""

    def __init__(self, id, baudrate=1000000, *, sck=None, mosi=None, miso=None):
        if id not in (1, 2):
            raise ValueError("SPI(%d) doesn't exist" % id)


_handlers = []  # (gpio, handler, pin)


def _serve_interrupts():
    link.call(3)
    for gpio in link.data():
        for entry in _handlers:
            if entry[0] == gpio:
                try:
                    entry[1](entry[2])
                except Exception as error:  # as MicroPython's scheduler treats it
                    sys.print_exception(error)
    link.post(6, 0)
    link.quiet_until = 0  # others may have come meanwhile


link.on_interrupts = _serve_interrupts


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    _TOP_UV = (950000, 1250000, 1750000, 2450000)  # quickref: the input ranges that are linear

    def __init__(self, pin, atten=3):
        self._gpio = pin.gpio if isinstance(pin, Pin) else pin
        self._atten = atten
        self._uv = 0
        self._holds_until = -1

    def init(self, atten=3):
        self._atten = atten

    def atten(self, atten):
        self._atten = atten

    def read_uv(self):
        link.spend("adc_us")
        if link.now >= self._holds_until:
            self._uv = link.ask(14, self._gpio)
            self._holds_until = link.now + struct.unpack("<I", link.data())[0]
        uv = self._uv
        if uv < 100000:  # the first 100 mV read as nothing
            uv = 0
        return min(uv, self._top_uv()) // 1000 * 1000

    def _top_uv(self):
        """Where the converter ends: the linear range goes less far at the widest attenuation."""
        return 3100000 if self._atten == 3 else self._TOP_UV[self._atten]

    def read_u16(self):
        return self.read_uv() * 65535 // self._top_uv()

    def read(self):
        return self.read_u16() >> 4


class _Counter:
    RISING = 1
    FALLING = 2
    UP = 1

    def __init__(self, unit, src, edge=1, direction=1, filter_ns=0):
        self._unit = unit
        link.ask(15, src.gpio, bytes((edge, unit)))

    def value(self, value=None):
        link.look()
        link.call(16, self._unit, b"" if value is None else struct.pack("<q", value))
        return struct.unpack("<q", link.data())[0]

    def deinit(self):
        pass


class UART:
    INV_RX = 4  # as the ESP32's: bits of its signals
    INV_TX = 32
    INV_RTS = 64
    INV_CTS = 8

    def __new__(cls, number, *_, **__):
        if number not in _uarts:  # there is one object for each UART
            uart = object.__new__(cls)
            uart._options = dict(_UART_DEFAULTS)
            uart._tx_free = 0  # when the last stop bit will have left
            _uarts[number] = uart
        return _uarts[number]

    def __init__(self, number, *args, **options):
        self.handle = 1 + number
        self._number = number
        self._drained_at = -1  # link.calls when the host last said that nothing is left or on its way
        self.init(*args, **options)

    def init(self, *args, **options):
        """What is not given stays as it was."""
        for name, value in zip(("baudrate", "bits", "parity", "stop"), args):
            options[name] = value
        for name in sorted(options):
            if name not in _UART_DEFAULTS:
                raise TypeError("extra keyword arguments given")
        new = dict(self._options)
        new.update(options)
        parity, baudrate, stop, bits = new["parity"], new["baudrate"], new["stop"], new["bits"]
        if bits not in (5, 6, 7, 8):
            raise ValueError("invalid data bits")
        if stop not in (1, 2):
            raise ValueError("invalid stop bits")
        self._options = new
        link.wait(min(self._tx_free - link.now, 1000000))
        self._timeout = self._options["timeout"] * 1000
        code = 0 if parity is None else 1 + (parity & 1)
        character = (1 + bits + (code > 0) + stop) * 1000000
        self._char_us = (2 * character + baudrate) // (2 * baudrate)
        # how far ahead of the wire the buffers let a writer get
        self._tx_room_us = (max(self._options["txbuf"], 129) + 128) * self._char_us
        tx, rx, rxbuf = _gpio(self._options["tx"]), _gpio(self._options["rx"]), max(self._options["rxbuf"], 129)
        if self._options["invert"] & UART.INV_RX:
            rx |= 0x100  # a pin whose level is read the other way round
        if link.call(20, self._number, struct.pack("<IBBBhhH", baudrate, bits, code, stop, tx, rx, rxbuf)) < 0:
            raise ValueError("UART({}) does not exist".format(self._number))

    def any(self):
        if self._drained_at == link.calls and link.now < link.quiet_until:
            return link.look()
        return link.look(22, self._number)

    def _take(self, limit):
        """Bytes from the host; the result says whether any are left, or on their way."""
        if link.look(23, self._number << 16 | limit) == 0:
            self._drained_at = link.calls
        return link.data()

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        link.spend("uart_write_us")
        self._tx_free = max(link.now, self._tx_free) + len(data) * self._char_us
        link.post(21, self._number, bytes(data), self._tx_free)
        link.wait(self._tx_free - self._tx_room_us - link.now)  # a full buffer holds the writer up
        return len(data)

    def flush(self):
        link.wait(self._tx_free - link.now)

    def txdone(self):
        return self._tx_free <= link.now

    def read(self, limit=4096):
        got = b""
        end = link.now + self._timeout
        while True:
            got += self._take(limit - len(got))
            if len(got) >= limit or link.now >= end:
                return got or None
            link.wait(min(1000, end - link.now))

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            part = self.read(1)
            if not part:
                return line or None
            line += part
        return line

    def readinto(self, buf, limit=None):
        limit = len(buf) if limit is None else limit
        if self._timeout:
            got = self.read(limit) or b""
        else:
            got = self._take(limit)
        buf[: len(got)] = got
        return len(got) or None

    def ioctl(self, request, arg):
        return arg & (4 | (1 if self.any() else 0)) if request == 3 else 0

    def deinit(self):
        pass


_uarts = {}
_UART_DEFAULTS = {
    "baudrate": 115200,
    "bits": 8,
    "parity": None,
    "stop": 1,
    "tx": -1,
    "rx": -1,
    "rts": -1,
    "cts": -1,
    "txbuf": 256,
    "rxbuf": 256,
    "timeout": 0,
    "timeout_char": 0,
    "invert": 0,
    "flow": 0,
}


def _gpio(pin):
    return pin.gpio if isinstance(pin, Pin) else -1 if pin is None else pin


class RTC:
    def datetime(self, parts=None):
        if parts is None:
            year, month, day, hour, minute, second, weekday, _ = time.gmtime()
            return (year, month, day, weekday, hour, minute, second, (link.now + time.rtc_offset_us) % 1000000)
        year, month, day, _, hour, minute, second, us = parts
        now = time.mktime((year, month, day, hour, minute, second)) * 1000000 + us
        time.rtc_offset_us = now - link.now
        link.call(30, 0, struct.pack("<q", now))

    init = datetime

    def memory(self, content=None):
        if content is None:
            link.call(31, 0)
            return link.data()
        if len(content) > 2048:
            raise ValueError("buffer too long")
        link.call(31, 1, bytes(content))


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0 or timeout <= 0:
            raise ValueError("WDT timeout too short" if id == 0 else "")
        link.call(32, timeout)

    def feed(self):
        link.look()
        link.post(33, 0)
