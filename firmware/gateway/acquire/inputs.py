"""Analog and pulse inputs on the chip's own pins."""

import machine
from machine import ADC, Pin
from micropython import const

from gateway.core.exact import divide_half_even
from gateway.core.quality import BAD, INVALID, pack

_OPEN_UV = const(0)  # the ESP32 reads its first 100 mV as nothing: no probe, or a short
_NO_PROBE = pack(BAD, INVALID)
_ATTENUATION = {0: "ATTN_0DB", 2: "ATTN_2_5DB", 6: "ATTN_6DB", 11: "ATTN_11DB"}


class AnalogInput:
    """`spec`: ["adc", gpio, attenuation dB, samples, point, uv0, v0, uv1, v1]; two calibration points, values in mantissas."""

    def __init__(self, spec):
        _, gpio, decibel, self._samples, self.point, self._uv0, self._v0, uv1, v1 = spec
        self._uv_span = uv1 - self._uv0
        self._span = v1 - self._v0
        self._adc = ADC(Pin(gpio), atten=getattr(ADC, _ATTENUATION[decibel]))

    def read(self):
        """(mantissa, quality byte): the mean of some conversions, on the line through the calibration points."""
        total = 0
        for _ in range(self._samples):
            total += self._adc.read_uv()
        uv = divide_half_even(total, self._samples)
        if uv <= _OPEN_UV:
            return 0, _NO_PROBE
        return self._v0 + divide_half_even((uv - self._uv0) * self._span, self._uv_span), 0


class PulseInput:
    """`spec`: ["pulse", gpio, edge, debounce ms, point, numerator, shift, denominator]: the value of one pulse as an exact fraction.

    Counts in hardware where the chip has a counter and MicroPython offers it (1.26 and later); a contact that bounces, and a chip
    without a counter, by interrupt: the hardware's filter ends at 12.8 us, and a reed bounces for milliseconds (field notes B.10.4).
    """

    def __init__(self, spec, unit):
        _, gpio, edge, debounce_ms, self.point, numerator, shift, self._denominator = spec
        self._numerator = numerator * 10**shift if shift >= 0 else numerator
        self._denominator *= 1 if shift >= 0 else 10**-shift
        pin = Pin(gpio, Pin.IN, Pin.PULL_UP)
        counter = getattr(machine, "Counter", None)
        if counter and not debounce_ms:
            self._counter = counter(unit, pin, edge=counter.FALLING if edge == "falling" else counter.RISING)
        else:
            self._counter = _InterruptCounter(pin, edge, debounce_ms)

    def read(self):
        """(mantissa, quality byte) of the total since boot."""
        return divide_half_even(self._counter.value() * self._numerator, self._denominator), 0


class _InterruptCounter:
    """Pulses by pin interrupt; edges closer together than the debounce time are one pulse."""

    def __init__(self, pin, edge, debounce_ms):
        from array import array
        from time import ticks_diff, ticks_ms

        self._count = array("I", (0, 0))  # pulses, time of the last one
        count = self._count

        def on_edge(_):  # a scheduled callback: it must not allocate
            now = ticks_ms()
            if not count[0] or ticks_diff(now, count[1]) >= debounce_ms:
                count[0] += 1
            count[1] = now

        pin.irq(on_edge, Pin.IRQ_FALLING if edge == "falling" else Pin.IRQ_RISING)

    def value(self):
        return self._count[0]
