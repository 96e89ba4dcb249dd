"""The largest and smallest elements of the last dimension."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.dtypes import int32
from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import Static, check, claim, is_known, lower
from mgjax.shapes import describe


@lower("TopK")
def top_k(input, *, k):
    """The `k` largest, in descending order, and their positions; of equal values the first comes first.

    With sorted=false TensorFlow's order is unspecified, so that this one will do.
    """
    if input.ndim == 0:
        raise InvalidArgumentError("input must be >= 1-D, got shape []")
    if k < 0:
        raise InvalidArgumentError(f"Need k >= 0, got {k}")
    if input.shape[-1] < k:
        raise InvalidArgumentError(f"input must have at least k columns. Had {input.shape[-1]}, needed {k}")
    values, indices = lax.top_k(jnp.asarray(input), k)
    return values, indices.astype(np.int32)


@lower("TopKV2")
def top_k_v2(input, k: Static, *, index_type=int32):
    if k.ndim:
        raise InvalidArgumentError(f"k must be scalar, got shape {describe(k.shape)}")
    values, indices = top_k(input, k=int(k))
    return values, indices.astype(index_type.numpy)


@lower("NthElement")
def nth_element(input, n, *, reverse=False):
    """The n-th smallest (or with `reverse` largest), counted from 0."""
    if is_known(n):
        if n < 0:
            raise InvalidArgumentError(f"Need n >= 0, got {n}")
        if n >= input.shape[-1]:
            raise InvalidArgumentError("Input must have at least n+1 columns")
    return jnp.sort(input, axis=-1, descending=reverse)[..., n]


@check("NthElement")
def nth_of_columns(input, n):
    yield claim(n >= 0, "Need n >= 0, got {n}", n=n)
    yield claim(n < input.shape[-1], "Input must have at least n+1 columns")
