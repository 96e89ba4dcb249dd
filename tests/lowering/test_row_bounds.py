"""Ops of which the values decide how many rows they have, inside of `jit`, in as many rows as the caller says."""

import jax
import numpy as np
import pytest

import mgjax
from mgjax.errors import ResourceExhaustedError, UnknownNameError, UnsupportedError
from tests.ops.live import tf


@pytest.fixture(scope="module")
def fn():
    with tf.Graph().as_default() as graph:
        x, data = tf.placeholder(tf.int32, [6], "x"), tf.placeholder(tf.float32, [6, 2], "data")
        tf.where(tf.reshape(x, [2, 3]) > 0, name="places")
        tf.reduce_sum(tf.boolean_mask(data, x > 1, name="mask"), 0, name="masked")
        tf.raw_ops.UniqueWithCounts(x=x, name="unique")
        tf.raw_ops.DynamicPartition(data=data, partitions=x, num_partitions=3, name="parts")
        return mgjax.import_graph_def(graph.as_graph_def())


DATA = np.arange(12, dtype=np.float32).reshape(6, 2)


def run(fn, fetches, bounds, x):
    step = jax.jit(fn.bind(["x", "data"], fetches, errors="return", row_bounds=bounds))
    _, (results, failure) = step({}, np.int32(x), DATA)
    failure.throw()
    return jax.tree.map(lambda array: np.asarray(array).tolist(), results)


def test_positions_stand_before_places_behind_the_end(fn):
    assert run(fn, "places", {"places": 4}, [0, 2, 0, 1, 0, 1]) == [[0, 1], [1, 0], [1, 2], [2, 3]]


def test_what_a_mask_leaves_out_is_zero(fn):
    x = [0, 2, 0, 2, 1, 0]
    bounded = {"mask/Where": 3}
    assert run(fn, "masked", bounded, x) == [DATA[1, 0] + DATA[3, 0], DATA[1, 1] + DATA[3, 1]]
    with pytest.raises(UnsupportedError, match="mask/Where"):
        jax.jit(fn.bind(["x", "data"], "masked"))({}, np.int32(x), DATA)


@pytest.mark.parametrize("x", [[2, 1, 2, 2, 0, 1], [0, 0, 0, 0, 0, 0], [2, 2, 1, 1, 0, 0]])
def test_distinct_values_come_in_the_order_of_their_first_occurrence(fn, x):
    values, places, counts = run(fn, ["unique:0", "unique:1", "unique:2"], {"unique": 4}, x)
    _, (wanted, wanted_places, wanted_counts) = fn({}, {"x": x}, ["unique:0", "unique:1", "unique:2"])
    count = len(wanted)
    assert values == [*wanted.tolist(), *[0] * (4 - count)]
    assert places == wanted_places.tolist()
    assert counts == [*wanted_counts.tolist(), *[0] * (4 - count)]


def test_parts_are_filled_up_with_zeros(fn):
    first, second, third = run(fn, ["parts:0", "parts:1", "parts:2"], {"parts": 3}, [0, 2, 0, 2, 1, 2])
    assert first == [[0, 1], [4, 5], [0, 0]]
    assert second == [[8, 9], [0, 0], [0, 0]]
    assert third == [[2, 3], [6, 7], [10, 11]]


def test_what_does_not_fit_is_a_failure(fn):
    for fetch, bounds in (("places", {"places": 2}), ("unique:0", {"unique": 1}), ("parts:1", {"parts": 2})):
        with pytest.raises(ResourceExhaustedError, match=f"'{next(iter(bounds))}'.*more than row_bounds"):
            run(fn, fetch, bounds, [1, 2, 0, 0, 1, 1])
    step = fn.bind(["x", "data"], "places", errors="raise", row_bounds={"places": 2})
    with pytest.raises(ResourceExhaustedError, match="it has 4 rows, more than row_bounds gives it: 2"):
        step({}, np.int32([1, 2, 0, 0, 1, 1]), DATA)
    with pytest.raises(ValueError, match="errors="):
        fn.bind(["x"], "places", row_bounds={"places": 2})


def test_only_what_is_there_can_be_bounded(fn):
    with pytest.raises(UnknownNameError, match=r"'masked'.*mask/Where"):
        run(fn, "masked", {"masked": 2}, [0] * 6)
