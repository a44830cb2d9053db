"""The state ring on a NOR flash: a power cut at any operation, torn halves included, leaves the old value or the new one."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.record import Round
from gateway.core.schema import Schema
from gateway.journal.journal import Journal
from gateway.journal.ledger import Ledger
from gateway.journal.state import BLOCK, LONGEST, MOST, State, record_bytes, share
from satama_sim.board.flash import NorFlash


class PowerCut(BaseException):
    """Nothing in the firmware may catch it."""


class FlashPartition:
    """What esp32.Partition offers, on the simulator's NOR flash, which can only clear bits and erase whole blocks."""

    def __init__(self, blocks):
        self.flash = NorFlash(blocks * BLOCK)
        self.operations = 0
        self.cut_at = -1  # number of the operation that is torn
        self.tear = None  # of a program: (offset, bytes) -> what of it gets onto the flash; of an erase: (first, last) byte erased
        self.broken = set()  # blocks that store nothing
        self.refusing = set()  # blocks whose operations raise

    def ioctl(self, request, arg):
        if request == 4:
            return self.flash.size // BLOCK
        assert request == 6
        self._begin(arg)
        if self.operations == self.cut_at:
            first, last = self.tear(b"")
            self.flash.data[arg * BLOCK + first : arg * BLOCK + last] = b"\xff" * (last - first)
            raise PowerCut
        self.flash.erase(arg * BLOCK)
        return 0

    def readblocks(self, block, buf, offset=0):
        buf[:] = self.flash.read(block * BLOCK + offset, len(buf))

    def writeblocks(self, block, buf, offset):
        assert offset + len(buf) <= BLOCK
        self._begin(block)
        data = bytes(buf)
        if self.operations == self.cut_at:
            first, last = self.tear(data)
            self.flash.program(block * BLOCK + offset + first, data[first:last])
            raise PowerCut
        if block not in self.broken:
            self.flash.program(block * BLOCK + offset, data)

    def _begin(self, block):
        self.operations += 1
        if block in self.refusing:
            raise OSError(-0x105)


def halves(data):
    """Which part of an operation a cut lets happen: none, first half, second half, nearly all, all."""
    size = len(data) or BLOCK
    return [(0, 0), (0, size // 2), (size // 2, size), (0, size - 1), (0, size)]


TEARS = [lambda data, n=n: halves(data)[n] for n in range(5)]


def history(count=160, keys=3, length=120):
    """Changes of several keys, enough to go around a ring of two blocks more than once."""
    return [(n % keys, bytes([n % 251, n // 251, n % keys]) * (length // 3 + n % 7)) for n in range(count)]


@pytest.mark.parametrize("blocks", [2, 3])
@pytest.mark.parametrize("tear", TEARS, ids=["nothing", "first half", "second half", "all but a byte", "all"])
def test_a_cut_at_any_operation_leaves_the_old_value_or_the_new_one(blocks, tear):
    whole = FlashPartition(blocks)
    state = State(whole, 0, blocks)
    for key, value in history():
        assert state.put(key, value)
    assert min(whole.flash.erases[:blocks]) >= 2  # around the ring
    for cut_at in range(1, whole.operations + 1):
        partition = FlashPartition(blocks)
        partition.cut_at, partition.tear = cut_at, tear
        state, known, pending = State(partition, 0, blocks), {}, None
        with pytest.raises(PowerCut):
            for key, value in history():
                pending = key, value
                state.put(key, value)
                known[key] = value
        partition.cut_at = -1
        again = State(partition, 0, blocks)
        for key in range(3):
            allowed = {known.get(key)} | ({pending[1]} if key == pending[0] else set())
            assert again.get(key) in allowed, (cut_at, key)
        for key in range(3):  # life goes on: what is written now is kept, and nothing else is lost by it
            assert again.put(key, b"after the cut %d" % key)
        assert [State(partition, 0, blocks).get(key) for key in range(3)] == [b"after the cut %d" % n for n in range(3)]


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=200), st.integers(0, 4), st.integers(0, 7)), max_size=120),
    st.integers(2, 4),
)
def test_cuts_upon_cuts_lose_nothing_that_was_kept(steps, blocks):
    """The same key may be hit again and again; a value that `put` has promised stays until another is promised."""
    partition = FlashPartition(blocks)
    state, allowed = State(partition, 0, blocks), {}
    for key, value, part, after in steps:
        partition.cut_at, partition.tear = partition.operations + after, TEARS[part]
        try:
            assert state.put(key, value)
            allowed[key] = {value}
        except PowerCut:
            allowed[key] = allowed.get(key, {None}) | {value}
            state = State(partition, 0, blocks)
            for one in sorted(allowed):
                assert state.get(one) in allowed[one]
                allowed[one] = {state.get(one)}
    partition.cut_at = -1
    again = State(partition, 0, blocks)
    assert all(again.get(key) in values for key, values in allowed.items())


def test_the_wear_is_level():
    partition = FlashPartition(16)
    state = State(partition, 0, 16)
    for n in range(20_000):
        state.put(0, n.to_bytes(24, "big"))
    erases = partition.flash.erases
    assert min(erases) > 5 and max(erases) - min(erases) <= 1


def test_the_same_value_again_wears_nothing():
    partition = FlashPartition(2)
    state = State(partition, 0, 2)
    state.put(0, b"same")
    before = partition.operations
    assert state.put(0, b"same") and partition.operations == before


def test_it_keeps_to_its_blocks_beside_a_journal():
    partition = FlashPartition(24)
    first, count = share(24)
    state = State(partition, first, count)
    journal = Journal(partition, Ledger([1]), state, 0, first, (10, 10), {1: 2})
    schema = Schema(2, 10, list(range(40)), [0] * 40)
    for seq in range(1, 1500):
        values = array("q", [seq * n * (-1) ** seq for n in range(40)])
        journal.append(0, Round(schema, 7, seq, True, 800_000_000 + seq, seq * 1000, values, bytearray(40)))
        assert state.put(seq % 4, bytes([seq % 256]) * 100)
    telemetry = partition.flash.erases[: first - 4]  # two blocks each are for the other classes
    assert min(telemetry) >= 2 and min(partition.flash.erases[first:]) >= 2  # both went around
    again = State(partition, first, count)
    assert all(again.get(n) == bytes([max(s for s in range(1, 1500) if s % 4 == n) % 256]) * 100 for n in range(4))
    counts = Ledger([1])
    assert Journal(partition, counts, again, 0, first, (10, 10), {1: 2}).damaged == 0
    assert counts.balanced() and counts.totals()[0] == 1499 * 40


@pytest.mark.parametrize(("blocks", "expected"), [(4, (2, 2)), (16, (14, 2)), (128, (112, 16)), (384, (360, 24))])
def test_the_share_of_the_partition(blocks, expected):
    assert share(blocks) == expected


def test_a_block_that_stores_nothing_is_passed_over():
    partition = FlashPartition(5)
    state = State(partition, 0, 5)
    partition.broken = {1, 3}
    for n in range(300):
        assert state.put(n % 3, b"%d" % n * 30)
    assert state.failures == 0
    again = State(partition, 0, 5)
    assert [again.get(key) for key in range(3)] == [b"297" * 30, b"298" * 30, b"299" * 30]


def test_the_only_copy_is_never_erased_be_there_no_other_block_that_works():
    partition = FlashPartition(2)
    state, kept = State(partition, 0, 2), None
    partition.broken = {1}
    for n in range(300):
        if state.put(0, b"%d" % n * 30):
            kept = b"%d" % n * 30
    assert state.failures > 100 and State(partition, 0, 2).get(0) == kept is not None


def test_a_flash_that_fails_leaves_the_values_in_ram_and_is_tried_again():
    partition = FlashPartition(4)
    state = State(partition, 0, 4)
    assert state.put(0, b"first")
    partition.refusing = {0, 1, 2, 3}
    assert not state.put(0, b"second") and not state.put(1, b"other")
    assert (state.get(0), state.get(1), state.failures) == (b"second", b"other", 2)
    assert state.unsaved
    assert State(partition, 0, 4).get(0) == b"first"
    partition.refusing = set()
    assert state.put(0, b"second")  # the same value as in RAM, but not on flash yet
    assert not state.unsaved
    again = State(partition, 0, 4)
    assert (again.get(0), again.get(1)) == (b"second", b"other")


def test_what_does_not_fit_is_refused_and_changes_nothing():
    state = State(FlashPartition(2), 0, 2)
    assert not state.put(0, bytes(LONGEST + 1)) and state.get(0) is None
    most = MOST // record_bytes(LONGEST)
    for key in range(most):
        assert state.put(key, bytes(LONGEST))
    assert not state.put(200, bytes(LONGEST)) and state.get(200) is None
    assert state.failures == 2
    assert state.put(0, b"")  # shorter is always possible
    assert state.put(200, bytes(LONGEST))


def test_a_rotten_record_is_skipped_counted_and_taken_from_an_older_block():
    partition = FlashPartition(3)
    state = State(partition, 0, 3)
    state.put(7, b"calibration")
    for n in range(100):
        state.put(0, n.to_bytes(4, "big") * 20)
    newest = max(
        range(3),
        key=lambda block: (
            bytes(partition.flash.data[block * BLOCK + 4 : block * BLOCK + 8])
            * (partition.flash.data[block * BLOCK] != 0xFF)
        ),
    )
    at = partition.flash.data.index(b"calibration", newest * BLOCK)
    partition.flash.data[at] ^= 1
    again = State(partition, 0, 3)
    assert again.get(7) == b"calibration" and again.damaged == 1
    assert again.get(0) == (99).to_bytes(4, "big") * 20


def test_whatever_lies_in_the_blocks_is_no_reason_not_to_start():
    partition = FlashPartition(3)
    for at in range(0, 3 * BLOCK, 2):
        partition.flash.data[at] = at * 7 % 256
    state = State(partition, 0, 3)
    assert state.get(0) is None and state.put(0, b"value")
    assert State(partition, 0, 3).get(0) == b"value"
