"""Colour spaces and the adjustment of contrast, hue and saturation; colours are along the last axis."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops.elementwise import rounded_product
from mgjax.ops.registry import lower
from mgjax.shapes import describe


@lower("RGBToHSV")
def rgb_to_hsv(images):
    """Hue in [0, 1), saturation, value; a grey pixel has hue 0."""
    # The order of operations is that of colorspace_op.h.
    images = jnp.asarray(images)
    one, two, four, six = np.array([1, 2, 4, 6], images.dtype)
    red, green, blue = jnp.moveaxis(images, -1, 0)
    value = jnp.max(images, -1)
    distance = value - jnp.min(images, -1)
    saturation = jnp.where(value > 0, distance / jnp.where(value > 0, value, one), 0)
    scale = (one / jnp.where(distance > 0, distance, one)) * (one / six)
    hue = jnp.where(
        red == value,
        rounded_product(scale, green - blue),
        jnp.where(
            green == value,
            rounded_product(scale, blue - red) + two / six,
            rounded_product(scale, red - green) + four / six,
        ),
    )
    hue = jnp.where(distance > 0, hue, 0)
    return jnp.stack([jnp.where(hue < 0, hue + one, hue), saturation, value], -1)


@lower("HSVToRGB")
def hsv_to_rgb(images):
    """Red, green, blue of hue, saturation, value."""
    hue, saturation, value = jnp.moveaxis(jnp.asarray(images), -1, 0)
    hue = rounded_product(hue, hue.dtype.type(6))
    parts = [jnp.abs(hue - 3) - 1, 2 - jnp.abs(hue - 2), 2 - jnp.abs(hue - 4)]
    return jnp.stack(
        [((1 - saturation) + rounded_product(saturation, jnp.clip(part, 0, 1))) * value for part in parts], -1
    )


def _check_image(images):
    if len(images.shape) < 3:
        raise InvalidArgumentError(f"input must be at least 3-D, got shape{describe(images.shape)}")


def _check_colors(images):
    _check_image(images)
    if images.shape[-1] != 3:
        raise InvalidArgumentError(f"input must have 3 channels but instead has {images.shape[-1]} channels.")


@lower("AdjustHue")
def adjust_hue(images, delta):
    """Turns the hue by `delta` of the full circle; in float32, whatever the images are."""
    _check_colors(images)
    # The order of operations is that of adjust_hue_op.cc: a hue in [0, 6) is a sixth of the circle and the place of the
    # middle one of the three colours between the others.
    images = jnp.asarray(images)
    red, green, blue = (x.astype(np.float32) for x in jnp.moveaxis(images, -1, 0))
    green_first = jnp.where(blue < red, 1, jnp.where(blue > green, 3, 2))
    red_first = jnp.where(blue < green, 0, jnp.where(blue > red, 4, 5))
    sixth = jnp.where(red < green, green_first, red_first)
    low, high = jnp.minimum(jnp.minimum(red, green), blue), jnp.maximum(jnp.maximum(red, green), blue)
    middle = jnp.maximum(jnp.minimum(red, green), jnp.minimum(jnp.maximum(red, green), blue))
    place = (middle - low) / jnp.where(high == low, 1, high - low)
    hue = jnp.where(high == low, 0, sixth.astype(np.float32) + jnp.where(sixth % 2 == 0, place, 1 - place))
    hue = lax.rem(hue + rounded_product(jnp.asarray(delta), np.float32(6)), jnp.full_like(hue, 6))
    hue = jnp.where(hue < 0, hue + 6, hue)
    hue = jnp.where(hue >= 6, hue - 6, hue)
    sixth = hue.astype(np.int32)
    place = hue - sixth.astype(np.float32)
    middle = low + rounded_product(jnp.where(sixth % 2 == 0, place, 1 - place), high - low)
    return _by_sixth(sixth, high, middle, low).astype(images.dtype)


def _by_sixth(sixth, high, middle, low):
    """Red, green, blue of a hue in that sixth of the circle, from the largest to the smallest of the three."""
    orders = [(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0), (0, 2, 1)]
    levels = (high, middle, low)
    return jnp.stack(
        [lax.select_n(jnp.clip(sixth, 0, 5), *(levels[order[color]] for order in orders)) for color in range(3)], -1
    )


@lower("AdjustSaturation")
def adjust_saturation(images, scale):
    """Multiplies the saturation, within [0, 1]; in float32, whatever the images are."""
    _check_colors(images)
    # The order of operations is that of adjust_saturation_op.cc, which has thirds in float64.
    images = jnp.asarray(images)
    red, green, blue = (x.astype(np.float32) for x in jnp.moveaxis(images, -1, 0))
    value = jnp.maximum(jnp.maximum(red, green), blue)
    distance = value - jnp.minimum(jnp.minimum(red, green), blue)
    saturation = jnp.where(value > 0, distance / jnp.where(value > 0, value, 1), 0)
    unit = 1 / (6 * jnp.where(distance > 0, distance, 1))

    def third(difference, turn):
        return (rounded_product(unit, difference).astype(np.float64) + turn).astype(np.float32)

    hue = jnp.where(
        red == value,
        rounded_product(unit, green - blue),
        jnp.where(green == value, third(blue - red, 2 / 6), third(red - green, 4 / 6)),
    )
    hue = jnp.where(distance > 0, hue, 0)
    hue = rounded_product(jnp.where(hue < 0, hue + 1, hue), np.float32(6))
    chroma = rounded_product(jnp.clip(saturation * jnp.asarray(scale), 0, 1), value)
    rest = value - chroma
    sixth = hue.astype(np.int32)
    within = hue - 2 * (sixth // 2).astype(np.float32)
    middle = rounded_product(chroma, 1 - jnp.abs(within - 1))
    colors = _by_sixth(sixth, chroma, middle, jnp.zeros_like(chroma))
    # A hue just below the full circle rounds to all of it, which is in no sixth.
    colors = jnp.where((sixth < 6)[..., None], colors, 0)
    return (colors + rest[..., None]).astype(images.dtype)


@lower("AdjustContrastv2")
def adjust_contrast_v2(images, contrast_factor):
    """Scales the distance of each pixel to its image's and channel's mean; in float32, whatever the images are."""
    _check_image(images)
    images = jnp.asarray(images)
    wide = images.astype(np.float32)
    height, width, channels = images.shape[-3:]
    total = wide.reshape([*images.shape[:-3], height * width, channels])
    # The mean adds the second half of the pixels to the first until one is left, as adjust_contrast_op.cc does.
    while (size := total.shape[-2]) > 1:
        half = size // 2
        folded = total[..., :half, :] + total[..., size - half :, :]
        total = jnp.concatenate([folded, total[..., half : size - half, :]], -2)
    mean = (total * (np.float32(1) / np.float32(max(height * width, 1))))[..., None, :]
    return (mean + rounded_product(wide - mean, jnp.asarray(contrast_factor))).astype(images.dtype)


@lower("AdjustContrast")
def adjust_contrast(images, contrast_factor, min_value, max_value):
    """The older form, which clips; float32."""
    _check_image(images)
    images = jnp.asarray(images).astype(np.float32)
    mean = jnp.mean(images, (-3, -2), keepdims=True)
    adjusted = rounded_product(images - mean, jnp.asarray(contrast_factor)) + mean
    return jnp.maximum(jnp.minimum(adjusted, max_value), min_value)


# Red, green and blue as brightness and two differences of colour, and back, by tf.contrib's adjust_hsv_in_yiq_op.h.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
_FROM_YIQ = np.array(
    [[1, 0.95617069, 0.62143257], [1, -0.2726886, -0.64681324], [1, -1.103744, 1.70062309]], np.float32
)


@lower("AdjustHsvInYiq")
def adjust_hsv_in_yiq(images, delta_h, scale_s, scale_v):
    """Turns the hue by `delta_h` radians and scales saturation and value, all at once, in the YIQ space."""
    _check_colors(images)
    images = jnp.asarray(images)
    angle = jnp.asarray(delta_h).astype(np.float64)
    across, along = (scale_v * scale_s * turn(angle).astype(np.float32) for turn in (jnp.cos, jnp.sin))
    zero = jnp.zeros_like(across)
    turn = jnp.stack([scale_v, zero, zero, zero, across, -along, zero, along, across]).reshape(3, 3)
    matrix = _matrix_product(_matrix_product(jnp.asarray(_FROM_YIQ), turn), _YIQ)
    parts = [rounded_product(images[..., i, None].astype(np.float32), matrix[:, i]) for i in range(3)]
    return (parts[0] + parts[1] + parts[2]).astype(images.dtype)


def _matrix_product(x, y):
    """The product of 3 x 3 matrices, its terms added from the last, as Eigen adds them."""
    first, second, third = (rounded_product(x[:, i, None], y[None, i]) for i in range(3))
    return first + (second + third)
