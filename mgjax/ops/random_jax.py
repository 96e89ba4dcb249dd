"""Random ops drawn by JAX's own generator instead of TensorFlow's: other numbers of the same distributions.

What is kept: dtypes, shapes, distributions, the counters and how they move, so that runs repeat and can be resumed. What is
given up: the numbers are not those TensorFlow draws, so a resumed training is no longer the same training; they differ
between backends and may between versions of JAX and XLA; and integers lack TensorFlow's slight preference for small ones.
Ops that are not listed here draw as ever.

Accelerators make bits with XLA's `RngBitGenerator`. On a CPU that is slow, and JAX's Threefry draws; TensorFlow's own stream
costs less than that for all but truncated normals, so that the choice is one for accelerators.
"""

from __future__ import annotations

import math

import jax
import numpy as np
from jax import lax

from mgjax.ops import philox
from mgjax.ops.random import BLOCKS_PER_ELEMENT
from mgjax.ops.registry import Lowering, Static, describe


def random_uniform(shape: Static, *, dtype, generator):
    return _draw(generator, shape, lambda key, size: jax.random.uniform(key, size, dtype.numpy))


def random_uniform_int(shape: Static, minval, maxval, *, generator):
    dtype = np.dtype(minval.dtype)
    return _draw(generator, shape, lambda key, size: jax.random.randint(key, size, minval, maxval, dtype))


def random_standard_normal(shape: Static, *, dtype, generator):
    return _draw(generator, shape, lambda key, size: jax.random.normal(key, size, dtype.numpy))


def truncated_normal(shape: Static, *, dtype, generator):
    return _draw(generator, shape, lambda key, size: jax.random.truncated_normal(key, -2, 2, size, dtype.numpy))


#: Lowerings to import a graph with: `import_meta_graph(..., lowerings=mgjax.JAX_RANDOM)`.
JAX_RANDOM: dict[str, Lowering] = {
    op: describe(op, function, draws=True)
    for op, function in {
        "RandomUniform": random_uniform,
        "RandomUniformInt": random_uniform_int,
        "RandomStandardNormal": random_standard_normal,
        "TruncatedNormal": truncated_normal,
    }.items()
}


def _draw(generator, shape, draw):
    size = tuple(int(n) for n in shape)
    # JAX's key is one block of TensorFlow's stream.
    words = philox.words(generator, 4)

    def by(kind, count):
        return lambda words: draw(jax.random.wrap_key_data(words[:count], impl=kind), size)

    values = lax.platform_dependent(words, cpu=by("threefry2x32", 2), default=by("unsafe_rbg", 4))
    return values, philox.skip(generator, math.prod(size) * BLOCKS_PER_ELEMENT)
