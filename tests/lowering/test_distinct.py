"""`Unique` of which only the numbering is used has a static size, and TensorFlow's order."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from tests.live import meta_graph_of, tf


@pytest.mark.parametrize("values", [[7, 3, 7, 5, 3], [1, 2, 3, 4, 5], [9, 9, 9, 9, 9], [5, 4, 3, 2, 1]])
def test_distinct_values_are_numbered_as_they_first_occur(values):
    def build():
        tf.identity(tf.unique(tf.placeholder(tf.int32, [5], "x"))[1], "numbers")

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build).SerializeToString())
    # Inside of `jit` nothing but the bounded form can run.
    _, found = jax.jit(fn.bind(["x"], "numbers:0"))({}, np.int32(values))
    first = list(dict.fromkeys(values))
    assert_array_equal(found, [first.index(value) for value in values])
