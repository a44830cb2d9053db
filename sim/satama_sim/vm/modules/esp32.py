"""`esp32`: NVS and Partition on the host's simulated flash."""

import json
import struct
import sys

import link

_chip = open("/dev/fd/" + sys.argv[3], "rb")  # littlefs reads a few bytes at a time: the host need not be asked
_seek, _read_into = _chip.seek, _chip.readinto

HEAP_DATA = 4
HEAP_EXEC = 1
_NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND
_NO_ROOM = -0x1105  # ESP_ERR_NVS_NOT_ENOUGH_SPACE


def idf_heap_info(capabilities):
    return [(155648, 94256, 53248, 81920)]


class NVS:
    def __init__(self, namespace):
        if len(namespace) > 15:
            raise OSError(-0x1106, "ESP_ERR_NVS_INVALID_NAME")
        self._prefix = namespace.encode() + b"\0"

    def _get(self, key, kind):
        if link.call(34, kind, self._prefix + key.encode()) < 0:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return link.data()

    def get_i32(self, key):
        return struct.unpack("<i", self._get(key, 0))[0]

    def set_i32(self, key, value):
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError("overflow converting long int to machine word")
        self._set(key, 0, struct.pack("<i", value))

    def get_blob(self, key, buffer):
        blob = self._get(key, 1)
        if len(blob) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(blob)] = blob
        return len(blob)

    def set_blob(self, key, value):
        self._set(key, 1, value.encode() if isinstance(value, str) else bytes(value))

    def _set(self, key, kind, value):
        if link.call(35, kind, self._prefix + _short(key) + b"\0" + value) < 0:
            raise OSError(_NO_ROOM, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")

    def erase_key(self, key):
        if link.call(36, 0, self._prefix + key.encode()) < 0:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        link.call(37)


def _short(key):
    if len(key) > 15:
        raise OSError(-0x1109, "ESP_ERR_NVS_KEY_TOO_LONG")
    return key.encode()


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1
    BOOT = 0
    RUNNING = 1
    _BLOCK = 4096

    def __init__(self, id, block_size=4096):
        if block_size != self._BLOCK:
            raise ValueError("the simulated flash has blocks of 4096 bytes only")
        if isinstance(id, int) and id not in (Partition.BOOT, Partition.RUNNING):
            raise ValueError
        for entry in _table():
            if entry[4] == id or (isinstance(id, int) and entry[0] == Partition.TYPE_APP):
                self._entry = entry
                self._start, self._size = entry[2], entry[3]
                return
        raise OSError(2)

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        return [
            Partition(entry[4], block_size)
            for entry in _table()
            if entry[0] == type and subtype in (0xFF, entry[1]) and label in (None, entry[4])
        ]

    def info(self):
        return tuple(self._entry) + (False,)

    def _address(self, block, offset, length):
        at = block * self._BLOCK + offset
        if not 0 <= at <= self._entry[3]:
            raise OSError(-0x102, "ESP_ERR_INVALID_ARG")
        if at + length > self._entry[3]:
            raise OSError(-0x104, "ESP_ERR_INVALID_SIZE")
        return self._entry[2] + at

    def readblocks(self, block, buf, offset=0):
        length = len(buf)
        at = block * 4096 + offset
        if not 0 <= at <= at + length <= self._size:  # a start reads 24,000 times: no call more than needed
            self._address(block, offset, length)
        _seek(self._start + at)
        _read_into(buf)
        if length >= 4096:
            for _ in range(length // 4096):
                link.spend("flash_read_us")

    def writeblocks(self, block, buf, offset=None):
        address = self._address(block, offset or 0, len(buf))
        if offset is None:
            if len(buf) % self._BLOCK:
                raise OSError(-0x104, "ESP_ERR_INVALID_SIZE")  # only whole blocks can be erased
            link.ask(43, address, struct.pack("<I", len(buf) // self._BLOCK))
        link.ask(42, address, bytes(buf))

    def ioctl(self, request, arg):
        if request == 4:
            return self._entry[3] // self._BLOCK
        if request == 5:
            return self._BLOCK
        if request == 6:
            link.ask(43, self._address(arg, 0, self._BLOCK), struct.pack("<I", 1))
        return 0 if 1 <= request <= 6 else None


_partitions = []


def _table():
    if not _partitions:
        link.call(40)
        _partitions.extend(json.loads(link.data()))
    return _partitions
