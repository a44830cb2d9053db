"""Is a board file possible? GPIOs that the chip has and that can do it, no two uses of one, a flash layout that fits."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.problems import Key, Problem, Source, closest
from .chips import CHIPS
from .model import Board
from .pins import lan_outputs, roles

_FIRST_PARTITION = 0x9000  # behind bootloader and partition table
_APPLICATION = 0x10000  # where the stock image has its application
_RMII = ("mdc", "mdio")
_SPI = ("sck", "mosi", "miso", "cs", "irq")


def check_board(board: Board, source: Source) -> Iterator[Problem]:
    """Every mistake found."""
    folder = source.path.resolve().parent.name
    if source.path.name == "board.toml" and board.name != folder:
        yield source.problem(("name",), f'name = "{board.name}", but the folder is {folder}')
    yield from _inputs(board, source)
    yield from _ports(board, source)
    yield from _outputs(board, source)
    yield from _lines(board, source)
    yield from _lan(board, source)
    yield from _twice(board, source)
    yield from _partitions(board, source)


def _inputs(board: Board, source: Source) -> Iterator[Problem]:
    for kind, allowed in (("adc", board.gpio.adc1), ("pulse", board.gpio.digital)):
        for name, gpio in getattr(board, kind).items():
            if gpio not in allowed:
                hint = closest(gpio, allowed, "usable GPIOs")
                yield source.problem((kind, name), f"GPIO {gpio} cannot be this input", hint)
    chip = CHIPS[board.chip]
    for kind, possible in (
        ("adc1", chip.adc1),
        ("adc2", chip.adc2),
        ("digital", chip.gpios - chip.flash - chip.usb - chip.input_only),
    ):
        for gpio in getattr(board.gpio, kind):
            if gpio not in possible:
                what = f"GPIO {gpio} of the {chip.title} cannot do that"
                yield source.problem(("gpio", kind), what, closest(gpio, sorted(possible), "those that can"))
    if board.counter and not chip.counters:
        yield source.problem(("counter",), f"the {chip.title} has no pulse counter", "counter = false")
    for name in board.remarks:
        if name not in {**board.adc, **board.pulse}:
            yield source.problem(("remarks", name), f"there is no input '{name}'")


def _ports(board: Board, source: Source) -> Iterator[Problem]:
    for name, port in board.ports.items():
        if port.uart >= board.uarts:
            yield source.problem(("ports", name, "uart"), f"the chip has UARTs 0 to {board.uarts - 1}")
        if port.uart == board.console.uart:
            yield source.problem(("ports", name, "uart"), f"UART {port.uart} is the console")
        for key, gpio in (("tx", port.tx), ("rx", port.rx), ("de", port.de)):
            if gpio is not None:
                yield from _usable(board, source, ("ports", name, key), gpio, output=key != "rx")


def _outputs(board: Board, source: Source) -> Iterator[Problem]:
    for name, relay in board.relays.items():
        if relay.gpio is not None:
            yield from _usable(board, source, ("relays", name), relay.gpio, output=True)
    for name, start in board.start.items():
        yield from _usable(board, source, ("start", name), start.gpio, output=True)
    if board.led:
        yield from _usable(board, source, ("led", "gpio"), board.led.gpio, output=True)
    for gpio in board.taken:
        if not gpio.isdecimal() or int(gpio) not in CHIPS[board.chip].gpios:
            yield source.problem(("taken", gpio), f"'{gpio}' is no GPIO of the {CHIPS[board.chip].title}")


def _usable(board: Board, source: Source, key: Key, gpio: int, output: bool) -> Iterator[Problem]:
    chip = CHIPS[board.chip]
    if gpio not in chip.gpios:
        yield source.problem(key, f"the {chip.title} has no GPIO {gpio}")
    elif gpio in chip.flash:
        yield source.problem(key, f"GPIO {gpio} is wired to the flash inside the module")
    elif output and gpio in chip.input_only:
        yield source.problem(key, f"GPIO {gpio} of the {chip.title} is an input only", "an output needs another pin")


def _lines(board: Board, source: Source) -> Iterator[Problem]:
    for kind in ("relays", "inputs"):
        for name, line in getattr(board, kind).items():
            behind = line.kind == "expander"
            if behind != bool(line.expander) or behind == (line.gpio is not None):
                what = "an expander has 'expander' and 'bit', and no 'gpio'" if behind else "'gpio' is missing"
                yield source.problem((kind, name), what, 'kind = "expander", expander = "PCF8574 0x24", bit = 0')


def _lan(board: Board, source: Source) -> Iterator[Problem]:
    lan, chip = board.lan, CHIPS[board.chip]
    if lan is None:
        return
    by_spi = lan.phy == "W5500"
    if not by_spi and not chip.rmii:
        what = f"a {lan.phy} needs an Ethernet MAC, and the {chip.title} has none"
        yield source.problem(("lan", "phy"), what, 'phy = "W5500", on SPI')
        return
    for name in _SPI if by_spi else _RMII:
        if getattr(lan, name) is None:
            yield source.problem(("lan", name), f"'{name}' is missing", f"the GPIO of {name.upper()} at the {lan.phy}")
    for name in _RMII if by_spi else _SPI:
        if getattr(lan, name) is not None:
            yield source.problem(("lan", name), f"a {lan.phy} has no {name.upper()}", "remove it")
    if lan.ref_clk is not None and lan.ref_clk not in chip.ref_clk:
        what = f"the 50 MHz clock cannot be on GPIO {lan.ref_clk}"
        yield source.problem(("lan", "ref_clk"), what, closest("", sorted(chip.ref_clk), "GPIOs for it"))
    named = [getattr(lan, name) for name in (*_RMII, *_SPI, "power", "ref_clk", "reset")]
    needed = {gpio for gpio in named if gpio is not None} | (set() if by_spi else set(chip.rmii))
    for gpio in sorted(needed - set(lan.pins)):
        yield source.problem(("lan", "pins"), f"GPIO {gpio} belongs to the Ethernet, but is not in the list")
    for gpio in lan_outputs(lan):
        yield from _usable(board, source, ("lan", "pins"), gpio, output=True)


def _twice(board: Board, source: Source) -> Iterator[Problem]:
    found: dict[int, str] = {}
    for gpio, what in roles(board):
        if gpio in found:
            yield source.problem((), f"GPIO {gpio} is given to {found[gpio]} and to {what}", "one of the two is wrong")
        found.setdefault(gpio, what)
    for kind in ("adc1", "digital"):
        for gpio in getattr(board.gpio, kind):
            if gpio in found:
                yield source.problem(("gpio", kind), f"GPIO {gpio} is not free: it belongs to {found[gpio]}")


def _partitions(board: Board, source: Source) -> Iterator[Problem]:
    if board.flash_bytes & (board.flash_bytes - 1):
        what = f"no flash has {board.flash_bytes} bytes: their sizes are powers of two"
        yield source.problem(("flash_bytes",), what, "4 MiB are 4_194_304")
    for name in ("vfs", "journal"):
        if name not in board.partitions:
            yield source.problem(("partitions",), f"there is no partition '{name}'")
    application = board.partitions.get("factory")
    if application and application.offset != _APPLICATION:
        what = f"the application of a stock image lies at {_APPLICATION:#x}, not at {application.offset:#x}"
        yield source.problem(("partitions", "factory", "offset"), what)
    end, before = _FIRST_PARTITION, "the partition table"
    for name, part in sorted(board.partitions.items(), key=lambda item: item[1].offset):
        if part.offset < end:
            yield source.problem(("partitions", name, "offset"), f"partition '{name}' overlaps {before}")
        end, before = part.offset + part.size, f"partition '{name}'"
    if end > board.flash_bytes:
        yield source.problem(("partitions",), f"{before} ends beyond the flash of {board.flash_bytes} bytes")
