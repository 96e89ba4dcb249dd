"""Resizing of images by interpolation, in TensorFlow's two pixel conventions.

Legacy graphs take source coordinate i * scale for pixel i, graphs with `half_pixel_centers` (i + 0.5) * scale - 0.5,
both in float32. Sources and weights depend on sizes alone, so they are NumPy constants; the gradients are transposes.
Images are `[batch, height, width, channel]`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import UnsupportedError
from mgjax.ops.registry import Static, lower

_HALF = np.float32(0.5)


def _scale(size, new_size, align_corners):
    if align_corners and new_size > 1:
        return np.float32(size - 1) / np.float32(new_size - 1)
    return np.float32(size) / np.float32(new_size)


def _coordinates(size, new_size, align_corners, half_pixel_centers):
    """The source coordinate of each new pixel, float32."""
    pixels, scale = np.arange(new_size, dtype=np.float32), _scale(size, new_size, align_corners)
    return (pixels + _HALF) * scale - _HALF if half_pixel_centers else pixels * scale


def _take(x, indices, axis):
    """Picks along an axis, at positions known to lie inside; repetition in equal runs is left to broadcasting."""
    size = x.shape[axis]
    runs = len(indices) // size if size else 0
    if runs and np.array_equal(indices, np.repeat(np.arange(size), runs)):
        return jnp.repeat(x, runs, axis) if runs > 1 else x
    return jnp.take(x, indices, axis, mode="clip")


def _along(axis, weights):
    return weights.reshape([-1 if i == axis else 1 for i in range(4)])


@lower("ResizeBilinear")
def resize_bilinear(images, size: Static, *, align_corners=False, half_pixel_centers=False):
    """Interpolates between the nearest two pixels along each axis; float32."""
    return interpolated(jnp.asarray(images).astype(np.float32), size, align_corners, half_pixel_centers)


def interpolated(images, size, align_corners, half_pixel_centers=False):
    """`resize_bilinear` in the dtype of `images`."""
    # Columns first, as resize_bilinear_op.cc does; clamped pixels keep their weights.
    for axis, new_size in zip((2, 1), (int(size[1]), int(size[0])), strict=True):
        place = _coordinates(images.shape[axis], new_size, align_corners, half_pixel_centers)
        low = np.floor(place).astype(np.int64)
        if np.array_equal(place, np.arange(images.shape[axis])):
            continue
        first = _take(images, np.maximum(low, 0), axis)
        second = _take(images, np.minimum(low + 1, images.shape[axis] - 1), axis)
        images = first + (second - first) * _along(axis, place - low.astype(np.float32)).astype(images.dtype)
    return images


def _linear_taps(size, new_size, align_corners, half_pixel_centers):
    """The two source pixels of each new one, and their weights."""
    low, high, part = linear_places(size, new_size, align_corners, half_pixel_centers)
    return [(low, 1 - part), (high, part)]


def linear_places(size, new_size, align_corners, half_pixel_centers):
    """The source pixels below and above each new one, and how far it lies from the lower one."""
    place = _coordinates(size, new_size, align_corners, half_pixel_centers)
    low = np.floor(place).astype(np.int64)
    return np.clip(low, 0, size - 1), np.clip(low + 1, 0, size - 1), place - low.astype(np.float32)


@lower("ResizeBilinearGrad")
def resize_bilinear_grad(grads, original_image, *, align_corners=False, half_pixel_centers=False):
    """Transpose of `resize_bilinear`, in the dtype of `original_image`."""
    return _pull_back(_linear_taps, grads, original_image, align_corners, half_pixel_centers)


# More new pixels than this around a source pixel, and its gradient is a product with a matrix of weights.
_MOST_TAPS = 16


def _pull_back(taps, grads, original_image, align_corners, half_pixel_centers):
    """Collects, for each source pixel, from the new ones around it: much faster than scattering to it."""
    # Weights are float32, sums are in the dtype of the image (resize_bilinear_op.cc), and never narrower.
    grads = jnp.asarray(grads, np.promote_types(np.float32, original_image.dtype))
    for axis in (1, 2):
        size, new_size = original_image.shape[axis], grads.shape[axis]
        sources, weights = map(
            np.concatenate, zip(*taps(size, new_size, align_corners, half_pixel_centers), strict=True)
        )
        targets = np.tile(np.arange(new_size), len(sources) // max(new_size, 1))
        counts = np.bincount(sources, minlength=size)
        if counts.max() > _MOST_TAPS:
            matrix = np.zeros([size, new_size], np.float32)
            np.add.at(matrix, (sources, targets), weights)
            grads = jnp.moveaxis(jnp.tensordot(grads, matrix, [[axis], [1]]), -1, axis)
            continue
        order = np.argsort(sources, kind="stable")
        slots = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        indices = np.zeros([counts.max(), size], np.int64)
        shares = np.zeros([counts.max(), size], np.float32)
        indices[slots, sources[order]], shares[slots, sources[order]] = targets[order], weights[order]
        grads = sum(
            _take(grads, index, axis) * _along(axis, share) for index, share in zip(indices, shares, strict=True)
        )
    return grads.astype(original_image.dtype)


@lower("ResizeNearestNeighbor")
def resize_nearest_neighbor(images, size: Static, *, align_corners=False, half_pixel_centers=False):
    """Takes the pixel below the source coordinate, or the nearest one if `align_corners`."""
    images = jnp.asarray(images)
    for axis, new_size in zip((1, 2), map(int, size), strict=True):
        images = _take(images, _nearest(images.shape[axis], new_size, align_corners, half_pixel_centers), axis)
    return images


def _nearest(size, new_size, align_corners, half_pixel_centers):
    place = np.arange(new_size, dtype=np.float32)
    place = (place + _HALF if half_pixel_centers else place) * _scale(size, new_size, align_corners)
    # Not np.round: halves go up.
    place = np.floor(place + _HALF) if align_corners else np.floor(place)
    return np.clip(place.astype(np.int64), 0, size - 1)


@lower("ResizeNearestNeighborGrad")
def resize_nearest_neighbor_grad(grads, size: Static, *, align_corners=False, half_pixel_centers=False):
    """Transpose of `resize_nearest_neighbor`; `size` is that of its images."""
    height, width = map(int, size)

    def forward(images):
        return resize_nearest_neighbor(
            images, grads.shape[1:3], align_corners=align_corners, half_pixel_centers=half_pixel_centers
        )

    operand = jax.ShapeDtypeStruct((grads.shape[0], height, width, grads.shape[3]), grads.dtype)
    return jax.linear_transpose(forward, operand)(jnp.asarray(grads))[0]


@lower("ResizeBicubic")
def resize_bicubic(images, size: Static, *, align_corners=False, half_pixel_centers=False):
    """Interpolates between the nearest four pixels along each axis; float32."""
    images = jnp.asarray(images).astype(np.float32)
    for axis, new_size in zip((1, 2), map(int, size), strict=True):
        taps = _cubic_taps(images.shape[axis], new_size, align_corners, half_pixel_centers)
        images = sum(_take(images, indices, axis) * _along(axis, weights) for indices, weights in taps)
    return images


@lower("ResizeBicubicGrad")
def resize_bicubic_grad(grads, original_image, *, align_corners=False, half_pixel_centers=False):
    """Transpose of `resize_bicubic`, in the dtype of `original_image`."""
    return _pull_back(_cubic_taps, grads, original_image, align_corners, half_pixel_centers)


def _cubic_taps(size, new_size, align_corners, half_pixel_centers):
    """The four source pixels of each new one, and their weights.

    Weights come from a table of 1024 steps, whose sharpness depends on the convention (resize_bicubic_op.cc).
    """
    steps = 1024
    sharpness = -0.5 if half_pixel_centers else -0.75
    near = np.arange(steps + 1) / steps
    far = near + 1
    near = ((sharpness + 2) * near - (sharpness + 3)) * near * near + 1
    far = ((sharpness * far - 5 * sharpness) * far + 8 * sharpness) * far - 4 * sharpness

    place = _coordinates(size, new_size, align_corners, half_pixel_centers)
    low = np.floor(place)
    step = np.rint((place - low) * np.float32(steps)).astype(np.int64)
    indices = low.astype(np.int64) + np.arange(-1, 3)[:, None]
    inside = np.clip(indices, 0, size - 1)
    weights = np.stack([far[step], near[step], near[steps - step], far[steps - step]]).astype(np.float32)
    if half_pixel_centers:
        weights = np.where(inside == indices, weights, 0)
        weights = weights / np.sum(weights, axis=0)
    return list(zip(inside, weights.astype(np.float32), strict=True))


@lower("ResizeArea")
def resize_area(images, size: Static, *, align_corners=False):
    """Mean of the source pixels that each new one covers, partly covered ones by their part; float32."""
    images = jnp.asarray(images).astype(np.float32)
    for axis, new_size in zip((1, 2), map(int, size), strict=True):
        cover = _cover(images.shape[axis], new_size, align_corners)
        images = jnp.moveaxis(jnp.tensordot(images, cover, [[axis], [1]]), -1, axis)
    return images


def _cover(size, new_size, align_corners):
    """The part of each new pixel that each source pixel makes, `[new_size, size]`."""
    scale = _scale(size, new_size, align_corners)
    begin = np.arange(new_size, dtype=np.float32)[:, None] * scale
    end = np.arange(1, new_size + 1, dtype=np.float32)[:, None] * scale
    # What reaches beyond the image counts for its last pixel.
    source = np.arange(size + int(np.ceil(scale)))
    covered = np.maximum(np.minimum(source + 1, end) - np.maximum(source, begin), 0)
    covered = np.concatenate([covered[:, : size - 1], covered[:, size - 1 :].sum(1, keepdims=True)], axis=1)
    if scale == 0:
        return np.eye(1, size, dtype=np.float32).repeat(new_size, axis=0)
    return (covered / scale).astype(np.float32)


def _sine(x, radius):
    turn = np.float32(np.pi) * jnp.where(x == 0, 1, x)
    return jnp.where(x <= 1e-3, 1, radius * jnp.sin(turn) * jnp.sin(turn / radius) / turn**2)


def _keys(x):
    return jnp.where(x >= 1, ((-0.5 * x + 2.5) * x - 4) * x + 2, (1.5 * x - 2.5) * x * x + 1)


def _mitchell(x):
    return jnp.where(x >= 1, ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9, (7 / 6 * x - 2) * x * x + 8 / 9)


# Radius in pixels, and the weight at a distance below it.
_KERNELS = {
    "lanczos1": (1, lambda x: _sine(x, 1)),
    "lanczos3": (3, lambda x: _sine(x, 3)),
    "lanczos5": (5, lambda x: _sine(x, 5)),
    "gaussian": (1.5, lambda x: jnp.exp(-2 * x * x)),
    "box": (0.5, lambda x: jnp.where(x < 0.5, 1, 0.5)),
    "triangle": (1, lambda x: 1 - x),
    "keyscubic": (2, _keys),
    "mitchellcubic": (2, _mitchell),
}


@lower("ScaleAndTranslate")
def scale_and_translate(images, size: Static, scale, translation, *, kernel_type="lanczos3", antialias=True):
    """Resamples: the source point x goes to x * scale + translation; `antialias` widens the kernel where it shrinks.

    Points outside the source are zero; float32.
    """
    images = jnp.asarray(images).astype(np.float32)
    for axis, new_size in zip((1, 2), map(int, size), strict=True):
        given = (images.shape[axis], new_size, scale[axis - 1], translation[axis - 1], kernel_type, antialias)
        images = jnp.moveaxis(jnp.tensordot(images, _resampling(*given), [[axis], [1]]), -1, axis)
    return images


def _resampling(size, new_size, scale, translation, kernel_type, antialias):
    """The weight of each source pixel in each new one, `[new_size, size]`."""
    if kernel_type not in _KERNELS:
        raise UnsupportedError(f"kernel_type {kernel_type!r} is not supported ({', '.join(_KERNELS)} are)")
    radius, kernel = _KERNELS[kernel_type]
    inverse = 1 / jnp.asarray(scale)
    widened = jnp.maximum(inverse, 1) if antialias else np.float32(1)
    place = (np.arange(new_size, dtype=np.float32) + _HALF)[:, None] * inverse - inverse * translation
    distance = jnp.abs((np.arange(size, dtype=np.float32) + _HALF - place) / widened)
    inside = distance <= radius if kernel_type == "box" else distance < radius
    weights = jnp.where(inside, kernel(distance), 0)
    total = jnp.sum(weights, 1, keepdims=True)
    sampled = (place >= 0) & (place <= size)
    normal = jnp.where(jnp.abs(total) > 1000 * np.finfo(np.float32).tiny, total, 1)
    return jnp.where(sampled, weights / normal, 0).astype(np.float32)


@lower("ScaleAndTranslateGrad")
def scale_and_translate_grad(grads, original_image, scale, translation, *, kernel_type="lanczos3", antialias=True):
    """Transpose of `scale_and_translate`, in the dtype of `original_image`."""

    def forward(images):
        return scale_and_translate(
            images, grads.shape[1:3], scale, translation, kernel_type=kernel_type, antialias=antialias
        )

    operand = jax.ShapeDtypeStruct(original_image.shape, np.float32)
    return jax.linear_transpose(forward, operand)(jnp.asarray(grads, np.float32))[0].astype(original_image.dtype)
