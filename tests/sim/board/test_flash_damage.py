"""What a power cut and a tired cell leave on NOR flash."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satama_sim.board.flash import BLOCK, MODES, NorFlash, damaged

CONTENT = st.binary(min_size=1, max_size=300)
TORN = [("torn25", 25), ("torn50", 50), ("torn90", 90)]


def merged(old, data):
    return bytes(a & b for a, b in zip(old, data, strict=True))


@pytest.mark.parametrize(("mode", "percent"), TORN)
@given(content=CONTENT, seed=st.integers(0, 1000))
def test_a_torn_program_has_its_first_bytes_and_some_bits_of_the_next(mode, percent, content, seed):
    dice = random.Random(seed)
    old = dice.randbytes(len(content))
    left = damaged("program", old, content, mode, dice)
    done = len(content) * percent // 100
    assert len(left) == len(old)
    assert left[:done] == merged(old, content)[:done]
    assert left[done + 1 :] == old[done + 1 :]
    assert left[done] & ~old[done] == 0  # a program sets no bit
    assert merged(old, content)[done] & ~left[done] == 0  # and clears none that it should not


@pytest.mark.parametrize(("mode", "percent"), TORN)
@given(seed=st.integers(0, 1000))
def test_a_torn_erase_has_lifted_bits_and_cleared_none(mode, percent, seed):
    dice = random.Random(seed)
    old = dice.randbytes(BLOCK)
    left = damaged("erase", old, b"", mode, dice)
    done = BLOCK * percent // 100
    assert left[:done] == b"\xff" * done
    assert all(before & ~after & 0xFF == 0 for before, after in zip(old, left, strict=True))


@given(content=CONTENT, seed=st.integers(0, 1000), kind=st.sampled_from(["program", "erase"]))
def test_a_weak_bit_is_one_bit_and_absent_is_nothing(content, seed, kind):
    old = random.Random(seed).randbytes(len(content))
    done = b"\xff" * len(old) if kind == "erase" else merged(old, content)
    weak = damaged(kind, old, content, "weak", random.Random(seed))
    assert sum((a ^ b).bit_count() for a, b in zip(done, weak, strict=True)) == 1
    assert damaged(kind, old, content, "absent", random.Random(seed)) == old


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["program", "erase"])
def test_the_same_dice_give_the_same_damage(mode, kind):
    old, data = b"\xf0" * 64, b"\x3c" * 64
    assert damaged(kind, old, data, mode, random.Random(5)) == damaged(kind, old, data, mode, random.Random(5))


def test_an_unknown_mode_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="torn25"):
        damaged("program", b"\xff", b"\0", "scorched", random.Random(1))


def test_a_shared_chip_is_the_same_chip_and_a_parted_one_is_not():
    flash = NorFlash(4 * BLOCK)
    flash.program(BLOCK, b"quay")
    assert flash.share() == flash.share()
    other = NorFlash(4 * BLOCK)
    other.data, other._file = flash.data, flash._file  # what a fork has
    other.part()
    other.program(2 * BLOCK, b"pier")
    flash.erase(BLOCK)
    assert flash.read(2 * BLOCK, 4) == b"\xff" * 4 and flash.read(BLOCK, 4) == b"\xff" * 4
    assert other.read(2 * BLOCK, 4) == b"pier" and other.read(BLOCK, 4) == b"quay"
    flash.program(0, b"sea")
    flash.close()
    assert flash.read(0, 3) == b"sea"
