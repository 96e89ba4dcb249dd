"""The ops of tf.contrib.factorization; what is expected was worked out by hand and is what TensorFlow 1.15 gives."""

import jax
import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops.factorization import masked_matmul, wals_compute_partial_lhs_and_rhs

f32 = np.float32


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_elements_of_a_product(transpose_a, transpose_b):
    a, b = f32([[1, 2], [3, 4], [5, 6]]), f32([[1, 0, 2], [3, -1, 1]])  # product [[7,-2,4],[15,-4,10],[23,-6,16]]
    places = np.int64([[2, 0], [0, 1], [0, 1], [1, 2]])
    found = masked_matmul(a.T if transpose_a else a, b.T if transpose_b else b, places, transpose_a, transpose_b)
    assert np.asarray(found).tolist() == [23, -2, -2, 10]


def test_shapes_of_a_product_must_fit():
    with pytest.raises(InvalidArgumentError, match="incompatible"):
        masked_matmul(np.ones((2, 3), f32), np.ones((2, 3), f32), np.zeros((1, 2), np.int64), False, False)


FACTORS = f32([[1, 2], [0, 3], [4, -1]])
ENTRIES = np.int64([[1, 0], [1, 2], [0, 1]])
VALUES = f32([2, 1, -1])
LHS = [
    [[0, 0], [0, 72]],
    [[33, -6], [-6, 6]],
    [[0, 0], [0, 0]],
]  # row 0: 8 * (0, 3); row 1: 1 * (1, 2), and 2 * (4, -1)
RHS = [[0, -25.5], [13, 3.5], [0, 0]]  # a value times (weight + 0.5), times the factors


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("by_entry", [False, True])
def test_normal_equations(transposed, by_entry):
    entries = ENTRIES[:, ::-1] if transposed else ENTRIES
    none = np.zeros(0, f32)
    of_rows, of_columns, of_entries = (
        (none, none, f32([1, 2, 8])) if by_entry else (f32([4, 1, 9]), f32([1, 2, 2]), none)
    )

    def sides(factors, values):
        given = (factors, of_columns, f32(0.5), of_rows, entries, values, of_entries)
        return wals_compute_partial_lhs_and_rhs(*given, np.int64(3), np.bool_(transposed))

    for run in (sides, jax.jit(sides)):
        lhs, rhs = run(FACTORS, VALUES)
        np.testing.assert_allclose(lhs, LHS, rtol=1e-6)
        np.testing.assert_allclose(rhs, RHS, rtol=1e-6)


def test_weights_are_given_in_one_way():
    three, none = f32([1, 2, 3]), np.zeros(0, f32)
    for of_columns, of_rows, of_entries in ((three, three, three), (three, none, none), (none, none, none)):
        with pytest.raises(InvalidArgumentError, match="but not both"):
            wals_compute_partial_lhs_and_rhs(
                FACTORS, of_columns, f32(0.5), of_rows, ENTRIES, VALUES, of_entries, np.int64(3), np.bool_(False)
            )
