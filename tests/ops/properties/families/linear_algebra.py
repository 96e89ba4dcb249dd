"""Square, symmetric, triangular matrices; results that are determined up to signs."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Call, Recipe, family

# Errors grow with the condition of the matrix, which `regular` keeps small.
SOLVED = relative(400)
# 1.15 has no kernels for half precision.
WIDE = {"T": (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128)}


def batch_and_size(recipe: Recipe) -> tuple[tuple[int, ...], int]:
    return recipe.shape(0, 2, sizes=(1, 2, 0)), recipe.integer(0, 4)


def regular(recipe: Recipe, name: str, batch: tuple[int, ...], n: int) -> np.ndarray:
    """A matrix far from a singular one."""
    matrix = recipe.array(recipe.dtype(name), (*batch, n, n), flavor="plain")
    return recipe.give(name, matrix + 8 * np.eye(n, dtype=matrix.dtype))


def positive(recipe: Recipe, name: str, batch: tuple[int, ...], n: int) -> np.ndarray:
    """A matrix that is symmetric (Hermitian) and positive definite."""
    x = recipe.array(recipe.dtype(name), (*batch, n, n), flavor="plain")
    return recipe.give(name, x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(n, dtype=x.dtype))


@family(
    "MatrixDeterminant", "BatchMatrixDeterminant", "LogMatrixDeterminant", "MatrixInverse", "BatchMatrixInverse", "Lu",
    bound=SOLVED, types=WIDE,
)  # fmt: skip
def square(recipe: Recipe) -> None:
    batch, n = batch_and_size(recipe)
    if recipe.rarely():
        recipe.input("input", (*batch, n, n + 1), flavor="plain")
    else:
        regular(recipe, "input", batch, n)


@family("Cholesky", "BatchCholesky", "MatrixSquareRoot", "MatrixLogarithm", bound=SOLVED, types=WIDE)
def of_positive(recipe: Recipe) -> None:
    positive(recipe, "input", *batch_and_size(recipe))


@family("MatrixExponential", bound=SOLVED, types=WIDE)
def matrix_exponential(recipe: Recipe) -> None:
    batch, n = batch_and_size(recipe)
    recipe.give("input", recipe.array(recipe.dtype("input"), (*batch, n, n), flavor="plain") / 4)


@family("CholeskyGrad", "BatchCholeskyGrad", bound=relative(2000), types=WIDE)
def cholesky_grad(recipe: Recipe) -> None:
    batch, n = batch_and_size(recipe)
    x = recipe.array(recipe.dtype("l"), (*batch, n, n), flavor="plain")
    recipe.give("l", np.tril(x) + 6 * np.eye(n, dtype=x.dtype))
    recipe.input("grad", (*batch, n, n), flavor="plain")


def up_to_signs(outputs: list[np.ndarray], call: Call) -> list[np.ndarray]:
    """Magnitudes: a vector of such a basis may point either way."""
    return [np.abs(x) for x in outputs]


def eigenvalues(outputs: list[np.ndarray], call: Call) -> list[np.ndarray]:
    return up_to_signs(outputs, call) if call.attrs.get("compute_v", True) else outputs[:1]


@family(
    "SelfAdjointEigV2",
    "BatchSelfAdjointEigV2",
    "SelfAdjointEig",
    "BatchSelfAdjointEig",
    bound=relative(4000),
    types=WIDE,
    view=eigenvalues,
)
def self_adjoint_eig(recipe: Recipe) -> None:
    positive(recipe, "input", *batch_and_size(recipe))


def singular_values(outputs: list[np.ndarray], call: Call) -> list[np.ndarray]:
    """The values, and of the vectors those that belong to one."""
    if not call.attrs["compute_uv"]:
        return outputs[:1]
    count = outputs[0].shape[-1]
    return [outputs[0], *(np.abs(x[..., :count]) for x in outputs[1:])]


@family("Svd", "BatchSvd", bound=relative(4000), types=WIDE, view=singular_values)
def svd(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(2, 3, sizes=(1, 2, 3)), flavor="plain")


def triangle(outputs: list[np.ndarray], call: Call) -> list[np.ndarray]:
    count = min(call.inputs["input"].shape[-2:])
    return [np.abs(outputs[0][..., :count]), np.abs(outputs[1])]


@family("Qr", bound=relative(2000), types=WIDE, view=triangle)
def qr(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(2, 3, sizes=(1, 2, 3, 4)), flavor="plain")


@family("MatrixSolve", "BatchMatrixSolve", bound=SOLVED, types=WIDE)
def matrix_solve(recipe: Recipe) -> None:
    batch, n = batch_and_size(recipe)
    regular(recipe, "matrix", batch, n)
    recipe.input("rhs", (*batch, n + recipe.rarely(), recipe.integer(0, 3)), flavor="plain")


@family("MatrixTriangularSolve", "BatchMatrixTriangularSolve", bound=SOLVED, types=WIDE)
def matrix_triangular_solve(recipe: Recipe) -> None:
    batch, n = batch_and_size(recipe)
    regular(recipe, "matrix", batch, n)
    recipe.input("rhs", (*batch, n, recipe.integer(0, 3)), flavor="plain")


@family("MatrixSolveLs", "BatchMatrixSolveLs", bound=relative(2000), types=WIDE, fast=True)
def matrix_solve_ls(recipe: Recipe) -> None:
    batch = recipe.shape(0, 2, sizes=(1, 2))
    rows, columns = recipe.integer(1, 4), recipe.integer(1, 4)
    matrix = recipe.array(recipe.dtype("matrix"), (*batch, rows, columns), flavor="plain")
    recipe.give("matrix", matrix + 8 * np.eye(rows, columns, dtype=matrix.dtype))
    recipe.input("rhs", (*batch, rows, recipe.integer(1, 3)), flavor="plain")
    recipe.give("l2_regularizer", 0.5 if recipe.boolean() else 0.0)


@family("BatchMatrixDiag")
def batch_matrix_diag(recipe: Recipe) -> None:
    recipe.input("diagonal", recipe.shape(0 if recipe.rarely() else 1, 4))


@family("BatchMatrixDiagPart", "BatchMatrixBandPart", "BatchMatrixSetDiag")
def batch_matrix_part(recipe: Recipe) -> None:
    shape = recipe.shape(1 if recipe.rarely() else 2, 4)
    recipe.input("input", shape)
    for arg in recipe.op_def.inputs[1:]:
        if arg.name == "diagonal":
            recipe.input("diagonal", (*shape[:-2], min(shape[-2:])))
        else:
            recipe.give(arg.name, recipe.integer(-1, 3))


@family("TridiagonalSolve", bound=SOLVED, types=WIDE, perturb_singular=False)
def tridiagonal_solve(recipe: Recipe) -> None:
    batch, n = recipe.shape(0, 2, sizes=(1, 2)), recipe.integer(1, 4)
    diagonals = recipe.array(recipe.dtype("diagonals"), (*batch, 3, n), flavor="plain")
    diagonals[..., 1, :] += 8
    recipe.give("diagonals", diagonals)
    recipe.input("rhs", (*batch, n, recipe.integer(1, 3)), flavor="plain")


@family("TridiagonalMatMul", bound=relative(20))
def tridiagonal_mat_mul(recipe: Recipe) -> None:
    batch, n = recipe.shape(0, 2, sizes=(1, 2)), recipe.integer(1, 4)
    for name in ("superdiag", "maindiag", "subdiag"):
        recipe.input(name, (*batch, 1, n), flavor="plain")
    recipe.input("rhs", (*batch, n, recipe.integer(1, 3)), flavor="plain")
