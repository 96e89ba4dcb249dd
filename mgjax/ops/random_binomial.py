"""StatefulRandomBinomial: binomial values in float64, each output in its turn from one stream.

A block makes two doubles, and TensorFlow uses the second one first; what an output leaves of its last block is dropped.
As in one thread of TensorFlow; with several, its result depends on their number where there are many batches.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops import philox
from mgjax.ops.random_state import generator_of, need_philox
from mgjax.ops.registry import Static, lower

_FEW = 10
_SAMPLES_PER_BATCH = 100
# What Stirling's formula leaves of log k!, for k below 10. TensorFlow 1.15 takes 0 from there on: its series divides integers.
_TAILS = np.array(
    [math.lgamma(k + 1) - math.log(2 * math.pi) / 2 - (k + 0.5) * math.log(k + 1) + k + 1 for k in range(10)] + [0.0]
)


@lower("StatefulRandomBinomial", reads=("resource",))
def stateful_random_binomial(resource, algorithm: Static, shape: Static, counts, probs, *, dtype):
    """Successes among `counts` trials of probability `probs`, each a scalar or one for each row of the output `shape`.

    TensorFlow 1.15 does not write the moved counter back, so that every run draws the same values.
    """
    need_philox(algorithm)
    shape = tuple(int(n) for n in shape)
    size, batches = math.prod(shape), shape[0]
    per_batch = size // max(batches, 1)
    rows = [jnp.asarray(x).reshape(-1) for x in (counts, probs)]
    for name, x in zip(("counts", "probs"), rows, strict=True):
        if x.size not in (1, batches):
            raise InvalidArgumentError(f"Input {name} should have length 1 or shape[0], got shape: [{x.size}]")
    if all(x.size == 1 for x in rows):
        per_batch, batches = _SAMPLES_PER_BATCH, -(-size // _SAMPLES_PER_BATCH)
    if size == 0:
        return jnp.zeros(shape, dtype.numpy)
    rows = [jnp.broadcast_to(x, (batches,)) for x in rows]
    return _draw(generator_of(jnp.asarray(resource)), *rows, per_batch, size).reshape(shape).astype(dtype.numpy)


def _draw(generator, counts, probs, per_batch, size):
    mirrored = ~(probs <= 0.5)
    # The smaller of the two probabilities, and which method it asks for, in the operands' own precision.
    p = jnp.where(mirrored, 1 - probs, probs)
    few = ~(counts * p >= _FEW)
    n, p = counts.astype(np.float64), p.astype(np.float64)
    log_failure = jnp.log1p(-p)

    def propose(carry):
        output, step, trials, value, out = carry
        batch = output // per_batch
        second, first = (philox.uniform64(philox.pairs_at(generator, step, half)) for half in (False, True))
        # Two of the geometric waiting times that are summed where the mean is small ...
        done = jnp.zeros((), bool)
        for u in (first, second):
            trials = jnp.where(done, trials, trials + jnp.ceil(jnp.log(u) / log_failure[batch]))
            done = done | (trials > n[batch])
            value = jnp.where(done, value, value + 1)
        # ... or one proposal of the rejection.
        k, accepted = _transformed_rejection(n[batch], p[batch], first, second)
        done, value = jnp.where(few[batch], done, accepted), jnp.where(few[batch], value, k)
        drawn = jnp.where(mirrored[batch], n[batch] - value, value)
        out = out.at[jnp.where(done, output, size)].set(drawn, mode="drop")
        zero = jnp.zeros(())
        return output + done, step + np.uint64(1), jnp.where(done, zero, trials), jnp.where(done, zero, value), out

    begin = (jnp.zeros((), np.int64), jnp.zeros((), np.uint64), jnp.zeros(()), jnp.zeros(()), jnp.zeros(size))
    return lax.while_loop(lambda carry: carry[0] < size, propose, begin)[-1]


def _transformed_rejection(n, p, first, second):
    """Hörmann's proposal from two uniform values, and whether it is accepted."""
    deviation = jnp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    odds = p / (1 - p)
    u = first - 0.5
    us = 0.5 - jnp.abs(u)
    k = jnp.floor((2 * a / us + b) * u + (n * p + 0.5))
    quick = (us >= 0.07) & (second <= 0.92 - 4.2 / b)
    inside = (k >= 0) & (k <= n)
    mode = jnp.floor((n + 1) * p)
    bound = (
        (mode + 0.5) * jnp.log((mode + 1) / (odds * (n - mode + 1)))
        + (n + 1) * jnp.log((n - mode + 1) / (n - k + 1))
        + (k + 0.5) * jnp.log(odds * (n - k + 1) / (k + 1))
        + (_tail(mode) + _tail(n - mode) - _tail(k) - _tail(n - k))
    )
    # Without the logarithm that Hörmann has on the right, as in TensorFlow.
    alpha = (2.83 + 5.1 / b) * deviation
    return k, quick | (inside & (jnp.log(second * alpha / (a / (us * us) + b)) <= bound))


def _tail(k):
    return jnp.asarray(_TAILS)[jnp.clip(k, 0, len(_TAILS) - 1).astype(np.int32)]
