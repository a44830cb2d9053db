"""`satama decode` and the wrong uses of `satama collect`."""

import json
from array import array

import cbor2
import pytest
from typer.testing import CliRunner

from gateway.core.record import Round
from gateway.core.schema import Schema
from gateway.uplink.encoding import cbor, compact, json_text, senml
from satama.cli import app

RUN = CliRunner()
SCHEMA = Schema(2, 10, [0, 1], [-2, 0])
SCHEMA_TEXT = json.dumps({"class": "telemetry", "period_s": 10, "streams": [[0, -2], [1, 0]]})
BIRTH = json.dumps(
    {"streams": [{"n": "0", "id": 0, "name": "meter/u1", "unit": "V", "exponent": -2, "kind": "gauge", "period_s": 10}]}
)


def payload(kind):
    made = compact.Pack() if kind == "compact" else senml.Pack(cbor if kind == "cbor" else json_text, "s:g:", {})
    made.add(Round(SCHEMA, 7, 3, True, 800_000_000, 1000, array("q", [23014, 5]), bytearray((0, 129))))
    return made.finish()


@pytest.mark.parametrize("kind", ["cbor", "json", "compact"])
@pytest.mark.parametrize("way", ["file", "hex", "stdin", "hex file"])
def test_every_encoding_by_every_way_gives_the_same_rows(tmp_path, kind, way):
    (tmp_path / "birth").write_text(BIRTH)
    (tmp_path / "schema").write_text(SCHEMA_TEXT)
    data = payload(kind)
    (tmp_path / "pack").write_bytes(data.hex().encode() if way == "hex file" else data)
    source = {"hex": data.hex(), "stdin": "-"}.get(way, str(tmp_path / "pack"))
    options = ["--json", "--birth", str(tmp_path / "birth"), "--schema", str(tmp_path / "schema")]
    done = RUN.invoke(app, ["decode", source, *options], input=data if way == "stdin" else None)
    assert done.exit_code == 0, done.output
    good, bad = [json.loads(line) for line in done.stdout.splitlines()]
    assert good == {
        "time": "2025-05-08T06:13:20Z",
        "name": "meter/u1",
        "value": "230.14",
        "unit": "V",
        "quality": "good",
        "reason": "",
        "ep": 7,
        "sq": 3,
    }
    assert (bad["name"], bad["value"], bad["reason"]) == ("1", None, "timeout")


@pytest.mark.parametrize("kind", ["cbor", "json"])
def test_senml_is_resolved(tmp_path, kind):
    (tmp_path / "birth").write_text(BIRTH)
    done = RUN.invoke(app, ["decode", payload(kind).hex(), "--senml", "--birth", str(tmp_path / "birth")])
    found = json.loads(done.stdout, parse_float=str)
    assert found == [
        {"n": "s:g:meter/u1", "u": "V", "v": "230.14", "t": 1746684800, "ep": 7, "sq": 3},
        {"n": "s:g:1/q", "vs": "timeout", "t": 1746684800},
    ]


def test_readable_rows_and_packs_of_others():
    done = RUN.invoke(app, ["decode", payload("cbor").hex()])
    assert "230.14" in done.stdout and "bad (timeout)" in done.stdout and "ep 7 sq 3" in done.stdout
    done = RUN.invoke(app, ["decode", cbor2.dumps([{0: "urn:x", 1: "Cel", 2: 21}]).hex()])
    assert done.exit_code == 0 and "urn:x" in done.stdout and "21 Cel" in done.stdout


def test_a_payload_cannot_steer_the_terminal():
    done = RUN.invoke(app, ["decode", cbor2.dumps([{0: "a", 3: "\x1b[2J"}]).hex()])
    assert done.exit_code == 0 and "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["decode", "no such file"], 2, "no such file"),
        (["decode"], 2, "name a payload"),
        (["decode", "8180", "--json", "--senml"], 2, "not both"),
        (["decode", "8180", "--count", "1"], 2, "go with --broker"),
        (["decode", "8162"], 1, "byte 2: cut off"),
        (["decode", payload("compact").hex()], 1, "byte 1: the schema"),
        (["decode", payload("compact").hex()[:-2] + "00"], 1, "byte 1: a damaged record"),
        (["decode", "--broker", "a:b:c"], 2, "no broker address"),
        (["decode", "--broker", "localhost:1"], 1, "no broker answers"),
        (["decode", "--broker", "localhost", "--for", "soon"], 2, "no duration"),
        (["collect", "--broker", "localhost:1", "--out", "/x/a.csv"], 2, "no folder"),
        (["collect", "--broker", "localhost:1", "--out", "a.txt"], 2, "no kind of file"),
        (["collect", "--broker", "localhost:1", "--out", "a.csv", "--site", "+"], 2, "without + and #"),
        (["collect", "--broker", "localhost", "--out", "a.csv", "--password-file", "x"], 2, "without a user"),
    ],
)
def test_mistakes_are_told(words, code, said):
    done = RUN.invoke(app, words)
    assert done.exit_code == code, done.output
    assert said in done.output


def test_an_unreachable_broker_leaves_no_file(tmp_path):
    done = RUN.invoke(app, ["collect", "--broker", "localhost:1", "--out", str(tmp_path / "a.csv"), "--json"])
    assert done.exit_code == 1 and not list(tmp_path.iterdir())
    assert json.loads(done.stdout)["problems"][0]["hint"]
