"""Every encoding through the whole gateway: the same samples arrive, digit for digit; and alarms wait for nobody."""

import json
from decimal import Decimal

import pytest
from exact_values import assert_exact

from satama.payloads.senml import decode


def variant(demo_site, tmp_path, **settings):
    """The demo cabinet with other settings in its [mqtt]."""
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in settings.items()]
    text = demo_site.read_text()
    for key in settings:
        text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(f"{key} ="))
    site = tmp_path / "variant.toml"
    site.write_text(text.replace("[mqtt]\n", "[mqtt]\n" + "".join(lines)))
    return site


def listen(cab):
    """[(second of the world, topic, payload)] of all that arrives from now on."""
    heard, taken = [], cab.broker.feed

    def feed(topic, payload):
        heard.append((cab.now_s, topic.removeprefix(cab.broker.base), bytes(payload)))
        return taken(topic, payload)

    cab.broker.feed = feed
    return heard


def arrived(cab):
    return {
        view.name: [(s.epoch, s.seq, s.time if s.absolute else None, s.value, s.reason) for s in view.samples]
        for view in cab.broker.streams.values()
    }


@pytest.mark.parametrize("encoding", ["cbor", "json", "compact"])
def test_what_the_devices_show_arrives_exactly(cabinet, demo_site, tmp_path, encoding):
    cab = cabinet(variant(demo_site, tmp_path, encoding=encoding), seed=3)
    heard = listen(cab)
    cab.buses[0].slaves.record_truth = True
    cab.run("10m")
    cab.stop_broker()
    cab.run("5m")
    cab.start_broker()
    cab.run("5m")
    cab.run_until(lambda: cab.broker.decoded == cab.ledger()["acknowledged"], within="1m")
    assert cab.ledger()["balanced"] and cab.broker.decoded > 2000
    assert cab.broker.errors == 0 and cab.broker.waiting == 0
    kinds = {topic.partition("/")[0] for _, topic, _ in heard}
    assert kinds & {"d", "h", "c"} == ({"c"} if encoding == "compact" else {"d", "h"})
    for _, topic, payload in heard:
        if topic[:2] in ("d/", "h/"):
            assert (payload[:1] == b"[") == (encoding == "json")
    assert {"main-meter/voltage_l1", "bin-1/distance/min"} <= set(arrived(cab))
    log = [row for row in cab.buses[0].slaves.truth_log if row[0] == "heat-meter"]
    cab.compiled.streams[:] = [stream for stream in cab.compiled.streams if stream.name.startswith("heat-meter/")]
    for view in cab.broker.streams.values():
        view.samples = [sample for sample in view.samples if sample.absolute]
    assert assert_exact(cab, log, 10_000_000) > 600


def test_the_encodings_say_the_same(cabinet, demo_site, tmp_path):
    said = []
    for encoding in ("cbor", "json", "compact"):
        cab = cabinet(variant(demo_site, tmp_path, encoding=encoding), seed=3)
        cab.run("5m")
        said.append(arrived(cab))
    shortest = {name: min(len(one[name]) for one in said) for name in said[0]}
    assert sum(count > 20 for count in shortest.values()) > 25
    for name, count in shortest.items():
        rows = [one[name][:count] for one in said]
        assert rows[0] == rows[1], name
        # A compact packet leaves samples from before the first time to the event that places them.
        assert [row[:2] + row[3:] for row in rows[0]] == [row[:2] + row[3:] for row in rows[2]], name
        assert all(b[2] in (None, a[2]) for a, b in zip(rows[0], rows[2], strict=True)), name
        assert count < 20 or rows[2][-1][2] is not None


def test_numbers_in_json_are_decimal_texts_and_no_floats(cabinet, demo_site, tmp_path):
    cab = cabinet(variant(demo_site, tmp_path, encoding="json"), seed=3)
    heard = listen(cab)
    cab.run("2m")
    packs = [payload for _, topic, payload in heard if topic.startswith("d/")]
    floats = [float(text) for payload in packs for text in numbers(payload) if "." in text]
    exact = [Decimal(text) for payload in packs for text in numbers(payload) if "." in text]
    assert len(exact) > 100 and any(Decimal(a) != b for a, b in zip(floats, exact, strict=True))
    assert all("e" not in text.lower() for payload in packs for text in numbers(payload))
    assert all(decode(payload)[1] for payload in packs)


def numbers(payload):
    found = []
    json.loads(payload, parse_float=lambda text: found.append(text), parse_int=lambda text: found.append(text))
    return found


def test_a_batch_is_bounded_by_samples(cabinet, demo_site, tmp_path):
    cab = cabinet(variant(demo_site, tmp_path, batch_samples=30, batch_bytes=8000, batch_age_s=600), seed=3)
    heard = listen(cab)
    cab.run("5m")
    sizes = [len(decode(payload)[1]) for _, topic, payload in heard if topic.startswith("d/")]
    assert len(sizes) > 20 and max(sizes) <= 30


SMOKE = """
[[derived]]
id = "smoke"
kind = "temperature_alarm"
temperature = "bin-1/temperature"
above = 60
"""


def test_an_alarm_does_not_wait_for_its_batch(cabinet, demo_site, tmp_path):
    site = variant(demo_site, tmp_path, batch_age_s=600, batch_bytes=8000, batch_samples=5000)
    site.write_text(site.read_text() + SMOKE)
    cab = cabinet(site, seed=3)
    cab.run("3m")
    heard = listen(cab)
    cab.world.set("bin-1", "temperature", 75)
    at = cab.now_s
    cab.run("1m")
    alarms = [(when, topic) for when, topic, _ in heard if topic in ("d/alarm", "event")]
    assert {topic for _, topic in alarms} == {"d/alarm", "event"}
    assert all(when - at < 60 for when, _ in alarms)
    assert not [topic for _, topic, _ in heard if topic == "d/telemetry"]  # the others wait for their ten minutes
    event = next(json.loads(payload) for _, topic, payload in heard if topic == "event")
    assert event["event"] == "temperature_alarm" and event["value"] == "75.0" and event["utc"] >= cab.start_unix_s + at
    assert cab.broker.stream("smoke/alarm").last.value == 1
