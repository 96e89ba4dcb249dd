"""`bounded_unique`: the distinct values in an array as long as the operand (see `mgjax.passes.bound_unique`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.dtypes import int32
from mgjax.ir import Operation
from mgjax.lowering.evaluate import Environment, Evaluator
from mgjax.ops import is_known


def evaluate_bounded_unique(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The distinct values in the order of their first occurrence, and which of them each operand is.

    In every place after them stands the dtype's largest number.
    """
    x = environment[operation.operands[0]]
    dtype = operation.attributes.get("out_idx", int32).numpy
    if is_known(x):
        _, first, places = np.unique(x, return_index=True, return_inverse=True)
        by_place = np.argsort(first)
        return x[first[by_place]], np.argsort(by_place)[places].astype(dtype)
    if x.shape[0] == 0:
        return x, jnp.zeros(0, dtype)
    # Not `jnp.unique`, which is lowered outside of the 64-bit mode where the caller's jit is.
    ordered, order = lax.sort_key_val(x, jnp.arange(x.shape[0], dtype=np.int32))
    is_first = jnp.concatenate([np.ones(1, bool), ordered[1:] != ordered[:-1]])
    begin = lax.cummax(jnp.where(is_first, np.arange(x.shape[0], dtype=np.int32), 0))
    # In the order of their first occurrence, which equal elements keep when sorted.
    seen_first = jnp.zeros(x.shape, np.int32).at[order].set(is_first.astype(np.int32), unique_indices=True)
    number = (lax.cumsum(seen_first) - 1)[order[begin]]
    whole = jnp.full(x.shape, jnp.iinfo(x.dtype).max, x.dtype).at[number].set(ordered)
    return whole, jnp.zeros(x.shape, dtype).at[order].set(number.astype(dtype), unique_indices=True)
