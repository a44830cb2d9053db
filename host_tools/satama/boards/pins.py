"""Which GPIO of a board is spoken for, which one an input is, and why another cannot be that."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.problems import Wrong, closest
from .chips import CHIPS
from .model import Board, Lan, Port


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


def find_input(board: Board, interface: str, pin: str | int | None, key: str = "pin") -> int:
    """The GPIO of the board's input named or numbered `pin` for an "analog" or "pulse" profile; `key` is what the site file
    calls it. Raises Wrong."""
    kinds = {"analog": ("ADC", board.adc, board.gpio.adc1), "pulse": ("pulse", board.pulse, board.gpio.digital)}
    kind, named, usable = kinds.pop(interface)
    [(other_kind, other, _)] = kinds.values()
    names = f"{kind} inputs of {board.name}"
    if pin is None:
        raise Wrong(f"'{key}' is missing: the device needs one of the board's {kind} inputs", closest("", named, names))
    if isinstance(pin, str):
        if pin in named:
            return named[pin]
        if pin in other:
            what = f'{key} = "{pin}" is one of the {other_kind} inputs, but the device needs one of the {kind} inputs'
            raise Wrong(what, closest("", named, names))
        if pin in board.inputs:
            expander = board.inputs[pin].expander
            what = f"input {pin} hangs on a port expander ({expander}), which the firmware does not read yet"
            raise Wrong(what, closest("", named, names))
        raise Wrong(f'the board {board.name} has no {kind} input "{pin}"', closest(pin, named, names))
    if pin in usable:
        return pin
    choices = [f"by name: {', '.join(named)}"] if named else []
    choices += [f"by number: {', '.join(map(str, usable))}"] if usable else []
    what = f"GPIO {pin} of the board {board.name} cannot be one of the {kind} inputs"
    why = why_not(board, interface, pin)
    hint = "; ".join(choices) or f"a board with {kind} inputs: satama boards"
    raise Wrong(f"{what}: {why}" if why else what, hint)


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
