"""Loading a compiled site: exactly what the compiler packed, or a refusal with its reason."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality, site
from gateway.core.errors import SettingError
from satama.compiling.compiler import pack

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
values = st.recursive(st.integers(-(2**63), 2**63) | texts, lambda inner: st.lists(inner, max_size=5), max_leaves=30)
bodies = st.dictionaries(texts, values | st.dictionaries(texts, values, max_size=3), max_size=8)


def load(data):
    return site.load(io.BytesIO(data))


@given(bodies)
def test_what_was_packed_is_loaded(body):
    loaded = load(pack(body))
    assert {key: list(value) if isinstance(value, site.Table) else value for key, value in loaded.items()} == body


def test_equal_texts_are_held_once():
    loaded = load(
        pack({"units": [["a/b", "gauge", []], ["c/d", "gauge", []]], "polls": [["a/b", "".join(["ga", "uge"])]]})
    )
    units, polls = loaded["units"], loaded["polls"]
    assert units[0][0] is polls[0][0]
    assert units[0][1] is units[1][1] is polls[0][1]
    assert units[0][2] is units[1][2]


STREAMS = [[at, f"meter-{at % 7}/x{at}", "V", -at % 3] for at in range(100)]


def test_streams_and_points_stay_in_the_file_and_are_read_again_and_again():
    loaded = load(pack({"root": "r", "points": [["a/x", 1]], "polls": [], "streams": STREAMS, "texts": [[1]]}))
    streams = loaded["streams"]
    assert len(streams) == 100 and list(streams) == STREAMS == list(streams) and streams[42] == STREAMS[42]
    assert list(loaded["points"]) == [["a/x", 1]]
    assert (loaded["polls"], loaded["texts"], loaded["root"]) == ([], [[1]], "r")
    assert list(zip(streams, streams, strict=True)) == [(row, row) for row in STREAMS]
    assert list(streams.of("meter-3")) == [row for row in STREAMS if row[0] % 7 == 3]


def test_a_device_has_its_pseudonym_in_every_row():
    streams = load(pack({"streams": STREAMS}))["streams"]
    streams.renamed = {"meter-3": "zz", "meter-4": "yy"}
    assert [row[1] for row in streams if row[1][:2] in ("zz", "yy")] == [
        row[1].replace("meter-3", "zz").replace("meter-4", "yy") for row in STREAMS if row[0] % 7 in (3, 4)
    ]
    assert [row[1] for row in streams.of("zz")] == [f"zz/x{at}" for at in range(100) if at % 7 == 3]
    assert streams[3][1] == "zz/x3"


def test_the_head_is_what_is_no_list():
    found = site.head(io.BytesIO(pack({"root": "r", "points": [["a/x", 1]], "mqtt": {"tls": 0}})))
    assert found == {"root": "r", "mqtt": {"tls": 0}}


DATA = pack({"site": "kalasatama", "polls": [[1, 2, 3]] * 200})


@pytest.mark.parametrize("cut", [1, 10, 700, len(DATA) - 100])
def test_a_file_that_was_cut_off(cut):
    with pytest.raises(SettingError) as caught:
        load(DATA[:-cut])
    assert caught.value.reason == quality.SHORT


def test_a_file_with_something_behind():
    with pytest.raises(SettingError) as caught:
        load(DATA + b"x")
    assert caught.value.reason == quality.SHORT


@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
def test_no_flipped_bit_goes_unseen(at, bit):
    damaged = bytearray(DATA)
    damaged[at] ^= 1 << bit
    with pytest.raises((SettingError, ValueError)):  # a broken number in the head is a ValueError; app.main knows both
        load(bytes(damaged))


@given(st.binary(max_size=200))
def test_anything_else_is_refused(data):
    with pytest.raises((SettingError, ValueError)):
        load(data)
