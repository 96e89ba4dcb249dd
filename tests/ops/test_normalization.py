import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

LOOSE = {"rtol": 1e-5, "atol": 1e-5}


def operands(shape, dtype="float32", channels=3):
    return {
        "x": random_array(dtype, shape),
        "scale": random_array("float32", [channels], seed=1, low=0.5),
        "offset": random_array("float32", [channels], seed=2),
        "mean": np.zeros([0], np.float32),
        "variance": np.zeros([0], np.float32),
    }


@pytest.mark.parametrize("op", ["FusedBatchNorm", "FusedBatchNormV2"])
@pytest.mark.parametrize("shape", [[2, 4, 5, 3], [1, 1, 1, 3]])
def test_fused_batch_norm_normalizes_by_the_batch(op, shape):
    check(op, operands(shape), {"epsilon": 1e-3}, **LOOSE)


def test_fused_batch_norm_v3_has_an_empty_reserve():
    # TensorFlow 2's kernel gives it another size than 1.15's scalar.
    check("FusedBatchNormV3", operands([2, 4, 5, 3]), {"epsilon": 1e-3}, skip=[5], **LOOSE)


def test_fused_batch_norm_of_halves_computes_in_the_dtype_of_scale():
    check("FusedBatchNormV2", operands([2, 4, 5, 3], "float16"), {"epsilon": 1e-3}, rtol=2e-3, atol=2e-3)


def test_fused_batch_norm_uses_given_statistics_in_inference():
    given = {"mean": random_array("float32", [3]), "variance": random_array("float32", [3], low=0.5)}
    attrs = {"is_training": False, "epsilon": 1e-3}
    check("FusedBatchNorm", operands([2, 4, 5, 3]) | given, attrs, skip=[1, 2, 3, 4], **LOOSE)


def test_exponential_avg_factor_mixes_in_the_given_statistics():
    given = {"mean": random_array("float32", [3]), "variance": random_array("float32", [3], low=0.5)}
    attrs = {"epsilon": 1e-3, "exponential_avg_factor": 0.25}
    check("FusedBatchNormV3", operands([2, 4, 5, 3]) | given, attrs, skip=[5], **LOOSE)


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("op", ["FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3"])
def test_fused_batch_norm_gradients_equal_tensorflow(op, is_training):
    x = random_array("float32", [2, 4, 5, 3])
    inputs = {
        "y_backprop": random_array("float32", x.shape, seed=1),
        "x": x,
        "scale": random_array("float32", [3], seed=2),
        "reserve_space_1": x.mean((0, 1, 2)) if is_training else random_array("float32", [3]),
        "reserve_space_2": x.var((0, 1, 2)) if is_training else random_array("float32", [3], low=0.5),
    }
    if op.endswith("V3"):
        inputs["reserve_space_3"] = np.zeros([], np.float32)
    # The last two are scalars in 1.15, and empty vectors in 2.x.
    check(op, inputs, {"is_training": is_training, "epsilon": 1e-3}, skip=[3, 4], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("is_training", [True, False])
def test_fused_batch_norm_gradient_is_the_pullback(is_training):
    norm, norm_grad = REGISTRY["FusedBatchNorm"].function, REGISTRY["FusedBatchNormGrad"].function
    x, scale, offset, mean, variance = operands([2, 4, 5, 3]).values()
    if not is_training:
        mean, variance = random_array("float32", [3]), random_array("float32", [3], low=0.5)
    (*_, r1, r2), pullback = jax.vjp(lambda *a: norm(*a, mean, variance, is_training=is_training), x, scale, offset)
    g = jnp.asarray(random_array("float32", x.shape, seed=4))
    zero = jnp.zeros([3], jnp.float32)
    found = norm_grad(g, x, scale, r1, r2, is_training=is_training)[:3]
    for a, b in zip(found, pullback((g, zero, zero, zero, zero)), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_fused_batch_norm_of_nchw_is_that_of_nhwc_transposed():
    given = operands([2, 4, 5, 3])
    y, *statistics = REGISTRY["FusedBatchNorm"].function(**given)
    given["x"] = given["x"].transpose(0, 3, 1, 2)
    y_nchw, *statistics_nchw = REGISTRY["FusedBatchNorm"].function(**given, data_format="NCHW")
    assert_allclose(y_nchw, y.transpose(0, 3, 1, 2), **LOOSE)
    for a, b in zip(statistics, statistics_nchw, strict=True):
        assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("scale_after_normalization", [True, False])
def test_normalization_with_global_statistics_is_the_formula(scale_after_normalization):
    # TensorFlow refuses this op in graphs of today's producers: t' = (t - m) / sqrt(v + eps) [* gamma] + beta.
    t, m, v = random_array("float32", [2, 2, 2, 3]), np.float32([1, 2, 3]), np.float32([0.5, 1, 2])
    beta, gamma = np.float32([-1, 0, 1]), np.float32([2, 3, 4])
    attrs = {"variance_epsilon": 1e-3, "scale_after_normalization": scale_after_normalization}
    y = REGISTRY["BatchNormWithGlobalNormalization"].function(t, m, v, beta, gamma, **attrs)
    assert_allclose(y, (t - m) / np.sqrt(v + 1e-3) * (gamma if scale_after_normalization else 1) + beta, **LOOSE)
    g = random_array("float32", t.shape, seed=1)
    dx, dm, dv, db, dg = REGISTRY["BatchNormWithGlobalNormalizationGrad"].function(t, m, v, gamma, g, **attrs)
    factor = (gamma if scale_after_normalization else 1) / np.sqrt(v + 1e-3)
    assert_allclose(dx, g * factor, **LOOSE)
    assert_allclose(dm, -(g * factor).sum((0, 1, 2)), **LOOSE)
    assert_allclose(dv, (g * (t - m) * factor).sum((0, 1, 2)) * -0.5 / (v + 1e-3), **LOOSE)
    assert_allclose(db, g.sum((0, 1, 2)), **LOOSE)
    expected = (g * (t - m)).sum((0, 1, 2)) / np.sqrt(v + 1e-3) if scale_after_normalization else np.zeros(3)
    assert_allclose(dg, expected, **LOOSE)


@pytest.mark.parametrize("depth_radius, beta", [(5, 0.5), (1, 0.75), (2, 1.0)])
def test_lrn_and_its_gradient_equal_tensorflow(depth_radius, beta):
    attrs = {"depth_radius": depth_radius, "bias": 1.5, "alpha": 0.3, "beta": beta}
    x = random_array("float32", [2, 2, 3, 7])
    [y] = check("LRN", {"input": x}, attrs, **LOOSE)
    grads = {"input_grads": random_array("float32", x.shape, seed=1), "input_image": x, "output_image": y}
    check("LRNGrad", grads, attrs, **LOOSE)


def test_the_gradient_of_lrn_takes_the_output_that_it_is_given():
    attrs = {"depth_radius": 1, "bias": 1.7, "alpha": 0.6, "beta": 0.1}
    inputs = {
        name: random_array("float32", [1, 2, 3, 4], seed=i)
        for i, name in enumerate(("input_grads", "input_image", "output_image"))
    }
    check("LRNGrad", inputs, attrs, **LOOSE)
