"""Slices: their text, their keys in a table, and what pieces cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgjax.checkpoint.slices import (
    bounds_of,
    covers,
    encode_key,
    format_slice,
    intersection,
    parse_shape_and_slice,
    parse_slice,
    region_bounds,
)


@pytest.mark.parametrize(
    "text, extents", [("", ()), ("-", ((0, -1),)), ("0,50:-", ((0, 50), (0, -1))), ("3,0", ((3, 0),))]
)
def test_a_slice_reads_back_from_its_text(text, extents):
    assert parse_slice(text) == extents
    assert format_slice(extents) == text


@pytest.mark.parametrize("text", ["5", "a,b", "1,2:", "-1,2", "0,-1", "1,2,3", "0,٣"])
def test_what_is_no_slice_is_refused(text):
    with pytest.raises(ValueError, match=r"not a slice|does not lie"):
        bounds_of(parse_slice(text), (2**40,))


def test_a_save_spec_gives_the_full_shape_and_the_slice():
    assert parse_shape_and_slice("") is None
    assert parse_shape_and_slice("100 3 0,50:-") == ((100, 3), ((0, 50), (0, -1)))


@pytest.mark.parametrize("text", ["100 3 0,50", "10 5,6", "x 0,1", "10  0,1"])
def test_a_spec_that_does_not_fit_itself_is_refused(text):
    with pytest.raises(ValueError):
        parse_shape_and_slice(text)


@pytest.mark.parametrize(
    "name, extents, key",
    [
        ("part", ((50, 50), (0, 3)), "00 70617274 0001 0102 b2b2 8083"),
        ("w", (), "00 77 0001 00"),
        ("w", ((0, -1),), "00 77 0001 0101 807f"),
        ("w", ((100, 70000),), "00 77 0001 0101 c064 e11170"),
        ("a\0b", (), "00 61 00ff 62 0001 00"),
        ("\udcff", (), "00 ff00 0001 00"),
    ],
)
def test_the_key_of_a_slice_has_tensorflow_s_bytes(name, extents, key):
    assert encode_key(name, extents) == bytes.fromhex(key)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2))
def test_keys_sort_as_positions_do(starts):
    first, second = (encode_key("w", ((start, 1),)) for start in starts)
    assert (first < second) == (starts[0] < starts[1])


def test_regions_are_understood_as_text_pairs_and_python_slices():
    expected = ((2, 5), (0, 4))
    for region in ("2,3:-", ((2, 3), (0, -1)), np.s_[2:5, :], (slice(2, 5),), (slice(-8, -5), slice(None))):
        assert region_bounds(region, (10, 4)) == expected


@pytest.mark.parametrize("region", ["0,11:-", "0,1", (slice(0, 4, 2),), (slice(None),) * 3, ((0, 1), slice(None))])
def test_regions_outside_the_tensor_are_refused(region):
    with pytest.raises(ValueError):
        region_bounds(region, (10, 4))


_part = st.tuples(st.integers(0, 3), st.integers(0, 4)).map(lambda p: (min(p), max(p)))


@given(parts=st.lists(st.tuples(_part, _part), max_size=5), region=st.tuples(_part, _part))
def test_coverage_equals_counting_elements(parts, region):
    inside = [common for part in parts if (common := intersection(part, region))]
    seen = np.zeros((4, 4), bool)
    for (a, b), (c, d) in inside:
        seen[a:b, c:d] = True
    (a, b), (c, d) = region
    assert covers(inside, region) == seen[a:b, c:d].all()
