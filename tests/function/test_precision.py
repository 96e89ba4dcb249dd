"""How exactly accelerators multiply: as the operands' dtype does, unless something faster is asked for."""

import jax
import numpy as np
import pytest
from jax import lax

import mgjax
from tests.ops.live import tf


@pytest.fixture(scope="module")
def graph_def():
    """Products of every kind in `total`, and their gradient in `y`."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [2, 4, 4, 3], "x")
        w = tf.constant(np.ones((2, 2, 3, 3), np.float32))
        image = tf.nn.conv2d(x, w, padding="SAME")
        rows = tf.matmul(tf.reshape(image, [-1, 3]), tf.ones([3, 2]))
        batch = tf.matmul(tf.reshape(rows, [2, 8, 4]), tf.ones([2, 4, 4]))
        total = tf.einsum("bij,jk->bik", batch, tf.ones([4, 2]), name="product")
        total = tf.identity(total, name="total")
        tf.identity(tf.gradients(total, x)[0], name="y")
        return graph.as_graph_def()


def precisions(fn, **options):
    """The precision of each product and convolution of the program."""
    closed = jax.make_jaxpr(fn.bind(["x"], ["total", "y"], **options))({}, np.zeros((2, 4, 4, 3), np.float32))
    products = [eqn for eqn in closed.jaxpr.eqns if eqn.primitive.name in ("dot_general", "conv_general_dilated")]
    assert len(products) == 8
    return {eqn.params["precision"] for eqn in products}


def test_products_are_exact_unless_asked_otherwise(graph_def):
    assert precisions(mgjax.import_graph_def(graph_def)) == {(lax.Precision.HIGHEST, lax.Precision.HIGHEST)}


@pytest.mark.parametrize("precision", ["default", "high"])
def test_faster_products_may_be_asked_for(graph_def, precision):
    wanted = {(lax.Precision[precision.upper()],) * 2}
    assert precisions(mgjax.import_graph_def(graph_def, precision=precision)) == wanted
    assert precisions(mgjax.import_graph_def(graph_def), precision=precision) == wanted


def test_other_words_are_refused(graph_def):
    with pytest.raises(ValueError, match="highest, high, default, not 'exact'"):
        mgjax.import_graph_def(graph_def, precision="exact")({}, {"x": np.zeros((2, 4, 4, 3), np.float32)}, "y")
