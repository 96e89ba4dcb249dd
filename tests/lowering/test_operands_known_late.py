"""A lowering that finds out late that it must know an operand is called again with its value."""

import jax
import numpy as np
import pytest

import mgjax
from tests.ops.live import tf


def graph_of(build):
    with tf.Graph().as_default() as graph:
        build(tf.placeholder(tf.float32, [None], "x"))
        return mgjax.import_graph_def(graph.as_graph_def())


def from_count(x):
    """x from the place on that the values of x say."""
    start = tf.reduce_sum(tf.cast(x > 0, tf.int32))
    tf.identity(x[start:], name="strided")
    tf.slice(x, [start], [-1], name="plain")


@pytest.mark.parametrize("name", ["strided", "plain"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_slice_whose_size_depends_on_values(name, count):
    x = np.float32([1] * count + [-1] * (4 - count))
    _, found = graph_of(from_count)({}, {"x": x}, name)
    np.testing.assert_array_equal(found, x[count:])


def test_inside_of_jit_the_error_names_what_to_feed():
    fn = graph_of(from_count)
    with pytest.raises(mgjax.errors.UnsupportedError, match="plain"):
        jax.jit(fn.bind(["x"], "plain"))({}, np.ones(4, np.float32))
