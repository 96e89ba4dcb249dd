"""Periodic resampling of tf.contrib: larger axes, filled from one axis that becomes shorter (sub-pixel convolution)."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import lower
from mgjax.shapes import describe


def _sources(given, shape):
    """Of each element of the result the flat position in an array of the `given` shape; it may be past the end.

    Along an axis that grows f-fold, f neighbours come from f stretches of the axis whose size `shape` leaves open.
    """
    open_axes = [axis for axis, n in enumerate(shape) if not n]
    if len(shape) != len(given) or len(open_axes) != 1:
        raise InvalidArgumentError(
            f"shape must have one open size and as many as the values' {describe(given)}, found {describe(shape)}"
        )
    for i, (n, size) in enumerate(zip(shape, given, strict=True)):
        if n and n < size:
            raise InvalidArgumentError(
                "periodic_resample expects the size of non-adjustable dimensions be at least as large as size of input"
                f" tensor. Dimension {i} input tensor has size {size}, desired shape has size {n}."
            )
    (axis,) = open_axes
    kept = math.prod(given) // math.prod(n for n in shape if n)
    if not kept:
        raise InvalidArgumentError(
            f"periodic_resample found that the adjustable dimension, {axis}, isn't greater than zero, 0."
        )
    sizes = [n or kept for n in shape]
    factors = [-(-n // size) for n, size in zip(sizes, given, strict=True)]
    places = np.indices(sizes, np.int64)
    stretch, source = 1, [place if i == axis else place // factors[i] for i, place in enumerate(places)]
    for i, factor in enumerate(factors):
        if i != axis:
            source[axis] = source[axis] + kept * stretch * (places[i] % factor)
        stretch *= factor
    strides = np.cumprod([1, *given[:0:-1]])[::-1]
    return sum(place * stride for place, stride in zip(source, strides, strict=True))


@lower("PeriodicResample")
def periodic_resample(values, *, shape):
    """The values in another shape, of which one size is open."""
    sources = _sources(values.shape, shape)
    # TensorFlow reads on past the end.
    return jnp.asarray(values).reshape(-1).at[sources].get(mode="fill", fill_value=0)


@lower("PeriodicResampleOpGrad")
def periodic_resample_grad(grad, *, original_shape, desired_shape):
    """Pullback of `periodic_resample`."""
    sources = _sources(tuple(original_shape), desired_shape)
    grads = jnp.zeros(math.prod(original_shape), grad.dtype).at[sources.ravel()].add(jnp.reshape(grad, -1), mode="drop")
    return grads.reshape(original_shape)
