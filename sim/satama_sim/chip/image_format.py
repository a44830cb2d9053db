"""Firmware images as the ROM and the second-stage boot loader read them.

Source: ESP-IDF, "App Image Format" and "Bootloader Image Format"; components/bootloader_support (esp_image_format.c), whose
words the errors are.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

MAGIC = 0xE9
HEADER = struct.Struct("<BBBBI BBBBHBHH4xB")
CHECKSUM_SEED = 0xEF
MAX_SEGMENTS = 16
APP_DESCRIPTION = struct.Struct("<II8x32s32s16s16s32s32sHHB3x72x")
APP_DESCRIPTION_MAGIC = 0xABCD5432


class ImageError(Exception):
    """Why an image is not started. The text is the boot loader's line without its time stamp.

    magic   the first four bytes of what is there, as a little-endian number
    stage   what was wrong: "magic", "chip", "revision", "segments", "checksum", "length", "hash"
    """

    def __init__(self, text: str, stage: str, magic: int):
        super().__init__(text)
        self.stage = stage
        self.magic = magic


@dataclass(frozen=True)
class Segment:
    address: int
    start: int  # of its data in the image
    length: int


@dataclass(frozen=True)
class Image:
    """A whole image. Revisions are major * 100 + minor; `flash_size` is the header's, in bytes."""

    chip_id: int
    entry: int
    flash_size: int
    min_revision: int
    max_revision: int
    segments: tuple[Segment, ...]
    length: int


def read_image(data: bytes, address: int, room: int, chip_id: int, revision: int, by_rom: bool = False) -> Image:
    """The image at the start of `data`, checked as the boot loader does before it starts it. Raises ImageError.

    address   where it lies in flash (for the words only)
    room      bytes that it may take
    by_rom    the ROM looks at neither revision nor hash
    """
    first = int.from_bytes(data[:4], "little")

    def fail(text: str, stage: str) -> ImageError:
        return ImageError(text, stage, first)

    if len(data) < HEADER.size or data[0] != MAGIC:
        raise fail(f"E esp_image: image at {address:#x} has invalid magic byte (nothing flashed here?)", "magic")
    _, count, _, size_freq, entry, _, _, _, _, image_chip, _, min_rev, max_rev, hashed = HEADER.unpack_from(data)
    if image_chip != chip_id:
        raise fail(f"E boot_comm: mismatch chip ID, expected {chip_id}, found {image_chip}", "chip")
    if revision < min_rev and not by_rom:
        text = f"E boot_comm: Image requires chip rev >= v{_dotted(min_rev)}, but chip is v{_dotted(revision)}"
        raise fail(text, "revision")
    if count > MAX_SEGMENTS:
        raise fail(f"E esp_image: image at {address:#x} segment count {count} exceeds max {MAX_SEGMENTS}", "segments")
    segments, at, checksum = [], HEADER.size, CHECKSUM_SEED
    for _ in range(count):
        load, length = struct.unpack_from("<II", data.ljust(at + 8, b"\xff"), at)
        at += 8
        if length % 4 or length >= 1 << 24 or at + length > len(data):
            raise fail(f"E esp_image: invalid segment length {length:#x}", "segments")
        segments.append(Segment(load, at, length))
        checksum ^= xor_all(data[at : at + length])
        at += length
    at += 16 - at % 16  # the checksum is the last byte of a line of 16
    length = at + (32 if hashed == 1 else 0)
    if length > len(data):
        raise fail(f"E esp_image: Image length {length} doesn't fit in partition length {room}", "length")
    if data[at - 1] != checksum:
        text = f"E esp_image: Checksum failed. Calculated {checksum:#x} read {data[at - 1]:#x}"
        raise fail(text, "checksum")
    if length > room:
        raise fail(f"E esp_image: Image length {length} doesn't fit in partition length {room}", "length")
    if hashed == 1 and not by_rom and hashlib.sha256(data[:at]).digest() != data[at:length]:
        raise fail("E esp_image: Image hash failed - image is corrupt", "hash")
    return Image(image_chip, entry, 1 << 20 << (size_freq >> 4), min_rev, max_rev, tuple(segments), length)


def build_image(
    chip_id: int,
    segments: list[tuple[int, bytes]],
    *,
    entry: int,
    flash_size: int,
    frequency: int,
    min_revision: int,
    max_revision: int,
) -> bytes:
    """An image with checksum and SHA-256. `segments`: (load address, data of a multiple of 4 bytes)."""
    size_freq = (flash_size >> 20).bit_length() - 1 << 4 | frequency
    dio, no_pin = 2, 0xEE
    legacy_revision = min_revision // 100
    image = bytearray(
        HEADER.pack(
            *(MAGIC, len(segments), dio, size_freq, entry, no_pin, 0, 0, 0),
            *(chip_id, legacy_revision, min_revision, max_revision, 1),
        )
    )
    checksum = CHECKSUM_SEED
    for address, data in segments:
        image += struct.pack("<II", address, len(data)) + data
        checksum ^= xor_all(data)
    image += bytes(15 - len(image) % 16) + bytes((checksum,))
    return bytes(image) + hashlib.sha256(image).digest()


def xor_all(data: bytes) -> int:
    """All bytes XORed; by halves, as whole numbers: a loop over a megabyte takes too long."""
    number, bits = int.from_bytes(data, "little"), 8
    while bits < 8 * len(data):
        bits *= 2
    while bits > 8:
        bits //= 2
        number = number >> bits ^ number & (1 << bits) - 1
    return number


def _dotted(revision: int) -> str:
    return f"{revision // 100}.{revision % 100}"
