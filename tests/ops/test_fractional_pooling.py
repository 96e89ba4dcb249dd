import itertools

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mgjax.ops import REGISTRY
from mgjax.ops.philox import initial_generator
from tests.ops.live import assert_same, check, random_array, tf

CASES = [(20, 33, 1.41, 1.41), (10, 17, 1.73, 1.73)]


def in_tensorflow(op, value, **attrs):
    """What two runs of a session give."""
    with tf.Graph().as_default(), tf.Session() as session:
        node = getattr(tf.raw_ops, op)(value=value, deterministic=True, seed=5, seed2=77, **attrs)
        return [session.run(list(node)) for _ in range(2)]


@pytest.mark.parametrize("op", ["FractionalMaxPool", "FractionalAvgPool"])
@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("pseudo_random", [False, True])
@pytest.mark.parametrize("height, width, by, across", CASES)
def test_windows_and_their_sequences_are_tensorflows(op, height, width, by, across, pseudo_random, overlapping):
    value = random_array(np.float32, (2, height, width, 3))
    attrs = {"pooling_ratio": [1.0, by, across, 1.0], "pseudo_random": pseudo_random, "overlapping": overlapping}
    generator = initial_generator(5, 77)
    with jax.enable_x64(True):
        draw = jax.jit(lambda generator: REGISTRY[op].function(value, **attrs, deterministic=True, generator=generator))
        for expected in in_tensorflow(op, value, **attrs):
            *found, generator = draw(generator)
            for ours, theirs in zip(found, expected, strict=True):
                assert_same(ours, theirs)


@pytest.mark.parametrize("op", ["FractionalMaxPool", "FractionalAvgPool"])
@pytest.mark.parametrize("dtype", [np.int32, np.float64])
def test_other_dtypes(op, dtype):
    value = random_array(dtype, (1, 7, 8, 2), low=-20, high=20)
    (expected, *_), _ = in_tensorflow(op, value, pooling_ratio=[1.0, 1.5, 1.6, 1.0])
    with jax.enable_x64(True):
        found, *_ = REGISTRY[op].function(
            value, pooling_ratio=(1.0, 1.5, 1.6, 1.0), deterministic=True, generator=initial_generator(5, 77)
        )
    assert_same(found, expected)


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_gradients(ties, overlapping):
    value = random_array(np.float32, (2, 7, 8, 3))
    value = np.round(value) if ties else value
    rows, columns = np.array([0, 2, 3, 5, 7]), np.array([0, 1, 3, 4, 6, 8])
    out = random_array(np.float32, (2, 4, 5, 3), seed=1)
    sequences = {"row_pooling_sequence": rows, "col_pooling_sequence": columns}
    attrs = {"overlapping": overlapping}
    shape = {"orig_input_tensor_shape": np.array(value.shape)}
    check("FractionalAvgPoolGrad", {**shape, "out_backprop": out, **sequences}, attrs)
    pooled = np.stack(
        [np.stack([value[:, a : b + overlapping, c : d + overlapping].max((1, 2)) for c, d in itertools.pairwise(columns)], 1)
         for a, b in itertools.pairwise(rows)], 1)  # fmt: skip
    inputs = {"orig_input": value, "orig_output": pooled, "out_backprop": out, **sequences}
    check("FractionalMaxPoolGrad", inputs, attrs)


def test_only_what_must_not_repeat_moves_the_generator():
    generator = initial_generator(5, 77)
    attrs = {"pooling_ratio": (1.0, 1.5, 1.6, 1.0)}
    with jax.enable_x64(True):
        pool = REGISTRY["FractionalMaxPool"].function
        *_, same = pool(np.zeros((1, 7, 8, 1), np.float32), **attrs, deterministic=True, generator=generator)
        *_, other = pool(np.zeros((1, 7, 8, 1), np.float32), **attrs, generator=generator)
    assert_array_equal(same, generator)
    assert other[2] == 1 + 2
