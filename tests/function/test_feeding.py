"""What may be fed, and what is said of what may not."""

import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from mgjax.errors import FeedError, UnknownNameError
from tests.live import meta_graph_of, tf


def build():
    x = tf.placeholder(tf.float32, [None, 3], name="tower/images")
    count = tf.placeholder(tf.int32, [], name="count")
    words = tf.placeholder(tf.string, [None], name="words")
    flag = tf.placeholder(tf.bool, [], name="flag")
    small = tf.placeholder(tf.uint8, [None], name="small")
    half = tf.placeholder(tf.bfloat16, [None], name="half")
    waves = tf.placeholder(tf.complex64, [None], name="waves")
    tf.placeholder_with_default(tf.constant(7.0), [], name="rate")
    tf.identity(count, name="same_count")
    tf.identity(words, name="same_words")
    tf.identity(flag, name="same_flag")
    tf.identity(small, name="same_small")
    tf.identity(half, name="same_half")
    tf.identity(waves, name="same_waves")
    hidden = tf.multiply(x, 2.0, name="hidden")
    tf.add(hidden, 1.0, name="y")
    tf.split(x, 3, axis=1, name="parts")


@pytest.fixture(scope="module")
def fn():
    return mgjax.import_meta_graph(meta_graph_of(build))[0]


X = np.array([[1.0, 2.0, 3.0]], np.float32)


@pytest.mark.parametrize("key", ["tower/images:0", "tower/images", "tensor", "placeholder"])
def test_a_feed_goes_by_name_or_object(fn, key):
    key = {"tensor": fn.tensor("tower/images:0"), "placeholder": fn.feeds["tower/images"]}.get(key, key)
    assert_array_equal(fn({}, {key: X}, "y:0")[1], 2 * X + 1)


def test_any_tensor_may_be_fed_also_in_the_middle(fn):
    assert_array_equal(fn({}, {"hidden:0": X}, "y:0")[1], X + 1)


def test_what_only_a_fed_tensor_needs_is_not_looked_at(fn):
    # "tower/images" is not fed, and nothing misses it.
    assert_array_equal(fn({}, {"hidden:0": X}, ["hidden:0", "y:0"])[1][0], X)


def test_one_output_of_several_may_be_fed(fn):
    _, parts = fn({}, {"tower/images:0": X, "parts:1": [[9.0]]}, ["parts:0", "parts:1", "parts:2"])
    assert_array_equal(np.concatenate(parts, 1), [[1.0, 9.0, 3.0]])


def test_a_placeholder_with_a_default_need_not_be_fed(fn):
    assert fn({}, {}, "rate:0")[1] == 7.0 and fn({}, {"rate": 8}, "rate:0")[1] == 8.0


@pytest.mark.parametrize("name, value, dtype", [
    ("count", 3, "int32"),
    ("count", np.int64(3), "int32"),
    ("count", True, "int32"),
    ("flag", True, "bool"),
    ("small", [0, 255], "uint8"),
    ("half", np.array([1, 2], np.float64), ml_dtypes.bfloat16),
    ("half", np.array([1, 2], ml_dtypes.bfloat16), ml_dtypes.bfloat16),
    ("waves", [1.5, 2.0], "complex64"),
    ("small", [], "uint8"),
])  # fmt: skip
def test_numbers_are_converted_where_nothing_is_lost_but_precision(fn, name, value, dtype):
    _, result = fn({}, {name: value}, f"same_{name}:0")
    assert result.dtype == dtype
    assert_array_equal(np.asarray(result, complex), np.asarray(value, complex))


def test_strings_may_be_text_or_bytes(fn):
    _, words = fn({}, {"words": ["größer", b"\xff\0"]}, "same_words:0")
    assert words.tolist() == ["größer".encode(), b"\xff\0"]


@pytest.mark.parametrize("name, value, message", [
    ("count", 1.5, "'count:0' takes int32; the value fed is float64"),
    ("count", 2**31, "'count:0' takes int32; a value fed does not fit"),
    ("small", [256], "'small:0' takes uint8; a value fed does not fit"),
    ("small", [-1], "'small:0' takes uint8; a value fed does not fit"),
    ("flag", 1, "'flag:0' takes bool; the value fed is int64"),
    ("count", "3", "'count:0' takes int32"),
    ("words", [1], "'words:0' takes strings"),
    ("tower/images", [1j, 0, 0], "'tower/images:0' takes float32; the value fed is complex128"),
    ("tower/images", [[1.0, 2.0]], r"'tower/images:0' has shape \[\?,3\]; the value fed has \[1,2\]"),
    ("tower/images", [1.0, 2.0, 3.0], r"has shape \[\?,3\]; the value fed has \[3\]"),
    ("count", [3], r"'count:0' has shape \[\]; the value fed has \[1\]"),
    ("tower/images", [[1.0], [2.0, 3.0]], "'tower/images:0' is no array"),
])  # fmt: skip
def test_what_does_not_fit_is_a_feed_error(fn, name, value, message):
    with pytest.raises(FeedError, match=message):
        fn({}, {name: value}, "y:0")


@pytest.mark.parametrize("feeds, fetch", [({"tower/image:0": X}, "y:0"), ({"tower/images": X}, "z/hiden:0")])
def test_an_unknown_name_gives_the_nearest(fn, feeds, fetch):
    with pytest.raises(UnknownNameError, match=r"has no .*; the nearest names are '(tower/images|hidden)'"):
        fn({}, feeds, fetch.removeprefix("z/"))
    with pytest.raises(KeyError):
        fn({}, feeds, fetch)


def test_an_output_that_an_operation_does_not_have_is_unknown(fn):
    with pytest.raises(UnknownNameError, match="'y:1': AddV2 'y' has 1 output"):
        fn({}, {"tower/images": X}, "y:1")


def test_all_placeholders_that_are_missing_are_listed(fn):
    with pytest.raises(FeedError, match=r"float32\[\?,3\] 'tower/images'.*int32\[\] 'count'.*give them in feeds"):
        fn({}, {}, ["y:0", "same_count:0"])


def test_what_is_no_name_is_no_feed_and_no_fetch(fn):
    with pytest.raises(FeedError, match="not 3"):
        fn({}, {3: X}, "y:0")
    with pytest.raises(FeedError, match="not 3"):
        fn({}, {"tower/images": X}, ["y:0", 3])


def test_a_bound_function_counts_its_values(fn):
    step = fn.bind(["tower/images"], "y:0")
    with pytest.raises(FeedError, match="1 values are wanted, for tower/images:0; 2 are given"):
        step({}, X, X)
    with pytest.raises(FeedError, match="given twice: tower/images:0, tower/images:0"):
        fn.bind(["tower/images", "tower/images:0"], "y:0")
