"""Random ops whose generator is a value of the graph: a variable of `tf.random.Generator`, or a key and a counter.

A generator variable holds int64 [counter low, counter high, key]; a draw takes from the start of its stream and moves
the counter by 256 blocks an element, as the ops that own their generator do.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops import philox
from mgjax.ops.random import BLOCKS_PER_ELEMENT, any_int, are_limits, normal, normal_within, uniform, uniform_int
from mgjax.ops.registry import Static, check, lower

PHILOX, AUTOMATIC = 1, 3


@lower("StatefulUniform", updates=("resource",))
def stateful_uniform(resource, algorithm: Static, shape: Static, *, dtype):
    return _draw(resource, algorithm, shape, lambda generator: uniform(generator, shape, dtype.numpy))


@lower("StatefulUniformInt", updates=("resource",))
def stateful_uniform_int(resource, algorithm: Static, shape: Static, minval, maxval):
    return _draw(resource, algorithm, shape, lambda generator: uniform_int(generator, shape, minval, maxval))


@check("StatefulUniformInt")
def are_limits_of_state(shape, minval, maxval):
    yield from are_limits(shape, minval, maxval)


@lower("StatefulUniformFullInt", updates=("resource",))
def stateful_uniform_full_int(resource, algorithm: Static, shape: Static, *, dtype):
    return _draw(resource, algorithm, shape, lambda generator: any_int(generator, shape, dtype.numpy))


@lower("StatefulStandardNormalV2", updates=("resource",))
def stateful_standard_normal_v2(resource, algorithm: Static, shape: Static, *, dtype):
    return _draw(resource, algorithm, shape, lambda generator: normal(generator, shape, dtype.numpy))


@lower("StatefulStandardNormal", updates=("resource",))
def stateful_standard_normal(resource, shape: Static, *, dtype):
    """The form before GraphDef version 29: the variable's first element is the algorithm."""
    state = jnp.asarray(resource)
    # Which algorithm that is only shows when the program runs. TensorFlow has no other but Philox.
    after, values = _draw(state[1:], PHILOX, shape, lambda generator: normal(generator, shape, dtype.numpy))
    return jnp.concatenate([state[:1], after]), values


@lower("StatefulTruncatedNormal", updates=("resource",))
def stateful_truncated_normal(resource, algorithm: Static, shape: Static, *, dtype):
    return _draw(resource, algorithm, shape, lambda generator: normal_within(generator, shape, dtype.numpy))


@lower("RngSkip", updates=("resource",))
def rng_skip(resource, algorithm: Static, delta):
    """Moves the counter by `delta` * 256 blocks, as a draw of `delta` elements does."""
    need_philox(algorithm)
    blocks = jnp.asarray(delta).astype(np.uint64) * np.uint64(BLOCKS_PER_ELEMENT)
    return skipped(jnp.asarray(resource), blocks)


@lower("StatelessRandomGetKeyCounter")
def stateless_random_get_key_counter(seed):
    """The key uint64[1] and the counter uint64[2] that a stateless op makes of its seed."""
    key, low, high = _halves(philox.stateless_generator(seed))
    return key[None], jnp.stack([low, high])


@lower("StatelessRandomGetKeyCounterAlg")
def stateless_random_get_key_counter_alg(seed):
    return (*stateless_random_get_key_counter(seed), np.int32(PHILOX))


@lower("StatelessRandomGetAlg")
def stateless_random_get_alg():
    return np.int32(PHILOX)


@lower("StatelessRandomUniformV2")
def stateless_random_uniform_v2(shape: Static, key, counter, alg: Static, *, dtype):
    return uniform(_keyed(key, counter, alg), shape, dtype.numpy)


@lower("StatelessRandomUniformIntV2")
def stateless_random_uniform_int_v2(shape: Static, key, counter, alg: Static, minval, maxval):
    return uniform_int(_keyed(key, counter, alg), shape, minval, maxval)


@check("StatelessRandomUniformIntV2")
def are_limits_with_key(shape, minval, maxval):
    yield from are_limits(shape, minval, maxval)


@lower("StatelessRandomUniformFullIntV2")
def stateless_random_uniform_full_int_v2(shape: Static, key, counter, alg: Static, *, dtype):
    return any_int(_keyed(key, counter, alg), shape, dtype.numpy)


@lower("StatelessRandomNormalV2")
def stateless_random_normal_v2(shape: Static, key, counter, alg: Static, *, dtype):
    return normal(_keyed(key, counter, alg), shape, dtype.numpy)


@lower("StatelessTruncatedNormalV2")
def stateless_truncated_normal_v2(shape: Static, key, counter, alg: Static, *, dtype):
    return normal_within(_keyed(key, counter, alg), shape, dtype.numpy)


def _draw(state, algorithm, shape, draw):
    """The variable after a draw, and what was drawn."""
    need_philox(algorithm)
    state = jnp.asarray(state)
    values = draw(generator_of(state))
    return skipped(state, np.uint64(math.prod(shape) * BLOCKS_PER_ELEMENT)), values


def generator_of(state):
    """The generator (see `mgjax.ops.philox`) that a generator variable's value, int64[3 or more], stands for."""
    if state.shape[0] < 3:
        raise InvalidArgumentError(f"The size of the state must be at least 3; got {state.shape[0]}")
    low, high, key = (lax.bitcast_convert_type(state[i], jnp.uint64) for i in range(3))
    return _generator(key, low, high)


def skipped(state, blocks):
    """The variable's value after its stream moved on by so many blocks."""
    _, low, high = _halves(philox.skip(generator_of(state), blocks))
    moved = lax.bitcast_convert_type(jnp.stack([low, high]), state.dtype)
    return jnp.concatenate([moved, state[2:]])


def _keyed(key, counter, algorithm):
    need_philox(algorithm)
    key, counter = jnp.asarray(key), jnp.asarray(counter)
    return _generator(key[0], counter[0], counter[1])


def _generator(key, low, high):
    return jnp.stack([word for half in (key, low, high) for word in philox.split(half)])


def _halves(generator):
    """The key and the two halves of the counter, uint64."""
    wide = generator.astype(np.uint64)
    return tuple(wide[i] | (wide[i + 1] << np.uint64(32)) for i in (0, 2, 4))


def need_philox(algorithm):
    """Refuses any algorithm but Philox."""
    if int(algorithm) not in (PHILOX, AUTOMATIC):
        raise UnsupportedError(f"algorithm {int(algorithm)} is not supported (1, Philox, is)")
