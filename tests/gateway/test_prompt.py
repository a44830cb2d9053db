"""Ctrl-C on a gateway: in the first seconds, in safe mode and when asked for; else the gateway runs on."""

import json
import random

import pytest

from satama_sim.vm.modules.ops import WATCHDOG

RAW = b"\r\x03\r\x01"  # what mpremote sends to get in
GREETING = 'Type "help()" for more information.'
HINT = "the gateway runs on; for the prompt ask for: repl"


def shown(cab, keys, wait="2s"):
    start = len(cab.console_output)
    cab.board.send_console(keys)
    cab.run(wait)
    return bytes(cab.console_output[start:]).decode()


def test_in_the_first_seconds_ctrl_c_leads_to_the_prompt(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run_until(lambda: "epoch" in cab.console_text(), "10s", step=0.1)
    assert cab.board.interruptible
    text = shown(cab, RAW)
    assert "stopped by Ctrl-C" in text and "machine.reset()" in text and "raw REPL; CTRL-B to exit" in text


def test_later_it_is_a_character_like_any_other(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("1m")
    assert not cab.board.interruptible
    before = cab.ledger()["produced"]
    text = shown(cab, RAW, "10s")
    assert HINT in text and GREETING not in text and "no such request" not in text
    status = cab.request("status")
    assert status["missed_slots"] == 0 and status["crash"] == ""
    assert cab.ledger()["produced"] > before and len(cab.board.resets) == 1
    assert "broker online" in cab.type("status"), "nothing of the attempt is left on the line"


def test_who_asks_for_the_prompt_gets_it_and_nothing_measured_so_far_is_lost(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("1m")
    answer = cab.request("repl")
    assert (answer["in"], answer["out"]) == ("Ctrl-C", "machine.reset()")
    produced = cab.ledger()["produced"]
    assert "stopped by Ctrl-C" in shown(cab, b"\x03")
    text = shown(cab, b"import machine\rmachine.reset()\r", "30s")
    assert "epoch" in text
    ledger = cab.ledger()
    assert ledger["balanced"] and ledger["produced"] >= produced
    status = cab.request("status")
    assert (status["mode"], status["failures"], status["crash"], status["reset_cause"]) == ("full", 0, "", "hard")
    started = [event for event in cab.broker.events if event["event"] == "started"]
    assert started[-1]["lost_max"] > 0, "what was only in RAM at Ctrl-C is gone, and it says so"
    assert "crashed" not in [event["event"] for event in cab.broker.events]


def test_a_prompt_that_nobody_takes_is_no_longer_offered(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("1m")
    assert "within 60 s" in cab.type("repl") and cab.board.interruptible
    cab.run("70s")
    assert not cab.board.interruptible
    assert HINT in shown(cab, RAW)
    cab.run("1m")
    assert cab.ledger()["balanced"] and cab.request("status")["missed_slots"] == 0


def test_a_prompt_that_was_forgotten_ends_by_itself(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("1m")
    lasts_s = cab.request("repl")["by_itself_s"]
    shown(cab, b"\x03")
    cab.run(lasts_s - 60)
    assert len(cab.board.resets) == 1, "somebody works at the prompt"
    cab.run("2m")
    assert [why for _, why in cab.board.resets] == ["power on", "watchdog"] and cab.board.cause == WATCHDOG
    status = cab.request("status")
    assert (status["broker"], status["mode"], status["failures"], status["crash"]) == ("online", "full", 0, "")


def test_in_safe_mode_the_way_to_the_prompt_stays_open(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    for _ in range(5):
        cab.run_until(lambda: cab.board.powered and "epoch" in cab.console_text(), "20s")
        cab.run("10s")
        cab.board.reset(WATCHDOG, "a cosmic ray")
    cab.run("2m")
    assert cab.request("status")["mode"] == "safe" and cab.board.interruptible
    assert GREETING in shown(cab, b"\x03")


def test_a_tool_that_looks_for_the_prompt_does_not_disturb_another_one(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("1m")
    start = len(cab.console_output)
    cab.board.send_console(b'\x1e{"id": 5, "op": "led\x03\r\x01\x1e{"id": 6, "op": "status"}\n')
    cab.run("3s")
    answers = bytes(cab.console_output[start:]).split(b"\x1e")[1:]
    assert [json.loads(answer.partition(b"\n")[0])["id"] for answer in answers] == [6]


@pytest.mark.parametrize("seed", range(5))
def test_whenever_it_is_typed_the_prompt_works_and_the_gateway_comes_back(cabinet, demo_site, seed):
    dice = random.Random(seed)
    cab = cabinet(demo_site, seed=seed + 1)
    cab.run(dice.uniform(0.6, 2.9))
    for _ in range(dice.randint(1, 3)):
        shown(cab, b"\x03", dice.uniform(0.001, 0.05))
    assert "\n42\n" in shown(cab, b"\r6 * 7\r")
    shown(cab, b"import machine\rmachine.reset()\r", "1m")
    status = cab.request("status")
    assert (status["broker"], status["failures"], status["crash"]) == ("online", 0, "")
    assert cab.ledger()["balanced"]
