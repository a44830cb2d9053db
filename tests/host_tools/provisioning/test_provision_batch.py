"""satama provision from the table to the record: what is done, what fails, what a second run does, and what stays secret."""

import hashlib
import itertools
import json
import os
import stat

import pytest
from cabinet_tables import PLAIN, SHARED, TLS, WIFI, FakeWorkshop, mac, write_site, write_table
from typer.testing import CliRunner

from satama.cli import app
from satama.commands import provision as commands
from satama.core.problems import Problem, Problems
from satama.provisioning.bench import WaitingBench
from satama.provisioning.broker_files import is_hash_of
from satama.provisioning.one_run import one_run
from satama.provisioning.records import Records
from satama.provisioning.workshop import Failed
from satama_sim.authority import Authority

RUN = CliRunner()
PORT = "socket://bench.example:4000"  # a URL is never waited for; no board is behind it in these tests


@pytest.fixture
def folder(tmp_path):
    write_site(tmp_path)
    return tmp_path


@pytest.fixture
def bench(monkeypatch):
    """A function that puts boards on the bench and gives the workshop that will see them."""
    monkeypatch.setattr("satama.provisioning.bench._LOOK_AT_URL_S", 0)

    def put(*boards, **options):
        workshop = FakeWorkshop([mac(one) if isinstance(one, int) else one for one in boards], **options)
        monkeypatch.setattr(commands, "make_workshop", lambda *_: workshop)
        return workshop

    return put


def provision(table, *more, code=0):
    """Events of the run."""
    done = RUN.invoke(app, ["provision", str(table), "--yes", "--json", "--port", PORT, "--wait", "1", *more])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return [json.loads(line) for line in done.stdout.splitlines()]


def three(folder, *extra):
    return write_table(folder, "gateway,site,location", *(f"cab-{n},site.toml,Laituri {n}" for n in (1, 2, 3)), *extra)


def rows(folder):
    return [json.loads(line) for line in (folder / "cabinets.records" / "records.jsonl").read_text().splitlines()]


def test_each_board_becomes_one_cabinet_and_is_recorded(folder, bench):
    workshop = bench(1, 2, 3)
    events = provision(three(folder))
    assert events[-1]["event"] == "result" and events[-1]["ok"] and events[-1]["flashed"] == ["cab-1", "cab-2", "cab-3"]
    assert [row["result"] for row in rows(folder)] == ["begun", "flashed"] * 3
    last = rows(folder)[-1]
    assert {
        "row": 4, "gateway": "cab-3", "site": "yard", "site_file": "site.toml", "location": "Laituri 3", "mac": mac(3),
        "board": "esp32-devkit", "chip": "esp32", "port": PORT, "firmware": {"version": "v1.26.1", "sha256": "ab" * 32},
        "selftest": {"passed": True, "red": []},
    }.items() <= last.items()  # fmt: skip
    assert len(last["config"]) == 16 and len(last["application"]) == 64 and last["when"].endswith("Z") and last["tool"]
    assert (folder / "site.ids.toml").exists()
    body = {name: b"".join(files.values()) for name, files in workshop.flashed.items()}
    assert all((f'"gateway":"{name}"'.encode() in body[other]) == (name == other) for name in body for other in body)


def test_a_failure_does_not_stop_the_others_and_resume_does_only_what_is_left(folder, bench):
    bench(1, 2, 3, fails={"cab-2": "the chip stopped answering -> another cable"})
    table = three(folder)
    done = provision(table, code=1)[-1]
    assert (done["flashed"], done["failed"]) == (
        ["cab-1", "cab-3"],
        {"cab-2": "the chip stopped answering -> another cable"},
    )
    assert [row["error"] for row in rows(folder) if row["result"] == "failed"] == [
        "the chip stopped answering -> another cable"
    ]
    workshop = bench(2)
    events = provision(table, "--resume")
    assert [*workshop.flashed] == ["cab-2"] and events[-1]["kept"] == 2
    assert {"event": "kept", "gateways": ["cab-1", "cab-3"]} in events
    workshop = bench(firmware={"version": "v1.27.0", "sha256": "cd" * 32})
    events = provision(table, "--resume")
    assert events[-1]["kept"] == 3 and not workshop.ports
    assert any("cab-1, cab-2, cab-3: done with another MicroPython" in e.get("what", "") for e in events)


def test_a_second_run_must_say_what_it_means(folder, bench):
    bench(1, 2, 3)
    table = three(folder)
    provision(table)
    workshop = bench(1, 2, 3)
    told = provision(table, code=2)[-1]
    assert "3 of the 3 cabinets are flashed already" in told["problems"][0]["what"] and not workshop.ports
    assert "--resume" in told["problems"][0]["hint"] and "--again" in told["problems"][0]["hint"]
    provision(table, "--again")
    assert len(workshop.flashed) == 3
    assert "contradict" in provision(table, "--again", "--resume", code=2)[-1]["problems"][0]["what"]


def test_what_has_changed_since_is_done_again(folder, bench):
    bench(1, 2, 3)
    table = three(folder)
    provision(table)
    write_table(folder, *table.read_text().replace("location", "wifi_password").replace("Laituri 2", "another-psk")
                .replace("Laituri 1", "").replace("Laituri 3", "").splitlines())  # fmt: skip
    workshop = bench(2)
    provision(table, "--resume")
    assert [*workshop.flashed] == ["cab-2"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), "power"])
def test_a_batch_that_was_cut_off_goes_on(folder, bench, end):
    table = three(folder)
    if end == "power":
        bench(1, 2, 3)
        provision(table)
        path = folder / "cabinets.records" / "records.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:3]) + lines[3][: len(lines[3]) // 2])  # within cab-2's last line
    else:
        bench(1, 2, 3, fails={"cab-2": end})
        done = provision(table, code=1)[-1]
        assert done["left"] == ["cab-2", "cab-3"]
        assert done["ended"] == "interrupted; cab-2: its board may be half written; it can be flashed again at any time"
    workshop = bench(2, 3)
    events = provision(table, "--resume")
    assert [*workshop.flashed] == ["cab-2", "cab-3"]
    notes = [event["what"] for event in events if event["event"] == "note" and "record" in event["file"]]
    assert notes == (
        ["this line is damaged and does not count (the last one: a run was cut off)"] if end == "power" else []
    )
    record = Records(folder / "cabinets.records")
    assert len(record.notes) == len(notes) and [row["result"] for row in record.lines[-4:]] == ["begun", "flashed"] * 2
    assert record.latest("cab-2")["result"] == record.latest("cab-3")["result"] == "flashed"


def test_a_board_that_was_cut_off_in_its_second_flash_is_not_taken_for_done(folder, bench):
    bench(1, 2, 3)
    table = three(folder)
    provision(table)
    bench(1, 2, fails={"cab-2": KeyboardInterrupt()})
    provision(table, "--again", code=1)
    assert "3 of the 3 cabinets are flashed" in provision(table, code=2)[-1]["problems"][0]["what"]
    workshop = bench(2)
    assert provision(table, "--resume")[-1]["kept"] == 2 and [*workshop.flashed] == ["cab-2"]


def test_what_is_told_as_done_is_on_the_disk(folder, bench, monkeypatch):
    synced, sync = [], os.fsync
    monkeypatch.setattr("satama.provisioning.records.os.fsync", lambda number: (synced.append(number), sync(number)))
    bench(1, 2, 3)
    provision(three(folder), "--no-test")
    assert len(synced) >= len(rows(folder)) == 6


@pytest.mark.parametrize(
    ("answers", "left"), [("\n", ["cab-2", "cab-3"]), ("\ns\n\n", []), ("q\n", ["cab-1", "cab-2", "cab-3"])]
)
def test_somebody_at_the_terminal_says_what_happens(folder, bench, monkeypatch, answers, left):
    monkeypatch.setattr(commands, "_somebody_there", lambda: True)
    bench(1, 3)
    done = RUN.invoke(app, ["provision", str(three(folder)), "--port", "COM3"], input=answers)
    assert done.exit_code == 1 and "--resume" in done.output, done.output
    assert f"still to do: {', '.join(left or ['cab-2'])}" in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_damaged_line_in_the_middle_is_told_and_costs_one_cabinet(folder, bench):
    bench(1, 2, 3)
    table = three(folder)
    provision(table)
    path = folder / "cabinets.records" / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"gateway": 7}\n', *lines[2:]]))
    workshop = bench(1)
    events = provision(table, "--resume")
    assert [*workshop.flashed] == ["cab-1"] and any(e["event"] == "note" and e.get("line") == 2 for e in events)
    assert path.read_bytes().startswith(lines[0] + b'{"gateway": 7}\n')  # what was there stays


def test_a_board_that_is_a_cabinet_already_does_not_become_another(folder, bench):
    workshop = bench(1, 1, 1, 2, 2, 3)  # somebody is slow to plug in the next one
    events = provision(three(folder), "--wait", "60")
    assert events[-1]["ok"] and len(workshop.ports) == 6
    assert {row["gateway"]: row["mac"] for row in rows(folder)} == {f"cab-{n}": mac(n) for n in (1, 2, 3)}


def test_nobody_comes_with_another_board(folder, bench, monkeypatch):
    workshop = bench(*[1] * 200)
    seconds = itertools.count()

    def waiting(port, wait_s, yes, report):
        return WaitingBench(port, 50, report.say, clock=lambda: next(seconds), sleep=lambda _: None)

    monkeypatch.setattr(commands, "_bench", waiting)
    done = provision(three(folder), code=1)[-1]
    assert done["flashed"] == ["cab-1"] and done["left"] == ["cab-2", "cab-3"]
    first, *others, last = workshop.starts
    assert first == last == PORT and len(others) > 3 and not any(others), (
        "each start that is cut off counts as a failure"
    )
    assert f"this board, MAC {mac(1)}, is cab-1 by the record" in done["ended"] and "--resume" in done["ended"]


def test_a_board_with_a_row_of_its_own_is_that_one_whatever_the_order(folder, bench):
    table = write_table(
        folder, "gateway,site,mac", f"cab-1,site.toml,{mac(1)}", f"cab-2,site.toml,{mac(2).upper().replace(':', '-')}",
        "cab-3,site.toml,",
    )  # fmt: skip
    bench(2, 1, 7)
    provision(table)
    assert {row["gateway"]: row["mac"] for row in rows(folder)} == {"cab-1": mac(1), "cab-2": mac(2), "cab-3": mac(7)}


def test_the_wrong_board_is_told_before_it_is_written(folder, bench):
    table = write_table(folder, "gateway,site,mac,port", f"cab-1,site.toml,{mac(1)},COM1", "cab-2,site.toml,,COM2")
    workshop = bench(9, 2)
    done = provision(table, code=1)[-1]
    assert done["flashed"] == ["cab-2"] and [*workshop.flashed] == ["cab-2"]
    assert f"this is the board with MAC {mac(9)}, but row 2 is for {mac(1)}" in done["failed"]["cab-1"]
    assert workshop.ports == ["COM1", "COM2"]


def test_a_board_may_be_made_another_cabinet_by_its_mac(folder, bench):
    bench(1, 2, 3)
    provision(three(folder))
    table = write_table(folder, "gateway,site,mac", f"cab-9,site.toml,{mac(2)}")
    workshop = bench(2)
    provision(table)
    assert [*workshop.flashed] == ["cab-9"]


def test_a_row_that_names_another_board_now_does_not_get_the_old_one(folder, bench):
    bench(1)
    provision(write_table(folder, "gateway,site", "cab-1,site.toml"))
    table = write_table(folder, "gateway,site,mac", f"cab-1,site.toml,{mac(7)}")
    workshop = bench(1, 7)
    events = provision(table, "--again")
    assert workshop.ports == [PORT, PORT] and rows(folder)[-1]["mac"] == mac(7)
    assert any("cab-1 was the board with MAC 24:0a:c4:00:00:01" in e.get("what", "") for e in events)


def test_boards_that_are_flashed_again_may_come_in_any_order(folder, bench):
    bench(1, 2, 3)
    provision(three(folder))
    bench(3, 1, 2)
    provision(three(folder), "--again")
    assert [(row["gateway"], row["mac"]) for row in rows(folder)[-6::2]] == [(f"cab-{n}", mac(n)) for n in (3, 1, 2)]


def test_a_board_that_was_refused_as_it_was_is_nobodys(folder, bench):
    bench(1, 2, 3)
    table = three(folder)
    assert provision(table, "--wait", "1")[-1]["ok"]
    more = write_table(folder, "gateway,site", "cab-4,site.toml", "cab-5,site.toml", name="more.csv")
    same = ["--records", str(folder / "cabinets.records")]
    workshop = bench(4, 4, fails={"cab-4": Failed("it was another gateway -> let it deliver first")})
    done = provision(more, *same, code=1)[-1]
    assert [*done["failed"]] == ["cab-4"] and done["flashed"] == ["cab-5"] == [*workshop.flashed]
    owner = Records(folder / "cabinets.records").owner_of
    assert owner(mac(4)) == "cab-5" and owner(mac(1)) == "cab-1"


def test_a_board_that_could_not_be_flashed_again_is_still_what_it_was(folder, bench):
    bench(1)
    table = write_table(folder, "gateway,site,port", "cab-1,site.toml,COM1")
    provision(table)
    bench("nobody answers at COM1 -> hold BOOT")
    provision(table, "--again", code=1)
    record = Records(folder / "cabinets.records")
    assert record.board_of("cab-1") == mac(1) and record.latest("cab-1")["result"] == "failed"
    workshop = bench(1)
    provision(table, "--resume")
    assert [*workshop.flashed] == ["cab-1"]
    bench(1, fails={"cab-1": "the cable broke -> again"})
    provision(table, "--again", code=1)
    assert not Records(folder / "cabinets.records").board_of("cab-1")


def test_what_became_of_a_board_later_counts(folder, bench):
    bench(1, 2)
    table = write_table(folder, "gateway,site", "cab-1,site.toml", "cab-2,site.toml")
    provision(table)
    taken = write_table(folder, "gateway,site,mac", f"cab-9,site.toml,{mac(2)}", name="taken.csv")
    same = ["--records", str(folder / "cabinets.records")]
    bench(2)
    provision(taken, *same)
    words = ["labels", str(folder / "cabinets.records"), "--out", str(folder / "out"), "--json"]
    assert json.loads(RUN.invoke(app, words).stdout)["labels"] == 2 and not (folder / "out" / "cab-2.png").exists()
    workshop = bench(5)
    provision(table, "--resume")
    assert [*workshop.flashed] == ["cab-2"]


def test_a_board_that_does_not_answer_fails_alone_where_each_has_its_port(folder, bench):
    table = write_table(folder, "gateway,site,port", "cab-1,site.toml,COM1", "cab-2,site.toml,COM2")
    bench("nobody answers at COM1 -> hold BOOT", 2)
    done = provision(table, code=1)[-1]
    assert done["failed"] == {"cab-1": "nobody answers at COM1 -> hold BOOT"} and done["flashed"] == ["cab-2"]


def test_a_red_self_test_is_no_failed_flash_but_not_all_right_either(folder, bench):
    table = three(folder)
    bench(1, 2, 3, red={"cab-2": ["device soil", "broker"]})
    done = provision(table, code=1)[-1]
    assert done["red"] == {"cab-2": ["device soil", "broker"]} and len(done["flashed"]) == 3
    workshop = bench()
    assert provision(table, "--resume")[-1]["kept"] == 3 and not workshop.ports


def test_mistakes_are_told_before_anything_is_written(folder, bench):
    workshop = bench(1, 2)
    table = write_table(folder, "gateway,site", "cab-1,site.toml", "cab 2,site.toml")
    before = sorted(folder.rglob("*"))
    told = provision(table, "--make-passwords", str(folder / "secrets"), code=2)[-1]
    assert (told["problems"][0]["line"], told["problems"][0]["key"]) == (3, "gateway")
    provision(table, "--check", code=2)
    provision(three(folder), "--check", "--make-passwords", str(folder / "secrets"))
    provision(three(folder), "--sheet", "99x9", code=2)
    provision(three(folder), "--make-credentials", str(folder), code=2)
    provision(three(folder), "--make-credentials", str(folder), "--make-passwords", str(folder), code=2)
    assert not workshop.ports and sorted(folder.rglob("*")) == before


def test_somebody_must_be_there_to_be_asked(folder, bench):
    bench(1)
    done = RUN.invoke(app, ["provision", str(three(folder)), "--port", "COM3"])
    assert done.exit_code == 2 and "--yes" in done.output


def test_a_record_that_cannot_be_written_stops_before_the_first_board(folder, bench):
    workshop = bench(1)
    (folder / "cabinets.records").write_text("a file where the folder belongs")
    told = provision(three(folder), code=2)
    assert "record" in told[-1]["problems"][0]["what"] and not workshop.ports


def test_two_runs_do_not_write_one_record(folder, bench):
    workshop = bench(1, 2, 3)
    with Records(folder / "cabinets.records").held():
        told = provision(three(folder), code=2)[-1]["problems"][0]
    assert "another run is writing the record" in told["what"] and "--records" in told["hint"] and not workshop.ports
    with one_run(folder / "secrets", "them", ""):
        told = provision(three(folder), "--make-passwords", str(folder / "secrets"), code=2)[-1]["problems"][0]
    assert "another run is writing these credentials" in told["what"] and not workshop.ports
    stale = Records(folder / "cabinets.records")
    provision(three(folder))
    with pytest.raises(Problems, match="another run has written to the record meanwhile"), stale.held():
        pass


def test_a_record_that_cannot_be_written_any_more_ends_the_batch_and_the_sum_is_told(folder, bench, monkeypatch):
    bench(1, 2, 3, fails={"cab-2": "the cable broke -> again"})
    real = os.fsync

    def full(number):
        if '"cab-2"' in (folder / "cabinets.records" / "records.jsonl").read_text():
            raise OSError(28, "No space left on device")
        real(number)

    monkeypatch.setattr("satama.provisioning.records.os.fsync", full)
    done = provision(three(folder), code=1)[-1]
    assert done["flashed"] == ["cab-1"] and done["left"] == ["cab-2", "cab-3"] and "No space left" in done["ended"]


def test_lines_that_this_version_does_not_know_are_told_as_such(folder, bench):
    bench(1, 2, 3)
    table = three(folder)
    provision(table)
    path = folder / "cabinets.records" / "records.jsonl"
    odd = [{"result": "moved", "gateway": "cab-1", "tool": "9.0"}, {"result": "flashed", "gateway": "../cab-1"}]
    path.write_text(path.read_text() + "".join(json.dumps(row) + "\n" for row in odd) + "[" * 9999 + "\n")
    record = Records(folder / "cabinets.records")
    said = [note.what for note in record.notes]
    assert "of another version of satama (9.0)" in said[0] and all("damaged" in what for what in said[1:])
    assert len(said) == 3 and len(record.lines) == 6


def test_ctrl_c_before_the_first_board_is_told(folder, bench, monkeypatch):
    workshop = bench(1, 2, 3)
    workshop.prepare = lambda order: (_ for _ in ()).throw(KeyboardInterrupt)
    told = provision(three(folder), code=1)[-1]
    assert told["event"] == "result" and "before the first board was touched" in told["problems"][0]["what"]


def test_a_lost_or_damaged_key_of_the_seals_is_no_reason_to_trust_them(folder, bench):
    bench(1, 2, 3)
    table = three(folder)
    provision(table)
    key = folder / "cabinets.records" / "seal.key"
    good = key.read_text()
    key.write_text(good[:9])
    assert "cannot be read" in provision(table, "--resume", code=2)[-1]["problems"][0]["what"]
    key.unlink()
    workshop = bench(1, 2, 3)
    events = provision(table, "--resume")
    assert len(workshop.flashed) == 3 and any("the key of the record's seals" in e.get("what", "") for e in events)


# --- secrets


def everything(folder, events):
    """All that a run has left behind or said, but for the files that are meant for secrets."""
    kept = (".password", ".key", ".toml", ".csv")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix not in kept}
    files["events"] = json.dumps(events).encode()
    return files


def test_no_secret_is_in_a_record_a_label_an_event_or_another_boards_image(folder, bench):
    secrets_of = {"cab-1": ("mqtt-of-one", "wifi-of-one"), "cab-2": ("mqtt-of-two", "wifi-of-two")}
    table = write_table(
        folder, "gateway,site,mqtt_user,mqtt_password,wifi_password",
        *(f"{name},site.toml,{name},{','.join(both)}" for name, both in secrets_of.items()),
    )  # fmt: skip
    workshop = bench(1, 2)
    events = provision(table, "--labels", str(folder / "labels"))
    left = everything(folder, events)
    for name, both in secrets_of.items():
        for secret in both:
            assert not [path for path, data in left.items() if secret.encode() in data]
            for other, files in workshop.flashed.items():
                assert (secret.encode() in b"".join(files.values())) == (name == other)
    assert WIFI.encode() not in b"".join(b"".join(files.values()) for files in workshop.flashed.values())
    text = json.dumps(rows(folder))
    for secret in [one for both in secrets_of.values() for one in both]:
        for way in (hashlib.sha256, hashlib.md5, hashlib.sha1):
            assert way(secret.encode()).hexdigest() not in text
    one, two = (row["credentials"] for row in rows(folder) if row["result"] == "flashed")
    assert one["user"] == "cab-1" and one["password_seal"] != two["password_seal"]


def test_the_seal_depends_on_a_key_that_only_the_owner_may_read(folder, bench):
    table = three(folder)
    bench(1, 2, 3)
    provision(table)
    seals = {row["image"] for row in rows(folder)}
    assert len(seals) == 3
    bench(1, 2, 3)
    provision(table, "--records", str(folder / "elsewhere"))
    other = [json.loads(line)["image"] for line in (folder / "elsewhere" / "records.jsonl").read_text().splitlines()]
    assert not seals & {*other}
    if os.name == "posix":
        assert stat.S_IMODE((folder / "elsewhere" / "seal.key").stat().st_mode) == 0o600


def test_credentials_are_made_and_only_their_own_board_gets_them(folder, bench):
    ca = Authority("cabinets CA")
    write_site(folder, TLS)
    (folder / "broker-ca.pem").write_bytes(ca.issued.certificate_bytes())
    (folder / "ca").mkdir()
    ca.issued.write(folder / "ca", "ca")
    workshop = bench(1, 2, 3)
    table = three(folder)
    provision(table, "--make-credentials", str(folder / "ca"))
    keys = workshop.keys
    assert len({*keys.values()}) == 3
    for name, key in keys.items():
        for other, files in workshop.flashed.items():
            assert (key in b"".join(files.values())) == (name == other)
    assert (folder / "ca" / "mosquitto.acl").read_text().count("user cab-") == 3
    certificates = [row["credentials"]["certificate"] for row in rows(folder) if row["result"] == "flashed"]
    assert len({*certificates}) == 3 and all(len(one) == 64 for one in certificates)
    workshop = bench()
    assert provision(table, "--make-credentials", str(folder / "ca"), "--resume")[-1]["kept"] == 3


def test_a_shared_password_is_noted_unless_each_is_about_to_get_its_own(folder, bench):
    write_site(folder, PLAIN + f'\nuser = "all"\npassword = "{SHARED}"')
    table = three(folder)

    def notes(*more):
        return [e["what"] for e in provision(table, "--check", *more) if e["event"] == "note"]

    assert any("the same for all cabinets" in what for what in notes())
    assert not any("the same for all cabinets" in what for what in notes("--make-passwords", str(folder)))
    workshop = bench(1, 2, 3)
    events = provision(table, "--make-passwords", str(folder / "secrets"))
    assert SHARED.encode() not in b"".join(b"".join(files.values()) for files in workshop.flashed.values())
    assert not [p for p, data in everything(folder, events).items() if SHARED.encode() in data]
    assert len((folder / "secrets" / "mosquitto.passwd").read_text().splitlines()) == 3


def test_a_forgotten_option_does_not_take_credentials_away(folder, bench):
    table, option = three(folder), ["--make-passwords", str(folder / "secrets")]
    bench(1, 2, 3)
    events = provision(table, *option)
    assert any(
        "in plain text" in e["what"] for e in events if e["event"] == "note"
    )  # insecure = true, and a password now
    workshop = bench(1, 2, 3)
    told = provision(table, "--resume", code=2)[-1]["problems"][0]
    assert "cab-1, cab-2, cab-3" in told["what"] and "--make-" in told["hint"] and not workshop.ports
    assert provision(table, "--resume", *option)[-1]["kept"] == 3


def test_a_stolen_boards_password_opens_nothing_once_another_board_has_taken_its_place(folder, bench):
    option = ["--make-passwords", str(folder / "secrets")]
    bench(1, 2, 3)
    provision(three(folder), *option)
    path = folder / "secrets" / "gateways" / "cab-2.password"
    stolen = path.read_text().strip()
    path.rename(folder / "stolen.password")
    workshop = bench(7)
    events = provision(three(folder), *option, "--resume")
    assert [*workshop.flashed] == ["cab-2"] and stolen.encode() not in b"".join(workshop.flashed["cab-2"].values())
    assert any(f"cab-2 was the board with MAC {mac(2)}" in e.get("what", "") for e in events)
    [line] = [one for one in (folder / "secrets" / "mosquitto.passwd").read_text().splitlines() if "cab-2:" in one]
    assert is_hash_of(path.read_text().strip(), line[6:]) and not is_hash_of(stolen, line[6:])


# --- labels


def test_labels_are_written_as_boards_are_done_and_printed_again_from_the_record(folder, bench):
    bench(1, 2, 3, fails={"cab-3": "no -> yes"})
    provision(three(folder), "--labels", str(folder / "labels"), code=1)
    written = sorted(path.name for path in (folder / "labels").iterdir())
    assert written == ["cab-1.pdf", "cab-1.png", "cab-2.pdf", "cab-2.png", "labels.pdf"]
    again = RUN.invoke(app, ["labels", str(folder / "cabinets.records"), "--out", str(folder / "again"), "--json"])
    assert again.exit_code == 0 and json.loads(again.stdout)["labels"] == 2
    for name in written:
        assert (folder / "again" / name).read_bytes() == (folder / "labels" / name).read_bytes()
    content = (folder / "labels" / "labels.pdf").read_bytes()
    assert (
        b"(cab-1)" in content and b"(Laituri 2)" in content and mac(2).encode() in content and b"cab-3" not in content
    )


def test_labels_that_cannot_be_written_cost_no_board_and_no_sum(folder, bench, monkeypatch):
    workshop = bench(1, 2, 3)
    (folder / "labels").write_text("a file where the folder belongs")
    told = provision(three(folder), "--labels", str(folder / "labels"), code=2)[-1]["problems"][0]
    assert "the folder cannot be made" in told["what"] and not workshop.ports

    def full(*_):
        raise Problems([Problem("labels.pdf", None, "", "the file cannot be written: No space left on device")])

    monkeypatch.setattr("satama.provisioning.label_files.write_whole", full)
    events = provision(three(folder), "--labels", str(folder / "more"))
    assert events[-1]["event"] == "result" and len(events[-1]["flashed"]) == 3
    assert any("No space left" in event.get("what", "") for event in events)


def test_labels_of_what_nobody_flashed_are_refused(folder, bench):
    bench(1, 2, 3)
    provision(three(folder))
    records, out = str(folder / "cabinets.records"), str(folder / "out")
    for arguments in ([records, "--out", out, "--gateway", "cab-7"], [str(folder), "--out", out]):
        done = RUN.invoke(app, ["labels", *arguments])
        assert done.exit_code == 2 and "->" in done.output
    assert not (folder / "out").exists()
