"""uplink.encoding in CBOR and JSON, read back by cbor2 and json and held against RFC 8428."""

import json
import re
from array import array
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.core.record import ABSENT, Round
from gateway.core.schema import Schema
from gateway.core.short_name import short
from gateway.uplink.encoding import cbor, json_text, senml

LIMIT = 2**63 - 1
EXPONENTS = {0: 0, 1: -1, 2: -3, 10: 2, 61: 0, 62: -2, 255: 0, 70000: -6}
ALIASES = {255: "0123456789abcdef"}
SCHEMA = Schema(2, 10, sorted(EXPONENTS), [EXPONENTS[i] for i in sorted(EXPONENTS)])
EDGES = [23, 24, 255, 256, 65535, 65536, 2**32 - 1]  # where CBOR's heads grow
U32 = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**32 - 1))
MARKS = st.one_of(
    st.just(0),
    st.just(ABSENT),
    st.integers(1, 25).map(lambda reason: quality.pack(quality.UNCERTAIN, reason)),
    st.integers(1, 25).map(lambda reason: quality.pack(quality.BAD, reason)),
)
MANTISSAS = st.one_of(
    st.sampled_from([sign for edge in [*EDGES, 2**32] for sign in (edge, -edge, -1 - edge)]),
    st.integers(-300, 300),
    st.integers(-LIMIT, LIMIT),
)


def eight(of):
    return st.lists(of, min_size=8, max_size=8)


ROUNDS = st.lists(
    st.tuples(
        st.builds(
            lambda *given: Round(SCHEMA, *given[:-2], array("q", given[-2]), bytearray(given[-1])),
            U32, U32, st.booleans(), U32, st.integers(0, 2**48 - 1), eight(MANTISSAS), eight(MARKS),
        ),
        st.one_of(st.none(), st.integers(2**28, 2**33)),
        st.integers(0, 2**27),
    ),
    max_size=6,
)  # fmt: skip


def a_round(values, seq=1, synced=True, seconds=5, uptime_ms=0, epoch=1):
    """A round of the first streams only."""
    marks = bytearray([0] * len(values) + [ABSENT] * (8 - len(values)))
    return Round(SCHEMA, epoch, seq, synced, seconds, uptime_ms, array("q", values + [0] * (8 - len(values))), marks)


def pack(writer, rounds):
    made = senml.Pack(writer, "kala:gw-7:", ALIASES)
    for made_round in rounds:
        made.add(*made_round)
    return made.finish()


def expected(rounds):
    """The pack as plain Python objects in the order of their labels; values as (mantissa, exponent)."""
    out = []
    for round, utc, age_s in rounds:
        begins = True
        for stream_id, exponent, mantissa, quality_byte in round.samples():
            entry = {}
            if not out:
                entry["bn"] = "kala:gw-7:"
            if begins:
                entry["bt"] = 946684800 + round.seconds if round.synced else -age_s if utc is None else utc
                entry["ep"] = round.epoch
                entry["sq"] = round.seq
                if not round.synced and utc is None:
                    entry["ms"] = round.uptime_ms
            begins = False
            word = quality.reason_name(quality_byte)
            name = ALIASES.get(stream_id, short(stream_id))
            if quality_byte >= 128:
                entry["n"] = name + "/q"
                entry["vs"] = word
            else:
                entry["n"] = name
                entry["v"] = (mantissa, exponent)
                if quality_byte:
                    entry["ql"] = word
            out.append(entry)
    return out


CODES = {"bn": -2, "bt": -3, "n": 0, "v": 2, "vs": 3}


@given(ROUNDS)
def test_cbor_is_byte_for_byte_that_of_cbor2(rounds):
    def value(v):
        return v if not isinstance(v, tuple) else v[0] if v[1] == 0 else cbor2.CBORTag(4, [v[1], v[0]])

    plain = [{CODES.get(label, label): value(v) for label, v in entry.items()} for entry in expected(rounds)]
    data = pack(cbor, rounds)
    assert data == cbor2.dumps(plain)
    assert type(data) is bytes


@given(ROUNDS)
def test_json_says_the_same_and_exactly(rounds):
    data = pack(json_text, rounds)
    assert type(data) is bytes
    found = json.loads(data, parse_float=Decimal)
    wanted = [
        {label: Decimal(v[0]).scaleb(v[1]) if isinstance(v, tuple) else v for label, v in entry.items()}
        for entry in expected(rounds)
    ]
    assert found == wanted
    assert [list(entry) for entry in found] == [list(entry) for entry in wanted]


@given(ROUNDS)
def test_the_rules_of_senml(rounds):
    base_name, base_time = "", None
    for entry in cbor2.loads(pack(cbor, rounds)):
        base_name = entry.get(-2, base_name)
        base_time = entry.get(-3, base_time)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:./_-]*", base_name + entry[0])
        assert ({2} & entry.keys()) ^ ({3} & entry.keys())
        assert base_time >= 2**28 or base_time <= 0


def resolved(pack):
    """RFC 8428 section 4.6, as far as our labels go: (name, time, value or text) of each record, its base fields applied."""
    base_name, base_time, base_unit, base_value, out = "", 0, None, 0, []
    for entry in pack:
        assert set(entry) <= {-1, -2, -3, -4, -5, -6, 0, 1, 2, 3, 4, 5, 6, 7, 8, "ep", "sq", "ms", "ql"}
        base_name, base_time = entry.get(-2, base_name), entry.get(-3, base_time)
        base_unit, base_value = entry.get(-4, base_unit), entry.get(-5, base_value)
        value = entry[3] if 3 in entry else base_value + entry[2]
        out.append((base_name + entry.get(0, ""), base_time + entry.get(6, 0), value))
    return out


@given(ROUNDS)
def test_resolved_records_equal_the_samples(rounds):
    wanted = []
    for round, utc, age_s in rounds:
        time = 946684800 + round.seconds if round.synced else -age_s if utc is None else utc
        for stream_id, exponent, mantissa, mark in round.samples():
            name = "kala:gw-7:" + ALIASES.get(stream_id, short(stream_id))
            if mark >= 128:
                wanted.append((name + "/q", time, quality.reason_name(mark)))
            else:
                wanted.append((name, time, Decimal(mantissa).scaleb(exponent)))
    assert resolved(cbor2.loads(pack(cbor, rounds))) == wanted
    theirs = {"bn": -2, "bt": -3, "n": 0, "v": 2, "vs": 3}
    entries = json.loads(pack(json_text, rounds), parse_float=Decimal)
    assert resolved([{theirs.get(k, k): v for k, v in entry.items()} for entry in entries]) == wanted


@pytest.mark.parametrize("edge", [*EDGES, 2**32])
def test_the_edges_of_cbor(edge):
    for mantissa in (edge, -edge, -1 - edge):
        data = pack(cbor, [(a_round([mantissa, mantissa], edge % 2**32, False, 5, edge, edge % 2**32), None, edge)])
        first, second = cbor2.loads(data)
        assert (first[-3], first["ep"], first["ms"], first[2]) == (-edge, edge % 2**32, edge, mantissa)
        assert Decimal(second[2]).as_tuple() == Decimal(mantissa).scaleb(-1).as_tuple()


def test_an_unset_clock_says_now():
    said = {-2: "kala:gw-7:", -3: 0, "ep": 1, "sq": 1, "ms": 5000, 0: "0", 2: 7}
    assert cbor2.loads(pack(cbor, [(a_round([7], synced=False, uptime_ms=5000),)])) == [said]


def test_an_empty_pack_and_an_empty_round():
    assert pack(cbor, []) == b"\x80" == pack(cbor, [(a_round([]),)])
    assert pack(json_text, []) == b"[]"


def test_short_names():
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for stream_id in [*range(200), 3843, 3844, 2**32 - 1]:
        name = short(stream_id)
        assert sum(digits.index(c) * 62**i for i, c in enumerate(reversed(name))) == stream_id
        assert name == "0" or name[0] != "0"


def test_the_reasons_on_the_wire_are_called_like_their_codes():
    names = "NONE TIMEOUT CRC EXCEPTION SHORT WRONG_UNIT OUT_OF_RANGE INVALID STALE PARTIAL STUCK NO_DATA OVERFLOW"
    for code, name in enumerate([*names.split(), "BUS_DOWN"]):
        assert getattr(quality, name) == code
        for rank in (quality.GOOD, quality.UNCERTAIN, quality.BAD):
            byte = quality.pack(rank, code)
            assert quality.reason_name(byte) == name.lower() and quality.quality(byte) == rank
    assert quality.reason_name(63) == "unknown"
