"""Products of matrices, contractions, and matrices' diagonals and bands.

No precision is asked for here: who traces a lowering decides with `jax.default_matmul_precision`.
"""

from __future__ import annotations

import functools
import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import FailedPreconditionError, InvalidArgumentError, UnsupportedError
from mgjax.ops.elementwise import is_complex
from mgjax.ops.registry import Static, array_module, is_known, lower
from mgjax.shapes import describe

#: The most terms of a float16 sum that are added one by one.
_FEW_TERMS = 32

# Products


@lower("MatMul")
def matmul(a, b, *, transpose_a=False, transpose_b=False):
    """a @ b of matrices, each transposed first if asked."""
    for i, x in enumerate((a, b)):
        if len(x.shape) != 2:
            raise InvalidArgumentError(f"In[{i}] is not a matrix. Instead it has shape {describe(x.shape)}")
    inner_a, inner_b = (0 if transpose_a else 1), (1 if transpose_b else 0)
    if a.shape[inner_a] != b.shape[inner_b]:
        raise InvalidArgumentError(f"Matrix size-incompatible: In[0]: {describe(a.shape)}, In[1]: {describe(b.shape)}")
    a, b = jnp.asarray(a), jnp.asarray(b)
    if a.dtype == np.float16 and 0 < a.shape[inner_a] <= _FEW_TERMS:
        return _rounding_product(a.T if transpose_a else a, b.T if transpose_b else b)
    return lax.dot_general(a, b, (((inner_a,), (inner_b,)), ((), ())))


def _rounding_product(a, b):
    """a @ b of float16 with each product and each sum rounded, in order, as Eigen computes it.

    Long sums are left to the backend, which adds in float32: slower, and less exact, would be no gain.
    """

    # XLA leaves out roundings between operations on float16 itself.
    def rounded(x):
        return lax.reduce_precision(x, exponent_bits=5, mantissa_bits=10)

    a, b = a.astype(np.float32), b.astype(np.float32)
    terms = [rounded(a[:, k : k + 1] * b[k : k + 1]) for k in range(a.shape[1])]
    return functools.reduce(lambda total, term: rounded(total + term), terms).astype(np.float16)


@lower("SparseMatMul")
def sparse_mat_mul(a, b, *, transpose_a=False, transpose_b=False, a_is_sparse=False, b_is_sparse=False):
    """`matmul` of float32 or bfloat16 matrices in float32; that one holds many zeros changes nothing here."""
    return matmul(a.astype(np.float32), b.astype(np.float32), transpose_a=transpose_a, transpose_b=transpose_b)


@lower("BatchMatMul")
def batch_mat_mul(x, y, *, adj_x=False, adj_y=False):
    """x @ y over equal leading axes; `adj_x` and `adj_y` transpose and conjugate."""
    if x.shape[:-2] != y.shape[:-2]:
        axis = next((i for i, (m, n) in enumerate(zip(x.shape, y.shape, strict=False)) if m != n), 0)
        raise InvalidArgumentError(
            f"In[0].dim({axis}) and In[1].dim({axis}) must be the same: {describe(x.shape)} vs {describe(y.shape)}"
        )
    return batch_mat_mul_v2(x, y, adj_x=adj_x, adj_y=adj_y)


@lower("BatchMatMulV2")
def batch_mat_mul_v2(x, y, *, adj_x=False, adj_y=False):
    """`batch_mat_mul` with broadcasting of the leading axes."""
    x, y = (_adjoint(m) if asked else m for m, asked in ((x, adj_x), (y, adj_y)))
    if x.shape[-1] != y.shape[-2]:
        raise InvalidArgumentError(
            f"In[0] mismatch In[1] shape: {x.shape[-1]} vs. {y.shape[-2]}: {describe(x.shape)} {describe(y.shape)} "
            f"{int(adj_x)} {int(adj_y)}"
        )
    return jnp.matmul(x, y)


@lower("BatchMatMulV3")
def batch_mat_mul_v3(x, y, *, Tout, adj_x=False, adj_y=False):
    """`batch_mat_mul_v2` of two types, in a third."""
    return batch_mat_mul_v2(x.astype(Tout.numpy), y.astype(Tout.numpy), adj_x=adj_x, adj_y=adj_y)


def _adjoint(x):
    xp = array_module(x)
    x = xp.swapaxes(x, -1, -2)
    return xp.conj(x) if is_complex(x) else x


@lower("Einsum")
def einsum(inputs, *, equation):
    """The sum of products that the equation describes; a label may repeat in the result, where it fills a diagonal."""
    labels, _, output = equation.replace(" ", "").partition("->")
    repeated = [label for label in dict.fromkeys(output) if label != "." and output.count(label) > 1]
    if not repeated:
        return jnp.einsum(equation, *inputs)
    if "." in output:
        raise UnsupportedError(f"Einsum: the equation {equation!r} repeats a label of a result with an ellipsis")
    single = "".join(dict.fromkeys(output))
    result = jnp.einsum(f"{labels}->{single}", *inputs)
    sizes = dict(zip(single, result.shape, strict=True))
    result = result.reshape([sizes[label] if output.index(label) == i else 1 for i, label in enumerate(output)])
    for label in repeated:
        places = [i for i, other in enumerate(output) if other == label]
        for place in places[1:]:
            grid = np.indices((sizes[label],) * 2)
            shape = [sizes[label] if i in (places[0], place) else 1 for i in range(len(output))]
            is_diagonal = (grid[0] == grid[1]).reshape(shape)
            result = jnp.where(is_diagonal, result, np.zeros((), result.dtype))
    return result


@lower("Cross")
def cross(a, b):
    """The cross product of vectors of three along the last axis."""
    if a.shape != b.shape:
        raise InvalidArgumentError(f"Both inputs must be of same shape: {list(a.shape)} vs. {list(b.shape)}")
    if not a.shape:
        raise InvalidArgumentError("Input must be at least 1D[]")
    if a.shape[-1] != 3:
        raise FailedPreconditionError("Cross-products are only defined for 3-element vectors.")
    xp = array_module(a, b)
    (a0, a1, a2), (b0, b1, b2) = ([x[..., i] for i in range(3)] for x in (a, b))
    return xp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1)


# Bands and diagonals of the last two axes


@lower("MatrixBandPart", "BatchMatrixBandPart")
def matrix_band_part(input, num_lower, num_upper):
    """The matrices with zeros outside the band; a negative number keeps the whole triangle."""
    xp = array_module(input, num_lower, num_upper)
    if len(input.shape) < 2:
        raise InvalidArgumentError(f"input must be at least 2-dim, received shape: {list(input.shape)}")
    rows, columns = input.shape[-2:]
    for name, number, size, what in (
        ("num_lower", num_lower, rows, "rows"),
        ("num_upper", num_upper, columns, "columns"),
    ):
        if is_known(number) and number > size:
            raise InvalidArgumentError(
                f"{name} must be negative or less or equal to number of {what} ({size}) got: {number}"
            )
    below = np.arange(rows)[:, None] - np.arange(columns)
    is_kept = ((num_lower < 0) | (below <= num_lower)) & ((num_upper < 0) | (-below <= num_upper))
    return xp.where(is_kept, input, np.zeros((), input.dtype))


def _bounds(k) -> tuple[int, int]:
    """The lowest and the highest diagonal: `k` is one number or both."""
    numbers = [int(n) for n in np.ravel(k)]
    low, high = numbers[0], numbers[-1]
    if low > high:
        raise InvalidArgumentError(
            f"lower_diag_index must not be larger than upper_diag_index: received {low} is larger than {high}"
        )
    return low, high


def _layout(rows, columns, low, high, longest, align):
    """For every element of a matrix: whether it is on a diagonal from low to high, and its place in the packed form.

    There a diagonal that is shorter than the longest one stands at the left or the right end of its row.
    """
    i, j = np.indices((rows, columns))
    d = j - i
    length = np.minimum(rows + np.minimum(d, 0), columns - np.maximum(d, 0))
    above, _, below = align.partition("_")
    is_right = ((d >= 0) & (above == "RIGHT")) | ((d <= 0) & (below == "RIGHT"))
    offset = np.where(is_right, longest - length, 0)
    return (low <= d) & (d <= high), high - d, np.minimum(i, j) + offset


def _longest(rows, columns, low, high):
    return min(rows + min(high, 0), columns - max(low, 0))


def _spread(diagonal, low, high, background, align):
    """`background` with the packed diagonals written over its own."""
    xp = array_module(diagonal, background)
    rows, columns = background.shape[-2:]
    if low == high:
        diagonal = diagonal[..., None, :]
    is_taken, row, column = _layout(rows, columns, low, high, diagonal.shape[-1], align)
    row, column = np.where(is_taken, row, 0), np.where(is_taken, column, 0)
    return xp.where(is_taken, diagonal[..., row, column], background)


@lower("MatrixDiagV3")
def matrix_diag_v3(diagonal, k: Static, num_rows: Static, num_cols: Static, padding_value, *, align="RIGHT_LEFT"):
    """Matrices with the given diagonals, of which the last axis but one holds the highest first; padding elsewhere."""
    low, high = _bounds(k)
    length = diagonal.shape[-1]
    least_rows, least_columns = length - min(high, 0), length + max(low, 0)
    rows, columns = int(np.ravel(num_rows)[0]), int(np.ravel(num_cols)[0])
    if rows == columns == -1:
        rows = columns = max(least_rows, least_columns)
    rows = least_rows if rows == -1 else rows
    columns = least_columns if columns == -1 else columns
    if rows < least_rows:
        raise InvalidArgumentError("The number of rows is too small.")
    if columns < least_columns:
        raise InvalidArgumentError("The number of columns is too small.")
    batch = diagonal.shape[: -1 if low == high else -2]
    background = array_module(diagonal, padding_value).broadcast_to(padding_value, (*batch, rows, columns))
    return _spread(diagonal, low, high, background, align)


@lower("MatrixDiagV2")
def matrix_diag_v2(diagonal, k: Static, num_rows: Static, num_cols: Static, padding_value):
    """`matrix_diag_v3` with every diagonal at the left of its row."""
    return matrix_diag_v3(diagonal, k, num_rows, num_cols, padding_value, align="LEFT_LEFT")


@lower("MatrixDiag")
def matrix_diag(diagonal):
    """Square matrices with a main diagonal, and zeros elsewhere."""
    return matrix_diag_v2(diagonal, np.array(0), np.array(-1), np.array(-1), np.zeros((), diagonal.dtype))


@lower("MatrixDiagPartV3")
def matrix_diag_part_v3(input, k: Static, padding_value, *, align="RIGHT_LEFT"):
    """The diagonals k[0] to k[1], the highest first, in rows of the length of the longest; shorter ones are padded."""
    low, high = _bounds(k)
    rows, columns = input.shape[-2:]
    longest = _longest(rows, columns, low, high)
    if longest < 0 or not (-rows < low <= high < columns or (low == high == 0)):
        raise InvalidArgumentError(
            f"lower_diag_index or upper_diag_index is out of bound: {low}, {high} for matrices {describe(input.shape[-2:])}"
        )
    is_taken, place, column = _layout(rows, columns, low, high, longest, align)
    row_of = np.zeros((high - low + 1, longest), int)
    column_of, is_filled = row_of.copy(), np.zeros_like(row_of, bool)
    i, j = np.nonzero(is_taken)
    where = place[i, j], column[i, j]
    row_of[where], column_of[where], is_filled[where] = i, j, True
    xp = array_module(input, padding_value)
    result = input[..., row_of, column_of]
    if not is_filled.all():
        result = xp.where(is_filled, result, padding_value)
    return result[..., 0, :] if low == high else result


@lower("MatrixDiagPartV2")
def matrix_diag_part_v2(input, k: Static, padding_value):
    """`matrix_diag_part_v3` with every diagonal at the left of its row."""
    return matrix_diag_part_v3(input, k, padding_value, align="LEFT_LEFT")


@lower("MatrixDiagPart")
def matrix_diag_part(input):
    """The main diagonals."""
    return matrix_diag_part_v2(input, np.array(0), np.zeros((), input.dtype))


@lower("MatrixSetDiagV3")
def matrix_set_diag_v3(input, diagonal, k: Static, *, align="RIGHT_LEFT"):
    """The matrices with other diagonals k[0] to k[1]."""
    low, high = _bounds(k)
    return _spread(diagonal, low, high, input, align)


@lower("MatrixSetDiagV2")
def matrix_set_diag_v2(input, diagonal, k: Static):
    """`matrix_set_diag_v3` with every diagonal at the left of its row."""
    return matrix_set_diag_v3(input, diagonal, k, align="LEFT_LEFT")


@lower("MatrixSetDiag")
def matrix_set_diag(input, diagonal):
    """The matrices with another main diagonal."""
    return matrix_set_diag_v2(input, diagonal, np.array(0))


# Diagonals of whole arrays


@lower("Diag")
def diag(diagonal):
    """An array of twice the rank, zero but where both halves of the position are the same."""
    return matrix_diag(diagonal.reshape(-1)).reshape(diagonal.shape * 2)


@lower("DiagPart")
def diag_part(input):
    """The elements for which both halves of the position are the same."""
    half = input.shape[: len(input.shape) // 2]
    if input.shape != half * 2:
        raise InvalidArgumentError(f"Invalid shape {describe(input.shape)}: both halves of the sizes must be the same")
    size = math.prod(half)
    return matrix_diag_part(input.reshape(size, size)).reshape(half)
