"""Device types: firmware/profiles/<name>.toml, the only place where a register address may stand."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..core.name import Name
from ..core.problems import Strict, Wrong
from ..core.quantities import QUANTITIES, Calibration, Kind, Number, Ratio, Span
from .values import (
    CLASSES,
    CODES_FORM,
    REGISTERS,
    Address,
    Baud,
    Bits,
    DataType,
    Interface,
    Marker,
    Obis,
    Parity,
    QuantityName,
    States,
    StopBits,
    Text,
)


class Serial(Strict):
    """Serial settings as the device leaves its factory."""

    baud: Baud = Field(description="bits per second, e.g. 9600")
    parity: Parity = Field(description='"N", "E" or "O"')
    stop_bits: StopBits = Field(description="1 or 2")
    unit: int | None = Field(
        None,
        ge=1,
        le=255,
        description="Modbus unit id, 1..247, a few devices up to 255; none where the factory sets none",
    )
    doubt: Text | None = Field(None, description="what of this is not sure, as one sentence")


class Tcp(Strict):
    """How the device is reached by Modbus TCP as it leaves its factory."""

    port: int = Field(502, ge=1, le=65535, description="TCP port, usually 502")
    unit: int | None = Field(None, ge=1, le=255, description="Modbus unit id, 1..255, e.g. 1")
    doubt: Text | None = Field(None, description="what of this is not sure, as one sentence")


class Forbidden(Strict):
    """Addresses that are never to be touched."""

    function: Literal[1, 2, 3, 4] = Field(description="Modbus read function: 1, 2, 3 or 4")
    first: Address = Field(description="first address of the range, 0..65535")
    last: Address = Field(description="last address of the range, 0..65535")

    @model_validator(mode="after")
    def _in_order(self) -> "Forbidden":
        if self.first > self.last:
            raise Wrong(f"first = {self.first} is behind last = {self.last}", "{ function = 3, first = 90, last = 99 }")
        return self


class Limits(Strict):
    """What the device bears: registers (or bits) in one read, and its timing in milliseconds."""

    max_registers: int = Field(description="most registers in one read, 1..125", ge=1, le=125)
    max_bits: int = Field(2000, description="most coils or inputs in one read, 1..2000", ge=1, le=2000)
    gap_ms: int = Field(description="silence the device wants between requests, 0..2000", ge=0, le=2000)
    turnaround_ms: int = Field(
        description="typical time from end of request to start of answer, 0..5000", ge=0, le=5000
    )
    timeout_ms: int = Field(
        description="longest time from end of request to start of answer, 10..10000", ge=10, le=10000
    )
    holes: Literal["readable", "illegal"] = Field(
        "readable",
        description="readable: a read may cross places that no point names; illegal: the device refuses that",
    )
    forbidden: list[Forbidden] = Field(
        [], max_length=16, description="never to be touched, e.g. [{ function = 3, first = 90, last = 99 }]"
    )

    @model_validator(mode="after")
    def _answers_in_time(self) -> "Limits":
        if self.turnaround_ms > self.timeout_ms:
            what = f"turnaround_ms = {self.turnaround_ms} is longer than timeout_ms = {self.timeout_ms}"
            raise Wrong(what, "e.g. turnaround_ms = 20 and timeout_ms = 500")
        return self


class Analog(Strict):
    """How the ADC reads the sensor."""

    attenuation_db: Literal[0, 6, 11] = Field(11, description="input attenuation: 0, 6 or 11 dB")
    samples: int = Field(16, ge=1, le=64, description="readings averaged for one value, 1..64")
    loop_ohm: Number | None = Field(
        None, gt=0, le=1000, description="the shunt that a 4-20 mA loop flows through, in ohm, e.g. 100"
    )
    ratiometric: bool = Field(
        False, description="true where the output is a share of the supply: x of the calibration is then in millionths"
    )


class Pulse(Strict):
    """How pulses are told from bounce."""

    edge: Literal["falling", "rising"] = Field(description="the edge that counts: falling or rising")
    debounce_ms: int = Field(0, ge=0, le=1000, description="edges closer than this are one pulse, 0..1000")
    max_hz: int = Field(ge=1, le=10000, description="highest pulse rate, 1..10000")


class Telegram(Strict):
    """How often the H1 port talks."""

    interval_s: int = Field(ge=1, le=3600, description="seconds between telegrams, e.g. 10")


class Stream(Strict):
    """The frames of a sensor that talks by itself: all of one length, each begins with `header`."""

    header: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        min_length=1, max_length=8, description="the bytes every frame begins with, e.g. [0xFF]"
    )
    length: int = Field(ge=2, le=64, description="bytes of a frame, header and checksum among them, 2..64")
    checksum: Literal["sum8"] = Field(description="sum8: the last byte is the low byte of the sum of all before it")
    interval_s: Number = Field(gt=0, le=3600, description="seconds between frames, e.g. 0.3")


class Identity(Strict):
    """How to see that it is this device that answers. One of three: a register, device identification, server id."""

    function: Literal[3, 4] | None = Field(None, description="Modbus read function: 3 or 4")
    address: Address | None = Field(None, description="0-based PDU address, 0..65535")
    type: Literal["u16", "u32", "u64", "string"] | None = Field(None, description="u16, u32, u64 or string")
    value: int | list[int] | None = Field(None, description="the number, or the list of numbers, that must stand there")
    text: Text | None = Field(None, description="how the text begins that must stand there")
    object: int | None = Field(None, ge=0, le=255, description="object id of function 43/14, 0 is the vendor's name")
    contains: Text | None = Field(None, description="what that object's text contains")
    server_id: Text | None = Field(None, description="what the answer to function 17 contains")

    @model_validator(mode="after")
    def _one_form(self) -> "Identity":
        given = self.model_fields_set
        probe = {"function", "address", "type"}
        number = self.type in ("u16", "u32", "u64")
        if given not in (probe | {"value"}, probe | {"text"}, {"object", "contains"}, {"server_id"}):
            what = f"{', '.join(sorted(given)) or 'nothing'} is no probe"
        elif given > probe and number != ("value" in given):
            what = f"type {self.type} goes with {'value' if number else 'text'}"
        else:
            return self
        raise Wrong(
            what,
            'function, address, type = "u16" and value; or function, address, type = "string" and text; '
            'or object = 0, contains = "ABB"; or server_id = "EM24"',
        )


class SunSpec(Strict):
    """The device is found by walking its SunSpec models; addresses of points count from the model's id register."""

    model: int = Field(ge=1, le=65534, description="number of the model, e.g. 103")
    bases: list[Address] = Field([40000, 0, 50000], min_length=1, max_length=8, description="where to look for SunS")


class Write(Strict):
    """What may be written: what lies in `range`, and each of `values`; both in the point's unit."""

    function: Literal[5, 6, 15, 16] = Field(description="Modbus function: 5, 15 for coils, 6, 16 for registers")
    range: Span | None = Field(None, description="[lowest, highest] that may be written, e.g. [6, 32]")
    values: list[Number] = Field([], max_length=64, description="single values that may be written, e.g. [0, 1]")

    @model_validator(mode="after")
    def _bounded(self) -> "Write":
        if self.range is None and not self.values:
            raise Wrong(
                "says nothing about what may be written", "{ function = 6, range = [0, 100] } or values = [0, 1]"
            )
        return self


class Point(Strict):
    """One value of a device. `range` and `calibration` are in the unit; `invalid` are raw bit patterns, unsigned."""

    name: Name = Field(description='short name, unique in the profile, e.g. "voltage_l1"')
    quantity: QuantityName = Field(description='what is measured, from satama.core.quantities, e.g. "voltage"')
    unit: str = Field(description='SenML unit that fits the quantity, e.g. "V"; "" where there is none')
    kind: Kind = Field("gauge", description="gauge, counter, state or text; the quantity's own if left out")
    exponent: int = Field(0, ge=-9, le=9, description="published decimal exponent; the quantity's own if left out")
    delivery: Literal["alarm", "counter", "telemetry"] | None = Field(
        None, alias="class", description="alarm, counter or telemetry; the quantity's own if left out"
    )
    range: Span | None = Field(None, description="[lowest, highest] physically possible, in the unit, e.g. [0, 300]")
    max_rate: Number | None = Field(None, gt=0, description="in the unit per second; faster is not possible, e.g. 0.5")
    rollover: Number | None = Field(
        None, gt=0, description="in the unit: where the counter begins again at 0, e.g. 1e6"
    )
    states: States = Field({}, description=CODES_FORM)
    doubt: Text | None = Field(None, description="what a technician has to check on the device, as one sentence")
    source: str = Field(description='who says so: keys of the profile\'s sources, e.g. "manual"')
    # Modbus; streams use address, type, order, scale and invalid too
    function: Literal[1, 2, 3, 4] | None = Field(None, description="Modbus read function: 1, 2 for bool, else 3, 4")
    address: Address | None = Field(
        None, description="0-based PDU address (stream: byte offset in the frame), 0..65535, e.g. 72"
    )
    type: DataType | None = Field(None, description=f"one of {', '.join(REGISTERS)}, string")
    length: int | None = Field(None, ge=1, le=125, description="registers that a string takes, 1..125, e.g. 8")
    word_order: Literal["big", "little"] = Field("big", description="big: most significant word first; or little")
    byte_order: Literal["big", "little"] = Field(
        "big", description="big: most significant byte of a word first; or little"
    )
    bits: Bits | None = Field(None, description="[first bit, how many]: the value is only these bits, e.g. [8, 7]")
    scale: Number = Field(Decimal(1), description="exact factor from raw number to unit, e.g. 0.1")
    scale_register: Address | None = Field(
        None, description="address of the register that holds a power of ten to multiply by (SunSpec), e.g. 6"
    )
    invalid: list[Marker] = Field(
        [], max_length=16, description="raw patterns that mean no value, e.g. [0x7FFF]; NaN of a float always does"
    )
    write: Write | None = Field(None, description="what may be written, e.g. { function = 6, range = [0, 100] }")
    turnaround_ms: int | None = Field(None, ge=0, le=5000, description="this point's own, instead of that of [limits]")
    timeout_ms: int | None = Field(None, ge=10, le=10000, description="this point's own, instead of that of [limits]")
    # inputs of the board
    calibration: Calibration | None = Field(None, description="2 to 16 points [[microvolts, value], ..]")
    per_pulse: Ratio | None = Field(None, description='units per pulse: a number, or a ratio like "1/450"')
    # telegrams of the H1 port
    obis: Obis | None = Field(None, description='OBIS code as in the telegram, e.g. "1-0:1.8.0"')
    telegram_unit: Text | None = Field(None, description='the unit as the telegram writes it, e.g. "kWh"')

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """What a point leaves out, its quantity knows; a text without codes can only be shown."""
        usual = QUANTITIES.get(data.get("quantity")) if isinstance(data, dict) else None
        if not usual:
            return data
        kind = "text" if data.get("type") == "string" and not data.get("states") else usual.kind
        return {"kind": kind, "exponent": usual.exponent, **data}

    @property
    def registers(self) -> int:
        """Number of 16-bit registers (of bits, for bool) that the value takes; 0 if it is not read from any."""
        return (self.length or 0) if self.type == "string" else REGISTERS.get(self.type or "", 0)

    @property
    def order(self) -> str:
        """Order of the value's bytes as they come, A the most significant: ABCD, CDAB, BADC or DCBA."""
        words_swapped = self.word_order == "little" and self.registers > 1
        if self.byte_order == "little":
            return "DCBA" if words_swapped else "BADC"
        return "CDAB" if words_swapped else "ABCD"

    @property
    def readable(self) -> bool:
        """False for what can only be written."""
        return self.write is None or self.function is not None

    @property
    def klass(self) -> int:
        """Delivery class: 0 alarm, 1 counter, 2 telemetry."""
        return CLASSES[self.delivery] if self.delivery else QUANTITIES[self.quantity].klass

    @property
    def names(self) -> dict[int, str]:
        """What each code means."""
        return {(b if isinstance(b, int) else a): (a if isinstance(a, str) else b) for a, b in self.states.items()}


class Profile(Strict):
    """A device type. Which of its tables it has follows from its interface."""

    name: Name = Field(description="equals the file's name without .toml")
    vendor: str = Field(description='who makes it, e.g. "Eastron"')
    model: str = Field(description='what it says on the device, e.g. "SDM630-Modbus v2"')
    kind: str = Field(description='what the device is, e.g. "electricity_meter"')
    interface: Interface = Field(description="modbus, analog, pulse, h1 or stream")
    sources: list[str] = Field(
        description='where the facts come from, e.g. ["manual: vendor\'s manual of 2021"]', min_length=1
    )
    doubt: Text | None = Field(None, description="why the whole profile has to be checked on the device")
    quirks: list[Text] = Field([], description='sentences for the technician, e.g. ["A and B are swapped."]')
    serial: Serial | None = Field(None, description="[serial] baud, parity, stop_bits, unit: factory defaults")
    tcp: Tcp | None = Field(None, description="[tcp] port, unit: factory defaults")
    limits: Limits | None = Field(None, description="[limits] max_registers, gap_ms, turnaround_ms, timeout_ms")
    identity: Identity | None = Field(None, description="[identity] how to see that it is this device")
    sunspec: SunSpec | None = Field(None, description="[sunspec] model = 103: addresses count from that model's id")
    analog: Analog | None = Field(None, description="[analog] attenuation_db, samples")
    pulse: Pulse | None = Field(None, description="[pulse] edge, debounce_ms, max_hz")
    telegram: Telegram | None = Field(None, description="[telegram] interval_s")
    stream: Stream | None = Field(None, description="[stream] header, length, checksum, interval_s")
    points: list[Point] = Field(alias="point", min_length=1, description="[[point]] blocks")

    def point(self, name: str) -> Point | None:
        """The point of that name, or None."""
        return next((p for p in self.points if p.name == name), None)

    def doubts(self) -> Iterator[tuple[str, str]]:
        """(what it is about, sentence) of all that has to be checked on the device."""
        about = [("the whole map", self.doubt), ("serial settings", self.serial and self.serial.doubt)]
        about += [("network settings", self.tcp and self.tcp.doubt)]
        for name, doubt in about + [(point.name, point.doubt) for point in self.points]:
            if doubt:
                yield name, doubt
