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


def _window_max(x, ksize, strides, paddings):
    return lax.reduce_window(x, np.asarray(_minimum(x.dtype)), lax.max, tuple(ksize), tuple(strides), paddings)


def _minimum(dtype):
    """What `lax.max` begins with: -inf, or the lowest integer."""
    dtype = np.dtype(dtype)
    return dtype.type(-np.inf if jnp.issubdtype(dtype, np.floating) else jnp.iinfo(dtype).min)


def _without_nan(x, floor):
    """`x` with NaN, and whatever is below `floor`, at `floor`: no window's maximum unless there is nothing else."""
    if not jnp.issubdtype(x.dtype, np.floating):
        return x
    return jnp.where(x > floor, x, x.dtype.type(floor))


def _check_format(data_format):
    if data_format not in ("NHWC", "NCHW", "NDHWC", "NCDHW"):
        raise UnsupportedError(f"data_format {data_format!r} is not supported (NHWC, NCHW, NDHWC, NCDHW are)")


@lower("MaxPool")
def max_pool(input, *, ksize, strides, padding, data_format="NHWC", explicit_paddings=()):
    """Maximum over each window, padding and NaN left out; of equal elements the first gets the gradient."""
    _check_format(data_format)
    # A window without a number gives the lowest finite one (maxpooling_op.cc begins with it).
    floor = jnp.finfo(input.dtype).min if jnp.issubdtype(input.dtype, np.floating) else 0
    paddings = _paddings(input, ksize, strides, padding, explicit_paddings)
    return _window_max(_without_nan(input, floor), ksize, strides, paddings)


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
    x = _without_nan(jnp.asarray(orig_input), -np.inf)
    paddings = _paddings(x, ksize, strides, padding, explicit_paddings)
    return jax.vjp(lambda x: _window_max(x, ksize, strides, paddings), x)[1](jnp.asarray(grad))[0]


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
    _, place = _first_maximum(orig_input, ksize, strides, _paddings(orig_input, ksize, strides, padding, ()))
    return jnp.ravel(grad)[place]


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


def _first_maximum(x, ksize, strides, paddings):
    """Each window's maximum, and the flat position in `x` of the first element that has it."""
    x = _without_nan(lax.stop_gradient(jnp.asarray(x)), -np.inf)
    index = jnp.int64 if x.size > np.iinfo(np.int32).max else jnp.int32
    positions = lax.iota(index, x.size).reshape(x.shape)

    def larger(a, b):
        first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))
        return jnp.where(first, a[0], b[0]), jnp.where(first, a[1], b[1])

    begin = np.asarray(_minimum(x.dtype)), np.asarray(jnp.iinfo(index).max, index)
    return lax.reduce_window((x, positions), begin, larger, tuple(ksize), tuple(strides), paddings)


@lower("MaxPoolWithArgmax")
def max_pool_with_argmax(input, *, ksize, strides, padding, include_batch_in_index=False, Targmax=None):
    """The maximum of each window, and the flat position (row * width + column) * channels + channel of the first such.

    Positions count within an image, or from the first image if `include_batch_in_index`.
    """
    paddings = _paddings(input, ksize, strides, padding)
    output = _window_max(_without_nan(input, -np.inf), ksize, strides, paddings)
    _, place = _first_maximum(input, ksize, strides, paddings)
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

    @jax.custom_jvp
    def pool(x):
        return _window_max(_without_nan(x, -np.inf), ksize, strides, paddings)

    @pool.defjvp
    def pool_jvp(primals, tangents):
        output = pool(*primals)
        return output, _sum_at_maxima(*primals, output, *tangents, ksize, strides, paddings)

    return pool(input)


@lower("MaxPool3DGrad")
def max_pool_3d_grad(orig_input, orig_output, grad, *, ksize, strides, padding, data_format="NDHWC"):
    """The gradient goes to every element of a window within 1e-5 of its maximum (pooling_ops_3d.cc); for float16, equal to it."""
    _check_format(data_format)
    paddings = _paddings(orig_input, ksize, strides, padding)

    def forward(tangent):
        return _sum_at_maxima(orig_input, orig_output, tangent, ksize, strides, paddings)

    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(orig_input.shape, grad.dtype))(grad)[0]


def _sum_at_maxima(x, maxima, tangent, ksize, strides, paddings):
    """The sum of `tangent` over the elements of each window of `x` that count as its maximum."""
    tolerance = 0 if x.dtype == np.float16 else 1e-5
    edges = [(before, after, 0) for before, after in paddings]
    x = lax.pad(jnp.asarray(x), _minimum(x.dtype), edges)
    tangent = lax.pad(tangent, np.zeros((), tangent.dtype), edges)
    total = jnp.zeros(maxima.shape, tangent.dtype)
    for offset in np.ndindex(*ksize):
        ends = [o + (n - 1) * s + 1 for o, n, s in zip(offset, maxima.shape, strides, strict=True)]
        here = jnp.abs(lax.slice(x, offset, ends, strides) - maxima) <= tolerance
        total = total + jnp.where(here, lax.slice(tangent, offset, ends, strides), 0)
    return total
