"""What tests of flashing share: stock files as MicroPython builds them, boards, a chip behind a port."""

import hashlib
import struct
from functools import cache
from pathlib import Path

from satama.boards.board import Board, load_board
from satama.compiling.compiler import Compiled, compile_site
from satama.core.progress import Reporter
from satama_sim.board.flash import NorFlash
from satama_sim.chip.chip import Chip
from satama_sim.chip.image_format import xor_all
from satama_sim.chip.stock import stock_image

MAC = bytes.fromhex("240ac4123456")
APP_AT = {"esp32": 0xF000, "esp32s3": 0x10000, "esp32c3": 0x10000}  # in the file
_DESCRIPTION_BYTES = 256

SITE = """
[site]
name = "lab"
gateway = "{gateway}"
board = "{board}"

[network]
kind = "wifi"
ssid = "lab"
password = "not-a-secret"
ntp = ["ntp.lab.example"]

[mqtt]
host = "broker.lab.example"
port = 1883
insecure = true

[[bus]]
id = "rs485"
kind = "modbus-rtu"
port = "rs485"
baud = 9600
parity = "N"
stop_bits = 1

[[device]]
id = "meter"
profile = "eastron-sdm120"
bus = "rs485"
unit = 1
period_s = 60
"""


def seal(image: bytes) -> bytes:
    """Checksum and SHA-256 of an image as its bytes are now."""
    at, parity = 24, 0xEF
    for _ in range(image[1]):
        (size,) = struct.unpack_from("<I", image, at + 4)
        parity ^= xor_all(image[at + 8 : at + 8 + size])
        at += 8 + size
    end = (at + 16) & ~15
    body = image[: end - 1] + bytes([parity])
    return body + hashlib.sha256(body).digest()


@cache
def stock(chip: str = "esp32", version: str = "v1.26.1", greeting: str | None = None, **options: int) -> bytes:
    """As MicroPython builds it: no name and no version in the description, but a greeting in the program text."""
    whole = stock_image(chip, "", project="", **options)
    start = APP_AT[chip]
    text = f"3.4.0; MicroPython {version} on 2025-09-11" if greeting is None else greeting
    at = start + 24 + 8 + _DESCRIPTION_BYTES
    app = whole[start:at] + text.encode() + b"\0" + whole[at + len(text) + 1 :]
    return whole[:start] + seal(app)


@cache
def compiled_site(folder: Path, board: str = "esp32-devkit", gateway: str = "box-1") -> Compiled:
    """A small site with one meter."""
    path = folder / f"{board}-{gateway}.toml"
    path.write_text(SITE.format(board=board, gateway=gateway))
    return compile_site(path)


def board_of(compiled: Compiled) -> Board:
    return load_board(compiled.board.name)


def chip_for(kind: str, flash: NorFlash, **options: object) -> Chip:
    return Chip(kind, flash, MAC, **options)  # type: ignore[arg-type]


class Record(Reporter):
    """Keeps what a flash tells; `interrupt_at`: a step in which somebody presses Ctrl-C."""

    def __init__(self, interrupt_at: str = "") -> None:
        self.steps: list[str] = []
        self.events: list[dict] = []
        self.said: list[str] = []
        self.interrupt_at = interrupt_at

    def say(self, text: str) -> None:
        self.said.append(text)

    def event(self, name: str, **about: object) -> None:
        self.events.append({"event": name, **about})

    def step(self, name: str, of: int = 0):  # type: ignore[no-untyped-def]
        record = self

        class Step:
            def __enter__(self) -> "Step":
                record.steps.append(name)
                if name == record.interrupt_at and not of:
                    raise KeyboardInterrupt
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def to(self, done: int, of: int | None = None) -> None:
                if name == record.interrupt_at:
                    raise KeyboardInterrupt

        return Step()
