"""Certificates that reach a gateway over its broker: what it takes, on what proof, and that no mistake with them locks it out."""

import hashlib
import json
import random
import subprocess
import sys

import pytest
from test_tls import CLIENT, HOST, Yard, mosquitto

from satama.core.places import FIRMWARE
from satama_sim.authority import DER, Authority
from satama_sim.cabinet import Cabinet

TOPIC = "district/v1/kalasatama/tls-1/certs/"


@pytest.fixture(scope="module")
def ca():
    return Authority("district CA")


@pytest.fixture(scope="module")
def new():
    return Authority("next district CA")


@pytest.fixture
def yard(tmp_path, ca):
    return Yard(tmp_path, ca)


def der(*issued):
    return b"".join(one.certificate_bytes(DER) for one in issued)


def digits(data):
    return hashlib.sha256(data).hexdigest()[:16]


class Operator:
    """At a broker of the cabinet, over TLS."""

    def __init__(self, cabinet):
        self.cabinet, self.read = cabinet, 0
        self.wait_online()

    def send(self, which, data, retain=True):
        self.cabinet.simulated_broker.publish(TOPIC + which, data, retain)

    def change(self, server, clients=None):
        """The broker is started anew, with another certificate."""
        self.cabinet.tls_end.present(server, clients)
        self.cabinet.stop_broker()
        self.cabinet.run(1)  # it is noticed
        self.cabinet.start_broker()

    def is_online(self):
        return self.cabinet.request("status")["broker"] == "online"

    def wait_online(self, within="20m"):
        self.cabinet.run_until(self.is_online, within)

    def told(self):
        """(event, which, why or digits) of what the gateway has said since last asked, after a while."""
        self.cabinet.run("20s")
        events = self.cabinet.broker.events
        fresh = [event for event in events[self.read :] if event["event"].startswith("certs_")]
        self.read = len(events)
        return [(one["event"][6:], one["which"], one.get("why", one.get("sha256", ""))) for one in fresh]

    def uplink(self):
        self.cabinet.run("70s")
        return self.cabinet.broker.diag["uplink"]

    def nothing_lost(self):
        self.wait_online()
        self.cabinet.run("5m")
        ledger = self.cabinet.ledger()
        assert ledger["balanced"] and ledger["dropped"] == 0 and ledger["queued"] <= 20
        assert self.cabinet.broker.errors == 0
        seconds = [sample.time for sample in self.cabinet.broker.stream("bed-1/moisture").samples]
        assert len(seconds) == len(set(seconds)) > 200


def test_a_new_ca_comes_over_the_broker_is_proved_and_outlives_restarts(yard, ca, new):
    with yard.simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.send("ca", der(new.issued))
        assert operator.told() == [("kept", "ca", digits(der(new.issued)))]
        cabinet.cut_power()
        cabinet.run(1)
        cabinet.restore_power()
        operator.change(new.server(HOST))
        operator.wait_online()
        assert operator.told() == []  # the retained message is no news
        uplink = operator.uplink()
        assert (uplink["ca_next"], uplink["client_next"]) == (digits(der(new.issued)), "")
        operator.change(ca.server(HOST))  # the site's own goes on to be trusted
        operator.nothing_lost()


def test_the_next_rotation_finds_the_gateway_trusting_both(yard, ca, new):
    third = Authority("third district CA")
    with yard.simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.send("ca", der(new.issued))
        operator.told()
        operator.change(new.server(HOST))
        operator.wait_online()
        operator.send("ca", der(third.issued))  # alone: the broker of today would not be believed any more
        assert operator.told() == [("refused", "ca", "wrong CA")]
        assert operator.is_online()
        operator.send("ca", der(new.issued, third.issued))
        assert operator.told()[-1] == ("kept", "ca", digits(der(new.issued, third.issued)))
        operator.change(third.server(HOST))
        operator.wait_online()
        operator.send("ca", b"")
        assert operator.told() == [("refused", "ca", "wrong CA")]
        operator.change(ca.server(HOST))
        operator.wait_online()
        operator.send("ca", b"")
        assert operator.told() == [("dropped", "ca", "")]
        operator.change(third.server(HOST))
        cabinet.run("30s")
        assert cabinet.request("status")["broker_error"] == "wrong CA"


@pytest.mark.parametrize(
    ("which", "what", "why"),
    [
        ("ca", lambda ca: b"-----BEGIN CERTIFICATE-----", "no certificate that can be read"),
        ("ca", lambda ca: der(ca.issued)[:-1], "no certificate that can be read"),
        ("ca", lambda ca: der(ca.issued) + b"\x30\x03abc", "no certificate that can be read"),
        ("ca", lambda ca: der(ca.server(HOST)), "not a CA's"),
        ("ca", lambda ca: der(ca.issued, ca.server(HOST)), "not a CA's"),
        ("client", lambda ca: der(ca.client("tls-1")), "the site has no client certificate, and no key for one"),
    ],
)
def test_what_is_of_no_use_is_refused_once_and_changes_nothing(yard, ca, which, what, why):
    with yard.simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.send(which, what(ca))
        assert operator.told() == [("refused", which, why)]
        operator.change(ca.server(HOST))
        operator.wait_online()
        assert operator.told() == []  # retained, it comes again
        operator.send(which, what(ca), retain=False)
        assert operator.told() == [("refused", which, why)]


def test_a_message_that_no_parser_takes_does_not_keep_the_gateway_off_for_good(yard, ca):
    with yard.simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.send("ca", bytes(5000))
        cabinet.run("2m")
        assert operator.told() == [("refused", "", "packet length")]
        operator.nothing_lost()
        assert operator.uplink()["protocol_errors"] == 1
        operator.change(ca.server(HOST))
        operator.nothing_lost()
        assert operator.uplink()["protocol_errors"] == 1  # it is not asked for any more


def test_a_client_certificate_is_renewed_and_the_sites_own_is_there_when_it_is_refused(yard, ca, new):
    old = ca.client("tls-1")
    old.write(yard.folder, "client")
    renewed = new.renew(old)
    with yard.describe(CLIENT).simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.change(ca.server(HOST), clients=ca)
        operator.wait_online()
        operator.send("client", der(renewed))  # the broker does not take it yet
        assert operator.told()[-1][:2] == ("refused", "client")
        assert operator.is_online()
        operator.change(ca.server(HOST), clients=new)
        cabinet.run("30s")
        assert not operator.is_online()
        operator.change(ca.server(HOST))
        operator.wait_online()
        operator.send("client", der(renewed))
        assert operator.told()[-1] == ("kept", "client", digits(der(renewed)))
        operator.change(ca.server(HOST), clients=new)
        operator.wait_online()
        assert operator.uplink()["client_next"] == digits(der(renewed))
        operator.change(ca.server(HOST), clients=ca)  # it was revoked
        operator.wait_online()
        assert operator.uplink()["client_next"] == ""
        assert operator.told()[0][:2] == ("refused", "client")
        operator.change(ca.server(HOST), clients=new)
        operator.wait_online()
        assert operator.uplink()["client_next"] == digits(der(renewed))
        operator.nothing_lost()


def test_a_client_certificate_of_another_key_is_refused(yard, ca):
    ca.client("tls-1").write(yard.folder, "client")
    with yard.describe(CLIENT).simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.send("client", der(ca.client("tls-1")))
        assert operator.told() == [("refused", "client", "another key's")]


def test_a_deploy_with_another_certificate_makes_the_kept_one_void(yard, ca):
    old = ca.client("tls-1")
    old.write(yard.folder, "client")
    with yard.describe(CLIENT).simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.send("client", der(ca.renew(old)), retain=False)
        assert operator.told()[-1][0] == "kept"
        ca.client("tls-1").write(yard.folder, "client")
        from test_deploy import go, wanted

        from satama.compiling.compiler import compile_site

        go(cabinet, wanted(compile_site(yard.site), FIRMWARE))
        operator.wait_online()
        assert operator.told() == [("dropped", "client", "")]
        assert operator.uplink()["client_next"] == ""


@pytest.mark.parametrize("content", [b"", b"short", bytes(32) + b"no certificate", bytes(3000)])
def test_a_damaged_file_keeps_nobody_off(yard, ca, content):
    with Cabinet(yard.site, tls_server=ca.server(HOST), files={"/ca_next.der": content}) as cabinet:
        operator = Operator(cabinet)
        assert operator.told() == [("dropped", "ca", "")]
        assert operator.uplink()["ca_next"] == ""


def test_the_power_is_cut_while_it_is_written(yard, ca, new):
    dice = random.Random(5)
    lists = [der(new.issued), der(new.issued, ca.issued)]
    with yard.simulated(ca.server(HOST)) as cabinet:
        operator = Operator(cabinet)
        operator.send("ca", lists[0])
        assert operator.told()[-1][0] == "kept"
        for turn in range(3):  # a fourth would look like a weak supply, for which the uplink waits
            operator.send("ca", lists[(turn + 1) % 2])
            cabinet.run(2 + 4 * dice.random())
            cabinet.cut_power()
            cabinet.run(1)
            cabinet.restore_power()
            operator.wait_online()
            assert operator.uplink()["ca_next"] in [digits(one) for one in lists]
        operator.nothing_lost()


def test_without_tls_nothing_is_asked_for(yard):
    with yard.describe("insecure = true", ca="").simulated() as cabinet:
        operator = Operator(cabinet)
        operator.send("ca", b"anything")
        assert operator.told() == []
        assert "ca_next" not in operator.uplink() and operator.uplink()["protocol_errors"] == 0


def test_the_command_at_a_real_broker_that_then_changes_its_ca(yard, ca, new):
    names = (HOST, "localhost")
    (yard.folder / "new.pem").write_bytes(new.issued.certificate_bytes())
    broker = mosquitto(server=ca.server(*names))
    with broker:
        address = f"mqtts://{broker.host}:{broker.port}"
        with Cabinet(yard.site, clock="real", broker=address) as cabinet:
            operator = Operator(cabinet)
            words = ["send-certs", str(yard.site), str(yard.folder / "new.pem"), "--json"]
            words = [sys.executable, "-c", "from satama.cli import app; app()", *words]
            sending = subprocess.Popen([*words, "--broker", f"localhost:{broker.port}"], stdout=subprocess.PIPE)
            cabinet.run_until(lambda: sending.poll() is not None, "3m", step=0.2)
            told = json.loads(sending.communicate()[0])
            assert told["verdict"] == "kept" and told["ok"] and sending.returncode == 0
            before = cabinet.ledger()["acknowledged"]
            broker.present(new.server(*names))
            broker.restart()
            cabinet.run_until(lambda: cabinet.ledger()["acknowledged"] > before + 5, "3m", step=0.5)
            assert operator.is_online()
