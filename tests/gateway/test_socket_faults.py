"""Every fault of the connection to the broker, one by one and at random: nothing is lost, the buses are polled on, the ledger balances."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from satama_sim.broker import packets
from satama_sim.network.faults import DOWN, HALF_OPEN, RESET, SILENCE, UP
from satama_sim.network.hostile import MALFORMED, Hostile

SITE = Path(__file__).with_name("big-counters-site.toml")  # four streams, each 5 s
PERIOD_S = 5
KEEPALIVE_S = 60  # of the site
HEALED = "16m"  # the longest pause between two tries, and a little
GOOD = "65s"  # a connection that lasts so long was a good one: pauses start over


def status(cab):
    return cab.request("status")


def heal(cab, within=HEALED):
    """The faults end, connections that they struck too. All must arrive, and nothing else may have suffered."""
    cab.network_faults.heal()
    cab.network_faults.vanish(RESET)
    cab.run_until(lambda: status(cab)["broker"] == "online", within, step=10)
    cab.run("1m")
    assert_nothing_lost(cab)


def next_connection(cab):
    """The fault that waits for it strikes; then there is a good connection, until pauses start over. What the fault was called."""
    cab.network_faults.vanish(RESET)
    cab.run_until(lambda: not cab.network_faults.pending, HEALED, step=0.1)
    cab.run(0.4)
    error = status(cab)["broker_error"]
    cab.run_until(lambda: status(cab)["broker"] == "online", HEALED, step=2)
    cab.run(GOOD)
    return error


def assert_nothing_lost(cab):
    """Every slot's reading of every stream is at the broker, or young; the bus was polled on; there was no restart."""
    ledger = cab.ledger()
    assert ledger["balanced"] and ledger["dropped"] == 0 and ledger["queued"] < 60, ledger
    assert status(cab)["missed_slots"] == 0 and len(cab.board.resets) == 1
    assert cab.broker.decoded >= ledger["acknowledged"] > 0 and cab.broker.errors == 0
    for view in cab.broker.streams.values():
        times = sorted({sample.time for sample in view.samples if sample.absolute})
        assert max(later - earlier for earlier, later in pairwise(times)) <= PERIOD_S + 2
        assert times[-1] > cab.start_unix_s + cab.now_s - 30
        samples = [(sample.epoch, sample.seq) for sample in view.samples]
        assert len(samples) == len(set(samples))  # what came twice was told by its identity


@pytest.fixture
def cab(cabinet):
    return cabinet(SITE, seed=11)


def test_refused(cab):
    cab.run("1m")
    cab.network_faults.refuse()
    cab.network_faults.vanish(RESET)
    cab.run("5m")
    assert status(cab)["broker_error"] == "connection refused" and cab.network_faults.struck["refused"] >= 3
    heal(cab)


def test_black_hole_in_answer_to_the_syn(cab):
    cab.run("1m")
    cab.network_faults.black_hole()
    cab.network_faults.vanish(RESET)
    cab.run("5m")
    assert status(cab)["broker_error"] == "no answer" and cab.network_faults.struck["black hole"] >= 3
    heal(cab)


@pytest.mark.parametrize("kind", [packets.CONNACK, packets.PUBACK])
@pytest.mark.parametrize("how", [SILENCE, HALF_OPEN])
def test_black_hole_after_an_answer(cab, kind, how):
    """After CONNACK the first PUBLISH gets no answer; after some PUBACKs the next one does not."""
    cab.network_faults.cut(DOWN, (kind, 1 if kind == packets.CONNACK else 9), how)
    cab.run("3m")
    assert cab.network_faults.struck[how] >= 2
    heal(cab)


def test_black_hole_after_a_publish(cab):
    cab.network_faults.cut(UP, (packets.PUBLISH, 12), SILENCE)
    cab.run("5m")
    assert cab.network_faults.struck[SILENCE] >= 2
    heal(cab)


@pytest.mark.parametrize("quiet", [False, True])
def test_half_open_is_noticed_within_one_and_a_half_keepalives(cab, quiet):
    """The peer is gone without a FIN. When there is nothing to send, only the keep-alive can tell."""
    cab.run("2m")
    if quiet:
        for bus in cab.buses:
            cab.pull_cable(bus.name)
        cab.run("5m")
    assert status(cab)["broker"] == "online"
    cab.network_faults.refuse()
    cab.network_faults.vanish(HALF_OPEN)
    started = cab.now_s
    cab.run_until(lambda: status(cab)["broker"] == "offline", "10m")
    assert cab.now_s - started <= 1.5 * KEEPALIVE_S
    if quiet:
        for bus in cab.buses:
            cab.plug_in(bus.name)
    heal(cab)


def test_reset_at_every_byte_of_a_connack_and_a_puback(cab):
    faults = cab.network_faults
    cab.run("1m")
    for end in range(1, 9):  # a CONNACK and a PUBACK have four bytes each
        faults.cut(DOWN, end, RESET, times=1)
        next_connection(cab)
    assert faults.struck["cut"] == 8
    heal(cab)


@pytest.mark.parametrize("after", [1, 13, 14, 100, 180, 700, 1500])
def test_reset_after_so_many_bytes_of_ours(cab, after):
    cab.network_faults.cut(UP, after, RESET, times=3)
    cab.run("4m")
    assert cab.network_faults.struck[RESET] == 3
    heal(cab)


def test_slow_reader(cab):
    """It reads less than is produced: the window stays full, and what waits stays in the journal."""
    cab.run("1m")
    cab.network_faults.slow(8)
    cab.network_faults.vanish(RESET)
    cab.run("10m")
    assert cab.ledger()["queued"] > 60
    heal(cab)


def test_one_byte_a_segment_both_ways(cab):
    cab.network_faults.segments(1)
    cab.run("5m")
    assert status(cab)["broker"] == "online" and len(cab.network_faults.connections) == 1
    heal(cab)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"lose": 7}, "puback lost"),
        ({"late_us": 3_000_000}, "puback late"),
        ({"late_us": 20_000_000}, "puback late"),
        ({"twice": 2}, "puback twice"),
        ({"shuffle": 4, "twice": 3}, "puback twice"),
    ],
)
def test_pubacks(cab, fault, name):
    cab.run("1m")
    cab.network_faults.pubacks(**fault)
    cab.network_faults.vanish(RESET)
    cab.run("5m")
    assert cab.network_faults.struck[name] > 0
    heal(cab)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_connack_refused(cab, code):
    cab.network_faults.instead(Hostile(connack=bytes((0x20, 2, 0, code)), ends=True))
    cab.run("10m")
    reasons = ("protocol version", "client id", "broker unavailable", "user or password", "not authorised")
    assert status(cab)["broker_error"] == f"refused: {reasons[code - 1]}"
    heal(cab, "20m")


def test_malformed_and_oversize_packets_each_end_the_connection(cab):
    faults = cab.network_faults
    cab.run("1m")
    for name in sorted(MALFORMED):
        hostile = Hostile(answer=lambda number, packet_id, name=name: MALFORMED[name])
        faults.instead(hostile, times=1)
        assert next_connection(cab) == "protocol error", name
        assert 1 <= hostile.publishes <= 16, name  # no more than was under way when its answer came
    heal(cab)


@pytest.mark.parametrize(
    "greeting", [b"\x20\x02\x00\x00", b"\x20\x02\x02\x00", b"\x20\x03\x00\x00\x00", b"HTTP/1.1 400", b"\xff" * 3000]
)
def test_a_server_that_is_no_broker(cab, greeting):
    cab.network_faults.instead(Hostile(greeting=greeting, connack=b""))
    cab.run("3m")
    assert status(cab)["broker"] == "offline" and cab.broker.decoded == 0
    heal(cab)


@pytest.mark.parametrize("seed", range(12))
def test_all_together_at_random(cab, seed):
    rng = random.Random(seed)
    faults = cab.network_faults
    cab.run("30s")
    for _ in range(8):
        for _ in range(rng.randint(1, 2)):
            faults.strike(rng)
        if rng.random() < 0.6:
            faults.vanish(rng.choice([RESET, HALF_OPEN, SILENCE]))
        cab.run(rng.randint(5, 100))
        if rng.random() < 0.3:
            faults.heal()
    heal(cab)
