"""docs/FORMAT.md, "Journal", "State ring" and "Ledger", read by a second implementation that was written from the page alone."""

import struct
import zlib

from journals import ALARMS, COUNTERS, SCHEMA, STATE_BLOCKS, FlashPartition, Start

BLOCK = 4096
WAITS = 5  # ones of eight


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def waits(byte):
    return byte.bit_count() >= WAITS


def blocks(image, count):
    """{sequence: (epoch, class, something waits, [(kind, waits, body)])} of what is a journal's block."""
    found = {}
    for number in range(count):
        block = image[number * BLOCK : (number + 1) * BLOCK]
        magic, sequence, epoch, cls, version, zero, crc = struct.unpack_from(">4sIIBBHI", block)
        if magic != b"SATJ" or zlib.crc32(block[:16]) != crc:
            continue
        assert (version, zero, block[21:24]) == (1, 0, b"\xff\xff\xff")
        found[sequence] = epoch, cls, waits(block[20]), list(records(block))
    return found


def records(block):
    at = 24
    while at + 7 < BLOCK and block[at + 1 : at + 3] != b"\xff\xff":
        length, body = varint(block, at + 1)
        end = body + length
        assert zlib.crc32(block[at + 1 : end - 4]) == struct.unpack_from(">I", block, end - 4)[0]
        yield block[body] & 3, waits(block[at]), bytes(block[body + 1 : end - 4])
        at = end
    assert block[at:] == b"\xff" * (BLOCK - at)


def state_values(image):
    """{key: value} of the newest block with a right header."""
    newest = max(
        (
            struct.unpack_from(">I", image, at + 4)[0],
            at,
        )
        for at in range(0, len(image), BLOCK)
        if image[at : at + 4] == b"SATS"
        and struct.unpack_from(">I", image, at + 8)[0] == zlib.crc32(image[at : at + 8])
    )[1]
    values, at = {}, newest + 16
    while at + 8 <= newest + BLOCK:
        length, key, zero, crc = struct.unpack_from(">HBBI", image, at)
        if length == 0xFFFF:
            break
        value = bytes(image[at + 8 : at + 8 + length])
        assert zero == 0 and zlib.crc32(image[at : at + 4] + value) == crc
        values[key] = value
        at += 8 + length
    return values


def page(data):
    """(epoch, seq, dropped, head, {stream id: (produced, queued, dropped, quarantined)}) of a ledger's page."""
    assert data[0] == 1
    at, numbers = 1, []
    for _ in range(5):
        number, at = varint(data, at)
        numbers.append(number)
    rows, expected, row = {}, 0, None
    for _ in range(numbers[4]):
        step, at = varint(data, at)
        if not step & 1:
            row = []
            for _ in range(4):
                number, at = varint(data, at)
                row.append(number)
        expected += step >> 1
        rows[expected - 2] = tuple(row)
        expected += 1
    assert at == len(data)
    return *numbers[:4], rows


def test_a_life_on_flash_reads_as_the_page_says():
    partition = FlashPartition(40)
    gateway = Start(partition)
    for step in range(600):
        gateway.append(SCHEMA, 40 - step % 3)
        if step % 9 == 0:
            gateway.append(COUNTERS)
        if step % 50 == 0:
            gateway.event()
            gateway.append(ALARMS)
        if step == 500:
            gateway.drain()
    gateway.journal.save_all()
    image = bytes(partition.flash.data)
    split = (40 - STATE_BLOCKS) * BLOCK
    found = blocks(image[:split], 40 - STATE_BLOCKS)
    assert {cls for _, cls, _, _ in found.values()} == {0, 1, 2}
    rows = {}
    for kind, what in (("waits", True), ("done", False)):
        rows[kind] = sum(1 for *_, parts in found.values() for k, waiting, _ in parts if k < 3 and waiting == what)
    assert rows["waits"] + rows["done"] == 600 + 67 + 2 * 12
    assert rows["done"] == 501 + 56 + 2 * 11
    newest = {cls: max(seq for seq, found_block in found.items() if found_block[1] == cls) for cls in range(3)}
    for sequence, (epoch, cls, something, parts) in found.items():
        assert epoch == 1
        assert parts[0][0] in (2, 3)  # an event, or the schema before the first key frame
        if not something:
            assert sequence != newest[cls] and not any(waiting for kind, waiting, _ in parts if kind < 3)
        keys = [kind for kind, _, _ in parts if kind < 2]
        assert not keys or keys[0] == 0
    values = state_values(image[split:])
    epoch, seq, dropped, head, telemetry = page(values[50])
    assert (epoch, seq, dropped, head) == (1, gateway.seq, 0, newest[2])
    wanted = {row[0]: (row[1], row[5], row[3], row[4]) for row in gateway.ledger.rows()}
    assert telemetry == {stream: wanted[stream] for stream in range(40)}
    assert page(values[48])[4] == {-2: wanted[-2], 60: wanted[60]}
    assert page(values[49])[4] == {50: wanted[50], 51: wanted[51]}
