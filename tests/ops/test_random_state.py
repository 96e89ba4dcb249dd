import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mgjax import dtypes
from mgjax.errors import UnsupportedError
from mgjax.ops import REGISTRY
from tests.ops.live import check

SHAPE = np.array([3, 5])
DRAWS = {
    "Uniform": ({}, {"dtype": dtypes.float32}),
    "UniformFullInt": ({}, {"dtype": dtypes.uint32}),
    "UniformInt": ({"minval": np.int64(-3), "maxval": np.int64(77)}, {}),
    "TruncatedNormal": ({}, {"dtype": dtypes.float32}),
    "StandardNormal": ({}, {"dtype": dtypes.float32}),
}


@pytest.mark.parametrize("state", [[5, 7, 11], [-5, 7, -11], [-1, -1, 0]])
@pytest.mark.parametrize("draw", DRAWS)
def test_a_draw_from_a_generator_variable_and_the_variable_after_it(draw, state):
    operands, attrs = DRAWS[draw]
    op = f"Stateful{draw}{'V2' if 'Normal' in draw and 'Trunc' not in draw else ''}"
    inputs = {"resource": np.array(state, np.int64), "algorithm": np.int64(1), "shape": SHAPE, **operands}
    check(op, inputs, attrs)


def test_the_first_form_of_normals_has_the_algorithm_in_its_variable():
    """TensorFlow 2.x has no such kernel any more; 1.15 gives what the second form gives, and moves the rest alike."""
    after, values = check(
        "StatefulStandardNormalV2",
        {"resource": np.array([5, 7, 11]), "algorithm": np.int64(1), "shape": SHAPE},
        {"dtype": dtypes.float32},
    )
    with jax.enable_x64(True):
        first_form = REGISTRY["StatefulStandardNormal"].function(np.array([1, 5, 7, 11]), SHAPE, dtype=dtypes.float32)
    assert_array_equal(np.asarray(first_form[0]), np.array([1, *after]), strict=True)
    assert_array_equal(np.asarray(first_form[1]), values, strict=True)


def test_a_draw_of_ten_moves_the_counter_by_2560():
    with jax.enable_x64(True):
        after, _ = REGISTRY["StatefulUniform"].function(
            np.array([5, 7, 11]), np.int64(1), np.array([10]), dtype=dtypes.float32
        )
    assert_array_equal(np.asarray(after), np.array([2565, 7, 11]), strict=True)


def test_rng_skip_moves_the_counter_as_a_draw_does():
    inputs = {"resource": np.array([-5, 7, 11]), "algorithm": np.int64(1), "delta": np.int64(9)}
    check("RngSkip", inputs)


@pytest.mark.parametrize("draw", DRAWS)
def test_stateless_draws_from_a_key_and_a_counter(draw):
    operands, attrs = DRAWS[draw]
    key, counter = np.array([2**63 + 17], np.uint64), np.array([2**64 - 1, 3], np.uint64)
    inputs = {"shape": SHAPE, "key": key, "counter": counter, "alg": np.int32(1), **operands}
    names = {"TruncatedNormal": "StatelessTruncatedNormalV2", "StandardNormal": "StatelessRandomNormalV2"}
    check(names.get(draw, f"StatelessRandom{draw}V2"), inputs, attrs)


@pytest.mark.parametrize("seed", [[0, 0], [5, -6]])
def test_key_and_counter_of_a_seed(seed):
    check("StatelessRandomGetKeyCounter", {"seed": np.array(seed)})


def test_another_algorithm_is_refused():
    with jax.enable_x64(True), pytest.raises(UnsupportedError, match="algorithm 2 is not supported"):
        REGISTRY["StatefulUniform"].function(np.zeros(3, np.int64), np.int64(2), SHAPE, dtype=dtypes.float32)
