"""Which GPIO of a board is spoken for, and why one cannot be the input that somebody wants it to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .chips import CHIPS

if TYPE_CHECKING:
    from .board import Board, Lan, Port


def roles(board: Board) -> list[tuple[int, str]]:
    """(GPIO, what it is wired to) for all that is on the board itself. A GPIO that stands twice is a mistake of the board file."""
    return list(_roles(board))


def _roles(board: Board) -> Iterator[tuple[int, str]]:
    console = board.console
    for gpio in (console.tx, console.rx):
        if gpio is not None:
            yield gpio, "the console"
    for name, port in board.ports.items():
        if port.transceiver:
            yield from ((gpio, f"port '{name}'") for gpio in port_pins(port))
    if board.lan and board.lan.fitted:
        yield from ((gpio, "the Ethernet of the board") for gpio in board.lan.pins)
    for name, relay in board.relays.items():
        if relay.gpio is not None:
            yield relay.gpio, f"relay {name}"
    for name, start in board.start.items():
        yield start.gpio, f"{name} ({start.remark})"
    if board.led:
        yield board.led.gpio, "the status LED"
    for gpio, what in board.taken.items():
        if gpio.isdecimal():  # what is no number, rules.py tells
            yield int(gpio), what


def port_pins(port: Port) -> list[int]:
    """The GPIOs that a port takes once a bus is on it."""
    return [gpio for gpio in (port.tx, port.rx, port.de) if gpio is not None]


def lan_outputs(lan: Lan) -> list[int]:
    """GPIOs that the chip drives for the Ethernet."""
    named = [lan.power, lan.mdc, lan.sck, lan.mosi, lan.cs, lan.reset]
    return [gpio for gpio in named if gpio is not None]


def why_not(board: Board, interface: str, gpio: int) -> str:
    """Why this GPIO cannot be an "analog" or "pulse" input of the board; empty when it just is not brought out."""
    chip = CHIPS[board.chip]
    if gpio not in chip.gpios:
        return f"the {chip.title} has no GPIO {gpio}"
    if gpio in chip.flash:
        return "it is wired to the flash inside the module"
    if board.psram_bytes and gpio in chip.psram and (board.octal_psram or board.chip == "esp32"):
        return "it is wired to the PSRAM inside the module"
    for taken, what in roles(board):
        if taken == gpio:
            return f"it belongs to {what}"
    if gpio in chip.usb:
        return "it is a line of the chip's USB"
    if interface == "analog" and gpio in board.gpio.adc2:
        return "it belongs to ADC2, which does not work beside Wi-Fi"
    if interface == "analog" and gpio not in chip.adc1:
        return "it has no analogue-to-digital converter"
    if interface == "pulse" and gpio in chip.input_only:
        return "it has no pull-up resistor inside, which a contact needs"
    if gpio in chip.strapping:
        return "its level at a reset decides how the chip starts (strapping pin)"
    return ""
