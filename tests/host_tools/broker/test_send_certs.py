"""`satama send-certs`: what no gateway would take is not sent, and what the gateway says is understood."""

import json

import pytest
from typer.testing import CliRunner

from satama.broker import send_certs
from satama.broker.send_certs import Parcel, Verdict, parcel, taken_away
from satama.cli import app
from satama.core.problems import Wrong
from satama.site_file.site import load_site
from satama.trust.certificates import today
from satama_sim.authority import DER, Authority

SITE = """
[site]
name = "yard"
gateway = "gw-1"
board = "esp32-devkit"

[network]
kind = "wifi"
ssid = "a"
password = "correct horse"

[mqtt]
host = "broker.example"
ca = "ca.pem"
{more}

[[device]]
id = "bed-1"
profile = "dfrobot-sen0193"
pin = "IO34"
"""
CA, NEXT = Authority("district CA"), Authority("next district CA")
CLIENT = 'client_cert = "client.pem"\nclient_key = "client.key"'


@pytest.fixture
def yard(tmp_path):
    """The folder of a site with a client certificate."""
    (tmp_path / "ca.pem").write_bytes(CA.issued.certificate_bytes())
    old = CA.client("gw-1")
    old.write(tmp_path, "client")
    NEXT.renew(old).write(tmp_path, "renewed")
    CA.renew(old, ends=-0.5).write(tmp_path, "over")
    CA.client("gw-1").write(tmp_path, "strange")
    CA.server("broker.example").write(tmp_path, "server")
    (tmp_path / "next.pem").write_bytes(NEXT.issued.certificate_bytes())
    (tmp_path / "many.pem").write_bytes(NEXT.issued.certificate_bytes() * 9)
    (tmp_path / "bad.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nbad\n-----END CERTIFICATE-----\n")
    (tmp_path / "site.toml").write_text(SITE.format(more=CLIENT))
    return tmp_path


def made(yard, *names):
    form, _ = load_site(yard / "site.toml")
    return parcel(form, yard, [yard / name for name in names], today())


def test_what_is_sent_where(yard):
    sent = made(yard, "next.pem", "ca.pem")
    assert sent.topic == "district/v1/yard/gw-1/certs/ca"
    assert sent.data == NEXT.issued.certificate_bytes(DER) + CA.issued.certificate_bytes(DER)
    assert made(yard, "renewed.pem").topic.endswith("/client")
    form, _ = load_site(yard / "site.toml")
    assert taken_away(form, "client") == Parcel("client", "district/v1/yard/gw-1/certs/client", b"")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["missing.pem"], "missing.pem"),
        (["bad.pem"], "holds no certificate"),
        (["client.key"], "holds a private key"),
        (["server.pem"], "for another key than client.pem"),
        (["strange.pem"], "for another key than client.pem"),
        (["over.pem"], "ended on"),
        (["next.pem", "renewed.pem"], "renewed.pem is no CA certificate"),
        (["renewed.pem", "renewed.pem"], "is no CA certificate"),
        (["many.pem"], "gateways take 2048"),
    ],
)
def test_what_no_gateway_would_take_is_not_sent(yard, names, found):
    with pytest.raises(Wrong) as told:
        made(yard, *names)
    assert found in told.value.what and told.value.hint


def test_a_site_without_a_client_certificate_has_no_use_for_one(yard):
    (yard / "site.toml").write_text(SITE.format(more=""))
    with pytest.raises(Wrong, match="no client certificate to replace"):
        made(yard, "renewed.pem")


SENT = Parcel("ca", "r/s/g/certs/ca", b"der")
AWAY = Parcel("ca", "r/s/g/certs/ca", b"")


@pytest.mark.parametrize(
    ("sent", "said", "verdict"),
    [
        (SENT, {"event": "certs_kept", "which": "ca", "sha256": SENT.digits}, "kept"),
        (SENT, {"event": "certs_kept", "which": "ca", "sha256": "another"}, None),
        (SENT, {"event": "certs_kept", "which": "client", "sha256": SENT.digits}, None),
        (SENT, {"event": "certs_dropped", "which": "ca"}, None),
        (AWAY, {"event": "certs_dropped", "which": "ca"}, "dropped"),
        (AWAY, {"uplink": {"ca_next": ""}}, None),  # it may be from before
        (SENT, {"event": "certs_refused", "which": "ca", "sha256": SENT.digits, "why": "wrong CA"}, "refused"),
        (SENT, {"event": "certs_refused", "which": "ca", "sha256": "", "why": "wrong CA"}, None),
        (AWAY, {"event": "certs_refused", "which": "ca", "sha256": "", "why": "wrong CA"}, "refused"),
        (SENT, {"event": "certs_refused", "which": "", "why": "packet length"}, "refused"),
        (SENT, {"uplink": {"ca_next": SENT.digits}}, "kept"),
        (SENT, {"uplink": {"client_next": SENT.digits}}, None),
        (SENT, {"uplink": 7}, None),
        (SENT, [1], None),
    ],
)
def test_what_the_gateway_says_is_understood(monkeypatch, sent, said, verdict):
    def messages(where, filters, for_s, retained):
        assert filters == ["r/s/g/event", "r/s/g/diag"] and retained == [(sent.topic, sent.data)]
        yield "r/s/g/event", b"\x80 no JSON"
        yield "r/s/g/event", json.dumps(said).encode()

    monkeypatch.setattr(send_certs.live, "messages", messages)
    found = send_certs.send(None, sent, 1)
    assert found.what == (verdict or "unheard")
    if verdict == "refused":
        assert found.way_out
    assert verdict or found == Verdict("unheard", "", found.way_out)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], "either"),
        (["next.pem", "--take-away", "ca"], "either"),
        (["server.pem"], "another key"),
        (["next.pem", "--wait", "long"], "no duration"),
        (["next.pem", "--password-file", "ca.pem"], "without a user"),
        (["next.pem", "--cert", "missing.pem"], "missing.pem"),
        (["next.pem", "--ca", "missing.pem"], "missing.pem"),
        (["next.pem", "--ca", "site.toml"], "no certificates can be read"),
        (["next.pem", "--broker", "a:b:c"], "no broker address"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_use_is_told_before_anything_is_sent(yard, monkeypatch, words, found, as_json):
    monkeypatch.chdir(yard)
    done = CliRunner().invoke(app, ["send-certs", "site.toml", *words, *(["--json"] if as_json else [])])
    assert done.exit_code == 2 and found in done.output, done.output
    if as_json:
        assert json.loads(done.stdout)["ok"] is False


def test_plain_tcp_has_no_use_for_certificates(yard):
    (yard / "site.toml").write_text(SITE.format(more="").replace('ca = "ca.pem"', "insecure = true"))
    done = CliRunner().invoke(app, ["send-certs", str(yard / "site.toml"), str(yard / "next.pem")])
    assert done.exit_code == 2 and "plain TCP" in done.output


def test_a_broker_that_is_not_there(yard):
    words = ["send-certs", str(yard / "site.toml"), str(yard / "next.pem"), "--broker", "localhost:1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "no broker answers at localhost:1" in done.output
