"""uplink.senml, read back by cbor2 and held against RFC 8428."""

import re
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.uplink import senml

LIMIT = 2**63 - 1
EXPONENTS = {0: 0, 1: -1, 2: -3, 10: 2, 255: 0, 70000: -6}
EDGES = [23, 24, 255, 256, 65535, 65536, 2**32 - 1]  # where CBOR's heads grow
U32 = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**32 - 1))
QUALITY_BYTES = st.one_of(
    st.just(0),
    st.integers(1, 13).map(lambda reason: quality.pack(quality.UNCERTAIN, reason)),
    st.integers(1, 13).map(lambda reason: quality.pack(quality.BAD, reason)),
)
MANTISSAS = st.one_of(
    st.sampled_from([sign for edge in [*EDGES, 2**32] for sign in (edge, -edge, -1 - edge)]),
    st.integers(-300, 300),
    st.integers(-LIMIT, LIMIT),
)
SAMPLES = st.lists(st.tuples(st.sampled_from(sorted(EXPONENTS)), MANTISSAS, QUALITY_BYTES), min_size=1, max_size=9)
RECORDS = st.tuples(st.just(0), st.just(2), U32, U32, st.booleans(), U32, st.integers(0, 2**48 - 1), SAMPLES)
ROUNDS = st.lists(st.tuples(RECORDS, st.one_of(st.none(), st.integers(2**28, 2**33)), st.integers(0, 2**27)))


def pack(rounds):
    made = senml.Pack("kala:gw-7:", EXPONENTS)
    for made_round in rounds:
        made.add(*made_round)
    return made


def expected(rounds):
    """The pack as plain Python objects in the order of their keys."""
    out = []
    for (_, _, epoch, seq, synced, seconds, uptime_ms, samples), utc, age_s in rounds:
        for i, (stream_id, mantissa, quality_byte) in enumerate(samples):
            entry = {}
            if not out:
                entry[-2] = "kala:gw-7:"
            if i == 0:
                entry[-3] = 946684800 + seconds if synced else -age_s if utc is None else utc
                entry["ep"] = epoch
                entry["sq"] = seq
                if not synced and utc is None:
                    entry["ms"] = uptime_ms
            word = quality.reason_name(quality_byte)
            if quality_byte >= 128:
                entry[0] = hex(stream_id)[2:] + "/q"
                entry[3] = word
            else:
                exponent = EXPONENTS[stream_id]
                entry[0] = hex(stream_id)[2:]
                entry[2] = mantissa if exponent == 0 else cbor2.CBORTag(4, [exponent, mantissa])
                if quality_byte:
                    entry["ql"] = word
            out.append(entry)
    return out


@given(ROUNDS)
def test_the_bytes_are_those_of_cbor2(rounds):
    made = pack(rounds)
    data = made.finish()
    assert data == cbor2.dumps(expected(rounds))
    assert made.size() == len(data)
    assert type(data) is bytes


@given(ROUNDS)
def test_the_rules_of_senml(rounds):
    base_name, base_time = "", None
    for entry in cbor2.loads(pack(rounds).finish()):
        base_name = entry.get(-2, base_name)
        base_time = entry.get(-3, base_time)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:./_-]*", base_name + entry[0])
        assert ({2} & entry.keys()) ^ ({3} & entry.keys())
        assert base_time >= 2**28 or base_time <= 0


@given(MANTISSAS, st.sampled_from(sorted(EXPONENTS)))
def test_values_arrive_exactly(mantissa, stream_id):
    data = pack([((0, 2, 1, 1, True, 5, 0, [(stream_id, mantissa, 0)]),)]).finish()
    value = cbor2.loads(data)[0][2]
    assert Decimal(value).as_tuple() == Decimal(mantissa).scaleb(EXPONENTS[stream_id]).as_tuple()


def test_a_stream_without_an_exponent_keeps_its_place_but_has_no_value():
    samples = [(1, 5, 0), (9, 5, 0)]
    data = pack([((0, 2, 1, 1, True, 5, 0, samples),)]).finish()
    assert cbor2.loads(data)[1] == {0: "9/q", 3: "unknown"}


@pytest.mark.parametrize("edge", [*EDGES, 2**32])
def test_the_edges_of_cbor(edge):
    for mantissa in (edge, -edge, -1 - edge):
        rounds = [((0, 2, edge % 2**32, edge % 2**32, False, 5, edge, [(0, mantissa, 0)]), None, edge)]
        assert pack(rounds).finish() == cbor2.dumps(expected(rounds))


def test_an_unset_clock_says_now():
    data = pack([((0, 2, 1, 1, False, 5, 5000, [(0, 7, 0)]),)]).finish()
    assert cbor2.loads(data) == [{-2: "kala:gw-7:", -3: 0, "ep": 1, "sq": 1, "ms": 5000, 0: "0", 2: 7}]


def test_an_empty_pack_and_an_empty_round():
    assert pack([]).finish() == b"\x80"
    assert pack([((0, 2, 1, 1, True, 5, 0, []),)]).finish() == b"\x80"


def test_many_samples():
    made = pack([((0, 2, 1, seq, True, 5, 0, [(0, seq, 0)] * 100),) for seq in range(4)])
    assert len(cbor2.loads(made.finish())) == 400
    assert made.size() == len(made.finish())


def test_the_reasons_on_the_wire_are_called_like_their_codes():
    names = "NONE TIMEOUT CRC EXCEPTION SHORT WRONG_UNIT OUT_OF_RANGE INVALID STALE PARTIAL STUCK NO_DATA OVERFLOW"
    for code, name in enumerate([*names.split(), "BUS_DOWN"]):
        assert getattr(quality, name) == code
        for rank in (quality.GOOD, quality.UNCERTAIN, quality.BAD):
            byte = quality.pack(rank, code)
            assert quality.reason_name(byte) == name.lower() and quality.quality(byte) == rank
    assert quality.reason_name(63) == "unknown"
