"""Ops of which the values decide the result's shape: positions that are true, distinct values, differences, partitions."""

from __future__ import annotations

import numpy as np

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import lower


@lower("Where", host=True)
def where(input):
    """Positions [n, rank] of what is not zero (NaN is not), in row-major order."""
    return np.argwhere(input != 0 if input.dtype != bool else input).astype(np.int64).reshape(-1, input.ndim)


def _distinct(x, axis, out_idx):
    """The distinct slices along an axis in the order of their first occurrence, which one each slice is, and how many."""
    # NaN differs from itself, so that each is distinct, as in a hash table of TensorFlow's.
    _, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    values = np.take(x, first[order], axis=axis or 0)
    return values, rank[inverse.reshape(-1)].astype(out_idx.numpy), counts[order].astype(out_idx.numpy)


@lower("Unique", host=True)
def unique(x, *, out_idx=dtypes.int32):
    """The distinct values of a vector, in the order of their first occurrence, and the place of each element's."""
    return unique_with_counts(x, out_idx=out_idx)[:2]


@lower("UniqueWithCounts", host=True)
def unique_with_counts(x, *, out_idx=dtypes.int32):
    """`unique`, and how often each value occurs."""
    if x.ndim != 1:
        raise InvalidArgumentError("unique expects a 1D vector.")
    return _distinct(x, None, out_idx)


@lower("UniqueV2", host=True)
def unique_v2(x, axis, *, out_idx=dtypes.int32):
    """The distinct slices along an axis; of a vector that may be left out."""
    return unique_with_counts_v2(x, axis, out_idx=out_idx)[:2]


@lower("UniqueWithCountsV2", host=True)
def unique_with_counts_v2(x, axis, *, out_idx=dtypes.int32):
    """`unique_v2`, and how often each slice occurs."""
    if np.size(axis) == 0 or x.ndim == 1:
        return unique_with_counts(x, out_idx=out_idx)
    number = int(np.ravel(axis)[0])
    if not -x.ndim <= number < x.ndim:
        raise InvalidArgumentError(f"axis has to be between [0, {x.ndim})")
    return _distinct(x, number % x.ndim, out_idx)


@lower("ListDiff", host=True)
def list_diff(x, y, *, out_idx=dtypes.int32):
    """The elements of x that y does not hold, with repetitions, and their positions in x."""
    excluded = set(y.tolist())
    kept = np.array([i for i, value in enumerate(x.tolist()) if value not in excluded], out_idx.numpy)
    return x[kept], kept


@lower("DynamicPartition", host=True)
def dynamic_partition(data, partitions, *, num_partitions):
    """The slices of `data` for which `partitions` says 0, 1, ... `num_partitions` - 1, as one array each."""
    outside = np.argwhere((partitions < 0) | (partitions >= num_partitions))
    if len(outside):
        place = ",".join(map(str, outside[0]))
        value = partitions[tuple(outside[0])]
        where = f"[{place}]" if place else ""
        raise InvalidArgumentError(f"partitions{where} = {value} is not in [0, {num_partitions})")
    return [data[partitions == number] for number in range(num_partitions)]
