"""Matrix products, contractions, diagonals and bands against a live TensorFlow."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

BOTH = [False, True]


@pytest.mark.parametrize("transpose_a", BOTH)
@pytest.mark.parametrize("transpose_b", BOTH)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "float16"])
def test_mat_mul(dtype, transpose_a, transpose_b):
    a = random_array(dtype, (4, 3) if transpose_a else (3, 4))
    b = random_array(dtype, (5, 4) if transpose_b else (4, 5))
    loose = {"float16": 1e-2, "float32": 1e-5, "complex64": 1e-5}.get(dtype)
    check("MatMul", {"a": a, "b": b}, {"transpose_a": transpose_a, "transpose_b": transpose_b}, rtol=loose, atol=loose)


def test_product_over_nothing_is_zero():
    check("MatMul", {"a": np.zeros((2, 0), np.float32), "b": np.zeros((0, 3), np.float32)})


def test_sparse_mat_mul_is_float32():
    a = random_array(ml_dtypes.bfloat16, (3, 4))
    check(
        "SparseMatMul",
        {"a": a, "b": random_array("float32", (5, 4))},
        {"transpose_b": True, "a_is_sparse": True},
        rtol=1e-5,
    )


@pytest.mark.parametrize("adj_x", BOTH)
@pytest.mark.parametrize("adj_y", BOTH)
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_batch_mat_mul(dtype, adj_x, adj_y):
    x = random_array(dtype, (2, 6, 4, 3) if adj_x else (2, 6, 3, 4))
    y = random_array(dtype, (2, 6, 5, 4) if adj_y else (2, 6, 4, 5))
    attrs = {"adj_x": adj_x, "adj_y": adj_y}
    check("BatchMatMul", {"x": x, "y": y}, attrs, rtol=1e-5, atol=1e-5)
    check("BatchMatMulV2", {"x": x, "y": y[:1, 0]}, attrs, rtol=1e-5, atol=1e-5)
    check("BatchMatMulV3", {"x": x, "y": y[:1, 0]}, {**attrs, "Tout": dtypes.BY_NAME[dtype]}, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "equation, shapes",
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]),
        ("bij,bkj->bik", [(5, 2, 3), (5, 4, 3)]),
        ("ii->i", [(3, 3)]),
        ("ij->ji", [(2, 3)]),
        ("ij->", [(2, 3)]),
        ("i->ii", [(3,)]),
        ("ij,j->iji", [(2, 3), (3,)]),
    ],
)
def test_einsum(equation, shapes):
    inputs = [random_array("float32", shape, seed=i) for i, shape in enumerate(shapes)]
    check("Einsum", {"inputs": inputs}, {"equation": equation}, rtol=1e-5, atol=1e-5)


def test_cross():
    a = random_array("float32", (4, 2, 3))
    check("Cross", {"a": a, "b": a[::-1].copy()})


@pytest.mark.parametrize("lower, upper", [(0, 0), (1, -1), (-1, 0), (2, 1), (-1, -1)])
def test_band_part(lower, upper):
    check("MatrixBandPart", {"input": random_array("float32", (2, 4, 5)), "num_lower": lower, "num_upper": upper})


ALIGNMENTS = ["LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT"]


@pytest.mark.parametrize("k", [0, 1, -2, [-1, 1], [0, 2], [-3, -1], [-2, 3]])
@pytest.mark.parametrize("rows, columns", [(4, 5), (5, 4), (4, 4)])
def test_diagonals_and_back(rows, columns, k):
    x = random_array("float32", (2, rows, columns))
    padding = np.float32(9)
    size = {"num_rows": rows, "num_cols": columns}
    packed = check("MatrixDiagPartV2", {"input": x, "k": k, "padding_value": padding})[0]
    check("MatrixDiagV2", {"diagonal": packed, "k": k, **size, "padding_value": padding})
    check("MatrixSetDiagV2", {"input": x, "diagonal": packed + 1, "k": k})
    for align in ALIGNMENTS:
        packed = check("MatrixDiagPartV3", {"input": x, "k": k, "padding_value": padding}, {"align": align})[0]
        check("MatrixDiagV3", {"diagonal": packed, "k": k, **size, "padding_value": padding}, {"align": align})
        check("MatrixSetDiagV3", {"input": x, "diagonal": packed + 1, "k": k}, {"align": align})


@pytest.mark.parametrize("k, sizes", [(0, (-1, -1)), (2, (-1, -1)), (-1, (-1, 6)), (1, (7, -1))])
def test_sizes_of_a_diagonal_matrix_are_the_least_that_fit(k, sizes):
    inputs = {"diagonal": random_array("float32", (2, 4)), "k": k, "num_rows": sizes[0], "num_cols": sizes[1]}
    check("MatrixDiagV2", {**inputs, "padding_value": np.float32(0)})


def test_main_diagonals():
    x = random_array("int32", (2, 3, 4))
    check("MatrixDiagPart", {"input": x})
    check("MatrixDiag", {"diagonal": x})
    check("MatrixSetDiag", {"input": x, "diagonal": x[:, :, 0]})
    check("Diag", {"diagonal": x[0, :2, :2]})
    check("DiagPart", {"input": random_array("float32", (2, 3, 2, 3))})


def test_sizes_that_do_not_fit_are_refused():
    a = jnp.zeros((2, 3))
    with pytest.raises(InvalidArgumentError, match=r"Matrix size-incompatible: In\[0\]: \[2,3\], In\[1\]: \[2,3\]"):
        REGISTRY["MatMul"].function(a, a)
    with pytest.raises(InvalidArgumentError, match=r"In\[0\] mismatch In\[1\] shape: 3 vs. 2: \[2,3\] \[2,3\] 0 0"):
        REGISTRY["BatchMatMulV2"].function(a, a)


def test_gradient_reaches_the_diagonal_only():
    with jax.enable_x64(True):
        gradient = jax.grad(lambda x: REGISTRY["MatrixDiagPart"].function(x).sum())(jnp.ones((2, 2)))
    assert_array_equal(gradient, np.eye(2))
