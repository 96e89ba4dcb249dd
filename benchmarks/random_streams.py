"""TensorFlow's random streams beside JAX's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import numpy as np

from benchmarks.table import Row, alternate, seconds_a_call
from mgjax import dtypes
from mgjax.ops import REGISTRY, initial_generator

#: How many numbers one draw makes.
SIZE = 10_000_000
#: How many times the cost of JAX's own a draw may cost.
LIMITS = {"RandomUniform": 2, "RandomStandardNormal": 2}


def measure() -> Iterator[Row]:
    key = jax.random.key(0)
    own = {
        "RandomUniform": jax.random.uniform,
        "RandomStandardNormal": jax.random.normal,
        "TruncatedNormal": lambda key, shape: jax.random.truncated_normal(key, -2.0, 2.0, shape),
    }
    for op, function in own.items():
        with jax.enable_x64(True):
            ours = seconds_a_call(jax.jit(_stream(op)), jax.numpy.asarray(initial_generator(1, 2)), repeats=3)
        theirs = seconds_a_call(jax.jit(lambda key, function=function: function(key, (SIZE,))), key, repeats=3)
        found = alternate({"ours": ours, "theirs": theirs}, rounds=5)
        what = f"{op} of {SIZE:,} float32"
        yield Row(what, 1e3 * found["ours"], "jax.random", 1e3 * found["theirs"], "ms", LIMITS.get(op))


def _stream(op: str) -> Callable:
    """One run of a random op of float32."""

    def draw(generator):
        with jax.enable_x64(True):
            return REGISTRY[op].function(np.array([SIZE]), dtype=dtypes.float32, generator=generator)

    return draw
