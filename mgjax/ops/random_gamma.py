"""RandomGamma and RandomPoisson: rejection sampling in float64, each output from a stream of its own.

Output `o`, the sample `o % num_samples` of parameter `o // num_samples`, draws from the stream that begins 256 * o
blocks further on, whatever the dtype. A block makes two doubles, and TensorFlow uses the second one first. All
outputs draw together, and those that have their value ignore what follows.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.ops import philox
from mgjax.ops.random import BLOCKS_PER_ELEMENT
from mgjax.ops.registry import Static, lower


@lower("RandomGamma", draws=True)
def random_gamma(shape: Static, alpha, *, generator):
    """Gamma values of scale 1: `shape` samples for each element of `alpha`, shape ++ alpha.shape (Marsaglia and
    Tsang)."""
    alpha, generator = jnp.asarray(alpha), jnp.asarray(generator)
    # Differentiable in alpha, as TensorFlow's is; the generator has no gradient.
    return _per_parameter(gamma, generator, shape, alpha), _after(generator, shape, alpha)


@lower("RandomGammaGrad")
def random_gamma_grad(alpha, sample):
    """Derivative of a gamma sample with respect to `alpha`, its quantile held fixed."""
    alpha, sample = jnp.broadcast_arrays(jnp.asarray(alpha), jnp.asarray(sample))
    return lax.random_gamma_grad(alpha, sample)


@lower("RandomPoissonV2", draws=True)
def random_poisson_v2(shape: Static, rate, *, dtype, generator):
    """Poisson values: `shape` samples for each element of `rate`, shape ++ rate.shape."""
    rate, generator = lax.stop_gradient(jnp.asarray(rate)), jnp.asarray(generator)
    return _per_parameter(poisson, generator, shape, rate).astype(dtype.numpy), _after(generator, shape, rate)


@lower("RandomPoisson", draws=True)
def random_poisson(shape: Static, rate, *, generator):
    values, after = random_poisson_v2(shape, rate, dtype=_Float64, generator=generator)
    return values.astype(rate.dtype), after


class _Float64:
    numpy = np.float64


@jax.custom_jvp
def gamma(generator, alpha):
    """One gamma value for each row's parameter: `alpha` [parameter, sample], float64 arithmetic, of alpha's dtype."""
    start = _starts(alpha)
    wide = alpha.astype(np.float64)
    small = wide < 1
    d = jnp.where(small, wide + 2.0 / 3, wide - 1.0 / 3)
    c = (1.0 / 3) / jnp.sqrt(d)

    def propose(carry):
        source, done, value = carry
        source, x = source.normal(~done)
        v = 1 + c * x
        inside = ~done & (v > 0)
        source, u = source.uniform(inside)
        v = jnp.where(inside, v * v * v, 1.0)
        squeezed = u < 1 - 0.0331 * (x * x) * (x * x)
        accepted = inside & (squeezed | (jnp.log(u) < 0.5 * x * x + d * (1 - v + jnp.log(v))))
        return source, done | accepted, jnp.where(accepted, d * v, value)

    # alpha == 1 is the exponential distribution, from one uniform. NaN and negative parameters would never be accepted.
    settled = (wide == 1) | ~(wide > 0) | jnp.isinf(wide)
    begin = (_Source.at(generator, start), settled, jnp.where(wide == jnp.inf, jnp.inf, jnp.full(start.shape, jnp.nan)))
    source, _, value = lax.while_loop(lambda carry: ~jnp.all(carry[1]), propose, begin)
    _, u = source.uniform(jnp.ones(start.shape, bool))
    value = jnp.where(wide == 1, -jnp.log1p(-u), value)
    return jnp.where(small & (wide > 0), value * u ** (1 / wide), value).astype(alpha.dtype)


@gamma.defjvp
def _gamma_jvp(primals, tangents):
    generator, alpha = primals
    value = gamma(generator, alpha)
    wide = np.promote_types(alpha.dtype, np.float32)
    slope = lax.random_gamma_grad(alpha.astype(wide), value.astype(wide)).astype(alpha.dtype)
    return value, slope * tangents[1]


def poisson(generator, rate):
    """One Poisson value for each row's parameter: `rate` [parameter, sample]; float64."""
    start = _starts(rate)
    rate = rate.astype(np.float64)
    # Knuth's product of uniforms below 10; from there on Hörmann's transformed rejection.
    by_product = rate < 10
    big = jnp.where(by_product, 10.0, rate)
    b = 0.931 + 2.53 * jnp.sqrt(big)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    log_rate, threshold = jnp.log(big), jnp.exp(-rate)

    def propose(carry):
        step, done, product, value = carry
        block = start + step
        second, first = (philox.uniform64(philox.pairs_at(generator, block, half)) for half in (False, True))
        # Two steps of the product ...
        for u in (first, second):
            product = jnp.where(by_product & ~done, product * u, product)
            stop = by_product & ~done & (product <= threshold)
            value = jnp.where(by_product & ~done & ~stop, value + 1, value)
            done = done | stop
        # ... or one of the rejection.
        u, v = first - 0.5, second
        us = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / us + b) * u + big + 0.43)
        quick = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        refused = (k < 0) | ((us < 0.013) & (v > us))
        tested = jnp.log(v * inverse_alpha / (a / (us * us) + b)) <= -big + k * log_rate - lax.lgamma(k + 1)
        accepted = ~by_product & ~done & (quick | (~refused & tested))
        return step + np.uint64(1), done | accepted, product, jnp.where(accepted, k, value)

    unknown = jnp.isnan(rate) | (rate == jnp.inf)
    begin = (jnp.zeros((), np.uint64), unknown, jnp.ones(start.shape), jnp.where(unknown, rate, 0.0))
    return lax.while_loop(lambda carry: ~jnp.all(carry[1]), propose, begin)[3]


@jax.tree_util.register_pytree_node_class
class _Source:
    """Doubles for many outputs at once, each from its stream, normal and uniform ones from blocks of their own.

    `used` counts an output's blocks. Of a block's two values the second is used at once; the first is kept as the
    spare.
    """

    def __init__(self, generator, start, used, spares):
        self.generator, self.start, self.used, self.spares = generator, start, used, spares

    @classmethod
    def at(cls, generator, start):
        none = (jnp.zeros(start.shape), jnp.zeros(start.shape, bool))
        return cls(generator, start, jnp.zeros(start.shape, np.uint64), (none, none))

    def normal(self, wanted):
        """The source after a draw, and a normal value each, where `wanted`."""
        return self._take(0, lambda *pairs: philox.normal64(*pairs), wanted)

    def uniform(self, wanted):
        return self._take(1, lambda *pairs: tuple(philox.uniform64(pair) for pair in pairs), wanted)

    def _take(self, kind, make, wanted):
        spare, kept = self.spares[kind]
        block = self.start + self.used
        first, second = make(*(philox.pairs_at(self.generator, block, half) for half in (False, True)))
        fresh = wanted & ~kept
        after = (jnp.where(fresh, first, spare), jnp.where(wanted, ~kept, kept))
        spares = tuple(after if i == kind else other for i, other in enumerate(self.spares))
        used = self.used + fresh.astype(np.uint64)
        return _Source(self.generator, self.start, used, spares), jnp.where(kept, spare, second)

    def tree_flatten(self):
        return (self.generator, self.start, self.used, self.spares), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


def _per_parameter(sampler, generator, shape, parameter):
    """`sampler`'s values for the samples of each parameter, shape ++ parameter.shape."""
    samples = math.prod(shape)
    rows = jnp.broadcast_to(parameter.reshape(-1, 1), (parameter.size, samples))
    return sampler(generator, rows).T.reshape(tuple(int(n) for n in shape) + parameter.shape)


def _starts(parameter):
    """Where the stream of each output begins, in blocks."""
    return (lax.iota(np.uint64, parameter.size) * np.uint64(BLOCKS_PER_ELEMENT)).reshape(parameter.shape)


def _after(generator, shape, parameter):
    return philox.skip(generator, math.prod(shape) * parameter.size * BLOCKS_PER_ELEMENT)
