"""Decompositions, inverses and solutions of (batches of) matrices.

TensorFlow fails where a matrix is not invertible or not positive definite; where errors are ignored, the results hold
infinities or NaN there. The signs of QR's and SVD's factors and of eigenvectors are a convention of the
library that computes them; JAX's may be other ones than Eigen's.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import linalg as scipy_linalg

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import array_module, check, claim, lower

# Nodes of the quadrature that sums the logarithm's integral; with a norm below 1/4 it is exact to rounding.
_LOGARITHM_NODES = 10
_LOGARITHM_NORM = 0.25


@lower("Cholesky", "BatchCholesky")
def cholesky(input):
    """The lower triangular L with L L* = input, of which the lower triangle is read."""
    _need_square(input)
    return lax.linalg.cholesky(jnp.asarray(input), symmetrize_input=False)


@check("Cholesky", "BatchCholesky")
def is_positive_definite(input, outputs):
    message = "Cholesky decomposition was not successful. The input might not be valid."
    yield claim(_has_no_new_nan(jnp.tril(input), outputs[0]), message)


def _has_no_new_nan(before, after):
    """Whether each matrix that is NaN somewhere was so before."""
    return ~jnp.isnan(after).any((-2, -1)) | jnp.isnan(before).any((-2, -1))


@lower("CholeskyGrad", "BatchCholeskyGrad")
def cholesky_grad(l, grad):  # noqa: E741
    """Pullback of `cholesky` at its result `l`, made symmetric."""
    l, grad = jnp.asarray(l), jnp.asarray(grad)  # noqa: E741
    middle = jnp.tril(_adjoint(l) @ jnp.tril(grad))
    middle = middle - 0.5 * _diagonal_part(middle)
    left = lax.linalg.triangular_solve(l, middle, left_side=True, lower=True, transpose_a=True, conjugate_a=True)
    whole = lax.linalg.triangular_solve(l, left, left_side=False, lower=True)
    return 0.5 * (whole + _adjoint(whole))


@lower("MatrixInverse", "BatchMatrixInverse")
def matrix_inverse(input, *, adjoint=False):
    """The inverse, or that of the conjugate transpose."""
    _need_square(input)
    input = jnp.asarray(input)
    return jnp.linalg.inv(_adjoint(input) if adjoint else input)


def _invertible(matrix):
    """TensorFlow looks for a pivot that is not above 0 in its size (matrix_inverse_op.cc), as a NaN is not."""
    if matrix.size:
        pivots = jnp.diagonal(lax.linalg.lu(jnp.asarray(matrix))[0], axis1=-2, axis2=-1)
        yield claim(jnp.abs(pivots) > 0, "Input is not invertible.")


@lower("MatrixDeterminant", "BatchMatrixDeterminant")
def matrix_determinant(input):
    _need_square(input)
    if not input.shape[-1]:  # of which JAX has no derivative
        return jnp.ones(input.shape[:-2], input.dtype)
    return jnp.linalg.det(jnp.asarray(input))


@lower("LogMatrixDeterminant")
def log_matrix_determinant(input):
    """The determinant's sign (its direction, if complex) and the logarithm of its absolute value, of the input's dtype.

    A logarithm that is not finite is infinite, below zero unless it is above, and the sign is 0 (determinant_op.cc).
    """
    _need_square(input)
    factors, pivots, _ = lax.linalg.lu(jnp.asarray(input))
    diagonal = jnp.diagonal(factors, axis1=-2, axis2=-1)
    sizes = jnp.abs(diagonal)
    log = jnp.sum(jnp.log(sizes), -1)
    swaps = jnp.sum(pivots != np.arange(pivots.shape[-1], dtype=np.int32), -1) % 2
    sign = jnp.where(swaps == 1, -1, 1) * jnp.prod(diagonal / sizes, -1)
    is_finite = jnp.isfinite(log)
    log = jnp.where(is_finite, log, jnp.where(log > 0, jnp.inf, -jnp.inf))
    return jnp.where(is_finite, sign, 0).astype(input.dtype), log.astype(input.dtype)


@lower("MatrixSolve", "BatchMatrixSolve")
def matrix_solve(matrix, rhs, *, adjoint=False):
    """x with matrix x = rhs, or with its conjugate transpose."""
    _need_square(matrix)
    matrix, rhs = jnp.asarray(matrix), jnp.asarray(rhs)
    return jnp.linalg.solve(_adjoint(matrix) if adjoint else matrix, rhs)


@check("MatrixSolve", "BatchMatrixSolve")
def is_solved(matrix, rhs):
    if rhs.size:
        for found in _invertible(matrix):
            yield replace(found, message="Input matrix is not invertible.")


@lower("MatrixTriangularSolve", "BatchMatrixTriangularSolve")
def matrix_triangular_solve(matrix, rhs, *, lower=True, adjoint=False):
    """x with matrix x = rhs, of whose `matrix` only the lower or upper triangle is read."""
    _need_square(matrix)
    matrix, rhs = jnp.asarray(matrix), jnp.asarray(rhs)
    batch = np.broadcast_shapes(matrix.shape[:-2], rhs.shape[:-2])
    return lax.linalg.triangular_solve(
        jnp.broadcast_to(matrix, batch + matrix.shape[-2:]),
        jnp.broadcast_to(rhs, batch + rhs.shape[-2:]),
        left_side=True,
        lower=lower,
        transpose_a=adjoint,
        conjugate_a=adjoint,
    )


@check("MatrixTriangularSolve", "BatchMatrixTriangularSolve")
def is_triangular_invertible(matrix, rhs):
    if matrix.size and rhs.size:
        diagonal = array_module(matrix).diagonal(matrix, axis1=-2, axis2=-1)
        yield claim(abs(diagonal) > 0, "Input matrix is not invertible.")


@lower("MatrixSolveLs", "BatchMatrixSolveLs")
def matrix_solve_ls(matrix, rhs, l2_regularizer, *, fast=True):
    """x of least |matrix x - rhs|^2 + l2_regularizer |x|^2; not `fast`: of least norm, without the regularizer."""
    matrix, rhs = jnp.asarray(matrix), jnp.asarray(rhs)
    if not fast:
        return jnp.linalg.pinv(matrix) @ rhs
    rows, columns = matrix.shape[-2:]
    transposed = _adjoint(matrix)
    gram = transposed @ matrix if rows >= columns else matrix @ transposed
    ridge = jnp.asarray(l2_regularizer).astype(matrix.dtype) * jnp.eye(min(rows, columns), dtype=matrix.dtype)
    factor = lax.linalg.cholesky(gram + ridge)
    if rows >= columns:
        return _cholesky_solve(factor, transposed @ rhs)
    return transposed @ _cholesky_solve(factor, rhs)


@check("MatrixSolveLs", "BatchMatrixSolveLs")
def is_of_full_rank(matrix, outputs, fast=True):
    if fast and matrix.size and outputs[0].size:
        message = (
            "Input matrix was rank deficient or ill-conditioned. Try setting fast=False or provide a larger "
            "l2_regularizer > 0."
        )
        yield claim(_has_no_new_nan(matrix, outputs[0]), message)


@lower("Qr")
def qr(input, *, full_matrices=False):
    return tuple(jnp.linalg.qr(jnp.asarray(input), mode="complete" if full_matrices else "reduced"))


@lower("Svd", "BatchSvd")
def svd(input, *, compute_uv=True, full_matrices=False):
    """Singular values, descending, then u and v (not v's conjugate transpose); scalars without `compute_uv`."""
    input = jnp.asarray(input)
    if not compute_uv:
        values = jnp.linalg.svd(input, compute_uv=False)
        return (values.astype(input.dtype), *_nothing(input, 2))
    u, values, v = jnp.linalg.svd(input, full_matrices=full_matrices)
    return values.astype(input.dtype), u, _adjoint(v)


@lower("SelfAdjointEigV2", "BatchSelfAdjointEigV2")
def self_adjoint_eig_v2(input, *, compute_v=True):
    """Eigenvalues, ascending, and eigenvectors in columns (a scalar without `compute_v`) of the lower triangle's
    matrix."""
    _need_square(input)
    input = jnp.asarray(input)
    vectors, values = lax.linalg.eigh(input, lower=True, symmetrize_input=False)
    return values.astype(input.dtype), vectors if compute_v else _nothing(input, 1)[0]


@lower("SelfAdjointEig", "BatchSelfAdjointEig")
def self_adjoint_eig(input):
    """Eigenvalues in the first row, the eigenvectors below: [..., n + 1, n]."""
    values, vectors = self_adjoint_eig_v2(input)
    return jnp.concatenate([values[..., None, :], vectors], axis=-2)


@check("SelfAdjointEigV2", "BatchSelfAdjointEigV2", "SelfAdjointEig", "BatchSelfAdjointEig")
def is_decomposed(input):
    message = "Self-adjoint eigen decomposition was not successful. The input might not be valid."
    yield claim(~jnp.isnan(jnp.tril(input)), message)


@lower("Lu")
def lu(input, *, output_idx_type):
    """L below the diagonal and U on and above it, and the order of rows p with input[p] = L U."""
    _need_square(input)
    input = jnp.asarray(input)
    if jnp.iscomplexobj(input) and 0 not in input.shape:
        factor = _complex_lu
        for _ in input.shape[:-2]:
            factor = jax.vmap(factor)
        factors, order = factor(input)
    else:
        factors, _, order = lax.linalg.lu(input)
    return factors, order.astype(output_idx_type.numpy)


def _complex_lu(matrix):
    """L, U and the order of rows of one matrix, with the pivot of greatest modulus.

    LAPACK, under `lax.linalg.lu`, compares the sum of the parts' sizes instead, and so takes other rows than Eigen does.
    """
    places = np.arange(matrix.shape[0], dtype=np.int32)

    def eliminate(k, carry):
        matrix, order = carry
        below = places > k
        sizes = jnp.where(places >= k, jnp.abs(matrix[:, k]), -1)
        row = jnp.min(jnp.where(sizes == jnp.max(sizes), places, places.size - 1))
        swapped = jnp.where(places == k, row, jnp.where(places == row, k, places))
        matrix, order = matrix[swapped], order[swapped]
        pivot = matrix[k, k]
        column = jnp.where(below, matrix[:, k] / jnp.where(pivot == 0, 1, pivot), 0)
        rest = jnp.where(below, matrix[k], 0)
        matrix = jnp.where((places == k) & below[:, None], column[:, None], matrix)
        return matrix - column[:, None] * rest, order

    return lax.fori_loop(0, matrix.shape[0], eliminate, (matrix, places))


@check("MatrixInverse", "BatchMatrixInverse", "Lu")
def is_inverted(input):
    yield from _invertible(input)


@lower("TridiagonalSolve")
def tridiagonal_solve(diagonals, rhs, *, partial_pivoting=True):
    """x of the systems whose superdiagonal, diagonal and subdiagonal are the rows of `diagonals`, [..., 3, n]."""
    # The last element of the first row and the first of the last lie outside the matrix.
    diagonals, rhs = jnp.asarray(diagonals), jnp.asarray(rhs)
    if not rhs.size:
        return rhs
    above = diagonals[..., 0, :].at[..., -1].set(0)
    below = diagonals[..., 2, :].at[..., 0].set(0)
    return lax.linalg.tridiagonal_solve(below, diagonals[..., 1, :], above, rhs)


@check("TridiagonalSolve")
def is_tridiagonal_solved(diagonals, rhs, outputs):
    given = jnp.isfinite(diagonals).all() & jnp.isfinite(rhs).all()
    yield claim(jnp.isfinite(outputs[0]).all() | ~given, "The matrix is not invertible.")


@lower("TridiagonalMatMul")
def tridiagonal_mat_mul(superdiag, maindiag, subdiag, rhs):
    """The product of a matrix given by its three diagonals, [..., 1, n], and `rhs`, [..., n, k]."""
    above, middle, below = (jnp.swapaxes(jnp.asarray(d), -1, -2) for d in (superdiag, maindiag, subdiag))
    rhs = jnp.asarray(rhs)
    zero = jnp.zeros_like(rhs[..., :1, :])
    next_rows = jnp.concatenate([rhs[..., 1:, :], zero], axis=-2)
    rows_before = jnp.concatenate([zero, rhs[..., :-1, :]], axis=-2)
    return above * next_rows + middle * rhs + below * rows_before


@lower("MatrixExponential")
def matrix_exponential(input):
    _need_square(input)
    return scipy_linalg.expm(jnp.asarray(input))


@lower("MatrixSquareRoot")
def matrix_square_root(input):
    """The principal square root, by Schur's decomposition, which JAX has on the CPU."""
    _need_square(input)
    input = jnp.asarray(input)
    root = _each_matrix(scipy_linalg.sqrtm, input)
    return (root.real if not jnp.iscomplexobj(input) else root).astype(input.dtype)


@lower("MatrixLogarithm")
def matrix_logarithm(input):
    """The principal logarithm: roots are taken until the matrix is near one, whose logarithm is an integral."""
    _need_square(input)
    # In double precision: the roots lose digits where eigenvalues differ by much.
    return _each_matrix(_logarithm, jnp.asarray(input).astype(np.complex128)).astype(input.dtype)


@lower("BatchMatrixDiag")
def batch_matrix_diag(diagonal):
    """[..., n] on the diagonal of [..., n, n]."""
    diagonal = jnp.asarray(diagonal)
    return jnp.where(np.eye(diagonal.shape[-1], dtype=bool), diagonal[..., None], jnp.zeros((), diagonal.dtype))


@lower("BatchMatrixDiagPart")
def batch_matrix_diag_part(input):
    return jnp.diagonal(jnp.asarray(input), axis1=-2, axis2=-1)


@lower("BatchMatrixSetDiag")
def batch_matrix_set_diag(input, diagonal):
    input, diagonal = jnp.asarray(input), jnp.asarray(diagonal)
    rows, columns = input.shape[-2:]
    padded = jnp.pad(diagonal, [(0, 0)] * (diagonal.ndim - 1) + [(0, rows - diagonal.shape[-1])])
    return jnp.where(np.eye(rows, columns, dtype=bool), padded[..., None], input)


def _logarithm(matrix):
    one = jnp.eye(matrix.shape[-1], dtype=matrix.dtype)

    def far(carry):
        return (jnp.linalg.norm(carry[1] - one) > _LOGARITHM_NORM) & (carry[0] < 100)

    def root(carry):
        return carry[0] + 1, scipy_linalg.sqrtm(carry[1]).astype(matrix.dtype)

    halvings, near = lax.while_loop(far, root, (jnp.zeros((), np.int32), matrix))
    # log(1 + x) is the integral of x / (1 + t x) over t in [0, 1].
    nodes, weights = np.polynomial.legendre.leggauss(_LOGARITHM_NODES)
    x = near - one
    terms = [w / 2 * jnp.linalg.solve(one + (n + 1) / 2 * x, x) for n, w in zip(nodes, weights, strict=True)]
    return jnp.exp2(halvings.astype(np.float64)) * functools.reduce(jnp.add, terms)


def _each_matrix(function, batch):
    """`function` of every matrix of [..., n, n]."""
    if batch.size == 0:
        return batch
    flat = batch.reshape((-1, *batch.shape[-2:]))
    return jax.vmap(function)(flat).reshape(batch.shape)


def _cholesky_solve(factor, rhs):
    solve = functools.partial(lax.linalg.triangular_solve, factor, left_side=True, lower=True)
    return solve(solve(rhs), transpose_a=True, conjugate_a=True)


def _adjoint(matrix):
    return jnp.conj(jnp.swapaxes(matrix, -1, -2))


def _diagonal_part(matrix):
    return jnp.where(np.eye(matrix.shape[-1], dtype=bool), matrix, jnp.zeros((), matrix.dtype))


def _nothing(like, count):
    # TensorFlow leaves a scalar that it never writes.
    return [jnp.zeros((), like.dtype)] * count


def _need_square(matrix):
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise InvalidArgumentError(f"Input matrix must be square, not of shape {list(matrix.shape)}")
