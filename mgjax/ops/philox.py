"""Philox4x32-10, the generator under TensorFlow's random ops: its words, and the numbers made of them.

A *generator* is a uint32[6] array: the 64-bit key (low word, high word) and a 128-bit counter, lowest word first.
Encrypting the counter with the key gives a *block* of four words w0..w3; the counter then goes up by one. Block `i`
of a generator is what its counter plus `i` gives, so all blocks are made at once.

The words of a block travel in two uint64 *pairs*, w0 | w1 << 32 and w2 | w3 << 32, and a kernel that writes one pair per
element makes a random array in one pass over memory. A round multiplies words of 32 bits to products of 64. CPUs and
GPUs have that as one instruction, so there two 64-bit lanes hold the state (on a CPU that takes half the time of lanes
of 32 bits); elsewhere 64-bit integers are made of 32-bit ones, so there four 32-bit lanes do. The arithmetic is that of
unsigned integers on every backend, and the words are the same.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

ROUNDS = 10
_HALF = np.uint64(32)
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
# Polynomials whose values round to those of the C library's logf, sinf and cosf (glibc 2.28 and later, x86-64), which are
# within 1 ulp but not correctly rounded. They were fitted by linear programming to all 2**23 arguments that occur: the
# rounding interval of each value the library gives is a constraint. sin x = x + x**3 S(x**2), cos x = 1 + x**2 C(x**2) for
# |x| <= pi / 4; log z = L(z - 1) in each sixteenth of [0.7, 1.4), a row each.
_SIN = (-0.16666654943768378, 0.008332178149954624, -0.00019517299468858732)
_COS = (-0.4999999972533046, 0.04166662334908566, -0.0013886764562768595, 2.4390523180754228e-05)
_LOG = np.array(
    [
        [-0.0015341430672106064, 0.9744387470019462, -0.6663431027686981, -0.18314262418898006, -0.9608825619923649],
        [-0.0007190637922009717, 0.9864606367355446, -0.5998067476072128, -0.019367913475637145, -0.8096131519942624],
        [-0.0003147939049176174, 0.9931990067075552, -0.5576559793614905, 0.09790896401875553, -0.6871541647848141],
        [-0.00012541225284550697, 0.9968273235783383, -0.5315633509230823, 0.18138594255947932, -0.5869080449847447],
        [-4.384460479269687e-05, 0.9986646244947246, -0.5160250809932453, 0.23986224491316255, -0.5042797731785795],
        [-1.2662270614983901e-05, 0.9995165505191684, -0.5072826459363811, 0.27980189550962686, -0.43574109676017836],
        [-2.687780613778636e-06, 0.9998626473434675, -0.5027687551840331, 0.3060309592061205, -0.3784463236018595],
        [-3.2100271816507067e-07, 0.9999750687950314, -0.50075877060985, 0.3220684360234808, -0.3302611527465824],
        [-7.750340337905905e-09, 0.9999985851180871, -0.5000923426964108, 0.3305385227850886, -0.2895158928004652],
        [0.0, 1.0, -0.49999974792779744, 0.33345680787270315, -0.250893709552249],
        [4.8695450209508807e-08, 0.9999947071957143, -0.4997781603356456, 0.328791062907394, -0.20373912147243747],
        [2.535968805363418e-06, 0.9998862250392327, -0.497951425478514, 0.3146411404012055, -0.16105819219848305],
        [1.7882954587029346e-05, 0.9994796165972718, -0.4938690812492741, 0.2962230263457152, -0.12954382084095833],
        [6.514265060500636e-05, 0.9985877049368542, -0.4875241573860438, 0.27605585171361813, -0.10537737716422761],
        [0.00016853579334701903, 0.997076121910721, -0.4792122953538353, 0.2556809875349065, -0.08659110908788492],
        [0.0003537007226914454, 0.9948687681185565, -0.4693259087164471, 0.23596360102684893, -0.07181626681566992],
    ]
)  # fmt: skip


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
    # TensorFlow sets these bits below those of 1 and subtracts 1, which gives the same; but XLA would add to the 1 what the
    # caller adds, a smallest value above 0 say, and lose it.
    return (word & np.uint32(0x7FFFFF)).astype(np.int32).astype(np.float32) * np.float32(2.0**-23)


def uniform64(pair):
    """float64 in [0, 1), a multiple of 2**-52, from pairs: 20 bits of the first word above the second."""
    mantissa = ((pair & np.uint64(0xFFFFF)) << _HALF) | (pair >> _HALF)
    return lax.bitcast_convert_type(np.uint64(1023 << 52) | mantissa, jnp.float64) - 1.0


def uniform16(word, dtype):
    """float16 or bfloat16 in [0, 1), from uint32."""
    bits = 10 if dtype == np.float16 else 7
    return (word & np.uint32(2**bits - 1)).astype(np.int32).astype(dtype) * np.asarray(2.0**-bits, dtype)


def normal32(pair):
    """Two independent normal values, float32, from each pair (Box and Muller's transform).

    They are TensorFlow's bit for bit where the C library under it is glibc, of which it calls `logf`, `sinf`, `cosf`.
    """
    # Evaluated in float64 and rounded, every function of float32 gives what the library's gives.
    first, second = split(pair)
    u = jnp.maximum(uniform32(first), np.float32(1e-7))
    angle = (2 * math.pi * uniform32(second).astype(np.float64)).astype(np.float32)
    log = _log(u).astype(np.float32)
    # The root in float64, rounded, is the correctly rounded float32 root, also where a backend's float32 root is
    # approximate.
    radius = jnp.sqrt(-2.0 * log.astype(np.float64)).astype(np.float32)
    sin, cos = _sin_cos(angle.astype(np.float64))
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


def _log(u):
    """log of float32 values in [1e-7, 1): float64 that rounds to what the C library gives."""
    bits = lax.bitcast_convert_type(u, jnp.uint32)
    # u = z * 2**e with z in [0.7, 1.4); the four bits below the exponent's say in which sixteenth of that z lies.
    offset = bits - np.uint32(0x3F330000)
    exponent = lax.bitcast_convert_type(offset, jnp.int32) >> 23
    z = lax.bitcast_convert_type(bits - (offset & np.uint32(0xFF800000)), jnp.float32)
    sixteenth = (offset >> 19) & np.uint32(15)
    rows = [jnp.asarray(column).at[sixteenth].get(mode="promise_in_bounds") for column in _LOG.T]
    return _polynomial(z.astype(np.float64) - 1.0, rows) + exponent.astype(np.float64) * math.log(2)


def _sin_cos(x):
    """sin and cos of float32 values in [0, 2 pi), given as float64: float64 that round to what the C library gives."""
    quarter = jnp.floor(x * (2 / math.pi) + 0.5)
    y = x - quarter * (math.pi / 2)
    square = y * y
    sin, cos = y + y * square * _polynomial(square, _SIN), 1 + square * _polynomial(square, _COS)
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
    key = key_low.astype(np.uint32), key_high.astype(np.uint32)
    wide = dict.fromkeys(("cpu", "cuda", "rocm"), _encrypt_in_wide_lanes)
    return lax.platform_dependent(low, high, *key, default=_encrypt_in_narrow_lanes, **wide)


def _encrypt_in_wide_lanes(low, high, *key):
    # Between rounds a lane holds (c0, c1) or (c2, c3) with the *first* word on top, where the next round's products
    # need it.
    first, second = _swap_words(low), _swap_words(high)
    for _ in range(ROUNDS):
        first, second = (
            np.uint64(_MULTIPLIERS[1]) * (second >> _HALF) ^ (first << _HALF) ^ (key[0].astype(np.uint64) << _HALF),
            np.uint64(_MULTIPLIERS[0]) * (first >> _HALF) ^ (second << _HALF) ^ (key[1].astype(np.uint64) << _HALF),
        )
        key = _next_key(key)
    return _swap_words(first), _swap_words(second)


def _encrypt_in_narrow_lanes(low, high, *key):
    c0, c1 = split(low)
    c2, c3 = split(high)
    for _ in range(ROUNDS):
        low0, high0 = _product(c0, _MULTIPLIERS[0])
        low1, high1 = _product(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ key[0], low1, high0 ^ c3 ^ key[1], low0
        key = _next_key(key)
    return tuple(x.astype(np.uint64) | (y.astype(np.uint64) << _HALF) for x, y in ((c0, c1), (c2, c3)))


def _product(x, factor: int):
    """The low and the high word of the products of uint32 with a constant."""
    below, above = x & np.uint32(0xFFFF), x >> 16
    least, most = np.uint32(factor & 0xFFFF), np.uint32(factor >> 16)
    crossed = above * least
    middle = (below * least >> 16) + (below * most & np.uint32(0xFFFF)) + (crossed & np.uint32(0xFFFF))
    return x * np.uint32(factor), above * most + (below * most >> 16) + (crossed >> 16) + (middle >> 16)


def _next_key(key):
    return tuple(k + np.uint32(weyl) for k, weyl in zip(key, _WEYL, strict=True))


def _swap_words(pair):
    return (pair >> _HALF) | (pair << _HALF)
