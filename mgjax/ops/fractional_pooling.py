"""Pooling over windows of random sizes, so that height and width shrink by ratios that need not be integers.

The windows of an axis are given by a *sequence*, int64[windows + 1]: window i covers the elements from sequence[i] up to
sequence[i + 1], which itself belongs to it as well if the windows are `overlapping`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops import philox
from mgjax.ops.random import permutation
from mgjax.ops.registry import Static, lower


@lower("FractionalMaxPool", draws=True)
def fractional_max_pool(
    value, *, pooling_ratio, pseudo_random=False, overlapping=False, deterministic=False, generator
):
    """The maximum of each window of [batch, height, width, channel], and the sequences of the rows and the columns."""
    rows, columns, after = _sequences(value.shape, pooling_ratio, pseudo_random, deterministic, generator)
    windows = _windows(jnp.asarray(value), rows, columns, overlapping, _lowest(value.dtype))
    return jnp.max(windows, axis=(2, 4)), rows, columns, after


@lower("FractionalMaxPoolGrad")
def fractional_max_pool_grad(
    orig_input,
    orig_output,
    out_backprop,
    row_pooling_sequence,
    col_pooling_sequence,
    *,
    overlapping=False,
):
    """What the first maximum of each window, row by row, gets."""
    value = jnp.asarray(orig_input)
    rows, columns = jnp.asarray(row_pooling_sequence), jnp.asarray(col_pooling_sequence)
    windows = _windows(value, rows, columns, overlapping, _lowest(value.dtype))
    batch, out_height, high, out_width, wide, channels = windows.shape
    flat = jnp.moveaxis(windows, 3, 2).reshape(batch, out_height, out_width, high * wide, channels)
    first = lax.argmax(flat, 3, np.int32)
    y = rows[:-1][:, None, None] + first // wide
    x = columns[:-1][None, :, None] + first % wide
    b, c = np.arange(batch)[:, None, None, None], np.arange(channels)
    return jnp.zeros_like(value).at[b, y, x, c].add(out_backprop, mode="drop")


@lower("FractionalAvgPool", draws=True)
def fractional_avg_pool(
    value, *, pooling_ratio, pseudo_random=False, overlapping=False, deterministic=False, generator
):
    """The mean of each window of [batch, height, width, channel], and the sequences of the rows and the columns."""
    rows, columns, after = _sequences(value.shape, pooling_ratio, pseudo_random, deterministic, generator)
    return _mean(jnp.asarray(value), rows, columns, overlapping), rows, columns, after


@lower("FractionalAvgPoolGrad")
def fractional_avg_pool_grad(
    orig_input_tensor_shape: Static,
    out_backprop,
    row_pooling_sequence,
    col_pooling_sequence,
    *,
    overlapping=False,
):
    """Pullback of the mean, which is linear, so it may be taken at zero; of integers in float64, cut off in the end."""
    out_backprop = jnp.asarray(out_backprop)
    is_whole = jnp.issubdtype(out_backprop.dtype, jnp.integer)
    at_zero = jnp.zeros(tuple(map(int, orig_input_tensor_shape)), np.float64 if is_whole else out_backprop.dtype)
    rows, columns = jnp.asarray(row_pooling_sequence), jnp.asarray(col_pooling_sequence)
    _, pullback = jax.vjp(lambda value: _mean(value, rows, columns, overlapping), at_zero)
    return pullback(out_backprop.astype(at_zero.dtype))[0].astype(out_backprop.dtype)


def _mean(value, rows, columns, overlapping):
    # Integers are summed as they are and divided toward zero.
    total = jnp.sum(_windows(value, rows, columns, overlapping, 0), axis=(2, 4), dtype=value.dtype)
    ones = jnp.ones((1, *value.shape[1:3], 1), value.dtype)
    count = jnp.sum(_windows(ones, rows, columns, overlapping, 0), axis=(2, 4), dtype=value.dtype)
    return lax.div(total, jnp.broadcast_to(count, total.shape))


def _windows(value, rows, columns, overlapping, outside):
    """All windows, [batch, row, y, column, x, channel], with `outside` beyond the ends of the shorter ones."""
    y, in_row = _places(rows, value.shape[1], overlapping)
    x, in_column = _places(columns, value.shape[2], overlapping)
    chosen = value[:, y][:, :, :, x]
    inside = in_row[:, :, None, None] & in_column
    return jnp.where(inside[None, ..., None], chosen, jnp.asarray(outside, value.dtype))


def _places(sequence, size, overlapping):
    """The elements of each window, [window, element], and which of those belong to it."""
    windows = sequence.shape[0] - 1
    longest = -(-size // windows) + int(overlapping)
    places = sequence[:-1, None] + np.arange(longest)
    inside = (places < sequence[1:, None] + int(overlapping)) & (places < size)
    return jnp.minimum(places, size - 1), inside


def _sequences(shape, pooling_ratio, pseudo_random, deterministic, generator):
    """The sequences of rows and columns, and the generator after them: the same if they are to repeat in every run."""
    if len(shape) != 4 or pooling_ratio[0] != 1 or pooling_ratio[3] != 1:
        raise InvalidArgumentError(
            f"Fractional pooling is of the second and third of four axes, not of {list(shape)} by {list(pooling_ratio)}"
        )
    generator = jnp.asarray(generator)
    rows, later = _sequence(shape[1], pooling_ratio[1], pseudo_random, generator)
    columns, after = _sequence(shape[2], pooling_ratio[2], pseudo_random, later)
    return rows, columns, generator if deterministic else after


def _sequence(size, ratio, pseudo_random, generator):
    windows = math.floor(size / ratio)
    short, longer = divmod(size, windows)
    if longer == 0:
        # Equal windows need no numbers, but TensorFlow takes them all the same.
        taken = 1 if pseudo_random else (windows + 3) // 4
        return jnp.arange(windows + 1, dtype=np.int64) * short, philox.skip(generator, taken)
    if not pseudo_random:
        sizes = jnp.asarray(np.repeat([short + 1, short], [longer, windows - longer]))
        shuffled = sizes[permutation(generator, windows)] if windows > 1 else sizes
        ends = jnp.cumsum(shuffled, dtype=np.int64)
        return jnp.concatenate([jnp.zeros(1, np.int64), ends]), philox.skip(generator, (windows + 3) // 4)
    alpha = size / windows
    # The largest start with which no window is longer than `short` + 1.
    most = min((short + 2) / alpha - 1, (size + 1 - short) / alpha - (windows - 1))
    start = philox.uniform64(philox.pairs(generator, 1))[0] * most
    inner = jnp.ceil(alpha * (np.arange(1.0, windows) + start)).astype(np.int64) - 1
    ends = jnp.zeros(1, np.int64), inner, jnp.full(1, size, np.int64)
    return jnp.concatenate(ends), philox.skip(generator, 1)


def _lowest(dtype):
    return -np.inf if jnp.issubdtype(dtype, np.floating) else np.iinfo(dtype).min
