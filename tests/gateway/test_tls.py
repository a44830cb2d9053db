"""TLS as the gateway speaks it: which brokers it believes, and in which words it refuses the others.

The brokers are mosquitto and iotcore under the real clock; what needs no broker of another hand runs on the simulated one, where TLS
ends in the host's OpenSSL. mbedTLS looks at the clock on the wall, so all certificates are issued relative to now.
"""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from satama.cli import app
from satama.core.places import BOARDS
from satama_sim.authority import Authority
from satama_sim.broker.iotcore import Iotcore
from satama_sim.broker.mosquitto import Mosquitto, MosquittoMissing
from satama_sim.cabinet import Cabinet
from satama_sim.pytest_plugin import missing

HOST = "broker.kalasatama.example"
SITE = """
[site]
name = "kalasatama"
gateway = "tls-1"
board = "quick.toml"

[network]
kind = "lan"
ntp = ["ntp.kalasatama.example"]

[mqtt]
host = "{host}"
{mqtt}
batch_age_s = 1

[[device]]
id = "bed-1"
profile = "dfrobot-sen0193"
pin = "A1"
period_s = 1
"""
PASSWORD = "three-red-harbour-seals"


@pytest.fixture(scope="module")
def ca():
    return Authority("district CA")


@pytest.fixture(scope="module")
def stranger():
    return Authority("some other CA")


class Yard:
    """A folder with a site that trusts `ca`."""

    def __init__(self, folder: Path, ca: Authority):
        self.folder, self.site = folder, folder / "yard.toml"
        board = (BOARDS / "esp32-devkit" / "board.toml").read_text(encoding="utf-8")
        # A handshake costs the chip seconds; under the real clock they would be ours.
        quick, count = re.subn(r"(?m)^tls_handshake_us = \d+", "tls_handshake_us = 100000", board)
        assert count == 1
        (folder / "quick.toml").write_text(quick)
        (folder / "ca.pem").write_bytes(ca.issued.certificate_bytes())
        self.describe()

    def describe(self, more: str = "", host: str = HOST, ca: str = 'ca = "ca.pem"') -> "Yard":
        self.site.write_text(SITE.format(host=host, mqtt=f"{ca}\n{more}"))
        return self

    def against(self, broker) -> str:
        """What becomes of the connection to a real broker: "online", or the reason why not."""
        with broker:
            address = f"mqtts://{broker.host}:{broker.port}"
            with Cabinet(self.site, clock="real", broker=address) as cabinet:
                return verdict(cabinet)

    def simulated(self, server=None) -> Cabinet:
        return Cabinet(self.site, tls_server=server)


def verdict(cabinet: Cabinet, within="60s") -> str:
    answer = {}

    def known() -> bool:
        answer.update(cabinet.request("status"))
        return answer["broker"] == "online" or answer["broker_error"] != ""

    cabinet.run_until(known, within, step=0.1)
    return answer["broker_error"] or "online"


@pytest.fixture
def yard(tmp_path, ca):
    return Yard(tmp_path, ca)


def mosquitto(**options) -> Mosquitto:
    try:
        return Mosquitto(**options)
    except MosquittoMissing as error:
        return missing(str(error))


def iotcore(**options) -> Iotcore:
    try:
        return Iotcore(**options)
    except ImportError:
        return missing("iotcore is not installed: pip install 'satama[test]' brings it")


# --- mosquitto


def test_mosquitto_with_a_certificate_of_our_ca(yard, ca):
    assert yard.against(mosquitto(server=ca.server(HOST))) == "online"


def test_mosquitto_with_a_certificate_of_a_strange_ca(yard, stranger):
    assert yard.against(mosquitto(server=stranger.server(HOST))) == "wrong CA"


def test_mosquitto_with_an_expired_certificate(yard, ca):
    assert yard.against(mosquitto(server=ca.server(HOST, begins=-9, ends=-1))) == "certificate expired"


def test_mosquitto_with_the_certificate_of_another_host(yard, ca):
    assert yard.against(mosquitto(server=ca.server("other.kalasatama.example"))) == "wrong host name"


def test_mosquitto_without_tls(yard):
    assert yard.against(mosquitto()) == "no TLS"


# mosquitto closes while the rest of our greeting is under way: that is a reset, which may come before the alert is read.
NOT_YOU = ("client certificate refused", "closed in the handshake")
CLIENT = 'client_cert = "client.pem"\nclient_key = "client.key"\n'


def test_mosquitto_asks_for_a_certificate_and_gets_it(yard, ca):
    ca.client("tls-1", key="RSA-2048").write(yard.folder, "client")
    assert yard.describe(CLIENT).against(mosquitto(server=ca.server(HOST), clients=ca)) == "online"


def test_mosquitto_asks_for_a_certificate_and_gets_none(yard, ca):
    assert yard.against(mosquitto(server=ca.server(HOST), clients=ca)) in NOT_YOU


def test_mosquitto_asks_for_a_certificate_and_gets_a_strange_one(yard, ca, stranger):
    stranger.client("tls-1").write(yard.folder, "client")
    broker = mosquitto(server=ca.server(HOST), clients=ca)
    assert yard.describe(CLIENT).against(broker) in NOT_YOU


def test_mosquitto_with_the_right_password(yard, ca):
    login = f'user = "tls-1"\npassword = "{PASSWORD}"\n'
    broker = mosquitto(server=ca.server(HOST), users={"tls-1": PASSWORD})
    assert yard.describe(login).against(broker) == "online"


def test_mosquitto_with_a_wrong_password(yard, ca):
    login = 'user = "tls-1"\npassword = "two-red-harbour-seals"\n'
    broker = mosquitto(server=ca.server(HOST), users={"tls-1": PASSWORD})
    assert yard.describe(login).against(broker) == "refused: not authorised"


@pytest.mark.parametrize(
    "who, names, code, found",
    [
        ("ca", "localhost", 0, "signed by 'district CA'"),
        ("stranger", "localhost", 1, "no CA of the list has signed its certificate"),
        ("ca", "other.example", 1, "ostname mismatch"),
        ("ca, over", "localhost", 1, "expired"),
        ("nobody", "", 1, "it speaks no TLS"),
    ],
)
def test_the_technician_sees_what_the_broker_presents(yard, ca, stranger, who, names, code, found):
    begins, ends = (-9, -1) if "over" in who else (-1, 300)
    signer = {"ca": ca, "stranger": stranger, "nobody": None}[who.partition(",")[0]]
    with mosquitto(server=signer and signer.server(names, begins=begins, ends=ends), clients=signer and ca) as broker:
        yard.describe(host=f"localhost:{broker.port}")
        told = CliRunner().invoke(app, ["certs", str(yard.site), "--ask"])
    assert told.exit_code == code and found in told.stdout, told.output
    told = CliRunner().invoke(app, ["certs", str(yard.site), "--ask", "--json"])
    assert told.exit_code == 1 and "cannot be reached" in json.loads(told.stdout)["shown"][0]["error"]


# --- iotcore, which speaks TLS through rustls


def test_iotcore_with_a_certificate_of_our_ca_and_the_right_password(yard, ca):
    login = f'user = "tls-1"\npassword = "{PASSWORD}"\n'
    broker = iotcore(server=ca.server(HOST), users={"tls-1": PASSWORD})
    assert yard.describe(login).against(broker) == "online"


def test_iotcore_closes_without_a_word_when_the_password_is_wrong(yard, ca):
    login = 'user = "tls-1"\npassword = "two-red-harbour-seals"\n'
    broker = iotcore(server=ca.server(HOST), users={"tls-1": PASSWORD})
    assert yard.describe(login).against(broker) == "closed by the broker"


def test_iotcore_with_a_certificate_of_a_strange_ca(yard, stranger):
    assert yard.against(iotcore(server=stranger.server(HOST))) == "wrong CA"


# --- the simulated broker, under the virtual clock


@pytest.mark.parametrize(
    "names, found",
    [
        ((HOST,), "online"),
        (("*.kalasatama.example",), "online"),
        (("other.example", HOST), "online"),
        (("*.example",), "wrong host name"),  # a star stands for one level
        (("kalasatama.example",), "wrong host name"),
    ],
)
def test_the_name_of_the_broker_is_compared(yard, ca, names, found):
    with yard.simulated(ca.server(*names)) as cabinet:
        assert verdict(cabinet) == found


@pytest.mark.parametrize(
    "names, found",
    [(("10.20.30.40",), "online"), (("10.20.30.41",), "wrong host name"), ((HOST,), "wrong host name")],
)
def test_an_address_must_stand_in_the_certificate_as_one(yard, ca, names, found):
    with yard.describe(host="10.20.30.40").simulated(ca.server(*names)) as cabinet:
        assert verdict(cabinet) == found


def test_a_certificate_that_begins_tomorrow_is_not_taken(yard, ca):
    with yard.simulated(ca.server(HOST, begins=1)) as cabinet:
        assert verdict(cabinet) == "certificate not yet valid"


@pytest.mark.parametrize("key", ["RSA-2048", "P-384"])
def test_other_keys_that_the_board_takes(yard, key):
    ca = Authority("another district CA", key=key)
    (yard.folder / "ca.pem").write_bytes(ca.issued.certificate_bytes())
    with yard.simulated(ca.server(HOST, key=key)) as cabinet:
        assert verdict(cabinet) == "online"


def test_without_the_time_nothing_is_believed(yard, ca):
    with yard.simulated(ca.server(HOST)) as cabinet:
        cabinet.time_server.silent = True
        assert verdict(cabinet, "5m") == "clock not set"
        cabinet.time_server.silent = False
        cabinet.run_until(lambda: cabinet.request("status")["broker"] == "online", "20m", step=5)


def test_a_site_with_tls_runs_in_the_simulator_without_the_key_of_its_ca(yard):
    with yard.simulated() as cabinet:
        cabinet.run("60s")
        ledger = cabinet.ledger()
        assert ledger["acknowledged"] > 40 and cabinet.broker.errors == 0


def test_towards_a_real_broker_tls_can_end_in_the_simulator(yard):
    with mosquitto() as broker, Cabinet(yard.site, broker=f"{broker.host}:{broker.port}") as cabinet:
        assert verdict(cabinet) == "online"
        cabinet.run("30s")
        assert cabinet.ledger()["acknowledged"] > 20


def test_tls_goes_through_only_where_that_can_be(yard):
    with pytest.raises(ValueError, match="needs the real clock"):
        Cabinet(yard.site, broker="mqtts://127.0.0.1:8883")
    told = CliRunner().invoke(app, ["demo", "--site", str(yard.site), "--broker", "mqtts://127.0.0.1:8883"])
    assert told.exit_code == 2 and "without TLS" in told.output


def test_a_rotation_loses_nothing_and_needs_nobody_at_the_cabinet(yard, ca, stranger):
    """The broker changes to a certificate of the new CA while the gateway holds both; a CA that it does not hold stays refused."""
    new = Authority("next district CA")
    (yard.folder / "new.pem").write_bytes(new.issued.certificate_bytes())
    with yard.describe(ca='ca = ["ca.pem", "new.pem"]').simulated(ca.server(HOST)) as cabinet:

        def change(server):
            cabinet.tls_end.present(server)
            cabinet.stop_broker()
            cabinet.start_broker()

        def online():
            return cabinet.request("status")["broker"] == "online"

        cabinet.run_until(online, "60s")
        change(stranger.server(HOST))
        cabinet.run("60s")
        status = cabinet.request("status")
        assert (status["broker"], status["broker_error"]) == ("offline", "wrong CA")
        change(new.server(HOST))
        cabinet.run_until(online, "20m")
        cabinet.run("5m")
        ledger = cabinet.ledger()
        assert ledger["dropped"] == 0 and ledger["queued"] <= 10
        assert ledger["produced"] == ledger["acknowledged"] + ledger["queued"] + ledger["quarantined"]
        seconds = [sample.time for sample in cabinet.broker.stream("bed-1/moisture").samples]
        assert len(seconds) == len(set(seconds)) > 300


def test_no_secret_leaves_by_console_or_broker(yard, ca):
    ca.client("tls-1").write(yard.folder, "client")
    yard.describe(CLIENT + f'user = "tls-1"\npassword = "{PASSWORD}"\n')
    with yard.simulated(ca.server(HOST)) as cabinet:
        key = cabinet.compiled.certificates["certs/client_key.der"]
        assert key in bytes(cabinet.flash.data) and len(key) > 100
        for question in ("status", "ledger", "help"):
            cabinet.request(question)
        cabinet.run("60s")
        assert PASSWORD not in cabinet.console_text() and PASSWORD not in str(cabinet.report())
        assert key not in bytes(cabinet.console_output)
