"""A new application comes onto a gateway that runs; what the cable, the power and bad applications do to that."""

import random
import shutil

import pytest

from satama.compiling.compiler import compile_site
from satama.core.places import FIRMWARE
from satama.core.progress import Reporter
from satama.deploying.deploy import DeployError, deploy
from satama.deploying.identity import Wanted
from satama.packing.image import slot
from satama_sim import Cabinet
from satama_sim.board.wait import SimError


class Quiet(Reporter):
    def step(self, name, of=0):
        from contextlib import nullcontext

        return nullcontext(type("Step", (), {"to": lambda self, done, of=None: None})())


class CableOut(Exception):
    pass


class Cable:
    """The console as a technician's tool has it; pulled out before its request number `cut`."""

    def __init__(self, cabinet, cut=None):
        self.cabinet, self.cut, self.requests = cabinet, cut, 0

    def request(self, op, *, of=None, value=None):
        if self.requests == self.cut:
            raise CableOut
        self.requests += 1
        about = {key: given for key, given in (("of", of), ("value", value)) if given is not None}
        return self.cabinet.request(op, **about)


def site_text(period_s=10):
    from written_sites import device, rtu_site

    return rtu_site([device("meter", "eastron-sdm120", 1, period_s=period_s, more='points = ["voltage"]\n')])


@pytest.fixture
def sites(tmp_path):
    """The site that runs, and a changed one, compiled."""
    old = tmp_path / "old.toml"
    old.write_text(site_text())
    new = tmp_path / "new.toml"
    new.write_text(site_text(5))
    shutil.copy(old, tmp_path / "same.toml")
    compile_site(old)  # its ids
    shutil.copy(tmp_path / "old.ids.toml", tmp_path / "new.ids.toml")
    return old, compile_site(new)


def wanted(compiled, firmware=FIRMWARE):
    return slot(compiled.data, firmware, compiled.certificates)


def of(compiled):
    return Wanted(compiled.body["gateway"], compiled.board.name, compiled.board.chip)


def go(cab, archive, cut=None, lost=(), **options):
    return deploy(Cable(cab, cut), archive, of(cab.compiled), Quiet(), wait=cab.run, lost=lost, **options)


def broken(tmp_path, module, text):
    """A firmware folder of which one module says something else."""
    folder = tmp_path / "broken"
    shutil.copytree(FIRMWARE, folder)
    path = folder / "gateway" / module
    path.write_text(text(path.read_text()))
    return folder


def test_only_what_changed_is_sent_and_the_gateway_goes_on_meanwhile(sites):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("2m")
        archive = wanted(new)
        done = go(cab, archive)
        assert done.slot == "b" and done.sent < 9000 < 140_000 < done.copied
        assert len(cab.board.resets) == 2  # the switch
        said = cab.request("slots")
        assert (said["running"], said["active"], said["on_trial"]) == ("b", "b", False)
        assert cab.request("status")["config"] == new.body["config"]
        cab.run("30s")
        events = [event["event"] for event in cab.broker.events]
        assert "updated" in events and "crashed" not in events
        ledger = cab.ledger()
        assert ledger["balanced"] and ledger["dropped"] == 0 and cab.request("status")["missed_slots"] == 0
        again = go(cab, archive)
        assert again.unchanged and len(cab.board.resets) == 2


def test_the_buses_go_on_while_it_is_brought(sites):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("2m")
        archive = wanted(new)
        before = cab.request("status")
        with pytest.raises(CableOut):
            go(cab, archive, cut=20)
        after = cab.request("status")
        assert after["rounds"] - before["rounds"] >= (after["uptime_s"] - before["uptime_s"]) // 10 - 1
        assert after["missed_slots"] == 0 and len(cab.board.resets) == 1


@pytest.mark.long
def test_the_cable_is_pulled_at_fifty_moments_and_the_same_command_again_goes_on(sites, tmp_path):
    """It goes on where it was cut, to the end and over: then the next one brings something new, so that there is something to send at
    every moment."""
    old, new = sites
    dice = random.Random(7)

    periods = (period_s for period_s in range(20, 3600) if 86_400 % period_s == 0)

    def changed():
        (tmp_path / "new.toml").write_text(site_text(next(periods)))
        return wanted(compile_site(tmp_path / "new.toml"))

    pulled = brought = 0
    with Cabinet(old, seed=3) as cab:
        cab.run("2m")
        cable = Cable(cab)
        deploy(cable, wanted(new), of(new), Quiet(), prove=False)
        whole = cable.requests
        cab.run("90s")
        archive, before = changed(), cab.request("slots")
        epoch = cab.request("status")["epoch"]
        while pulled < 50:
            try:
                go(cab, archive, cut=dice.randrange(whole // 2), prove=False)
            except CableOut:
                pulled += 1
                if dice.random() < 0.2:  # half a line was under way
                    cab.board.send_console(b'\x1e{"id": 5, "op": "put", "of": 144, "value": "AAAA')
                    cab.run(1)
                assert cab.request("slots")["crc"] == before["crc"] and cab.request("status")["epoch"] == epoch
                continue
            cab.run("90s")
            after = cab.request("slots")
            assert after["running"] == after["active"] != before["active"] and not after["on_trial"]
            before, epoch = after, cab.request("status")["epoch"]
            brought += 1
            archive = changed()
        assert brought >= 5
        go(cab, archive)
        assert cab.request("slots")["active"] != before["active"]
        assert cab.ledger()["balanced"] and cab.request("status")["missed_slots"] == 0


def test_the_power_is_cut_at_random_moments_of_a_deploy(sites):
    old, new = sites
    dice = random.Random(11)
    with Cabinet(old, seed=3) as cab:
        cab.run("1m")
        archive = wanted(new)
        for _ in range(8):
            with pytest.raises(CableOut):
                go(cab, archive, cut=dice.randrange(4, 25))
            cab.run(dice.random() / 10)
            cab.cut_power()
            cab.run(3)
            cab.restore_power()
            cab.run(5)
            assert cab.request("slots")["running"] == "a"
        assert go(cab, archive).slot == "b"


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("app.py", lambda text: text.replace("async def run(self):", "async def run(self):\n        raise ValueError(7)\n")),
        ("start.py", lambda text: "import nothing_of_that_name\n"),
        ("service/health.py", lambda text: text.replace("async def guard(self):", "async def guard(self):\n        while True:\n            pass\n")),
    ],
)  # fmt: skip
def test_an_application_that_does_not_live_is_undone(sites, tmp_path, module, text):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("2m")
        cab.board.silence_s = 2.0  # of real time, until one that only computes counts as hanging
        archive = wanted(new, broken(tmp_path, module, text))
        go(cab, archive, prove=False)
        cab.run("12m")
        said = cab.request("slots")
        assert (said["running"], said["active"], said["on_trial"]) == ("a", "a", False)
        status = cab.request("status")
        assert status["mode"] == "full" and status["broker"] == "online" and status["failures"] == 0
        assert "update_undone" in [event["event"] for event in cab.broker.events]
        assert cab.ledger()["balanced"]


def test_an_application_that_reaches_no_broker_is_rejected_and_one_that_never_did_is_not_blamed(sites, tmp_path):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("2m")
        deaf = broken(tmp_path, "uplink/network/supervisor.py", lambda text: text.replace("async def way(self):", "async def way(self):\n        raise LinkDown('x')\n"))  # fmt: skip
        with pytest.raises(DeployError, match="did not prove itself; the old one is back"):
            go(cab, wanted(new, deaf), lost=SimError)
        rejected = [event for event in cab.broker.events if event["event"] == "update_rejected"]
        assert [event["why"] for event in rejected] in ([], ["no broker"])
        cab.run("1m")
        assert [event["why"] for event in cab.broker.events if event["event"] == "update_rejected"] == ["no broker"]
        cab.pull_cable("uplink")
        cab.run("2m")
        assert go(cab, wanted(new)).slot == "b"


def test_a_power_cut_in_the_trial_is_nobodys_fault(sites):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("1m")
        go(cab, wanted(new), prove=False)
        for _ in range(2):
            cab.run("20s")
            cab.cut_power()
            cab.run(3)
            cab.restore_power()
        cab.run("2m")
        said = cab.request("slots")
        assert (said["running"], said["active"], said["on_trial"]) == ("b", "b", False)


def test_what_nvs_does_not_take_is_told_and_does_not_count(sites):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("30s")
        cab.board.nvs.full = True
        with pytest.raises(DeployError, match=r"does not switch: flash does not take the note of it \(NVS\)"):
            go(cab, wanted(new))
        cab.run("1m")
        assert len(cab.board.resets) == 1 and cab.request("status")["missed_slots"] == 0
        cab.board.nvs.full = False
        done = go(cab, wanted(new), prove=False)
        assert (done.slot, done.sent) == ("b", 0)
        cab.run("30s")
        cab.board.nvs.full = True
        cab.run("1m")
        said = cab.request("slots")
        assert (said["running"], said["active"], said["on_trial"]) == ("b", "a", True)
        cab.board.nvs.full = False
        assert go(cab, wanted(new)).sent == 0 and cab.request("slots")["active"] == "b"
        epoch = cab.request("status")["epoch"]
        cab.board.nvs.full = True
        for start in (1, 2):  # of which NVS keeps nothing: it runs all the same, and no two have the same epoch
            cab.cut_power()
            cab.run(1)
            cab.restore_power()
            cab.run(4)
            assert cab.request("status")["epoch"] == epoch + start


def test_a_slot_that_is_damaged_is_left_for_the_other_one(sites):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("1m")
        go(cab, wanted(new))
        archive = wanted(new)
        at = bytes(cab.flash.data).find(archive[5000:5100])  # of b: a has its own offsets, but the same content
        vfs = cab.compiled.board.partitions["vfs"]
        found = []
        while at >= 0:
            found.append(at)
            at = bytes(cab.flash.data).find(archive[5000:5100], at + 1)
        assert found and all(vfs.offset <= at < vfs.offset + vfs.size for at in found)
        cab.cut_power()
        cab.flash.data[found[-1]] ^= 1
        cab.run(3)
        cab.restore_power()
        cab.run("1m")
        said = cab.request("slots")
        events = [event["event"] for event in cab.broker.events]
        if said["running"] == "a":
            assert "slot_damaged" in events and said["active"] == "a"
        else:  # it was the copy in a
            assert "slot_damaged" not in events


def test_a_filesystem_with_too_little_room_is_told_and_the_gateway_goes_on(sites):
    old, new = sites
    archive = wanted(new)
    with Cabinet(old, seed=3, files={"left-behind.bin": bytes(200_000)}) as cab:
        cab.run("1m")
        with pytest.raises(DeployError, match="the board has no room for it"):
            go(cab, archive)
    with Cabinet(old, seed=3, files={"folder/left-behind.bin": bytes(200_000)}) as cab:  # nobody looks there beforehand
        cab.run("1m")
        with pytest.raises(DeployError, match="flash does not take it: full"):
            go(cab, archive)
        cab.run("1m")
        assert len(cab.board.resets) == 1 and cab.request("slots")["other"] == "" and cab.ledger()["balanced"]


def test_what_is_no_fit_request_changes_nothing(sites):
    old, new = sites
    with Cabinet(old, seed=3) as cab:
        cab.run("1m")
        archive = wanted(new)
        assert cab.request("switch")["result"] == "there is no other application"
        assert cab.request("put", of=0, value="AAAA")["result"] == "nothing was begun"
        begin = {"length": len(archive), "sha256": "0" * 64}
        assert cab.request("put", of="begin", value={**begin, "length": 1 << 30})["result"] == "no room"
        for value in ({}, {"length": "9", "sha256": "0" * 64}, {"length": 9, "sha256": "0"}, "x"):
            assert not cab.request("put", of="begin", value=value)["ok"]
        assert cab.request("put", of="begin", value=begin)["at"] == 0
        assert cab.request("put", of=5, value="AAAA")["at"] == 0  # not where it is
        assert cab.request("put", of=0, value=[0, 1 << 20])["result"] == "no such piece"
        assert cab.request("put", of=0, value="AAAA")["at"] == 3
        assert cab.request("put", of="end")["at"] == 3  # not all of it
        assert cab.request("switch")["result"] == "an application is on its way"
        short = {"length": 3, "sha256": "0" * 64}
        assert cab.request("put", of="begin", value=short)["result"] == "another one is on its way"
        cab.run(30)
        assert cab.request("put", of="begin", value=short)["at"] == 0
        cab.request("put", of=0, value="AAAA")
        assert cab.request("put", of="end")["result"] == "damaged on the way"
        assert cab.request("switch")["result"] == "there is no other application"
        assert cab.request("slots")["running"] == "a" and len(cab.board.resets) == 1
        with pytest.raises(DeployError, match="this is the gateway"):
            deploy(Cable(cab), archive, of(new)._replace(gateway="another"), Quiet(), wait=cab.run)


def test_a_request_that_makes_no_sense_is_refused_and_the_gateway_goes_on(sites):
    with Cabinet(sites[0], seed=3) as cab:
        cab.run(30)
        boots = cab.request("status")["boots"]
        sha256 = "0" * 64
        assert not cab.request("put", of="begin", value={"length": -5, "sha256": sha256})["ok"]
        assert cab.request("put", of="begin", value={"length": 4000, "sha256": sha256})["at"] == 0
        for piece in (["a", 1], [0, "b"], [-5, 10], [0, 0], [0, 99999999], [None, None], [0.5, 1]):
            assert cab.request("put", of=0, value=piece)["result"] == "no such piece"
        cab.run(10)
        assert cab.request("status")["boots"] == boots
