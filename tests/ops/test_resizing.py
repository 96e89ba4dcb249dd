import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

SIZES = [([5, 7], [10, 14]), ([5, 7], [3, 4]), ([6, 4], [6, 9]), ([3, 3], [1, 1]), ([1, 2], [4, 5]), ([4, 4], [4, 4])]
CONVENTIONS = [{}, {"align_corners": True}, {"half_pixel_centers": True}]
FLOATING = {"rtol": 1e-5, "atol": 3e-6}


@pytest.mark.parametrize("attrs", CONVENTIONS)
@pytest.mark.parametrize("size, new_size", SIZES)
@pytest.mark.parametrize("op", ["ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"])
def test_resizing_equals_tensorflow(op, size, new_size, attrs):
    x = random_array("float32", [2, *size, 3])
    exact = {"rtol": 0, "atol": 0} if op == "ResizeNearestNeighbor" else FLOATING
    check(op, {"images": x, "size": np.array(new_size, np.int32)}, attrs, **exact)


@pytest.mark.parametrize("attrs", CONVENTIONS)
@pytest.mark.parametrize("size, new_size", SIZES)
@pytest.mark.parametrize("op", ["ResizeBilinearGrad", "ResizeBicubicGrad"])
def test_gradients_of_resizing_equal_tensorflow(op, size, new_size, attrs):
    grads = random_array("float32", [2, *new_size, 3])
    check(op, {"grads": grads, "original_image": np.zeros([2, *size, 3], np.float32)}, attrs, **FLOATING)


@pytest.mark.parametrize("attrs", CONVENTIONS)
@pytest.mark.parametrize("size, new_size", SIZES)
def test_gradient_of_nearest_neighbor_equals_tensorflow(size, new_size, attrs):
    grads = random_array("float32", [2, *new_size, 3])
    check("ResizeNearestNeighborGrad", {"grads": grads, "size": np.array(size, np.int32)}, attrs, **FLOATING)


@pytest.mark.parametrize("op", ["ResizeBilinear", "ResizeBicubic", "ResizeArea", "ResizeNearestNeighbor"])
def test_resizing_takes_bytes(op):
    x = random_array("uint8", [1, 4, 5, 3], high=255.0)
    check(op, {"images": x, "size": np.array([6, 3], np.int32)}, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("attrs", CONVENTIONS[:2])
@pytest.mark.parametrize("size, new_size", SIZES)
def test_resizing_by_area_equals_tensorflow(size, new_size, attrs):
    x = random_array("float32", [2, *size, 3])
    check("ResizeArea", {"images": x, "size": np.array(new_size, np.int32)}, attrs, **FLOATING)


@pytest.mark.parametrize("op", ["ResizeBilinear", "ResizeBicubic"])
def test_jax_derives_the_gradient_op(op):
    x, g = random_array("float32", [1, 4, 5, 2]), jnp.asarray(random_array("float32", [1, 7, 3, 2]))
    _, pullback = jax.vjp(lambda x: REGISTRY[op].function(x, np.array([7, 3])), x)
    assert_allclose(pullback(g)[0], REGISTRY[f"{op}Grad"].function(g, x), **FLOATING)


KERNELS = ["lanczos1", "lanczos3", "lanczos5", "gaussian", "box", "triangle", "keyscubic", "mitchellcubic"]


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("kernel_type", KERNELS)
def test_resampling_and_its_gradient_equal_tensorflow(kernel_type, antialias):
    attrs = {"kernel_type": kernel_type, "antialias": antialias}
    given = {"scale": np.float32([0.63, 1.7]), "translation": np.float32([0.4, -1.3])}
    x = random_array("float32", [2, 7, 6, 3])
    [y] = check("ScaleAndTranslate", {"images": x, "size": np.array([5, 9], np.int32), **given}, attrs, **FLOATING)
    check("ScaleAndTranslateGrad", {"grads": y, "original_image": x, **given}, attrs, **FLOATING)


@pytest.mark.parametrize("op", ["ResizeBilinearGrad", "ResizeBicubicGrad"])
def test_gradients_of_large_magnifications_equal_tensorflow(op):
    grads = random_array("float32", [1, 70, 4, 2])
    check(op, {"grads": grads, "original_image": np.zeros([1, 2, 4, 2], np.float32)}, rtol=1e-5, atol=1e-4)
