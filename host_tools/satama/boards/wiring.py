"""The wiring of a board as rows that a technician can hold against its terminals."""

from collections.abc import Iterator
from typing import NamedTuple

from .model import Board, Lan, Line, Port


class Row(NamedTuple):
    """One terminal or part of the board. `gpio`: numbers as text, empty where it hangs on no GPIO."""

    terminal: str
    gpio: str
    function: str
    remark: str


def wiring(board: Board) -> list[Row]:
    """All of it: ports, inputs, relays, Ethernet, console, and what else is on a GPIO."""
    return [*_ports(board), *_inputs(board), *_outputs(board), *_rest(board)]


def terminal_of(board: Board, gpio: int) -> str:
    """What a technician calls this GPIO: the terminal's name, with what is printed there; "GPIO 4" where it has no name."""
    names = {**{pin: name for name, pin in board.adc.items()}, **{pin: name for name, pin in board.pulse.items()}}
    name = names.get(gpio)
    if name is None:
        return f"GPIO {gpio}"
    return f"{name} (GPIO {gpio})"


def direction(port: Port) -> str:
    """How the transceiver learns that the gateway sends."""
    if port.kind == "ttl":
        return "no transceiver"
    if port.de is not None:
        return f"direction by GPIO {port.de}, high while sending"
    return "direction by itself"


def _ports(board: Board) -> Iterator[Row]:
    for name, port in board.ports.items():
        pins = f"TX {port.tx}, RX {port.rx}" + (f", DE {port.de}" if port.de is not None else "")
        what = f"RS-485, UART {port.uart}" if port.kind == "rs485" else f"bare serial pins, UART {port.uart}"
        part = port.transceiver or ("a transceiver of one's own" if port.kind == "rs485" else "")
        remarks = [part, direction(port) if port.kind == "rs485" else "", port.remark]
        terminals = f'port "{name}"' + (f": {port.terminals}" if port.terminals else "")
        yield Row(terminals, pins, what, "; ".join(filter(None, remarks)))


def _inputs(board: Board) -> Iterator[Row]:
    for name, gpio in board.adc.items():
        yield Row(name, str(gpio), "analogue input", board.remarks.get(name, ""))
    for name, gpio in board.pulse.items():
        counted = "pulse input" if board.counter else "pulse input, by interrupt"
        yield Row(name, str(gpio), counted, board.remarks.get(name, ""))
    for name, line in board.inputs.items():
        yield Row(name, "", "input", _behind(line))


def _outputs(board: Board) -> Iterator[Row]:
    for name, line in board.relays.items():
        gpio = "" if line.gpio is None else str(line.gpio)
        yield Row(name, gpio, "relay or output", _behind(line) or f"on when {'high' if line.on else 'low'}")
    for name, start in board.start.items():
        level = "high" if start.level else "low"
        yield Row(name, str(start.gpio), "set at the start", f"{level}: {start.remark}")


def _behind(line: Line) -> str:
    if line.kind == "gpio":
        return ""
    return f"{line.expander}, bit {line.bit}: not driven by the firmware yet"


def _rest(board: Board) -> Iterator[Row]:
    if board.lan:
        yield Row("Ethernet", ", ".join(map(str, board.lan.pins)), _phy(board.lan), _how(board.lan))
    console = board.console
    pins = f"TX {console.tx}, RX {console.rx}" if console.tx is not None else ""
    yield Row("console", pins, f"UART {console.uart} at {console.baud} baud", reset_manner(board))
    if board.led:
        kind = "RGB (WS2812)" if board.led.kind == "ws2812" else f"on when {'high' if board.led.on else 'low'}"
        yield Row("LED", str(board.led.gpio), "status LED", kind)
    for gpio, what in sorted(board.taken.items(), key=lambda item: int(item[0])):
        yield Row("-", gpio, "not free", what)


def _phy(lan: Lan) -> str:
    return f"{lan.phy} on SPI {lan.spi}" if lan.sck is not None else f"{lan.phy}, address {lan.phy_addr}"


def _how(lan: Lan) -> str:
    facts = [] if lan.fitted else ["not on the board"]
    if lan.sck is not None:
        facts.append(f"SCK {lan.sck}, MOSI {lan.mosi}, MISO {lan.miso}, CS {lan.cs}, INT {lan.irq}, RESET {lan.reset}")
    else:
        facts.append(f"MDC {lan.mdc}, MDIO {lan.mdio}")
    if lan.power is not None:
        facts.append(f"power {lan.power}")
    if lan.ref_clk is not None:
        facts.append(f"50 MHz {'from' if lan.ref_clk_mode == 'out' else 'into'} GPIO {lan.ref_clk}")
    return "; ".join([*facts, lan.remark] if lan.remark else facts)


def reset_manner(board: Board) -> str:
    """How a tool gets the chip into its ROM loader, in a technician's words."""
    manners = {
        "classic": "a tool resets it by DTR and RTS",
        "usb-jtag": "a tool resets it by the chip's own USB",
        "by-hand": "by hand: hold BOOT (IO0 to GND) while it is reset or switched on",
    }
    via = f"{board.console.via}; " if board.console.via else ""
    return via + manners[board.console.reset]
