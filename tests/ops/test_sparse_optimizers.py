"""Two steps of every sparse optimizer op against a live TensorFlow, with equal indices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.sparse_optimizers import sparse_apply_adagrad
from tests.ops.live import check
from tests.ops.test_optimizers import operands

ROWS = [
    ("SparseApplyProximalGradientDescent", {}),
    ("SparseApplyMomentum", {}),
    ("SparseApplyMomentum", {"use_nesterov": True}),
    ("ResourceSparseApplyKerasMomentum", {}),
    ("ResourceSparseApplyKerasMomentum", {"use_nesterov": True}),
    ("SparseApplyAdagrad", {}),
    ("SparseApplyAdagrad", {"update_slots": False}),
    ("SparseApplyAdagradV2", {}),
    ("SparseApplyProximalAdagrad", {}),
    ("SparseApplyAdagradDA", {}),
    ("SparseApplyAdadelta", {}),
    ("SparseApplyRMSProp", {}),
    ("SparseApplyCenteredRMSProp", {}),
    ("SparseApplyFtrl", {}),
    ("SparseApplyFtrl", {"multiply_linear_by_lr": True}),
    ("SparseApplyFtrlV2", {}),
    ("SparseApplyFtrlV2", {"multiply_linear_by_lr": True}),
]
INDICES = [np.int32([4, 1]), np.int64([2, 0, 2, 2, 3, 0])]


def sparse_operands(op, dtype, indices, step, state=None, row=(2,)):
    """Operands by name, for variables of five rows."""
    found = operands(op, dtype, step, state, shape=(5, *row))
    grad = np.random.default_rng(step + 7).uniform(-1, 1, (len(indices), *row)).astype(dtype)
    return found | {"grad": grad, "indices": indices}


@pytest.mark.parametrize("indices", INDICES, ids=["distinct", "repeated"])
@pytest.mark.parametrize("op, attrs", ROWS, ids=str)
def test_equal_indices_apply_one_after_another(op, attrs, indices):
    state = check(op, sparse_operands(op, np.float32, indices, 0), attrs, rtol=1e-5, atol=1e-6)
    check(op, sparse_operands(op, np.float32, indices, 1, state), attrs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op, attrs", [row for row in ROWS if row[0].startswith("Sparse") and not row[1]], ids=str)
def test_a_resource_is_updated_as_a_reference_is(op, attrs):
    assert REGISTRY[f"Resource{op}"].function is REGISTRY[op].function
    check(f"Resource{op}", sparse_operands(op, np.float64, INDICES[1], 0), attrs)


@pytest.mark.parametrize("row", [(), (1,), (2, 3)])
def test_rows_have_any_shape(row):
    check("SparseApplyAdagrad", sparse_operands("SparseApplyAdagrad", np.float32, INDICES[1], 0, row=row))


def test_no_indices_change_nothing():
    given = sparse_operands("SparseApplyMomentum", np.float32, np.zeros(0, np.int32), 0)
    new = check("SparseApplyMomentum", given)
    np.testing.assert_array_equal(new[0], given["var"])


def test_an_index_out_of_range_raises_where_known_and_is_skipped_where_not():
    given = {"var": jnp.ones((2, 1)), "accum": jnp.ones((2, 1)), "lr": jnp.float32(1), "grad": jnp.ones((3, 1))}
    indices = np.int32([7, 1, -1])
    with pytest.raises(InvalidArgumentError, match="Index 7 at offset 0 in indices is out of range"):
        sparse_apply_adagrad(**given, indices=indices)
    var, accum = jax.jit(sparse_apply_adagrad)(**given, indices=indices)
    np.testing.assert_array_equal(accum, [[1], [2]])
    np.testing.assert_allclose(var, [[1], [1 - 0.5**0.5]], rtol=1e-6)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"indices": np.int32([[0]])}, "indices must be one-dimensional"),
        ({"grad": jnp.ones((2, 2))}, "grad must be the same size as indices in the first dimension."),
        ({"grad": jnp.ones((1, 3))}, "var and grad must match in dimension 1"),
        ({"accum": jnp.ones((3, 1))}, r"var and accum do not have the same shape\[3,2\] \[3,1\]"),
    ],
)
def test_shapes_must_agree(changed, message):
    given = {"var": jnp.ones((3, 2)), "accum": jnp.ones((3, 2)), "lr": jnp.float32(1), "grad": jnp.ones((1, 2))}
    with pytest.raises(InvalidArgumentError, match=message):
        sparse_apply_adagrad(**(given | {"indices": np.int32([0])} | changed))
