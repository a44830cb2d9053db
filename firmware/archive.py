"""An application slot: one file with everything that an update replaces, seen as a read-only filesystem.

docs/FORMAT.md, "Application slot", has its layout. littlefs gives every file a block of 4 KiB, and no checksum to what is in it; here a
hundred modules lie one behind the other, under one CRC-32. An update never replaces this module.
"""

import io
from binascii import crc32
from struct import pack, unpack

from micropython import const

MAGIC = b"SATA"
VERSION = const(1)
HEAD = const(16)
COVERED = const(8)  # by the CRC, from here on
ROW = const(16)
FOLDER = b"\xff\xff\xff\xff"  # in the place of a length
_ENOENT = const(2)
_EROFS = const(30)
_BUFFER_SIZE = const(11)  # MP_STREAM_GET_BUFFER_SIZE of py/stream.h


class Archive:
    """To be mounted. Raises OSError when there is no such file, ValueError when it is no archive. `rows`: how many. Names it knows none:
    only what is asked for by its name is found."""

    def __init__(self, path):
        self.path = path
        self._file = open(path, "rb")
        head = self._file.read(HEAD)
        if len(head) != HEAD or head[:4] != MAGIC or head[8] != VERSION:
            self._file.close()
            raise ValueError("no application slot of this kind")
        self.crc = head[4:8]  # of all behind it
        self.rows, self.length = unpack(">HI", head[10:16])

    def find(self, path):
        """(offset in the archive's file, length) of a member; (0, -1) of a folder; None. `path`: without a leading slash."""
        wanted = pack(">I", crc32(path.encode()))
        low, high = 0, self.rows
        while low < high:
            middle = (low + high) // 2
            row = self.row(middle)
            if row[:4] == wanted:
                return (0, -1) if row[8:12] == FOLDER else unpack(">II", row[4:12])
            if row[:4] < wanted:
                low = middle + 1
            else:
                high = middle
        return None

    def row(self, index):
        """ROW bytes: CRC-32 of the path, offset, length, CRC-32 of the content."""
        self._file.seek(HEAD + ROW * index)
        return self._file.read(ROW)

    def read_at(self, offset, buffer):
        """Fill `buffer` from there on; how many bytes there were."""
        self._file.seek(offset)
        return self._file.readinto(buffer)

    def close(self):
        self._file.close()

    # --- what a mounted filesystem is asked

    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        path = path.strip("/")
        found = (0, -1) if not path else self.find(path)
        if found is None:
            raise OSError(_ENOENT)
        return (0x4000 if found[1] < 0 else 0x8000, 0, 0, 0, 0, 0, max(0, found[1]), 0, 0, 0)

    def open(self, path, mode):
        if "w" in mode or "a" in mode or "+" in mode or "x" in mode:
            raise OSError(_EROFS)
        found = self.find(path.strip("/"))
        if found is None or found[1] < 0:
            raise OSError(_ENOENT)
        return Member(self, found[0], found[1])


class Member(io.IOBase):
    """A file in an archive, open for reading."""

    def __init__(self, archive, offset, length):
        self._archive = archive
        self._at = offset
        self._left = length

    def readinto(self, buffer):
        if not self._left:
            return 0
        count = self._archive.read_at(self._at, memoryview(buffer)[: self._left])
        self._at += count
        self._left -= count
        return count

    def read(self, size=-1):
        data = bytearray(self._left if size < 0 else min(size, self._left))
        return bytes(memoryview(data)[: self.readinto(data)])

    def ioctl(self, request, arg):
        return 256 if request == _BUFFER_SIZE else 0

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass
