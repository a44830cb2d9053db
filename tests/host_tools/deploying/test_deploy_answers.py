"""What a gateway answers while a deploy goes on, and what the deploy makes of answers that are none."""

from contextlib import nullcontext

import pytest

from satama.compiling.compiler import compile_site
from satama.core.places import SITES
from satama.core.progress import Reporter
from satama.deploying.deploy import DeployError, deploy
from satama.deploying.identity import Wanted, chip_of
from satama.packing.image import slot
from satama.packing.slot_archive import crc_of

WANTED = Wanted("cab-01", "esp32-devkit", "esp32")
BOARD = {"board": "esp32-devkit", "machine": "Generic ESP32 module with ESP32"}
RUNS_A = BOARD | {"ok": True, "running": "a", "on_trial": False, "crc": "0", "other": ""}
NO_ROOM = {"ok": False, "error": "not now"}


class Quiet(Reporter):
    def step(self, name, of=0):
        return nullcontext(type("Step", (), {"to": lambda self, done, of=None: None})())


class Gateway:
    """Takes everything; `slots`, and `switches` and `begins` where they are given, are its answers, one after the other, the last one for
    ever. `puts`: what it was sent of an application."""

    def __init__(self, *slots, members=None, switches=(), begins=()):
        self.slots, self.members = list(slots), members or {"ok": True, "rows": []}
        self.switches = list(switches) or [{"ok": True, "switching_to": "b"}]
        self.begins = list(begins) or [{"ok": True, "at": 0}]
        self.puts = 0

    def request(self, op, *, of=None, value=None):
        self.puts += op == "put"
        if op == "status":
            return {"ok": True, "gateway": "cab-01"}
        if op == "slots":
            if of == "members":
                return self.members
            return next_of(self.slots)
        if op == "switch":
            return next_of(self.switches)
        if of == "begin":
            return next_of(self.begins)
        if of == "end":
            return {"ok": True, "ready": True}
        return {"ok": True, "at": of + len(value) * 3 // 4 - value.count("=")}


def next_of(answers):
    return answers.pop(0) if len(answers) > 1 else answers[0]


def go(gateway, archive, wanted=WANTED, **options):
    return deploy(gateway, archive, wanted, Quiet(), wait=lambda seconds: None, **options)


def name_of(archive):
    return f"{crc_of(archive):08x}"


@pytest.fixture(scope="module")
def archive():
    compiled = compile_site(SITES / "house.toml", write_ids=False)
    return slot(compiled.data, certificates=compiled.certificates)


def test_an_answer_that_says_nothing_is_no_proof_that_the_old_application_is_back(archive):
    gateway = Gateway(RUNS_A, *[NO_ROOM] * 10, RUNS_A | {"running": "b"})
    done = go(gateway, archive)
    assert done.slot == "b"


def test_the_old_application_that_is_back_is_told(archive):
    with pytest.raises(DeployError, match="the old one is back"):
        go(Gateway(RUNS_A), archive)


@pytest.mark.parametrize("members", [NO_ROOM, {"ok": True, "rows": ["xyz"]}, {"ok": True, "rows": 3}])
def test_a_gateway_that_does_not_tell_what_it_runs_is_no_traceback(archive, members):
    with pytest.raises(DeployError, match="does not tell what it runs"):
        go(Gateway(RUNS_A, members=members), archive)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"board": "wt32-eth01"}, "runs on the board wt32-eth01, the site file is for esp32-devkit"),
        ({"machine": "Generic ESP32C3 module with ESP32C3"}, "runs on an ESP32-C3, but the board esp32-devkit of the site file has an ESP32 "),
        ({"machine": "a new kind with ESP32C61"}, "runs on an ESP32C61, but"),
        ({"board": None}, "too old to say which board .* --board esp32-devkit"),
        ({"running": None}, "too old for a deploy -> satama flash"),
    ],
)  # fmt: skip
def test_another_board_is_refused_before_anything_is_sent(archive, said, why):
    answer = {key: value for key, value in (RUNS_A | said).items() if value is not None}
    gateway = Gateway(answer)
    with pytest.raises(DeployError, match=why):
        go(gateway, archive)
    assert gateway.puts == 0


def test_a_gateway_that_does_not_say_its_board_gets_it_once_somebody_has_looked(archive):
    old = {key: value for key, value in RUNS_A.items() if key not in BOARD}
    assert go(Gateway(old, old | {"running": "b"}), archive, WANTED._replace(board_seen=True)).slot == "b"
    with pytest.raises(DeployError, match="runs on the board"):
        go(Gateway(RUNS_A), archive, WANTED._replace(board="wt32-eth01", board_seen=True))


@pytest.mark.parametrize(
    ("machine", "chip"),
    [
        ("Generic ESP32 module with ESP32", "esp32"),
        ("M5Stack Atom with ESP32-PICO-D4", "esp32"),
        ("Generic ESP32S3 module with ESP32S3", "esp32s3"),
        ("A board with ESP32-S3R8", "esp32s3"),
        ("A board with ESP32-D0WDQ6", "esp32"),
        ("Generic ESP32 module with SPIRAM with ESP32", "esp32"),
        ("Generic ESP32C3 module with ESP32C3", "esp32c3"),
        ("Raspberry Pi Pico with RP2040", None),
        ("", None),
    ],
)
def test_micropython_tells_the_chip(machine, chip):
    assert chip_of(machine) == chip


def test_what_is_there_already_is_brought_again_only_when_it_is_damaged(archive):
    there = RUNS_A | {"other": name_of(archive)}
    gateway = Gateway(there, there | {"running": "b"})
    assert go(gateway, archive).sent == gateway.puts == 0
    damaged = {"ok": True, "result": "the other application is damaged"}
    gateway = Gateway(there, there | {"running": "b"}, switches=[damaged, {"switching_to": "b"}])
    assert go(gateway, archive).sent == len(archive)
    with pytest.raises(DeployError, match="what has just arrived is damaged"):
        go(Gateway(there, switches=[damaged]), archive)


def test_a_gateway_whose_flash_does_not_note_the_switch_is_told(archive):
    gateway = Gateway(RUNS_A | {"other": name_of(archive)}, switches=[{"ok": True, "result": "flash does not take it"}])
    with pytest.raises(DeployError, match="does not switch: flash does not take it -> what ran before runs"):
        go(gateway, archive)
    assert gateway.puts == 0


def test_a_deploy_that_was_stopped_in_the_trial_goes_on_with_it(archive):
    tries = RUNS_A | {"running": "b", "on_trial": True, "crc": name_of(archive)}
    gateway = Gateway(tries, tries, tries | {"on_trial": False})
    done = go(gateway, archive)
    assert (done.slot, done.unchanged, gateway.puts) == ("b", False, 0)
    with pytest.raises(DeployError, match="tries an application at this moment"):
        go(Gateway(tries | {"crc": "another"}), archive)


def test_a_second_deploy_waits_for_the_first(archive):
    busy = {"ok": True, "result": "another one is on its way"}
    done = go(Gateway(RUNS_A, RUNS_A | {"running": "b"}, begins=[busy, busy, {"ok": True, "at": 0}]), archive)
    assert done.sent == len(archive)
    with pytest.raises(DeployError, match="somebody else deploys to this gateway"):
        go(Gateway(RUNS_A, begins=[busy]), archive)


def test_a_gateway_that_is_not_heard_any_more_is_not_said_to_be_on_trial(archive):
    class Gone(Exception):
        pass

    class Silent(Gateway):
        def request(self, op, **about):
            if op == "slots" and self.puts and "of" not in about:
                raise Gone
            return super().request(op, **about)

    with pytest.raises(DeployError, match="nothing was heard of the gateway any more"):
        go(Silent(RUNS_A), archive, lost=Gone)
    waited = []
    with pytest.raises(Gone):  # no port
        deploy(Silent(RUNS_A), archive, WANTED, Quiet(), wait=waited.append, gone=Gone)
    assert 60 < sum(waited) < 70
