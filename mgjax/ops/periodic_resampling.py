"""Periodic resampling of tf.contrib: larger axes, filled from one axis that becomes shorter (sub-pixel convolution)."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import lower
from mgjax.shapes import describe


def _sources(given, shape):
    """Of each element of the result the flat position in an array of the `given` shape.

    Along an axis that grows f-fold, f neighbours come from f stretches of the axis whose size `shape` leaves open.
    """
    open_axes = [axis for axis, n in enumerate(shape) if n is None]
    if len(shape) != len(given) or len(open_axes) != 1:
        raise InvalidArgumentError(
            f"shape must have one open size and as many as the values' {describe(given)}, found {describe(shape)}"
        )
    (axis,) = open_axes
    factors = [1 if n is None else -(-n // size) for n, size in zip(shape, given, strict=True)]
    kept = given[axis] // math.prod(factors)
    sizes = [kept if n is None else n for n in shape]
    places = np.indices(sizes, np.int64)
    stretch, source = 1, [places[i] // factor for i, factor in enumerate(factors)]
    for i, factor in enumerate(factors):
        source[axis] = source[axis] + kept * stretch * (places[i] % factor)
        stretch *= factor
    return np.ravel_multi_index(source, given)


@lower("PeriodicResample")
def periodic_resample(values, *, shape):
    """The values in another shape, of which one size is open."""
    sources = _sources(values.shape, shape)
    return jnp.asarray(values).reshape(-1)[sources]


@lower("PeriodicResampleOpGrad")
def periodic_resample_grad(grad, *, original_shape, desired_shape):
    """Pullback of `periodic_resample`."""
    sources = _sources(tuple(original_shape), desired_shape)
    grads = jnp.zeros(math.prod(original_shape), grad.dtype).at[sources.ravel()].add(jnp.reshape(grad, -1))
    return grads.reshape(original_shape)
