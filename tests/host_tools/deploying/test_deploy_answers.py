"""What a gateway answers while a deploy goes on, and what the deploy makes of answers that are none."""

from contextlib import nullcontext

import pytest

from satama.compiler import compile_site
from satama.deploying.deploy import DeployError, deploy
from satama.image import slot
from satama.places import SITES
from satama.progress import Reporter

RUNS_A = {"ok": True, "running": "a", "on_trial": False, "crc": "0", "other": ""}
NO_ROOM = {"ok": False, "error": "not now"}


class Quiet(Reporter):
    def step(self, name, of=0):
        return nullcontext(type("Step", (), {"to": lambda self, done, of=None: None})())


class Gateway:
    """Takes everything; `slots` are its answers to that question, one after the other, the last one for ever."""

    def __init__(self, *slots, members=None):
        self.slots, self.members = list(slots), members or {"ok": True, "rows": []}

    def request(self, op, *, of=None, value=None):
        if op == "status":
            return {"ok": True, "gateway": "cab-01"}
        if op == "slots":
            if of == "members":
                return self.members
            return self.slots.pop(0) if len(self.slots) > 1 else self.slots[0]
        if op == "switch":
            return {"ok": True, "switching_to": "b"}
        if of == "begin":
            return {"ok": True, "at": 0}
        if of == "end":
            return {"ok": True, "ready": True}
        return {"ok": True, "at": of + len(value) * 3 // 4 - value.count("=")}


@pytest.fixture(scope="module")
def archive():
    compiled = compile_site(SITES / "house.toml", write_ids=False)
    return slot(compiled.data, certificates=compiled.certificates)


def test_an_answer_that_says_nothing_is_no_proof_that_the_old_application_is_back(archive):
    gateway = Gateway(RUNS_A, *[NO_ROOM] * 10, RUNS_A | {"running": "b"})
    done = deploy(gateway, archive, "cab-01", Quiet(), wait=lambda seconds: None)
    assert done.slot == "b"


def test_the_old_application_that_is_back_is_told(archive):
    with pytest.raises(DeployError, match="the old one is back"):
        deploy(Gateway(RUNS_A), archive, "cab-01", Quiet(), wait=lambda seconds: None)


@pytest.mark.parametrize("members", [NO_ROOM, {"ok": True, "rows": ["xyz"]}, {"ok": True, "rows": 3}])
def test_a_gateway_that_does_not_tell_what_it_runs_is_no_traceback(archive, members):
    with pytest.raises(DeployError, match="does not tell what it runs"):
        deploy(Gateway(RUNS_A, members=members), archive, "cab-01", Quiet(), wait=lambda seconds: None)
