"""The files of `satama collect`: exact values, whole or not there."""

import csv
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from satama.collecting import files as collect_files
from satama.collecting.rows import Row, time_text
from satama.core.problems import Problems

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.builds(lambda m, e: Decimal(m).scaleb(e), st.integers(-(2**63) + 1, 2**63 - 1), st.integers(-40, 40)),
)


def row(value, seq=1, time_ms=1_790_000_000_000):
    quality, reason = ("bad", "timeout") if value is None else ("good", "")
    return Row("site/gw", "meter/u1", "V", time_ms, value, quality, reason, 7, seq, "device", "")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([Decimal("1e-20"), 10**17])
@example([Decimal("1e-40"), Decimal("1e30")])
@example([Decimal("1e-40"), Decimal("1e40")])
@given(st.lists(VALUES, max_size=6))
def test_values_come_back_digit_for_digit(tmp_path, values):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [row(value, seq) for seq, value in enumerate(values)]
    for name in ("a.csv", "a.parquet"):
        assert collect_files.write(tmp_path / name, rows) == len(rows)
    with open(tmp_path / "a.csv", newline="") as file:
        found = [line["value"] for line in csv.DictReader(file)]
    assert [Decimal(text) if text else None for text in found] == values
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == list(collect_files.COLUMNS)
    found = table.column("value").to_pylist()
    assert [None if value is None else Decimal(value) for value in found] == values
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


def test_a_csv_as_it_stands(tmp_path):
    collect_files.write(tmp_path / "a.csv", [row(Decimal("230.10")), row(None, 2, None)])
    assert (tmp_path / "a.csv").read_text() == (
        "gateway,stream,unit,time,value,quality,reason,ep,sq,placed,time_source\n"
        "site/gw,meter/u1,V,2026-09-21T14:13:20Z,230.10,good,,7,1,device,\n"
        "site/gw,meter/u1,V,,,bad,timeout,7,2,device,\n"
    )


def test_times():
    assert time_text(1_790_000_000_007) == "2026-09-21T14:13:20.007Z"
    assert time_text(None) == "" and time_text(10**18) == f"{10**18} ms"


def test_an_error_on_the_way_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.csv"
    target.write_text("old")

    def broken():
        yield row(1)
        raise OSError(28, "No space left on device")

    with pytest.raises(Problems, match="No space left"):
        collect_files.write(target, broken())
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("name", "said"), [("a.txt", "no kind of file"), ("no/a.csv", "no folder"), ("old.csv", "exists")]
)
def test_targets_are_checked_before_anything_else(tmp_path, name, said):
    (tmp_path / "old.csv").write_text("")
    with pytest.raises(Problems, match=said):
        collect_files.check_target(tmp_path / name, force=False)
    collect_files.check_target(tmp_path / "old.csv", force=True)
