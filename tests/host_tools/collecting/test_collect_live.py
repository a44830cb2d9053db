"""`satama collect` and `satama decode --broker` at a real broker: what a gateway sends becomes a file with an account of gaps."""

import csv
import json
from array import array

import pytest
from typer.testing import CliRunner

from gateway.core.record import Round
from gateway.core.schema import Schema
from gateway.uplink.encoding import cbor, compact, senml
from satama.cli import app
from satama.collecting.collector import District

RUN = CliRunner()
SCHEMA = Schema(2, 10, [0], [-2])
SCHEMA_TEXT = json.dumps({"class": "telemetry", "period_s": 10, "streams": [[0, -2]]})
ROW = {"n": "0", "id": 0, "name": "meter/u1", "unit": "V", "exponent": -2, "kind": "gauge", "period_s": 10}
BASE = "district/v1/site/gw"


def a_round(seq, synced=True):
    return Round(SCHEMA, 7, seq, synced, 800_000_000, 1000 * seq, array("q", [23000 + seq]), bytearray(1))


def a_pack(*seqs, kind="cbor", synced=True):
    pack = compact.Pack() if kind == "compact" else senml.Pack(cbor, "site:gw:", {})
    for seq in seqs:
        pack.add(a_round(seq, synced), None, 5)
    return pack.finish()


def story():
    """A gateway's messages: out of order, one twice, one compact, two records that never come."""
    yield f"{BASE}/birth/meter", json.dumps({"device": "meter", "streams": [ROW]}).encode()
    yield f"{BASE}/schema/{SCHEMA.id:08x}", SCHEMA_TEXT.encode()
    yield f"{BASE}/d/telemetry", a_pack(4, 5)
    yield f"{BASE}/h/telemetry", a_pack(2)
    yield f"{BASE}/d/telemetry", a_pack(4, 5)
    yield f"{BASE}/c/telemetry", a_pack(8, kind="compact")
    yield f"{BASE}/d/telemetry", a_pack(1, synced=False)
    time = {"event": "time", "ep": 7, "ms": 2000, "utc": 1_746_684_000, "source": "ntp"}
    yield f"{BASE}/event", json.dumps(time).encode()


@pytest.fixture
def published(mosquitto):
    """The broker's address; the story waits there, retained, for whoever comes later."""
    from paho.mqtt import client as mqtt

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect(mosquitto.host, mosquitto.port)
    client.loop_start()
    for at, (topic, payload) in enumerate(story()):
        spread = topic if topic.split("/")[4] in ("birth", "schema", "event") else f"{topic}/{at}"
        client.publish(spread, payload, 1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    return f"{mosquitto.host}:{mosquitto.port}"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_in_order_without_duplicates_with_the_gaps(published, tmp_path, suffix):
    out = tmp_path / f"a.{suffix}"
    words = ["collect", "--broker", published, "--out", str(out), "--for", "2s", "--json"]
    done = RUN.invoke(app, words)
    assert done.exit_code == 1, done.output  # something is missing
    facts = json.loads(done.stdout)
    told = facts["gateways"][0]
    assert (facts["rows"], told["samples"], told["duplicates"], told["errors"]) == (5, 5, 2, 0)
    assert told["holes"] == [{"ep": 7, "from": 3, "to": 3}, {"ep": 7, "from": 6, "to": 7}]
    if suffix == "csv":
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["sq"], row["value"], row["placed"]) for row in rows] == [
            ("1", "230.01", "event"),
            *((str(seq), f"230.0{seq}", "device") for seq in (2, 4, 5, 8)),
        ]
        assert rows[0]["time"] == "2025-05-08T05:59:59Z" and rows[0]["time_source"] == "ntp"
        assert {(row["gateway"], row["stream"], row["unit"]) for row in rows} == {("site/gw", "meter/u1", "V")}
    again = RUN.invoke(app, words)
    assert again.exit_code == 2 and "exists" in again.output


def test_decode_shows_live_rows_with_names_and_ends_at_the_count(published):
    done = RUN.invoke(app, ["decode", "--broker", published, "--count", "5", "--for", "60s", "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["name"] for row in rows} == {"meter/u1"} and sorted(row["sq"] for row in rows) == [1, 2, 4, 5, 8]


def test_a_compact_packet_waits_for_its_schema_and_a_pseudonym_is_one_stream():
    district = District()
    district.feed(f"{BASE}/birth/meter", json.dumps({"streams": [ROW | {"n": "00112233445566ff"}]}).encode())
    assert district.feed(f"{BASE}/c/telemetry", a_pack(1, kind="compact")) == []
    collector = district.gateways["site/gw"]
    assert collector.waiting == 1
    assert len(district.feed(f"{BASE}/schema/{SCHEMA.id:08x}", SCHEMA_TEXT.encode())) == 1
    pack = senml.Pack(cbor, "site:gw:", {0: "00112233445566ff"})
    pack.add(a_round(1))
    district.feed(f"{BASE}/h/telemetry", pack.finish())
    assert (collector.waiting, collector.decoded, collector.duplicates, collector.errors) == (0, 1, 1, 0)
    assert list(collector.streams) == ["00112233445566ff"]
    district.feed(f"{BASE}/schema/00000000", SCHEMA_TEXT.encode())
    assert collector.errors == 1


def test_of_a_whole_cabinet_nothing_is_missing(cabinet, demo_site):
    cab = cabinet(demo_site, seed=5)
    district = District()
    cab.simulated_broker.core.on_publish = lambda message: district.feed(message.topic, message.payload)
    cab.run("5m")
    [(name, collector)] = list(district)
    assert collector.errors == 0 and collector.decoded > 300
    assert collector.account.holes() == [] and collector.account.unseen == 0 and collector.account.reports >= 3
    assert all(view.name and view.id >= 0 for view in collector.streams.values())
