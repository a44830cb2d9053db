"""uplink.mqtt.x509: what is read out of certificates is what `cryptography` put into them, and nothing but ValueError escapes."""

import contextlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.mqtt import x509
from satama_sim.authority import DER, Authority

CA = Authority("district CA")
OTHERS = [
    Authority("district CA", key="RSA-2048"),
    Authority("district CA", key="P-384"),
    Authority("no constraints", ca=None),
    Authority("CA:FALSE", ca=False),
]
ISSUED = [CA.issued, CA.server("broker.example", "10.0.0.1"), CA.client("gw-1"), *(one.issued for one in OTHERS)]


def der(issued):
    return issued.certificate_bytes(DER)


def spki(issued):
    whole = issued.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return whole[2:] if whole[1] < 0x80 else whole[2 + (whole[1] & 0x7F) :]


@pytest.mark.parametrize("issued", ISSUED)
def test_the_key_is_the_one_that_is_in_it(issued):
    assert x509.public_key(der(issued)) == spki(issued)


def test_a_renewed_certificate_has_the_key_of_the_old_one_and_another_one_has_not():
    old = CA.client("gw-1")
    assert x509.public_key(der(OTHERS[0].renew(old))) == x509.public_key(der(old))
    assert x509.public_key(der(CA.client("gw-1"))) != x509.public_key(der(old))


def test_who_may_sign():
    assert [x509.is_authority(der(one)) for one in ISSUED] == [True, False, False, True, True, False, False]


def test_several_are_told_apart():
    pieces = [der(one) for one in ISSUED]
    assert x509.each(b"".join(pieces)) == pieces and x509.each(b"") == []


@given(st.sampled_from(ISSUED), st.data())
def test_damage_is_a_value_error_or_is_not_seen(issued, data):
    whole = bytearray(der(issued))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for read in (x509.each, x509.public_key, x509.is_authority):
        with contextlib.suppress(ValueError):
            read(cut)


@given(st.binary(max_size=80))
def test_anything_else_too(data):
    for read in (x509.each, x509.public_key, x509.is_authority):
        with contextlib.suppress(ValueError):
            read(data)


@pytest.mark.parametrize("cut", [1, 3, 5, 40, -1])
def test_a_piece_is_no_certificate(cut):
    for read in (x509.each, x509.public_key, x509.is_authority):
        with pytest.raises(ValueError):
            read(der(CA.issued)[:cut])
