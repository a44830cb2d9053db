"""A program of its own on the gateway's board: the MQTT client alone, against whatever broker a test puts at the far end."""

import shutil
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"

# `spec` may be changed before `client()` is asked for. `ended(text)` is the last thing that a program prints.
PRELUDE = """
import sys, vfs
from slots import Slots
slots = Slots()
vfs.mount(slots.choose(), "/slot")
sys.path.insert(0, "/slot")
import asyncio, network, socket, time
from gateway.core import site as site_file
from gateway.core.clock import Clock
from gateway.uplink.mqtt.client import Client, LinkDown

with open(slots.archive.path, "rb") as file:
    site = site_file.load(file, *slots.archive.find("site.bin"))
spec = site["mqtt"]
host, port = spec["hosts"][0] if "hosts" in spec else (spec["host"], spec["port"])
clock = Clock(time.ticks_ms, time.ticks_diff, 0)
acknowledged = []

def client():
    return Client(b"quay-9", spec, b"t/state", b"gone", clock)

async def connect(one):
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    if not wlan.isconnected():
        wlan.connect(site["network"]["ssid"], site["network"]["password"])
    while not wlan.isconnected():
        await asyncio.sleep_ms(100)
    return await one.open(host, socket.getaddrinfo(host, port)[0][-1])

def numbered(one, number, size=4, retain=False):
    payload = number.to_bytes(4, "big") + bytes(size - 4)
    return one.publish(b"t/data", lambda: (payload,), lambda: acknowledged.append(number), retain)

async def down(waiting):
    try:
        await waiting
    except LinkDown as error:
        return error.args[0]
    return "still up"

def ended(*words):
    print("ended", *words)

"""


def firmware(folder: Path, program: str) -> Path:
    """A copy of the firmware whose main.py is that program."""
    place = folder / "firmware"
    shutil.copytree(FIRMWARE, place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "main.py").write_text(PRELUDE + program)
    return place


def said(cab, word: str) -> list[str]:
    """What was printed behind that word, one entry a line."""
    lines = bytes(cab.console_output).decode(errors="replace").splitlines()
    return [line[len(word) + 1 :] for line in lines if line.startswith(word + " ") or line == word]


def run_to_end(cab, within: str) -> list[str]:
    """The words of ended()."""
    cab.run_until(lambda: said(cab, "ended") or "Traceback" in cab.console_text(), within, 5)
    ends = said(cab, "ended")
    assert ends, cab.console_text()[-2000:]
    return ends[0].split()
