"""Stream ids and what they mean: one unit and one kind each, for ever; and what the board is told of streams that are gone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from satama.cli import app
from satama.compiling.compiler import compile_site, plan_site
from satama.compiling.ids import Ids, Meaning, assign_ids, ids_path, load_ids, save_ids
from satama.compiling.retired import MOST, renewed, retired_streams
from satama.core.places import SITES

VOLTS = Meaning("V", -1, "gauge", 2, 10)
WATTS = VOLTS._replace(unit="W")
FINER = VOLTS._replace(exponent=-3, klass=1, period_s=60)
HIDDEN = VOLTS._replace(pseudonymous=True, retention_h=24)
meanings = st.builds(
    Meaning,
    st.sampled_from(["V", "W", "/100", "\u00b0C"]),
    st.integers(-3, 3),
    st.sampled_from(["gauge", "counter"]),
    st.integers(0, 2),
    st.sampled_from([1, 60]),
    st.sampled_from([0, 24]),
)
names = st.sampled_from(["a/x", "a/y", "b/x", "b/y", "c/z"])


@st.composite
def lives(draw):
    """Some versions of a site: each has {name: meaning}, with whole devices hidden."""
    versions = []
    for _ in range(draw(st.integers(1, 6))):
        hidden = draw(st.sets(st.sampled_from("abc")))
        streams = draw(st.dictionaries(names, meanings))
        versions.append({name: m._replace(pseudonymous=name[0] in hidden) for name, m in streams.items()})
    return versions


@given(lives())
def test_an_id_has_one_name_one_unit_and_one_kind_for_ever(tmp_path_factory, versions):
    path = tmp_path_factory.getbasetemp() / "any.ids.toml"
    path.unlink(missing_ok=True)
    ids, meant, hidden = Ids(), {}, set()
    for wanted in versions:
        ids = assign_ids(ids, wanted)
        assert assign_ids(ids, wanted) == ids
        save_ids(path, ids)
        assert load_ids(path) == ids
        used = {ids.streams[name] for name in wanted}
        for name, means in wanted.items():
            number = ids.streams[name]
            assert ids.meaning[number] == means
            assert meant.setdefault(number, (name, means.unit, means.kind)) == (name, means.unit, means.kind)
            assert number not in hidden or means.pseudonymous
            hidden |= {number} if means.pseudonymous else set()
        assert set(ids.names) == set(ids.meaning) == set(range(len(ids.names)))
        assert set(ids.gone) == set(ids.names) - used
        by_name = {number: (name, ids.meaning[number].unit) for number, name in ids.names.items()}
        for number, (name, unit, _) in meant.items():
            assert by_name[number] == (name, unit)


def test_the_smallest_free_number_is_taken():
    ids = assign_ids(Ids({"a": 0, "c": 2}), {"b": VOLTS, "a": VOLTS, "d": VOLTS})
    assert ids.streams == {"a": 0, "c": 2, "b": 1, "d": 3}


def test_another_unit_gets_another_id_and_the_old_unit_its_old_one():
    first = assign_ids(Ids(), {"a/x": VOLTS, "a/y": VOLTS})
    second = assign_ids(first, {"a/x": WATTS, "a/y": FINER})
    assert second.streams == {"a/x": 2, "a/y": 1} and second.former == {0: "a/x"} and second.gone == {0: 1}
    assert second.meaning == {0: VOLTS, 1: FINER, 2: WATTS}
    third = assign_ids(second, {"a/x": VOLTS})
    assert third.streams == {"a/x": 0, "a/y": 1} and third.former == {2: "a/x"} and third.gone == {1: 2, 2: 2}


def test_what_had_a_pseudonym_never_goes_by_a_name_under_the_same_id():
    shown = assign_ids(Ids(), {"flat/x": VOLTS, "flat/y": VOLTS})
    hidden = assign_ids(shown, {"flat/x": HIDDEN})
    assert hidden.streams["flat/x"] == 0
    assert all(means.pseudonymous for means in hidden.meaning.values())  # y too, which has just gone
    again = assign_ids(hidden, {"flat/x": VOLTS})
    assert again.streams["flat/x"] == 2 and again.former == {0: "flat/x"}
    assert {row.id: row.pseudonymous for row in retired_streams(again)} == {0: 1, 1: 1}


def test_a_second_stream_of_a_hidden_name_has_a_pseudonym_of_its_own():
    ids = assign_ids(assign_ids(Ids(), {"flat/x": HIDDEN}), {"flat/x": HIDDEN._replace(unit="W")})
    assert renewed(ids, retired_streams(ids)) == [1]
    ids = assign_ids(ids, {"flat/x": HIDDEN})
    assert [row.id for row in retired_streams(ids)] == [1] and renewed(ids, retired_streams(ids)) == [1]


def test_an_old_file_says_nothing_of_what_is_gone_and_learns_the_rest(tmp_path):
    path = tmp_path / "old.ids.toml"
    path.write_text('[streams]\n"a/x" = 0\n"a/y" = 1\n')
    ids = assign_ids(load_ids(path), {"a/x": WATTS})
    assert ids.streams == {"a/x": 0, "a/y": 1} and ids.meaning == {0: WATTS} and ids.gone == {}


def test_the_board_is_told_of_those_that_went_last():
    ids = assign_ids(Ids(), {f"a/{at}": VOLTS for at in range(MOST)} | {"keep/x": VOLTS})
    ids = assign_ids(ids, {"keep/x": VOLTS, "b/late": VOLTS})
    ids = assign_ids(ids, {"b/late": VOLTS})
    rows = retired_streams(ids)
    assert len(ids.gone) == MOST + 1 and len(rows) == MOST
    assert "keep/x" in [row.name for row in rows] and "a/0" not in [row.name for row in rows]


# --- as a site


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "storm.toml"
    path.write_text((SITES / "storm.toml").read_text())
    compile_site(path)
    return path


def without(path: Path, word: str) -> None:
    path.write_text(path.read_text().replace(word, ""))


def test_a_compiled_site_has_the_streams_that_are_gone(site):
    assert compile_site(site).retired == []
    without(site, '"voltage", ')
    body = compile_site(site).body
    assert body["retired"] == [[0, "meter/voltage", "V", -1, "gauge", 2, 2, 0, 0]] and body["renewed"] == []
    assert compile_site(site).body == body
    assert 0 not in [row[0] for row in body["streams"]]


def test_check_and_plan_name_them(site):
    without(site, '"voltage", ')
    run = CliRunner().invoke
    for command in ("check", "plan"):
        said = run(app, [command, str(site)]).output
        assert "1 stream is gone; a backlog of them keeps name and unit: meter/voltage" in said
        assert '"retired": ["meter/voltage"]' in run(app, [command, str(site), "--json"]).output


def test_what_cannot_be_told_is_a_warning(site):
    text = ids_path(site).read_text()
    ids_path(site).write_text(text.partition("# What each id means")[0])
    without(site, '"voltage", ')
    compiled = compile_site(site, write_ids=False)
    assert compiled.retired == []
    assert "what 1 streams meant that are gone is not known: meter/voltage" in compiled.warnings[-1].what


def test_more_than_the_board_is_told_of_is_a_warning(site):
    extra = {f"old/{at}": VOLTS for at in range(MOST + 1)}
    known = load_ids(ids_path(site))
    save_ids(ids_path(site), assign_ids(assign_ids(known, extra), {}))
    compiled = plan_site(site)
    assert len(compiled.retired) == MOST
    assert any(f"{MOST + 1} streams are gone" in warning.what for warning in compiled.warnings)


def test_wiping_goes_on_for_what_is_gone(tmp_path):
    path = tmp_path / "house.toml"
    path.write_text((SITES / "house.toml").read_text())
    compile_site(path)
    text = path.read_text()
    start = text.index("[privacy.billing]")
    end = text.index("[[bus]]")
    meter = text[text.index("[[device]]") : text.index('[[device]]\nid = "flat-1"')]
    bus = text[end : text.index("[[device]]")]
    path.write_text(text[:start] + bus + meter)
    body = compile_site(path).body
    assert body["retention_h"] == 720
    gone = [row for row in body["retired"] if row[8]]
    assert len(gone) == 6 and all(row[7] for row in gone)
