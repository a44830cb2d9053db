"""What a technician reads of a self-test: every word that the gateway can say has its sentence, and every red line its next step."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.quality import _WORDS as REASONS
from satama.commissioning.about_way import _BROKER
from satama.commissioning.cabling import Cabling, cabling
from satama.commissioning.checklist import checklist, passed
from satama.compiling.compiler import compile_site
from satama.core.places import FIRMWARE

SERVICE, UPLINK = FIRMWARE / "gateway" / "service", FIRMWARE / "gateway" / "uplink"


def line(check, said, ok=False, of="x", wires=None, **figures):
    [made] = checklist({"checks": [{"check": check, "of": of, "ok": ok, "said": said, **figures}]}, wires)
    return made


@pytest.fixture(scope="module")
def demo():
    from satama.core.places import FIRMWARE as firmware

    return cabling(compile_site(firmware.parent / "sim" / "sites" / "demo.toml", write_ids=False))


RED = {
    ("start", "safe mode"): "safe mode .* -> was it flashed or reset .* measure the supply",
    ("start", "crashed"): "restarted by itself .* -> type restart",
    ("memory", "ran out"): "memory ran out .* -> fewer points",
    ("memory", "low"): "little memory .* -> make the site smaller",
    ("journal", "flash fails"): "does not take what is written -> exchange the board",
    ("journal", "not balanced"): "does not add up -> send the report",
    ("journal", "nearly full"): "nearly full: .* -> get the broker line green",
    ("device", "timeout"): "does not answer .* -> has it power",
    ("device", "bus_down"): "cannot be reached .* -> look at the network plug",
    ("device", "crc"): "damaged .* -> unplug the devices with the same number",
    ("device", "short"): "damaged .* -> unplug the devices with the same number",
    ("device", "wrong_unit"): "another device answers in its place .* -> find the second device",
    ("device", "exception 2"): "refuses the question with exception 2 .* -> compare its type plate",
    ("device", "another device"): "not what the site file says .* -> compare its type plate",
    ("device", "no sunspec map"): "SunSpec registers were not found .* -> switch SunSpec",
    ("bus", "silent"): "does not answer.* -> exchange A and B",
    ("bus", "noise"): "were damaged.* -> put 120 ohm at both ends",
    ("listen", "timeout"): "nothing has come .* -> push the plug in",
    ("listen", "crc"): "no telegram is whole -> is the right line on the data pin",
    ("listen", "stale"): "any more -> push the plug in",
    ("adc", "invalid"): "nothing is measured.* -> is the probe plugged in",
    ("adc", "broken_wire"): "less than 3.6 mA.* -> the loop is open",
    ("adc", "over_range"): "more than 21 mA.* -> the loop is shorted",
    ("adc", "at the rail"): "upper end.* -> unplug it at once",
    ("adc", "out_of_range"): "cannot be true.* -> compare with the display",
    ("pulse", "may be lost"): "may be lost.* -> compare with the meter's display",
    ("value", "out_of_range"): "cannot be true -> compare",
    ("network", "no access point"): "is not seen here -> is its access point on",
    ("network", "wrong Wi-Fi password"): "does not take the password -> correct the password",
    ("network", "Wi-Fi not let in"): "does not let this board in -> let its operator admit",
    ("network", "no network"): "not connected .* -> is the access point on",
    ("network", "no cable"): "plug is out.* -> push it in",
    ("network", "no address from DHCP"): "no address comes -> ask the network's operator",
    ("time", "no answer"): "no time server answers .* -> ask the network's operator to let UDP port 123 out",
    ("time", "not believed"): "contradicts the clock.* -> compare one of them with your phone",
    ("broker", "connection refused"): "no broker listens .* -> is the broker running",
    ("broker", "wrong CA"): "certificate of another CA .* -> put the right CA file",
}  # fmt: skip


@pytest.mark.parametrize("check, said", RED)
def test_a_red_line_says_what_was_seen_and_what_to_do(check, said):
    found = line(check, said)
    assert found.state == "red"
    assert re.search(RED[check, said], f"{found.what} -> {found.advice}")
    assert found.what.isprintable() and found.advice[0].islower() and not found.advice.endswith(".")


TELL = "tell it to those who maintain the gateways"
FINE = {
    "hears",
    "up",
    "set",
    "confirms",
    "counts",
    "good",
    "first round",
    "no network",
    "connecting",
    "asking",
    "no devices",
}
FINE |= {"nothing confirmed yet", "no time server", "answers", "on trial", "runs", "plausible", "clean"}


def literals(path):
    """Every text that a row of the gateway's self-test can have as its `said`."""
    code = path.read_text(encoding="utf-8")
    calls = re.findall(r'(?:row|waits)\(\s*"(\w+)",\s*[^,]+,((?:[^()]|\([^()]*\))*)\)', code)
    return {(check, said) for check, rest in calls for said in re.findall(r'"([^"]+)"', rest.split("=")[0])}


def test_every_word_of_the_gateway_s_own_has_a_sentence_of_ours():
    found = literals(SERVICE / "selftest.py") | literals(SERVICE / "selftest_field.py")
    assert {("time", "no answer"), ("pulse", "may be lost"), ("broker", "connecting")} <= found, (
        "how it is written has changed"
    )
    for check, said in found:
        ours = line(check, said, ok=False)
        assert said in FINE or ours.advice != TELL, (check, said)


def test_every_reason_for_which_a_broker_is_not_reached_has_a_sentence():
    code = "".join(path.read_text(encoding="utf-8") for path in UPLINK.rglob("*.py"))
    reasons = set(re.findall(r'LinkDown\("([^"{]+)"\)', code)) | set(
        re.findall(r'"(wrong [A-Za-z]+ ?\w*|certificate [a-z ]+)"', code)
    )
    reasons |= {f"refused: {why}" for why in ("user or password", "not authorised", "client id")} | {
        "no such name",
        "name server silent",
    }
    reasons -= {
        "wrong Wi-Fi password",
        "payload changed",
        "no address left",
        "broker does not read",
    }  # a network's; ours; rare
    assert {"connection refused", "wrong CA", "no TLS", "clock not set"} - reasons <= {"no TLS"}
    for reason in reasons:
        assert any(reason.startswith(beginning) for beginning in _BROKER) or "CA in the site" in reason, reason


def test_every_quality_reason_is_a_sentence_for_values_too():
    for reason in REASONS:
        found = line("value", reason)
        assert found.what and found.advice


def test_a_bus_that_is_silent_as_a_whole_is_one_thing_to_do_and_not_six(demo):
    rows = [
        {"check": "device", "of": name, "ok": False, "said": "timeout", "bus": "rs485", "unit": n}
        for n, name in enumerate(("main-meter", "flat-meter"), 1)
    ]
    rows.append({"check": "bus", "of": "rs485", "ok": False, "said": "silent", "devices": 2, "silent": 2})
    first, second, bus = checklist({"checks": rows}, demo)
    assert first.advice == second.advice == "see bus rs485: none of its devices is heard"
    assert bus.what == "none of 2 devices answers at port rs485 (TX GPIO 17, RX GPIO 16, DE GPIO 4)"
    assert bus.advice.startswith("exchange A and B") and "9600 baud 8N1" in bus.advice


def test_with_the_site_file_terminals_and_settings_have_their_names(demo):
    dead = line("device", "timeout", of="heat-meter", wires=demo, bus="rs485", unit=3, asked=True)
    assert "unit number 3, 9600 baud 8N1" in dead.advice and "SHARKY" in dead.what and "asked" not in dead.advice
    stale = line("device", "timeout", of="heat-meter", wires=demo, bus="rs485", unit=3, asked=False)
    assert "test again in half a minute" in stale.advice
    assert (
        "terminal A1 (GPIO 34), 3100 mV" in line("adc", "at the rail", of="bed-1/moisture", wires=demo, uv=3100000).what
    )
    assert "'kalasatama-iot'" in line("network", "no access point", of="wifi", wires=demo).what
    assert "ntp.kalasatama.example" in line("time", "no answer", wires=demo).what
    assert "broker.kalasatama.example:1883" in line("broker", "connection refused", wires=demo).what


def test_a_networked_bus_is_spoken_of_as_one():
    wires = Cabling(ports={"hall": "192.0.2.7 port 502"}, networked=frozenset({"hall"}))
    assert "network plug of 192.0.2.7 port 502" in line("device", "bus_down", wires=wires, bus="hall").advice
    assert "behind 192.0.2.7" in line("device", "timeout", wires=wires, bus="hall", unit=4).advice
    silent = line("bus", "silent", of="hall", wires=wires, devices=2)
    assert silent.what == "nobody answers at 192.0.2.7 port 502" and "A and B" not in silent.advice


def test_the_four_states():
    assert line("network", "up", ok=True, rssi=-61).state == "ok"
    assert line("network", "connecting", ok=None, waits=True).state == "waits"
    seen = line("pulse", "none yet", ok=None)
    assert seen.state == "open" and "let something flow" in seen.advice
    weak = line("network", "up", ok=True, rssi=-85)
    assert weak.state == "ok" and "weak: -85 dBm" in weak.what and "antenna" in weak.advice
    assert not line("device", "answers", ok=True).advice


def test_a_check_of_a_newer_gateway_is_shown_as_it_says_it():
    assert line("gearbox", "rattles").what == "rattles"


def test_only_a_gateway_that_says_so_has_passed():
    good = {"check": "network", "of": "wifi", "ok": True, "said": "up"}
    assert passed({"passed": True, "checks": [good]})
    for answer in (
        {},
        {"passed": True},
        {"passed": True, "checks": []},
        {"passed": 1, "checks": [good]},
        {"checks": [good]},
    ):
        assert not passed(answer)


TEXT = st.text(st.sampled_from("ab0 \n\x00\x1b\x7f\u2028<\xe4"), max_size=8)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
CHECKS = st.sampled_from(
    ["start", "memory", "journal", "device", "bus", "listen", "adc", "pulse", "value", "values", "time", "broker"]
)


@given(
    st.dictionaries(st.sampled_from(["of", "ok", "said", "unit", "errors", "uv", "waits", "rssi", "bus"]), ANY), CHECKS
)
def test_whatever_comes_over_the_line_becomes_a_printable_line(row, check):
    [made] = checklist({"checks": [row | {"check": check}]})
    assert (made.of + made.what + made.advice).isprintable()
    assert made.state != "ok" or row.get("ok") is True
