"""Crops, geometric transformations and boxes of images `[batch, height, width, channel]`."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError, OutOfRangeError, UnimplementedError, UnsupportedError
from mgjax.ops import philox
from mgjax.ops.random import normal, uniform
from mgjax.ops.registry import Static, check, claim, lower
from mgjax.shapes import describe


def _pick(images, batch, rows, columns):
    """The pixels at integer positions (arrays that broadcast together), and whether they lie inside.

    Outside, the nearest pixel stands.
    """
    height, width = images.shape[1:3]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows = jnp.clip(rows, 0, height - 1).astype(np.int32)
    columns = jnp.clip(columns, 0, width - 1).astype(np.int32)
    return images.at[batch, rows, columns].get(mode="clip"), inside[..., None]


def _round_half_away(x):
    return jnp.where(x < 0, jnp.ceil(x - 0.5), jnp.floor(x + 0.5))


@lower("CropAndResize")
def crop_and_resize(image, boxes, box_ind, crop_size: Static, *, method="bilinear", extrapolation_value=0.0):
    """Resizes the part of image `box_ind` within each box (y1, x1, y2, x2; 0 and 1 are the centres of border pixels).

    Returns float32 `[box, crop_height, crop_width, channel]`.
    """
    if method not in ("bilinear", "nearest"):
        raise UnsupportedError(f"method {method!r} is not supported (bilinear, nearest are)")
    return _crop(jnp.asarray(image).astype(np.float32), boxes, box_ind, crop_size, method, extrapolation_value)


def _crop(image, boxes, box_ind, crop_size, method, extrapolation_value):
    """The crops, in the dtype of the image."""
    boxes = jnp.asarray(boxes)
    rows = _crop_positions(boxes[:, 0], boxes[:, 2], image.shape[1], int(crop_size[0]))[:, :, None]
    columns = _crop_positions(boxes[:, 1], boxes[:, 3], image.shape[2], int(crop_size[1]))[:, None, :]
    batch = jnp.asarray(box_ind)[:, None, None]
    inside = (rows >= 0) & (rows <= image.shape[1] - 1) & (columns >= 0) & (columns <= image.shape[2] - 1)
    if method == "nearest":
        value, _ = _pick(image, batch, _round_half_away(rows), _round_half_away(columns))
    else:
        top, left = jnp.floor(rows), jnp.floor(columns)
        # Upper neighbours by ceil: a position on a pixel has no derivative (crop_and_resize_op.cc).
        bottom, right = jnp.ceil(rows), jnp.ceil(columns)
        y, x = (rows - top)[..., None], (columns - left)[..., None]
        at = [[_pick(image, batch, row, column)[0] for column in (left, right)] for row in (top, bottom)]
        upper = at[0][0] + (at[0][1] - at[0][0]) * x
        lower_ = at[1][0] + (at[1][1] - at[1][0]) * x
        value = upper + (lower_ - upper) * y
    return jnp.where(inside[..., None], value, image.dtype.type(extrapolation_value))


def _crop_positions(first, last, size, crop_size):
    """Positions in pixels, `[box, crop_size]`."""
    if crop_size == 1:
        return (0.5 * (first + last) * (size - 1))[:, None]
    step = (last - first) * (size - 1) / (crop_size - 1)
    return (first * (size - 1))[:, None] + np.arange(crop_size, dtype=np.float32) * step[:, None]


@lower("CropAndResizeGradImage")
def crop_and_resize_grad_image(grads, boxes, box_ind, image_size: Static, *, T, method="bilinear"):
    """Transpose of `crop_and_resize` in its images, in the dtype `T`."""

    def forward(image):
        return _crop(image, boxes, box_ind, grads.shape[1:3], method, 0.0)

    # Weights are float32, sums are in T.
    dtype = np.promote_types(np.float32, T.numpy)
    operand = jax.ShapeDtypeStruct(tuple(map(int, image_size)), dtype)
    return jax.linear_transpose(forward, operand)(jnp.asarray(grads, dtype))[0].astype(T.numpy)


@lower("CropAndResizeGradBoxes")
def crop_and_resize_grad_boxes(grads, image, boxes, box_ind, *, method="bilinear"):
    """Pullback of `crop_and_resize` in its boxes."""

    def forward(boxes):
        return crop_and_resize(image, boxes, box_ind, grads.shape[1:3], method=method)

    return jax.vjp(forward, jnp.asarray(boxes))[1](jnp.asarray(grads))[0]


@check("CropAndResize", "CropAndResizeGradBoxes")
def boxes_of_images(image, box_ind):
    message = f"box_index has values outside [0, {image.shape[0]})"
    yield claim((box_ind >= 0) & (box_ind < image.shape[0]), message, error=OutOfRangeError)


@check("CropAndResizeGradImage")
def boxes_of_image_gradients(box_ind, image_size):
    message = f"box_index has values outside [0, {image_size[0]})"
    yield claim((box_ind >= 0) & (box_ind < image_size[0]), message, error=OutOfRangeError)


@lower("ExtractGlimpse", draws=True)
def extract_glimpse(
    input, size: Static, offsets, *, centered=True, normalized=True, uniform_noise=True, noise="uniform", generator
):
    """A window of each image around an offset (row, column), which may reach outside.

    What lies outside is noise. TensorFlow draws it from a generator that no seed reaches; this one follows the state's seed.
    """
    image_size = np.array(input.shape[1:3], np.float32)
    place = offsets * image_size if normalized else offsets
    if centered:
        place = (place + image_size) / 2
    kind = "uniform" if uniform_noise else noise
    return _glimpse(input, size, place - np.asarray(size) / np.float32(2), kind, generator)


@lower("ExtractGlimpseV2", draws=True)
def extract_glimpse_v2(
    input, size: Static, offsets, *, centered=True, normalized=True, uniform_noise=True, noise="uniform", generator
):
    """As `extract_glimpse`, but the offset is of the window's corner, unless it is both centred and normalized."""
    image_size = np.array(input.shape[1:3], np.float32)
    place = offsets * image_size if normalized else offsets
    if centered and normalized:
        place = (place + image_size) / 2 - np.asarray(size) / np.float32(2)
    elif centered:
        place = place + image_size / 2
    return _glimpse(input, size, place, "uniform" if uniform_noise else noise, generator)


def _glimpse(input, size, place, kind, generator):
    start = jnp.trunc(place).astype(np.int32)
    rows = (start[:, :1] + np.arange(size[0], dtype=np.int32))[:, :, None]
    columns = (start[:, 1:] + np.arange(size[1], dtype=np.int32))[:, None, :]
    batch = np.arange(input.shape[0])[:, None, None]
    value, inside = _pick(jnp.asarray(input), batch, rows, columns)
    noise = _noise(input, value.shape, kind, generator)
    return jnp.where(inside, value, noise), philox.skip(generator, noise.size)


def _noise(input, shape, kind, generator):
    if kind == "zero" or 0 in input.shape:
        return jnp.zeros(shape, input.dtype)
    if kind == "gaussian":
        return jnp.mean(input) + jnp.std(input) * normal(generator, shape, np.dtype(input.dtype))
    if kind == "uniform":
        least, most = jnp.min(input), jnp.max(input)
        return least + (most - least) * uniform(generator, shape, np.dtype(input.dtype))
    raise UnsupportedError(f"noise {kind!r} is not supported (uniform, gaussian, zero are)")


_COLORS = np.array(
    [
        [1, 1, 0, 1],
        [0, 0, 1, 1],
        [1, 0, 0, 1],
        [0, 1, 0, 1],
        [0.5, 0, 0.5, 1],
        [0.5, 0.5, 0, 1],
        [0.5, 0, 0, 1],
        [0, 0, 0.5, 1],
        [0, 1, 1, 1],
        [1, 0, 1, 1],
    ],
    np.float32,
)


@lower("DrawBoundingBoxes")
def draw_bounding_boxes(images, boxes):
    """Draws boxes (y1, x1, y2, x2, relative to the image) in the order given, in a cycle of ten colours."""
    return draw_bounding_boxes_v2(images, boxes, np.zeros([0, 4], np.float32))


@lower("DrawBoundingBoxesV2")
def draw_bounding_boxes_v2(images, boxes, colors):
    """Draws boxes in a cycle of `colors`, `[color, channel]`; none given means ten of TensorFlow's own."""
    images, boxes = jnp.asarray(images), jnp.asarray(boxes)
    height, width, channels = images.shape[1:]
    if colors.shape[0] == 0:
        colors = np.ones([1, channels], np.float32) if channels == 1 else _COLORS
    # Rows and columns of the four sides; int() truncates.
    ends = boxes * np.array([height - 1, width - 1] * 2, np.float32)
    ends = ends.astype(np.int32)[..., None, None, None]
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[None, :, None]

    def draw(images, index):
        y1, x1, y2, x2 = jnp.moveaxis(ends[:, index], 1, 0)
        within = (rows >= y1) & (rows <= y2) & (columns >= x1) & (columns <= x2)
        side = (rows == y1) | (rows == y2) | (columns == x1) | (columns == x2)
        color = jnp.asarray(colors)[index % len(colors), :channels].astype(images.dtype)
        return jnp.where(within & side, color, images), None

    return lax.scan(draw, images, jnp.arange(boxes.shape[1]))[0]


@lower("ImageProjectiveTransform")
def image_projective_transform(images, transforms, *, interpolation):
    """Moves pixels: output (x, y) takes the input at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k).

    k is c0 x + c1 y + 1; `transforms` holds a0 a1 a2 b0 b1 b2 c0 c1, for each image or for all. Outside is zero.
    """
    return image_projective_transform_v3(images, transforms, images.shape[1:3], 0.0, interpolation=interpolation)


@lower("ImageProjectiveTransformV2")
def image_projective_transform_v2(images, transforms, output_shape: Static, *, interpolation, fill_mode="CONSTANT"):
    """`image_projective_transform` to images of another height and width."""
    return image_projective_transform_v3(
        images, transforms, output_shape, 0.0, interpolation=interpolation, fill_mode=fill_mode
    )


@lower("ImageProjectiveTransformV3")
def image_projective_transform_v3(
    images, transforms, output_shape: Static, fill_value, *, interpolation, fill_mode="CONSTANT"
):
    """`image_projective_transform` to another height and width, with `fill_value` outside."""
    if fill_mode != "CONSTANT" or interpolation not in ("NEAREST", "BILINEAR"):
        raise UnsupportedError(
            f"interpolation {interpolation!r} with fill_mode {fill_mode!r} is not supported"
            " (NEAREST and BILINEAR with CONSTANT are)"
        )
    images, transforms = jnp.asarray(images), jnp.asarray(transforms)
    y = np.arange(output_shape[0], dtype=np.float32)[:, None]
    x = np.arange(output_shape[1], dtype=np.float32)[None, :]
    a0, a1, a2, b0, b1, b2, c0, c1 = jnp.moveaxis(transforms, 1, 0)[:, :, None, None]
    k = c0 * x + c1 * y + 1
    columns, rows = (a0 * x + a1 * y + a2) / k, (b0 * x + b1 * y + b2) / k
    batch = np.arange(images.shape[0])[:, None, None]
    fill = jnp.asarray(fill_value, np.float32).astype(images.dtype)

    def read(row, column):
        value, inside = _pick(images, batch, row, column)
        return jnp.where(inside & (k != 0)[..., None], value, fill)

    if interpolation == "NEAREST":
        return read(_round_half_away(rows), _round_half_away(columns))
    top, left = jnp.floor(rows), jnp.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    # Images of every type are interpolated in float32 (image_ops.h).
    corners = [[read(y, x).astype(np.float32) for x in (left, left + 1)] for y in (top, top + 1)]
    upper, lower_ = ((1 - right) * first + right * second for first, second in corners)
    return ((1 - down) * upper + down * lower_).astype(images.dtype)


@lower("Resampler")
def resampler(data, warp):
    """Interpolates `data` at the points (x, y) of `warp`, `[batch, ..., 2]`; outside the image is zero."""
    _check_points(data, warp)
    data, warp = jnp.asarray(data), jnp.asarray(warp)
    columns, rows = warp[..., 0], warp[..., 1]
    batch = np.arange(data.shape[0]).reshape([-1, *[1] * (rows.ndim - 1)])

    def read(row, column):
        value, inside = _pick(data, batch, row, column)
        return jnp.where(inside, value, data.dtype.type(0))

    top, left = jnp.floor(rows), jnp.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    upper = (1 - right) * read(top, left) + right * read(top, left + 1)
    return (1 - down) * upper + down * ((1 - right) * read(top + 1, left) + right * read(top + 1, left + 1))


def _check_points(data, warp):
    if len(data.shape) != 4:
        raise UnimplementedError(
            "Only bilinear interpolation is currently supported. The input data shape must be [batch_size, data_height,"
            f" data_width, data_channels], but is: {describe(data.shape)}"
        )
    if len(warp.shape) < 2:
        raise InvalidArgumentError(f"warp should be at least a matrix, got shape {describe(warp.shape)}")
    if warp.shape[-1] != 2:
        raise UnimplementedError(
            "Only bilinear interpolation is supported, warping coordinates must be 2D; warp shape last entry should be 2,"
            f" but shape vector is: {describe(warp.shape)}"
        )
    if data.shape[0] != warp.shape[0]:
        raise InvalidArgumentError(
            "Batch size of data and warp tensor must be the same, but input shapes are:"
            f" {describe(data.shape)}, {describe(warp.shape)}"
        )


@lower("ResamplerGrad")
def resampler_grad(data, warp, grad_output):
    """Pullback of `resampler` in both operands."""
    _check_points(data, warp)
    wanted = (*warp.shape[:-1], data.shape[-1])
    if grad_output.shape != wanted:
        raise InvalidArgumentError(
            "grad_output shape is not consistent with data and warp shapes; it should be"
            f" {describe(wanted)} but is {describe(grad_output.shape)}"
        )
    return jax.vjp(resampler, jnp.asarray(data), jnp.asarray(warp))[1](jnp.asarray(grad_output))


@lower("ImageConnectedComponents")
def image_connected_components(image):
    """Labels the regions of equal pixels of each image, `[batch, height, width]`: 0 where pixels are zero or False.

    Other labels, int64, are one more than the position of the region's first pixel in the batch.
    """
    image = jnp.asarray(image)
    positions = jnp.arange(image.size, dtype=np.int64).reshape(image.shape)

    def spread(state):
        labels, _ = state
        least = labels
        for axis in (1, 2):
            before, after = (lax.slice_in_dim(labels, *ends, axis=axis) for ends in ((0, -1), (1, None)))
            joined = jnp.diff(image, axis=axis) == 0 if image.dtype != bool else ~jnp.diff(image, axis=axis)
            both = jnp.where(joined, jnp.minimum(before, after), image.size)
            edges = [(0, 0)] * 3
            for side in ((0, 1), (1, 0)):
                edges[axis] = side
                least = jnp.minimum(least, jnp.pad(both, edges, constant_values=image.size))
        # A label is a pixel; what that pixel's label is by now, is reached at once.
        least = jnp.minimum(least, least.ravel()[least])
        return least, jnp.any(least != labels)

    labels, _ = lax.while_loop(lambda state: state[1], spread, (positions, np.True_))
    return jnp.where(image == 0, 0, labels + 1)
