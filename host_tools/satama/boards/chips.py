"""What the chips of the ESP32 family can do with their GPIOs, whatever the board around them.

Sources: ESP-IDF Programming Guide, "GPIO & RTC GPIO", "Pulse Counter" and "Ethernet"; data sheets of ESP32, ESP32-S3 and ESP32-C3
("Strapping Pins", "Pin Overview"); MicroPython ports/esp32 (adc.c: ADC2 beside Wi-Fi).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ChipName = Literal["esp32", "esp32s3", "esp32c3"]


@dataclass(frozen=True)
class Chip:
    """One chip. Sets of GPIO numbers; `lacks`: what boards with it cannot have, in sentences."""

    title: str
    gpios: frozenset[int]
    adc1: frozenset[int]
    adc2: frozenset[int]
    strapping: frozenset[int]  # their level at a reset decides how the chip starts
    flash: frozenset[int]  # wired to the flash inside the module
    usb: frozenset[int] = frozenset()
    input_only: frozenset[int] = frozenset()  # neither output nor pull resistors
    psram: frozenset[int] = frozenset()  # taken in modules with (at the S3: octal) PSRAM
    counters: int = 0  # PCNT units
    rmii: frozenset[int] = frozenset()  # fixed pins of its Ethernet MAC; empty: it has none
    ref_clk: frozenset[int] = frozenset()  # pins on which the MAC's 50 MHz clock can be
    lacks: tuple[str, ...] = ()


CHIPS = MappingProxyType(
    {
        "esp32": Chip(
            "ESP32",
            gpios=frozenset([*range(24), 25, 26, 27, *range(32, 40)]) - {20},
            adc1=frozenset(range(32, 40)),
            adc2=frozenset([0, 2, 4, 12, 13, 14, 15, 25, 26, 27]),
            strapping=frozenset([0, 2, 5, 12, 15]),
            flash=frozenset(range(6, 12)),
            input_only=frozenset(range(34, 40)),
            psram=frozenset([16, 17]),
            counters=8,
            rmii=frozenset([19, 21, 22, 25, 26, 27]),
            ref_clk=frozenset([0, 16, 17]),
            lacks=("It has no USB of its own: the console is a UART behind a bridge.",),
        ),
        "esp32s3": Chip(
            "ESP32-S3",
            gpios=frozenset([*range(22), *range(26, 49)]),
            adc1=frozenset(range(1, 11)),
            adc2=frozenset(range(11, 21)),
            strapping=frozenset([0, 3, 45, 46]),
            flash=frozenset(range(26, 33)),
            usb=frozenset([19, 20]),
            psram=frozenset(range(33, 38)),
            counters=4,
            lacks=("It has no Ethernet MAC: Ethernet needs a chip on SPI, such as a W5500.",),
        ),
        "esp32c3": Chip(
            "ESP32-C3",
            gpios=frozenset(range(22)),
            adc1=frozenset(range(5)),
            adc2=frozenset([5]),
            strapping=frozenset([2, 8, 9]),
            flash=frozenset(range(11, 18)),
            usb=frozenset([18, 19]),
            lacks=(
                "It has no pulse counter (PCNT): pulses are counted by interrupt, so only slow ones are safe.",
                "It has no Ethernet MAC: Ethernet needs a chip on SPI, such as a W5500.",
                "Its ADC2 was given up by the driver.",
            ),
        ),
    }
)
