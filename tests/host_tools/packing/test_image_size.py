"""The device's filesystem has an end."""

import pytest

from satama.packing.image import ImageError, filesystem


def test_what_does_not_fit_is_told_in_a_sentence():
    files = {f"app_a/gateway/m{number}.mpy": b"x" * 500 for number in range(30)}
    assert len(filesystem(files, 40 * 4096)) == 40 * 4096
    with pytest.raises(
        ImageError, match="30 files of 15000 bytes do not fit the 20 blocks of the board's partition vfs ->"
    ):
        filesystem(files, 20 * 4096)
