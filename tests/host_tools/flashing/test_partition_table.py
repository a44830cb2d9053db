import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satama.boards.board import list_boards, load_board
from satama.flashing import partition_table, table_sector
from satama.flashing.partition_table import Entry, TableFault, entries, pack, parse
from satama.flashing.table_sector import finished, parked, read_sector
from satama_sim.chip.partitions import TABLE_SIZE, read_table

NOTE = {"site": "lab", "gateway": "box-1"}
ROWS = entries(load_board("esp32-devkit"))

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)
numbers = st.integers(0, 0xFFFFFFFF)
some_rows = st.lists(
    st.builds(Entry, st.integers(0, 254), st.integers(0, 254), numbers, numbers, names, numbers), max_size=20
)


def test_a_table_byte_for_byte():
    table = pack([Entry(1, 0x02, 0x9000, 0x6000, "nvs"), Entry(0, 0, 0x10000, 0x1F0000, "factory", 1)])
    nvs = bytes.fromhex("aa50 0102 00900000 00600000") + b"nvs".ljust(16, b"\0") + bytes(4)
    factory = bytes.fromhex("aa50 0000 00000100 00001f00") + b"factory".ljust(16, b"\0") + b"\1\0\0\0"
    md5 = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(nvs + factory).digest()
    assert table == (nvs + factory + md5).ljust(0xC00, b"\xff")


@pytest.mark.parametrize("name", list_boards())
def test_the_boot_loader_accepts_the_table_of_every_board(name):
    board = load_board(name)
    found = read_table(finished(entries(board), NOTE)[:TABLE_SIZE], board.flash_bytes)
    assert {part.name: (part.type, part.subtype, part.offset, part.size) for part in found} == {
        label: (part.type, part.subtype, part.offset, part.size) for label, part in board.partitions.items()
    }


@given(some_rows)
def test_what_was_packed_is_parsed(rows):
    assert parse(pack(rows)) == rows


@given(some_rows, st.data())
def test_one_wrong_bit_is_found(rows, data):
    table = bytearray(pack(rows))
    bit = data.draw(st.integers(0, 8 * 32 * (len(rows) + 1) - 1))
    table[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TableFault):
        if parse(bytes(table)) != rows:
            raise TableFault


def test_an_erased_table_has_no_partitions():
    assert parse(b"\xff" * 0xC00) == []


def test_a_table_without_an_end():
    with pytest.raises(TableFault, match="has no end"):
        parse(pack(ROWS)[:64])


def test_a_board_that_is_complete():
    found = read_sector(finished(ROWS, NOTE))
    assert (found.rows, found.note, found.unfinished) == (ROWS, NOTE, False)


def test_a_board_that_is_being_written_starts_nothing_and_knows_its_partitions():
    sector = parked(ROWS, NOTE)
    assert len(sector) == 4096
    assert sector[:0xC00] == b"\xff" * 0xC00
    found = read_sector(sector)
    assert (found.rows, found.note, found.unfinished) == (ROWS, NOTE, True)


@pytest.mark.parametrize("sector", [b"\xff" * 4096, bytes(4096), b"\xaa\x50" * 2048])
def test_a_sector_of_something_else(sector):
    found = read_sector(sector)
    assert (found.rows, found.note) == (None, {})


def test_the_table_of_others_has_no_note():
    found = read_sector(pack(ROWS).ljust(4096, b"\xff"))
    assert (found.rows, found.note, found.unfinished) == (ROWS, {}, False)


@given(st.integers(0, 4095), st.integers(0, 255))
def test_a_damaged_sector_is_read_without_a_fault(at, value):
    for sector in (finished(ROWS, NOTE), parked(ROWS, NOTE)):
        broken = bytearray(sector)
        broken[at] = value
        found = read_sector(bytes(broken))
        assert found.rows in (ROWS, None) or at < 0xC00
        assert found.note in (NOTE, {})


def test_names_that_are_too_long_leave_no_broken_note():
    long = {"site": "s" * 300, "gateway": "g" * 300}
    found = read_sector(finished(ROWS, long))
    assert (found.rows, found.note) == (ROWS, {})
    assert len(parked(ROWS, long)) == table_sector.SECTOR_BYTES


def test_the_table_lies_where_stock_boot_loaders_look():
    assert (partition_table.TABLE_AT, partition_table.TABLE_BYTES) == (0x8000, 0xC00)
