import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

dense = REGISTRY["SoftmaxCrossEntropyWithLogits"].function
sparse = REGISTRY["SparseSoftmaxCrossEntropyWithLogits"].function


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("shape", [[5], [3, 4], [2, 3, 4], [2, 0], [0, 2]])
def test_softmax_is_over_the_last_axis(op, shape):
    check(op, {"logits": random_array("float32", shape)}, atol=1e-6)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax_of_large_logits_does_not_overflow(op):
    logits = np.array([[1000.0, 0.0, -1000.0], [-np.inf, 0.0, 1.0], [-np.inf] * 3], np.float32)
    check(op, {"logits": logits}, atol=1e-6)


@pytest.mark.parametrize("features, labels", [([3, 4], [3, 4]), ([1, 4], [3, 4]), ([3, 4], [3, 1])])
def test_cross_entropy_broadcasts_its_operands(features, labels):
    check(
        "SoftmaxCrossEntropyWithLogits",
        {"features": random_array("float32", features), "labels": random_array("float32", labels, low=0.0)},
        rtol=1e-5,
    )


def test_derivative_of_cross_entropy_is_softmax_less_labels_even_if_these_do_not_sum_to_one():
    features, labels = random_array("float32", [3, 4]), random_array("float32", [3, 4], seed=1, low=0.0)
    _, backprop = check("SoftmaxCrossEntropyWithLogits", {"features": features, "labels": labels}, rtol=1e-5)
    assert_allclose(jax.grad(lambda x: dense(x, labels)[0].sum())(features), backprop, rtol=1e-5)
    assert_allclose(jax.grad(lambda x: dense(features, x)[0].sum())(labels), -jax.nn.log_softmax(features), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_sparse_cross_entropy_equals_tensorflow(dtype):
    labels = np.array([2, 0, 3], dtype)
    features = random_array("float32", [3, 4])
    _, backprop = check("SparseSoftmaxCrossEntropyWithLogits", {"features": features, "labels": labels}, atol=1e-6)
    assert_allclose(jax.grad(lambda x: sparse(x, labels)[0].sum())(features), backprop, atol=1e-6)


def test_a_label_out_of_range_gives_nan_in_its_row_alone():
    loss, backprop = sparse(jnp.zeros([3, 2], jnp.float32), jnp.array([1, 2, -1]))
    assert_allclose(loss, [np.log(2), np.nan, np.nan], rtol=1e-6)
    assert_allclose(backprop, [[0.5, -0.5], [np.nan] * 2, [np.nan] * 2])
