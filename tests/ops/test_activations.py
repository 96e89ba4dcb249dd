import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

EDGES = np.array([-np.inf, -100.0, -1.0, -0.0, 0.0, 1e-3, 3.0, 6.0, 7.0, 20.0], np.float32)
GRADIENTS = {
    "Relu": ("ReluGrad", "features"),
    "Relu6": ("Relu6Grad", "features"),
    "LeakyRelu": ("LeakyReluGrad", "features"),
    "Elu": ("EluGrad", "outputs"),
    "Selu": ("SeluGrad", "outputs"),
    "Softplus": ("SoftplusGrad", "features"),
    "Softsign": ("SoftsignGrad", "features"),
}


@pytest.mark.parametrize("op", GRADIENTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_activations_equal_tensorflow(op, dtype):
    # TensorFlow computes exp(x) - 1 where expm1(x) keeps the digits of small x.
    check(op, {"features": random_array(dtype, [3, 7])}, atol=2e-3 if dtype == "float16" else 2e-7)


@pytest.mark.parametrize("op", [op for op in GRADIENTS if op != "Softsign"])
def test_activations_equal_tensorflow_at_the_edges(op):
    check(op, {"features": np.append(EDGES, np.float32(np.nan))}, atol=1e-7)


@pytest.mark.parametrize("op", ["Relu", "Relu6"])
def test_rectifiers_take_integers(op):
    check(op, {"features": np.arange(-4, 9, dtype=np.int32)})


@pytest.mark.parametrize("op, given", GRADIENTS.values())
def test_activation_gradients_equal_tensorflow(op, given):
    check(op, {"gradients": random_array("float32", EDGES.shape), given: EDGES})


@pytest.mark.parametrize("op, gradient", GRADIENTS.items())
def test_jax_derives_what_the_gradient_op_gives(op, gradient):
    gradient_op, given = gradient
    x = jnp.asarray(EDGES[1:])
    y, pullback = jax.vjp(REGISTRY[op].function, x)
    g = jnp.asarray(random_array("float32", x.shape))
    expected = REGISTRY[gradient_op].function(g, x if given == "features" else y)
    np.testing.assert_allclose(pullback(g)[0], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("alpha", [0.2, 1.5, -1.0])
def test_leaky_relu_keeps_positive_features_whatever_alpha(alpha):
    check("LeakyRelu", {"features": EDGES[1:]}, {"alpha": alpha})


@pytest.mark.parametrize("data_format, shape", [("NHWC", [4, 3]), ("NHWC", [2, 2, 3]), ("NHWC", [1, 2, 2, 2, 3])])
def test_bias_add_follows_the_last_axis(data_format, shape):
    check("BiasAdd", {"value": random_array("float32", shape), "bias": random_array("float32", [3])})
    check("BiasAddV1", {"value": random_array("float32", shape), "bias": random_array("float32", [3])})
    check("BiasAddGrad", {"out_backprop": random_array("float32", shape)})


@pytest.mark.parametrize("shape", [[2, 3, 4], [2, 3, 4, 5], [2, 3, 1, 2, 2]])
def test_bias_add_of_nchw_follows_axis_one(shape):
    attrs = {"data_format": "NCHW"}
    check("BiasAdd", {"value": random_array("float32", shape), "bias": random_array("float32", [3])}, attrs)
    check("BiasAddGrad", {"out_backprop": random_array("float32", shape)}, attrs)
