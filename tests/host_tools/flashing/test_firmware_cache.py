import json
import stat
import sys

import pytest
from flash_bench import stock

from satama.boards.board import load_board
from satama.flashing.by_mpflash import fetch_by_mpflash
from satama.flashing.errors import FlashError
from satama.flashing.firmware_cache import FirmwareCache, cache_folder
from satama.flashing.stock import build_of

BOARD = load_board("esp32-devkit")


@pytest.fixture
def cache(tmp_path):
    return FirmwareCache(tmp_path / "cache")


@pytest.fixture
def put(cache, tmp_path):
    def put(name, data=None, origin="a stick"):
        path = tmp_path / name
        path.write_bytes(stock() if data is None else data)
        return cache.add(path, origin)

    return put


def _refused(call, *arguments):
    with pytest.raises(FlashError) as caught:
        call(*arguments)
    assert " -> " in str(caught.value)
    return str(caught.value)


def test_a_file_is_kept_with_its_checksum_origin_and_date(cache, put):
    entry = put("ESP32_GENERIC-20250911-v1.26.1.bin")
    assert cache.path(entry).read_bytes() == stock()
    [row] = FirmwareCache(cache.folder.parent).entries()
    assert row == entry and not row.damaged
    assert (row.chip, row.version, row.build, row.origin) == ("esp32", "v1.26.1", "ESP32_GENERIC", "a stick")
    assert row.fetched.endswith("+00:00")


def test_what_is_no_firmware_does_not_come_in(cache, put):
    put("ESP32_GENERIC-20250911-v1.26.1.bin")
    assert "damaged" in _refused(put, "ESP32_GENERIC-20250911-v1.27.0.bin", stock()[:-1])
    assert "no firmware" in _refused(put, "notes.bin", b"notes")
    assert len(cache.entries()) == 1


def test_the_newest_release_is_taken(cache, put):
    put("ESP32_GENERIC-20250911-v1.26.1.bin")
    put("ESP32_GENERIC-20250101-v1.24.1.bin", stock(version="v1.24.1"))
    newest = put("ESP32_GENERIC-20260101-v1.100.0.bin", stock(version="v1.100.0"))
    put("ESP32_GENERIC-20260201-v1.101.0-preview.bin", stock(version="v1.101.0-preview.5.gabc"))
    assert cache.newest_for(BOARD) == newest


def test_other_builds_are_not_taken_unasked(cache, put):
    put("ESP32_GENERIC-SPIRAM-20250911-v1.26.1.bin")
    put("ESP32_GENERIC_S3-20250911-v1.26.1.bin", stock("esp32s3"))
    told = _refused(cache.newest_for, BOARD)
    assert "no firmware for the board esp32-devkit" in told and "ESP32_GENERIC-....bin" in told
    nameless = put("firmware.bin", stock(version="v1.25.0"))
    assert cache.newest_for(BOARD) == nameless


def test_names_of_builds():
    assert build_of("ESP32_GENERIC-20250911-v1.26.1.bin") == "ESP32_GENERIC"
    assert build_of("ESP32_GENERIC-v1.26.1.bin") == "ESP32_GENERIC"
    assert build_of("ESP32_GENERIC_S3-SPIRAM_OCT-20250911-v1.26.1.bin") == "ESP32_GENERIC_S3-SPIRAM_OCT"
    assert build_of("firmware.bin") == build_of("") == ""


def test_a_damaged_file_is_noticed_and_mended_by_fetching_it_again(cache, put):
    entry = put("ESP32_GENERIC-20250911-v1.26.1.bin")
    cache.path(entry).write_bytes(stock()[:-1])
    assert cache.entries()[0].damaged
    assert "is damaged -> fetch it again" in _refused(cache.newest_for, BOARD)
    put("ESP32_GENERIC-20250911-v1.26.1.bin")
    assert cache.newest_for(BOARD).sha256 == entry.sha256
    cache.path(entry).unlink()
    assert cache.entries()[0].damaged


@pytest.mark.parametrize(
    "index", [b"", b"[]", b'{"format": 1}', b'{"format": 9, "files": {}}', b'{"format": 1, "files": {"a": 1}}']
)
def test_a_damaged_index_is_made_anew(cache, put, index):
    entry = put("ESP32_GENERIC-20250911-v1.26.1.bin")
    (cache.folder / "index.json").write_bytes(index)
    [row] = cache.entries()
    assert (row.sha256, row.version, row.damaged) == (entry.sha256, "v1.26.1", False)
    put("ESP32_GENERIC-20250101-v1.24.1.bin", stock(version="v1.24.1"))
    assert len(json.loads((cache.folder / "index.json").read_bytes())["files"]) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": None}, {"version": 1.26}, {"name": ["x"]}, {"bytes": "many"}, {"bytes": True}, {"fetched": 7},
        {"chip": {}}, {"origin": None},
    ],
)  # fmt: skip
def test_what_the_index_says_wrongly_of_one_file_costs_only_that(cache, put, wrong):
    put("ESP32_GENERIC-SPIRAM-20250911-v1.26.1.bin", origin="a stick")
    entry = put("ESP32_GENERIC-20250101-v1.24.1.bin", stock(version="v1.24.1"))
    index = cache.folder / "index.json"
    body = json.loads(index.read_bytes())
    body["files"][entry.sha256] |= wrong
    body["files"]["../../elsewhere"] = dict(body["files"][entry.sha256], name="x", version="v9.9.9")
    index.write_text(json.dumps(body))
    rows = {row.version: row for row in cache.entries()}
    assert set(rows) == {"v1.24.1", "v1.26.1"} and not any(row.damaged for row in rows.values())
    assert rows["v1.26.1"].build == "ESP32_GENERIC-SPIRAM" and rows["v1.26.1"].origin == "a stick"
    assert (rows["v1.24.1"].sha256, rows["v1.24.1"].origin) == (entry.sha256, "unknown")


def test_what_a_later_version_adds_to_an_entry_does_no_harm(cache, put):
    entry = put("ESP32_GENERIC-20250911-v1.26.1.bin")
    index = cache.folder / "index.json"
    body = json.loads(index.read_bytes())
    body["files"][entry.sha256]["signed"] = True
    index.write_text(json.dumps(body))
    assert cache.entries() == [entry]


def test_a_file_that_never_came_into_the_index_is_found(cache, put):
    put("ESP32_GENERIC-20250911-v1.26.1.bin")
    before = (cache.folder / "index.json").read_bytes()
    put("ESP32_GENERIC-20250101-v1.24.1.bin", stock(version="v1.24.1"))
    (cache.folder / "index.json").write_bytes(before)  # as if the power had failed between the two
    assert [row.version for row in cache.entries()] == ["v1.24.1", "v1.26.1"]


def test_a_full_disk_leaves_what_was_there(cache, put, monkeypatch):
    put("ESP32_GENERIC-20250911-v1.26.1.bin")
    before = {path.name: path.read_bytes() for path in cache.folder.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "No space left" in _refused(put, "ESP32_GENERIC-20250101-v1.24.1.bin", stock(version="v1.24.1"))
    assert {path.name: path.read_bytes() for path in cache.folder.iterdir()} == before


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SATAMA_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SATAMA_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "satama"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "satama" / "cache"


def test_a_user_without_a_home_is_told_what_to_do(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("SATAMA_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    for system in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        assert "SATAMA_CACHE" in _refused(cache_folder)


def test_a_relative_folder_for_caches_counts_for_nothing(monkeypatch, tmp_path):
    """As the XDG Base Directory Specification says: else each folder that somebody stands in gets a cache of its own."""
    monkeypatch.delenv("SATAMA_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert cache_folder() == tmp_path / ".cache" / "satama"


def test_an_empty_cache_has_nothing(cache):
    assert cache.entries() == [] and not cache.folder.exists()
    _refused(cache.newest_for, BOARD)


@pytest.fixture
def mpflash(tmp_path, monkeypatch):
    """A program of that name: it does what `body` says, in the folder that it is given."""

    def install(body):
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        program = folder / "mpflash"
        program.write_text(f"#!{sys.executable}\nimport os, sys\nfolder = os.environ['MPFLASH_FIRMWARE']\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    return install


def test_without_mpflash_the_way_by_hand_is_told(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    told = _refused(fetch_by_mpflash, BOARD, "stable", cache)
    assert "pip install mpflash" in told and "ESP32_GENERIC" in told and "satama fetch FILE" in told


def test_what_mpflash_brings_is_stored(cache, mpflash, tmp_path):
    (tmp_path / "served.bin").write_bytes(stock())
    mpflash(f"""
assert sys.argv[1:] == ["download", "--board", "ESP32_GENERIC", "--version", "stable"], sys.argv
os.makedirs(folder + "/esp32")
data = open({str(tmp_path / "served.bin")!r}, "rb").read()
for name in ("ESP32_GENERIC-v1.26.1.bin", "ESP32_GENERIC-SPIRAM-v1.26.1.bin"):
    open(folder + "/esp32/" + name, "wb").write(data)
""")
    entry = fetch_by_mpflash(BOARD, "stable", cache)
    assert entry.name == "ESP32_GENERIC-v1.26.1.bin" and entry.origin.startswith("mpflash download")
    assert cache.newest_for(BOARD) == entry


def test_mpflash_without_a_network(cache, mpflash):
    mpflash("sys.exit('ERROR: no route to host')")
    told = _refused(fetch_by_mpflash, BOARD, "stable", cache)
    assert "no route to host" in told and "is there a network?" in told
