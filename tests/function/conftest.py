"""One graph that trains by hand-checkable arithmetic, in 32 and 64 bits, and JAX's 64-bit mode on and off."""

import jax
import pytest

import mgjax
from tests.live import meta_graph_of, tf


@pytest.fixture(params=[False, True], ids=["x64 off", "x64 on"])
def either_mode(request):
    """JAX's 64-bit mode as a caller may have it."""
    with jax.enable_x64(request.param):
        yield request.param


def counting():
    """`w -= 0.5 * x` and a counter of steps, in float64 and int64; `loss` is the sum of `w * x`."""
    x = tf.placeholder(tf.float64, [3], name="x")
    w = tf.get_variable("w", [3], tf.float64, initializer=tf.constant_initializer([1.0, 2.0, 3.0]), use_resource=False)
    step = tf.get_variable(
        "global_step", [], tf.int64, initializer=tf.zeros_initializer(), trainable=False, use_resource=True
    )
    loss = tf.reduce_sum(w * x, name="loss")
    tf.train.GradientDescentOptimizer(0.5).minimize(loss, step, name="train_op")


@pytest.fixture(scope="package")
def counting_graph():
    return meta_graph_of(counting)


@pytest.fixture
def fn(counting_graph):
    return mgjax.import_meta_graph(counting_graph)[0]
