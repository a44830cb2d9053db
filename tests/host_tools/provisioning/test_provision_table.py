"""The table of cabinets: every mistake with its row and column, before anything is written."""

import pytest
from cabinet_tables import PLAIN, TLS, WIFI, mac, write_site, write_table

from satama.core.problems import Problems
from satama.provisioning.cabinets import COLUMNS, read_table
from satama.provisioning.prepare import check_all, compile_cabinet


@pytest.fixture
def folder(tmp_path):
    write_site(tmp_path)
    return tmp_path


def mistakes(path):
    """(line, column, text) of all of them."""
    try:
        check_all(read_table(path))
    except Problems as error:
        return [(problem.line, problem.key, str(problem)) for problem in error.problems]
    return []


def one(path):
    found = mistakes(path)
    assert len(found) == 1, found
    return found[0]


def test_a_row_overrides_the_shared_site_file_in_memory_only(folder):
    before = (folder / "site.toml").read_bytes()
    table = read_table(write_table(
        folder, "gateway,site,mqtt_user,mqtt_password,wifi_password", "cab-1,site.toml,u1,secret-of-one,wifi-of-one",
        "cab-2,site.toml,,,",
    ))  # fmt: skip
    first, second = (compile_cabinet(table, cabinet, write_ids=False).compiled.body for cabinet in table.cabinets)
    assert (first["gateway"], first["mqtt"]["user"], first["mqtt"]["password"]) == ("cab-1", "u1", "secret-of-one")
    assert first["network"]["password"] == "wifi-of-one" and second["network"]["password"] == WIFI
    assert (second["gateway"], second["mqtt"]["user"]) == ("cab-2", "")
    assert (folder / "site.toml").read_bytes() == before and not list(folder.glob("*.ids.toml"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_a_mark_at_the_start_quotes_and_blank_lines_are_as_spreadsheets_write_them(folder, separator):
    inside = separator.replace("\t", " ")
    rows = ["\ufeffgateway,site,location,pole", "", 'cab-1,site.toml,\'Laituri@ 4 ""päässä""\',7', ",,,"]
    path = write_table(folder, *(row.replace(",", separator).replace("'", '"').replace("@", inside) for row in rows))
    table = read_table(path)
    assert [(c.line, c.gateway, c.extra) for c in table.cabinets] == [(3, "cab-1", {"pole": "7"})]
    assert table.cabinets[0].location == f'Laituri{inside} 4 "päässä"' and table.unknown == ["pole"]


def test_a_cell_over_two_lines_does_not_shift_the_rows_that_are_told(folder):
    path = write_table(folder, "gateway,site,note", 'cab-1,site.toml,"one\ntwo"', "cab 2,site.toml,")
    assert one(path)[:2] == (4, "gateway")


@pytest.mark.parametrize(
    ("head", "row", "column", "said"),
    [
        ("gateway,site", "cab 1,site.toml", "gateway", "not a valid name"),
        ("gateway,site", ",site.toml", "gateway", "nothing stands there"),
        ("gateway,site", "cab-1,", "site", "nothing stands there"),
        ("gateway,site", "cab-1,other.toml", "site", "there is no file other.toml"),
        ("gateway,site,mac", "cab-1,site.toml,24:0a:c4:00:00", "mac", "no MAC address"),
        ("gateway,site,mac", "cab-1,site.toml,25:0a:c4:00:00:01", "mac", "no MAC address"),
        ("gateway,site,mac", "cab-1,site.toml,24:0a-c4:00:00:01", "mac", "no MAC address"),
        ("gateway,site,mqtt_user,mqtt_password", "cab-1,site.toml,u,", "mqtt_password", "but mqtt_user is given"),
        ("gateway,site,mqtt_user,mqtt_password", "cab-1,site.toml,,p", "mqtt_user", "but mqtt_password is given"),
        ("gateway,site,client_cert,client_key", "cab-1,site.toml,site.toml,", "client_key", "but client_cert is"),
        ("gateway,site,wifi_password", "cab-1,site.toml,short", "wifi_password", "8 to 63 characters"),
        ("gateway,site,location", "cab-1,site.toml," + "x" * 81, "location", "too long for a label"),
        ("gateway,site,location", "cab-1,site.toml,a\x07b", "location", "control character"),
        ("gateway,site,location", "cab-1,site.toml,a\x9b31mb", "location", "control character"),
        ("gateway,site", f"cab-1,{'x' * 300}.toml", "site", "there is no file"),
        ("gateway,site", "cab-1,site.toml,more", "", "3 cells"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_told_with_its_row_and_column(folder, head, row, column, said):
    line, key, text = one(write_table(folder, head, row))
    assert (line, key) == (2, column) and said in text and "cabinets.csv:2: " in text and "\n  -> " in text


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("gateway,site,mqtt_pasword", "did you mean 'mqtt_password'"),
        ("Gateway,site", "did you mean 'gateway'"),
        ("gateway,site,wifi key,client key", "did you mean 'client_key'"),
        ("gateway,site,api_token", "sounds like a secret"),
        ("gateway,site,WLAN-Passwort", "sounds like a secret"),
        ("gateway,site,Salasana", "sounds like a secret"),
        ("gateway,location", "column 'site' is missing"),
        ("gateway,site,site", "stands there twice"),
    ],
)
def test_a_column_that_is_misspelt_or_could_be_a_secret_is_refused(folder, head, said):
    assert said in "".join(text for _, _, text in mistakes(write_table(folder, head, "cab-1,site.toml")))


def test_all_rows_are_looked_at_and_a_mistake_of_the_shared_file_is_told_once(folder):
    site = folder / "site.toml"
    site.write_text(site.read_text().replace("A1", "A9"))
    rows = [f"cab-{n},site.toml,{'x' if n == 2 else ''}" for n in range(1, 5)]
    found = mistakes(write_table(folder, "gateway,site,mac", *rows))
    assert [(line, key) for line, key, _ in found] == [(3, "mac"), (15, "device[0].pin")]


def test_no_two_boards_are_one(folder):
    head = "gateway,site,mac"
    found = mistakes(write_table(folder, head, f"a:1,site.toml,{mac(1)}", f"a_1,site.toml,{mac(2)}", "A_1,site.toml,"))
    assert [line for line, _, _ in found] == [3, 4] and "hard to tell apart" in found[0][2]
    found = mistakes(write_table(folder, head, f"a,site.toml,{mac(1)}", f"b,site.toml,{mac(1).upper()}"))
    assert [(line, key) for line, key, _ in found] == [(3, "mac")] and "row 2" in found[0][2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the table is empty"),
        (b"gateway,site\n", "names no cabinet"),
        ("gateway,site,location\ncab-1,site.toml,Kyl\xe4\n".encode("latin-1"), "not UTF-8"),
        (b'gateway,site\n"cab-1,site.toml\n', "cannot be read"),
        (b"PK\x03\x04" + bytes(range(128, 200)), "not UTF-8"),
    ],
)
def test_what_is_no_table_is_told(folder, content, said):
    path = folder / "cabinets.csv"
    path.write_bytes(content)
    assert said in mistakes(path)[0][2]


def test_a_table_that_is_not_there_names_its_neighbours(folder):
    write_table(folder, "gateway,site")
    assert "did you mean 'cabinets.csv'" in one(folder / "cabinet.csv")[2]


def test_a_user_has_one_password(folder):
    rows = ["a,site.toml,u,one", "b,site.toml,u,one", "c,site.toml,u,two", "d,site.toml,v,two"]
    line, key, text = one(write_table(folder, "gateway,site,mqtt_user,mqtt_password", *rows))
    assert (line, key) == (4, "mqtt_password") and "has another one in row 2" in text


def test_a_table_that_no_bench_flashes_is_refused_before_its_rows_are_looked_at(folder):
    rows = [f"c{n},nowhere.toml" for n in range(1001)]
    line, _, text = one(write_table(folder, "gateway,site", *rows))
    assert line == 1002 and "1001 rows, and at most 1000" in text


def test_shared_secrets_are_noted(folder):
    write_site(folder, PLAIN + '\nuser = "all"\npassword = "the-same-for-all"')
    table = read_table(write_table(folder, "gateway,site", "cab-1,site.toml", "cab-2,site.toml"))
    _, notes = check_all(table)
    said = [str(note) for note in notes if note.key == "mqtt.password"]
    assert any("the same for all cabinets" in text for text in said) and "the-same-for-all" not in "".join(
        map(str, notes)
    )
    write_site(folder)
    table = read_table(write_table(
        folder, "gateway,site,mqtt_user,mqtt_password,location", "cab-1,site.toml,u,one-for-two,",
        "cab-2,site.toml,v,one-for-two,Кал", "cab-3,site.toml,w, blanks ,pa\u0308ss\u00a0a",
    ))  # fmt: skip
    assert sorted((n.line, n.key) for n in table.notes) == [(3, "location"), (3, "mqtt_password"), (4, "mqtt_password")]
    assert "one-for-two" not in "".join(map(str, table.notes))


def test_a_port_of_two_rows_is_noted(folder):
    table = read_table(
        write_table(folder, "gateway,site,port", "a,site.toml,COM3", "b,site.toml,COM4", "c,site.toml,COM3")
    )
    assert [(note.line, note.key) for note in table.notes] == [(4, "port")] and "row 2" in table.notes[0].what


def test_a_table_of_passwords_that_others_may_read_is_noted(folder):
    path = write_table(folder, "gateway,site,mqtt_user,mqtt_password", "cab-1,site.toml,u,p")
    path.chmod(0o644)
    assert any("chmod 600" in str(note) for note in read_table(path).notes)


def test_a_client_certificate_without_tls_is_the_rows_mistake(folder):
    for name in ("one.pem", "one.key"):
        (folder / name).write_text("x")
    path = write_table(folder, "gateway,site,client_cert,client_key", "cab-1,site.toml,one.pem,one.key")
    assert {(line, key) for line, key, _ in mistakes(path)} == {(2, "client_cert"), (2, "client_key")}
    write_site(folder, TLS)
    found = mistakes(path)
    assert any((line, key) == (2, "client_cert") and "holds no certificate" in text for line, key, text in found)


def test_no_mistake_shows_a_password(folder):
    secret = "xq7-very-secret"
    rows = [f"cab-1,site.toml,{secret},", f"cab-1,site.toml,,{secret}", f"cab 2,nosite.toml,u,{secret},more"]
    text = "".join(
        text for _, _, text in mistakes(write_table(folder, "gateway,site,mqtt_user,mqtt_password", *rows[1:]))
    )
    assert text and secret not in text
    text = "".join(
        text for _, _, text in mistakes(write_table(folder, "gateway,site,wifi_password", "c,site.toml,xq7-psk"))
    )
    assert text and "xq7" not in text


def test_the_docstring_names_every_column():
    from satama.provisioning import cabinets

    assert all(name in cabinets.__doc__ for name in COLUMNS)
