"""The supervisor's decisions, without a network: how long to wait, which broker is next, when the interface starts over."""

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.network import backoff
from gateway.uplink.network.backoff import CLOCK, FAR, NEAR, PERSON, Backoff
from gateway.uplink.network.places import Places
from gateway.uplink.network.supervisor_state import BROKER, INTERFACE, ONLINE, State

HOUR = 3_600_000


def mean(limit):
    """Chance without chance: the pause is what it is on average."""
    return limit // 2


# --- the back-off


def test_pauses_double_from_a_second_to_200():
    wait = Backoff(mean)
    pauses = [wait.pause_ms(FAR, False, 0) // 1000 for _ in range(12)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 200, 200, 200, 200]


@given(st.integers(0, 2**32))
def test_each_pause_is_half_of_it_to_half_more(seed):
    rng = random.Random(seed)
    for _ in range(20):
        wait = Backoff(rng.randrange)
        wait._doublings = 9
        assert 100_000 <= wait.pause_ms(FAR, False, 0) < 300_000


def test_two_gateways_do_not_keep_step():
    pauses = [Backoff(random.Random(seed).randrange).pause_ms(FAR, False, 0) for seed in range(100)]
    assert len(set(pauses)) > 80


def test_what_troubles_no_broker_is_tried_each_minute():
    wait = Backoff(mean)
    assert [wait.pause_ms(NEAR, False, 0) for _ in range(12)][-1] == 60_000


def test_a_refusal_begins_with_minutes():
    wait = Backoff(mean)
    assert [wait.pause_ms(PERSON, False, 0) // 1000 for _ in range(4)] == [120, 240, 480, 600]


def test_the_clock_is_waited_for_in_seconds():
    wait = Backoff(mean)
    assert {wait.pause_ms(CLOCK, False, 0) for _ in range(20)} == {2000}


def test_another_address_is_tried_soon():
    wait = Backoff(mean)
    for _ in range(6):
        wait.pause_ms(FAR, False, 0)
    assert wait.pause_ms(FAR, True, 0) == 1000


def test_a_connection_that_lasts_starts_the_pauses_over_one_that_does_not_is_a_failure():
    wait = Backoff(mean)
    for _ in range(6):
        wait.pause_ms(FAR, False, 0)
    wait.connected(0)
    assert wait.pause_ms(FAR, False, 5_000) == 64_000
    wait.connected(100_000)
    assert wait.pause_ms(FAR, False, 160_000) == 1_000


@given(st.integers(0, 2**32), st.integers(0, 90_000))
def test_a_broker_that_throws_us_out_sees_twenty_connects_an_hour_in_the_long_run(seed, lasts_ms):
    wait = Backoff(random.Random(seed).randrange)
    now, connects = 0, []
    while now < 12 * HOUR:
        now += wait.to_wait_ms(now)
        wait.connecting(now)
        connects.append(now)
        wait.connected(now)
        now += lasts_ms
        now += wait.pause_ms(FAR, False, now)
    for hour in range(12):
        inside = [at for at in connects if hour * HOUR <= at < (hour + 1) * HOUR]
        assert len(inside) <= (30 if hour == 0 else 24)
    assert len([at for at in connects if at >= HOUR]) <= 11 * 20


def test_reasons_have_their_kind():
    kinds = {
        FAR: ("no answer", "errno 104", "closed by the broker", "protocol error", "refused: server unavailable"),
        NEAR: ("no network", "wrong Wi-Fi password", "no such name", "name server silent", "no address from DHCP"),
        PERSON: ("refused: not authorised", "wrong CA", "certificate expired", "wrong host name", "no TLS"),
        CLOCK: ("clock not set",),
    }
    for kind in sorted(kinds):
        for reason in kinds[kind]:
            assert backoff.kind_of(reason) == kind, reason


# --- the choice of the broker

SITE = [["1.1.1.1", "1.1.1.2"], ["2.2.2.2"], ["3.3.3.1", "3.3.3.2"]]


def tries(places, count, now=0):
    """What is tried when all fails."""
    tried = []
    for _ in range(count):
        places.begin(now)
        tried.append((places.choose(SITE[places.at]), places.more_to_try))
        places.failed(now)
    return tried


def test_every_address_of_every_name_in_turn():
    around = [("1.1.1.1", True), ("1.1.1.2", True), ("2.2.2.2", True), ("3.3.3.1", True), ("3.3.3.2", False)]
    assert tries(Places(3), 10) == around * 2


def connect(places, at, now):
    places.at = places._start = at
    places.begin(now)
    places.choose(SITE[at])
    places.connected(now)


def test_a_good_connection_that_is_lost_is_tried_again_where_it_was():
    places = Places(3)
    tries(places, 2)
    connect(places, 1, 0)
    places.failed(61_000)
    assert [address for address, _ in tries(places, 4, 61_000)] == ["2.2.2.2", "3.3.3.1", "3.3.3.2", "1.1.1.1"]


def test_a_broker_that_takes_us_in_and_throws_us_out_is_not_insisted_on():
    places = Places(3)
    places.begin(0)
    places.choose(SITE[0])
    places.connected(0)
    places.failed(5_000)
    places.begin(6_000)
    assert places.choose(SITE[places.at]) == "1.1.1.2"


def test_the_first_of_the_site_is_preferred_again_after_half_an_hour():
    places = Places(3)
    tries(places, 2)
    connect(places, 1, 0)
    places.failed(HOUR)
    places.begin(HOUR)
    assert places.choose(SITE[places.at]) == "1.1.1.1"


def test_an_hour_away_from_the_first_is_long_enough():
    places = Places(3)
    tries(places, 2)
    connect(places, 1, 0)
    assert not places.away(HOUR - 1) and places.away(HOUR)
    connect(places, 0, 0)
    assert not places.away(9 * HOUR)


def test_the_address_that_was_good_goes_first():
    places = Places(1)
    places.begin(0)
    places.choose(["a", "b"])
    places.failed(0)
    places.begin(0)
    places.choose(["b"])
    places.connected(0)
    places.failed(70_000)
    places.begin(70_000)
    assert places.choose(["a", "c", "b"]) == "b"


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 2 * HOUR)), max_size=40))
def test_whatever_happens_each_address_gets_its_turn(events):
    places, now = Places(3), 0
    for addresses, works, passes in events:
        now += passes
        places.begin(now)
        if places.choose([str(at) for at in range(addresses)]) and works:
            places.connected(now)
        else:
            places.failed(now)
        assert 0 <= places.at < 3
    places.failed(now)
    seen = {address for address, _ in tries(places, 20, now)}
    assert seen >= {address for name in SITE for address in name}


# --- the state


def test_the_state_says_since_when_and_why():
    state = State(0)
    assert state.name == INTERFACE
    state.enter(BROKER, 2_000)
    state.enter(BROKER, 3_000)
    assert state.since_ms == 2_000
    state.connected(5_000)
    assert (state.name, state.since_ms, state.reason) == (ONLINE, 5_000, "")
    state.failed("no answer", True, 9_000)
    assert (state.name, state.since_ms, state.reason) == (BROKER, 9_000, "no answer")


def test_an_interface_that_does_not_come_up_starts_over_each_fourth_time():
    state = State(0)
    assert [state.failed("no network", False, at * 40_000) for at in range(8)] == [False, False, False, True] * 2


def test_an_interface_that_claims_to_be_up_and_hears_nothing_starts_over_ever_more_rarely():
    state = State(0)
    starts = [minute for minute in range(300) if state.failed("no answer", True, minute * 60_000)]
    assert starts == [10, 30, 70, 130, 190, 250]


def test_a_voice_from_outside_is_life():
    state = State(0)
    for minute in range(300):
        assert not state.failed("refused: not authorised", True, minute * 60_000)
    for minute in range(300, 600):
        state.heard(minute * 60_000)
        assert not state.failed("no answer", True, minute * 60_000)
