import pytest
from flash_bench import board_of, compiled_site, stock
from littlefs import LittleFS

from satama.boards.board import load_board
from satama.flashing.errors import FlashError
from satama.flashing.plan import check_chip, make_plan, to_erase
from satama.flashing.stock import read_stock
from satama.flashing.table_sector import Found, finished, parked, read_sector
from satama.packing import image


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return compiled_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def plan(compiled):
    return make_plan(board_of(compiled), compiled, read_stock(stock(), "file.bin"))


def _refused(kind, *arguments, call=make_plan):
    with pytest.raises(FlashError) as caught:
        call(*arguments)
    assert caught.value.kind == kind and " -> " in str(caught.value)
    return str(caught.value)


def _with_partition(board, name, **changes):
    part = board.partitions[name].model_copy(update=changes)
    return board.model_copy(update={"partitions": board.partitions | {name: part}})


def test_everything_has_its_place(compiled, plan):
    found = read_stock(stock(), "file.bin")
    places = {region.name: (region.at, len(region.data)) for region in plan.regions}
    assert places == {
        "boot loader": (0x1000, len(found.bootloader)),
        "application": (0x10000, len(found.application)),
        "filesystem": (plan.board.partitions["vfs"].offset, plan.board.partitions["vfs"].size),
    }
    assert (plan.table.at, len(plan.table.data)) == (0x8000, 4096)
    files = image.device_files(compiled.data, certificates=compiled.certificates)
    lfs = LittleFS(block_size=4096, block_count=places["filesystem"][1] // 4096, mount=False)
    lfs.context.buffer = bytearray(plan.regions[2].data)
    lfs.mount()
    for path, content in files.items():
        with lfs.open(path, "rb") as file:
            assert file.read() == content


def test_two_plans_of_the_same_are_equal(compiled, plan):
    again = make_plan(board_of(compiled), compiled, read_stock(stock(), "file.bin"))
    assert [region.sha256 for region in again.regions] == [region.sha256 for region in plan.regions]


def test_a_larger_flash_is_told_to_the_boot_loader(tmp_path):
    compiled = compiled_site(tmp_path, "esp32-s3-devkit")
    plan = make_plan(board_of(compiled), compiled, read_stock(stock("esp32s3", flash_size=4 << 20), "file.bin"))
    assert plan.regions[0].data[3] >> 4 == 3  # 8 MiB: its journal ends there


def test_what_does_not_fit_together(compiled):
    words = _refused("other_board", load_board("esp32-c3-devkit"), compiled, read_stock(stock("esp32c3"), "f"))
    assert "for the board esp32-devkit, not for esp32-c3-devkit" in words
    words = _refused("other_chip", board_of(compiled), compiled, read_stock(stock("esp32s3"), "f"))
    assert "firmware is for the ESP32-S3, but the board esp32-devkit has an ESP32" in words


def test_what_does_not_fit_in(compiled):
    found = read_stock(stock(), "f")
    small = _with_partition(board_of(compiled), "factory", size=0x30000)
    over = len(found.application) - 0x30000
    assert f"{over} bytes too large" in _refused("too_large", small, compiled, found)
    tight = _with_partition(board_of(compiled), "vfs", size=0x8000)
    assert "do not fit the 8 blocks" in _refused("too_large", tight, compiled, found)
    moved = _with_partition(board_of(compiled), "factory", offset=0x20000)
    assert "at 0x10000" in _refused("board_file", moved, compiled, found)


def test_the_chip_must_be_what_the_board_file_says(plan):
    check_chip(plan, "esp32", 300, 4 << 20)
    check_chip(plan, "esp32", 300, 16 << 20)
    words = _refused("wrong_chip", plan, "esp32s3", 0, 8 << 20, call=check_chip)
    assert "an ESP32-S3 is connected" in words and "esp32-s3-devkit" in words
    words = _refused("wrong_chip", plan, "esp32c6", 0, 4 << 20, call=check_chip)
    assert "does not run on that chip" in words
    assert "2 MiB, but the board esp32-devkit 4 MiB" in _refused(
        "small_flash", plan, "esp32", 300, 2 << 20, call=check_chip
    )
    assert "does not say how large" in _refused("no_flash", plan, "esp32", 300, None, call=check_chip)


def test_the_revision_that_the_firmware_asks_for(tmp_path):
    compiled = compiled_site(tmp_path, "esp32-c3-devkit")
    plan = make_plan(board_of(compiled), compiled, read_stock(stock("esp32c3", min_revision=4), "f"))
    check_chip(plan, "esp32c3", 4, 4 << 20)
    assert "revision v0.3, but MicroPython v1.26.1 asks for v0.4 or newer" in _refused(
        "wrong_revision", plan, "esp32c3", 3, 4 << 20, call=check_chip
    )
    assert "or older" in _refused("wrong_revision", plan, "esp32c3", 9900, 4 << 20, call=check_chip)


def _moved(rows):
    return [row._replace(offset=0x300000) if row.name == "journal" else row for row in rows]


def test_what_is_erased_on_which_board(plan):
    ours = read_sector(plan.table.data)
    blank = Found(None)
    stock_table = Found([row for row in plan.rows if row.name != "journal"])
    assert to_erase(plan, blank, False, False) == ["nvs", "journal"]
    assert to_erase(plan, stock_table, False, False) == ["nvs", "journal"]
    assert to_erase(plan, ours, False, False) == []
    assert to_erase(plan, ours, False, True) == ["journal"]
    assert to_erase(plan, blank, True, False) == []  # the table was lost, the journal is there
    assert to_erase(plan, blank, True, True) == ["journal"]


def test_a_flash_that_was_cut_off_goes_on_where_it_was(plan):
    for erase in ([], ["journal"], ["nvs", "journal"]):
        found = read_sector(plan.without_table(erase))
        assert found.unfinished
        assert to_erase(plan, found, False, False) == erase


def test_samples_are_not_lost_unasked(plan):
    elsewhere = read_sector(finished(_moved(plan.rows), plan.note))
    assert "--erase-journal" in _refused("journal_elsewhere", plan, elsewhere, False, False, call=to_erase)
    assert to_erase(plan, elsewhere, False, True) == ["journal"]


def test_samples_are_not_told_under_another_name(plan):
    for sector in (finished, parked):
        other = read_sector(sector(plan.rows, {"site": "lab", "gateway": "box-2"}))
        words = _refused("other_gateway", plan, other, False, False, call=to_erase)
        assert "the board was lab/box-2" in words and "lab/box-1" in words
        assert to_erase(plan, other, False, True) == ["journal"]
    nameless = read_sector(finished(plan.rows, {}))
    assert to_erase(plan, nameless, False, False) == []
