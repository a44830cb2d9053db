"""How DTR and RTS of the host reset the chip.

Rules without times: over RFC 2217 each change takes tens of milliseconds, so nothing of the circuit's capacitors is modelled.
"""

from __future__ import annotations

from .chip import Chip


class Lines:
    """The serial port that pyserial's RFC 2217 `PortManager` drives: settings, DTR, RTS. All lines off at the start.

    usb_jtag False   the two-transistor circuit of boards with a USB-UART bridge: RTS without DTR holds the chip in reset;
                     let go, it starts, in download mode when DTR is on by then
    usb_jtag True    the chip's own USB: DTR without RTS asks for download mode, both off take that back, RTS without DTR
                     resets
    """

    bytesize = 8
    parity = "N"
    stopbits: float = 1
    xonxoff = rtscts = dsrdtr = break_condition = False
    cts = dsr = True
    ri = cd = False

    def __init__(self, chip: Chip, usb_jtag: bool):
        self.chip = chip
        self.usb_jtag = usb_jtag
        self.baudrate = 115200
        self._dtr = self._rts = False
        self._held = False
        self._asked = False

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, on: bool) -> None:
        self._change(on, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._change(self._dtr, on)

    def drop(self) -> None:
        """The host has closed the port: both lines go off at once."""
        self._change(False, False)

    def reset_input_buffer(self) -> None:
        pass

    def reset_output_buffer(self) -> None:
        pass

    def _change(self, dtr: bool, rts: bool) -> None:
        before = (self._dtr, self._rts)
        self._dtr, self._rts = dtr, rts
        if before == (dtr, rts):
            return
        if self.usb_jtag:
            self._usb(dtr, rts)
        else:
            self._bridge(before[1], dtr, rts)

    def _bridge(self, rts_before: bool, dtr: bool, rts: bool) -> None:
        if rts and not dtr:
            self._held = True
        elif self._held and rts_before and not rts:
            self._held = False
            self.chip.reset(download=dtr)

    def _usb(self, dtr: bool, rts: bool) -> None:
        if dtr and not rts:
            self._asked = True
        elif not dtr and not rts:
            self._asked = False
        elif rts and not dtr:
            self.chip.reset(download=self._asked)
