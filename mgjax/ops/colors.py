"""Colour spaces and the adjustment of contrast, hue and saturation; colours are along the last axis."""

import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import lower
from mgjax.shapes import describe


@lower("RGBToHSV")
def rgb_to_hsv(images):
    """Hue in [0, 1), saturation, value; a grey pixel has hue 0."""
    hue, low, high = _hue(images)
    saturation = jnp.where(high > 0, (high - low) / jnp.where(high > 0, high, 1), 0)
    return jnp.stack([hue / 6, saturation, high], -1)


@lower("HSVToRGB")
def hsv_to_rgb(images):
    """Red, green, blue of hue, saturation, value."""
    hue, saturation, value = jnp.moveaxis(images, -1, 0)
    return _pure(hue * 6, (1 - saturation) * value, value)


def _hue(images):
    """The hue in [0, 6), and the smallest and largest of the three colours."""
    red, green, blue = jnp.moveaxis(images, -1, 0)
    low, high = jnp.min(images, -1), jnp.max(images, -1)
    scale = 1 / jnp.where(high > low, high - low, 1)
    hue = jnp.where(
        red == high,
        (green - blue) * scale,
        jnp.where(green == high, (blue - red) * scale + 2, (red - green) * scale + 4),
    )
    hue = jnp.where(high > low, hue, 0)
    return jnp.where(hue < 0, hue + 6, hue), low, high


def _pure(hue, low, high):
    """The colour of a hue in [0, 6) between the given smallest and largest component."""
    parts = [jnp.abs(hue - 3) - 1, 2 - jnp.abs(hue - 2), 2 - jnp.abs(hue - 4)]
    return jnp.stack([low + jnp.clip(part, 0, 1) * (high - low) for part in parts], -1)


def _check_image(images):
    if len(images.shape) < 3:
        raise InvalidArgumentError(f"input must be at least 3-D, got shape{describe(images.shape)}")


@lower("AdjustHue")
def adjust_hue(images, delta):
    """Turns the hue by `delta` of the full circle."""
    _check_image(images)
    hue, low, high = _hue(images)
    # In float32, as in adjust_hue_op.cc, whatever the images are.
    hue = jnp.mod(hue.astype(np.float32) + delta * 6, 6).astype(images.dtype)
    return _pure(hue, low, high)


@lower("AdjustSaturation")
def adjust_saturation(images, scale):
    """Multiplies the saturation, within [0, 1]."""
    _check_image(images)
    hue, saturation, value = jnp.moveaxis(rgb_to_hsv(images), -1, 0)
    saturation = jnp.clip(saturation * scale.astype(images.dtype), 0, 1)
    return _pure(hue * 6, (1 - saturation) * value, value)


@lower("AdjustContrastv2")
def adjust_contrast_v2(images, contrast_factor):
    """Scales the distance of each pixel to its image's and channel's mean."""
    mean = jnp.mean(images, (-3, -2), keepdims=True)
    return (images - mean) * contrast_factor.astype(images.dtype) + mean


@lower("AdjustContrast")
def adjust_contrast(images, contrast_factor, min_value, max_value):
    """The older form, which clips; float32."""
    adjusted = adjust_contrast_v2(jnp.asarray(images).astype(np.float32), contrast_factor)
    return jnp.clip(adjusted, min_value, max_value)


# Red, green and blue as brightness and two differences of colour, by tf.contrib's adjust_hsv_in_yiq_op.h.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@lower("AdjustHsvInYiq")
def adjust_hsv_in_yiq(images, delta_h, scale_s, scale_v):
    """Turns the hue by `delta_h` radians and scales saturation and value, all at once, in the YIQ space."""
    across, along = scale_s * jnp.cos(delta_h), scale_s * jnp.sin(delta_h)
    one, zero = jnp.ones_like(across), jnp.zeros_like(across)
    turn = jnp.stack([one, zero, zero, zero, across, -along, zero, along, across]).reshape(3, 3).astype(np.float64)
    matrix = (scale_v * (np.linalg.inv(_YIQ) @ turn @ _YIQ)).astype(np.float32)
    return (jnp.asarray(images).astype(np.float32) @ matrix.T).astype(images.dtype)
