"""A gateway in trouble: what hangs or fails is noticed, named and survived; and what the flash takes of a bad supply."""

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from test_listeners import listening

from satama.core.places import FIRMWARE
from satama_sim.vm.modules.ops import POWER_ON, SOFT, WATCHDOG

SITES = Path(__file__).parents[2] / "sim" / "sites"
SECOND = 1_000_000
WATCHDOG_S = 60
ONCE = (
    "__import__('machine').reset_cause() == 1 and __import__('time').ticks_ms() > 30000"  # after power on, after 30 s
)
HANG = "await __import__('asyncio').sleep_ms(10**8)"
RAISE = 'raise ValueError("its password is fish-harbour")'
COUNTERS = Path(__file__).with_name("big-counters-site.toml")
DEMO, HOUSE = SITES / "demo.toml", SITES / "house.toml"

# task: (its limit, site, module, the line before which it goes wrong, the condition)
TASKS = {
    "poller": (60, DEMO, "acquire/poller.py", "        self._finish(slot)\n", ONCE),
    "uplink": (300, DEMO, "uplink/sender.py", "                    await self._turn()\n", ONCE),
    "console": (60, DEMO, "service/console.py", "            data = await reader.read(1)\n            alive()\n", ONCE),
    "totals": (60, DEMO, "app.py", "            self.pulses.keep_rtc()\n\n", ONCE),
    "wiping": (180, HOUSE, "app.py", "            if self.clock.synced:\n                started", ONCE),
    "port": (60, "h1", "acquire/pushed/listener.py", "            self._look()\n            await", ONCE),
}


@pytest.fixture
def broken(tmp_path):
    """A function that copies the firmware with other code in some of its modules: broken({module: [(old, new), ...]})."""

    def make(changes):
        folder = tmp_path / "firmware"
        shutil.copytree(FIRMWARE, folder)
        for module, pairs in changes.items():
            path = folder / "gateway" / module
            text = path.read_text()
            for old, new in pairs:
                assert text.count(old) == 1, f"{module} has changed: {old!r}"
                text = text.replace(old, new)
            path.write_text(text)
        return folder

    return make


def goes_wrong(anchor, condition, how, behind=False):
    """The pair for broken(): `how` happens before what stands at the anchor (or behind it), under a condition."""
    indent = re.match(" *", anchor)[0]
    blow = f"{indent}if {condition}:\n{indent}    {how}\n"
    return (anchor, anchor + blow if behind else blow + anchor)


def crashes(cab):
    return [event for event in cab.broker.events if event.get("event") == "crashed"]


def whys(cab):
    return [why for _, why in cab.board.resets]


def the_site(name, tmp_path):
    if name != "h1":
        return name
    path = tmp_path / "h1.toml"
    path.write_text(listening("h1", "meter", "h1-port"))
    return path


def faulty(task, how, cabinet, broken, tmp_path):
    """A cabinet in which a task goes wrong once, half a minute after power on."""
    _, site, module, anchor, condition = TASKS[task]
    pair = goes_wrong(anchor, condition, how, behind=task == "console")
    return cabinet(the_site(site, tmp_path), seed=4, firmware=broken({module: [pair]}))


def is_well_again(cab, task, epoch):
    """It has restarted once, says why, once, and has lost nothing."""
    assert len(cab.board.resets) == 2
    [event] = crashes(cab)
    assert event["task"] == task and event["of_epoch"] == epoch and event["ep"] > epoch
    assert event["heap_free"] > 0 and event["heap_largest"] > 0
    status = cab.request("status")
    assert status["boots"] == 2 and status["failures"] == 1 and status["mode"] == "full"
    assert status["crash"].startswith(task + ": ")
    assert cab.ledger()["balanced"]
    cab.type("restart")
    cab.run("1m")
    assert len(crashes(cab)) == 1 and cab.request("crash")["task"] == task  # told once, still known
    return event


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_hangs_is_named_before_the_watchdog_bites(cabinet, broken, tmp_path, task):
    cab = faulty(task, HANG, cabinet, broken, tmp_path)
    cab.run("25s")
    epoch = cab.request("status")["epoch"]
    limit_s = TASKS[task][0]
    cab.run("10s")
    if task == "console":
        cab.board.send_console(b"\r")
    cab.run(f"{limit_s + 120}s")
    event = is_well_again(cab, task, epoch)
    at_us = cab.board.resets[1][0]
    assert limit_s * SECOND <= at_us <= (35 + 60 + limit_s + WATCHDOG_S) * SECOND
    assert re.fullmatch(r"RuntimeError(: no progress for \d+ s)?", event["error"])


@pytest.mark.parametrize("task", TASKS)
def test_no_task_dies_alone(cabinet, broken, tmp_path, task):
    cab = faulty(task, RAISE, cabinet, broken, tmp_path)
    cab.run("25s")
    epoch = cab.request("status")["epoch"]
    cab.run("10s")
    if task == "console":
        cab.board.send_console(b"\r")
    cab.run("110s")
    event = is_well_again(cab, task, epoch)
    assert cab.board.resets[1][0] <= 101 * SECOND
    module = TASKS[task][2]
    assert re.fullmatch(rf"gateway/{module}:\d+", event["at"])
    assert "fish-harbour" not in cab.console_text() and "fish-harbour" not in str(cab.broker.events)
    assert event["error"] == ("ValueError" if task == "wiping" else "ValueError: its password is ***")


def test_a_round_that_never_ends_is_noticed_though_its_task_goes_on(cabinet, broken):
    spin = f"while {ONCE}:\n                await asyncio.sleep_ms(100)\n                self._alive()"
    pair = (
        "            self._alive()\n            now =",
        f"            {spin}\n            self._alive()\n            now =",
    )
    cab = cabinet(DEMO, seed=4, firmware=broken({"acquire/poller.py": [pair]}))
    cab.run("5m")
    assert [event["task"] for event in crashes(cab)] == ["rounds"]


def test_what_nobody_could_write_down_is_told_all_the_same(cabinet, broken):
    pair = goes_wrong("                    await self._turn()\n", ONCE, "while True: pass")
    cab = cabinet(DEMO, seed=4, firmware=broken({"uplink/sender.py": [pair]}))
    cab.board.silence_s = 0.5
    cab.cut_power()
    cab.restore_power()
    cab.run("3m")
    assert whys(cab)[-1] == "watchdog"
    [event] = crashes(cab)
    assert (event["task"], event["error"]) == ("?", "watchdog: nothing went on")
    assert 25 <= event["uptime_s"] <= 36
    status = cab.request("status")
    assert (status["reset_cause"], status["boots"]) == ("watchdog", 2)


@pytest.mark.parametrize(("times", "resets"), [(1, 1), (2, 2)])
def test_memory_that_runs_out_once_is_survived_and_twice_is_not(cabinet, broken, times, resets):
    code = f"import machine; machine.short = getattr(machine, 'short', 0) + 1; bytes(1 << 40 if machine.short <= {times} else 1)"
    cab = cabinet(
        DEMO, seed=4, firmware=broken({"acquire/poller.py": [goes_wrong("        self._finish(slot)\n", ONCE, code)]})
    )
    cab.run("3m")
    assert len(cab.board.resets) == resets
    assert [event["error"].split(":")[0] for event in crashes(cab)] == ["MemoryError"] * (resets - 1)
    if resets == 1:
        assert cab.request("status")["shortages"] == 1
    report = cab.report()
    assert report["streams_missing"] == []
    assert cab.ledger()["balanced"] and cab.ledger()["queued"] < 100


def test_a_crash_loop_ends_in_safe_mode_which_samples_stores_answers_and_ends(cabinet, broken):
    fails = goes_wrong(
        "        wlan = self._wlan\n        wlan.active",
        "setattr(self, 'tries', getattr(self, 'tries', 0) + 1) or self.tries > 1",
        "raise OSError(-1, 'radio')",
    )
    cab = cabinet(COUNTERS, seed=4, firmware=broken({"uplink/network/wifi.py": [fails]}))
    cab.pull_cable("network")  # so that it tries again and again
    cab.run("6m")
    assert whys(cab) == ["power on"] + 4 * ["reset by the firmware"]
    status = cab.request("status")
    assert (status["mode"], status["failures"], status["boots"]) == ("safe", 4, 5)
    assert "satama: safe mode" in cab.console_text() and "safe mode" in cab.type("status", wait=4)
    assert "uplink/network/wifi.py" in cab.type("crash", wait=4)
    before = cab.ledger()
    cab.run("7m")  # the uplink has failed meanwhile, which costs nobody anything
    after = cab.ledger()
    assert after["produced"] > before["produced"] and after["balanced"]
    assert len(cab.board.resets) == 5
    cab.run("2m")  # everything was tried again, in vain
    status = cab.request("status")
    assert (status["mode"], status["failures"], len(cab.board.resets)) == ("safe", 5, 7)
    cab.plug_in("network")
    cab.run("65m")
    status = cab.request("status")
    assert (status["mode"], status["broker"]) == ("full", "online")
    assert cab.ledger()["balanced"] and cab.ledger()["queued"] < 100
    told = [event for event in cab.broker.events if event.get("event") == "safe_mode"]
    assert sorted((event["failures"], event["lasts_s"]) for event in told) == [(4, 600), (5, 3600)]


def test_a_gateway_that_has_recovered_leaves_safe_mode_for_good(cabinet, demo_site):
    cab = cabinet(demo_site, seed=4)
    for _ in range(4):  # whatever the chip says that it was
        cab.run("30s")
        cab.board.reset(WATCHDOG, "a cosmic ray")
    cab.run("60s")
    assert cab.request("status")["mode"] == "safe"
    assert not cab.radio.active[0]
    cab.run("10m")
    status = cab.request("status")
    assert (status["mode"], status["failures"]) == ("full", 4)
    cab.run("10m")
    cab.board.reset(WATCHDOG, "a cosmic ray")
    cab.run("1m")
    status = cab.request("status")
    assert (status["mode"], status["failures"], status["reset_cause"]) == ("full", 0, "watchdog")
    events = [event["event"] for event in cab.broker.events if event.get("event") in ("crashed", "safe_mode")]
    assert events.count("safe_mode") == 1 and events.count("crashed") == 5
    assert cab.ledger()["balanced"] and cab.ledger()["queued"] < 100


@pytest.mark.parametrize("way_out", ["restart", "patience"])
def test_power_that_fails_again_and_again_counts_too(cabinet, demo_site, way_out):
    cab = cabinet(demo_site, seed=4)
    for _ in range(4):
        cab.run("40s")
        cab.cut_power()
        cab.run("1s")
        cab.restore_power()
    cab.run("30s")
    assert cab.request("status")["mode"] == "safe"
    assert crashes(cab) == []  # a power cut is no crash
    if way_out == "restart":
        assert "restarting" in cab.type("restart")
        cab.run("1m")
    else:
        cab.run("11m")
    assert cab.request("status")["mode"] == "full"
    assert cab.request("status")["broker"] == "online"


def test_an_uplink_that_keeps_failing_delivers_in_the_end(cabinet, broken):
    turn = "                    self.turns = getattr(self, 'turns', 0) + 1\n"
    anchor = "                    await self._turn()\n"
    fails = goes_wrong(anchor, "self.turns % 30 == 0", "raise ValueError('something that the broker sent')")
    cab = cabinet(COUNTERS, seed=4, firmware=broken({"uplink/sender.py": [(anchor, turn + fails[1])]}))
    cab.run("2h")
    assert cab.request("status")["mode"] == "safe" and cab.ledger()["dropped"] == 0
    assert 7 <= len(cab.board.resets) <= 9
    times = [sample.time for sample in cab.broker.stream("meter/energy").samples]
    assert max(times) >= cab.start_unix_s + cab.now_s - 900
    steps = [after - before for before, after in pairwise(sorted(times))]
    assert max(steps) <= 20  # what a restart costs


@pytest.mark.parametrize("rtc_lives", [True, False])
def test_ten_brown_outs_leave_flash_alone(cabinet, demo_site, rtc_lives):
    cab = cabinet(demo_site, seed=4)
    touched = []
    commit = cab.board.nvs.commit
    cab.flash.before = lambda kind, address, data: touched.append((cab.now_s, kind))
    cab.board.nvs.commit = lambda: (touched.append((cab.now_s, "commit")), commit())
    for _ in range(10):
        cab.run(0.5)
        if rtc_lives:
            cab.board.reset(POWER_ON, "brown-out")
        else:
            cab.cut_power()
            cab.restore_power()
    assert touched == [] and not cab.radio.active[0]
    cab.run("1.9s")
    assert touched == []
    cab.run("70s")
    assert touched[0][0] >= 7 and cab.radio.active[0]
    status = cab.request("status")
    assert (status["mode"], status["broker"]) == ("full", "online")
    assert cab.ledger()["balanced"]


def test_the_radio_waits_longer_the_more_often_the_start_has_failed(cabinet, demo_site):
    cab = cabinet(demo_site, seed=4)
    waits = []
    for _ in range(4):
        start = cab.now_s
        cab.run_until(lambda: cab.radio.active[0], within="1m", step=0.1)
        waits.append(cab.now_s - start)
        cab.cut_power()  # the transmission was too much for the supply
        cab.restore_power()
    assert waits == sorted(waits) and waits[0] < 4 and 20 < waits[3] < 25


def test_a_site_file_that_cannot_be_used_is_no_failure_of_the_gateway(cabinet, demo_site):
    cab = cabinet(demo_site, seed=4)
    at = cab.flash.data.find(b"satama-site 2 ")
    cab.flash.data[at + 100] ^= 0x01
    for _ in range(6):
        cab.board.reset(SOFT, "somebody")
        cab.run("5s")
    cab.flash.data[at + 100] ^= 0x01
    cab.board.reset(SOFT, "somebody")
    cab.run("30s")
    assert cab.request("status")["mode"] == "full"
