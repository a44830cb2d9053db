"""Which of the application's modules a site needs: the device imports them before any table of the site lies in its heap."""

from collections.abc import Iterator
from typing import Any

from ..core import firmware  # noqa: F401  makes `gateway` importable

_OF_BUSES = {
    "modbus-rtu": ("acquire.modbus.bus", "acquire.modbus.unit", "acquire.modbus.rtu"),
    "modbus-tcp": ("acquire.modbus.bus", "acquire.modbus.unit", "acquire.modbus.tcp"),
    "h1": ("acquire.pushed.listener", "acquire.pushed.telegram"),
    "stream": ("acquire.pushed.listener", "acquire.pushed.stream"),
}
_OF_INPUTS = {
    "adc": ("acquire.inputs.analog", "acquire.inputs.calibrations"),
    "pulse": ("acquire.inputs.pulses",),
    "heard": (),
}
_OF_OUTPUTS = {"time_mean": "process.time_mean"}
_OF_OPTIONS = {"report": "process.report", "private": "process.privacy"}
_OF_ENCODINGS = {
    "cbor": ("uplink.encoding.senml", "uplink.encoding.cbor"),
    "json": ("uplink.encoding.senml", "uplink.encoding.json_text"),
    "compact": ("uplink.encoding.compact",),
}


def modules_of(body: dict[str, Any]) -> str:
    """Names below `gateway.`, in the order in which they are to be imported, separated by commas."""
    return ",".join(dict.fromkeys(_modules(body)))


def _modules(body: dict[str, Any]) -> Iterator[str]:
    from gateway.process import derived, filters

    if body["network"]["kind"] == "lan":
        yield "uplink.network.ethernet"
    if body["mqtt"]["tls"]:
        yield from ("uplink.mqtt.renewal", "uplink.mqtt.kept_certificates")
    for bus in body["buses"]:
        yield from _OF_BUSES[bus["kind"]]
    for _, _, inputs in body["polls"]:
        for spec in inputs:
            yield from _OF_INPUTS[spec[0]]
    if any(unit[6] for unit in body["units"]):
        yield "acquire.modbus.sunspec"
    for _, _, chain, outputs, *options in body["points"]:
        for kind, *_ in chain[1:] if chain and chain[0][0] == "range" else chain:  # that one the pipeline does itself
            yield _home(filters.kinds(kind)[kind][0])
        for output, _ in outputs:
            if output in _OF_OUTPUTS or output.startswith("p"):
                yield _OF_OUTPUTS.get(output, "process.ranks")
        yield from (_OF_OPTIONS[option] for option in _OF_OPTIONS if options and option in options[0])
    if body["derived"]:
        yield "process.derived.keeping"
    for kind, *_ in body["derived"]:
        yield _home(derived.kinds(kind)[kind][0])
    yield from _OF_ENCODINGS[body["mqtt"]["encoding"]]
    if body["retention_h"]:
        yield "journal.wiping"


def _home(kind: type) -> str:
    return kind.__module__.removeprefix("gateway.")
