"""The line to a gateway: whatever comes over it, an answer is the right one or there is none, and what is wrong is told in a sentence."""

import json

import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st

from satama.serial_line import gateway as line_module
from satama.serial_line.boot_words import last_start, trouble
from satama.serial_line.gateway import LONGEST_REQUEST, GatewayLine, LineError
from satama.serial_line.ports import PortError


class FakeTime:
    """Every read that finds nothing takes its time-out."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    made = FakeTime()
    monkeypatch.setattr(line_module, "time", made)
    return made


class FakePort:
    """`answer(question dict) -> bytes` is what comes back; `at_once` is what is there before."""

    def __init__(self, clock, answer=lambda question: b"", at_once=b"", piece=7):
        self.clock, self.answer, self.piece = clock, answer, piece
        self.coming = bytearray(at_once)
        self.asked = []

    @property
    def in_waiting(self):
        return min(len(self.coming), self.piece)

    def read(self, size):
        data, self.coming = bytes(self.coming[:size]), self.coming[size:]
        self.clock.now += 0.001 if data else 0.1
        return data

    def write(self, data):
        assert data[:1] == b"\x1e" and data[-1:] == b"\n" and data.count(b"\n") == 1
        self.asked.append(json.loads(data[1:]))
        self.coming += self.answer(self.asked[-1])

    def close(self):
        self.coming = None


def said(**answer):
    return b"\x1e" + json.dumps(answer).encode() + b"\n"


def right(question):
    return said(ok=True, id=question["id"], op=question["op"])


def test_an_answer_has_the_id_of_its_question_whatever_stands_around_it(clock):
    def noisy(question):
        other = said(ok=True, id=question["id"] + 5, wrong=True)
        return b"rubbish \xff\x00 > text\r\n" + other + right(question) + b"behind it"

    line = GatewayLine(FakePort(clock, noisy), "COM9")
    for op in ("status", "ledger"):
        answer = line.request(op, of="x", value=3)
        assert answer["op"] == op
    assert line._port.asked[0] == {"id": line._number - 1, "op": "status", "of": "x", "value": 3}
    assert "rubbish" in line.text


@pytest.mark.parametrize(
    "damage", [lambda a: a[:20] + b"\x00" + a[21:], lambda a: a[:12] + a[0:], lambda a: a[:-9] + b"\n"]
)
def test_a_damaged_answer_is_asked_for_again_with_the_same_id(clock, damage):
    port = FakePort(clock, lambda q: damage(right(q)) if len(port.asked) == 1 else right(q))
    assert GatewayLine(port).request("status")["op"] == "status"
    assert len(port.asked) <= 2 and {question["id"] for question in port.asked} == {port.asked[0]["id"]}


def test_a_question_that_was_damaged_is_asked_again(clock):
    port = FakePort(clock, lambda q: said(ok=False, id=None, error="damaged") if len(port.asked) == 1 else right(q))
    assert GatewayLine(port).request("status")["ok"]


def test_a_gateway_that_is_short_of_memory_is_not_taken_for_a_bad_cable(clock):
    port = FakePort(clock, lambda q: said(ok=False, id=None, error="too little memory for that now"))
    with pytest.raises(LineError, match="too little memory for 'selftest' just now -> try again") as error:
        GatewayLine(port).request("selftest")
    assert error.value.kind == "memory" and len(port.asked) == 1


def test_twice_damaged_is_the_cable_s_fault(clock):
    line = GatewayLine(FakePort(clock, lambda q: b"\x1e{not json}\n"), "COM9")
    with pytest.raises(LineError, match=r"COM9 damages what goes over it.*-> a shorter or better cable") as error:
        line.request("status")
    assert error.value.kind == "damaged"


def test_what_the_gateway_does_not_know_is_its_answer(clock):
    line = GatewayLine(FakePort(clock, lambda q: said(ok=False, id=q["id"], error="unknown or damaged request")))
    assert line.request("dance")["ok"] is False


def test_an_echo_of_the_question_is_no_answer(clock):
    line = GatewayLine(FakePort(clock, lambda q: b"\x1e" + json.dumps(q).encode() + b"\n" + right(q)))
    assert line.request("status")["ok"] is True


def test_a_long_answer_may_take_longer_than_the_time_out_and_a_missing_one_may_not(clock):
    def slow(question):
        return said(ok=True, id=question["id"], rows=list(range(20_000)))

    line = GatewayLine(FakePort(clock, slow, piece=20))
    assert len(line.request("points", timeout_s=2)["rows"]) == 20_000
    assert clock.now > 2
    silent = GatewayLine(FakePort(clock), "COM9")
    began = clock.now
    with pytest.raises(LineError, match="no answer to 'status' from COM9 -> wait a minute"):
        silent.request("status", timeout_s=3)
    assert 3 <= clock.now - began < 3.5


def test_a_request_that_the_gateway_would_not_take_is_not_sent(clock):
    port = FakePort(clock, right)
    line = GatewayLine(port)
    empty = len(line._question(1 << 24, "put", None, "")) - 1
    line._number = 1 << 24
    assert line.request("put", value="x" * (LONGEST_REQUEST - empty))["ok"]
    with pytest.raises(ValueError, match="257 bytes"):
        line.request("put", value="x" * (LONGEST_REQUEST - empty + 1))
    assert len(port.asked) == 1


def test_a_pulled_cable_is_a_sentence(clock):
    port = FakePort(clock)

    def gone(size):
        raise serial.SerialException("device reports readiness to read but returned no data")

    port.read = gone
    with pytest.raises(PortError, match="the cable of COM9 broke -> plug it in again"):
        GatewayLine(port, "COM9").request("status")


@settings(max_examples=150)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"\x1e", b"\x1e{", b"}\n", b'\x1e{"ok":1}\n', b"\n"])))
)
def test_no_garbage_becomes_an_answer_and_none_keeps_the_right_one_from_being_found(pieces):
    time = FakeTime()
    line_module.time = time
    port = FakePort(time, lambda q: b"" if len(port.asked) > 2 else right(q), at_once=b"".join(pieces))
    line = GatewayLine(port)
    try:
        answer = line.request("status", timeout_s=5)
        assert answer == {"ok": True, "id": line._number, "op": "status"}
    except LineError as error:
        assert error.kind == "damaged"
    port.coming.clear()
    port.asked.clear()
    assert line.request("ledger", timeout_s=5)["op"] == "ledger", "the line is in step again"


def test_waiting_for_the_start(clock):
    def after_a_while(question):
        return said(ok=True, id=question["id"], gateway="demo-01") if len(port.asked) == 3 else b""

    port = FakePort(clock, after_a_while, at_once=b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET)\r\n")
    passed = []
    assert GatewayLine(port).wait_for_start(30, passed.append)["gateway"] == "demo-01"
    assert passed[0] == 0 and passed[-1] >= 4 and sorted(passed) == passed


BANNER = b"satama 0.1.0 demo-01 epoch 7\r\n"
BOOT = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
REPL = (
    b'MicroPython v1.26.1 on 2025-09-11; Generic ESP32 module with ESP32\r\nType "help()" for more information.\r\n>>> '
)
WORDS = {
    "blank": (b"invalid header: 0xffffffff\r\n" * 9, "flash holds no program .*-> flash it again with: satama flash"),
    "download": (
        b"boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\nwaiting for download\r\n",
        "let go of its BOOT",
    ),
    "brown_out": (BOOT + b"\r\nBrownout detector was triggered\r\n\r\n", "supply broke down .* stronger supply"),
    "site": (
        BOOT + b"satama: no usable site in /slot_a.bin SettingError(2,) - build and deploy it again\r\n" + REPL,
        r"cannot use the site file in /slot_a.bin -> build and flash",
    ),
    "application": (
        BOOT
        + b"satama: no application in /slot_a.bin or /slot_b.bin that is whole - flash this board again: satama flash\r\n"
        + REPL,
        "neither of the board's application slots is whole -> flash it again",
    ),
    "filesystem": (
        BOOT + b"The filesystem appears to be corrupted. If you had important data\r\n",
        "filesystem is damaged",
    ),
    "image": (BOOT + b"E (58) esp_image: Checksum failed. Calculated 0x7d read 0x3f\r\n", "not whole"),
    "crash": (
        BANNER
        + b"satama: failure in uplink\r\nTraceback (most recent call last):\r\nValueError: x\r\nsatama: restarting in 5 s\r\n",
        "fails in its task 'uplink'",
    ),
    "panic": (
        BOOT + b"Guru Meditation Error: Core  1 panic'ed (LoadProhibited). Exception was unhandled.\r\n",
        "MicroPython itself crashed .Guru Meditation",
    ),
    "raw_repl": (b"\r\nraw REPL; CTRL-B to exit\r\n>", "another tool has stopped the gateway .* press RESET"),
    "program": (
        b"  File \"main.py\", line 22\r\nImportError: no module named 'gateway'\r\n" + REPL,
        "ImportError: no module",
    ),
    "repl": (BOOT + REPL, "no gateway: only its prompt answers -> press RESET"),
    "garbage": (bytes(range(128, 256)) * 2, "no text .* 115200 baud"),
}


@pytest.mark.parametrize("kind", WORDS)
def test_what_a_board_says_without_a_gateway_has_its_sentence(clock, kind):
    heard, sentence = WORDS[kind]
    with pytest.raises(LineError, match=sentence) as error:
        GatewayLine(FakePort(clock, at_once=heard), "COM9").wait_for_start(20)
    assert error.value.kind == kind
    assert clock.now < 6 or not trouble(heard).final, "what cannot get better is told soon"


@pytest.mark.parametrize(
    "heard, kind, sentence",
    [
        (b"", "silent", "nothing answers at COM9 -> is the board powered"),
        (b"$GPGGA,,,\r\n$GPRMC,,\r\n", "stranger", r"COM9 speaks, but not as .* \(last: '\$GPRMC,,'\)"),
        (BANNER, "deaf", "demo-01 has started, but does not answer"),
        (WORDS["crash"][0] + BOOT + BANNER, "deaf", "demo-01 has started"),
    ],
)
def test_silence_strangers_and_a_gateway_that_does_not_answer(clock, heard, kind, sentence):
    with pytest.raises(LineError, match=sentence) as error:
        GatewayLine(FakePort(clock, at_once=heard), "COM9").wait_for_start(10)
    assert error.value.kind == kind
    assert 10 <= clock.now < 11


@given(st.binary(max_size=300))
def test_any_bytes_give_a_printable_sentence_or_none(heard):
    found = trouble(heard)
    assert found is None or found.sentence.isprintable()
    assert last_start(heard)[1] in heard
