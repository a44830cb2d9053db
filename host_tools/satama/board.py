"""Supported boards: boards/<name>/board.toml with pins, ports, flash layout and quirks, each with its source."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from . import places
from .problems import Problem, Problems, Source, Strict, Wrong, closest
from .profile_values import Name

FLASH_BLOCK = 4096


class Port(Strict):
    """A serial port: its GPIOs and number of the UART. An RS-485 transceiver's direction is driven by `de`."""

    kind: Literal["rs485", "ttl"] = Field("rs485", description="rs485: behind a transceiver; ttl: the bare pins")
    uart: int = Field(ge=0, le=2)
    tx: int = Field(ge=0, le=48)
    rx: int = Field(ge=0, le=48)
    de: int | None = Field(None, ge=0, le=48, description="left out where the transceiver finds its direction itself")


class Console(Strict):
    """Where the console speaks."""

    uart: int = Field(ge=0, le=2)
    baud: int = Field(ge=9600, le=921600)


class Partition(Strict):
    """One entry of the partition table, in bytes; type and subtype as in ESP-IDF."""

    type: int = Field(ge=0, le=255)
    subtype: int = Field(ge=0, le=255)
    offset: int = Field(ge=0, multiple_of=FLASH_BLOCK)
    size: int = Field(gt=0, multiple_of=FLASH_BLOCK)


class Lan(Strict):
    """Ethernet by the chip's own MAC: the PHY, its management pins, and all GPIOs that it takes."""

    phy: Literal["LAN8720"]
    mdc: int = Field(ge=0, le=48)
    mdio: int = Field(ge=0, le=48)
    phy_addr: int = Field(ge=0, le=31)
    pins: list[int]


class Gpio(Strict):
    """What the chip's GPIOs can do, for those who name a pin by its number."""

    adc1: list[int] = Field(description="usable analogue inputs")
    adc2: list[int] = Field(description="unusable: ADC2 belongs to Wi-Fi, or the chip's driver dropped it")
    digital: list[int] = Field(description="free for a pulse input")
    adc_linear_uv: list[int] = Field(
        description="[lowest, highest] microvolts read well at 11 dB", min_length=2, max_length=2
    )


class Costs(Strict):
    """Microseconds that the board is busy with something; see each board file for measured and judged figures."""

    pin_us: int = Field(ge=0, description="change a pin")
    uart_write_us: int = Field(ge=0, description="hand a frame to the UART")
    flash_erase_us: int = Field(ge=0, description="erase 4 KiB")
    flash_program_us: int = Field(ge=0, description="program a page of 256 bytes")
    flash_read_us: int = Field(ge=0, description="read 4 KiB")
    tls_handshake_us: int = Field(ge=0, description="one TLS handshake")
    task_step_us: int = Field(ge=0, description="one step of a task")
    gc_us: int = Field(ge=0, description="one garbage collection")
    adc_us: int = Field(ge=0, description="one ADC reading")
    socket_us: int = Field(ge=0, description="one socket call")


class Board(Strict):
    """One board. `adc` and `pulse` give names (as printed on a cabinet's terminals) to GPIOs."""

    name: Name
    title: str = Field(description="what it is called in a shop")
    chip: Literal["esp32", "esp32s3", "esp32c3"]
    flash_bytes: int = Field(gt=0, multiple_of=1 << 20)
    counter: bool = Field(description="whether the chip counts pulses in hardware (PCNT)")
    uarts: int = Field(ge=1, le=3)
    uart_fifo_bytes: int = Field(128, gt=0)
    uart_rxbuf_bytes: int = Field(256, gt=0)
    scheduler_tick_ms: int = Field(10, gt=0)
    sources: list[str] = Field(min_length=1)
    console: Console
    ports: dict[str, Port]
    adc: dict[str, int]
    pulse: dict[str, int]
    gpio: Gpio
    lan: Lan | None = None
    partitions: dict[str, Partition]
    costs: Costs

    def find_input(self, interface: str, pin: str | int | None, key: str = "pin") -> int:
        """The GPIO of an input named or numbered `pin` for an "analog" or "pulse" profile; `key` is what the site file
        calls it. Raises Wrong."""
        kinds = {"analog": ("ADC", self.adc, self.gpio.adc1), "pulse": ("pulse", self.pulse, self.gpio.digital)}
        kind, named, usable = kinds.pop(interface)
        [(other_kind, other, _)] = kinds.values()
        names = f"{kind} inputs of {self.name}"
        if pin is None:
            raise Wrong(
                f"'{key}' is missing: the device needs one of the board's {kind} inputs", closest("", named, names)
            )
        if isinstance(pin, str):
            if pin in named:
                return named[pin]
            if pin in other:
                what = (
                    f'{key} = "{pin}" is one of the {other_kind} inputs, but the device needs one of the {kind} inputs'
                )
                raise Wrong(what, closest("", named, names))
            raise Wrong(f'the board {self.name} has no {kind} input "{pin}"', closest(pin, named, names))
        if pin in usable:
            return pin
        choices = f"by name: {', '.join(named)}; by number: {', '.join(map(str, usable))}"
        if kind == "ADC" and pin in self.gpio.adc2:
            raise Wrong(f"GPIO {pin} belongs to ADC2, which does not work beside Wi-Fi", choices)
        raise Wrong(f"GPIO {pin} of the board {self.name} cannot be one of the {kind} inputs", choices)


def list_boards() -> list[str]:
    """Names of the boards that come with Satama, sorted."""
    return sorted(path.parent.name for path in places.BOARDS.glob("*/board.toml"))


def load_board(name_or_path: str | Path, base: Path | None = None) -> Board:
    """A board by name, or by the path of its file or folder relative to `base`. Raises Problems."""
    text = str(name_or_path)
    if "/" in text or text.endswith(".toml"):
        path = (base or Path()) / text
        path = path if path.suffix == ".toml" else path / "board.toml"
    else:
        path = places.BOARDS / text / "board.toml"
        if not path.exists():
            what = f"there is no board named '{text}'"
            raise Problems([Problem(path, None, "", what, closest(text, list_boards(), "boards"))])
    source = Source.read(path, "board file")
    board = source.parse(Board)
    problems = list(_check(board, source))
    if problems:
        raise Problems(problems)
    return board


def _check(board: Board, source: Source) -> Iterator[Problem]:
    if source.path.name == "board.toml" and board.name != source.path.resolve().parent.name:
        yield source.problem(("name",), f'name = "{board.name}", but the folder is {source.path.resolve().parent.name}')
    for kind, allowed in (("adc", board.gpio.adc1), ("pulse", board.gpio.digital)):
        for name, gpio in getattr(board, kind).items():
            if gpio not in allowed:
                yield source.problem(
                    (kind, name), f"GPIO {gpio} cannot be this input", closest(gpio, allowed, "usable GPIOs")
                )
    for name, port in board.ports.items():
        if port.uart >= board.uarts:
            yield source.problem(("ports", name, "uart"), f"the chip has UARTs 0 to {board.uarts - 1}")
        if port.uart == board.console.uart:
            yield source.problem(("ports", name, "uart"), f"UART {port.uart} is the console")
    for name in ("vfs", "journal"):
        if name not in board.partitions:
            yield source.problem(("partitions",), f"there is no partition '{name}'")
    end, before = 0x9000, "the partition table"
    for name, part in sorted(board.partitions.items(), key=lambda item: item[1].offset):
        if part.offset < end:
            yield source.problem(("partitions", name, "offset"), f"partition '{name}' overlaps {before}")
        end, before = part.offset + part.size, f"partition '{name}'"
    if end > board.flash_bytes:
        yield source.problem(("partitions",), f"{before} ends beyond the flash of {board.flash_bytes} bytes")
