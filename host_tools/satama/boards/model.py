"""What a board file holds: pins, ports, flash layout, quirks and costs, each with its source."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.name import Name
from ..core.problems import Strict
from .chips import CHIPS, ChipName

FLASH_BLOCK = 4096
GENERIC = {"esp32": "ESP32_GENERIC", "esp32s3": "ESP32_GENERIC_S3", "esp32c3": "ESP32_GENERIC_C3"}

GpioNumber = Annotated[int, Field(ge=0, le=48)]
Level = Literal[0, 1]


class Port(Strict):
    """A serial port: its GPIOs and number of the UART. An RS-485 transceiver's direction is driven by `de`."""

    kind: Literal["rs485", "ttl"] = Field("rs485", description="rs485: behind a transceiver; ttl: the bare pins")
    uart: int = Field(ge=0, le=2)
    tx: GpioNumber
    rx: GpioNumber
    de: GpioNumber | None = Field(None, description="left out where the transceiver finds its direction itself")
    terminals: str = Field("", description='what is printed there, e.g. "A, B"')
    transceiver: str = Field("", description="the part; empty: not on the board")
    remark: str = ""


class Console(Strict):
    """Where the console speaks, and how a tool gets the chip into its ROM loader there."""

    uart: int = Field(ge=0, le=2)
    baud: int = Field(ge=9600, le=921600)
    tx: GpioNumber | None = None
    rx: GpioNumber | None = None
    usb: Literal["bridge", "native", "none"] = Field(
        "bridge", description="bridge: a USB-UART chip; native: the chip's own USB-Serial-JTAG; none: a pin header"
    )
    via: str = Field("", description="the bridge's part, or what to plug in")
    reset: Literal["classic", "usb-jtag", "by-hand"] = Field(
        "classic",
        description="classic: DTR and RTS by two transistors; usb-jtag: by the USB block; by-hand: BOOT button",
    )


class Partition(Strict):
    """One entry of the partition table, in bytes; type and subtype as in ESP-IDF."""

    type: int = Field(ge=0, le=255)
    subtype: int = Field(ge=0, le=255)
    offset: int = Field(ge=0, multiple_of=FLASH_BLOCK)
    size: int = Field(gt=0, multiple_of=FLASH_BLOCK)


class Lan(Strict):
    """Ethernet: a PHY on the chip's own MAC (mdc, mdio, clock), or a W5500 on SPI (sck, mosi, miso, cs, irq)."""

    phy: Literal["LAN8710", "LAN8720", "W5500"]
    phy_addr: int = Field(ge=0, le=31)
    pins: list[GpioNumber] = Field(description="all GPIOs that it takes")
    fitted: bool = Field(False, description="on the board itself, so that its pins are never free")
    power: GpioNumber | None = Field(None, description="switches the PHY or its oscillator on")
    mdc: GpioNumber | None = None
    mdio: GpioNumber | None = None
    ref_clk: GpioNumber | None = Field(None, description="of the 50 MHz clock; left out: as in the firmware's build")
    ref_clk_mode: Literal["in", "out"] | None = None
    spi: Literal[1, 2] = 1
    sck: GpioNumber | None = None
    mosi: GpioNumber | None = None
    miso: GpioNumber | None = None
    cs: GpioNumber | None = None
    irq: GpioNumber | None = None
    reset: GpioNumber | None = None
    remark: str = ""


class Line(Strict):
    """A relay's output, or an input that is no GPIO of the chip."""

    kind: Literal["gpio", "expander"] = "gpio"
    gpio: GpioNumber | None = None
    expander: str = Field("", description='the part and its address, e.g. "PCF8574 0x24"; the firmware drives none yet')
    bit: int | None = Field(None, ge=0, le=15)
    on: Level = Field(1, description="level that switches it on; for an input: that it has when its contact is closed")


class StartLevel(Strict):
    """An output that must have a level before anything on the board works."""

    gpio: GpioNumber
    level: Level
    remark: str = Field(min_length=1, description="what it switches")


class Led(Strict):
    """The status LED."""

    gpio: GpioNumber
    kind: Literal["plain", "ws2812"] = "plain"
    on: Level = 1


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
    chip: ChipName
    module: str = Field("", description="the module on it, e.g. ESP32-WROOM-32E-N4")
    flash_bytes: int = Field(gt=0, multiple_of=1 << 20)
    psram_bytes: int = Field(0, ge=0)
    octal_psram: bool = False
    firmware: str | None = Field(
        None, description="name of the stock MicroPython build; left out: the chip's generic one"
    )
    firmware_also: list[str] = Field([], description="other stock builds that run on it")
    counter: bool = Field(description="whether the chip counts pulses in hardware (PCNT)")
    uarts: int = Field(ge=1, le=3)
    uart_fifo_bytes: int = Field(128, gt=0)
    uart_rxbuf_bytes: int = Field(256, gt=0)
    scheduler_tick_ms: int = Field(10, gt=0)
    sources: list[str] = Field(min_length=1)
    unverified: list[str] = Field([], description="what no source says for certain: check it on the board")
    quirks: list[str] = Field([], description="what a technician has to know")
    console: Console
    ports: dict[str, Port]
    adc: dict[str, int]
    pulse: dict[str, int]
    remarks: dict[str, str] = Field({}, description="[remarks] about inputs, by their names")
    relays: dict[str, Line] = {}
    inputs: dict[str, Line] = Field({}, description="inputs behind an expander")
    start: dict[str, StartLevel] = {}
    led: Led | None = None
    taken: dict[str, str] = Field({}, description='[taken] other GPIOs in use on the board: "2" = "microSD card"')
    gpio: Gpio
    lan: Lan | None = None
    partitions: dict[str, Partition]
    costs: Costs

    @property
    def firmware_name(self) -> str:
        """The stock MicroPython build for it, as its download is called, e.g. ESP32_GENERIC_S3-SPIRAM_OCT."""
        return self.firmware or GENERIC[self.chip]

    @property
    def firmware_names(self) -> list[str]:
        """That, and others that run on it."""
        return [self.firmware_name, *self.firmware_also]

    @property
    def lacks(self) -> tuple[str, ...]:
        """What the chip does not have, in sentences."""
        return CHIPS[self.chip].lacks
