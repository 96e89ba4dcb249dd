"""Error functions, gamma, zeta, beta and Bessel functions, with the values that TensorFlow's kernels have at poles.

JAX writes out the series of some (`Betainc`, `Igamma`, `BesselI0e`, `Spence`, `Expint`) only when it compiles: in float64
they need a caller who compiles in the 64-bit mode.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import special

from mgjax.ops.registry import table


def _broadcasting(function):
    def run(*operands):
        return function(*jnp.broadcast_arrays(*operands))

    return run


def _of_positive(function):
    # Eigen's igamma_impl: NaN unless a > 0.
    def run(a, x):
        a, x = jnp.broadcast_arrays(a, x)
        is_positive = a > 0
        return jnp.where(is_positive, function(jnp.where(is_positive, a, a.dtype.type(1)), x), a.dtype.type(np.nan))

    return run


def expint(x):
    """The exponential integral Ei(x); NaN for negative numbers, as Cephes has it."""
    x = jnp.asarray(x)
    integral = special.expi(jnp.where(x > 0, x, x.dtype.type(1)))
    # NaN goes through; at zero JAX before 0.12 gives NaN too.
    return jnp.where(x > 0, integral, jnp.where(x == 0, x.dtype.type(-np.inf), x.dtype.type(np.nan)))


def digamma(x):
    """The derivative of log gamma; inf at its poles and at both infinities (Eigen's `digamma_impl`)."""
    x = jnp.asarray(x)
    is_pole = ((x <= 0) & (x == jnp.floor(x))) | jnp.isinf(x)
    return jnp.where(is_pole, x.dtype.type(np.inf), lax.digamma(jnp.where(is_pole, x.dtype.type(1), x)))


table(
    {
        "Erf": lambda x: lax.erf(jnp.asarray(x)),
        "Erfc": lambda x: lax.erfc(jnp.asarray(x)),
        "Erfinv": lambda x: lax.erf_inv(jnp.asarray(x)),
        "Ndtri": special.ndtri,
        "Lgamma": lambda x: lax.lgamma(jnp.asarray(x)),
        "Digamma": digamma,
        "BesselI0e": special.i0e,
        "BesselI1e": special.i1e,
        "BesselI0": special.i0,
        "BesselI1": special.i1,
        "Spence": special.spence,
        "Expint": expint,
    },
    "x",
)
table(
    {
        "Igamma": _of_positive(lax.igamma),
        "Igammac": _of_positive(lax.igammac),
        "IgammaGradA": _broadcasting(lax.igamma_grad_a),
        "Polygamma": _broadcasting(lax.polygamma),
    },
    "a",
    "x",
)
table({"Zeta": _broadcasting(lax.zeta)}, "x", "q")
table({"Betainc": _broadcasting(lax.betainc)}, "a", "b", "x")
