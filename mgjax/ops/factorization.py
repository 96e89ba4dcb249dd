"""Ops of tf.contrib.factorization: products of matrices at few places, and the normal equations of weighted least squares."""

import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import Static, lower


@lower("MaskedMatmul")
def masked_matmul(a, b, mask_indices, transpose_a: Static, transpose_b: Static):
    """The elements of the product of two matrices at `mask_indices` [n, 2], as a vector [n]."""
    if a.ndim != 2 or b.ndim != 2 or mask_indices.ndim != 2 or mask_indices.shape[1] != 2:
        raise InvalidArgumentError(
            f"a, b and mask_indices must be matrices, the last of 2 columns: {mask_indices.shape}"
        )
    rows, columns = a.T if transpose_a else a, b if transpose_b else b.T
    if rows.shape[1] != columns.shape[1]:
        raise InvalidArgumentError(
            f"Matrix shapes are incompatible: a has shape {a.shape}, while b has shape {b.shape}."
        )
    return jnp.sum(jnp.asarray(rows)[mask_indices[:, 0]] * jnp.asarray(columns)[mask_indices[:, 1]], axis=1)


@lower("WALSComputePartialLhsAndRhs")
def wals_compute_partial_lhs_and_rhs(
    factors,
    factor_weights,
    unobserved_weights,
    input_weights,
    input_indices,
    input_values,
    entry_weights,
    input_block_size: Static,
    input_is_transpose: Static,
):
    """Both sides of the normal equations, [rows, k, k] and [rows, k], of what the entries of a sparse matrix add to each row.

    An entry weighs as much as its row times its column of `factors` [columns, k], or, if these two have no weights, what
    `entry_weights` says.
    """
    if bool(entry_weights.shape[0]) == bool(input_weights.shape[0] and factor_weights.shape[0]):
        raise InvalidArgumentError(
            "To specify the weights for observed entries, either (1) entry_weights must be set or (2) input_weights and "
            "factor_weights must be set, but not both."
        )
    of_rows, of_factors = (1, 0) if input_is_transpose else (0, 1)
    rows, columns = input_indices[:, of_rows], input_indices[:, of_factors]
    if entry_weights.shape[0]:
        weights = jnp.asarray(entry_weights)
    else:
        weights = jnp.asarray(input_weights)[rows] * jnp.asarray(factor_weights)[columns]
    found = jnp.asarray(factors)[columns]
    scaled = found * jnp.sqrt(weights)[:, None]
    lhs = jnp.zeros((int(input_block_size), *2 * found.shape[1:]), np.float32)
    rhs = jnp.zeros((int(input_block_size), *found.shape[1:]), np.float32)
    return (
        lhs.at[rows].add(scaled[:, :, None] * scaled[:, None, :]),
        rhs.at[rows].add((input_values * (unobserved_weights + weights))[:, None] * found),
    )
