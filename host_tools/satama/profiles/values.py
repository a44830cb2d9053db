"""What a value in a profile may look like: names, codes, markers; every refusal says what the right form is."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, PlainValidator

from ..core.problems import Wrong, closest
from ..core.quantities import ALARM, COUNTER, QUANTITIES, TELEMETRY

BIT_FUNCTIONS, WORD_FUNCTIONS = (1, 2), (3, 4)  # Modbus: read coils, discrete inputs; holding, input registers
REGISTERS = {"bool": 1, "u16": 1, "s16": 1, "u32": 2, "s32": 2, "f32": 2, "u64": 4, "s64": 4, "f64": 4}
REGISTERS |= {"bcd16": 1, "bcd32": 2, "bcd64": 4}  # a string has its own length
CLASSES = {"alarm": ALARM, "counter": COUNTER, "telemetry": TELEMETRY}

DataType = Literal[
    "bool", "u16", "s16", "u32", "s32", "f32", "u64", "s64", "f64", "bcd16", "bcd32", "bcd64", "string"
]  # fmt: skip
Interface = Literal["modbus", "analog", "pulse", "h1", "stream"]
BAUD_RATES = (1200, 2400, 4800, 9600, 14400, 19200, 38400, 57600, 115200)


def _baud(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong("must be a whole number", f"one of {', '.join(map(str, BAUD_RATES))}")
    if value not in BAUD_RATES:
        nearest = min(BAUD_RATES, key=lambda rate: abs(rate - value))
        raise Wrong("is not a usual baud rate", f"nearest is {nearest}; one of {', '.join(map(str, BAUD_RATES))}")
    return value


def _quantity(value: Any) -> str:
    if not isinstance(value, str) or value not in QUANTITIES:
        raise Wrong("is not a known quantity", closest(value, QUANTITIES))
    return value


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Mask(NamedTuple):
    """An invalid marker that fills only some bits: there is no value where raw & mask == value."""

    mask: int
    value: int


def _marker(value: Any) -> int | str | Mask:
    if isinstance(value, dict) and set(value) == {"mask", "value"} and all(map(_whole, value.values())):
        if value["value"] & ~value["mask"]:
            raise Wrong("has bits in value that are not in mask, so it never fits", "{ mask = 0xFF00, value = 0x7F00 }")
        return Mask(**value)
    if not _whole(value) and value != "NaN":
        raise Wrong("is not a marker", 'a raw pattern like 0x7FFF, "NaN", or { mask = 0xFF00, value = 0x7F00 }')
    return value


def _bits(value: Any) -> tuple[int, int]:
    hint = "[first bit, how many bits], 0 is the least significant, e.g. [8, 7] for bits 8 to 14"
    if not isinstance(value, list) or len(value) != 2 or not all(map(_whole, value)):
        raise Wrong("is not a pair of whole numbers", hint)
    if value[0] < 0 or value[1] < 1:
        raise Wrong("makes no sense", hint)
    return value[0], value[1]


CODES_FORM = 'names of codes: { "0" = "off", "1" = "on" }; codes of a text: { A = 0, B1 = 1 }'


def _states(value: Any) -> dict[int, str] | dict[str, int]:
    """{"0" = "off"} names the codes of a number; {"A" = 0} gives the texts of a string their numbers."""
    if not isinstance(value, dict) or not 1 <= len(value) <= 64:
        raise Wrong("must be a table of 1 to 64 states", CODES_FORM)
    if all(map(_whole, value.values())):
        for text in value:
            if not (text and text.isascii() and text.isprintable()) or text != text.strip():
                raise Wrong(f"'{text}' is not a text that a device could show", "printable ASCII, no blanks around it")
        return value
    names = {}
    for code, name in value.items():
        if not isinstance(name, str) or not 1 <= len(name) <= 48:
            raise Wrong(f"the state of '{code}' needs a name of 1 to 48 characters", CODES_FORM)
        try:
            names[int(code, 0)] = name
        except ValueError:
            raise Wrong(f"'{code}' is not a code", CODES_FORM) from None
    if len(names) < len(value):
        raise Wrong("names the same code twice", CODES_FORM)
    return names


def _obis(value: Any) -> str:
    parts = value.replace("-", ".").replace(":", ".").split(".") if isinstance(value, str) else []
    if len(parts) != 5 or not all(p.isdecimal() and int(p) < 256 for p in parts) or value != _OBIS.format(*parts):
        raise Wrong("is not an OBIS code", 'A-B:C.D.E as it stands in the telegram, e.g. "1-0:1.8.0"')
    return value


_OBIS = "{}-{}:{}.{}.{}"

Baud = Annotated[int, BeforeValidator(_baud)]
Parity = Literal["N", "E", "O"]
StopBits = Literal[1, 2]
QuantityName = Annotated[str, BeforeValidator(_quantity)]
Marker = Annotated[int | Literal["NaN"] | Mask, PlainValidator(_marker)]
Bits = Annotated[tuple[int, int], PlainValidator(_bits)]
States = Annotated[dict[int, str] | dict[str, int], PlainValidator(_states)]
Obis = Annotated[str, BeforeValidator(_obis)]
Text = Annotated[str, Field(min_length=1, max_length=400)]
Address = Annotated[int, Field(ge=0, le=65535)]
