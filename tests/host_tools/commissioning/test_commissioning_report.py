"""The commissioning report: JSON with a stated schema, HTML that nothing can break out of, and the test that is repeated until it helps no more."""

import json
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from satama.commissioning import after_flash
from satama.commissioning.after_flash import Commissioned, repeat
from satama.commissioning.checklist import checklist
from satama.commissioning.report import as_dict, as_html, as_json
from satama.compiling.compiler import compile_site
from satama.core.places import SITES
from satama.serial_line.boot_words import Trouble
from satama.serial_line.gateway import LineError
from satama.serial_line.ports import PortError

GOOD = {"check": "network", "of": "wifi", "ok": True, "said": "up", "rssi": -61}
DEAD = {"check": "device", "of": "meter", "ok": False, "said": "timeout", "bus": "rs485", "unit": 1, "asked": True}
WAITS = {"check": "broker", "of": "b", "ok": None, "said": "connecting", "waits": True}
WHO = {"ok": True, "gateway": "demo-01", "board": "esp32-devkit", "mac": "240ac4000001", "version": "0.1.0"}
WHO |= {"vm": "MicroPython v1.26.1", "config": "28cdf84f53b7fca9", "epoch": 7, "uptime_s": 66}
MAC = "24:0a:c4:00:00:01"
FLASHED = {
    "firmware": "1.26.1",
    "firmware_sha256": "ab" * 32,
    "image_sha256": "cd" * 32,
    "regions": [
        {"name": "application", "at": 0x10000, "bytes": 1700000, "sha256": "ef" * 32, "kept": True},
        {"name": "filesystem", "at": 0x200000, "bytes": 524288, "sha256": "5e" * 32, "kept": False},
    ],
    "seconds": 31.5,
}


def answer(*rows):
    fine = all(row["ok"] is not False and not row.get("waits") for row in rows)
    return WHO | {"checks": list(rows), "passed": fine}


def done(*rows, **more):
    given = answer(*rows)
    return Commissioned(given, checklist(given), **more)


class Tags(HTMLParser):
    """The elements of a page, its texts, and whether they are nested rightly."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self._open = [], [], []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_json_report_is_what_its_schema_says():
    made = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
    run = done(GOOD, DEAD, slots={"ok": True, "id": 4, "active": "a", "crc": "12345678"}, tests=3)
    report = json.loads(as_json(as_dict(run, port="COM9", by="Aino", site="kalasatama", flashed=FLASHED, made=made)))
    assert report["report"] == 1 and report["made"] == "2026-11-24T21:30:00Z" and report["by"] == "Aino"
    assert report["passed"] is False and report["port"] == "COM9" and report["tests"] == 3
    assert report["gateway"] == {"site": "kalasatama"} | {key: WHO[key] for key in WHO if key != "ok"} | {"mac": MAC}
    assert report["slots"] == {"active": "a"}
    assert set(report["flashed"]) == {"firmware", "firmware_sha256", "regions"}
    assert [region["sha256"] for region in report["flashed"]["regions"]] == ["ef" * 32, ""]
    assert "5e5e" not in str(report) and "cdcd" not in str(report), "nobody can try passwords on a checksum of secrets"
    first, second = report["checks"]
    assert first["figures"] == {"rssi": -61} and first["state"] == "ok"
    assert second["state"] == "red" and second["advice"] and second["figures"]["unit"] == 1


def test_the_html_report_is_one_whole_page_that_needs_nothing_from_elsewhere():
    page = as_html(
        as_dict(done(GOOD, DEAD, WAITS, slots={"ok": True, "active": "a"}), by="Aino", flashed=FLASHED)
    ).decode()
    tags = Tags(page)
    assert (
        not [attrs for _, attrs in tags.tags if {"src", "href"} & set(attrs)]
        and "url(" not in page
        and "@import" not in page
    )
    text = " ".join(tags.texts)
    for part in (
        "Commissioning report: demo-01",
        "NOT PASSED: 1 red",
        MAC,
        "device meter",
        "has it power?",
        "ef" * 32,
        "0x200000",
        "Signature",
    ):
        assert part in text
    assert "size: A4" in page and "break-inside: avoid" in page
    assert (
        "PASSED" in as_html(as_dict(done(GOOD))).decode() and "NOT PASSED" not in as_html(as_dict(done(GOOD))).decode()
    )


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "a & b", "</td></table>"])
def test_nothing_that_comes_from_elsewhere_becomes_markup(evil):
    given = answer(
        GOOD | {"of": evil}, DEAD | {"of": evil, "bus": evil}, {"check": evil, "of": "", "ok": False, "said": evil}
    )
    given |= {key: evil for key in ("gateway", "board", "mac", "version", "vm", "config")}
    run = Commissioned(given, checklist(given), {"ok": True, "active": {"x": evil}, "version": evil})
    flashed = FLASHED | {"firmware": evil, "regions": [FLASHED["regions"][0] | {"name": evil, "sha256": evil}]}
    harmless = as_html(
        as_dict(done(GOOD, DEAD, DEAD, slots={"ok": True, "active": "a"}), by="x", port="x", site="x", flashed=FLASHED)
    )
    page = as_html(as_dict(run, by=evil, port=evil, site=evil, flashed=flashed)).decode()
    tags = Tags(page)
    assert evil in " ".join(tags.texts)
    assert sorted({tag for tag, _ in tags.tags}) == sorted({tag for tag, _ in Tags(harmless.decode()).tags})


# --- the repetition


class Gateway:
    """Gives one answer after the other, the last one for ever; `at` is the time."""

    def __init__(self, *answers):
        self.answers, self.at, self.asked = list(answers), 0.0, []

    def request(self, op, /, **_):
        self.asked.append(op)
        if op == "slots":
            return {"ok": False, "error": "unknown"}
        self.at += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def sleep(self, seconds):
        self.at += seconds

    def run(self, wait_s, compiled=None):
        return repeat(self, wait_s, compiled, now=lambda: self.at, sleep=self.sleep)


def test_it_is_repeated_until_it_passes():
    gateway = Gateway(answer(WAITS), answer(DEAD), answer(GOOD))
    run = gateway.run(90)
    assert run.passed and run.tests == 3 and gateway.at < 20
    assert gateway.asked[-1] == "slots" and run.slots == {}


def test_what_stays_red_is_not_waited_for_to_the_end_but_what_may_come_is():
    stuck = Gateway(answer(DEAD, GOOD))
    assert not stuck.run(600).passed and 30 <= stuck.at < 45
    hopeful = Gateway(answer(DEAD, WAITS))
    assert not hopeful.run(90).passed and 85 <= hopeful.at <= 91
    changing = Gateway(*[answer(DEAD | {"of": f"meter-{n // 5}"}) for n in range(40)], answer(GOOD))
    assert changing.run(600).passed


def test_with_no_time_it_is_asked_once():
    gateway = Gateway(answer(WAITS))
    assert gateway.run(0).tests == 1


def test_a_gateway_without_a_self_test_is_told_to_be_old():
    with pytest.raises(LineError, match="older than its self-test -> bring its program up to date") as error:
        Gateway({"ok": False, "error": "unknown or damaged request"}).run(90)
    assert error.value.kind == "old"


def test_another_gateway_or_another_version_of_the_site_is_red():
    compiled = compile_site(SITES / "demo.toml", write_ids=False)
    right = answer(GOOD) | {key: compiled.body[key] for key in ("gateway", "board", "config")}
    assert Gateway(right).run(0, compiled).passed
    for key, words in (
        ("gateway", "runs as gateway other"),
        ("board", "as board other"),
        ("config", "as version of the site file other"),
    ):
        run = Gateway(right | {key: "other"}).run(0, compiled)
        assert not run.passed and run.red[0].check == "site" and words in run.red[0].what
        assert not as_dict(run)["passed"] and as_dict(run)["checks"][0]["figures"] == {}
        assert as_dict(run)["checks"][1]["figures"] == {"rssi": -61}


# --- a port that comes and goes


class Board:
    """A board with a USB of its own: `story` says what becomes of each try to open its port."""

    def __init__(self, monkeypatch, *story):
        self.story, self.at, self.closed = list(story), 0.0, 0
        monkeypatch.setattr(after_flash, "time", self)
        monkeypatch.setattr(after_flash, "GatewayLine", self)

    def monotonic(self):
        return self.at

    def sleep(self, seconds):
        self.at += seconds

    def open(self, port):
        self.now = self.story.pop(0) if len(self.story) > 1 else self.story[0]
        if self.now == "away":
            raise PortError(f"there is no port {port}")
        return self

    def wait_for_start(self, timeout_s, tell):
        self.at += 1
        if self.now == "breaks":
            raise PortError("the cable broke")
        if self.now == "silent":
            raise LineError(Trouble("silent", "nothing answers"))

    def close(self):
        self.closed += 1


def test_a_port_that_goes_away_with_the_restart_is_opened_again(monkeypatch):
    board = Board(monkeypatch, "away", "breaks", "away", "away", "good")
    assert after_flash.started("COM9", 60, 10, print) is board
    assert board.closed == 1 and board.at < 10


def test_one_that_stays_away_is_not_waited_for_for_ever_nor_one_that_breaks_again_and_again(monkeypatch):
    board = Board(monkeypatch, "away")
    with pytest.raises(PortError, match="there is no port COM9"):
        after_flash.started("COM9", 60, 10, print)
    assert 10 <= board.at < 11
    with pytest.raises(PortError):
        after_flash.started("COM9", 60, 0, print)
    assert board.at < 11, "at once, when nothing was restarted"
    board = Board(monkeypatch, "breaks")
    with pytest.raises(PortError, match="the cable broke"):
        after_flash.started("COM9", 20, 10, print)
    assert board.at < 25
    board = Board(monkeypatch, "silent")
    with pytest.raises(LineError, match="nothing answers"):
        after_flash.started("COM9", 20, 10, print)
    assert board.closed == 1
