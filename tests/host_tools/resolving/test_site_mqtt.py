"""[mqtt]: every mistake in brokers, certificates and keys is found on the host, at its line, and no secret is told."""

import contextlib
import json
import os
import re
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from satama.cli import app
from satama.commands.certs import next_steps, read_all, row
from satama.compiling.compiler import compile_site
from satama.compiling.mqtt import public_digests
from satama.core.problems import Problems
from satama.packing.image import device_files
from satama.resolving.mqtt import check_mqtt
from satama.resolving.resolve import resolve_site
from satama.resolving.resolved import Resolved
from satama.site_file.site import load_site
from satama.trust import certificates
from satama_sim.authority import DER, PEM, Authority, Issued, new_key

SITE = """\
[site]
name = "yard"
gateway = "gw-1"
board = "esp32-devkit"
[network]
kind = "lan"
[mqtt]
{mqtt}
[[device]]
id = "soil"
profile = "dfrobot-sen0193"
pin = "A1"
"""
GOOD = 'host = "broker.yard.example"\nca = "ca.pem"\n'
CLIENT = GOOD + 'client_cert = "gw.pem"\nclient_key = "gw.key"\n'
SECRET = "four-green-cormorants"


@pytest.fixture(scope="module")
def ca():
    return Authority("yard CA")


@pytest.fixture(scope="module")
def client(ca):
    return ca.client("gw-1")


@pytest.fixture
def folder(tmp_path, ca, client):
    (tmp_path / "ca.pem").write_bytes(ca.issued.certificate_bytes())
    client.write(tmp_path, "gw")
    return tmp_path


@pytest.fixture
def site(folder):
    def write(mqtt=GOOD):
        path = folder / "yard.toml"
        path.write_text(SITE.format(mqtt=mqtt))
        return path

    return write


def compiled(path):
    return compile_site(path, write_ids=False)


def only_problem(path):
    with pytest.raises(Problems) as caught:
        compiled(path)
    assert len(caught.value.problems) == 1, str(caught.value)
    problem = caught.value.problems[0]
    return problem


def warnings(path):
    return [warning.what for warning in compiled(path).warnings if warning.key.startswith("mqtt")]


# --- which brokers


@pytest.mark.parametrize(
    "mqtt, hosts",
    [
        ('host = "a.example"\nca = "ca.pem"', [["a.example", 8883]]),
        ('host = "a.example"\ninsecure = true', [["a.example", 1883]]),
        ('host = "a.example"\nport = 8885\nca = "ca.pem"', [["a.example", 8885]]),
        ('host = "a.example:8885"\nca = "ca.pem"', [["a.example", 8885]]),
        ('hosts = ["a.example", "b.example:8884"]\nca = "ca.pem"', [["a.example", 8883], ["b.example", 8884]]),
        ('hosts = ["a.example", "a.example:1884"]\ninsecure = true', [["a.example", 1883], ["a.example", 1884]]),
    ],
)
def test_the_brokers(site, mqtt, hosts):
    assert compiled(site(mqtt)).body["mqtt"]["hosts"] == hosts


MISTAKES = {
    "no broker": ('ca = "ca.pem"\n', "'host' is missing", "hosts ="),
    "one and several": (GOOD + 'hosts = ["b.example"] # HERE\n', "both given", "one of the two"),
    "a broker twice": ('hosts = ["a.example", "a.example:8883"] # HERE\nca = "ca.pem"', "stands twice", "once"),
    "no port": ('host = "a.example:mqtts" # HERE\nca = "ca.pem"', "no port 1..65535", "8884"),
    "IPv6": ('host = "fe80::1" # HERE\nca = "ca.pem"', "IPv6", "IPv4"),
    "no IPv4 either": ('host = "10.0.0.256" # HERE\nca = "ca.pem"', "not an IPv4 address", "0..255"),
    "a URL": ('host = "mqtts://a.example" # HERE\nca = "ca.pem"', "is not a host", "no scheme"),
    "too wide a window": (GOOD + "window = 65 # HERE", "out of range", "1..64"),
    "nothing to know it by": ('host = "a.example"', "'ca' is missing", "insecure = true"),
    "CA and plain TCP": (GOOD.rstrip() + " # HERE\ninsecure = true", "'ca' is for TLS", "remove one"),
    "no such file": ('host = "a.example"\nca = "xx.pem" # HERE', "there is no file", "relative"),
    "the second file is missing": (
        'host = "a.example"\nca = [\n"ca.pem",\n"xx.pem", # HERE\n]',
        "there is no file",
        "relative",
    ),
    "no certificate in it": ('host = "a.example"\nca = "yard.toml" # HERE', "holds no certificate", "PEM"),
    "a key for a CA": ('host = "a.example"\nca = "gw.key" # HERE', "holds a private key and no certificate", "PEM"),
    "the CA's own key with it": (
        'host = "a.example"\nca = "both.pem" # HERE',
        "holds a private key",
        "never leaves the CA",
    ),
    "no CA": ('host = "a.example"\nca = "gw.pem" # HERE', "'gw-1', is no CA certificate", "broker's own"),
    "a folder": ('host = "a.example"\nca = "." # HERE', "cannot be read", "relative"),
    "certificate without key": (GOOD + 'client_cert = "gw.pem" # HERE', "'client_key' is missing", "other half"),
    "key without certificate": (GOOD + 'client_key = "gw.key" # HERE', "'client_cert' is missing", "other half"),
    "mixed up": (
        GOOD + 'client_cert = "gw.pem"\nclient_key = "gw.pem" # HERE',
        "certificate and no private key",
        "other",
    ),
    "another's key": (
        GOOD + 'client_cert = "gw.pem"\nclient_key = "other.key" # HERE',
        "is not the key of",
        "made for",
    ),
    "encrypted": (GOOD + 'client_cert = "gw.pem"\nclient_key = "locked.key" # HERE', "is encrypted", "openssl pkey"),
    "a server's": (GOOD + 'client_cert = "server.pem" # HERE\nclient_key = "server.key"', "not for clients", "ask for"),
    "a password without a user": (GOOD + 'password = "x" # HERE', "needs a user", "user ="),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_at_its_line(site, folder, ca, client, name):
    ca.server("broker.yard.example").write(folder, "server")
    ca.client("other").write(folder, "other")
    (folder / "locked.key").write_bytes(client.key_bytes(password=SECRET))
    (folder / "both.pem").write_bytes(ca.issued.certificate_bytes() + ca.issued.key_bytes())
    mqtt, what, hint = MISTAKES[name]
    path = site(mqtt)
    problem = only_problem(path)
    assert what in problem.what and hint in problem.hint, str(problem)
    lines = [number for number, line in enumerate(path.read_text().split("\n"), 1) if "# HERE" in line]
    assert problem.line == (lines[0] if lines else 7)


# --- what the board would make of a CA: each case was tried with the VM's mbedTLS

ODD_CA = {
    "weak": ({"key": "RSA-1024"}, "RSA with 1024 bits is too weak", "2048"),
    "a strange curve": ({"key": "secp256k1"}, "curve secp256k1 is not taken", "P-256"),
    "a strange kind": ({"key": "Ed25519"}, "Ed25519 is not taken", "RSA and EC"),
    "no basicConstraints": ({"ca": None}, "is no CA certificate", "signed that"),
    "CA:FALSE": ({"ca": False}, "is no CA certificate", "signed that"),
    "may not sign": ({"signs": False}, "may not sign", "right one"),
    "critical": (
        {"extension": x509.NameConstraints([x509.DNSName("example")], None)},
        "critical extension nameConstraints",
        "without it",
    ),
    "over": ({"begins": -9, "ends": -1}, "expired on", "satama certs"),
    "not yet": ({"begins": 2}, "does not count before", "satama certs"),
}


@pytest.mark.parametrize("name", ODD_CA)
def test_a_ca_of_no_use_is_refused(site, folder, name):
    odd, what, hint = ODD_CA[name]
    (folder / "ca.pem").write_bytes(Authority("odd CA", **odd).issued.certificate_bytes())
    problem = only_problem(site())
    assert what in problem.what and hint in problem.hint and "'odd CA'" in problem.what and problem.line == 9


@pytest.mark.parametrize("kind", ["RSA-2048", "P-384"])
def test_other_keys_that_are_taken(site, folder, kind):
    ca = Authority("yard CA", key=kind)
    (folder / "ca.pem").write_bytes(ca.issued.certificate_bytes())
    ca.client("gw-1", key=kind).write(folder, "gw")
    assert compiled(site(CLIENT)).body["mqtt"]["tls"] == 1


@pytest.mark.parametrize(
    "options, what",
    [
        ({"begins": -9, "ends": -1}, "expired on"),
        ({"begins": 1}, "does not count before"),
        ({"key": "RSA-1024"}, "too weak"),
    ],
)
def test_a_client_certificate_of_no_use_is_refused(site, folder, ca, options, what):
    ca.client("gw-1", **options).write(folder, "gw")
    with pytest.raises(Problems) as caught:
        compiled(site(CLIENT))
    assert any(what in problem.what for problem in caught.value.problems)


def test_of_several_one_must_count_now(site, folder, ca):
    (folder / "old.pem").write_bytes(Authority("old CA", ends=-1).issued.certificate_bytes())
    (folder / "next.pem").write_bytes(Authority("next CA", begins=30).issued.certificate_bytes())
    path = site('host = "a.example"\nca = ["old.pem", "ca.pem", "next.pem"]')
    said = warnings(path)
    assert any("'old CA', expired on" in what for what in said)
    assert any("'next CA', does not count before" in what for what in said)
    assert len(compiled(path).body["mqtt"]["ca"]) == 3
    path = site('host = "a.example"\nca = ["old.pem", "next.pem"]')
    with pytest.raises(Problems) as caught:
        compiled(path)
    assert len(caught.value.problems) == 2


def test_the_ca_of_half_the_world_is_too_much(site, folder):
    many = b"".join(Authority(f"CA {n}").issued.certificate_bytes() for n in range(7))
    (folder / "ca.pem").write_bytes(many)
    assert "7 certificates are more than the board has room for" in only_problem(site()).what


def damaged(whole, data):
    """A few bytes changed, or cut off."""
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return bytes(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content)


FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(data=st.data(), pem=st.booleans())
def test_a_damaged_file_is_a_mistake_and_no_crash(folder, site, ca, client, data, pem):
    form = PEM if pem else DER
    which = data.draw(st.sampled_from(["ca.pem", "gw.pem", "gw.key"]))
    whole = {
        "ca.pem": ca.issued.certificate_bytes(form),
        "gw.pem": client.certificate_bytes(form),
        "gw.key": client.key_bytes(form),
    }
    for name, content in whole.items():
        (folder / name).write_bytes(damaged(content, data) if name == which else content)
    form, source = load_site(site(CLIENT))
    problems = list(check_mqtt(Resolved(form, source, board=None)))
    assert all(SECRET not in str(problem) for problem in problems)
    with contextlib.suppress(Problems):
        now = certificates.today()
        held = read_all(form.mqtt, source)
        assert [row(role, one, now)["role"] for role, one in held] == ["ca", "client"]
        next_steps(form.mqtt, held, now)


# --- notes


def test_an_end_within_90_days_is_told(site, folder, ca):
    (folder / "ca.pem").write_bytes(Authority("yard CA", ends=89).issued.certificate_bytes())
    assert any("ends in 88 days" in what for what in warnings(site()))
    (folder / "ca.pem").write_bytes(Authority("yard CA", ends=92).issued.certificate_bytes())
    assert warnings(site()) == []
    ca.client("gw-1", ends=20).write(folder, "gw")
    assert any(what.startswith("mqtt: client_cert") and "19 days" in what for what in warnings(site(CLIENT)))


def test_doubtful_but_allowed(site, folder, client):
    assert any("plain text" in what for what in warnings(site('host = "a.example"\ninsecure = true\nuser = "u"')))
    assert any(
        "IP address in subjectAltName" in what
        for what in warnings(site(GOOD.replace("broker.yard.example", "10.1.2.3")))
    )
    assert any("usual port of plain TCP" in what for what in warnings(site(GOOD + "port = 1883")))
    assert warnings(site(CLIENT)) == []
    if os.name == "posix":
        (folder / "gw.key").chmod(0o644)
        assert any("other users" in what for what in warnings(site(CLIENT)))


# --- what the device gets


def test_the_device_gets_der_and_the_paths_of_it(site, folder, ca, client):
    new = Authority("next CA")
    (folder / "bundle.pem").write_bytes(new.issued.certificate_bytes() + ca.issued.certificate_bytes())
    (folder / "ca.der").write_bytes(ca.issued.certificate_bytes(DER))
    made = compiled(site(CLIENT.replace('"ca.pem"', '["ca.der", "bundle.pem"]') + "window = 4"))
    mqtt = made.body["mqtt"]
    assert (mqtt["tls"], mqtt["window"]) == (1, 4)
    assert mqtt["ca"] == ["/slot/certs/ca0.der", "/slot/certs/ca1.der"]  # the one that is there twice goes once
    assert (mqtt["cert"], mqtt["key"]) == ("/slot/certs/client.der", "/slot/certs/client_key.der")
    files = made.certificates
    assert sorted("/slot/" + path for path in files) == sorted([*mqtt["ca"], mqtt["cert"], mqtt["key"]])
    assert files["certs/ca0.der"] == ca.issued.certificate_bytes(DER)
    assert files["certs/ca1.der"] == new.issued.certificate_bytes(DER)
    assert files["certs/client.der"] == client.certificate_bytes(DER)
    key = serialization.load_der_private_key(files["certs/client_key.der"], None)
    assert key.private_numbers() == client.key.private_numbers()
    assert files["certs/ca0.der"] in device_files(made.data, certificates=files)["slot_a.bin"]


def test_plain_tcp_needs_no_files(site):
    made = compiled(site('host = "a.example"\ninsecure = true'))
    mqtt = made.body["mqtt"]
    assert (mqtt["tls"], mqtt["ca"], mqtt["cert"], mqtt["key"], made.certificates) == (0, [], "", "", {})


def test_the_config_hash_tells_cas_apart_and_no_secrets(site, folder, ca, client):
    def config(mqtt=CLIENT + 'user = "u"\npassword = "one-password"\n'):
        return compiled(site(mqtt)).body["config"]

    first = config()
    assert config(CLIENT + 'user = "u"\npassword = "another-one"\n') == first
    same = Issued(client.certificate, client.key)
    (folder / "gw.key").write_bytes(same.key_bytes(DER))  # the same key in another form
    assert config() == first
    assert set(public_digests(resolve_site(site(CLIENT)))) == {"certs/ca0.der", "certs/client.der"}
    (folder / "ca.pem").write_bytes(Authority("yard CA").issued.certificate_bytes())
    assert config() != first


def test_built_files_are_for_the_owner_only_and_old_ones_go(site, folder):
    path = site(CLIENT)
    run = CliRunner()
    built = run.invoke(app, ["build", str(path), "--json"])
    facts = json.loads(built.stdout)
    assert built.exit_code == 0 and len(facts["certificates"]) == 3
    for name in [facts["out"], *facts["certificates"]]:
        assert os.name != "posix" or stat.S_IMODE(os.stat(name).st_mode) == 0o600
    run.invoke(app, ["build", str(site())])
    assert [one.name for one in (folder / "yard.certs").iterdir()] == ["ca0.der"]


# --- at the command line


def secrets_of(folder):
    """Parts of a key as they might be shown: lines of the PEM, and the number itself."""
    key = serialization.load_pem_private_key((folder / "gw.key").read_bytes(), None)
    text = (folder / "gw.key").read_text()
    return [
        SECRET,
        *(line[:16] for line in text.splitlines() if len(line) > 20 and "-----" not in line),
        hex(key.private_numbers().private_value)[2:],
    ]


def test_no_output_holds_a_secret(site, folder):
    path = site(CLIENT + f'user = "u"\npassword = "{SECRET}"\n')
    pasted = (folder / "gw.key").read_text()
    for command in (
        ["check"],
        ["check", "--json"],
        ["build"],
        ["build", "--json"],
        ["certs"],
        ["certs", "--json"],
        ["plan"],
    ):
        told = CliRunner().invoke(app, [command[0], str(path), *command[1:]]).output
        assert told and not any(secret in told for secret in secrets_of(folder))
    for line in (f"client_key = '''{pasted}'''", f'client_key = ["""{pasted}"""]', f"client_kei = '''{pasted}'''"):
        path = site(GOOD + 'client_cert = "gw.pem"\n' + line)
        told = CliRunner().invoke(app, ["check", str(path)])
        assert told.exit_code == 2 and not any(secret in told.output for secret in secrets_of(folder))
    made = compiled(site(CLIENT))
    assert repr(made.credentials.client_key)[2:-1] not in repr(made) + repr(made.credentials)


def test_check_tells_what_will_be_verified(site):
    path = site(CLIENT)
    told = CliRunner().invoke(app, ["check", str(path)])
    assert told.exit_code == 0
    assert "broker broker.yard.example:8883: TLS" in told.stdout and "for broker.yard.example" in told.stdout
    assert re.search(r"'yard CA' \(ca.pem\), ends in 3649 days, on \d{4}-", told.stdout)
    assert re.search(r"shows 'gw-1' \(gw.pem\), ends in 364 days", told.stdout)
    facts = json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).stdout)
    assert facts["broker"]["tls"] and [one["days"] for one in facts["broker"]["certificates"]] == [3649, 364]
    told = CliRunner().invoke(app, ["check", str(site('host = "a.example"\ninsecure = true'))])
    assert "plain TCP, neither encrypted nor verified" in told.stdout


def certs(path):
    told = CliRunner().invoke(app, ["certs", str(path), "--json"])
    return told.exit_code, json.loads(told.stdout)


def test_certs_while_all_is_well(site):
    code, facts = certs(site(CLIENT))
    assert code == 0 and facts["next"] == [] and [one["role"] for one in facts["certificates"]] == ["ca", "client"]
    told = CliRunner().invoke(app, ["certs", str(site(CLIENT))])
    assert "nothing to do" in told.stdout and "'yard CA', EC P-256, ca.pem: ends in 3649 days" in told.stdout


def test_certs_leads_through_a_rotation(site, folder):
    (folder / "ca.pem").write_bytes(Authority("old CA", ends=60).issued.certificate_bytes())
    code, facts = certs(site())
    assert code == 1
    order = [
        next(at for at, step in enumerate(facts["next"]) if part in step)
        for part in ("get the", "write both", "every gateway before", "only when", "take the old")
    ]
    assert order == sorted(order)
    (folder / "new.pem").write_bytes(Authority("new CA").issued.certificate_bytes())
    code, facts = certs(site('host = "a.example"\nca = ["ca.pem", "new.pem"]'))
    assert (
        code == 1 and "accepts 'old CA' and 'new CA'" in facts["next"][0] and "then take ca.pem out" in facts["next"][1]
    )
    code, facts = certs(site('host = "a.example"\nca = "new.pem"'))
    assert code == 0 and facts["next"] == []


def test_certs_speaks_when_check_does_not(site, folder, ca):
    (folder / "ca.pem").write_bytes(Authority("old CA", begins=-9, ends=-2).issued.certificate_bytes())
    ca.client("gw-1", begins=-9, ends=-1).write(folder, "gw")
    code, facts = certs(site(CLIENT))
    assert code == 1 and any("that is past" in step for step in facts["next"])
    assert any("client certificate 'gw-1'" in step for step in facts["next"])
    told = CliRunner().invoke(app, ["certs", str(site(CLIENT))])
    assert "ended" in told.stdout and "Traceback" not in told.output


def test_certs_with_a_missing_file_ends_with_2(site):
    told = CliRunner().invoke(app, ["certs", str(site(GOOD.replace("ca.pem", "no.pem")))])
    assert told.exit_code == 2 and "there is no file" in told.output


def test_the_helper_for_keys_knows_its_kinds():
    assert new_key("RSA-2048").key_size == 2048 and new_key("P-384").curve.name == "secp384r1"
