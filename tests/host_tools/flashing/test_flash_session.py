"""The whole flash against a simulated chip that esptool's own code talks to."""

import random

import pytest
from flash_bench import Record, board_of, chip_for, compiled_site, stock

from satama.flashing import session
from satama.flashing.errors import FlashError
from satama.flashing.flash import flash
from satama.flashing.partition_table import TABLE_AT
from satama.flashing.plan import make_plan
from satama.flashing.stock import read_stock
from satama_sim.board.flash import NorFlash
from satama_sim.chip import bootable
from satama_sim.chip.net_doors import Rfc2217Door, SocketDoor
from satama_sim.chip.pty_door import PtyDoor
from satama_sim.chip.serve import served

BOARDS = {"esp32": "esp32-devkit", "esp32s3": "esp32-s3-devkit", "esp32c3": "esp32-c3-devkit"}


class Desk:
    """A site, its board, a stock file, and the flash of the chip that is on the desk."""

    def __init__(self, folder, kind="esp32", size=None):
        self.compiled = compiled_site(folder, BOARDS[kind])
        self.board, self.kind, self.folder = board_of(self.compiled), kind, folder
        self.firmware = folder / f"{kind}.bin"
        self.firmware.write_bytes(stock(kind))
        self.flash = NorFlash(size or self.board.flash_bytes)
        self.plan = make_plan(self.board, self.compiled, read_stock(stock(kind), "f"))

    def run(self, url, compiled=None, report=None, **options):
        return flash(url, self.board, compiled or self.compiled, self.firmware, report or Record(), **options)

    def refused(self, kind, url, **options):
        before = bytes(self.flash.data)
        with pytest.raises(FlashError) as caught:
            self.run(url, **options)
        assert caught.value.kind == kind and " -> " in str(caught.value)
        assert not caught.value.changed
        assert bytes(self.flash.data) == before, "something was erased"
        return str(caught.value)

    def is_complete(self):
        return all(
            self.flash.data[region.at : region.at + len(region.data)] == region.data
            for region in [*self.plan.regions, self.plan.table]
        )

    def starts(self):
        return bootable.check(self.flash, self.kind).application is not None

    def partition(self, name):
        at, size = self.plan.room(name)
        return slice(at, at + size)

    def write_all(self):
        """As a flash leaves it."""
        for region in [*self.plan.regions, self.plan.table]:
            self.flash.data[region.at : region.at + len(region.data)] = region.data

    def put_journal(self):
        """As a gateway leaves it: blocks with their mark, at the beginning and in its state ring."""
        at, size = self.plan.room("journal")
        for block in (at, at + size - 24 * 4096):
            mark = b"SATJ" if block == at else b"SATS"
            self.flash.data[block : block + 200] = mark + bytes(range(196))
        nvs = self.plan.room("nvs")[0]
        self.flash.data[nvs : nvs + 64] = b"epoch".ljust(64, b"\7")
        return self.kept()

    def kept(self):
        return bytes(self.flash.data[self.partition("journal")]), bytes(self.flash.data[self.partition("nvs")])


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.mark.parametrize("kind", BOARDS)
@pytest.mark.parametrize("door", [PtyDoor, SocketDoor])
def test_a_blank_board_is_written_and_starts(tmp_path, kind, door):
    desk = Desk(tmp_path, kind)
    report = Record()
    with served(chip_for(kind, desk.flash), door) as port:
        done = desk.run(port.url, report=report)
        assert desk.is_complete() and desk.starts()
        assert (done.mac, done.chip, done.gateway, done.firmware) == ("24:0a:c4:12:34:56", kind, "box-1", "v1.26.1")
        assert not done.journal_kept and not any(row.kept for row in done.regions)
        assert [row.sha256 for row in done.regions] == [r.sha256 for r in [*desk.plan.regions, desk.plan.table]]
        assert report.steps[-2:] == ["write partition table", "restart"]

        written = bytes(desk.flash.data)
        programs = desk.flash.programs
        again = desk.run(port.url)
        assert all(row.kept for row in again.regions) and again.journal_kept
        assert (bytes(desk.flash.data), desk.flash.programs) == (written, programs), "the second flash wrote something"


def test_what_was_on_the_board_goes(desk):
    desk.flash.data[:] = b"\x5a" * desk.flash.size
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        desk.run(port.url)
    assert desk.is_complete() and desk.starts()
    assert set(desk.flash.data[desk.partition("nvs")]) == set(desk.flash.data[desk.partition("journal")]) == {0xFF}


def test_only_what_changed_is_written_and_the_journal_stays(desk, tmp_path):
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        desk.run(port.url)
        kept = desk.put_journal()
        desk.flash.data[desk.plan.regions[2].at + 100] ^= 1  # the gateway wrote into its filesystem
        done = desk.run(port.url)
    assert {row.name: row.kept for row in done.regions} == {
        "boot loader": True, "application": True, "filesystem": False, "partition table": False,
    }  # fmt: skip
    assert done.journal_kept and desk.kept() == kept
    assert desk.is_complete()


def test_a_journal_goes_only_when_that_is_said(desk):
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        desk.run(port.url)
        _, nvs = desk.put_journal()
        done = desk.run(port.url, erase_journal=True)
    assert not done.journal_kept
    journal, kept = desk.kept()
    assert set(journal) == {0xFF} and kept == nvs, "the epoch goes on"


def test_a_board_of_another_gateway_is_refused(desk, tmp_path):
    other = compiled_site(tmp_path, gateway="box-2")
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        desk.run(port.url)
        assert "the board was lab/box-1" in desk.refused("other_gateway", port.url, compiled=other)
        assert not desk.run(port.url, compiled=other, erase_journal=True).journal_kept


def test_a_journal_survives_a_stock_image_written_over_it(desk):
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        desk.run(port.url)
        kept = desk.put_journal()
        image = stock("esp32")
        desk.flash.data[0x1000:0x9000] = image[:0x8000]
        done = desk.run(port.url)
        assert any("whose gateway it does not say" in remark for remark in done.remarks)
        assert desk.run(port.url).remarks == []
    assert done.journal_kept and desk.kept() == kept and desk.is_complete()


@pytest.mark.parametrize(
    "kind, options, error, words",
    [
        ("esp32s3", {}, "wrong_chip", "an ESP32-S3 is connected, but the board esp32-devkit has an ESP32"),
        ("esp32c3", {}, "wrong_chip", "name the board that it is: esp32-c3-devkit"),
        ("esp32", {"size": 2 << 20}, "small_flash", "the flash has 2 MiB"),
        ("esp32", {"flash_id": 0xFFFFFF}, "no_flash", "does not say how large it is"),
        ("esp32", {"secure_boot": True}, "locked", "secure boot is on"),
        ("esp32", {"encryption": True}, "locked", "flash encryption is on"),
    ],
)
def test_a_board_that_does_not_suit_stays_as_it_is(tmp_path, kind, options, error, words):
    desk = Desk(tmp_path, size=options.pop("size", 4 << 20))
    with served(chip_for(kind, desk.flash, **options), PtyDoor) as port:
        assert words in desk.refused(error, port.url)


def test_a_chip_that_is_too_old_for_the_firmware(tmp_path):
    desk = Desk(tmp_path, "esp32c3")
    desk.firmware.write_bytes(stock("esp32c3", min_revision=4))
    with served(chip_for("esp32c3", desk.flash, revision=(0, 3)), PtyDoor) as port:
        assert "the chip is revision v0.3" in desk.refused("wrong_revision", port.url)


@pytest.mark.real_time
def test_over_rfc2217_and_a_refused_board_goes_on_with_what_it_does(desk, tmp_path):
    starts = []
    other = compiled_site(tmp_path, gateway="box-2")
    with served(chip_for("esp32", desk.flash, on_app=lambda: starts.append(1)), Rfc2217Door) as port:
        assert desk.run(port.url).restarted
        assert desk.is_complete() and port.chip.mode == "app"
        before = len(starts)
        desk.refused("other_gateway", port.url, compiled=other)
        assert port.chip.mode == "app" and len(starts) == before + 1


def test_a_board_with_which_no_session_comes_about_goes_on_with_what_it_does(desk, monkeypatch):
    """Ctrl-C while esptool connects: the chip is in its boot loader by then, at the worst with BOOT held down by the line."""
    starts = []
    detect = session.cmds.detect_chip

    def pressed(port, *more):
        detect(port, *more)
        port.dtr = True
        raise KeyboardInterrupt

    desk.write_all()
    with served(chip_for("esp32", desk.flash, on_app=lambda: starts.append(1)), Rfc2217Door) as port:
        monkeypatch.setattr(session.cmds, "detect_chip", pressed)
        assert "nothing to do" in desk.refused("interrupted", port.url)
        assert port.chip.mode == "app" and len(starts) == 2
    monkeypatch.setattr(session.cmds, "detect_chip", detect)
    with served(chip_for("esp32", desk.flash, secure_boot=True), Rfc2217Door) as port:
        desk.refused("locked", port.url)
        assert port.chip.mode == "app"


def test_a_refused_board_that_no_line_can_restart(desk, tmp_path):
    report = Record()
    with served(chip_for("esp32s3", desk.flash), SocketDoor) as port:
        desk.refused("wrong_chip", port.url, report=report)
        assert report.said == [] and port.chip.mode == "app", "the S3 has a watchdog for that"
    with served(chip_for("esp32", desk.flash), SocketDoor, close_boots=False) as port:
        desk.run(port.url)
        other = compiled_site(tmp_path, gateway="box-2")
        desk.refused("other_gateway", port.url, compiled=other, report=report)
        assert "press its RESET button" in report.said[-1]


def test_ports_that_do_not_work(desk):
    assert "there is no port" in desk.refused("port", "/dev/there-is-none")
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        from satama.serial_line.ports import open_port

        with open_port(port.url):
            assert "another program uses" in desk.refused("port", port.url)


@pytest.mark.real_time
def test_nobody_answers(desk):
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        desk.run(port.url)
        port.chip.sync_enters = False  # a board without reset lines, whose gateway runs
        told = desk.refused("silent", port.url)
    assert "nobody answers" in told and "hold the board's BOOT button" in told


def test_ctrl_c_before_and_after_something_was_changed(desk):
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        assert "nothing to do" in desk.refused("interrupted", port.url, report=Record("compare"))
        with pytest.raises(FlashError, match="run the same command again") as caught:
            desk.run(port.url, report=Record("write application"))
        assert caught.value.kind == "interrupted" and caught.value.changed and caught.value.code == 1
        assert not desk.starts()
        desk.run(port.url)
    assert desk.is_complete() and desk.starts()


@pytest.mark.long
@pytest.mark.parametrize("door", [PtyDoor, SocketDoor])
def test_the_cable_is_pulled_and_the_same_command_is_run_again(desk, door):
    """A board that was ours: wherever it is cut, it starts either what it had or nothing, and keeps its journal."""
    dice = random.Random(16)
    with served(chip_for("esp32", desk.flash), door) as port:
        desk.run(port.url)
        kept = desk.put_journal()
        whole = port.taken
        for _ in range(25):
            for region in desk.plan.regions:
                desk.flash.data[region.at + 64] ^= 0xFF
            port.cut_after(dice.randrange(whole // 8, whole * 9 // 10), powers=True)
            with pytest.raises(FlashError) as caught:
                desk.run(port.url)
            assert " -> " in str(caught.value)
            assert not (caught.value.changed and desk.starts())
            port.plug_in()
            done = desk.run(port.url)
            assert desk.is_complete() and desk.starts()
            assert done.journal_kept and desk.kept() == kept


def test_a_cut_amid_the_sector_of_the_table_loses_no_journal(desk):
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        desk.run(port.url)
        kept = desk.put_journal()
        desk.flash.data[TABLE_AT : TABLE_AT + 4096] = b"\xff" * 4096
        done = desk.run(port.url)
    assert done.journal_kept and desk.kept() == kept and desk.is_complete()


def test_a_worn_out_flash_is_told(desk):
    desk.flash.failing = range(0x20000, 0x30000)
    with served(chip_for("esp32", desk.flash), PtyDoor) as port, pytest.raises(FlashError, match="worn out") as caught:
        desk.run(port.url)
    assert caught.value.kind == "verify" and caught.value.changed
    assert not desk.starts()


def test_a_chip_that_reports_faults_is_told(desk):
    chip = chip_for("esp32", desk.flash)
    chip.disturb = lambda op, count: "refuse" if op == 0x11 else None  # blocks of compressed data
    with served(chip, PtyDoor) as port, pytest.raises(FlashError, match="the chip reports a fault") as caught:
        desk.run(port.url)
    assert caught.value.kind == "chip_fault" and caught.value.changed


def test_a_stub_loader_that_a_cut_left_behind_is_found(desk):
    """The board kept its power, and no line can reset it: it listens at the fast rate."""
    with served(chip_for("esp32", desk.flash), PtyDoor) as port:
        port.cut_after(200_000)
        with pytest.raises(FlashError):
            desk.run(port.url)
        port.plug_in()
        assert port.chip.mode == "stub" and port.chip.baud == 460800
        desk.run(port.url)
    assert desk.is_complete() and desk.starts()
