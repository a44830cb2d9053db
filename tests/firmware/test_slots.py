"""Which application runs: whatever happens in whatever order, what runs is whole, and an update that does not prove itself is undone."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satama.packing import slot_archive

FIRMWARE = str(Path(__file__).parents[2] / "firmware")
GOOD = {"a": slot_archive.pack({"site.bin": b"old"}), "b": slot_archive.pack({"site.bin": b"new"})}


class Nvs:
    """As much of esp32.NVS as is asked for."""

    blobs: dict = {}

    def __init__(self, namespace):
        assert namespace == "satama"

    def get_blob(self, key, buffer):
        if key not in self.blobs:
            raise OSError(-0x1102)
        buffer[: len(self.blobs[key])] = self.blobs[key]

    def set_blob(self, key, value):
        self.blobs[key] = bytes(value)

    def commit(self):
        pass


@pytest.fixture
def slots(tmp_path, monkeypatch):
    """The module, with slots in a folder and NVS in a dict."""
    monkeypatch.syspath_prepend(FIRMWARE)
    chip = ModuleType("esp32")
    chip.NVS = Nvs
    monkeypatch.setitem(sys.modules, "esp32", chip)
    monkeypatch.delitem(sys.modules, "slots", raising=False)
    import slots

    monkeypatch.setattr(slots, "path_of", lambda slot: str(tmp_path / f"slot_{slot}.bin"))
    monkeypatch.setattr(Nvs, "blobs", {})
    slots.folder = tmp_path
    yield slots
    sys.modules.pop("slots", None)


def fill(slots, **content):
    for slot in "ab":
        path = slots.folder / f"slot_{slot}.bin"
        path.unlink(missing_ok=True)
        if content.get(slot) is not None:
            path.write_bytes(content[slot])


def start(slots):
    made = slots.Slots()
    archive = made.choose()
    assert (archive is None) == (made.running is None)
    return made


def test_a_new_device_runs_a(slots):
    fill(slots, a=GOOD["a"])
    now = start(slots)
    assert (now.running, now.active, now.idle, now.on_trial, now.news()) == ("a", "a", "b", False, None)


def test_a_trial_that_is_confirmed_stays(slots):
    fill(slots, **GOOD)
    start(slots).begin_trial(3)
    now = start(slots)
    assert (now.running, now.active, now.idle, now.on_trial, now.before) == ("b", "a", "a", True, 3)
    now.confirm()
    assert not now.on_trial
    now = start(slots)
    assert (now.running, now.active, now.on_trial, now.news()) == ("b", "b", False, None)


def test_a_trial_that_proves_nothing_ends_after_three_starts_and_is_told_once(slots):
    fill(slots, **GOOD)
    start(slots).begin_trial(0)
    for _ in range(slots.TRIES):
        assert start(slots).running == "b"
    now = start(slots)
    assert (now.running, now.on_trial, now.undone, now.news(), now.news()) == ("a", False, True, "update_undone", None)
    assert start(slots).news() is None


def test_one_that_is_rejected_is_gone_at_once(slots):
    fill(slots, **GOOD)
    start(slots).begin_trial(0)
    start(slots).reject()
    now = start(slots)
    assert (now.running, now.news()) == ("a", "update_undone")


def test_a_damaged_candidate_is_never_tried(slots):
    fill(slots, a=GOOD["a"], b=GOOD["b"][:-1])
    start(slots).begin_trial(0)
    now = start(slots)
    assert (now.running, now.on_trial, now.news()) == ("a", False, "update_undone")


def test_a_slot_that_is_gone_or_damaged_is_left_for_the_other_one(slots):
    for lost in (None, GOOD["a"][:-1], b"", bytes(2000)):
        Nvs.blobs.clear()
        fill(slots, a=lost, b=GOOD["b"])
        now = start(slots)
        told = None if lost is None else "slot_damaged"  # a board that was flashed anew has one slot
        assert (now.running, now.active, now.news()) == ("b", "b", told)
    fill(slots, a=b"x", b=b"y")
    assert start(slots).archive is None


def test_a_blob_that_makes_no_sense_is_that_of_a_new_device(slots):
    fill(slots, **GOOD)
    for blob in (b"", b"b", b"?", b"zzzz"):
        Nvs.blobs["slot"] = blob
        assert start(slots).running == ("b" if blob == b"b" else "a")


def test_a_slot_that_flash_cannot_read_is_left_for_the_other_one(slots, monkeypatch):
    fill(slots, **GOOD)
    read_at = slots.Archive.read_at

    def damaged(archive, offset, buffer):
        if archive.path.endswith("slot_a.bin"):
            raise OSError(5)
        return read_at(archive, offset, buffer)

    monkeypatch.setattr(slots.Archive, "read_at", damaged)
    now = start(slots)
    assert (now.running, now.news()) == ("b", "slot_damaged")


def test_a_start_that_cannot_be_counted_is_no_try(slots, monkeypatch):
    fill(slots, **GOOD)
    start(slots).begin_trial(0)

    def full(nvs, key, value):
        raise OSError(-0x1105)

    with monkeypatch.context() as patch:
        patch.setattr(Nvs, "set_blob", full)
        now = start(slots)
        assert (now.running, now.on_trial, now.undone) == ("a", False, True)
    assert start(slots).running == "b"  # NVS has kept all three tries


ACTIONS = st.lists(
    st.sampled_from(["start", "start", "begin", "confirm", "reject", "news", "lose_a", "lose_b", "flash"]), max_size=40
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(actions=ACTIONS)
def test_whatever_happens_what_runs_is_whole_and_no_trial_lasts(slots, actions):
    Nvs.blobs.clear()
    fill(slots, **GOOD)
    now = start(slots)
    trials = 0
    for action in actions:
        if action == "start":
            was = now
            now = start(slots)
            trials = trials + 1 if now.on_trial else 0
            assert trials <= slots.TRIES
            if now.archive is None:
                assert not any(len(list(slots.folder.glob(f"slot_{slot}.bin"))) for slot in "ab")
                fill(slots, **GOOD)
                now = start(slots)
            if was.active == was.running and not was.on_trial and now.running != was.running:
                assert now.on_trial or not (slots.folder / f"slot_{was.running}.bin").exists()
        elif action == "begin" and not now.on_trial:
            now.begin_trial(1)
            trials = 0
        elif action == "confirm" and now.on_trial:
            now.confirm()
            assert start(slots).running == now.running or not (slots.folder / f"slot_{now.running}.bin").exists()
            now = start(slots)
        elif action == "reject" and now.on_trial:
            now.reject()
        elif action == "news":
            now.news()
        elif action.startswith("lose_"):
            (slots.folder / f"slot_{action[-1]}.bin").unlink(missing_ok=True)
        elif action == "flash":
            fill(slots, a=GOOD["a"])
