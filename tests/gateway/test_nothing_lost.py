"""Outages, kills and power cuts: what was produced arrives, and what arrives twice can be told."""

import threading
import time

from exact_values import steady

from satama.collecting.collector import Collector
from satama_sim.demo.subscriber import Subscriber

STALL_BUDGET_MS = (
    100  # declared in docs/data-team.md: only the computing of a TLS handshake may hold up the buses for longer
)


def test_a_broker_outage_loses_nothing_and_history_is_told_apart(cabinet, demo_site):
    cab = cabinet(demo_site, seed=11)
    stalls = []
    cab.run("2m")
    cab.stop_broker()
    cab.run("20m")
    during = cab.ledger()
    assert during["queued"] > 3000
    topics = set()
    cab.simulated_broker.core.on_publish = lambda message: (
        topics.add(message.topic.rsplit("/", 2)[1]),
        cab.broker.feed(message.topic, message.payload),
        stalls.append(max(cab.broker.diag["uplink"]["stall_ms"].values())),
    )
    cab.start_broker()
    cab.run("20m")  # pauses between two tries are up to 15 minutes long
    ledger = cab.ledger()
    assert {"d", "h"} <= topics
    assert max(stalls) < STALL_BUDGET_MS  # connecting, writing and reading; the drain of a backlog among them
    assert ledger["balanced"] and ledger["dropped"] == 0 and ledger["queued"] < 100
    assert cab.broker.decoded == ledger["acknowledged"]
    for view in (view for view in cab.broker.streams.values() if view.name in steady(cab)):
        times = sorted(sample.time for sample in view.samples)
        assert max(b - a for a, b in zip(times, times[1:], strict=False)) <= view.period_s


def test_killing_mosquitto_in_the_middle_of_a_publish_loses_nothing(cabinet, demo_site, mosquitto):
    address = f"{mosquitto.host}:{mosquitto.port}"
    cab = cabinet(demo_site, seed=11, broker=address)
    seen = Collector(cab.broker.base)
    subscriber = Subscriber(address, seen.base + "#", seen.feed, client_id="district-data-team")
    try:
        cab.run("90s")
        before = cab.ledger()
        wait_for(lambda: seen.decoded >= before["acknowledged"])
        mosquitto.pause()  # the next PUBLISH reaches a broker that will never answer it
        killer = threading.Timer(1.0, mosquitto.kill)
        killer.start()
        cab.run("30s")
        killer.join()
        assert not mosquitto.running
        cab.run("5m")
        outage = cab.ledger()
        assert outage["queued"] > 500 and outage["dropped"] == 0
        mosquitto.restart()
        cab.run("12m")
        after = cab.ledger()
        wait_for(lambda: seen.decoded >= after["acknowledged"])
        assert after["balanced"] and after["queued"] < 100
        assert seen.decoded == after["acknowledged"]
        assert seen.errors == 0
    finally:
        subscriber.close()


def test_a_lost_puback_makes_a_duplicate_that_is_recognised(cabinet, demo_site):
    cab = cabinet(demo_site, seed=11)
    cab.run("1m")
    broker = cab.simulated_broker
    arrived = broker.core.on_publish

    def arrive_and_cut(message):
        arrived(message)
        if "/d/" in message.topic:
            broker.core.on_publish = arrived
            broker.core.sever_all(cab.timeline.now_us)  # it has the message, and the PUBACK never leaves

    broker.core.on_publish = arrive_and_cut
    cab.run("2m")
    ledger = cab.ledger()
    assert cab.broker.duplicates > 0
    assert cab.broker.decoded == ledger["acknowledged"]
    assert ledger["balanced"] and ledger["queued"] < 100


def test_a_power_cut_keeps_what_waits_and_starts_a_new_epoch(cabinet, demo_site):
    cab = cabinet(demo_site, seed=11)
    cab.run("1m")
    cab.pull_cable("uplink")
    cab.run("5m")
    waiting = cab.ledger()["queued"]
    first_epoch = cab.request("status")["epoch"]
    cab.cut_power()
    cab.run("1m")
    cab.plug_in("uplink")
    cab.restore_power()
    cab.run("1s")
    recovered = cab.ledger()
    assert recovered["queued"] >= waiting > 500
    assert cab.request("status")["epoch"] == first_epoch + 1
    cab.run("3m")
    ledger = cab.ledger()
    assert ledger["balanced"] and ledger["dropped"] == 0 and ledger["queued"] < 100
    epochs = {sample.epoch for view in cab.broker.streams.values() for sample in view.samples}
    assert epochs == {first_epoch, first_epoch + 1}
    assert cab.broker.duplicates <= 60  # at most what was on its way when the power went


def test_wifi_loss_is_survived_without_a_reset(cabinet, demo_site):
    cab = cabinet(demo_site, seed=11)
    cab.run("1m")
    cab.pull_cable("network")
    cab.run("10m")
    status = cab.request("status")
    assert (status["network"], status["broker"]) == ("down", "offline")
    cab.plug_in("network")
    cab.run("305s")  # at a full ten seconds a pack is on its way
    ledger = cab.ledger()
    assert ledger["balanced"] and ledger["dropped"] == 0 and ledger["queued"] < 100
    assert cab.broker.decoded == ledger["acknowledged"]
    assert len(cab.board.resets) == 1


def test_a_full_journal_drops_the_oldest_and_says_so(cabinet, demo_site):
    cab = cabinet(demo_site, seed=11, journal_bytes=6 * 4096)
    cab.run("1m")
    cab.stop_broker()
    cab.run("2h")
    ledger = cab.ledger()
    assert ledger["dropped"] > 1000 and ledger["balanced"]
    cab.start_broker()
    cab.run("20m")
    ledger = cab.ledger()
    assert ledger["balanced"] and ledger["queued"] < 100
    assert cab.broker.decoded == ledger["acknowledged"]


def wait_for(condition, patience_s=20):
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()
