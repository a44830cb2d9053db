"""The image format of ESP32 chips: header, segments, checksum, appended SHA-256.

Source: ESP-IDF, components/bootloader_support (esp_app_format.h, esp_image_format.c) and the API guide "App Image Format".
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

MAGIC = 0xE9
CHIPS = {0: "esp32", 5: "esp32c3", 9: "esp32s3"}
OTHER_CHIPS = {
    2: "ESP32-S2", 12: "ESP32-C2", 13: "ESP32-C6", 16: "ESP32-H2", 18: "ESP32-P4", 20: "ESP32-C61", 23: "ESP32-C5",
}  # fmt: skip
BOOTLOADER_AT = {"esp32": 0x1000, "esp32c3": 0, "esp32s3": 0}  # what each ROM loads from
_HEADER = struct.Struct("<BBBBIB3sHBHH4sB")
_MAX_SEGMENTS = 16
_ANY_REVISION = 0xFFFF


class ImageFault(Exception):
    """The bytes are no image, or a damaged one; the text is the end of a sentence that begins with what the image is."""


@dataclass(frozen=True)
class EspImage:
    """One image, checked. Revisions are 100 x major + minor; `length` in bytes, with checksum and digest."""

    chip_id: int
    min_revision: int
    max_revision: int
    segments: tuple[tuple[int, int, int], ...]  # (address in the chip, offset in the image, bytes)
    length: int
    digest: bool

    @property
    def chip(self) -> str:
        """As board files call it; "" for one that Satama does not know."""
        return CHIPS.get(self.chip_id, "")


def chip_id(head: bytes) -> int:
    """Which chip an image is for, from its first 24 bytes."""
    return int.from_bytes(head[12:14], "little")


def read_image(data: bytes) -> EspImage:
    """The image that `data` begins with. Raises ImageFault when it is incomplete or damaged."""
    if len(data) < _HEADER.size:
        raise ImageFault("ends in its header")
    magic, count, _, _, _, _, _, chip, old_min, new_min, new_max, _, digest = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ImageFault("does not begin with the mark of an ESP32 image (0xE9)")
    if not 1 <= count <= _MAX_SEGMENTS or digest > 1:
        raise ImageFault("has a damaged header")
    segments, at, parity = [], _HEADER.size, 0xEF
    for _ in range(count):
        if at + 8 > len(data):
            raise ImageFault(f"ends after {len(data)} bytes, amid its segments")
        address, size = struct.unpack_from("<II", data, at)
        at += 8
        if at + size > len(data):
            raise ImageFault(f"ends after {len(data)} bytes, but has {at + size} at least")
        parity ^= _xor(data[at : at + size])
        segments.append((address, at, size))
        at += size
    at = (at + 16) & ~15  # padded so that the checksum is the last byte of 16
    if at + 32 * digest > len(data):
        raise ImageFault(f"ends after {len(data)} of {at + 32 * digest} bytes")
    if data[at - 1] != parity:
        raise ImageFault(f"has the checksum 0x{data[at - 1]:02X}, but its bytes give 0x{parity:02X}")
    if digest and hashlib.sha256(data[:at]).digest() != data[at : at + 32]:
        raise ImageFault("does not agree with the SHA-256 that is appended to it")
    low, high = _revisions(chip, old_min, new_min, new_max)
    return EspImage(chip, low, high, tuple(segments), at + 32 * digest, bool(digest))


def _revisions(chip: int, old_min: int, new_min: int, new_max: int) -> tuple[int, int]:
    """Images of ESP-IDF before 4.4.3 know only a minimum: the minor revision on a C3, the major one elsewhere."""
    if new_max == 0 or (new_max == _ANY_REVISION and new_min == 0 and old_min):
        return (old_min if CHIPS.get(chip) == "esp32c3" else 100 * old_min), _ANY_REVISION
    return new_min, new_max


def _xor(data: bytes) -> int:
    """All bytes, exclusive-or, by halves."""
    while len(data) > 1:
        half = (len(data) + 1) // 2
        low, high = (int.from_bytes(part, "little") for part in (data[:half], data[half:]))
        data = (low ^ high).to_bytes(half, "little")
    return data[0] if data else 0


def with_flash_size(image: bytes, flash_bytes: int) -> bytes:
    """A boot loader that knows how large the board's flash is. Stock ones say 4 MiB, and refuse a partition table that goes further
    (ESP-IDF flash_partitions.c); the checksum leaves the header out, the digest does not."""
    code = (flash_bytes >> 20).bit_length() - 1
    found = read_image(image)
    if image[3] >> 4 == code:
        return image
    body = image[:3] + bytes([code << 4 | image[3] & 0x0F]) + image[4:]
    if found.digest:
        end = found.length - 32
        body = body[:end] + hashlib.sha256(body[:end]).digest() + body[found.length :]
    return body
