"""Philox4x32-10, the generator under TensorFlow's random ops: its words, and the numbers made of them.

A *generator* is a uint32[6] array: the 64-bit key (low word, high word) and a 128-bit counter, lowest word first.
Encrypting the counter with the key gives a *block* of four words w0..w3; the counter then goes up by one. Block `i`
of a generator is what its counter plus `i` gives, so all blocks are made at once.

The words of a block travel in two uint64 *pairs*, w0 | w1 << 32 and w2 | w3 << 32. A round multiplies words of 32
bits to products of 64, so two 64-bit lanes hold the whole state, each round is two widening multiplications, and a
kernel that writes one pair per element makes a random array in one pass over memory. The arithmetic is that of
unsigned integers on every backend.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

ROUNDS = 10
_HALF = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85


def initial_generator(seed: int, seed2: int) -> np.ndarray:
    """The generator of a node whose attrs are `seed` and `seed2`, before its first draw.

    TensorFlow takes a pair of random 64-bit numbers where both attrs are 0; so should the caller.
    """
    words = [word for s in (seed, seed2) for word in (s & 0xFFFFFFFF, (s >> 32) & 0xFFFFFFFF)]
    return np.array([*words[:2], 0, 0, *words[2:]], np.uint32)


def skip(generator, blocks):
    """The generator after that many blocks, an integer below 2**64 or an array of one."""
    generator = jnp.asarray(generator)
    low, high = _counter(generator)
    return _join(generator, *_add(low, high, jnp.asarray(blocks, np.uint64)))


def pairs(generator, count: int):
    """The first `count` pairs of words, uint64[count]."""
    i = lax.iota(np.uint64, count)
    return pairs_at(generator, i >> np.uint64(1), (i & np.uint64(1)) == 1)


def pairs_at(generator, block, second):
    """The first or second pair of words of each block: uint64, of the broadcast shape."""
    generator = jnp.asarray(generator)
    low, high = _add(*_counter(generator), block)
    first_pair, second_pair = _encrypt(low, high, generator[0], generator[1])
    return jnp.where(second, second_pair, first_pair)


def words(generator, count: int):
    """The first `count` words, uint32[count]."""
    return unpack(pairs(generator, -(-count // 2)))[:count]


def unpack(pair):
    """uint64[...] pairs to their words in order, uint32[n]."""
    # XLA puts the low half first in a bitcast to a narrower type, on every backend.
    return lax.bitcast_convert_type(pair, jnp.uint32).reshape(-1)


def split(pair):
    """The two words of each pair, each of the shape of `pair`."""
    return pair.astype(np.uint32), (pair >> _HALF).astype(np.uint32)


def join(first, second):
    """Two arrays of 32 bits an element, interleaved: [n] and [n] to [2n], of their dtype."""
    bits = [lax.bitcast_convert_type(x, jnp.uint32).astype(np.uint64) for x in (first, second)]
    return lax.bitcast_convert_type(bits[0] | (bits[1] << _HALF), first.dtype).reshape(-1)


def stateless_generator(seed):
    """The generator of a stateless op, from its seed: two integers, int32 or int64."""
    # TensorFlow's `GenerateKey` (stateless_random_ops.cc): one block under a fixed key turns the seed into key and
    # counter.
    seed = jnp.asarray(seed).astype(np.int64).astype(np.uint64)
    scramble = jnp.asarray(np.array([0x3EC8F720, 0x02461E29], np.uint32))
    first, second = _encrypt(seed[0], seed[1], scramble[0], scramble[1])
    zero = jnp.zeros((), np.uint32)
    return jnp.stack([*split(first), zero, zero, *split(second)])


def uniform32(word):
    """float32 in [0, 1), a multiple of 2**-23, from uint32."""
    return lax.bitcast_convert_type(np.uint32(0x3F800000) | (word & np.uint32(0x7FFFFF)), jnp.float32) - np.float32(1)


def uniform64(pair):
    """float64 in [0, 1), a multiple of 2**-52, from pairs: 20 bits of the first word above the second."""
    mantissa = ((pair & np.uint64(0xFFFFF)) << _HALF) | (pair >> _HALF)
    return lax.bitcast_convert_type(np.uint64(1023 << 52) | mantissa, jnp.float64) - 1.0


def uniform16(word, dtype):
    """float16 or bfloat16 in [0, 1), from uint32."""
    exponent, mantissa = (0x3C00, 0x3FF) if dtype == np.float16 else (0x3F80, 0x7F)
    bits = (np.uint32(exponent) | (word & np.uint32(mantissa))).astype(np.uint16)
    return lax.bitcast_convert_type(bits, jnp.dtype(dtype)) - np.ones((), dtype)


def normal32(pair):
    """Two independent normal values, float32, from each pair (Box and Muller's transform).

    TensorFlow calls the C library's `logf`, `sinf`, `cosf`, which are within 1 ulp; these are rounded once from
    float64, so about 1.5 % of the results differ from its, by at most 3 ulp.
    """
    first, second = split(pair)
    u = jnp.maximum(uniform32(first), np.float32(1e-7))
    angle = (2 * math.pi * uniform32(second).astype(np.float64)).astype(np.float32)
    log = _log_of_unit(u).astype(np.float32)
    # The root in float64, rounded, is the correctly rounded float32 root, also where a backend's float32 root is
    # approximate.
    radius = jnp.sqrt(-2.0 * log.astype(np.float64)).astype(np.float32)
    sin, cos = _sin_cos_of_turn(angle.astype(np.float64))
    return sin.astype(np.float32) * radius, cos.astype(np.float32) * radius


def normals32(first_pair, second_pair):
    """The four normal values, float32, of the two pairs of a block."""
    return *normal32(first_pair), *normal32(second_pair)


def normal64(first_pair, second_pair):
    """Two independent normal values, float64, from the two pairs of a block."""
    u = jnp.maximum(uniform64(first_pair), 1e-7)
    angle = 2 * math.pi * uniform64(second_pair)
    radius = jnp.sqrt(-2.0 * jnp.log(u))
    return jnp.sin(angle) * radius, jnp.cos(angle) * radius


def _log_of_unit(u):
    """log of float32 values in (0, 1], float64 with a relative error below 2**-44."""
    bits = lax.bitcast_convert_type(u, jnp.uint32)
    # u = m * 2**e with m in [sqrt(1/2), sqrt(2)), whose bits start at 0x3F3504F3.
    offset = bits - np.uint32(0x3F3504F3)
    exponent = lax.bitcast_convert_type(offset, jnp.int32) >> 23
    mantissa = lax.bitcast_convert_type((offset & np.uint32(0x7FFFFF)) + np.uint32(0x3F3504F3), jnp.float32)
    m = mantissa.astype(np.float64)
    s = (m - 1.0) / (m + 1.0)
    # log m = 2 atanh s, |s| < 0.172.
    return exponent.astype(np.float64) * math.log(2) + s * _polynomial(s * s, [2 / (2 * k + 1) for k in range(8)])


def _sin_cos_of_turn(x):
    """sin and cos of float64 x in [0, 2 pi] with a relative error below 2**-44, if x is a float32 value."""
    quarter = jnp.round(x * (2 / math.pi))
    y = x - quarter * (math.pi / 2)
    square = y * y
    sin = y * _polynomial(square, [(-1) ** k / math.factorial(2 * k + 1) for k in range(8)])
    cos = _polynomial(square, [(-1) ** k / math.factorial(2 * k) for k in range(9)])
    quarter = quarter.astype(np.int32)
    swap = (quarter & 1) == 1
    sin_sign = jnp.where((quarter & 2) == 0, 1.0, -1.0)
    cos_sign = jnp.where(((quarter + 1) & 2) == 0, 1.0, -1.0)
    return jnp.where(swap, cos, sin) * sin_sign, jnp.where(swap, sin, cos) * cos_sign


def _polynomial(x, coefficients):
    """The polynomial with these coefficients, lowest first."""
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _counter(generator):
    """The counter as two uint64 halves, low and high."""
    wide = generator.astype(np.uint64)
    return wide[2] | (wide[3] << _HALF), wide[4] | (wide[5] << _HALF)


def _add(low, high, blocks):
    """The 128-bit sum of a counter and uint64 numbers of blocks."""
    total = low + blocks
    return total, high + (total < low).astype(np.uint64)


def _join(generator, low, high):
    return jnp.concatenate([generator[:2], jnp.stack([*split(low), *split(high)])])


def _encrypt(low, high, key_low, key_high):
    """Ten rounds of Philox4x32 on counters (low, high): the two pairs of each block."""
    # Between rounds a lane holds (c0, c1) or (c2, c3) with the *first* word on top, where the next round's products
    # need it.
    key = [key_low.astype(np.uint32), key_high.astype(np.uint32)]
    first, second = _swap_words(low), _swap_words(high)
    for _ in range(ROUNDS):
        first, second = (
            _MULTIPLIERS[1] * (second >> _HALF) ^ (first << _HALF) ^ (key[0].astype(np.uint64) << _HALF),
            _MULTIPLIERS[0] * (first >> _HALF) ^ (second << _HALF) ^ (key[1].astype(np.uint64) << _HALF),
        )
        key = [k + np.uint32(weyl) for k, weyl in zip(key, _WEYL, strict=True)]
    return _swap_words(first), _swap_words(second)


def _swap_words(pair):
    return (pair >> _HALF) | (pair << _HALF)
