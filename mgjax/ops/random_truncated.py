"""ParameterizedTruncatedNormal: normal values between limits, each batch with a mean, deviation and limits of its own.

One stream runs through all batches, each taking from it until it is full, so the draws are made in order, a block at a
time. As in one thread of TensorFlow; with several, its result depends on their number where the output is large.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops import philox
from mgjax.ops.elementwise import rounded_product
from mgjax.ops.registry import Static, check, claim, is_known, lower

_TRIES = 1000
_NORMAL, _UNIFORM, _EXPONENTIAL = 0, 1, 2
# Inside these limits of the standardized interval plain rejection of normals is efficient enough.
_CENTRE = 1.3


@lower("ParameterizedTruncatedNormal", draws=True)
def parameterized_truncated_normal(shape: Static, means, stdevs, minvals, maxvals, *, generator):
    """Normal values with mean `means[b]` and deviation `stdevs[b]` within [minvals[b], maxvals[b]]; `shape` [b, ...].

    Samples of a batch that TensorFlow would refuse (limits in the wrong order, or missed 1000 times) are NaN, as the
    parameters are not known before the program runs; where they are, `InvalidArgumentError` is raised.
    """
    if is_known([means, stdevs, minvals, maxvals]):
        _refuse_invalid(means, stdevs, minvals, maxvals)
    dtype = np.dtype(means.dtype)
    wide = np.float64 if dtype == np.float64 else np.float32
    parameters = [lax.stop_gradient(jnp.asarray(p)).reshape(-1).astype(wide) for p in (means, stdevs, minvals, maxvals)]
    size, batches = math.prod(shape), int(shape[0])
    per_batch = size // max(batches, 1)
    if all(p.size == 1 for p in parameters):
        # TensorFlow then deals in batches of 100.
        per_batch, batches = 100, -(-size // 100)
    if size == 0:
        return jnp.zeros(tuple(shape), dtype), generator
    parameters = [jnp.broadcast_to(p, (batches,)) for p in parameters]
    # TensorFlow's last batch holds what is left of the output.
    values = _draw(jnp.asarray(generator), parameters, per_batch, size, wide)
    after = philox.skip(generator, batches * 2 * _TRIES * (per_batch + 3) // 4)
    return values.reshape(tuple(shape)).astype(dtype), after


@check("ParameterizedTruncatedNormal")
def are_parameters(shape, means, stdevs, minvals, maxvals):
    if math.prod(shape):
        stdevs, low, high = (jnp.ravel(p) for p in (stdevs, minvals, maxvals))
        is_bounded = jnp.isfinite(low) | jnp.isfinite(high)
        yield claim((stdevs > 0) & (low < high) & is_bounded, "Invalid parameters")


def _refuse_invalid(means, stdevs, minvals, maxvals):
    means, stdevs, low, high = np.broadcast_arrays(*(np.ravel(p) for p in (means, stdevs, minvals, maxvals)))
    if not np.all((stdevs > 0) & (low < high) & (np.isfinite(low) | np.isfinite(high))):
        raise InvalidArgumentError(
            "Invalid parameters: stdevs must be positive and minvals below maxvals, one of them finite"
        )


def _draw(generator, parameters, per_batch, size, dtype):
    means, stdevs, low, high = parameters
    valid = (stdevs > 0) & (low < high) & (jnp.isfinite(low) | jnp.isfinite(high))
    # Mirrored, so that the limit nearer to the mean is the lower one.
    mirrored = ((low == -jnp.inf) | (high < means)) & valid
    low, high = jnp.where(mirrored, high, low), jnp.where(mirrored, low, high)
    stdevs = jnp.where(mirrored, -stdevs, stdevs)
    a, b = (low - means) / stdevs, (high - means) / stdevs
    root = jnp.sqrt(rounded_product(a, a) + 4)
    cutoff = 2 * jnp.exp(0.5 + a * (a - root) / 4) / (a + root)
    central = ((a < -_CENTRE) & (b >= 0)) | ((b > _CENTRE) & (a <= 0))
    method = jnp.where(central, _NORMAL, jnp.where(b - a < cutoff, _UNIFORM, _EXPONENTIAL))
    batches = means.shape[0]
    rates = (a + root) / 2

    def propose(carry):
        batch, filled, used, misses, out = carry
        at = a[batch], b[batch], rates[batch]
        blocks, x, accepted = lax.switch(method[batch], [_normals, _uniforms, _exponentials], generator, used, *at)
        x, accepted = rounded_product(x, stdevs[batch]) + means[batch], accepted & valid[batch]
        position = filled + jnp.cumsum(accepted, dtype=np.int64) - 1
        wanted = jnp.minimum(per_batch, size - batch * per_batch)
        target = jnp.where(accepted & (position < wanted), batch * per_batch + position, size)
        out = out.at[target].set(x, mode="drop")
        filled = filled + jnp.sum(accepted, dtype=np.int64)
        misses = jnp.where(jnp.any(accepted), 0, misses + accepted.size)
        over = (filled >= wanted) | (misses >= _TRIES) | ~valid[batch]
        return (
            batch + over,
            jnp.where(over, 0, filled),
            jnp.where(valid[batch], used + blocks, used),
            jnp.where(over, 0, misses),
            out,
        )

    zero = jnp.zeros((), np.int64)
    begin = (zero, zero, jnp.zeros((), np.uint64), zero, jnp.full(size, jnp.nan, dtype))
    return lax.while_loop(lambda carry: carry[0] < batches, propose, begin)[-1]


def _normals(generator, used, a, b, rate):
    pairs = _block(generator, used)
    x = jnp.stack((philox.normal64 if a.dtype == np.float64 else philox.normals32)(*pairs))
    return np.uint64(1), x, (x >= a) & (x <= b)


def _uniforms(generator, used, a, b, rate):
    dtype = a.dtype
    x = rounded_product(_uniform_group(generator, used, dtype), b - a) + a
    u = _uniform_group(generator, used + np.uint64(1), dtype)
    exponent = (jnp.where(a < 0, 0, a * a) - x * x) / 2
    return np.uint64(2), x, u <= jnp.exp(exponent)


def _exponentials(generator, used, a, b, rate):
    group = _uniform_group(generator, used, a.dtype).reshape(-1, 2)
    z = -jnp.log(group[:, 0]) / rate + a
    x = jnp.where(a < rate, rate - z, a - rate)
    accepted = (group[:, 1] <= jnp.exp(-x * x / 2)) & (z < b)
    # As wide as the other methods' proposals.
    padding = group.size - len(z)
    return np.uint64(1), jnp.pad(z, (0, padding)), jnp.pad(accepted, (0, padding))


def _block(generator, at):
    return [philox.pairs_at(generator, at, half) for half in (False, True)]


def _uniform_group(generator, at, dtype):
    pairs = _block(generator, at)
    if dtype == np.float64:
        return jnp.stack([philox.uniform64(pair) for pair in pairs])
    return jnp.stack([philox.uniform32(word) for pair in pairs for word in philox.split(pair)])
