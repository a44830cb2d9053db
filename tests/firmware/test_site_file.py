"""Loading a compiled site: exactly what the compiler packed, or a refusal with its reason."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality, site
from gateway.core.errors import SettingError
from satama.compiler import pack

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
values = st.recursive(st.integers(-(2**63), 2**63) | texts, lambda inner: st.lists(inner, max_size=5), max_leaves=30)
bodies = st.dictionaries(texts, values | st.dictionaries(texts, values, max_size=3), max_size=8)


def load(data):
    return site.load(io.BytesIO(data))


@given(bodies)
def test_what_was_packed_is_loaded(body):
    assert load(pack(body)) == body


def test_equal_texts_are_held_once():
    loaded = load(
        pack({"points": [["a/b", "gauge", []], ["c/d", "gauge", []]], "streams": [["a/b", "".join(["ga", "uge"])]]})
    )
    points, streams = loaded["points"], loaded["streams"]
    assert points[0][0] is streams[0][0]
    assert points[0][1] is points[1][1] is streams[0][1]
    assert points[0][2] is points[1][2]


DATA = pack({"site": "kalasatama", "points": [[1, 2, 3]] * 200})


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
