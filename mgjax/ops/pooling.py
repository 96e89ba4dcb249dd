"""Maximum and mean over windows of images and volumes, and their gradients.

`ksize` and `strides` come in the order of the data format, so for most of these ops its name plays no part.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import UnsupportedError
from mgjax.ops import windows
from mgjax.ops.registry import Static, lower


def _paddings(x, ksize, strides, padding, explicit_paddings=()):
    return windows.pairs(padding, x.shape, ksize, strides, explicit_paddings)


def _lowest(dtype):
    """The lowest finite number."""
    dtype = np.dtype(dtype)
    return (jnp.finfo(dtype) if jnp.issubdtype(dtype, np.floating) else jnp.iinfo(dtype)).min


def _minimum(dtype):
    """Below every other number: -inf, or the lowest integer."""
    dtype = np.dtype(dtype)
    return dtype.type(-np.inf if jnp.issubdtype(dtype, np.floating) else _lowest(dtype))


def _window_max(x, floor, ksize, strides, paddings):
    """Maximum over each window, NaN left out; `floor` where nothing is above it."""

    def larger(a, b):
        return lax.select((b > a) | (a != a), b, a)

    begin = np.asarray(floor, x.dtype)
    return lax.reduce_window(x, begin, larger, tuple(ksize), tuple(strides), paddings)


def _max_pool(x, floor, ksize, strides, paddings, tangent_at_maxima):
    """`_window_max`, whose derivative is `tangent_at_maxima(x, maxima, tangent, ksize, strides, paddings)`."""

    @jax.custom_jvp
    def pool(x):
        return _window_max(x, floor, ksize, strides, paddings)

    @pool.defjvp
    def pool_jvp(primals, tangents):
        maxima = pool(*primals)
        return maxima, tangent_at_maxima(*primals, maxima, *tangents, ksize, strides, paddings)

    return pool(jnp.asarray(x))


# Windows of more elements are not unrolled.
_MOST_TAPS = 64


def _taps(x, padding_value, shape, ksize, strides, paddings):
    """For each position within a window, the elements that the windows have there, in the windows' `shape`."""
    frame = lax.pad(x, padding_value, [(before, after, 0) for before, after in paddings])
    for offset in np.ndindex(*ksize):
        ends = [o + (n - 1) * s + 1 for o, n, s in zip(offset, shape, strides, strict=True)]
        yield lax.slice(frame, offset, ends, strides)


def _take_first(x, maxima, tangent, ksize, strides, paddings):
    """What `tangent` has where each window of `x` has its first maximum, in row-major order."""
    if np.prod(ksize) > _MOST_TAPS:
        return jnp.ravel(tangent)[_first_maximum(x, ksize, strides, paddings)]
    x = lax.stop_gradient(x)
    # Faster than XLA's select-and-scatter: fifty times on CPUs.
    place = jnp.zeros(maxima.shape, np.uint8)
    best = jnp.full(maxima.shape, _minimum(x.dtype))
    for index, value in enumerate(_taps(x, _minimum(x.dtype), maxima.shape, ksize, strides, paddings)):
        place = jnp.where(value > best, np.uint8(index), place)
        best = jnp.where(value > best, value, best)
    total = jnp.zeros(maxima.shape, tangent.dtype)
    zero = np.zeros((), tangent.dtype)
    for index, value in enumerate(_taps(tangent, zero, maxima.shape, ksize, strides, paddings)):
        total = jnp.where(place == index, value, total)
    return total


def _sum_all(x, maxima, tangent, ksize, strides, paddings):
    """The sum of `tangent` over the elements of each window of `x` within 1e-5 of its maximum; for float16, equal to it."""
    tolerance = 0 if x.dtype == np.float16 else 1e-5
    elements = _taps(jnp.asarray(x), _minimum(x.dtype), maxima.shape, ksize, strides, paddings)
    tangents = _taps(tangent, np.zeros((), tangent.dtype), maxima.shape, ksize, strides, paddings)
    total = jnp.zeros(maxima.shape, tangent.dtype)
    for element, value in zip(elements, tangents, strict=True):
        total = total + jnp.where(jnp.abs(element - maxima) <= tolerance, value, 0)
    return total


def _first_maximum(x, ksize, strides, paddings):
    """The flat position in `x` of the first element of each window that has its maximum."""
    x = lax.stop_gradient(jnp.asarray(x))
    if jnp.issubdtype(x.dtype, np.floating):
        x = jnp.where(jnp.isnan(x), _minimum(x.dtype), x)
    index = np.int64 if x.size > np.iinfo(np.int32).max else np.int32
    positions = lax.iota(index, x.size).reshape(x.shape)

    def larger(a, b):
        first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))
        return jnp.where(first, a[0], b[0]), jnp.where(first, a[1], b[1])

    begin = np.asarray(_minimum(x.dtype)), np.asarray(np.iinfo(index).max, index)
    return lax.reduce_window((x, positions), begin, larger, tuple(ksize), tuple(strides), paddings)[1]


def _check_format(data_format):
    if data_format not in ("NHWC", "NCHW", "NDHWC", "NCDHW"):
        raise UnsupportedError(f"data_format {data_format!r} is not supported (NHWC, NCHW, NDHWC, NCDHW are)")


@lower("MaxPool")
def max_pool(input, *, ksize, strides, padding, data_format="NHWC", explicit_paddings=()):
    """Maximum over each window, padding and NaN left out; of equal elements the first gets the gradient."""
    _check_format(data_format)
    # A window without a number gives the lowest finite one (maxpooling_op.cc begins with it).
    paddings = _paddings(input, ksize, strides, padding, explicit_paddings)
    return _max_pool(input, _lowest(input.dtype), ksize, strides, paddings, _take_first)


@lower("MaxPoolV2")
def max_pool_v2(input, ksize: Static, strides: Static, *, padding, data_format="NHWC"):
    """`max_pool` with windows given by operands."""
    return max_pool(input, ksize=_ints(ksize), strides=_ints(strides), padding=padding, data_format=data_format)


def _ints(sizes):
    return tuple(int(n) for n in sizes)


@lower("MaxPoolGrad")
def max_pool_grad(orig_input, orig_output, grad, *, ksize, strides, padding, data_format="NHWC", explicit_paddings=()):
    """Pullback of `max_pool`."""
    _check_format(data_format)
    paddings = _paddings(orig_input, ksize, strides, padding, explicit_paddings)
    return _pull_back(_take_first, jnp.asarray(orig_input), orig_output, grad, ksize, strides, paddings)


def _pull_back(tangent_at_maxima, x, maxima, grad, ksize, strides, paddings):
    def forward(tangent):
        return tangent_at_maxima(x, maxima, tangent, ksize, strides, paddings)

    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(x.shape, grad.dtype))(jnp.asarray(grad))[0]


@lower("MaxPoolGradV2")
def max_pool_grad_v2(orig_input, orig_output, grad, ksize: Static, strides: Static, *, padding, data_format="NHWC"):
    """`max_pool_grad` with windows given by operands."""
    return max_pool_grad(
        orig_input,
        orig_output,
        grad,
        ksize=_ints(ksize),
        strides=_ints(strides),
        padding=padding,
        data_format=data_format,
    )


@lower("MaxPoolGradGrad", "MaxPool3DGradGrad")
def max_pool_grad_grad(orig_input, orig_output, grad, *, ksize, strides, padding, data_format="NHWC"):
    """Takes from `grad`, shaped as the input, the element where each window has its first maximum."""
    _check_format(data_format)
    paddings = _paddings(orig_input, ksize, strides, padding)
    return _take_first(jnp.asarray(orig_input), orig_output, jnp.asarray(grad), ksize, strides, paddings)


@lower("MaxPoolGradGradV2")
def max_pool_grad_grad_v2(
    orig_input, orig_output, grad, ksize: Static, strides: Static, *, padding, data_format="NHWC"
):
    """`max_pool_grad_grad` with windows given by operands."""
    return max_pool_grad_grad(
        orig_input,
        orig_output,
        grad,
        ksize=_ints(ksize),
        strides=_ints(strides),
        padding=padding,
        data_format=data_format,
    )


@lower("MaxPoolWithArgmax")
def max_pool_with_argmax(input, *, ksize, strides, padding, include_batch_in_index=False, Targmax=None):
    """The maximum of each window, and the flat position (row * width + column) * channels + channel of the first such.

    Positions count within an image, or from the first image if `include_batch_in_index`.
    """
    paddings = _paddings(input, ksize, strides, padding)
    output = _max_pool(input, _minimum(input.dtype), ksize, strides, paddings, _take_first)
    place = _first_maximum(input, ksize, strides, paddings)
    if not include_batch_in_index:
        place = place % max(input.size // max(input.shape[0], 1), 1)
    return output, place.astype(Targmax.numpy if Targmax else np.int64)


@lower("MaxPoolGradWithArgmax")
def max_pool_grad_with_argmax(input, grad, argmax, *, include_batch_in_index=False, **_):
    """Adds `grad` at the positions that `max_pool_with_argmax` gave."""
    place = _flat_places(input, argmax, include_batch_in_index)
    zeros = jnp.zeros(input.size, grad.dtype)
    return zeros.at[place.ravel()].add(jnp.ravel(grad)).reshape(input.shape)


@lower("MaxPoolGradGradWithArgmax")
def max_pool_grad_grad_with_argmax(input, grad, argmax, *, include_batch_in_index=False, **_):
    """Takes from `grad`, shaped as the input, the elements at the positions that `max_pool_with_argmax` gave."""
    return jnp.ravel(grad)[_flat_places(input, argmax, include_batch_in_index)]


def _flat_places(input, argmax, include_batch_in_index):
    place = jnp.asarray(argmax, jnp.int64)
    if include_batch_in_index:
        return place
    image = input.size // max(input.shape[0], 1)
    return place + lax.expand_dims(np.arange(input.shape[0], dtype=np.int64) * image, range(1, place.ndim))


@lower("AvgPool")
def avg_pool(value, *, ksize, strides, padding, data_format="NHWC"):
    """Mean over each window, counting only the elements that lie inside `value`."""
    _check_format(data_format)
    paddings = _paddings(value, ksize, strides, padding)
    covered = np.ones((), value.dtype)
    for size, window, stride, pads in zip(value.shape, ksize, strides, paddings, strict=True):
        covered = covered[..., None] * windows.counts(size, window, stride, pads)
    if np.all(covered == np.prod(ksize)):
        covered = np.prod(ksize)
    zero = np.zeros((), value.dtype)
    sums = lax.reduce_window(value, zero, lax.add, tuple(ksize), tuple(strides), paddings)
    return sums / np.asarray(covered, value.dtype)


@lower("AvgPoolGrad", "AvgPool3DGrad")
def avg_pool_grad(orig_input_shape: Static, grad, *, ksize, strides, padding, data_format="NHWC"):
    """Transpose of `avg_pool`."""

    def forward(value):
        return avg_pool(value, ksize=ksize, strides=strides, padding=padding, data_format=data_format)

    operand = jax.ShapeDtypeStruct(_ints(orig_input_shape), grad.dtype)
    return jax.linear_transpose(forward, operand)(grad)[0]


@lower("AvgPool3D")
def avg_pool_3d(input, **attrs):
    """`avg_pool` of volumes."""
    names = ("ksize", "strides", "padding", "data_format")
    return avg_pool(input, **{name: attrs[name] for name in names if name in attrs})


@lower("MaxPool3D")
def max_pool_3d(input, *, ksize, strides, padding, data_format="NDHWC"):
    """Maximum over each window; of equal elements each gets the whole gradient, unlike in two dimensions."""
    _check_format(data_format)
    paddings = _paddings(input, ksize, strides, padding)

    return _max_pool(input, _minimum(input.dtype), ksize, strides, paddings, _sum_all)


@lower("MaxPool3DGrad")
def max_pool_3d_grad(orig_input, orig_output, grad, *, ksize, strides, padding, data_format="NDHWC"):
    """The gradient goes to every element of a window that counts as its maximum, in full (pooling_ops_3d.cc)."""
    _check_format(data_format)
    paddings = _paddings(orig_input, ksize, strides, padding)

    return _pull_back(_sum_all, jnp.asarray(orig_input), orig_output, grad, ksize, strides, paddings)
