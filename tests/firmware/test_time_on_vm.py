"""The clock, the answers of time servers and the judgement over them: the same on a real MicroPython VM as here."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing, find_vm

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
PLAYER = """
import json
import sys

from gateway.core.clock import Clock
from gateway.uplink.clock import sntp
from gateway.uplink.clock.judge import judge
from gateway.uplink.clock.votes import Votes

WRAP = 1 << 30
now = [0]


def ticks_ms():
    return now[0] % WRAP


def ticks_diff(end, start):
    return (end - start + WRAP // 2) % WRAP - WRAP // 2


with open(sys.argv[1]) as lines:
    for line in lines:
        configured, floor, polls = json.loads(line)
        clock = Clock(ticks_ms, ticks_diff, floor)
        votes = Votes(configured)
        for wait, said in polls:
            now[0] += wait
            witnesses = []
            for index, answer in enumerate(said):
                what, seconds, ms, uncertainty = sntp.read(bytes.fromhex(answer), floor)
                if what == sntp.ANSWER:
                    witnesses.append((index, seconds * 1000 + ms - clock.uptime_ms(), uncertainty))
                print(what, seconds, ms, uncertainty)
            uptime = clock.uptime_ms()
            near = clock.offset_at(uptime) if clock.synced else None
            believed, refused = judge(votes, witnesses, [], near, uptime)
            print(believed, refused, votes.in_doubt, votes.rests_on, votes.refused)
            if believed:
                at = uptime + believed[0]
                print(clock.set_utc(at // 1000, at % 1000, "ntp", believed[1]))
            print(clock.now_ms(), clock.uncertainty_ms, clock.steps, clock.utc_of(uptime), clock.uptime_s(floor))
"""


def cases(rng):
    for _ in range(60):
        floor = rng.choice([848_000_000, 2**30 - 5, 1_200_000_000])
        said, polls = [floor + 9_000_000] * 4, []
        for _ in range(rng.choice([5, 80])):
            wait = rng.choice([2_000, 60_000, 61_000, 3_600_000, 2**29 - 1])
            said = [now + wait // 1000 + rng.choice([0, 0, 0, 0, 1, -3_600, 10**8]) for now in said]
            answers = []
            for seconds in said[: rng.randint(0, 4)]:
                packet = bytearray(rng.randbytes(48))
                packet[0], packet[1] = rng.choice([0x24, 0x24, 0x24, 0xE4, 0x23]), rng.choice([0, 1, 1, 1, 3, 16])
                packet[4:12] = rng.choice([bytes(8), bytes(3) + b"\x40" + bytes(4), packet[4:12]])
                packet[40:44] = ((seconds + 3_155_673_600) & 0xFFFFFFFF).to_bytes(4, "big")
                answers.append(packet.hex())
            polls.append([wait, answers])
        yield 4, floor, polls


def test_time_is_the_same_on_both_interpreters(request, tmp_path):
    try:
        vm = find_vm(request.config.getoption("--vm", default=None))
    except VmMissing as error:
        missing(str(error))
    player, lines = tmp_path / "player.py", tmp_path / "cases"
    player.write_text(PLAYER)
    lines.write_text("".join(json.dumps(case) + "\n" for case in cases(random.Random(7))))
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "micropython.py").write_text("def const(value):\n    return value\n")

    def results(command, paths):
        environment = {**os.environ, "MICROPYPATH": str(FIRMWARE), "PYTHONPATH": os.pathsep.join(map(str, paths))}
        done = subprocess.run(
            [*command, str(player), str(lines)], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout[-500:] + done.stderr
        return done.stdout.splitlines()

    here = results([sys.executable], [shim, FIRMWARE])
    there = results(vm, [])
    assert len(here) > 1000
    assert here == there
    assert any(line.startswith("(") for line in here)  # some were believed
