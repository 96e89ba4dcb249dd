"""TensorFlow's random streams beside JAX's own, milliseconds: `python benchmarks/random_streams.py [elements]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import jax
import numpy as np

from mgjax import dtypes
from mgjax.ops import REGISTRY
from mgjax.ops.philox import initial_generator


def best_ms(function: Callable, *arguments: object) -> float:
    """The least time of a jitted call, after one that compiles."""
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(*arguments))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def stream(op: str, size: int) -> float:
    """The time of one run of a random op of float32."""

    def draw(generator):
        return REGISTRY[op].function(np.array([size]), dtype=dtypes.float32, generator=generator)

    with jax.enable_x64(True):
        return best_ms(draw, jax.numpy.asarray(initial_generator(1, 2)))


def main(size: int) -> None:
    key = jax.random.key(0)
    rows = {
        "RandomUniform": lambda k: jax.random.uniform(k, (size,)),
        "RandomStandardNormal": lambda k: jax.random.normal(k, (size,)),
        "TruncatedNormal": lambda k: jax.random.truncated_normal(k, -2.0, 2.0, (size,)),
    }
    print(f"{size} float32 values on {jax.devices()[0].platform}, JAX {jax.__version__}, best of 7")
    for op, own in rows.items():
        ours, jaxs = stream(op, size), best_ms(own, key)
        print(f"{op:22} {ours:9.2f} ms   jax.random {jaxs:9.2f} ms   ratio {ours / jaxs:5.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
