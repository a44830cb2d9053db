"""How fast a backlog drains: the gateway's uplink against stock umqtt.simple, which waits for each PUBACK.

First a gateway lives through an outage and drains what has queued meanwhile. Then the packets that came over `h/` are published again,
one after the other, by a program of a few lines on a board of its own: same VM, same costs, same round trip, same topics and payloads.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from satama.compiling.compiler import compile_site
from satama.core import places

from ..board.board import SimError
from ..broker.core import Message
from ..cabinet import SECOND, Cabinet

SITE = places.SITES / "storm16.toml"
ROUND_TRIP_MS = 50
LEAST_RATIO = 10
HOURS = 4
_MQTT = "[mqtt]\n"
_QUIET_S = 120  # before the outage
_CONNECT_S = 15 * 60  # the gateway's longest pause between two attempts, and half as much again
_STILL_S = 5  # nothing more over `h/` for so long: it is drained
_PROGRAM = Path(__file__).with_name("sequential.py")
_PACKETS, _SETTINGS = "packets.bin", "settings.json"  # on the device, as the program reads them
_MOST_BYTES = 500_000  # of the packets there
NOT_COUNTED = (
    "what the VM and the C library below it compute, which is more for the gateway: it reads, packs and marks its records, while the other "
    "finds its packets ready in a file; and acknowledgements that the broker's TCP delays (up to 40 ms with Linux), which each of "
    "umqtt's small writes may have to wait for"
)


class Drained(NamedTuple):
    """What came over `h/`, and what else came between the first and the last of it."""

    packets: list[tuple[str, bytes]]
    us: int  # from the first packet's first byte to the last one's PUBACK, but for the time that writing the first takes
    others: int


class _Ear:
    """Hears the packets that a broker accepts, with their times."""

    def __init__(self, wanted: Callable[[str], bool]):
        self._wanted = wanted
        self.heard: list[tuple[str, bytes, int]] = []
        self.others: list[int] = []  # when something else came

    def __call__(self, message: Message) -> None:
        if self._wanted(message.topic):
            self.heard.append((message.topic, message.payload, message.at_us))
        else:
            self.others.append(message.at_us)

    def drained(self, round_trip_ms: int) -> Drained:
        first_us, last_us = self.heard[0][2], self.heard[-1][2]
        return Drained(
            [(topic, payload) for topic, payload, _ in self.heard],
            last_us - first_us + round_trip_ms * 1000,
            sum(first_us <= at_us <= last_us for at_us in self.others),
        )


def drain(
    hours: float = HOURS,
    round_trip_ms: int = ROUND_TRIP_MS,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Any,
) -> dict[str, Any]:
    """Run both and report. `options`: of Cabinet. Raises SimError, ValueError (more packets than fit on a device)."""
    options |= {"seed": seed, "round_trip_ms": round_trip_ms, "keep": False}
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "drain.toml")
        site.write_text(SITE.read_text().replace(_MQTT, _MQTT + "backlog_bytes_s = 0\n", 1))
        with Cabinet(site, **options) as cab:
            backlog, ours = _gateway(cab, round(hours * 3600), round_trip_ms, progress)
            vm = cab.vm
        program = _firmware(Path(folder))
        stock, prompt = (_sequential(site, program, nodelay, ours.packets, options) for nodelay in (False, True))
    return {
        "vm": vm,
        "seed": seed,
        "round_trip_ms": round_trip_ms,
        "outage_s": round(hours * 3600),
        "backlog_samples": backlog,
        "packets": len(ours.packets),
        "payload_bytes": sum(len(payload) for _, payload in ours.packets),
        "live_packets_meanwhile": ours.others,
        "gateway_s": round(ours.us / SECOND, 3),
        "sequential_s": round(stock.us / SECOND, 3),
        "sequential_nodelay_s": round(prompt.us / SECOND, 3),
        "gateway_bytes_per_s": sum(len(payload) for _, payload in ours.packets) * SECOND // ours.us,
        "ratio": round(stock.us / ours.us, 2),
        "ratio_nodelay": round(prompt.us / ours.us, 2),
        "not_counted": NOT_COUNTED,
    }


def _gateway(
    cab: Cabinet, outage_s: int, round_trip_ms: int, progress: Callable[[int, int], None]
) -> tuple[int, Drained]:
    """(samples that were queued at the end of the outage, what drained)."""
    ear = _Ear(lambda topic: "/h/" in topic)
    _listen(cab, ear)
    cab.run(_QUIET_S)
    cab.stop_broker()
    for done in range(0, outage_s, 600):
        cab.run(min(600, outage_s - done))
        progress(min(outage_s, done + 600), outage_s)
    backlog = cab.ledger()["queued"]
    cab.start_broker()
    ear.heard.clear()
    cab.run_until(lambda: ear.heard, _CONNECT_S, 0.5)
    cab.run_until(lambda: cab.timeline.now_us - ear.heard[-1][2] >= _STILL_S * SECOND, "2h", 1)
    left = cab.ledger()
    if not left["balanced"] or left["dropped"] or left["queued"] > 2 * len(cab.compiled.streams):
        raise SimError(f"the backlog did not drain: {left['queued']} samples are queued, {left['dropped']} dropped")
    return backlog, ear.drained(round_trip_ms)


def _sequential(
    site: Path, firmware: Path, nodelay: bool, packets: list[tuple[str, bytes]], options: Mapping[str, Any]
) -> Drained:
    """The same packets by umqtt.simple; `nodelay`: with TCP_NODELAY set on its socket, which it does not do by itself."""
    stored = b"".join(
        struct.pack(">HH", len(topic.encode()), len(payload)) + topic.encode() + payload for topic, payload in packets
    )
    if len(stored) > _MOST_BYTES:
        raise ValueError(f"{len(stored)} bytes of packets do not fit on the other device -> a shorter outage")
    files = {_PACKETS: stored, _SETTINGS: json.dumps([*_settings(site), nodelay]).encode()}
    with Cabinet(site, firmware=firmware, files=files, **options) as cab:
        ear = _Ear(lambda topic: True)
        _listen(cab, ear)
        cab.run_until(lambda: "ended" in cab.console_text() or "Traceback" in cab.console_text(), "24h", 5)
        if "Traceback" in cab.console_text():
            raise SimError(f"umqtt.simple failed: {cab.console_text()[-500:]}")
        done = ear.drained(options["round_trip_ms"])
    if done.packets != packets:
        raise SimError(
            f"umqtt.simple published {len(done.packets)} packets, and not the {len(packets)} that it was given"
        )
    return done


def _settings(site: Path) -> list[Any]:
    """What the program has to know: ssid, password, host, port."""
    body = compile_site(site, write_ids=False).body
    return [body["network"]["ssid"], body["network"]["password"], *body["mqtt"]["hosts"][0]]


def _listen(cab: Cabinet, ear: _Ear) -> None:
    assert cab.simulated_broker
    cab.simulated_broker.core.on_publish = ear


def _firmware(folder: Path) -> Path:
    """Nothing but that program: the packets need the room."""
    place = folder / "firmware"
    place.mkdir()
    for name in ("boot.py", "archive.py", "slots.py"):
        shutil.copy(places.FIRMWARE / name, place)
    shutil.copy(_PROGRAM, place / "main.py")
    return place
