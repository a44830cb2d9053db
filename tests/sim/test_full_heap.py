"""A VM whose heap is full: the firmware gets its MemoryError, and where it cannot, the run ends with a sentence. Nothing hangs."""

import shutil
from pathlib import Path

import pytest

from satama.core.places import FIRMWARE
from satama_sim import Cabinet, SimError

SITE = Path(__file__).parents[2] / "sim/sites/sdm630.toml"
FILL = """
import gc, machine
hoard, at = [None] * 4000, 0
def fill():
    at = 0
    for size in (4096, 256, 64, 16, 1):
        try:
            while at < len(hoard):
                hoard[at] = bytearray(size)
                at += 1
        except MemoryError:
            pass
rtc = machine.RTC()
rtc.memory(bytes(range(200)))
"""
SMALL_ANSWERS = """
refused = _ = round = 0
for round in range(50):
    fill()
    for _ in range(9):
        try:
            rtc.memory()
        except MemoryError:
            refused += 1
    for at in range(len(hoard)):  # in place: a call would need memory
        hoard[at] = None
    gc.collect()
    if rtc.memory() != bytes(range(200)):
        print("out of step")
print("refused", refused, "in step")
"""
LARGE_ANSWER = """
rtc.memory(bytes(2048))
fill()
while True:
    try:
        rtc.memory()
        print("read it")
    except MemoryError:
        pass
"""


def cabinet(folder: Path, program: str, heap_bytes: int) -> Cabinet:
    shutil.copytree(FIRMWARE, folder, dirs_exist_ok=True)
    (folder / "boot.py").write_text("")
    (folder / "main.py").write_text(FILL + program)
    return Cabinet(SITE, seed=7, firmware=folder, heap_bytes=heap_bytes)


def test_what_does_not_fit_is_the_firmwares_memory_error_and_both_ends_stay_in_step(tmp_path):
    with cabinet(tmp_path, SMALL_ANSWERS, 200 << 10) as cab:
        cab.run("2m")
        printed = cab.console_output.decode()
    assert "in step" in printed and "out of step" not in printed, printed
    assert int(printed.split("refused ")[1].split()[0]) > 100


def test_an_answer_that_nobody_can_take_ends_the_run_with_a_sentence(tmp_path):
    with cabinet(tmp_path, LARGE_ANSWER, 200 << 10) as cab, pytest.raises(SimError, match="heap of 200 KiB is full"):
        cab.run("2m")


@pytest.mark.parametrize("heap_kb", [40, 120, 200])
def test_the_gateway_in_a_heap_that_is_too_small_ends_with_a_sentence(heap_kb):
    with pytest.raises(SimError) as refused, Cabinet(SITE, seed=7, heap_bytes=heap_kb << 10) as cab:
        cab.run("1m")
        cab.request("status")
    words = ("heap", "MemoryError", "ended", "satama: restarting")  # there may be no memory to say more
    assert any(word in str(refused.value) for word in words)
