"""What a consumer makes of the topics: exact values, duplicates told, damaged payloads counted and never fatal."""

import json
from array import array
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.record import Round
from gateway.core.schema import Schema
from gateway.uplink.encoding import cbor
from gateway.uplink.encoding.senml import Pack
from satama.collecting.collector import Collector
from satama.payloads.senml import SenmlError, decode

BASE = "district/v1/site/gw"


def pack(seq=1, samples=((0, 23014, 0), (1, 0, 129), (2, 5, 73))):
    ids, values, marks = zip(*samples, strict=True)
    one = Pack(cbor, "site:gw:", {})
    schema = Schema(2, 10, list(ids), [-2, 0, 0])
    one.add(Round(schema, 7, seq, True, 800_000_000, 1000, array("q", values), bytearray(marks)))
    return one.finish()


def birth(**changes):
    row = {
        "id": 0,
        "name": "meter/u1",
        "unit": "V",
        "exponent": -2,
        "kind": "gauge",
        "class": "telemetry",
        "period_s": 10,
    }
    return json.dumps({"device": "meter", "streams": [row | changes]}).encode()


def test_a_pack_of_the_firmware_is_resolved_exactly():
    base, samples = decode(pack())
    assert base == "site:gw:"
    assert [(s.name, s.value, s.reason, s.epoch, s.seq) for s in samples] == [
        ("0", Decimal("230.14"), "", 7, 1),
        ("1", None, "timeout", 7, 1),
        ("2", 5, "partial", 7, 1),
    ]
    assert {s.time for s in samples} == {946_684_800 + 800_000_000}


def test_duplicates_are_counted_and_streams_named():
    collector = Collector(BASE)
    collector.feed(f"{BASE}/birth/meter", birth())
    for topic in ("d", "h"):
        collector.feed(f"{BASE}/{topic}/telemetry", pack())
    collector.feed(f"{BASE}/d/telemetry", pack(seq=2))
    collector.feed("district/v1/site/other/d/telemetry", pack(seq=3))
    assert (collector.decoded, collector.duplicates, collector.errors) == (6, 3, 0)
    assert collector.stream("meter/u1").last.value == Decimal("230.14")
    with pytest.raises(KeyError, match="meter/u1"):
        collector.stream("meter/u9")


@pytest.mark.parametrize("changes", [{"exponent": "-2"}, {"id": None}, {"period_s": 1.5}, {"id": True}])
def test_a_birth_with_wrong_types_is_refused_and_counted(changes):
    collector = Collector(BASE)
    collector.feed(f"{BASE}/birth/meter", birth(**changes))
    assert collector.errors == 1 and not collector.streams


@given(
    st.binary(max_size=200), st.sampled_from(["d/telemetry", "h/alarm", "birth", "birth/x", "state", "diag", "event"])
)
def test_no_payload_is_fatal(payload, tail):
    collector = Collector(BASE)
    collector.feed(f"{BASE}/{tail}", payload)
    assert collector.decoded == 0


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({}, "array of maps"),
        ([{0: "1"}], "exactly one value"),
        ([{0: "1", 2: 1, 3: "x"}], "exactly one value"),
        ([{2: 1}], "lacks a name"),
        ([{0: "1", 4: True}], "has no number"),
        ([{-3: 5, "ep": "x", 0: "1", 2: 1}], "whole numbers"),
        ([{0: "1", 3: "timeout"}], "no reason record"),
        ([{0: "1", -3: "now", 2: 1}], "bt must be a number"),
    ],
)
def test_what_is_no_pack_of_ours_is_told(records, said):
    with pytest.raises(SenmlError, match=said):
        decode(cbor2.dumps(records))
