"""The two loaders, command by command: what they answer, what they refuse, the traps that real ones set."""

import hashlib
import struct
import zlib

import pytest
from chip_lab import MAC, SIZE, Host, flashed
from hypothesis import given, settings
from hypothesis import strategies as st

from satama_sim.chip import slip
from satama_sim.chip.kinds import KINDS
from satama_sim.chip.loader import SYNC_PAYLOAD, Op

CHIPS = sorted(KINDS)
STUB_BLOCK = 0x4000


def pattern(length: int) -> bytes:
    return bytes(at * 7 & 0xFF for at in range(length))


def md5(host: Host, offset: int, size: int) -> bytes:
    return host.ask(Op.FLASH_MD5, struct.pack("<IIII", offset, size, 0, 0))[1]


def register(host: Host, address: int) -> int:
    return host.ask(Op.READ_REG, struct.pack("<I", address))[0]


def write_register(host: Host, address: int, value: int, mask: int = 0xFFFFFFFF) -> None:
    host.ask(Op.WRITE_REG, struct.pack("<IIII", address, value, mask, 0))


# --- synchronising


def test_sync_is_answered_eight_times_and_tells_rom_from_stub():
    for host, stub in ((Host().download(), False), (Host().stub(), True)):
        answers = host.command(Op.SYNC, SYNC_PAYLOAD)
        assert len(answers) == 8
        assert all((int.from_bytes(answer[4:8], "little") == 0) == stub for answer in answers)


def test_sync_in_application_mode_enters_download_mode_where_there_are_no_lines():
    host = Host("esp32c3", flashed("esp32c3", 4 << 20))
    host.chip.power_on()
    frame = slip.encode(struct.pack("<BBHI", 0, Op.SYNC, 36, 0) + SYNC_PAYLOAD)
    host.chip.receive(frame)
    assert host.chip.mode == "app"
    host.chip.sync_enters = True
    heard = []
    host.chip.to_app = heard.append
    for at in range(0, len(frame), 7):
        host.chip.receive(frame[at : at + 7])
    assert host.chip.mode == "rom"
    assert host.packets[-8:] == host.packets[-1:] * 8, "the SYNC that woke it is answered at once"
    assert b"".join(heard) == frame[: len(b"".join(heard))], "until then the application hears it, as on silicon"


def test_bytes_of_the_application_pass_only_in_application_mode():
    host = Host("esp32c3", flashed("esp32c3", 4 << 20))
    to_app = []
    host.chip.to_app = to_app.append
    host.chip.power_on()
    host.chip.receive(b"status\n")
    host.chip.from_app(b"fine\n")
    assert to_app == [b"status\n"] and host.text().endswith("fine\n")
    host.chip.reset(download=True)
    host.heard = b""
    host.chip.from_app(b"late\n")
    host.chip.receive(b"anything\n")
    assert to_app == [b"status\n"] and host.heard == b""


def test_unknown_commands_are_refused():
    host = Host().download()
    host.ask(0x77, expect=5)
    host.ask(Op.ERASE_FLASH, expect=5)
    host.ask(Op.READ_FLASH, bytes(16), expect=5)
    host.stub()
    host.ask(0x77, expect=0xFF)
    host.ask(Op.READ_FLASH_SLOW, bytes(8), expect=0xFF)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([*Op, 0x55]), st.binary(max_size=48)), max_size=6), st.booleans())
def test_any_command_with_any_data_is_answered_and_never_ends_the_chip(commands, stub):
    host = Host().stub() if stub else Host().download()
    for op, data in commands:
        host.command(op, data)
    host.chip.receive(b"\xc0\xc0garbage\xdb\xc0")
    host.download()
    assert register(host, 0x40001000) == 0x00F01D83


# --- who the chip is


@pytest.mark.parametrize("kind", CHIPS)
def test_the_mac_is_in_its_two_registers(kind):
    host = Host(kind).download()
    low, high = register(host, KINDS[kind].mac), register(host, KINDS[kind].mac + 4)
    assert struct.pack(">HI", high & 0xFFFF, low) == MAC


@pytest.mark.parametrize(("kind", "chip_id"), [("esp32s3", 9), ("esp32c3", 5)])
def test_security_info_names_the_chip(kind, chip_id):
    host = Host(kind, secure_boot=True, encryption=True).download()
    _, data = host.ask(Op.SECURITY_INFO)
    assert len(data) == 20
    flags, crypt_count = data[0], data[4]
    assert (flags & 1, crypt_count & 1, int.from_bytes(data[12:16], "little")) == (1, 1, chip_id)
    register_of, mask = KINDS[kind].secure_boot
    assert register(host, register_of) & mask


def test_the_esp32_knows_no_security_info():
    Host("esp32").download().ask(Op.SECURITY_INFO, expect=5)


@pytest.mark.parametrize("major", [0, 1, 2, 3])
def test_the_esp32s_major_revision_is_spread_over_three_registers(major):
    host = Host("esp32", revision=(major, 2)).download()
    bits = (
        register(host, 0x3FF5A00C) >> 15 & 1,
        register(host, 0x3FF5A014) >> 20 & 1,
        register(host, 0x3FF6607C) >> 31 & 1,
    )
    assert sum(bits) == major and list(bits) == sorted(bits, reverse=True)
    assert register(host, 0x3FF5A014) >> 24 & 3 == 2


def read_flash_chip(host: Host, kind: str, opcode: int, address: int = 0, bits: int = 24) -> int:
    spi = KINDS[kind].spi
    write_register(host, spi.base + spi.user2, 7 << 28 | opcode)
    write_register(host, spi.base + 4, address << spi.address_shift)
    write_register(host, spi.base + spi.miso_length, bits - 1)
    write_register(host, spi.base, 1 << 18)
    assert register(host, spi.base) & 1 << 18 == 0, "the command is done"
    return register(host, spi.base + spi.data0)


@pytest.mark.parametrize("kind", CHIPS)
def test_the_flash_tells_its_size_through_the_spi_registers(kind):
    host = Host(kind).download()
    assert read_flash_chip(host, kind, 0x9F) == 0x1440EF  # 1 MiB
    assert read_flash_chip(host, kind, 0x5A, 0, 32) == 0x50444653  # "SFDP"
    assert read_flash_chip(host, kind, 0x5A, 0x10, 8) == 0xEF
    silent = Host(kind, flash_id=0xFFFFFF).download()
    assert read_flash_chip(silent, kind, 0x9F) == 0xFFFFFF


def test_a_register_write_changes_what_its_mask_says():
    host = Host().download()
    write_register(host, 0x3FF48034, 0xFFFF, 0x00FF)
    write_register(host, 0x3FF48034, 0, 0x000F)
    assert register(host, 0x3FF48034) == 0xF0
    host.download()
    assert register(host, 0x3FF48034) == 0, "a reset forgets it"


# --- writing, by the ROM


@pytest.mark.parametrize("kind", CHIPS)
def test_the_rom_writes_blocks_of_1024_into_flash_that_it_erased(kind):
    host = Host(kind).download()
    host.flash.program(0x3000, b"\0" * 0x2000)
    data = pattern(1500)
    host.begin(Op.FLASH_BEGIN, len(data), 0x3000, words=KINDS[kind].flash_begin_words)
    for at in (0, 1024):
        host.block(Op.FLASH_DATA, data[at : at + 1024].ljust(1024, b"\xff"), at // 1024)
    assert host.flash.read(0x3000, 0x1000) == data.ljust(0x1000, b"\xff")
    assert host.flash.read(0x4000, 4) == bytes(4), "what was not asked for is not erased"
    assert md5(host, 0x3000, 1500) == hashlib.md5(data).hexdigest().encode()


def test_the_rom_wants_its_number_of_words_and_its_size_of_block():
    Host("esp32").download().begin(Op.FLASH_BEGIN, 1024, 0, words=5, expect=5)
    Host("esp32s3").download().begin(Op.FLASH_BEGIN, 1024, 0, words=4, expect=5)
    Host("esp32").download().begin(Op.FLASH_BEGIN, 0x4000, 0, block=0x4000, expect=5)


def test_the_rom_reaches_no_flash_before_it_was_attached():
    host = Host()
    host.chip.reset(download=True)
    host.command(Op.SYNC, SYNC_PAYLOAD)
    host.begin(Op.FLASH_BEGIN, 1024, 0, expect=8)
    host.ask(Op.FLASH_MD5, struct.pack("<IIII", 0, 16, 0, 0), expect=8)


def test_the_rom_reads_64_bytes_at_a_time_filled_up():
    host = Host().download()
    host.flash.program(0x100, pattern(64))
    assert host.ask(Op.READ_FLASH_SLOW, struct.pack("<II", 0x100, 10))[1] == pattern(10).ljust(64, b"\0")
    host.ask(Op.READ_FLASH_SLOW, struct.pack("<II", 0x100, 65), expect=5)


def test_erasing_a_region_by_the_rom_is_a_begin_without_data():
    host = Host().download()
    host.flash.program(0x1000, b"\0" * 0x3000)
    host.begin(Op.FLASH_BEGIN, 0x1000, 0x2000)
    assert host.flash.read(0x2000, 0x1000) == b"\xff" * 0x1000
    assert host.flash.read(0x1FFF, 1) == host.flash.read(0x3000, 1) == b"\0"


# --- writing, by the stub


def test_the_stub_erases_as_it_writes():
    host = Host().stub()
    host.flash.program(0, b"\0" * 0xC000)
    data = pattern(0x5000)
    host.begin(Op.FLASH_BEGIN, len(data), 0x4000, STUB_BLOCK, words=5)
    assert host.flash.read(0x4000, 16) == bytes(16)
    host.block(Op.FLASH_DATA, data[:STUB_BLOCK])
    assert host.flash.read(0x8000, 16) == bytes(16), "not reached yet"
    host.block(Op.FLASH_DATA, data[STUB_BLOCK:].ljust(STUB_BLOCK, b"\xff"), 1)
    assert host.flash.read(0x4000, 0x5000) == data
    assert host.flash.read(0x9000, 16) == bytes(16), "the filling of the last block is not written"
    host.ask(Op.FLASH_END, struct.pack("<I", 1))
    assert host.chip.mode == "stub"
    assert md5(host, 0x4000, 0x5000) == hashlib.md5(data).digest()


@pytest.mark.parametrize("stub", [False, True])
def test_deflated_blocks_in_any_pieces(stub):
    host = Host("esp32s3")
    host = host.stub() if stub else host.download()
    data = pattern(9000)
    packed = zlib.compress(data, 9)
    size = len(data) if stub else -(-len(data) // 0x400) * 0x400
    host.begin(Op.DEFL_BEGIN, size, 0x1000, words=5)
    for at in range(0, len(packed), 50):
        host.block(Op.DEFL_DATA, packed[at : at + 50], at // 50)
    assert host.flash.read(0x1000, 9000) == data
    if stub:
        host.ask(Op.DEFL_END, struct.pack("<I", 1))


def test_what_does_not_inflate_or_is_too_much_is_refused():
    host = Host().stub()
    host.begin(Op.DEFL_BEGIN, 100, 0, words=5)
    host.block(Op.DEFL_DATA, b"no zlib", expect=0xC7)
    host.begin(Op.DEFL_BEGIN, 100, 0, words=5)
    host.block(Op.DEFL_DATA, zlib.compress(bytes(101)), expect=0xC9)
    host.begin(Op.DEFL_BEGIN, 100, 0, words=5)
    host.block(Op.DEFL_DATA, zlib.compress(bytes(99)))
    host.ask(Op.DEFL_END, struct.pack("<I", 1), expect=0xC8)
    rom = Host().download()
    rom.begin(Op.DEFL_BEGIN, 1024, 0)
    rom.block(Op.DEFL_DATA, b"no zlib", expect=0x0B)


@pytest.mark.parametrize(("stub", "code"), [(False, 7), (True, 0xC1)])
def test_a_block_with_a_wrong_sum_or_length_is_refused_and_not_written(stub, code):
    host = Host()
    host = host.stub() if stub else host.download()
    host.begin(Op.FLASH_BEGIN, 64, 0, words=5 if stub else 4)
    host.block(Op.FLASH_DATA, pattern(64), checksum=0, expect=code)
    host.ask(Op.FLASH_DATA, struct.pack("<IIII", 65, 0, 0, 0) + pattern(64), expect=code)
    assert host.flash.read(0, 64) == b"\xff" * 64
    host.block(Op.FLASH_DATA, pattern(64))
    assert host.flash.read(0, 64) == pattern(64)


@pytest.mark.parametrize(("stub", "code"), [(False, 6), (True, 0xC6)])
def test_data_before_a_begin_is_refused(stub, code):
    host = Host()
    (host.stub() if stub else host.download()).block(Op.FLASH_DATA, b"data", expect=code)


@pytest.mark.parametrize(("stub", "code"), [(False, 8), (True, 0xC4)])
def test_nothing_is_written_read_or_erased_past_the_end_of_the_flash(stub, code):
    host = Host()
    host = host.stub() if stub else host.download()
    host.begin(Op.FLASH_BEGIN, 0x400, SIZE - 0x200, words=5 if stub else 4, expect=code)
    host.ask(Op.FLASH_MD5, struct.pack("<IIII", SIZE - 16, 17, 0, 0), expect=code)
    if stub:
        host.ask(Op.READ_FLASH, struct.pack("<IIII", SIZE, 1, 0x1000, 64), expect=code)
        host.ask(Op.ERASE_REGION, struct.pack("<II", SIZE, 0x1000), expect=code)


def test_the_flash_clears_bits_only():
    host = Host().stub()
    host.flash.program(0, b"\x0f" * 16)
    host.flash.before = lambda kind, address, data: None
    host.flash.failing = range(0, 1)  # the erase does nothing
    host.begin(Op.FLASH_BEGIN, 16, 0, words=5)
    host.flash.failing = range(0)
    host.flash.program(0, b"\x3c" * 16)
    assert host.flash.read(0, 16) == b"\x0c" * 16


def test_a_broken_flash_is_told_by_its_sum():
    host = Host().stub()
    host.flash.failing = range(0x2000, 0x3000)
    host.begin(Op.FLASH_BEGIN, 0x400, 0x2000, words=5)
    host.block(Op.FLASH_DATA, pattern(0x400))
    assert md5(host, 0x2000, 0x400) != hashlib.md5(pattern(0x400)).digest()


def test_the_stub_erases_all_or_whole_blocks():
    host = Host().stub()
    host.flash.program(0, bytes(0x4000))
    host.ask(Op.ERASE_REGION, struct.pack("<II", 0x1000, 0x1000))
    assert host.flash.read(0x0FFF, 0x1002) == b"\0" + b"\xff" * 0x1000 + b"\0"
    host.ask(Op.ERASE_REGION, struct.pack("<II", 0x1001, 0x1000), expect=0xC0)
    host.ask(Op.ERASE_FLASH)
    assert host.flash.read(0, SIZE) == b"\xff" * SIZE


# --- reading, by the stub


def test_reading_goes_on_as_far_as_the_host_confirms_and_ends_with_a_sum():
    host = Host().stub()
    data = pattern(0x9100)
    host.flash.program(0x200, data)
    packets = host.command(Op.READ_FLASH, struct.pack("<IIII", 0x200, len(data), 0x1000, 64))[1:]
    assert 0 < len(packets) <= 64
    read = b""
    while len(read) < len(data):
        block = packets.pop(0)
        assert len(block) <= 0x1000
        read += block
        host.packets = []
        host.chip.receive(slip.encode(struct.pack("<I", len(read))))
        packets += host.packets
    assert read == data
    assert packets == [hashlib.md5(data).digest()]
    assert md5(host, 0x200, len(data)) == packets[0], "commands are taken again"


def test_a_host_that_gives_up_reading_is_heard():
    host = Host().stub()
    host.command(Op.READ_FLASH, struct.pack("<IIII", 0, 0x8000, 0x1000, 64))
    assert len(host.command(Op.SYNC, SYNC_PAYLOAD)) == 8
    host.command(Op.READ_FLASH, struct.pack("<IIII", 0, 0, 0x1000, 64))
    assert host.packets[1:] == [hashlib.md5(b"").digest()], "nothing to read is read at once"


# --- ways out


@pytest.mark.parametrize("kind", CHIPS)
def test_the_stub_starts_after_its_answer_with_a_word_of_its_own(kind):
    host = Host(kind).download()
    host.ask(Op.MEM_BEGIN, struct.pack("<IIII", 4, 1, 0x1800, 0x4009F000))
    host.block(Op.MEM_DATA, b"stub")
    packets = host.command(Op.MEM_END, struct.pack("<II", 0, 0x4009F000))
    assert [len(packet) for packet in packets] == [12, 4] and packets[1] == b"OHAI"
    assert host.chip.mode == "stub"


def test_more_than_announced_does_not_go_into_ram():
    host = Host().download()
    host.ask(Op.MEM_BEGIN, struct.pack("<IIII", 4, 1, 0x1800, 0x4009F000))
    host.block(Op.MEM_DATA, b"stub+", expect=6)


def test_the_ends_of_a_write():
    host = Host("esp32c3", flashed("esp32c3", 4 << 20)).download()
    host.begin(Op.FLASH_BEGIN, 0, 0, words=5)
    host.ask(Op.FLASH_END, struct.pack("<I", 1))
    assert host.chip.mode == "app"
    host.stub()
    host.begin(Op.FLASH_BEGIN, 0, 0, words=5)
    host.ask(Op.FLASH_END, struct.pack("<I", 1))
    assert host.chip.mode == "stub"
    host.begin(Op.FLASH_BEGIN, 0, 0, words=5)
    host.packets = []
    host.chip.receive(slip.encode(struct.pack("<BBHII", 0, Op.FLASH_END, 4, 0, 0)))
    assert host.packets[0][:2] == bytes((1, Op.FLASH_END)), "the answer comes before the reset"
    assert host.chip.mode == "rom"


@pytest.mark.parametrize("kind", ["esp32s3", "esp32c3"])
def test_the_watchdog_resets_when_it_is_locked_not_before(kind):
    host = Host(kind, flashed(kind, 4 << 20)).stub()
    config, lock = KINDS[kind].watchdog
    write_register(host, lock, 0x50D83AA1)
    write_register(host, config, 1 << 31 | 5 << 28 | 1 << 8 | 2)
    assert host.chip.mode == "stub"
    host.packets = []
    host.chip.receive(slip.encode(struct.pack("<BBHI4I", 0, Op.WRITE_REG, 16, 0, lock, 0, 0xFFFFFFFF, 0)))
    assert host.packets[0][:2] == bytes((1, Op.WRITE_REG)), "no boot text before the answer"
    assert host.chip.mode == "app"


@pytest.mark.parametrize("kind", ["esp32s3", "esp32c3"])
def test_a_watchdog_that_was_switched_off_does_not_bite(kind):
    host = Host(kind).stub()
    config, lock = KINDS[kind].watchdog
    for address, value in ((lock, 0x50D83AA1), (config, 1 << 31), (config, 0), (lock, 0)):
        write_register(host, address, value)
    assert host.chip.mode == "stub"


# --- rates


def test_the_answer_to_a_change_of_rate_comes_at_the_old_one():
    host = Host("esp32s3")
    rate = 115200
    host.chip.host_baud = lambda: rate
    host.stub()
    host.ask(Op.CHANGE_BAUDRATE, struct.pack("<II", 921600, 115200))
    assert host.command(Op.SYNC, SYNC_PAYLOAD) == [], "the host still speaks at the old rate"
    rate = 921600
    assert len(host.command(Op.SYNC, SYNC_PAYLOAD)) == 8


def test_the_rom_follows_the_host_once_and_the_console_has_its_rate_again_after_a_reset():
    host = Host("esp32", flashed("esp32", 4 << 20))
    rate = 460800
    host.chip.host_baud = lambda: rate
    host.download()
    assert register(host, 0x40001000) == 0x00F01D83
    rate = 115200
    assert host.command(Op.SYNC, SYNC_PAYLOAD) == []
    host.chip.reset(download=False)
    host.heard = b""
    host.chip.from_app(b"hello")
    assert host.heard == b"hello"
    rate = 9600
    host.heard = b""
    host.chip.from_app(b"hello")
    assert len(host.heard) == 5 and not any(byte < 0x80 for byte in host.heard)
    heard = []
    host.chip.to_app = heard.append
    host.chip.receive(b"status\n")
    assert heard == []


def test_a_rate_of_zero_ends_the_talk():
    """What esptool asks the ESP32's ROM for when the calibration register reads 0."""
    host = Host("esp32")
    host.chip.host_baud = lambda: 115200
    host.download()
    host.ask(Op.CHANGE_BAUDRATE, struct.pack("<II", 0, 0))
    assert host.command(Op.SYNC, SYNC_PAYLOAD) == []


def test_sync_stands_for_a_reset_where_a_new_host_finds_the_old_ones_rate():
    host = Host("esp32")
    rate = 115200
    host.chip.host_baud = lambda: rate
    host.chip.sync_enters = True
    host.stub()
    host.ask(Op.CHANGE_BAUDRATE, struct.pack("<II", 921600, 115200))
    text, *answers = host.command(Op.SYNC, SYNC_PAYLOAD)
    assert text.endswith(b"waiting for download\r\n") and len(answers) == 8
    assert host.chip.mode == "rom"


def test_usb_has_no_rate():
    host = Host("esp32c3", usb_jtag=True)
    host.chip.host_baud = lambda: 300
    assert len(host.download().command(Op.SYNC, SYNC_PAYLOAD)) == 8
    assert register(host, 0x3FCDF07C) == 3


# --- faults for others' tests


@pytest.mark.parametrize(
    ("fault", "answers", "written"),
    [("lose command", 0, False), ("lose answer", 0, True), ("refuse", 1, False), (None, 1, True)],
)
def test_one_command_can_be_disturbed(fault, answers, written):
    host = Host().stub()
    host.begin(Op.FLASH_BEGIN, 128, 0, words=5)
    host.chip.disturb = lambda op, count: fault if (op, count) == (Op.FLASH_DATA, 1) else None
    data = pattern(64)
    header = struct.pack("<IIII", 64, 0, 0, 0)
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    packets = host.command(Op.FLASH_DATA, header + data, checksum)
    assert len(packets) == answers
    assert (host.flash.read(0, 64) == data) == written
    if fault == "refuse":
        assert packets[0][-2:] == b"\xc0\0"


def test_without_power_nothing_is_heard():
    host = Host("esp32", flashed("esp32", 4 << 20)).download()
    host.chip.power_off()
    assert host.command(Op.SYNC, SYNC_PAYLOAD) == []
    host.chip.from_app(b"x")
    assert host.packets == []
    host.chip.power_on()
    assert host.chip.mode == "app" and host.events[-1] == "app"
