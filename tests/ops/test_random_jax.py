"""What is promised of JAX's own generator: distributions, dtypes, and counters that move as TensorFlow's do."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from mgjax import dtypes
from mgjax.ops import REGISTRY, initial_generator
from tests.live import meta_graph_of, tf

GENERATOR = initial_generator(3, 4)
SIZE = 20_000


def draw(op, lowerings, shape=(SIZE,), generator=GENERATOR, **operands):
    with jax.enable_x64(True):
        values, after = lowerings[op].function(np.array(shape), **operands, generator=generator)
    return np.asarray(values), np.asarray(after)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    ("op", "mean", "deviation", "limits"),
    [
        ("RandomUniform", 0.5, 12**-0.5, (0, 1)),
        ("RandomStandardNormal", 0, 1, (-np.inf, np.inf)),
        # The deviation of a normal value within two deviations: 1 - 4 phi(2) / (2 Phi(2) - 1), its root.
        ("TruncatedNormal", 0, 0.8796, (-2, 2)),
    ],
)
def test_distribution_dtype_and_counter(op, mean, deviation, limits, dtype):
    dtype = getattr(dtypes, dtype)
    values, after = draw(op, mgjax.JAX_RANDOM, dtype=dtype)
    assert values.dtype == dtype.numpy and values.shape == (SIZE,)
    wide = values.astype(np.float64)
    # Five standard errors, and the step of the narrowest dtype.
    assert abs(wide.mean() - mean) < 5 * deviation / SIZE**0.5 + 2**-8
    assert abs(wide.std() - deviation) < 5 * deviation / SIZE**0.5 + 2**-8
    assert wide.min() >= limits[0] and wide.max() <= limits[1]
    assert_array_equal(after, draw(op, REGISTRY, dtype=dtype)[1], strict=True)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_ints_lie_within_their_limits(dtype):
    values, after = draw("RandomUniformInt", mgjax.JAX_RANDOM, minval=dtype(-3), maxval=dtype(4))
    assert values.dtype == dtype
    counts = np.bincount(values + 3, minlength=7)
    assert counts.size == 7 and abs(counts - SIZE / 7).max() < 5 * (SIZE / 7) ** 0.5
    assert_array_equal(after, draw("RandomUniformInt", REGISTRY, minval=dtype(-3), maxval=dtype(4))[1], strict=True)


def test_a_run_repeats_and_goes_on_with_other_numbers():
    fn, _ = mgjax.import_meta_graph(
        meta_graph_of(lambda: tf.identity(tf.random_normal([5], seed=1), name="draw")), lowerings=mgjax.JAX_RANDOM
    )
    runs = []
    for _ in range(2):
        state = fn.empty_state(seed=0)
        state, first = fn(state, {}, "draw:0")
        state, second = fn(state, {}, "draw:0")
        runs.append((first, second))
    assert_array_equal(runs[0], runs[1])
    assert not np.isin(runs[0][0], runs[0][1]).any()
