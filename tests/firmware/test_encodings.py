"""What a sample costs on the wire: the one workload, taken as one class, as the gateway's own encoders write it."""

from array import array
from decimal import Decimal

import cbor2
import workload

from gateway.core import record, record_reader
from gateway.core.schema import Schema
from gateway.uplink.encoding import cbor, compact, senml

POINTS = workload.points()
ROUNDS = list(workload.rounds(5))
SCHEMA = Schema(2, 60, [point["id"] for point in POINTS], [point["exponent"] for point in POINTS])
SAMPLES = len(POINTS) * len(ROUNDS)


def rounds():
    """As a gateway has them that has been up for a day and a half: with an uptime that trembles, a sequence number of five digits."""
    for k, (unix_s, values) in enumerate(ROUNDS):
        uptime_ms = 123_456_789 + 60_000 * k + k * 7 % 5
        yield record.Round(
            SCHEMA, 17, 12_345 + k, True, unix_s - 946_684_800, uptime_ms, array("q", values), bytearray(len(values))
        )


def filled(pack):
    for round in rounds():
        pack.add(round)
    return pack.finish()


def test_senml_cbor_costs_at_most_ten_and_a_half_bytes_a_sample():
    data = filled(senml.Pack(cbor, f"{workload.SITE}:{workload.GATEWAY}:", {}))
    records = cbor2.loads(data)
    assert len(records) == SAMPLES
    wanted = [Decimal(v).scaleb(p["exponent"]) for _, values in ROUNDS for p, v in zip(POINTS, values, strict=True)]
    assert [record[2] for record in records] == wanted
    assert [record["sq"] for record in records if "sq" in record] == [12_345 + k for k in range(5)]
    assert sum("ep" in record for record in records) == 5
    assert len(data) <= 10.5 * SAMPLES


def test_compact_packets_cost_at_most_two_bytes_a_sample_with_all_that_is_around_them():
    data = filled(compact.Pack())
    reader, at = record_reader.Reader({SCHEMA.id: SCHEMA}), 1
    assert data[0] == 1
    for _, values in ROUNDS:
        at, found = reader.read(data, at, len(data))
        assert list(found.values) == values
    assert at == len(data)
    topic = f"district/v1/{workload.SITE}/{workload.GATEWAY}/c/telemetry"
    assert workload.publish_size(topic, data) <= 2.0 * SAMPLES


def test_every_compact_packet_can_be_read_alone():
    kept = list(rounds())
    filled(compact.Pack())
    for first in range(len(kept)):
        pack = compact.Pack()
        for round in kept[first:]:
            pack.add(round)
        data = pack.finish()
        _, found = record_reader.Reader({SCHEMA.id: SCHEMA}).read(data, 1, len(data))
        assert list(found.values) == ROUNDS[first][1]
