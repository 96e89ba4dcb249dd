"""Slices whose bounds are fed: known on demand where the size of the result depends on them."""

import jax
import numpy as np
import pytest

import mgjax.compat.v1 as tf
from mgjax.errors import FeedError

X = np.arange(9, dtype=np.float32)


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        x, n = tf.placeholder(tf.float32, [None], name="x"), tf.placeholder(tf.int32, [], name="n")
        create = graph.create_op
        one = tf.constant([1])
        end = create("Pack", [[n]], {"axis": 0}, "end").outputs[0]
        create("StridedSlice", [x, one, end, one], {}, "from_1")
        create("Slice", [x, end, tf.constant([-1])], {}, "rest")
        create("StridedSlice", [x, end, end, one], {"shrink_axis_mask": 1}, "single")
        yield graph


@pytest.mark.parametrize("n", [4, 5])
def test_a_fed_bound_decides_the_size(graph, n):
    _, (taken, rest) = graph.function({}, {"x": X, "n": n}, ["from_1:0", "rest:0"])
    assert taken.tolist() == X[1:n].tolist()
    assert rest.tolist() == X[n:].tolist()


def test_a_single_element_needs_no_known_place(graph):
    assert jax.jit(lambda n: graph.function({}, {"x": X, "n": n}, "single:0")[1])(np.int32(3)) == 3.0


def test_inside_of_jit_the_bound_must_be_concrete(graph):
    with pytest.raises(FeedError, match="n"):
        jax.jit(lambda n: graph.function({}, {"x": X, "n": n}, "from_1:0")[1])(np.int32(3))
