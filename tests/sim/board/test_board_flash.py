"""Flash as NOR has it, the filesystem on it, NVS, and what a power cut leaves of them."""

from lab import START_US
from littlefs import LittleFS

from satama.packing.image import filesystem

NOR = """
from esp32 import Partition
part = Partition("journal")
block = bytearray(4096)
print("fresh", part.readblocks(0, block), block == b"\\xff" * 4096)
part.writeblocks(0, b"\\x0f" * 8, 100)
part.writeblocks(0, b"\\xf1" * 8, 104)
got = bytearray(16)
part.readblocks(0, got, 98)
print("and", got.hex())
part.writeblocks(0, bytes(4096))
part.writeblocks(0, b"\\xff" * 4096)
part.readblocks(0, got, 0)
print("erased", got.hex())
part.writeblocks(1, bytes(8192))
part.readblocks(2, got, 4080)
print("two", got == bytes(16))
print("ioctl", part.ioctl(4, 0), part.ioctl(5, 0), part.ioctl(6, 2), part.ioctl(3, 0), part.ioctl(99, 0))
part.readblocks(2, got, 4080)
print("block_erased", got == b"\\xff" * 16)
part.readblocks(1, got, 0)
print("other", got == bytes(16))
last = part.ioctl(4, 0) - 1
part.writeblocks(last, b"end", 4093)
small = bytearray(3)
part.readblocks(last, small, 4093)
print("last", bytes(small))
for action in (
    lambda: part.readblocks(last, bytearray(4), 4093),
    lambda: part.writeblocks(last, b"1234", 4093),
    lambda: part.writeblocks(last + 2, b"1", 0),
    lambda: part.writeblocks(-1, b"1", 0),
    lambda: part.ioctl(6, last + 1),
    lambda: part.writeblocks(0, bytes(100)),
):
    try:
        action()
        print("error none")
    except OSError as error:
        print("error", error.args)
"""


def test_nor_rules_bounds_and_ioctls(lab):
    board = lab(NOR)
    board.run(5)
    assert board.said("fresh") == ["None True"]
    assert board.said("and") == ["ffff0f0f0f0f01010101f1f1f1f1ffff"]
    assert board.said("erased") == ["ff" * 16]
    assert board.said("two") == ["True"]
    assert board.said("ioctl") == [f"{board.journal.size // 4096} 4096 0 0 None"]
    assert board.said("block_erased") == ["True"]
    assert board.said("other") == ["True"]
    assert board.said("last") == ["b'end'"]
    size, argument = "(-260, 'ESP_ERR_INVALID_SIZE')", "(-258, 'ESP_ERR_INVALID_ARG')"
    assert board.said("error") == [size, size, argument, argument, size, size]
    erased = [index for index, count in enumerate(board.flash.erases) if count]
    first = board.journal.offset // 4096
    assert erased == [first, first + 1, first + 2]
    assert board.flash.erases[first : first + 3] == [2, 1, 2]


def test_partitions_are_found_by_label_type_and_subtype(lab):
    board = lab(
        """
from esp32 import Partition
print("info", Partition("journal").info())
print("data", [p.info()[4] for p in Partition.find(Partition.TYPE_DATA)])
print("app", [p.info()[4] for p in Partition.find()])
print("sub", [p.info()[4] for p in Partition.find(Partition.TYPE_DATA, subtype=0x81)])
print("label", [p.info()[4] for p in Partition.find(Partition.TYPE_DATA, label="journal")], Partition.find(1, label="none"))
print("running", Partition(Partition.RUNNING).info()[4], Partition(Partition.BOOT).info()[4])
for wrong in ("cargo", 7):
    try:
        Partition(wrong)
    except OSError as error:
        print("wrong", error.errno)
    except ValueError:
        print("wrong", "value")
"""
    )
    board.run(1)
    where = f"{board.journal.offset}, {board.journal.size}"
    assert board.said("info") == [f"(1, 64, {where}, 'journal', False)"]
    assert board.said("data") == ["['nvs', 'phy_init', 'vfs', 'journal']"]
    assert board.said("app") == ["['factory']"]
    assert board.said("sub") == ["['vfs']"]
    assert board.said("label") == ["['journal'] []"]
    assert board.said("running") == ["factory factory"]
    assert board.said("wrong") == ["2", "value"]


FILES = """
import os, time
found = sorted(os.listdir("/"))
print("found", *found)
for name in ("flushed.txt", "closed.txt", "open.txt"):
    if name in found:
        print(name, open(name).read())
if "flushed.txt" not in found:
    with open("closed.txt", "w") as file:
        file.write("closed")
    flushed = open("flushed.txt", "w")
    flushed.write("safe ")
    flushed.flush()
    flushed.write("not yet")
    unflushed = open("open.txt", "w")
    unflushed.write("lost")
    print("written", time.ticks_ms())
    time.sleep(60)
"""


def test_files_survive_a_power_cut_once_flushed_and_are_lost_before(lab):
    board = lab(FILES, {"lib/tool.py": "x = 1\n"})
    board.run(30)
    board.power_off()
    board.power_on()
    board.run(5)
    assert board.said("found")[0] == "lib main.py"
    assert board.said("written")
    assert board.said("closed.txt") == ["closed"]
    assert board.said("flushed.txt") == ["safe "]
    assert board.said("open.txt") in ([""], [])  # its name is there at most


def test_files_survive_every_kind_of_reset(lab):
    board = lab(
        """
import machine
with open("log.txt", "a") as file:
    file.write(str(machine.reset_cause()))
log = open("log.txt").read()
print("log", log)
if len(log) == 1:
    machine.reset()
if len(log) == 2:
    machine.soft_reset()
if len(log) == 3:
    machine.deepsleep(1)
"""
    )
    board.run(10)
    assert board.said("log")[-1] == "1254"


def test_a_cut_at_any_write_leaves_the_old_content_or_the_new(lab):
    main = """
import os
print("have", open("state.txt").read())
with open("state.tmp", "w") as file:
    file.write("new" * 2000)
os.rename("state.tmp", "state.txt")
print("done")
"""
    operations = []
    board = lab(main, {"state.txt": "old"})
    board.flash.before = lambda kind, address, data: operations.append(kind)
    board.run(5)
    assert "done" in board.lines
    total = len(operations)
    assert total >= 6
    for cut in range(0, total, 3):
        board = lab(main, {"state.txt": "old"})
        left = [cut]

        def count(kind, address, data, board=board, left=left):
            if left[0] == 0:
                board.board.timeline.after(0, board.power_off)
            left[0] -= 1

        board.flash.before = count
        board.run(5)
        assert not board.board.powered
        board.flash.before = None
        board.power_on()
        board.run(5)
        assert board.said("have")[-1] in ("old", "new" * 2000), cut
        assert "done" in board.lines


def test_the_image_of_the_host_and_the_filesystem_of_the_vm_are_one_format(lab):
    board = lab(
        """
import sys
from deep.folder import inside
print("inside", inside.value, sys.path)
with open("/deep/made.bin", "wb") as file:
    file.write(bytes(range(256)) * 40)
""",
        {"deep/folder/inside.py": "value = 42\n"},
    )
    board.run(2)
    assert board.said("inside") == ["42 ['', '.frozen', '/lib']"]
    lfs = LittleFS(
        block_size=4096,
        block_count=board.vfs.size // 4096,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        mount=False,
    )
    lfs.context.buffer = bytearray(board.flash.data[board.vfs.offset : board.vfs.offset + board.vfs.size])
    lfs.mount()
    with lfs.open("deep/made.bin", "rb") as file:
        assert file.read() == bytes(range(256)) * 40


def test_a_blank_filesystem_is_made_and_a_damaged_one_is_not_touched(lab):
    board = lab("", blank=True)
    board.run(5)
    assert board.board.idle
    fresh = filesystem({}, board.vfs.size)
    assert bytes(board.flash.data[board.vfs.offset + 8 : board.vfs.offset + 16]) == fresh[8:16] == b"littlefs"

    board = lab("print('never')")
    for block in (0, 1):
        at = board.vfs.offset + block * 4096
        board.flash.data[at : at + 64] = b"\xa5" * 64
    before = bytes(board.flash.data)
    board.run(10)
    assert len([line for line in board.lines if "appears to be corrupted" in line]) >= 3
    assert "never" not in board.lines
    assert bytes(board.flash.data) == before


NVS = """
from esp32 import NVS
import machine, time
nvs = NVS("berth")
def get(key):
    try:
        return nvs.get_i32(key)
    except OSError as error:
        return error.args
buf = bytearray(8)
def blob(key):
    try:
        length = nvs.get_blob(key, buf)
        return bytes(buf[:length])
    except OSError as error:
        return error.args
print("kept", get("epoch"), get("draft"), blob("name"))
nvs.set_i32("epoch", -5)
nvs.set_blob("name", b"quay")
print("pending", get("epoch"), blob("name"))
nvs.commit()
nvs.set_i32("draft", 7)
print("draft", get("draft"))
print("other", NVS("other").get_i32("epoch") if False else "-")
nvs.set_blob("long", bytes(9))
print("too_small", blob("long"))
nvs.set_blob("text", "text")
print("text", blob("text"))
nvs.erase_key("text")
print("erased", blob("text"))
for action in (
    lambda: nvs.erase_key("nothing"),
    lambda: nvs.set_i32("a_key_of_sixteen", 1),
    lambda: nvs.set_i32("big", 1 << 31),
    lambda: NVS("a_name_of_sixteen"),
    lambda: NVS("other").get_i32("epoch"),
):
    try:
        action()
        print("error none")
    except OSError as error:
        print("error", error.args)
    except OverflowError:
        print("error overflow")
time.sleep(5)
"""


def test_nvs_keeps_what_was_committed(lab):
    board = lab(NVS)
    board.run(3)
    missing = "(-4354, 'ESP_ERR_NVS_NOT_FOUND')"
    assert board.said("kept") == [f"{missing} {missing} {missing}"]
    assert board.said("pending") == ["-5 b'quay'"]
    assert board.said("draft") == ["7"]
    assert board.said("too_small") == ["(-4364, 'ESP_ERR_NVS_INVALID_LENGTH')"]
    assert board.said("text") == ["b'text'"]
    assert board.said("erased") == [missing]
    assert board.said("error") == [
        missing,
        "(-4361, 'ESP_ERR_NVS_KEY_TOO_LONG')",
        "overflow",
        "(-4358, 'ESP_ERR_NVS_INVALID_NAME')",
        missing,
    ]
    board.power_off()
    board.power_on()
    board.run(3)
    assert board.said("kept")[1] == f"-5 {missing} b'quay'"


def test_a_cut_before_the_commit_is_done_leaves_the_old_value(lab):
    main = """
from esp32 import NVS
nvs = NVS("berth")
try:
    print("kept", nvs.get_i32("slot"))
except OSError:
    nvs.set_i32("slot", 1)
    nvs.commit()
nvs.set_i32("slot", 2)
print("committing")
nvs.commit()
print("done")
"""
    board = lab(main)
    while "done" not in board.lines:
        board.run(0.0001)
    commit_end = board.timeline.now_us
    board = lab(main)
    board.at((commit_end - 300) / 1e6, board.power_off)
    board.run(1)
    assert not board.board.powered
    assert board.timeline.now_us > START_US
    board.power_on()
    board.run(1)
    assert board.said("kept") == ["1"]
    board.power_off()
    board.power_on()
    board.run(1)
    assert board.said("kept") == ["1", "2"]
