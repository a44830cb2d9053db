"""The file that keeps a chip's flash: what is refused before anything runs, and what a write leaves of the file's rights."""

import os
import stat

import pytest

from satama_sim.board.flash_file import FlashFile

SIZE = 8192
CONTENT = bytes(range(256)) * 32


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_for_its_owner_alone_for_keys_are_in_it(tmp_path):
    path = tmp_path / "flash.bin"
    one = FlashFile(path, SIZE)
    assert one.read() == b""
    one.write(CONTENT)
    assert (path.read_bytes(), rights(path)) == (CONTENT, 0o600)
    assert os.listdir(tmp_path) == ["flash.bin"]


def test_a_file_keeps_its_rights_and_a_link_its_target(tmp_path):
    path, link = tmp_path / "flash.bin", tmp_path / "link.bin"
    path.write_bytes(bytes(SIZE))
    path.chmod(0o640)
    link.symlink_to(path)
    one = FlashFile(link, SIZE)
    assert one.read() == bytes(SIZE)
    one.write(CONTENT)
    assert link.is_symlink() and (path.read_bytes(), rights(path)) == (CONTENT, 0o640)


def test_what_is_no_file_is_refused_and_left_alone(tmp_path):
    pipe = tmp_path / "pipe"  # as /dev/null, in whose place root would get a file
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(ValueError, match="is no file -> "):
            FlashFile(path, SIZE).read()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_write_protected_file_is_refused(tmp_path):
    path = tmp_path / "flash.bin"
    path.write_bytes(CONTENT)
    path.chmod(0o444)
    with pytest.raises(ValueError, match="write-protected -> chmod"):
        FlashFile(path, SIZE).read()
    assert path.read_bytes() == CONTENT


def test_two_boards_on_one_file_are_refused(tmp_path):
    path = tmp_path / "flash.bin"
    first, second = FlashFile(path, SIZE), FlashFile(path, SIZE)
    first.read()
    with pytest.raises(ValueError, match="of a board that runs -> "):
        second.read()
    first.write(CONTENT)
    assert second.read() == CONTENT
    second.let_go()
    assert FlashFile(path, SIZE).read() == CONTENT


def test_a_board_that_ends_without_a_word_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "flash.bin"
    one = FlashFile(path, SIZE)
    one.read()
    one.let_go()
    assert FlashFile(path, SIZE).read() == b""
