"""Recorded from TensorFlow 1.15.5: nodes with seed=1234567, seed2=-89, two runs of a session."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.philox import initial_generator

INF = np.inf
# mean, deviation, limits; the first run, the second.
RECORDED = [
    (0, 1, -2, 2, "3f946443 bea2d625 3e552739 3fccf993 bfad6116 3e3b18e8",
     "3f4431c5 be46aa8b 3ec61208 3f92373e 3ef04852 3f00ed10"),
    (0, 1, 2, INF, "401327bc 4022908f 4018c2fc 403c364c 40310fe8 40070de4",
     "400848b9 40134792 400647f8 403a09ce 401e4200 4022f761"),
    (1, 2, -INF, -3, "c0664f78 c082908f c07185f8 c09c364c c0910fe8 c04e1bc8",
     "c0509172 c0668f24 c04c8ff0 c09a09ce c07c8400 c082f761"),
    (1, 2, 0.9, 1.1, "3f7f41f5 3f7561be 3f744ccb 3f67740d 3f6e71d7 3f80f05c",
     "3f85edf4 3f75386c 3f7f242c 3f690f95 3f6a28fe 3f890bbc"),
]  # fmt: skip


def draw(shape, *parameters, generator, jit=True):
    op = REGISTRY["ParameterizedTruncatedNormal"].function
    program = lambda generator: op(np.array(shape), *parameters, generator=generator)  # noqa: E731
    with jax.enable_x64(True):
        return [np.asarray(x) for x in (jax.jit(program) if jit else program)(generator)]


@pytest.mark.parametrize("mean, deviation, low, high, first, second", RECORDED)
def test_each_of_the_methods_draws_as_tensorflow(mean, deviation, low, high, first, second):
    generator = initial_generator(1234567, -89)
    parameters = [np.float32(p) for p in (mean, deviation, low, high)]
    for expected in (first, second):
        values, generator = draw([6], *parameters, generator=generator)
        expected = np.array([int(x, 16) for x in expected.split()], np.uint32).view(np.float32)
        # Three units of the last place: the backend's log and exp are not the C library's.
        assert_allclose(values, expected, rtol=3.6e-7)


def test_batches_share_one_stream():
    means, deviations = np.array([0, 10, 0], np.float32), np.array([1, 2, 1], np.float32)
    low, high = np.array([-1, 9, 3], np.float32), np.array([1, 9.5, INF], np.float32)
    values, _ = draw([3, 2], means, deviations, low, high, generator=initial_generator(1234567, -89))
    expected = [[-0.028998375, -0.414772987], [9.421438217, 9.231661797], [3.265112638, 3.104972601]]
    assert_allclose(values, expected, rtol=3.6e-7)


@pytest.mark.parametrize("deviation, low, high", [(-1, 0, 1), (1, 1, 0), (1, -INF, INF)])
def test_parameters_that_cannot_be_are_refused_if_known_and_give_nan_if_not(deviation, low, high):
    parameters = [np.float32(p) for p in (0, deviation, low, high)]
    with pytest.raises(InvalidArgumentError, match="Invalid parameters"):
        draw([4], *parameters, generator=initial_generator(1, 2))
    with jax.enable_x64(True):
        traced = [jax.numpy.asarray(p) for p in parameters]
    values, _ = draw([4], *traced, generator=initial_generator(1, 2))
    assert_array_equal(values, np.full(4, np.nan))
