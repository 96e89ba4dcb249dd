"""Random ops whose streams are those of TensorFlow 1.15 on CPU.

A generator (see `mgjax.ops.philox`) comes in and goes out with the counter moved by what TensorFlow reserves for one
run, which is far more than the run uses: 256 blocks for each element of most distributions. Integers, uniforms,
shuffles and float32 normals are TensorFlow's bit for bit on every backend (`philox.normal32` says more); float64
normals are within what the backend's `log`, `sin` and `cos` give.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops import philox
from mgjax.ops.registry import Static, check, claim, is_known, lower

BLOCKS_PER_ELEMENT = 256
_TRUNCATION = 2.0


@lower("RandomUniform", draws=True)
def random_uniform(shape: Static, *, dtype, generator):
    """Uniform in [0, 1)."""
    return uniform(generator, shape, dtype.numpy), _after(generator, shape)


@lower("RandomUniformInt", draws=True)
def random_uniform_int(shape: Static, minval, maxval, *, generator):
    """Integers in [minval, maxval), by remainder: TensorFlow's slight preference for small ones is kept."""
    return uniform_int(generator, shape, minval, maxval), _after(generator, shape)


@lower("RandomStandardNormal", draws=True)
def random_standard_normal(shape: Static, *, dtype, generator):
    return normal(generator, shape, dtype.numpy), _after(generator, shape)


@lower("TruncatedNormal", draws=True)
def truncated_normal(shape: Static, *, dtype, generator):
    """Normal values whose absolute value is below 2; others are drawn again."""
    return normal_within(generator, shape, dtype.numpy), _after(generator, shape)


@lower("NonDeterministicInts", draws=True)
def non_deterministic_ints(shape: Static, *, dtype, generator):
    """Integers that TensorFlow takes from the operating system; here from a generator whose seed was taken from there."""
    return any_int(generator, shape, dtype.numpy), _after(generator, shape)


@lower("StatelessRandomUniform")
def stateless_random_uniform(shape: Static, seed, *, dtype):
    return uniform(philox.stateless_generator(seed), shape, dtype.numpy)


@lower("StatelessRandomUniformInt")
def stateless_random_uniform_int(shape: Static, seed, minval, maxval):
    return uniform_int(philox.stateless_generator(seed), shape, minval, maxval)


@lower("StatelessRandomUniformFullInt")
def stateless_random_uniform_full_int(shape: Static, seed, *, dtype):
    return any_int(philox.stateless_generator(seed), shape, dtype.numpy)


@lower("StatelessRandomNormal")
def stateless_random_normal(shape: Static, seed, *, dtype):
    return normal(philox.stateless_generator(seed), shape, dtype.numpy)


@lower("StatelessTruncatedNormal")
def stateless_truncated_normal(shape: Static, seed, *, dtype):
    return normal_within(philox.stateless_generator(seed), shape, dtype.numpy)


@lower("RandomShuffle", draws=True)
def random_shuffle(value, *, generator):
    """The rows of `value` in the order that Fisher and Yates's exchanges leave."""
    rows = value.shape[0] if value.ndim else 1
    if rows <= 1 or value.size <= 1:
        return value, generator
    return jnp.asarray(value)[permutation(generator, rows)], philox.skip(generator, (rows - 1 + 3) // 4)


@lower("RandomCrop", draws=True)
def random_crop(image, size: Static, *, generator):
    """A part of [height, width, channel] of a size [height, width], at a random place."""
    wanted = [int(n) for n in size]
    room = [have - want for have, want in zip(image.shape, wanted, strict=False)]
    if image.ndim != 3 or len(wanted) != 2 or min(room) < 0:
        raise InvalidArgumentError(f"an image of shape {list(image.shape)} has no crops of size {wanted}")
    if not any(room):
        return image, generator
    # A word for each axis that has room, the width first.
    words = iter(philox.words(generator, 2))
    left, top = ((next(words) % np.uint32(n + 1)).astype(np.int32) if n else np.int32(0) for n in room[::-1])
    cropped = lax.dynamic_slice(jnp.asarray(image), [top, left, np.int32(0)], [*wanted, image.shape[2]])
    return cropped, philox.skip(generator, 1)


@lower("Multinomial", draws=True)
def multinomial(logits, num_samples: Static, *, output_dtype, generator):
    """`num_samples` classes for each row of `logits`, [batch, class], as one thread of TensorFlow draws them.

    TensorFlow's own result depends on the number of threads where the batch is large.
    """
    samples = int(num_samples)
    blocks = logits.shape[0] * ((samples + 3) // 4 * 4) * 2 * BLOCKS_PER_ELEMENT
    return classes(generator, logits, samples, output_dtype.numpy), philox.skip(generator, blocks)


@lower("StatelessMultinomial")
def stateless_multinomial(logits, num_samples: Static, seed, *, output_dtype):
    return classes(philox.stateless_generator(seed), logits, int(num_samples), output_dtype.numpy)


@check("RandomUniformInt", "StatelessRandomUniformInt")
def are_limits(shape, minval, maxval):
    """Where nothing is drawn, the limits do not matter."""
    if math.prod(shape):
        message = "Need minval < maxval, got {low} >= {high}"
        yield claim(minval < maxval, message, low=minval, high=maxval)


def uniform(generator, shape, dtype):
    """Uniform values in [0, 1) of a floating dtype, from the start of the generator's stream."""
    size = math.prod(shape)
    if dtype == np.float64:
        values = philox.uniform64(philox.pairs(generator, size))
    elif dtype == np.float32:
        values = philox.uniform32(philox.words(generator, size))
    else:
        values = philox.uniform16(philox.words(generator, size), dtype)
    return values.reshape(shape)


def any_int(generator, shape, dtype):
    """Integers of 32 or 64 bits, all equally likely."""
    size = math.prod(shape)
    bits = (philox.pairs if np.dtype(dtype).itemsize == 8 else philox.words)(generator, size)
    return lax.bitcast_convert_type(bits, dtype).reshape(shape)


def uniform_int(generator, shape, minval, maxval):
    """Integers in [minval, maxval), of the dtype of those."""
    if is_known([minval, maxval]) and minval >= maxval:
        raise InvalidArgumentError(f"Need minval < maxval, got {minval} >= {maxval}")
    dtype = np.dtype(minval.dtype)
    unsigned = np.dtype(f"uint{8 * dtype.itemsize}")
    low, high = (jnp.asarray(limit).astype(unsigned) for limit in (minval, maxval))
    bits = lax.bitcast_convert_type(any_int(generator, shape, dtype), unsigned)
    return lax.bitcast_convert_type(low + bits % (high - low), dtype)


def normal(generator, shape, dtype):
    """Standard normal values of a floating dtype, from the start of the generator's stream."""
    size = math.prod(shape)
    pairs = -(-size // 2)
    if dtype == np.float64:
        block = lax.iota(np.uint64, pairs)
        both = philox.normal64(*(philox.pairs_at(generator, block, second) for second in (False, True)))
        values = jnp.stack(both, axis=-1).reshape(-1)
    else:
        values = philox.join(*philox.normal32(philox.pairs(generator, pairs)))
    return values[:size].reshape(shape).astype(dtype)


def normal_within(generator, shape, dtype):
    """Standard normal values inside (-2, 2), from the start of the generator's stream."""
    # Elements form groups, as many as a block makes. Group g draws from the stream that begins 256 blocks for each of
    # its elements further on, candidate by candidate, until it is full. All groups draw a block at a time, together;
    # full ones ignore it.
    size = math.prod(shape)
    per_group = 2 if dtype == np.float64 else 4
    groups = -(-size // per_group)
    start = lax.iota(np.uint64, groups) * np.uint64(per_group * BLOCKS_PER_ELEMENT // 4)
    wide = np.float64 if dtype == np.float64 else np.float32
    make = philox.normal64 if dtype == np.float64 else philox.normals32

    def draw(carry):
        step, filled, values = carry
        first, second = (philox.pairs_at(generator, start + step, half) for half in (False, True))
        for candidate in make(first, second):
            accepted = jnp.abs(candidate) < _TRUNCATION
            values = tuple(jnp.where(accepted & (filled == k), candidate, value) for k, value in enumerate(values))
            filled = filled + accepted.astype(np.int8)
        return step + np.uint64(1), filled, values

    def unfilled(carry):
        return jnp.any(carry[1] < per_group)

    empty = (jnp.zeros((), np.uint64), jnp.zeros(groups, np.int8), (jnp.zeros(groups, wide),) * per_group)
    _, _, values = lax.while_loop(unfilled, draw, empty)
    return jnp.stack(values, axis=-1).reshape(-1)[:size].reshape(shape).astype(dtype)


def permutation(generator, size: int):
    """The order in which `RandomShuffle` leaves the rows 0..size-1, int32[size]."""
    draws = philox.words(generator, size - 1)
    left = np.uint32(size) - lax.iota(np.uint32, size - 1)
    partners = (lax.iota(np.uint32, size - 1) + draws % left).astype(np.int32)

    def exchange(i, order):
        j = partners[i]
        at_i, at_j = order[i], order[j]
        return order.at[i].set(at_j).at[j].set(at_i)

    return lax.fori_loop(0, size - 1, exchange, lax.iota(np.int32, size))


def classes(generator, logits, samples: int, dtype):
    """Classes drawn from the softmax of each row of `logits`: [batch, samples]; non-finite logits are never drawn."""
    batch, number = logits.shape
    if number == 0:
        raise InvalidArgumentError(f"num_classes should be positive, got {number}")
    wide = lax.stop_gradient(jnp.asarray(logits)).astype(np.float64)
    finite = jnp.isfinite(wide)
    top = jnp.max(wide, axis=1, keepdims=True, where=finite, initial=-jnp.inf)
    mass = jnp.cumsum(jnp.where(finite, jnp.exp(jnp.where(finite, wide - top, 0.0)), 0.0), axis=1)
    targets = philox.uniform64(philox.pairs(generator, batch * samples)).reshape(batch, samples) * mass[:, -1:]
    find = jax.vmap(lambda row, target: jnp.searchsorted(row, target, side="right"))
    return find(mass, targets).astype(dtype)


def _after(generator, shape):
    return philox.skip(generator, math.prod(shape) * BLOCKS_PER_ELEMENT)
