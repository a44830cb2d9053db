"""Raw flash under the journal: erase, program, read; nothing raises, and only what can be read again counts as written."""

from micropython import const

BLOCK = const(4096)
_PIECE = const(256)  # bytes that are compared at once: pieces of 4 KiB are rare in a heap that has run for months
_BLOCKS = const(4)  # ioctl
_ERASE = const(6)


class Flash:
    """`partition`: an esp32.Partition. `failures` counts what it refused or did not keep; `writes` and `bytes` what it was given."""

    def __init__(self, partition):
        self._partition = partition
        self._back = bytearray(_PIECE)
        self.failures = self.writes = self.bytes = 0

    def blocks(self):
        """How many blocks of 4 KiB it has."""
        return self._partition.ioctl(_BLOCKS, 0)

    def erase(self, block):
        """False when the chip refuses."""
        try:
            self._partition.ioctl(_ERASE, block)
        except OSError:
            self.failures += 1
            return False
        return True

    def program(self, block, data, offset):
        """Write to erased flash. False when the chip refuses, or holds something else afterwards."""
        self.writes += 1
        self.bytes += len(data)
        try:
            self._partition.writeblocks(block, data, offset)
            if self._holds(block, data, offset):
                return True
        except OSError:
            pass
        self.failures += 1
        return False

    def clear(self, block, offset, count=1):
        """Overwrite with zeros, which needs no erase. It may fail: whoever reads must be able to live with the old bytes."""
        self.writes += 1
        try:
            self._partition.writeblocks(block, bytes(count), offset)
        except OSError:
            self.failures += 1

    def read(self, block, buffer, offset):
        """Fill `buffer` in pieces; False when the chip refuses."""
        view = memoryview(buffer)
        try:
            for at in range(0, len(view), _PIECE):
                self._partition.readblocks(block, view[at : at + _PIECE], offset + at)
        except OSError:
            self.failures += 1
            return False
        return True

    def _holds(self, block, data, offset):
        view = memoryview(data)
        for at in range(0, len(view), _PIECE):
            piece = view[at : at + _PIECE]
            back = memoryview(self._back)[: len(piece)]
            self._partition.readblocks(block, back, offset + at)
            if back != piece:
                return False
        return True
