import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

WINDOWS = [("SAME", 2, 2), ("SAME", 3, 2), ("VALID", 3, 1), ("VALID", 2, 3), ("SAME", 3, 1)]


def windows(ksize, stride, padding, rank=4):
    inner = rank - 2
    return {"ksize": (1, *[ksize] * inner, 1), "strides": (1, *[stride] * inner, 1), "padding": padding}


def tied(shape, dtype="float32"):
    """Few different values, so that windows hold equal maxima."""
    return random_array("int32", shape, low=-1, high=2).astype(dtype)


@pytest.mark.parametrize("padding, ksize, stride", WINDOWS)
def test_max_pool_and_its_gradients_equal_tensorflow(padding, ksize, stride):
    attrs = windows(ksize, stride, padding)
    x = tied([2, 6, 7, 3])
    [y] = check("MaxPool", {"input": x}, attrs)
    g = random_array("float32", y.shape)
    check("MaxPoolGrad", {"orig_input": x, "orig_output": y, "grad": g}, attrs, atol=1e-6)
    gg = random_array("float32", x.shape)
    check("MaxPoolGradGrad", {"orig_input": x, "orig_output": y, "grad": gg}, attrs)


@pytest.mark.parametrize("padding, ksize, stride", WINDOWS[:2])
def test_windows_may_be_operands(padding, ksize, stride):
    attrs = windows(ksize, stride, padding)
    given = {name: np.array(attrs.pop(name), np.int32) for name in ("ksize", "strides")}
    x = tied([2, 6, 7, 3])
    [y] = check("MaxPoolV2", {"input": x, **given}, attrs)
    g = random_array("float32", y.shape)
    check("MaxPoolGradV2", {"orig_input": x, "orig_output": y, "grad": g, **given}, attrs, atol=1e-6)
    gg = random_array("float32", x.shape)
    check("MaxPoolGradGradV2", {"orig_input": x, "orig_output": y, "grad": gg, **given}, attrs)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "uint8", "int64"])
def test_max_pool_takes_any_number(dtype):
    check("MaxPool", {"input": random_array(dtype, [1, 4, 4, 2])}, windows(2, 1, "SAME"))


def test_max_pool_leaves_nan_out():
    x = np.array([1, np.nan, np.nan, 2, 3, np.nan, np.nan, np.nan], np.float32).reshape(1, 1, 8, 1)
    y = REGISTRY["MaxPool"].function(x, ksize=(1, 1, 2, 1), strides=(1, 1, 2, 1), padding="VALID")
    assert_array_equal(y.ravel(), np.array([1, 2, 3, np.finfo(np.float32).min], np.float32))


def test_max_pool_may_be_over_channels():
    attrs = {"ksize": (1, 1, 1, 2), "strides": (1, 1, 1, 2), "padding": "VALID"}
    check("MaxPool", {"input": random_array("float32", [1, 2, 3, 4])}, attrs)


@pytest.mark.parametrize("padding, ksize, stride", WINDOWS)
def test_jax_derives_the_gradient_ops(padding, ksize, stride):
    for op, gradient, shape in (
        ("MaxPool", "MaxPoolGrad", [2, 6, 7, 3]),
        ("MaxPool3D", "MaxPool3DGrad", [1, 4, 5, 4, 2]),
    ):
        attrs = windows(ksize, stride, padding, len(shape))
        x = jnp.asarray(tied(shape))
        y, pullback = jax.vjp(lambda x, op=op, attrs=attrs: REGISTRY[op].function(x, **attrs), x)
        g = jnp.asarray(random_array("float32", y.shape))
        assert_allclose(REGISTRY[gradient].function(x, y, g, **attrs), pullback(g)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("padding, ksize, stride", WINDOWS)
@pytest.mark.parametrize("include_batch_in_index", [False, True])
def test_max_pool_with_argmax_equals_tensorflow(padding, ksize, stride, include_batch_in_index):
    attrs = windows(ksize, stride, padding) | {"include_batch_in_index": include_batch_in_index}
    x = tied([2, 6, 7, 3])
    y, argmax = check("MaxPoolWithArgmax", {"input": x}, attrs)
    grad = random_array("float32", y.shape)
    check("MaxPoolGradWithArgmax", {"input": x, "grad": grad, "argmax": argmax}, attrs, atol=1e-6)


def test_gradient_of_gradient_with_argmax_takes_the_elements_at_argmax():
    x = tied([2, 4, 4, 3])
    attrs = windows(2, 2, "VALID")
    _, argmax = REGISTRY["MaxPoolWithArgmax"].function(x, **attrs)
    taken = REGISTRY["MaxPoolGradGradWithArgmax"].function(x, x, argmax, **attrs)
    assert_array_equal(taken, REGISTRY["MaxPool"].function(x, **attrs))


@pytest.mark.parametrize("padding, ksize, stride", WINDOWS)
def test_avg_pool_and_its_gradient_equal_tensorflow(padding, ksize, stride):
    attrs = windows(ksize, stride, padding)
    x = random_array("float32", [2, 6, 7, 3])
    [y] = check("AvgPool", {"value": x}, attrs, atol=1e-6)
    shape = np.array(x.shape, np.int32)
    check("AvgPoolGrad", {"orig_input_shape": shape, "grad": random_array("float32", y.shape)}, attrs, atol=1e-6)


@pytest.mark.parametrize("padding, means", [("SAME", [1.5, 2.5, 3.0]), ("VALID", [1.5, 2.5])])
def test_avg_pool_divides_border_windows_by_what_they_cover(padding, means):
    x = np.array([1.0, 2.0, 3.0], np.float32).reshape(1, 3, 1, 1)
    y = REGISTRY["AvgPool"].function(x, ksize=(1, 2, 1, 1), strides=(1, 1, 1, 1), padding=padding)
    assert_allclose(y.ravel(), means)


@pytest.mark.parametrize("padding, ksize, stride", WINDOWS)
def test_pooling_of_volumes_equals_tensorflow(padding, ksize, stride):
    attrs = windows(ksize, stride, padding, 5)
    x = tied([2, 4, 5, 4, 2])
    [y] = check("MaxPool3D", {"input": x}, attrs)
    grad = random_array("float32", y.shape)
    check("MaxPool3DGrad", {"orig_input": x, "orig_output": y, "grad": grad}, attrs, atol=1e-5)
    gg = random_array("float32", x.shape)
    check("MaxPool3DGradGrad", {"orig_input": x, "orig_output": y, "grad": gg}, attrs)
    check("AvgPool3D", {"input": x}, attrs, atol=1e-6)
    shape = np.array(x.shape, np.int32)
    check("AvgPool3DGrad", {"orig_input_shape": shape, "grad": grad}, attrs, atol=1e-6)


@pytest.mark.parametrize("op, name", [("MaxPool", "input"), ("AvgPool", "value")])
def test_pooling_of_nchw_is_that_of_nhwc_transposed(op, name):
    x = random_array("float32", [2, 6, 7, 3])
    y = REGISTRY[op].function(x, ksize=(1, 3, 2, 1), strides=(1, 2, 1, 1), padding="SAME")
    attrs = {"ksize": (1, 1, 3, 2), "strides": (1, 1, 2, 1), "padding": "SAME", "data_format": "NCHW"}
    assert_allclose(REGISTRY[op].function(x.transpose(0, 3, 1, 2), **attrs), y.transpose(0, 3, 1, 2), rtol=1e-6)


def test_a_window_of_many_elements_is_derived_like_a_small_one():
    # As in sentence classifiers: over all 90 steps.
    x = tied([2, 90, 1, 3])
    attrs = {"ksize": (1, 90, 1, 1), "strides": (1, 1, 1, 1), "padding": "VALID"}
    [y] = check("MaxPool", {"input": x}, attrs)
    check("MaxPoolGrad", {"orig_input": x, "orig_output": y, "grad": random_array("float32", y.shape)}, attrs)


def test_pooling_is_batched_and_derived_twice():
    x = jnp.asarray(random_array("float32", [2, 3, 4, 4, 1]))

    def loss(x):
        y = REGISTRY["MaxPool"].function(x, ksize=(1, 2, 2, 1), strides=(1, 2, 2, 1), padding="SAME")
        return jnp.sum(y**3)

    hessian = jax.vmap(lambda x: jax.jvp(jax.grad(loss), (x,), (jnp.ones_like(x),))[1])(x)
    expected = jnp.where(jax.vmap(jax.grad(loss))(x) != 0, 6 * x, 0)
    assert_allclose(hessian, expected, rtol=1e-5)
