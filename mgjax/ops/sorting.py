"""The largest and smallest elements of the last dimension."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.dtypes import int32
from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import Static, check, claim, is_known, lower
from mgjax.shapes import describe

#: The longest rows of which the order in a heap is worth its while; nothing says that it means anything.
_MOST_HEAPED = 256


@lower("TopK")
def top_k(input, *, k, sorted=True):
    """The `k` largest, in descending order, and their positions; of equal values the first comes first.

    Without `sorted` the order is unspecified: that in which TensorFlow's heap leaves short rows, else descending.
    """
    if input.ndim == 0:
        raise InvalidArgumentError("input must be >= 1-D, got shape []")
    if k < 0:
        raise InvalidArgumentError(f"Need k >= 0, got {k}")
    if input.shape[-1] < k:
        raise InvalidArgumentError(f"input must have at least k columns. Had {input.shape[-1]}, needed {k}")
    columns = input.shape[-1]
    if not sorted and 1 < k < columns <= _MOST_HEAPED:
        order = lax.top_k(jnp.asarray(input), columns)[1].astype(np.int32)
        ranks = jnp.argsort(order, axis=-1).reshape(-1, columns).astype(np.int32)
        kept = jax.vmap(functools.partial(_heaped, k=k))(ranks).reshape(*input.shape[:-1], k)
        indices = jnp.take_along_axis(order, kept, axis=-1)
        return jnp.take_along_axis(jnp.asarray(input), indices, axis=-1), indices
    values, indices = lax.top_k(jnp.asarray(input), k)
    return values, indices.astype(np.int32)


def _heaped(ranks, k):
    """The k smallest of a vector of ranks, as they lie in the heap to which they were added one after another.

    The heap has its largest rank in front, and is libstdc++'s: made of the first k + 1, of which the front goes, as it
    does for each smaller one that follows (lib/gtl/top_n.h).
    """

    def settle(heap, top, size, value):
        """Puts `value` below `top`: the hole there sinks to a leaf, the value rises from the leaf."""

        def sink(carry):
            heap, hole = carry
            child = 2 * hole + 2
            child = jnp.where(heap[child] < heap[child - 1], child - 1, child)
            return heap.at[hole].set(heap[child]), child

        heap, hole = lax.while_loop(lambda carry: carry[1] < (size - 1) // 2, sink, (heap, top))
        if size % 2 == 0:
            # The last inner node has one child.
            has_one = hole == (size - 2) // 2
            heap = jnp.where(has_one, heap.at[hole].set(heap[size - 1]), heap)
            hole = jnp.where(has_one, size - 1, hole)

        def is_out_of_place(carry):
            heap, hole = carry
            return (hole > top) & (heap[(hole - 1) // 2] < value)

        def rise(carry):
            heap, hole = carry
            return heap.at[hole].set(heap[(hole - 1) // 2]), (hole - 1) // 2

        heap, hole = lax.while_loop(is_out_of_place, rise, (heap, hole))
        return heap.at[hole].set(value)

    def make(step, heap):
        top = np.int32((k - 1) // 2) - step
        return settle(heap, top, k + 1, heap[top])

    def add(heap, rank):
        return jnp.where(rank < heap[0], settle(heap, np.int32(0), k, rank), heap), None

    heap = lax.fori_loop(np.int32(0), np.int32((k - 1) // 2 + 1), make, ranks[: k + 1])
    # The last place is unused from here on.
    heap = settle(heap, np.int32(0), k, heap[k])
    return lax.scan(add, heap, ranks[k + 1 :])[0][:k]


@lower("TopKV2")
def top_k_v2(input, k: Static, *, sorted=True, index_type=int32):
    if k.ndim:
        raise InvalidArgumentError(f"k must be scalar, got shape {describe(k.shape)}")
    values, indices = top_k(input, k=int(k), sorted=sorted)
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
