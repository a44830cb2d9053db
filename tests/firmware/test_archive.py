"""The file of an application slot: what the host packs, the device finds; and nothing of a damaged one is believed."""

import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satama.deploying.delta import MOST_COPIED, MOST_SENT, pieces, requests
from satama.packing import slot_archive

sys.path.append(str(Path(__file__).parents[2] / "firmware"))
from archive import Archive

NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(NAMES, st.binary(max_size=400), max_size=8).filter(
    lambda files: not any(other.startswith(path + "/") for path in files for other in files)
)


def opened(tmp_path, data):
    path = tmp_path / "slot_a.bin"
    path.write_bytes(data)
    return Archive(str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("slots")


@given(files=FILES)
def test_every_file_is_found_and_its_folders_and_nothing_else(folder, files):
    archive = opened(folder, slot_archive.pack(files))
    for path, content in files.items():
        assert archive.stat("/" + path)[0] == 0x8000 and archive.stat(path)[6] == len(content)
        with archive.open(path, "rb") as member:
            assert member.read(3) + member.read() == content
        for parent in Path(path).parents:
            assert archive.stat(str(parent).strip("."))[0] == 0x4000
    for name in ("nobody", "a/nobody"):
        with pytest.raises(OSError):
            archive.stat(name)
        with pytest.raises(OSError):
            archive.open(name, "rb")
    for mode in ("wb", "ab", "r+"):
        with pytest.raises(OSError):
            archive.open(next(iter(files), "a"), mode)
    assert [row.length for row in slot_archive.files(slot_archive.pack(files))] == [
        len(files[path]) for path in sorted(files)
    ]


@given(files=FILES, data=st.data())
def test_a_byte_that_changed_or_is_missing_is_noticed_by_the_host_too(files, data):
    packed = slot_archive.pack(files)
    at = data.draw(st.integers(0, len(packed) - 1))
    damaged = bytearray(packed)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        list(slot_archive.files(bytes(damaged)))
    with pytest.raises(ValueError):
        list(slot_archive.files(packed[:at]))


def test_what_is_no_archive_is_refused(folder):
    for data in (b"", b"SATA", b"SATJ" + bytes(60), b"SATA" + bytes(60)):
        with pytest.raises(ValueError):
            opened(folder, data)


def test_two_paths_of_one_crc_are_refused_on_the_host():
    first, second = "plumless", "buckeroo"  # a known pair
    assert zlib.crc32(first.encode()) == zlib.crc32(second.encode())
    with pytest.raises(ValueError, match="the same CRC-32"):
        slot_archive.pack({first: b"", second: b""})


@given(old=FILES, new=FILES, at=st.integers(0, 3000))
def test_the_pieces_make_the_new_slot_out_of_the_old_one_from_any_place_on(old, new, at):
    running, wanted = slot_archive.pack(old), slot_archive.pack(new)
    plan = pieces(wanted, slot_archive.files(running))
    at = min(at, len(wanted))
    made = bytearray(wanted[:at])
    for piece in requests(plan, at):
        assert piece.at == len(made)
        if piece.source is None:
            assert 0 < len(piece.data) == piece.length <= MOST_SENT
            made += piece.data
        else:
            assert 0 < piece.length <= MOST_COPIED
            made += running[piece.source : piece.source + piece.length]
    assert bytes(made) == wanted


def test_what_is_the_same_is_not_sent():
    old = {f"gateway/m{n}.mpy": bytes([n]) * 500 for n in range(20)}
    new = old | {"gateway/m7.mpy": b"new" * 100}
    plan = pieces(slot_archive.pack(new), slot_archive.files(slot_archive.pack(old)))
    sent = sum(piece.length for piece in plan if piece.source is None)
    assert sent == 16 + 16 * 21 + 300  # head, rows and what is new
    assert len(plan) == 4  # that, copied, new, copied
