"""Certificates and passwords of gateways: made once, for one's own eyes, and such that a real broker takes them."""

import contextlib
import os
import ssl
import stat
from pathlib import Path

import pytest
from cabinet_tables import PLAIN, TLS, write_site, write_table
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from satama.core.problems import Wrong
from satama.provisioning import credentials
from satama.provisioning.broker_files import is_hash_of, other_topics, password_hash, write_access, write_passwords
from satama.provisioning.cabinets import Cabinet, read_table
from satama.provisioning.prepare import check_all, compile_cabinet
from satama.provisioning.supply import Supply
from satama.trust import certificates
from satama_sim.authority import Authority

posix = pytest.mark.skipif(os.name != "posix", reason="the bits of a file's mode are POSIX's")


@pytest.fixture(scope="module")
def ca():
    return Authority("cabinets CA")


@pytest.fixture
def folder(tmp_path, ca):
    ca.issued.write(tmp_path, "ca")
    return tmp_path


def cabinet(name="cab-1"):
    return Cabinet(2, name, Path("site.toml"))


def why(call, *args):
    with pytest.raises(Wrong) as error:
        call(*args)
    assert error.value.hint
    return error.value.what


def test_a_certificate_is_for_one_gateway_as_a_client_and_signed_by_the_ca(folder, ca):
    path, key_path = credentials.make_certificate(credentials.load_authority(folder), cabinet())
    made = x509.load_pem_x509_certificate(path.read_bytes())
    made.verify_directly_issued_by(ca.issued.certificate)
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    assert key.public_key() == made.public_key() and isinstance(key.curve, ec.SECP256R1)
    [one] = certificates.read_certificates(path)
    assert one.name == "cab-1" and not list(certificates.doubts_about_client(one))
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert 1000 < one.days(certificates.today()) <= credentials.VALID_DAYS


def test_no_certificate_outlives_its_ca(tmp_path):
    young = Authority("short CA", ends=200)
    young.issued.write(tmp_path, "ca")
    path, _ = credentials.make_certificate(credentials.load_authority(tmp_path), cabinet())
    made = x509.load_pem_x509_certificate(path.read_bytes())
    assert made.not_valid_after_utc == young.issued.certificate.not_valid_after_utc


@posix
def test_keys_and_passwords_are_for_their_owner_only(folder):
    authority = credentials.load_authority(folder)
    path, key_path = credentials.make_certificate(authority, cabinet())
    credentials.make_password(folder, cabinet("cab-2"))
    for secret in (key_path, credentials.password_file(folder, cabinet("cab-2"))):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_there_is_used_again_and_never_replaced(folder):
    authority = credentials.load_authority(folder)
    files = credentials.make_certificate(authority, cabinet())
    before = [file.read_bytes() for file in files]
    assert credentials.check_certificate(authority, cabinet())
    assert credentials.make_certificate(authority, cabinet()) == files
    assert [file.read_bytes() for file in files] == before
    password = credentials.make_password(folder, cabinet())
    assert credentials.make_password(folder, cabinet()) == password and len(password) >= 32
    assert credentials.make_password(folder, cabinet("cab-2")) != password


def test_a_run_that_was_cut_between_key_and_certificate_goes_on_with_that_key(folder):
    authority = credentials.load_authority(folder)
    path, key_path = credentials.make_certificate(authority, cabinet())
    key = key_path.read_bytes()
    path.unlink()
    credentials.make_certificate(authority, cabinet())
    assert key_path.read_bytes() == key and credentials.check_certificate(authority, cabinet())


def test_what_does_not_fit_is_refused_and_left_as_it_is(folder, ca):
    authority = credentials.load_authority(folder)
    path, key_path = credentials.make_certificate(authority, cabinet())
    certificate, key = path.read_bytes(), key_path.read_bytes()

    def refused():
        held = [path.read_bytes() if path.exists() else b"", key_path.read_bytes() if key_path.exists() else b""]
        text = why(credentials.make_certificate, authority, cabinet())
        assert held == [f.read_bytes() if f.exists() else b"" for f in (path, key_path)]
        return text

    key_path.unlink()
    assert "cab-1.key is not" in refused()
    key_path.write_bytes(ca.client("x").key_bytes())
    assert "is not the key of" in refused()
    path.write_bytes(certificate[:100])
    assert "holds no certificate" in refused()
    key_path.write_bytes(key)
    for issued, said in (
        (ca.client("other"), "of 'other', not of 'cab-1'"),
        (Authority("another").client("cab-1"), "not signed by this CA"),
        (ca.client("cab-1", ends=30), "ends in 29 days"),
    ):
        path.write_bytes(issued.certificate_bytes())
        key_path.write_bytes(issued.key_bytes())
        assert said in refused()


def _deny(path, denied, allowed):
    if path == denied:
        raise PermissionError(13, "Permission denied")
    with open(allowed, "rb") as file:
        return file.read()


def test_a_ca_that_is_of_no_use_is_refused(tmp_path, ca):
    assert "there is no ca.pem" in why(credentials.load_authority, tmp_path)
    certificate, key = ca.issued.write(tmp_path, "ca")
    key.write_bytes(ca.client("x").key_bytes())
    assert "is not the key of ca.pem" in why(credentials.load_authority, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: _deny(path, key, certificate))
        assert "ca.key cannot be read: Permission denied" in why(credentials.load_authority, tmp_path)
    key.write_text("no key")
    assert "cannot be read" in why(credentials.load_authority, tmp_path)
    certificate.write_bytes(ca.client("x").certificate_bytes())
    assert "is no CA certificate" in why(credentials.load_authority, tmp_path)
    for odd, said in (
        (dict(ends=-1), "expired"),
        (dict(key="Ed25519"), "does not do"),
        (dict(signs=False), "may not sign"),
    ):
        Authority("odd", **odd).issued.write(tmp_path, "ca")
        assert said in why(credentials.load_authority, tmp_path)


def test_an_encrypted_key_of_the_ca_is_asked_for(folder, ca):
    (folder / "ca.key").write_bytes(ca.issued.key_bytes(password="sesame"))
    assert "nobody to ask" in why(credentials.load_authority, folder)
    assert "cannot be read" in why(credentials.load_authority, folder, lambda: "wrong")
    assert credentials.load_authority(folder, lambda: "sesame").key


def test_no_text_shows_a_key(folder, ca):
    shown = repr(credentials.load_authority(folder))
    assert "key=" not in shown and str(ca.issued.key.private_numbers().private_value) not in shown
    assert "sesame" not in repr(Cabinet(2, "a", Path("s"), mqtt_password="sesame", wifi_password="sesame"))


def test_a_password_file_that_is_damaged_is_not_replaced(folder):
    path = credentials.password_file(folder, cabinet())
    path.parent.mkdir()
    path.write_text("\n")
    assert "holds no password" in why(credentials.make_password, folder, cabinet()) and path.read_text() == "\n"
    assert "colon" in why(credentials.make_password, folder, cabinet("a:1"))


def test_lines_of_others_stay_in_the_brokers_files(tmp_path):
    (tmp_path / "mosquitto.passwd").write_text("team:$7$101$AAAA$BBBB\n")
    (tmp_path / "mosquitto.acl").write_text("topic read public/#\n\nuser team\ntopic read district/#\n")
    for _ in range(2):
        write_passwords(tmp_path, {"cab-1": "one", "cab-2": "two"})
        write_access(tmp_path, {"cab-1": ["district/v1/yard/cab-1"]})
    first, *rest = (tmp_path / "mosquitto.passwd").read_text().splitlines()
    assert first == "team:$7$101$AAAA$BBBB" and [line.partition(":")[0] for line in rest] == ["cab-1", "cab-2"]
    assert all(is_hash_of(p, line.partition(":")[2]) for p, line in zip(("one", "two"), rest, strict=True))
    kept = rest
    write_passwords(tmp_path, {"cab-1": "new"})
    _, changed, same = (tmp_path / "mosquitto.passwd").read_text().splitlines()
    assert same == kept[1] and is_hash_of("new", changed.partition(":")[2]) and not is_hash_of("one", changed[6:])
    lines = (tmp_path / "mosquitto.acl").read_text().splitlines()
    assert lines[:4] == ["topic read public/#", "", "user team", "topic read district/#"]
    mine = ["user cab-1", "topic write district/v1/yard/cab-1/#", "topic read district/v1/yard/cab-1/cmd/#"]
    mine += ["topic read district/v1/yard/cab-1/certs/#"]
    assert lines[5:] == mine


@pytest.mark.parametrize("user", ["cab-1", "handed in"])
def test_a_gateway_that_moves_keeps_no_right_to_its_old_topic(tmp_path, user):
    write_access(tmp_path, {user: ["district/v1/yard/cab-1"]})
    with open(tmp_path / "mosquitto.acl", "a") as file:
        file.write("topic read news/#\n\nuser team\ntopic write district/v1/yard/cab-1/#\n")
    write_access(tmp_path, {user: ["district/v1/harbour/cab-1"]})
    mine, _, others = (tmp_path / "mosquitto.acl").read_text().partition("user team\n")
    assert "yard" not in mine and "topic read news/#" in mine and others == "topic write district/v1/yard/cab-1/#\n"


def test_a_user_of_several_gateways_speaks_for_each_and_what_else_he_may_is_told(tmp_path):
    write_access(tmp_path, {"both": ["district/v1/yard/cab-1", "district/v1/yard/cab-2"]})
    lines = (tmp_path / "mosquitto.acl").read_text().splitlines()
    assert len([line for line in lines if line.startswith("topic write")]) == 2 and len(lines) == 7
    topics = {"both": ["district/v1/yard/cab-3"], "new": ["district/v1/yard/cab-4"]}
    write_access(tmp_path, topics)
    told = [("both", "district/v1/yard/cab-1"), ("both", "district/v1/yard/cab-2")]
    assert other_topics(tmp_path, topics) == told and not other_topics(tmp_path, {"new": topics["new"]})


def test_the_brokers_files_bear_the_users_that_a_table_brings(folder):
    write_site(folder)
    head = "gateway,site,mqtt_user,mqtt_password"
    rows = ["cab-1,site.toml,all,x", "cab-2,site.toml,all,x", "cab-3,site.toml,a:b,y", "cab-4,site.toml,cab-5,z"]
    table = read_table(write_table(folder, head, *rows, "cab-5,site.toml,,"))
    orders, _ = check_all(table)
    supply = Supply(passwords=folder)
    problems = list(supply.check(table, orders))
    assert [problem.line for problem in problems] == [4, 6]
    assert "holds a colon" in problems[0].what and "row 5 logs in as that user already" in problems[1].what
    assert not list(Supply().check(table, orders))
    supply.tell_broker(orders[:2])
    assert (folder / "mosquitto.acl").read_text().count("topic write") == 2
    [note] = supply.doubts(orders[:1])
    assert "user all may publish under district/v1/yard/cab-2, too" in note.what


def test_hashes_are_those_of_mosquitto():
    """From `mosquitto_passwd -b` of mosquitto 2.0.11."""
    assert not is_hash_of("x", "$6$abc$def") and not is_hash_of("x", "") and not is_hash_of("x", "$7$x$y$z")
    text = password_hash("four green cormorants", bytes(12))
    assert text.startswith("$7$101$AAAAAAAAAAAAAAAA$") and is_hash_of("four green cormorants", text)


def supply_all(folder, supply, mqtt):
    write_site(folder, mqtt)
    table = read_table(write_table(folder, "gateway,site", "cab-1,site.toml", "cab-2,site.toml"))
    orders, _ = check_all(table)
    assert not list(supply.check(table, orders))
    return [compile_cabinet(table, supply.supplied(order.cabinet), write_ids=False) for order in orders]


def test_each_gateway_gets_credentials_of_its_own(folder, ca):
    (folder / "broker-ca.pem").write_bytes(ca.issued.certificate_bytes())
    supply = Supply(credentials.load_authority(folder))
    orders = supply_all(folder, supply, TLS)
    assert [order.compiled.credentials.client.name for order in orders] == ["cab-1", "cab-2"]
    assert [path.name for path in supply.tell_broker(orders)] == ["mosquitto.acl"]
    orders = supply_all(folder, Supply(passwords=folder), PLAIN)
    passwords = [order.compiled.body["mqtt"]["password"] for order in orders]
    assert len({*passwords}) == 2 and [order.compiled.body["mqtt"]["user"] for order in orders] == ["cab-1", "cab-2"]


def test_credentials_that_the_table_brings_are_left_alone(folder):
    write_site(folder)
    table = read_table(write_table(folder, "gateway,site,mqtt_user,mqtt_password", "cab-1,site.toml,u,brought"))
    given = Supply(passwords=folder).supplied(table.cabinets[0])
    assert given == table.cabinets[0] and not credentials.password_file(folder, given).exists()


def test_a_certificate_for_a_site_without_tls_is_refused_before_one_is_made(folder):
    write_site(folder, PLAIN)
    table = read_table(write_table(folder, "gateway,site", "cab-1,site.toml"))
    orders, _ = check_all(table)
    [problem] = Supply(credentials.load_authority(folder)).check(table, orders)
    assert problem.line == 2 and "needs TLS" in problem.what and not (folder / "gateways").exists()


@posix
def test_secrets_that_others_may_read_are_told(folder):
    write_site(folder)
    table = read_table(write_table(folder, "gateway,site", "cab-1,site.toml"))
    orders, _ = check_all(table)
    authority, passwords = Supply(credentials.load_authority(folder)), Supply(passwords=folder)
    passwords.supplied(table.cabinets[0])
    (folder / "ca.key").chmod(0o600)
    assert not [*authority.exposed(orders), *passwords.exposed(orders)]
    (folder / "ca.key").chmod(0o640)
    (folder / "gateways" / "cab-1.password").chmod(0o604)
    assert ["chmod 600" in note.hint for note in (*authority.exposed(orders), *passwords.exposed(orders))] == [True] * 2


def test_openssl_takes_the_certificate_for_a_client(folder, ca):
    """As the broker's TLS does: OpenSSL, with the CA and the purpose of a client."""
    path, key_path = credentials.make_certificate(credentials.load_authority(folder), cabinet())
    certificate, key = ca.server("broker.example").write(folder, "server")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.load_verify_locations(folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=folder / "ca.pem")
    client.load_cert_chain(path, key_path)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(up, down, server_side=True), client.wrap_bio(down, up, server_hostname="broker.example")]
    for _ in range(6):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    assert (("commonName", "cab-1"),) in ends[0].getpeercert()["subject"]
