import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

# Rounding grows with the condition of the matrices, which are small and far from singular here.
RTOL = {np.float32: 2e-4, np.float64: 1e-11, np.complex64: 2e-4, np.complex128: 1e-11}
DTYPES = list(RTOL)
BATCH = (2, 3)


def square(dtype, n=4, batch=BATCH):
    """Random matrices with a heavy diagonal."""
    return random_array(dtype, (*batch, n, n)) + 6 * np.eye(n, dtype=dtype)


def positive(dtype, n=4, batch=BATCH):
    x = square(dtype, n, batch)
    return (x @ np.conj(np.swapaxes(x, -1, -2))).astype(dtype)


def close(op, inputs, attrs=None, **options):
    dtype = next(iter(inputs.values())).dtype.type
    return check(op, inputs, attrs, rtol=RTOL[dtype], atol=RTOL[dtype], **options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky_reads_the_lower_triangle(dtype):
    above = np.triu(np.full((4, 4), 100, dtype), 1)
    close("Cholesky", {"input": positive(dtype) + above})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cholesky_grad(dtype):
    factor = np.linalg.cholesky(positive(dtype)).astype(dtype)
    close("CholeskyGrad", {"l": factor, "grad": random_array(dtype, factor.shape, seed=1)})


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_inverses_and_solutions(dtype, adjoint):
    matrix, rhs = square(dtype), random_array(dtype, (*BATCH, 4, 2))
    close("MatrixInverse", {"input": matrix}, {"adjoint": adjoint})
    close("MatrixSolve", {"matrix": matrix, "rhs": rhs}, {"adjoint": adjoint})
    for lower in (False, True):
        close("MatrixTriangularSolve", {"matrix": matrix, "rhs": rhs}, {"adjoint": adjoint, "lower": lower})


def test_triangular_solve_broadcasts_batches():
    inputs = {"matrix": square(np.float32, batch=(3,)), "rhs": random_array(np.float32, (2, 1, 4, 2))}
    close("MatrixTriangularSolve", inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_determinants(dtype, n):
    close("MatrixDeterminant", {"input": square(dtype, n)})
    if n:
        close("LogMatrixDeterminant", {"input": square(dtype, n)})


@pytest.mark.parametrize("rows, columns", [(5, 3), (3, 3), (3, 5)])
@pytest.mark.parametrize("fast, ridge", [(True, 0.0), (True, 0.5), (False, 0.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_least_squares(dtype, fast, ridge, rows, columns):
    matrix = random_array(dtype, (2, rows, columns), seed=3)
    inputs = {"matrix": matrix, "rhs": random_array(dtype, (2, rows, 2)), "l2_regularizer": np.float64(ridge)}
    # The normal equations square the condition number.
    check("MatrixSolveLs", inputs, {"fast": fast}, rtol=100 * RTOL[dtype], atol=100 * RTOL[dtype])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_qr_is_that_of_tensorflow(dtype, shape, full):
    close("Qr", {"input": random_array(dtype, (2, *shape))}, {"full_matrices": full})


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_svd_gives_back_its_input(dtype, shape, full):
    x = random_array(dtype, (2, *shape))
    close("Svd", {"input": x}, {"compute_uv": False}, skip=(1, 2))
    with jax.enable_x64(True):
        values, u, v = (np.asarray(y) for y in REGISTRY["Svd"].function(x, full_matrices=full))
    assert values.dtype == u.dtype == v.dtype == dtype
    assert u.shape[-1] == (shape[0] if full else 3)
    assert v.shape[-2:] == (shape[1], shape[1] if full else 3)
    product = u[..., :3] * values[..., None, :] @ np.conj(np.swapaxes(v[..., :3], -1, -2))
    assert_allclose(product, x, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigenvalues_ascend_and_their_vectors_are_eigenvectors(dtype):
    x = positive(dtype)
    close("SelfAdjointEigV2", {"input": x}, {"compute_v": False}, skip=(1,))
    with jax.enable_x64(True):
        values, vectors = (np.asarray(y) for y in REGISTRY["SelfAdjointEigV2"].function(x))
        both = np.asarray(REGISTRY["SelfAdjointEig"].function(x))
    assert np.all(np.diff(values.real) >= 0)
    scale = np.abs(values).max()
    assert_allclose(x @ vectors, values[..., None, :] * vectors, atol=RTOL[dtype] * scale)
    assert_array_equal(both[..., 0, :], values)
    assert_array_equal(both[..., 1:, :], vectors)


@pytest.mark.parametrize("diagonal", [[1e308, -1.7e308], [1e308, 0.0]])
def test_the_logarithm_of_a_determinant_outlives_the_determinant(diagonal):
    close("LogMatrixDeterminant", {"input": np.diag(diagonal)})


@pytest.mark.parametrize(
    "diagonal, logarithm", [([np.inf, 1], np.inf), ([np.nan, 1], -np.inf), ([-np.inf, 0], -np.inf)]
)
def test_a_logarithm_of_a_determinant_that_is_not_finite_has_no_sign(diagonal, logarithm):
    # Recorded from TensorFlow 1.15; later versions let NaN through.
    found = REGISTRY["LogMatrixDeterminant"].function(np.diag(np.float32(diagonal)))
    assert_array_equal(found, [0, logarithm])


@pytest.mark.parametrize("index", [dtypes.int32, dtypes.int64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lu(dtype, index):
    x = random_array(dtype, (2, 6, 6))
    close("Lu", {"input": x}, {"output_idx_type": index})


@pytest.mark.parametrize("dtype", DTYPES)
def test_tridiagonal_systems(dtype):
    diagonals = random_array(dtype, (2, 3, 5)) + np.array([[0], [9], [0]], dtype)
    rhs = random_array(dtype, (2, 5, 3))
    close("TridiagonalSolve", {"diagonals": diagonals, "rhs": rhs})
    close("TridiagonalSolve", {"diagonals": np.zeros((3, 0), dtype), "rhs": np.zeros((0, 2), dtype)})
    above, middle, below = (diagonals[:, i : i + 1] for i in range(3))
    close("TridiagonalMatMul", {"superdiag": above, "maindiag": middle, "subdiag": below, "rhs": rhs})


@pytest.mark.parametrize("dtype", DTYPES)
def test_square_roots(dtype):
    close("MatrixSquareRoot", {"input": positive(dtype)})


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_logarithms(dtype):
    close("MatrixLogarithm", {"input": positive(dtype)})
    close("MatrixLogarithm", {"input": np.zeros((2, 0, 0), dtype)})
    defective = np.array([[2, 1], [0, 2]], dtype)
    close("MatrixLogarithm", {"input": defective})


def test_exponential_undoes_the_logarithm():
    x = positive(np.complex128)
    with jax.enable_x64(True):
        logarithm = REGISTRY["MatrixLogarithm"].function(x)
        assert_allclose(REGISTRY["MatrixExponential"].function(logarithm), x, rtol=1e-10, atol=1e-10)


def test_the_older_names_of_batches():
    with jax.enable_x64(True):
        x = np.arange(12.0).reshape(2, 2, 3)
        replaced = REGISTRY["BatchMatrixSetDiag"].function(x, np.full((2, 2), -1.0))
        assert_array_equal(replaced[0], [[-1, 1, 2], [3, -1, 5]])
        assert_array_equal(REGISTRY["BatchMatrixDiagPart"].function(x), [[0, 4], [6, 10]])
        assert_array_equal(REGISTRY["BatchMatrixDiag"].function(np.array([[1, 2]])), [[[1, 0], [0, 2]]])
        band = REGISTRY["BatchMatrixBandPart"].function(x, np.int64(0), np.int64(-1))
        assert_array_equal(band[0], [[0, 1, 2], [0, 4, 5]])


@pytest.mark.parametrize("op", ["Cholesky", "MatrixInverse", "SelfAdjointEigV2"])
def test_a_matrix_that_is_not_square_is_refused(op):
    with pytest.raises(InvalidArgumentError, match=r"must be square, not of shape \[2, 3\]"):
        REGISTRY[op].function(np.ones((2, 3), np.float32))
