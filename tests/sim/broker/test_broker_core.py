"""The sans-IO broker: sessions, Wills, retained messages, time, and what hostile bytes do (nothing)."""

import hashlib
import itertools
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satama_sim.broker import Broker, Message, packets
from satama_sim.broker.packets import Connect, Publish, Will

SECOND = 1_000_000


class Client:
    """The other side of one connection; what the broker sends is parsed packet by packet."""

    def __init__(self, broker: Broker, client_id: str = "c", now_us: int = 0, **options) -> None:
        self.broker = broker
        self.connection = broker.connect(now_us)
        self.send(packets.encode_connect(Connect(client_id, **options)), now_us)
        answers = self.answers()
        self.connack = answers[0][1] if answers else None
        self.resumed = [packets.parse_publish(flags, body) for kind, body, flags in answers[1:]]

    def send(self, data: bytes, now_us: int = 0) -> None:
        self.broker.feed(self.connection, data, now_us)

    def answers(self) -> list[tuple[int, bytes, int]]:
        """(type, body, flags) of each packet that came since the last look."""
        found, position = [], 0
        while packet := packets.cut_packet(self.connection.out, position):
            first_byte, body, position = packet
            found.append((first_byte >> 4, body, first_byte & 15))
        assert position == len(self.connection.out)
        self.connection.out.clear()
        return found

    def subscribe(self, *filters: tuple[str, int]) -> list[Publish]:
        """Subscribe and return the retained messages that follow the SUBACK."""
        self.send(packets.encode_subscribe(7, filters))
        (kind, body, _), *rest = self.answers()
        assert (kind, body) == (packets.SUBACK, b"\x00\x07" + bytes(min(qos, 1) for _, qos in filters))
        return [packets.parse_publish(flags, body) for _, body, flags in rest]

    def messages(self, acknowledge: bool = True) -> list[Publish]:
        """The messages that came since the last look, each acknowledged."""
        publishes = [packets.parse_publish(flags, body) for kind, body, flags in self.answers() if kind == 3]
        for message in publishes:
            if acknowledge and message.qos:
                self.send(packets.encode_puback(message.packet_id))
        return publishes

    def payloads(self) -> list[bytes]:
        """All payloads that are to be had when everything is acknowledged."""
        payloads = []
        while messages := self.messages():
            payloads += [message.payload for message in messages]
        return payloads

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, retain: bool = False) -> None:
        self.send(packets.encode_publish(topic, payload, qos, retain, False, 99 if qos else 0))


# ---- connecting


def test_connect_is_accepted():
    broker = Broker()
    client = Client(broker, "gw-1")
    assert client.connack == b"\x00\x00"
    assert client.connection.open
    assert client.connection.client_id == "gw-1"


def test_the_first_packet_must_be_connect_and_only_the_first():
    broker = Broker()
    early = broker.connect(0)
    broker.feed(early, packets.PINGREQ_PACKET, 0)
    assert not early.open
    assert early.closed_because == "the first packet is not CONNECT"
    twice = Client(broker)
    twice.send(packets.encode_connect(Connect("c")))
    assert not twice.connection.open


@pytest.mark.parametrize(
    ("connect", "answer"),
    [
        (b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x01a", b"\x20\x02\x00\x01"),
        (packets.encode_connect(Connect("", clean_session=False)), b"\x20\x02\x00\x02"),
        (packets.encode_connect(Connect("a", username="eve", password=b"x")), b"\x20\x02\x00\x05"),
    ],
)
def test_refusals_are_answered_before_the_connection_is_closed(connect, answer):
    broker = Broker(authenticate=lambda user, password: user != "eve")
    connection = broker.connect(0)
    broker.feed(connection, connect, 0)
    assert (bytes(connection.out), connection.open) == (answer, False)


def test_authentication_sees_user_and_password():
    seen = []
    broker = Broker(authenticate=lambda user, password: seen.append((user, password)) or True)
    assert Client(broker, username="gw", password=b"\x00secret").connection.open
    assert Client(broker).connection.open
    assert seen == [("gw", b"\x00secret"), (None, None)]


def test_empty_client_ids_get_distinct_names_that_nobody_has():
    broker = Broker()
    Client(broker, "auto-1")
    one, two = Client(broker, ""), Client(broker, "")
    names = {one.connection.client_id, two.connection.client_id}
    assert len(names) == 2
    assert not names & {"", "auto-1"}
    assert one.connection.open


def test_ping_is_answered():
    client = Client(Broker())
    client.send(packets.PINGREQ_PACKET)
    assert bytes(client.connection.out) == packets.PINGRESP_PACKET


# ---- routing


def test_messages_reach_matching_subscriptions_only():
    broker = Broker()
    publisher, near, far = Client(broker, "p"), Client(broker, "near"), Client(broker, "far")
    near.subscribe(("site/+/d/#", 0))
    far.subscribe(("other/#", 0))
    publisher.publish("site/gw/d/2", b"pack")
    assert near.messages() == [Publish("site/gw/d/2", b"pack")]
    assert far.messages() == []


@pytest.mark.parametrize(("published", "granted", "expected"), [(0, 1, 0), (1, 0, 0), (1, 1, 1), (1, 2, 1)])
def test_quality_of_service_is_the_lower_of_both(published, granted, expected):
    broker = Broker()
    subscriber = Client(broker, "s")
    subscriber.subscribe(("t", granted))
    Client(broker, "p").publish("t", b"x", published)
    assert [message.qos for message in subscriber.messages()] == [expected]


def test_overlapping_subscriptions_give_one_copy_of_the_highest_quality():
    broker = Broker()
    subscriber = Client(broker)
    subscriber.subscribe(("a/#", 0), ("a/+", 1), ("#", 0))
    broker.publish("a/b", b"x", qos=1)
    assert [message.qos for message in subscriber.messages()] == [1]


def test_unsubscribing_and_subscribing_again_take_effect_at_once():
    broker = Broker()
    subscriber = Client(broker)
    subscriber.subscribe(("t", 1))
    broker.publish("t", b"1", qos=1)
    subscriber.send(packets.encode_unsubscribe(5, ["t", "never"]))
    assert subscriber.answers()[-1][:2] == (packets.UNSUBACK, b"\x00\x05")
    broker.publish("t", b"2", qos=1)
    assert subscriber.messages() == []
    subscriber.subscribe(("t", 0))
    broker.publish("t", b"3", qos=1)
    assert subscriber.messages() == [Publish("t", b"3")]


def test_puback_comes_after_routing_and_carries_the_id():
    broker = Broker()
    client = Client(broker)
    client.subscribe(("t", 0))
    client.send(packets.encode_publish("t", b"x", 1, packet_id=513))
    assert [(kind, body) for kind, body, _ in client.answers()] == [(3, b"\x00\x01tx"), (4, b"\x02\x01")]


def test_quality_of_service_2_is_refused_by_closing():
    broker = Broker()
    client = Client(broker)
    client.send(b"\x34\x05\x00\x01t\x00\x01")
    assert not client.connection.open


def test_messages_are_reported_with_who_when_and_how():
    seen = []
    broker = Broker(on_publish=seen.append)
    client = Client(broker, "gw", will=Will("w", b"gone", 1, True))
    client.send(packets.encode_publish("t", b"x", 1, True, True, 9), now_us=123)
    broker.publish("u", b"y", now_us=124)
    broker.lost(client.connection, 125)
    assert seen == [
        Message("t", b"x", 1, True, True, "gw", 9, 123),
        Message("u", b"y", 0, False, False, "", 0, 124),
        Message("w", b"gone", 1, True, False, "gw", 0, 125),
    ]


def test_a_hook_may_cut_the_network_between_message_and_puback():
    broker = Broker()
    broker.on_publish = lambda message: broker.sever_all(message.at_us)
    subscriber = Client(broker, "s", clean_session=False)
    subscriber.subscribe(("t", 1))
    publisher = Client(broker, "p")
    publisher.publish("t", b"x", 1)
    assert publisher.connection.out == b""
    broker.on_publish = None
    assert [message.payload for message in Client(broker, "s", clean_session=False).resumed] == [b"x"]


def test_a_raising_hook_does_not_make_the_message_come_twice():
    broker = Broker()
    client = Client(broker)
    broker.on_publish = lambda message: 1 // 0
    with pytest.raises(ZeroDivisionError):
        client.publish("t", b"1")
    seen = []
    broker.on_publish = seen.append
    client.publish("t", b"2")
    assert [message.payload for message in seen] == [b"2"]


@pytest.mark.parametrize("bad", [("", 0), ("a/+", 0), ("#", 0), ("a\0", 0), ("t" * 65_536, 0), ("\ud800", 0), ("a", 2)])
def test_the_program_cannot_publish_what_mqtt_cannot_carry(bad):
    topic, qos = bad
    with pytest.raises(ValueError):
        Broker().publish(topic, b"", qos)


def test_impossible_window_is_refused():
    with pytest.raises(ValueError):
        Broker(max_inflight=65_536)


# ---- retained messages


def test_retained_messages_come_with_the_subscription_and_only_there():
    broker = Broker()
    other = Client(broker, "other")
    publisher = Client(broker, "p")
    publisher.publish("a/1", b"old", 1, retain=True)
    publisher.publish("a/2", b"two", 0, retain=True)
    publisher.publish("a/1", b"new", 1, retain=True)
    assert broker.retained == {"a/1": (b"new", 1), "a/2": (b"two", 0)}
    subscriber = Client(broker, "s")
    assert subscriber.subscribe(("a/+", 1)) == [
        Publish("a/1", b"new", 1, True, False, 1),
        Publish("a/2", b"two", 0, True),
    ]
    publisher.publish("a/1", b"live", 0, retain=True)
    assert subscriber.messages() == [Publish("a/1", b"live")]
    assert other.messages() == []


def test_an_empty_payload_removes_a_retained_message():
    broker = Broker()
    broker.publish("a", b"x", retain=True)
    broker.publish("a", b"", retain=True)
    broker.publish("never", b"", retain=True)
    assert broker.retained == {}


# ---- Wills


def watcher(broker: Broker) -> Client:
    client = Client(broker, "watcher")
    client.subscribe(("will", 1))
    return client


WILL = Will("will", b"offline", 1, True)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda broker, client: broker.lost(client.connection, 1), id="transport-lost"),
        pytest.param(lambda broker, client: client.send(b"\x00\x00"), id="malformed-packet"),
        pytest.param(lambda broker, client: broker.tick(15 * SECOND), id="keepalive"),
        pytest.param(lambda broker, client: Client(broker, "gw"), id="take-over"),
    ],
)
def test_will_is_published_at_an_abnormal_end_and_only_once(end):
    broker = Broker()
    observer = watcher(broker)
    client = Client(broker, "gw", keepalive_s=10, will=WILL)
    end(broker, client)
    broker.lost(client.connection, 2)
    assert not client.connection.open
    assert observer.payloads() == [b"offline"]
    assert broker.retained["will"] == (b"offline", 1)


def test_no_will_after_disconnect():
    broker = Broker()
    observer = watcher(broker)
    client = Client(broker, "gw", will=WILL)
    client.send(packets.DISCONNECT_PACKET)
    broker.lost(client.connection, 1)
    assert not client.connection.open
    assert observer.payloads() == []


def test_severing_the_network_publishes_every_will_in_order():
    seen = []
    broker = Broker(on_publish=seen.append)
    store = Client(broker, "store", clean_session=False)
    store.subscribe(("w/#", 1))
    clients = [Client(broker, name, will=Will("w/" + name, b"x", 1)) for name in ("zeta", "alpha", "mid")]
    broker.sever_all(77)
    assert [(message.topic, message.at_us) for message in seen] == [("w/zeta", 77), ("w/alpha", 77), ("w/mid", 77)]
    assert not any(client.connection.open or client.connection.out for client in [store, *clients])
    resumed = Client(broker, "store", clean_session=False).resumed
    assert [(message.topic, message.dup) for message in resumed] == [("w/zeta", 0), ("w/alpha", 0), ("w/mid", 0)]


# ---- sessions


def test_offline_messages_wait_for_a_persistent_session():
    broker = Broker()
    first = Client(broker, "s", clean_session=False)
    assert first.connack == b"\x00\x00"
    first.subscribe(("t", 1))
    broker.lost(first.connection, 0)
    for payload in (b"1", b"2", b"3"):
        broker.publish("t", payload, qos=1)
    broker.publish("t", b"qos 0 is not kept")
    again = Client(broker, "s", clean_session=False)
    assert again.connack == b"\x01\x00"
    assert [(message.payload, message.dup) for message in again.resumed] == [(b"1", 0), (b"2", 0), (b"3", 0)]


def test_unacknowledged_messages_come_again_with_dup_and_their_ids_before_the_queue():
    broker = Broker(max_inflight=2)
    first = Client(broker, "s", clean_session=False)
    first.subscribe(("t", 1))
    for payload in (b"1", b"2", b"3", b"4"):
        broker.publish("t", payload, qos=1)
    one, two = first.messages(acknowledge=False)
    first.send(packets.encode_puback(one.packet_id))
    (three,) = first.messages(acknowledge=False)
    broker.lost(first.connection, 0)
    again = Client(broker, "s", clean_session=False)
    assert again.resumed == [two._replace(dup=True), three._replace(dup=True)]
    again.send(packets.encode_puback(two.packet_id) + packets.encode_puback(three.packet_id))
    assert [(message.payload, message.dup) for message in again.messages()] == [(b"4", False)]
    broker.lost(again.connection, 0)
    assert Client(broker, "s", clean_session=False).resumed == []


def test_a_clean_session_starts_and_ends_empty():
    broker = Broker()
    kept = Client(broker, "s", clean_session=False)
    kept.subscribe(("t", 1))
    broker.lost(kept.connection, 0)
    broker.publish("t", b"x", qos=1)
    clean = Client(broker, "s", clean_session=True)
    assert (clean.connack, clean.resumed) == (b"\x00\x00", [])
    broker.publish("t", b"y", qos=1)
    assert clean.messages() == []
    clean.subscribe(("t", 1))
    broker.lost(clean.connection, 0)
    broker.publish("t", b"z", qos=1)
    assert Client(broker, "s", clean_session=False).connack == b"\x00\x00"


def test_a_second_client_takes_the_id_over():
    broker = Broker()
    old = Client(broker, "gw", clean_session=False)
    old.subscribe(("t", 1))
    new = Client(broker, "gw", clean_session=False)
    assert (old.connection.open, old.connection.closed_because) == (False, "client id taken over")
    assert new.connack == b"\x01\x00"
    old.publish("t", b"from the dead")
    broker.publish("t", b"x", qos=1)
    assert [message.payload for message in new.messages()] == [b"x"]
    broker.lost(old.connection, 0)
    assert new.connection.open


def test_the_window_bounds_what_is_in_flight():
    broker = Broker(max_inflight=3)
    subscriber = Client(broker)
    subscriber.subscribe(("t", 1))
    for number in range(10):
        broker.publish("t", b"%d" % number, qos=1)
    assert [message.payload for message in subscriber.messages(acknowledge=False)] == [b"0", b"1", b"2"]
    subscriber.send(packets.encode_puback(2) + packets.encode_puback(2) + packets.encode_puback(999))
    assert [message.payload for message in subscriber.messages(acknowledge=False)] == [b"3"]


def test_over_the_queue_limit_the_newest_are_dropped_and_counted():
    broker = Broker(max_inflight=1, max_queued=2)
    subscriber = Client(broker)
    subscriber.subscribe(("t", 1))
    for number in range(5):
        broker.publish("t", b"%d" % number, qos=1)
    assert broker.dropped == 2
    assert subscriber.payloads() == [b"0", b"1", b"2"]


def test_packet_ids_wrap_and_skip_those_in_flight():
    broker = Broker()
    subscriber = Client(broker)
    subscriber.subscribe(("t", 1))
    ids = []
    for number in range(65_540):
        broker.publish("t", b"", qos=1)
        (message,) = subscriber.messages(acknowledge=False)
        ids.append(message.packet_id)
        if number != 2:  # packet id 3 stays in flight
            subscriber.send(packets.encode_puback(message.packet_id))
    assert ids == [*range(1, 65_536), 1, 2, 4, 5, 6]


def test_a_restarted_broker_keeps_sessions_and_retained_messages_but_no_will():
    seen = []
    broker = Broker(on_publish=seen.append)
    kept = Client(broker, "kept", clean_session=False, will=WILL)
    kept.subscribe(("t", 1))
    clean = Client(broker, "clean", will=WILL)
    clean.subscribe(("t", 1))
    broker.publish("t", b"x", qos=1, retain=True)
    broker.restart()
    assert [message.topic for message in seen] == ["t"]
    assert not (kept.connection.open or kept.connection.out or clean.connection.open)
    again = Client(broker, "kept", clean_session=False)
    assert (again.connack, again.resumed) == (b"\x01\x00", [Publish("t", b"x", 1, False, True, 1)])
    assert Client(broker, "clean", clean_session=False).connack == b"\x00\x00"
    assert list(broker.retained) == ["t"]


def test_a_broker_restarted_without_persistence_knows_nothing():
    broker = Broker()
    client = Client(broker, clean_session=False)
    client.subscribe(("t", 1))
    broker.publish("t", b"x", qos=1, retain=True)
    broker.restart(keep_sessions=False)
    again = Client(broker, clean_session=False)
    broker.publish("t", b"y", qos=1)
    assert (again.connack, again.resumed, again.messages()) == (b"\x00\x00", [], [])
    assert broker.retained == {}


# ---- time


def test_silence_of_one_and_a_half_keepalives_ends_a_connection():
    broker = Broker()
    client = Client(broker, now_us=100, keepalive_s=3)
    assert broker.next_deadline_us() == 100 + 4_500_000
    client.send(packets.PINGREQ_PACKET, now_us=200)
    assert broker.next_deadline_us() == 200 + 4_500_000
    client.send(packets.PINGREQ_PACKET[:1], now_us=300)  # half a packet is no sign of life
    broker.tick(200 + 4_499_999)
    assert client.connection.open
    broker.tick(200 + 4_500_000)
    assert (client.connection.open, client.connection.closed_because) == (False, "keepalive expired")
    assert broker.next_deadline_us() is None


def test_keepalive_0_never_ends():
    broker = Broker()
    client = Client(broker, keepalive_s=0)
    assert broker.next_deadline_us() is None
    broker.tick(10**15)
    assert client.connection.open


def test_a_connection_without_connect_is_closed_in_time():
    broker = Broker(connect_timeout_s=10)
    connection = broker.connect(5)
    broker.feed(connection, b"\x10", 9 * SECOND)
    assert broker.next_deadline_us() == 5 + 10 * SECOND
    broker.tick(5 + 10 * SECOND)
    assert (connection.open, connection.closed_because) == (False, "no CONNECT in time")


@given(
    st.lists(
        st.tuples(st.sampled_from(["open", "ping", "lose", "tick"]), st.integers(0, 9), st.integers(0, 3)), max_size=60
    )
)
def test_the_next_deadline_is_that_of_the_longest_silence(steps):
    broker = Broker()
    now_us, clients, silences, expected = 0, [], [], {}
    for action, choice, seconds in steps:
        now_us += seconds * SECOND
        if action == "open":
            expected[len(clients)] = now_us + choice * 1_500_000 if choice else None
            silences.append(choice * 1_500_000)
            clients.append(Client(broker, f"c{len(clients)}", now_us, keepalive_s=choice))
        elif action == "tick":
            broker.tick(now_us)
            expected = {key: at_us for key, at_us in expected.items() if at_us is None or at_us > now_us}
        elif choice in expected and action == "ping":
            clients[choice].send(packets.PINGREQ_PACKET, now_us)
            expected[choice] = now_us + silences[choice] if silences[choice] else None
        elif choice in expected:
            broker.lost(clients[choice].connection, now_us)
            del expected[choice]
        assert broker.next_deadline_us() == min((at for at in expected.values() if at is not None), default=None)
        assert [client.connection.open for client in clients] == [key in expected for key in range(len(clients))]


# ---- transports


def test_ready_connections_are_listed_once_and_in_order():
    broker = Broker()
    one, two = Client(broker, "1"), Client(broker, "2")
    two.subscribe(("t", 0))
    one.subscribe(("t", 0))
    broker.take_ready()
    two.publish("t", b"x")
    two.publish("t", b"y")
    assert broker.take_ready() == [one.connection, two.connection]
    broker.lost(one.connection, 0)
    assert broker.take_ready() == [one.connection]
    assert broker.take_ready() == []


def test_a_packet_over_the_limit_closes_the_connection():
    broker = Broker(max_packet_bytes=100)
    client = Client(broker)
    client.publish("t", bytes(97))
    assert client.connection.open
    client.publish("t", bytes(98))
    assert not client.connection.open


# ---- hostile bytes

good_packets = st.sampled_from(
    [
        packets.encode_connect(Connect("a", True, 10, WILL)),
        packets.encode_connect(Connect("b", False)),
        packets.encode_subscribe(1, [("#", 1), ("will", 0)]),
        packets.encode_unsubscribe(2, ["#"]),
        packets.encode_publish("t", b"x", 1, True, False, 3),
        packets.encode_publish("will", b"y"),
        packets.encode_puback(1),
        packets.PINGREQ_PACKET,
        packets.DISCONNECT_PACKET,
    ]
)
spoilt_packets = st.tuples(good_packets, st.integers(0, 60), st.integers(0, 255)).map(
    lambda spoil: spoil[0][: spoil[1]] + bytes((spoil[2],)) + spoil[0][spoil[1] + 1 :]
)
streams = st.lists(good_packets | spoilt_packets | st.binary(max_size=20), max_size=12).map(b"".join)


def conversation(stream: bytes, cuts: list[int]) -> tuple:
    """Everything that can be seen from outside when `stream` arrives in the given pieces after a good CONNECT."""
    seen = []
    broker = Broker(on_publish=seen.append)
    observer = watcher(broker)
    client = Client(broker, "hostile", keepalive_s=5, will=WILL)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        client.send(stream[start:end], now_us=1)
    return (
        bytes(client.connection.out),
        client.connection.open,
        client.connection.closed_because,
        bytes(observer.connection.out),
        seen,
        broker.retained,
        broker.next_deadline_us(),
    )


@settings(max_examples=300)
@given(streams, st.lists(st.integers(0, 500), max_size=10))
def test_nothing_that_arrives_raises_and_the_pieces_do_not_matter(stream, cuts):
    whole = conversation(stream, [])
    assert conversation(stream, cuts) == whole
    assert conversation(stream, list(range(len(stream)))) == whole


@settings(max_examples=300)
@given(streams)
def test_nothing_that_arrives_before_connect_raises(stream):
    broker = Broker()
    connection = broker.connect(0)
    broker.feed(connection, stream, 0)
    broker.tick(11 * SECOND)
    broker.lost(connection, 12 * SECOND)


def busy_day() -> str:
    """A digest of all bytes of a day with many clients; also run in processes of other hash seeds."""
    digest = hashlib.sha256()
    broker = Broker(max_inflight=3)
    clients = []
    for number in range(400):
        now_us = number * SECOND
        name = f"client-{number * 7 % 23}"
        client = Client(
            broker, name, now_us, clean_session=number % 3 == 0, keepalive_s=20, will=Will("w/" + name, b"!")
        )
        client.subscribe((f"t/{number % 5}", 1), ("w/#", number % 2))
        clients.append(client)
        for target in clients[-5:]:
            target.publish(f"t/{number % 7}", b"%d" % number, 1, retain=number % 11 == 0)
        broker.tick(now_us)
        if number % 100 == 99:
            broker.sever_all(now_us)
        for connection in broker.take_ready():
            digest.update(connection.out + b"|%d" % connection.open)
            connection.out.clear()
    return digest.hexdigest()


def test_the_same_day_gives_the_same_bytes_whatever_the_hash_seed():
    digests = {
        subprocess.run(
            [sys.executable, "-c", "import test_broker_core; print(test_broker_core.busy_day())"],
            env=os.environ
            | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {busy_day()}
