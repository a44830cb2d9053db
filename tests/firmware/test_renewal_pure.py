"""uplink.mqtt.renewal: what is on trial, whose turn it is, and when nothing is asked for any more. What is on flash is played by a dictionary."""

import pytest

from gateway.uplink.mqtt import renewal
from gateway.uplink.mqtt.renewal import Renewal, digits

TOPIC = b"district/v1/yard/gw/certs"
NOT_US = "client certificate refused"


class Flash:
    """In the place of kept_certificates."""

    def __init__(self):
        self.kept, self.full = {}, False

    def read(self, which, spec):
        return self.kept.get(which, b"")

    def write(self, which, data, spec):
        if self.full:
            return "full"
        self.kept[which] = data
        return ""

    def judge(self, which, data, spec):
        return "bad" if b"bad" in data else ""

    def several(self, data):
        return data.split(b",") if data else []


@pytest.fixture
def flash(monkeypatch):
    made = Flash()
    monkeypatch.setattr(renewal, "_files", lambda: made)
    return made


class Clock:
    now = 0

    def uptime_ms(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stalls():
    """Since when flash was written, each time."""
    return []


@pytest.fixture
def gateway(flash, clock, stalls):
    told = []
    made = Renewal({}, TOPIC, told.append, clock, stalls.append)
    made.told = told
    made.take()
    assert made.connected(1)
    return made


def came(gateway, which, data, retained=False):
    gateway.came(TOPIC + b"/" + which.encode(), data, retained)


def events(gateway):
    """(event, which, why) since last asked."""
    told, gateway.told[:] = list(gateway.told), []
    return [(event["event"][6:], event["which"], event.get("why", "")) for event in told]


def test_what_is_asked_for_is_a_subscribe_packet_at_qos_1(gateway):
    for name in (b"g", b"g" * 200):
        packet = Renewal({}, name, None, Clock(), None)
        packet.take()
        sent = packet.connected(0x1234)
        length, at = (sent[1], 2) if sent[1] < 0x80 else (sent[1] & 0x7F | sent[2] << 7, 3)
        assert sent[0] == 0x82 and length == len(sent) - at
        topic = name + b"/+"
        assert sent[at:] == b"\x12\x34" + len(topic).to_bytes(2, "big") + topic + b"\1"


def test_it_counts_from_the_next_connection_on_and_is_kept_once_that_has_come(gateway, flash, clock, stalls):
    clock.now = 77
    came(gateway, "ca", b"one,two")
    assert gateway.is_due and gateway.is_stale and flash.kept == {} and events(gateway) == []
    assert gateway.take() == ([b"one", b"two"], b"") and not gateway.is_due
    assert not gateway.failed("no answer")  # nobody's fault
    gateway.connected(2)
    assert flash.kept == {"ca": b"one,two"} and events(gateway) == [("kept", "ca", "")]
    assert gateway.ca_next == digits(b"one,two") and not gateway.is_stale and stalls == [77]


@pytest.mark.parametrize("reason", ["wrong CA", "certificate refused", NOT_US, "refused: not authorised"])
def test_what_does_not_stand_the_trial_is_as_if_it_had_never_come(gateway, flash, reason):
    came(gateway, "client", b"new", True)
    gateway.take()
    assert gateway.failed(reason) and gateway.is_stale
    assert gateway.take() == ([], b"") and flash.kept == {} and events(gateway) == [("refused", "client", reason)]
    gateway.connected(3)
    came(gateway, "client", b"new", True)  # retained, it comes with every connection
    assert not gateway.is_due and events(gateway) == []
    came(gateway, "client", b"new")  # somebody sends it again
    assert gateway.is_due


def test_a_connection_from_before_proves_nothing(gateway, flash):
    came(gateway, "ca", b"new")
    gateway.connected(4)  # was under way when it came
    assert flash.kept == {} and gateway.is_due


def test_flash_that_takes_nothing(gateway, flash):
    flash.full = True
    came(gateway, "ca", b"new")
    gateway.take()
    gateway.connected(5)
    assert events(gateway) == [("refused", "ca", "full")] and gateway.ca_next == "" and gateway.is_stale


def test_the_same_again_costs_no_connection(gateway, flash):
    came(gateway, "ca", b"new")
    gateway.take()
    gateway.connected(6)
    events(gateway)
    came(gateway, "ca", b"new", True)
    assert not gateway.is_due and events(gateway) == []
    came(gateway, "ca", b"new")
    assert not gateway.is_due and events(gateway) == [("kept", "ca", "")]  # whoever has sent it waits for a word


def test_one_trial_at_a_time_and_nothing_of_other_topics(gateway):
    came(gateway, "ca", b"bad one")
    assert events(gateway) == [("refused", "ca", "bad")] and not gateway.is_due
    gateway.came(TOPIC + b"/other", b"new", False)
    gateway.came(b"elsewhere", b"new", False)
    assert not gateway.is_due
    came(gateway, "ca", b"new")
    came(gateway, "client", b"new")
    assert gateway.take() == ([b"new"], b"")


def test_a_refused_client_certificate_and_the_sites_own_take_turns(gateway, flash):
    flash.kept["client"] = b"kept"
    gateway.take()
    gateway.connected(7)
    assert gateway.failed(NOT_US) and gateway.take() == ([], b"")  # at once with the site's own
    assert gateway.client_next == "" and events(gateway) == [("refused", "client", NOT_US)]
    assert not gateway.failed(NOT_US)  # neither: that is for the back-off
    assert gateway.take() == ([], b"kept")
    assert gateway.failed(NOT_US) and gateway.take() == ([], b"") and events(gateway) == []
    gateway.connected(8)
    assert not gateway.failed("no answer") and gateway.take() == ([], b"")  # what has worked stays
    assert gateway.failed(NOT_US) and gateway.take() == ([], b"kept")


def test_without_another_one_a_refusal_is_for_the_back_off(gateway):
    assert not gateway.failed(NOT_US)


def test_brokers_that_hang_up_over_it_are_left_alone_for_a_day(gateway, clock):
    gateway.closed("")  # between SUBSCRIBE and SUBACK
    assert gateway.connected(9)
    assert gateway.answered(9) and not gateway.answered(9)
    gateway.closed("")
    for number in (10, 11, 12):
        assert gateway.connected(number)
        gateway.closed("")
    assert gateway.is_deaf and not gateway.is_due and not gateway.connected(13)
    assert events(gateway) == [("refused", "", "no right to subscribe")]
    clock.now += 86_400_000
    assert gateway.is_due  # a connection that lasts for months would never ask
    assert gateway.connected(14) and not gateway.is_due
    gateway.closed("")
    assert gateway.is_deaf and events(gateway) == [("refused", "", "no right to subscribe")]
    clock.now += 86_400_000
    assert gateway.connected(15) and gateway.answered(15)
    gateway.closed("")
    assert gateway.connected(16) and events(gateway) == []


def test_a_packet_that_no_parser_takes_ends_it_at_once(gateway):
    gateway.answered(1)
    gateway.closed("packet length")
    assert gateway.is_deaf and events(gateway) == [("refused", "", "packet length")]
    gateway.closed("packet length")
    assert events(gateway) == []


@pytest.mark.parametrize("number", [0, 2])
def test_an_answer_to_nothing(gateway, number):
    assert not gateway.answered(number)
