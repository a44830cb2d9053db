"""Analog inputs on the chip's own ADC."""

from machine import ADC, Pin

from gateway.acquire.inputs import curve
from gateway.core.errors import SettingError
from gateway.core.exact import divide_half_even
from gateway.core.quality import BAD, INVALID, pack

_ATTENUATION = {0: "ATTN_0DB", 2: "ATTN_2_5DB", 6: "ATTN_6DB", 11: "ATTN_11DB"}
_MILLION = 1000000
_NO_REFERENCE = pack(BAD, INVALID)


class AnalogInput:
    """`spec`: ["adc", gpio, attenuation dB, samples, point, reference gpio or -1, low_uv, high_uv, table, number].

    low_uv, high_uv: faults outside of them, see curve.fault. `table` is in microvolts, or in millionths of what the reference has.
    `calibrations`: what was set on the spot; it goes before the table.
    """

    def __init__(self, spec, calibrations):
        (
            _,
            gpio,
            decibel,
            self._samples,
            self.point,
            reference,
            self._low_uv,
            self._high_uv,
            self._table,
            self._number,
        ) = spec
        attenuation = getattr(ADC, _ATTENUATION[decibel])
        self._adc = ADC(Pin(gpio), atten=attenuation)
        self._reference = ADC(Pin(reference), atten=attenuation) if reference >= 0 else None
        self.calibrations = calibrations

    def measure(self):
        """(x, quality byte): the mean of some conversions. The reference is measured in between: both see the same moment."""
        total = reference = 0
        for _ in range(self._samples):
            total += self._adc.read_uv()
            if self._reference:
                reference += self._reference.read_uv()
        uv = divide_half_even(total, self._samples)
        quality_byte = curve.fault(uv, self._low_uv, self._high_uv)
        if quality_byte or not self._reference:
            return uv, quality_byte
        if not reference:
            return 0, _NO_REFERENCE
        return divide_half_even(total * _MILLION, reference), 0

    def raw(self):
        """One conversion, 0 to 65535 at the end of what the converter can see."""
        return self._adc.read_u16()

    def read(self):
        """(mantissa, quality byte)."""
        x, quality_byte = self.measure()
        if quality_byte:
            return 0, quality_byte
        return curve.value(self.calibrations.table(self._number) or self._table, x)

    def calibrate(self, mantissa):
        """What is before the sensor now has this value: see Calibrations.calibrate. Raises SettingError(reason) without a signal."""
        x, quality_byte = self.measure()
        if quality_byte:
            raise SettingError(quality_byte & 63)
        return self.calibrations.calibrate(self._number, x, mantissa)

    def calibration(self):
        """What was calibrated on the spot: up to two (x, mantissa)."""
        return self.calibrations.points(self._number)

    def forget_calibration(self):
        """Back to the table that came with the site."""
        return self.calibrations.forget(self._number)
