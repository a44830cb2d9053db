"""The same seed gives the same bytes: on every run, and towards a real broker."""

import hashlib
import os
import time

import pytest

from satama_sim.broker import packets
from satama_sim.demo.subscriber import Subscriber


def run(cabinet, site, **options):
    """Run for ten minutes; (report, digest of what the board sent over TCP)."""
    cab = cabinet(site, **options)
    sent = bytearray()
    cab.network.on_sent.append(sent.extend)
    cab.run("10m")
    return cab.report(), digest(sent)


def digest(sent):
    """Of every MQTT packet but `diag`: that one tells the free heap, which a conservative garbage collector leaves to chance."""
    total, position = hashlib.sha256(), 0
    while (packet := packets.cut_packet(sent, position)) is not None:
        head, body, end = packet
        if head >> 4 != 3 or b"/diag" not in body[:80]:
            total.update(sent[position:end])
        position = end
    assert position == len(sent) > 10_000
    return total.hexdigest()


def test_the_same_seed_sends_the_same_bytes(cabinet, demo_site):
    first, first_bytes = run(cabinet, demo_site, seed=7)
    second, second_bytes = run(cabinet, demo_site, seed=7)
    other, other_bytes = run(cabinet, demo_site, seed=8)
    assert first["payload_sha256"] == second["payload_sha256"] != other["payload_sha256"]
    assert first_bytes == second_bytes != other_bytes
    assert first["buses"] == second["buses"]


@pytest.mark.skipif(
    not os.environ.get("SATAMA_VM"), reason="SATAMA_VM names no second MicroPython executable to compare with"
)
def test_another_vm_sends_the_same_bytes(cabinet, demo_site):
    usual, _ = run(cabinet, demo_site, seed=7)
    other, _ = run(cabinet, demo_site, seed=7, vm=os.environ["SATAMA_VM"])
    assert usual["vm"] != other["vm"]
    assert usual["payload_sha256"] == other["payload_sha256"]


def test_mosquitto_receives_the_bytes_that_the_simulated_broker_receives(cabinet, demo_site, mosquitto):
    simulated, simulated_bytes = run(cabinet, demo_site, seed=7)
    address = f"{mosquitto.host}:{mosquitto.port}"
    cab = cabinet(demo_site, seed=7, broker=address)
    subscriber = Subscriber(address, cab.broker.base + "#", cab.broker.feed)
    try:
        sent = bytearray()
        cab.network.on_sent.append(sent.extend)
        cab.run("10m")
        report = cab.report()
        wait_for(lambda: cab.broker.decoded >= report["acknowledged"])
        assert digest(sent) == simulated_bytes
        assert cab.broker.payload_sha256 == simulated["payload_sha256"]
        assert cab.broker.decoded == simulated["decoded_at_broker"] > 1000
    finally:
        subscriber.close()


def wait_for(condition, patience_s=20):
    """The subscriber lives in real time: give it a bounded moment."""
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()
