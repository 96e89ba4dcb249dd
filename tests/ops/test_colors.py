import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

# Neither TensorFlow fuses multiplications and additions in these kernels: equal to the last bit, under jit too.
EXACT = {"rtol": 0, "atol": 0}


def colors():
    corners = np.float32([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0.3, 0.3, 0.3]])
    return np.concatenate([corners, random_array("float32", [20, 3], low=0.0, high=1.0)])[None]


@pytest.mark.parametrize("op", ["RGBToHSV", "HSVToRGB"])
def test_colour_spaces_equal_tensorflow(op):
    check(op, {"images": colors()}, **EXACT)


@pytest.mark.parametrize("delta", [0.0, 0.3, -0.7, 1.2])
def test_hue_is_turned_as_tensorflow_turns_it(delta):
    check("AdjustHue", {"images": colors(), "delta": np.float32(delta)}, **EXACT)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_saturation_is_scaled_as_tensorflow_scales_it(scale):
    check("AdjustSaturation", {"images": colors(), "scale": np.float32(scale)}, **EXACT)


@pytest.mark.parametrize("op, name", [("AdjustHue", "delta"), ("AdjustSaturation", "scale")])
def test_colours_may_lie_outside_the_unit_cube(op, name):
    images = random_array("float32", [4, 5, 3], low=-0.5, high=1.5)
    check(op, {"images": images, name: np.float32(0.8)}, **EXACT)


def test_contrast_is_scaled_about_the_mean_of_each_image():
    images = random_array("float32", [2, 7, 5, 3])
    check("AdjustContrastv2", {"images": images, "contrast_factor": np.float32(1.7)}, **EXACT)


def test_the_older_contrast_clips():
    # Mean 2, factor 2: 0, 2, 4 become -2, 2, 6.
    images = np.array([0, 2, 4], np.uint8).reshape(1, 3, 1)
    y = REGISTRY["AdjustContrast"].function(images, np.float32(2), np.float32(0), np.float32(5))
    assert_allclose(y.ravel(), [0, 2, 5])
    assert y.dtype == np.float32


@pytest.mark.parametrize("op, others", [("AdjustHue", 1), ("AdjustSaturation", 1), ("AdjustHsvInYiq", 3)])
@pytest.mark.parametrize("shape", [[2, 3], [2, 3, 4]])
def test_only_images_of_three_colours_are_adjusted(op, others, shape):
    with pytest.raises(InvalidArgumentError, match="must"):
        REGISTRY[op].function(np.zeros(shape, np.float32), *[np.float32(1)] * others)
