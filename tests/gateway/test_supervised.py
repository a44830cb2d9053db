"""The way to the broker over the simulated network: names, addresses, interfaces, and what people are told about it."""

from itertools import pairwise
from pathlib import Path

import pytest

from satama.compiling.compiler import compile_site, pack
from satama_sim.network.hostile import Hostile

SITE = Path(__file__).with_name("big-counters-site.toml")
BROKER = "broker.test.example"


def asked(cab, name=BROKER):
    return [at_us for at_us, wanted in cab.name_server.asked if wanted == name]


def online(cab):
    return cab.request("status")["broker"] == "online"


def error(cab):
    return cab.request("status")["broker_error"]


def settled(cab):
    """All that was produced is at the broker, but for what is young."""
    ledger = cab.ledger()
    return ledger["balanced"] and ledger["dropped"] == 0 and ledger["queued"] < 100


def test_a_name_is_asked_for_once_while_its_answer_holds(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.name_server.ttl_s = 86_400
    cab.run("3m")
    assert online(cab) and len(asked(cab)) == 1


def test_a_dead_name_server_holds_nothing_up_and_says_so(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.name_server.silent = True
    cab.run("4m")
    status = cab.request("status")
    assert (status["broker"], status["broker_error"], status["missed_slots"]) == ("offline", "name server silent", 0)
    cab.name_server.silent = False
    cab.run("3m")
    assert online(cab) and settled(cab)


def test_the_last_good_address_serves_when_the_name_server_dies(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.run("1m")
    cab.name_server.silent = True
    cab.simulated_broker.core.sever_all(cab.timeline.now_us)
    cab.run("1m")
    assert online(cab) and settled(cab)


def test_it_serves_after_a_power_cut_too(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.run("1m")
    cab.name_server.silent = True
    cab.cut_power()
    cab.restore_power()
    cab.run("1m")
    assert online(cab) and cab.request("status")["time"] == "ntp"


def test_a_name_server_that_denies_the_name_is_not_believed_at_once(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.name_server.records[BROKER] = []
    cab.run("2m")
    assert error(cab) == "no such name"
    del cab.name_server.records[BROKER]
    cab.run("2m")
    assert online(cab)
    cab.name_server.records[BROKER] = []
    cab.simulated_broker.core.sever_all(cab.timeline.now_us)
    cab.run("1m")
    assert online(cab) and settled(cab)


def test_forged_answers_before_the_true_one_lead_nowhere(cabinet):
    cab = cabinet(SITE, seed=3)
    evil = b"\x06broker\x04test\x07example\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\x06\x06\x06\x06"
    cab.name_server.forged = [bytes((guess, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0)) + evil for guess in range(4)]
    cab.name_server.forged.append(b"\xff" * 40)
    cab.run("1m")
    assert online(cab) and settled(cab)


def test_an_alias_is_followed(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.name_server.aliases[BROKER] = "cluster.kalasatama.example"
    cab.name_server.records["cluster.kalasatama.example"] = [cab.network.address(BROKER)]
    cab.run("1m")
    assert online(cab)


def test_the_second_address_is_tried_within_seconds_when_the_first_is_dead(cabinet):
    cab = cabinet(SITE, seed=3)
    good = cab.network.address(BROKER)
    cab.name_server.records[BROKER] = [bytes((10, 99, 9, 9)), good]  # nobody lives at the first: no answer
    cab.run("1m")
    assert online(cab) and settled(cab)
    assert cab.request("status")["missed_slots"] == 0
    connects = len(cab.network_faults.connections)
    cab.simulated_broker.core.sever_all(cab.timeline.now_us)
    cab.run("10s")  # it returns to the one that was good, not to the dead one
    assert online(cab) and len(cab.network_faults.connections) == connects + 1


def test_a_broker_that_moves_is_found_again(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.run("1m")
    old = cab.network.address(BROKER)
    new = cab.network.another_address(BROKER, 1883)
    cab.name_server.records[BROKER] = [new]
    del cab.network.tcp[old, 1883]
    cab.simulated_broker.core.sever_all(cab.timeline.now_us)
    cab.run("2m")
    assert online(cab) and settled(cab)


def test_no_more_than_twenty_connects_an_hour_to_a_broker_that_throws_us_out(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.network_faults.instead(Hostile(ends=True))
    cab.run("2h")
    connects = [at_us // 3_600_000_000 for at_us in cab.network_faults.connections]
    assert connects.count(0) <= 30 and 1 <= connects.count(1) <= 21
    assert cab.request("status")["missed_slots"] == 0
    cab.network_faults.heal()
    cab.run("16m")
    assert online(cab) and cab.ledger()["balanced"]


def test_pauses_between_refusals_are_minutes(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.network_faults.instead(Hostile(connack=bytes((0x20, 2, 0, 5)), ends=True))
    cab.run("1h")
    assert error(cab) == "refused: not authorised"
    gaps = [later - earlier for earlier, later in pairwise(cab.network_faults.connections)]
    assert gaps and min(gaps) >= 60_000_000


def test_a_wrong_password_of_the_access_point_is_named(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.radio.access_points = {"test-net": "changed"}
    cab.run("3m")
    status = cab.request("status")
    assert (status["network"], status["broker_error"]) == ("down", "wrong Wi-Fi password")
    cab.radio.access_points = {"test-net": "test-password"}
    cab.run("3m")
    assert online(cab) and settled(cab)
    assert len(cab.board.resets) == 1


def test_a_missing_access_point_is_named_and_its_return_is_noticed_soon(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.run("1m")
    cab.pull_cable("network")
    cab.run("30m")
    assert error(cab) == "no access point"
    cab.plug_in("network")
    cab.run("15s")
    assert online(cab)


def test_the_return_of_the_network_ends_a_long_pause(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.stop_broker()
    cab.run("1h")  # pauses have grown to minutes
    connects = len(cab.network_faults.connections)
    cab.start_broker()
    cab.pull_cable("network")
    cab.run("20s")
    cab.plug_in("network")
    cab.run("90s")
    assert online(cab) and len(cab.network_faults.connections) == connects + 1


def test_an_interface_that_only_says_that_it_is_up_starts_over(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.run("1m")
    active = []
    switch = cab.radio.activate
    cab.radio.activate = lambda interface, on: (active.append(on), switch(interface, on))
    cab.pull_cable("uplink")
    cab.run("40m")
    assert False in active and active[-1] is True
    cab.plug_in("uplink")
    cab.run("17m")
    assert online(cab) and settled(cab) and len(cab.board.resets) == 1


def test_time_is_asked_for_while_the_broker_is_away_and_sending_goes_on_while_it_is_silent(cabinet):
    cab = cabinet(SITE, seed=3)
    cab.time_server.silent = True
    cab.run("2m")
    assert online(cab) and cab.broker.decoded > 0 and cab.request("status")["time"] == "none"
    cab.stop_broker()
    cab.time_server.silent = False
    cab.run("3m")
    assert not online(cab) and cab.request("status")["time"] == "ntp"


# --- several brokers


@pytest.fixture
def two_brokers(cabinet, monkeypatch):
    """A cabinet whose site names two brokers, and what takes one of them away."""

    def compiled(path, write_ids):
        made = compile_site(path, write_ids=write_ids)
        made.body["mqtt"]["hosts"] = [["one.example", 1883], ["two.example", 1884]]
        made.data = pack(made.body)
        return made

    monkeypatch.setattr("satama_sim.cabinet.compile_site", compiled)
    cab = cabinet(SITE, seed=3)
    places = {"one": (cab.network.address("one.example"), 1883), "two": (cab.network.address("two.example"), 1884)}
    cab.used = []
    accept = {name: cab.network.tcp[place] for name, place in places.items()}

    def there(name, on):
        if on:
            cab.network.tcp[places[name]] = lambda peer: (cab.used.append(name), accept[name](peer))[1]
        else:
            cab.network.tcp.pop(places[name], None)

    for name in places:
        there(name, True)
    cab.there = there
    return cab


def test_the_second_broker_takes_over_and_the_first_is_preferred_again(two_brokers):
    cab = two_brokers
    cab.run("1m")
    assert online(cab) and cab.used == ["one"]
    cab.there("one", False)
    cab.simulated_broker.core.sever_all(cab.timeline.now_us)
    cab.run("20s")
    assert online(cab) and cab.used == ["one", "two"]
    cab.there("one", True)
    cab.run("10m")
    cab.simulated_broker.core.sever_all(cab.timeline.now_us)  # it was good where it was, and the first has just failed
    cab.run("20s")
    assert cab.used == ["one", "two", "two"]
    cab.run("25m")
    cab.simulated_broker.core.sever_all(cab.timeline.now_us)
    cab.run("20s")
    assert online(cab) and cab.used == ["one", "two", "two", "one"]
    assert settled(cab) and cab.request("status")["missed_slots"] == 0


def test_both_brokers_away_are_tried_in_turn(two_brokers):
    cab = two_brokers
    cab.there("one", False)
    cab.there("two", False)
    cab.run("20m")
    assert error(cab) == "connection refused"
    cab.there("two", True)
    cab.run("16m")
    assert online(cab) and set(cab.used) == {"two"} and settled(cab)


# --- Ethernet


def test_a_missing_cable_is_named_and_ethernet_needs_no_restart(cabinet, tmp_path):
    for name in ("big-counters.toml", "big-counters-site.toml"):
        text = (
            SITE.with_name(name)
            .read_text()
            .replace('kind = "wifi"\nssid = "test-net"\npassword = "test-password"', 'kind = "lan"')
        )
        (tmp_path / name).write_text(text)
    cab = cabinet(tmp_path / SITE.name, seed=3)
    cab.run("1m")
    assert online(cab)
    cab.pull_cable("network")
    cab.run("5m")
    assert (cab.request("status")["network"], error(cab)) == ("down", "no cable")
    cab.plug_in("network")
    cab.run("1m")
    assert online(cab) and settled(cab) and len(cab.board.resets) == 1
