"""Provisioning of simulated chips by esptool's own code: each flash holds its own cabinet, and nobody else's secrets."""

import hashlib
import json
from pathlib import Path

import pytest
from cabinet_tables import write_site, write_table
from littlefs import LittleFS
from typer.testing import CliRunner

from satama.boards.board import load_board
from satama.cli import app
from satama.commissioning.after_flash import Commissioned
from satama.commissioning.checklist import Line
from satama.core import progress
from satama.provisioning import board_workshop
from satama.provisioning.board_workshop import BoardWorkshop
from satama.provisioning.cabinets import read_table
from satama.provisioning.prepare import compile_cabinet
from satama.provisioning.workshop import Done, Failed
from satama.serial_line.ports import PortError
from satama_sim.board.flash import NorFlash
from satama_sim.chip.chip import Chip
from satama_sim.chip.net_doors import SocketDoor
from satama_sim.chip.pty_door import PtyDoor
from satama_sim.chip.serve import served
from satama_sim.chip.stock import stock_image

MACS = ["240ac4000001", "240ac4000002"]


def files_in(flash):
    """Path -> content of what the board will find in its vfs."""
    vfs = load_board("esp32-devkit").partitions["vfs"]
    data = bytearray(flash.data[vfs.offset : vfs.offset + vfs.size])
    lfs = LittleFS(block_size=4096, block_count=len(data) // 4096, read_size=32, prog_size=32, cache_size=128,
                   lookahead_size=32, mount=False)  # fmt: skip
    lfs.context.buffer[:] = data
    lfs.mount()
    found = {}
    for folder, _, names in lfs.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with lfs.open(path, "rb") as file:
                found[path] = file.read()
    return found


def provision(table, *more, code=0):
    done = CliRunner().invoke(app, ["provision", str(table), "--yes", "--json", "--no-test", *more])
    assert done.exit_code == code, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "ESP32_GENERIC-20250911-v1.26.1.bin"
    path.write_bytes(stock_image("esp32"))
    return str(path)


def test_two_boards_get_each_their_own_and_a_third_that_is_another_chip_stays_as_it_is(tmp_path, firmware):
    write_site(tmp_path)
    flashes = [NorFlash(4 << 20) for _ in range(3)]
    chips = [Chip("esp32", flash, bytes.fromhex(mac)) for flash, mac in zip(flashes, MACS, strict=False)]
    chips.append(Chip("esp32c3", flashes[2], bytes.fromhex("240ac4000003")))
    with served(chips[0], PtyDoor) as one, served(chips[1], PtyDoor) as two, served(chips[2], PtyDoor) as three:
        table = write_table(
            tmp_path, "gateway,site,port,mac,mqtt_user,mqtt_password",
            f"cab-1,site.toml,{one.url},{MACS[0]},cab-1,first-secret", f"cab-2,site.toml,{two.url},,cab-2,second-secret",
            f"cab-3,site.toml,{three.url},,cab-3,third-secret",
        )  # fmt: skip
        events = provision(table, "--firmware", firmware, "--labels", str(tmp_path / "labels"), code=1)
        done = events[-1]
        assert done["flashed"] == ["cab-1", "cab-2"] and [*done["failed"]] == ["cab-3"]
        assert "ESP32-C3 is connected" in done["failed"]["cab-3"]
        programs = [flash.programs for flash in flashes]
        again = provision(table, "--firmware", firmware, "--again", code=1)[-1]
        assert again["flashed"] == ["cab-1", "cab-2"]
        assert [flash.programs for flash in flashes] == programs, "the second run wrote into a flash"
    assert set(flashes[2].data) == {0xFF}
    for flash, mine, other in ((flashes[0], "first", "second"), (flashes[1], "second", "first")):
        assert f"{mine}-secret".encode() in b"".join(files_in(flash).values())
        assert f"{other}-secret".encode() not in flash.data and b"third-secret" not in flash.data
    rows = [json.loads(line) for line in (tmp_path / "cabinets.records" / "records.jsonl").read_text().splitlines()]
    macs = {row["gateway"]: row["mac"].replace(":", "") for row in rows if row["result"] == "flashed"}
    assert macs == {"cab-1": MACS[0], "cab-2": MACS[1]}
    assert (tmp_path / "labels" / "cab-2.png").exists() and not (tmp_path / "labels" / "cab-3.png").exists()
    said = json.dumps([rows, events])
    vfs = load_board("esp32-devkit").partitions["vfs"]
    for flash in flashes[:2]:
        digest = hashlib.sha256(flash.data[vfs.offset : vfs.offset + vfs.size]).hexdigest()
        assert digest not in said, "a passphrase could be tried on it"
    assert not [word for word in ("first", "second", "third") if f"{word}-secret" in said]


def test_firmware_that_does_not_do_is_refused_before_a_board_is_looked_at(tmp_path, firmware):
    write_site(tmp_path)
    table = write_table(tmp_path, "gateway,site,port", "cab-1,site.toml,/dev/no-such-port")
    (tmp_path / "cut.bin").write_bytes(stock_image("esp32")[:200_000])
    (tmp_path / "c3.bin").write_bytes(stock_image("esp32c3"))
    for name in ("cut.bin", "c3.bin", "none.bin"):
        told = provision(table, "--firmware", str(tmp_path / name), code=2)[-1]
        assert " -> " in told["problems"][0]["what"], told
    assert not (tmp_path / "cabinets.records").exists()
    done = provision(table, "--firmware", firmware, code=1)[-1]
    assert "there is no port /dev/no-such-port" in done["failed"]["cab-1"]


def test_a_board_with_another_chip_is_not_begun_and_can_become_its_own_cabinet(tmp_path, firmware):
    write_site(tmp_path)
    c3 = write_site(tmp_path, name="c3.toml")
    c3.write_text(c3.read_text().replace("esp32-devkit", "esp32-c3-devkit"))
    flash = NorFlash(4 << 20)
    with served(Chip("esp32", flash, bytes.fromhex(MACS[0])), PtyDoor) as port:
        table = read_table(write_table(tmp_path, "gateway,site", "cab-1,c3.toml", "cab-2,site.toml"))
        first, second = (compile_cabinet(table, one, write_ids=False) for one in table.cabinets)
        workshop = BoardWorkshop(Path(firmware))
        workshop._firmware_for = lambda order: tmp_path / f"{order.compiled.board.chip}.bin"
        for chip in ("esp32", "esp32c3"):
            (tmp_path / f"{chip}.bin").write_bytes(stock_image(chip))
        with pytest.raises(Failed, match="an ESP32 is connected, but the board esp32-c3-devkit has an ESP32-C3"):
            workshop.identify(port.url, first, lambda mac: first)
        assert workshop.identify(port.url, first, lambda mac: second)[1] is second
    assert set(flash.data) == {0xFF}


@pytest.mark.parametrize("door", [PtyDoor, SocketDoor])
def test_a_board_that_is_looked_at_stays_as_it_is_and_can_be_flashed_at_once(tmp_path, firmware, door):
    write_site(tmp_path)
    table = read_table(write_table(tmp_path, "gateway,site", "cab-1,site.toml"))
    order, workshop = compile_cabinet(table, table.cabinets[0], write_ids=False), BoardWorkshop(Path(firmware))
    flash = NorFlash(4 << 20)

    def no(mac):
        raise Failed(f"not {mac}")

    with served(Chip("esp32", flash, bytes.fromhex(MACS[0])), door) as port:
        with pytest.raises(Failed, match="not 24:0a:c4:00:00:01"):
            workshop.identify(port.url, order, no)
        assert workshop.identify(port.url, order, lambda mac: order) == ("24:0a:c4:00:00:01", order)
        assert set(flash.data) == {0xFF}
        done = workshop.flash(port.url, order, progress.reporter(True))
    assert done.mac == "24:0a:c4:00:00:01" and "filesystem" in done.written


def test_the_self_test_is_reported_and_what_is_red_is_named(tmp_path, monkeypatch):
    write_site(tmp_path)
    table = read_table(write_table(tmp_path, "gateway,site", "cab:1,site.toml"))
    order = compile_cabinet(table, table.cabinets[0], write_ids=False)
    lines = [Line("device", "soil", "red", "silent", "look at its wires"), Line("broker", "", "ok", "fine", "")]
    answer = {"passed": False, "checks": [], "gateway": "cab:1"}
    done = Done("24:0a:c4:00:00:01", "esp32", {"version": "v1", "sha256": "ab"})
    monkeypatch.setattr(board_workshop, "commission", lambda port, report, **_: Commissioned(answer, lines))
    workshop, quiet = BoardWorkshop(None, by="Aino"), progress.reporter(True)
    told = workshop.selftest("COM3", order, done, quiet, tmp_path / "records")
    assert told == {"passed": False, "red": ["device soil"]}
    report = json.loads((tmp_path / "records" / "reports" / "cab_1.json").read_text())
    assert report["by"] == "Aino" and report["gateway"]["site"] == "yard"
    assert "look at its wires" in (tmp_path / "records" / "reports" / "cab_1.html").read_text()

    def silent(port, report, **_):
        raise PortError("the cable of COM3 broke -> plug it in again")

    monkeypatch.setattr(board_workshop, "commission", silent)
    with pytest.raises(Failed, match="the cable of COM3 broke"):
        workshop.selftest("COM3", order, done, quiet, tmp_path)
    assert BoardWorkshop(None, test=False).selftest("COM3", order, done, quiet, tmp_path) is None
