"""RFC 8428 section 4.6: packs of anybody, resolved exactly or refused whole with the reason."""

import json
import math
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satama.payloads.senml_cbor import loads
from satama.payloads.senml_json import dumps
from satama.payloads.senml_resolve import SenmlError, apply_bases, records, resolve

LABELS = {"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6}
LABELS |= {"n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8}
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.builds(lambda m, e: Decimal(m).scaleb(e), st.integers(-(10**18), 10**18), st.integers(-12, 6)),
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9\-:./_]{0,5}", fullmatch=True)
VALUE = st.one_of(
    st.fixed_dictionaries({"v": NUMBERS}),
    st.fixed_dictionaries({"vs": st.text(max_size=5)}),
    st.fixed_dictionaries({"vb": st.booleans()}),
    st.fixed_dictionaries({"s": NUMBERS}),
)
OPTIONAL = {"bn": NAMES, "bt": NUMBERS, "bu": st.just("W"), "bv": NUMBERS, "bs": NUMBERS, "bver": st.just(10)}
OPTIONAL |= {"u": st.just("Cel"), "t": NUMBERS, "ut": st.integers(0, 99)}
RECORD = st.builds(lambda a, b: a | b, st.fixed_dictionaries({"n": NAMES}, optional=OPTIONAL), VALUE)
PACKS = st.lists(RECORD, max_size=5)


def reference(pack):
    """The rules of 4.1 and 4.6, written down once more."""
    base = {}
    for record in pack:
        base |= {label: value for label, value in record.items() if label[0] == "b"}
        total = record.get("s", 0) + base.get("bs", 0) if "s" in record or "bs" in base else None
        value = record["v"] + base.get("bv", 0) if "v" in record else record.get("vs", record.get("vb"))
        name, unit = base.get("bn", "") + record["n"], record.get("u", base.get("bu", ""))
        yield name, unit, record.get("t", 0) + base.get("bt", 0), value, total, record.get("ut")


def plain(record):
    return record.name, record.unit, record.time, record.value, record.sum, record.update_s


@given(PACKS)
def test_both_encodings_resolve_as_the_rfc_says(pack):
    import decimal

    with decimal.localcontext(prec=200):
        expected = list(reference(pack))
    assert [plain(record) for record in apply_bases(pack)] == expected
    in_cbor = cbor2.dumps([{LABELS[label]: value for label, value in record.items()} for record in pack])
    assert [plain(record) for record in apply_bases(records(in_cbor))] == expected
    in_json = dumps(pack).encode()
    assert json.loads(in_json) is not None
    assert [plain(record) for record in apply_bases(records(in_json))] == expected
    again = records(dumps(record.as_record() for record in resolve(pack)).encode())
    assert [plain(record) for record in resolve(again)] == sorted(expected, key=lambda row: row[2])


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_what_is_declared(data):
    try:
        apply_bases(records(data))
    except SenmlError as error:
        assert str(error)


@given(st.recursive(NUMBERS | st.booleans() | st.text(max_size=4), lambda x: st.lists(x, max_size=3), max_leaves=6))
def test_cbor_is_read_as_the_other_decoder_reads_it(item):
    assert loads(cbor2.dumps(item)) == item
    assert loads(cbor2.dumps(item, canonical=True)) == item


def test_sums_keep_all_digits():
    value = Decimal(2**63).scaleb(6)
    pack = [{"bv": value, "n": "a", "v": Decimal("0.000000000001")}]
    assert str(apply_bases(pack)[0].value) == "9223372036854775808000000.000000000001"


def test_relative_times_become_absolute_and_records_chronological():
    pack = [{"bn": "a", "bt": 100, "v": 1}, {"t": -150, "v": 2}, {"bt": 1 << 28, "v": 3}]
    assert [record.time for record in resolve(pack, now=10**9)] == [1 << 28, 10**9 - 50, 10**9 + 100]
    assert [record.value for record in resolve(pack)] == [2, 1, 3]


def test_the_sum_may_stand_alone_and_bytes_are_base64url():
    found = apply_bases([{"n": "a", "s": 5}, {"n": "b", "vd": "_-8"}, {"n": "c", "v": 1, "bs": 2}])
    assert [(record.value, record.sum) for record in found] == [(None, 5), (b"\xff\xef", None), (1, 2)]
    assert '"vd":"_-8"' in dumps([found[1].as_record()])


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        ([{"n": "a", "v": 1, "vs": "x"}], "exactly one value"),
        ([{"n": "a"}], "no sum"),
        ([{"v": 1}], "lacks a name"),
        ([{"n": "a b", "v": 1}], "no name"),
        ([{"bn": "-", "n": "a", "v": 1}], "no name"),
        ([{"n": "a", "v": 1, "xyz_": 1}], "must be understood"),
        ([{"bver": 11, "n": "a", "v": 1}], "version 11"),
        ([{"bver": 5, "n": "a", "v": 1}, {"bver": 10, "n": "a", "v": 1}], "version 10 in a pack of version 5"),
        ([{"n": "a", "v": "1"}], "v must be a number"),
        ([{"n": "a", "v": True}], "v must be a number"),
        ([{"n": "a", "vb": 1}], "true or false"),
        ([{"n": 1, "v": 1}], "n must be a text"),
        ([{"n": "a", "vd": "*"}], "no base64url"),
    ],
)
def test_invalid_packs_are_refused_with_the_reason(pack, said):
    with pytest.raises(SenmlError, match=said):
        apply_bases(pack)


def test_a_label_that_is_understood_or_optional_passes():
    assert apply_bases([{"n": "a", "v": 1, "xyz_": 1}], frozenset({"xyz_"}))[0].extra == {"xyz_": 1}
    assert apply_bases([{"n": "a", "v": 1, "ql": "x"}])[0].extra == {"ql": "x"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\x81", "byte 0: 1 items are announced"),
        (b"\x81\x62a", "byte 2: cut off"),
        (b"\x80\x00", "byte 1: 1 bytes follow"),
        (b"\x81\xa2\x00\x01\x00\x02", "byte 4: the label 0 stands twice"),
        (cbor2.dumps([{0: "a", 2: math.nan}]), "byte 6: nan is no number"),
        (b"\x81\xa1\x02\xc4\x82\x1a\x7f\xff\xff\xff\x01", "beyond any measurement"),
        (b"\x81\xa1\x02\xc1\x00", "byte 3: CBOR tag 1"),
        (cbor2.dumps([{"n": "a", 2: 1}]), "written as its number"),
        (b"\x9b" + b"\xff" * 8, "more than the bytes that follow"),
        (b"\x81" * 50, "deep"),
        (b'[{"n":"a","v":1e999999}]', "beyond any measurement"),
        (b'[{"n":"a","v":NaN}]', "NaN is no number"),
        (b'[{"n":"a","n":"b","v":1}]', "'n' stands twice"),
        (b'[{"n":"a",}]', "byte 10"),
        (b'[{"n":"\xff"}]', "byte 7: the text is not UTF-8"),
        (b"[" * 5000, "no JSON"),
        (b"{}", "array of maps"),
    ],
)
def test_damage_is_told_with_its_place(data, said):
    with pytest.raises(SenmlError, match=said):
        records(data)
