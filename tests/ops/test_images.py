import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError, UnimplementedError
from mgjax.ops import REGISTRY, initial_generator
from tests.ops.live import check, random_array

LOOSE = {"rtol": 1e-5, "atol": 1e-5}
# Inside, turned around, partly outside, a single point.
BOXES = np.float32([[0.1, 0.2, 0.8, 0.7], [0.9, 0.8, 0.1, 0.33], [-0.5, 0.3, 1.4, 1.1], [0.5, 0.5, 0.5, 0.5]])
BOX_IND = np.array([0, 1, 1, 0], np.int32)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("crop_size", [[3, 4], [1, 1], [7, 2]])
def test_crops_equal_tensorflow(crop_size, method):
    image = random_array("float32", [2, 5, 6, 3])
    operands = {"image": image, "boxes": BOXES, "box_ind": BOX_IND, "crop_size": np.array(crop_size, np.int32)}
    check("CropAndResize", operands, {"method": method, "extrapolation_value": 0.25}, **LOOSE)


@pytest.mark.parametrize("crop_size", [[3, 4], [1, 1], [7, 2]])
def test_gradients_of_crops_equal_tensorflow(crop_size):
    grads, image = random_array("float32", [4, *crop_size, 3]), random_array("float32", [2, 5, 6, 3])
    given = {"grads": grads, "boxes": BOXES, "box_ind": BOX_IND}
    size = np.array(image.shape, np.int32)
    check("CropAndResizeGradImage", {**given, "image_size": size}, {"T": dtypes.float32}, **LOOSE)
    check("CropAndResizeGradBoxes", {**given, "image": image}, rtol=1e-4, atol=1e-4)


def test_crops_take_bytes():
    image = random_array("uint8", [2, 5, 6, 3], high=255.0)
    operands = {"image": image, "boxes": BOXES, "box_ind": BOX_IND, "crop_size": np.array([2, 2], np.int32)}
    check("CropAndResize", operands, rtol=1e-5, atol=1e-3)


def test_glimpses_of_no_image_are_empty():
    empty = {"input": np.zeros([0, 4, 3, 0], np.float32), "offsets": np.zeros([0, 2], np.float32)}
    check("ExtractGlimpse", {**empty, "size": np.array([2, 5], np.int32)})


@pytest.mark.parametrize(
    "data, warp, error",
    [
        ([2, 5, 4, 3, 1], [2, 3, 2], UnimplementedError),
        ([2, 5, 4, 3], [2], InvalidArgumentError),
        ([2, 5, 4, 3], [3, 6, 2], InvalidArgumentError),
        ([2, 5, 4, 3], [2, 6, 3], UnimplementedError),
    ],
)
def test_points_to_resample_are_two_coordinates_for_each_image(data, warp, error):
    # The classes of tf.contrib's resampler_ops.cc.
    with pytest.raises(error):
        REGISTRY["Resampler"].function(np.zeros(data, np.float32), np.zeros(warp, np.float32))


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("size", [[2, 2], [4, 2]])
def test_glimpses_equal_tensorflow_around_the_centre(size, normalized):
    x = random_array("float32", [3, 4, 6, 2])
    offsets = np.float32([[0, 0], [1, 1], [0.5, -0.25]])
    attrs = {"centered": True, "normalized": normalized, "uniform_noise": False, "noise": "zero"}
    check("ExtractGlimpse", {"input": x, "size": np.array(size, np.int32), "offsets": offsets}, attrs)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("op", ["ExtractGlimpse", "ExtractGlimpseV2"])
def test_glimpses_equal_tensorflow_whatever_the_origin(op, normalized, centered):
    x = random_array("float32", [4, 4, 6, 2])
    offsets = np.float32([[0, 0], [1, 1], [0.5, -0.25], [-0.6, 1.7]])
    attrs = {"centered": centered, "normalized": normalized, "uniform_noise": False, "noise": "zero"}
    check(op, {"input": x, "size": np.array([3, 2], np.int32), "offsets": offsets}, attrs)


def test_glimpses_from_the_corner_begin_half_a_window_before_the_offset():
    # Recorded from 1.15.
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    attrs = {"centered": False, "normalized": False, "uniform_noise": False, "noise": "zero"}
    y, _ = REGISTRY["ExtractGlimpse"].function(
        x, np.array([2, 2]), np.float32([[0.5, -0.25]]), generator=initial_generator(1, 2), **attrs
    )
    assert_array_equal(y[0, :, :, 0], [[0, 0], [0, 4]])


@pytest.mark.parametrize("noise", ["uniform", "gaussian"])
def test_glimpses_hold_noise_outside_alone(noise):
    x = random_array("float32", [1, 4, 4, 1])
    attrs = {"uniform_noise": noise == "uniform", "noise": noise}

    def glimpse(generator):
        return REGISTRY["ExtractGlimpse"].function(
            x, np.array([2, 2]), np.float32([[1, 1]]), generator=generator, **attrs
        )

    y, generator = glimpse(initial_generator(1, 2))
    following, _ = glimpse(generator)
    assert y[0, 0, 0, 0] == following[0, 0, 0, 0] == x[0, 3, 3, 0]
    assert len(np.unique([y, following])) == 7


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_boxes_are_drawn_as_tensorflow_draws_them(channels):
    images = random_array("float32", [2, 7, 9, channels])
    boxes = np.float32([[[0.1, 0.2, 0.7, 0.9], [0, 0, 2, 0.5]], [[0.3, -0.5, 0.6, 0.6], [0.5, 0.5, 0.9, 0.9]]])
    check("DrawBoundingBoxes", {"images": images, "boxes": boxes})
    colors = random_array("float32", [3, channels])
    check("DrawBoundingBoxesV2", {"images": images, "boxes": boxes, "colors": colors})


TRANSFORMS = np.float32([[0.9, 0.1, 0.3, -0.2, 1.1, 0.4, 0.01, 0.02], [1, 0, -1.5, 0, 1, 2, 0, 0]])


@pytest.mark.parametrize("interpolation", ["NEAREST", "BILINEAR"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_projective_transformations_equal_tensorflow(interpolation, dtype):
    images = random_array(dtype, [2, 5, 6, 3], high=200.0)
    operands = {"images": images, "transforms": TRANSFORMS, "output_shape": np.array([4, 7], np.int32)}
    attrs = {"interpolation": interpolation}
    check("ImageProjectiveTransformV2", operands, attrs, rtol=1e-4, atol=1e-3)
    check("ImageProjectiveTransformV3", operands | {"fill_value": np.float32(3)}, attrs, rtol=1e-4, atol=1e-3)


def test_projective_transformation_keeps_the_size_of_images():
    images = random_array("float32", [2, 5, 6, 3])
    y = REGISTRY["ImageProjectiveTransform"].function(images, TRANSFORMS[1:], interpolation="NEAREST")
    assert_array_equal(y[:, 0, 2], images[:, 2, 1])
    assert_array_equal(y[:, 3:], 0)


def test_resampler_interpolates_between_pixels_and_zero_outside():
    data = np.float32([[1, 2], [3, 4]]).reshape(1, 2, 2, 1)
    warp = np.float32([[[0.5, 0.5], [1, 0], [-0.5, 0], [1.5, 1], [5, 0]]])
    assert_allclose(REGISTRY["Resampler"].function(data, warp)[0, :, 0], [2.5, 2, 0.5, 2, 0])


def test_resampler_grad_is_the_derivative():
    data = np.float32([[1, 2], [3, 5]]).reshape(1, 2, 2, 1)
    warp = np.float32([[[0.25, 0.5]]])
    grad_data, grad_warp = REGISTRY["ResamplerGrad"].function(data, warp, np.ones([1, 1, 1], np.float32))
    assert_allclose(grad_data.ravel(), [0.375, 0.125, 0.375, 0.125])
    assert_allclose(grad_warp.ravel(), [1.5, 2.25])


@pytest.mark.parametrize("op", ["CropAndResize"])
def test_jax_derives_the_gradient_ops(op):
    image, grads = jnp.asarray(random_array("float32", [2, 5, 6, 3])), random_array("float32", [4, 3, 2, 3])
    _, pullback = jax.vjp(lambda x, b: REGISTRY[op].function(x, b, BOX_IND, np.array([3, 2])), image, BOXES)
    by_image, by_boxes = pullback(grads)
    found = REGISTRY["CropAndResizeGradImage"].function(grads, BOXES, BOX_IND, np.array(image.shape), T=dtypes.float32)
    assert_allclose(found, by_image, **LOOSE)
    assert_allclose(REGISTRY["CropAndResizeGradBoxes"].function(grads, image, BOXES, BOX_IND), by_boxes, **LOOSE)


def test_connected_pixels_of_one_value_are_one_component():
    image = np.array([[[1, 1, 0, 2], [0, 1, 0, 2], [1, 0, 2, 2]], [[0, 0, 0, 0], [3, 0, 3, 3], [3, 3, 3, 0]]])
    labels = REGISTRY["ImageConnectedComponents"].function(image)
    expected = [[[1, 1, 0, 4], [0, 1, 0, 4], [9, 0, 4, 4]], [[0, 0, 0, 0], [17, 0, 17, 17], [17, 17, 17, 0]]]
    assert_array_equal(labels, expected)
    assert_array_equal(
        REGISTRY["ImageConnectedComponents"].function(image == 1)[0], [[1, 1, 0, 0], [0, 1, 0, 0], [9, 0, 0, 0]]
    )
