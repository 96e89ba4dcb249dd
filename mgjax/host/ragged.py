"""Rows of different lengths: values end to end, and for each ragged axis the splits [rows + 1] at which its rows begin."""

from __future__ import annotations

import numpy as np

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops import lower


def _splits(lengths, dtype):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(dtype)


def _positions(lengths):
    """0, 1, ... within each row."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(np.sum(lengths)) - np.repeat(starts, lengths)


@lower("RaggedRange", host=True)
def ragged_range(starts, limits, deltas, *, Tsplits=dtypes.int64):
    """A range for each row; a scalar serves all rows."""
    vectors = [x for x in (starts, limits, deltas) if x.ndim]
    if any(x.ndim > 1 for x in vectors):
        raise InvalidArgumentError("starts, limits, and deltas must be scalars or vectors")
    if len({len(x) for x in vectors}) > 1:
        raise InvalidArgumentError("starts, limits, and deltas must have the same shape")
    starts, limits, deltas = (np.atleast_1d(x) for x in np.broadcast_arrays(starts, limits, deltas))
    if np.any(deltas == 0):
        raise InvalidArgumentError("Requires delta != 0")
    is_empty = np.where(deltas > 0, limits < starts, limits > starts)
    if starts.dtype.kind in "iu":
        exact = -((starts.astype(np.int64) - limits) // deltas)
    else:
        exact = np.ceil(np.abs((limits - starts) / deltas)).astype(np.int64)
    lengths = np.where(is_empty, 0, exact)
    rows = []
    for start, delta, length in zip(starts, deltas, lengths, strict=True):
        # By repeated addition, as the kernel computes them.
        steps = np.full(length, delta, starts.dtype)
        steps[:1] = start
        rows.append(np.add.accumulate(steps, dtype=starts.dtype))
    values = np.concatenate([np.zeros(0, starts.dtype), *rows])
    return _splits(lengths, Tsplits.numpy), values


@lower("RaggedGather", host=True)
def ragged_gather(params_nested_splits, params_dense_values, indices):
    """The rows of a ragged array at `indices`; further axes of `indices` become ragged ones of the result.

    A scalar index gives the row itself, with one ragged axis fewer.
    """
    dtype = params_nested_splits[0].dtype
    count = len(params_nested_splits[0]) - 1
    flat = indices.reshape(-1)
    outside = np.flatnonzero((flat < 0) | (flat >= count))
    if len(outside):
        place = np.unravel_index(outside[0], indices.shape)
        where = f"[{','.join(map(str, place))}]" if place else ""
        raise InvalidArgumentError(f"indices{where} = {flat[outside[0]]} is not in [0, {count})")
    nested = []
    rows = 1
    for size, inner in zip(indices.shape, indices.shape[1:], strict=False):
        rows *= size
        nested.append((np.arange(rows + 1) * inner).astype(dtype))
    items = flat.astype(np.int64)
    for splits in params_nested_splits:
        lengths = splits[items + 1] - splits[items]
        nested.append(_splits(lengths, dtype))
        items = np.repeat(splits[items], lengths) + _positions(lengths)
    # A single row has no outermost splits.
    return nested[indices.ndim == 0 :], params_dense_values[items]


@lower("RaggedTensorToSparse", host=True)
def ragged_tensor_to_sparse(rt_nested_splits, rt_dense_values):
    """The positions and values of all elements, and the dense shape that holds the longest rows."""
    counts = [len(splits) - 1 for splits in rt_nested_splits[1:]] + [len(rt_dense_values)]
    for splits, count in zip(rt_nested_splits, counts, strict=True):
        if not len(splits):
            raise InvalidArgumentError("ragged splits may not be empty.")
        if splits[0] != 0:
            raise InvalidArgumentError("First value of ragged splits must be 0.")
        if splits[-1] != count:
            raise InvalidArgumentError(
                "Final value of ragged splits must match the length the corresponding ragged values."
            )
    coordinates, sizes = _coordinates(rt_nested_splits)
    inner = rt_dense_values.shape[1:]
    places = np.indices(inner).reshape(len(inner), int(np.prod(inner)))
    columns = [np.repeat(column, places.shape[1]) for column in coordinates]
    columns += [np.tile(row, len(rt_dense_values)) for row in places]
    indices = np.stack(columns, axis=1).astype(np.int64)
    return indices, rt_dense_values.reshape(-1), np.array([*sizes, *inner], np.int64)


def _coordinates(nested_splits):
    """The coordinates of every value, axis by axis, and the sizes of the axes."""
    columns = [np.arange(len(nested_splits[0]) - 1)]
    sizes = [len(columns[0])]
    for splits in nested_splits:
        lengths = np.diff(splits)
        columns = [np.repeat(column, lengths) for column in columns]
        columns.append(_positions(lengths))
        sizes.append(int(lengths.max(initial=0)))
    return columns, sizes


@lower("RaggedTensorToTensor", host=True)
def ragged_tensor_to_tensor(shape, values, default_value, row_partition_tensors, *, row_partition_types):
    """A dense array with `default_value` after the rows' ends; sizes that `shape` gives cut or extend the axes."""
    nested = _nested_splits(row_partition_tensors, row_partition_types)
    columns, sizes = _coordinates(nested)
    sizes += values.shape[1:]
    if shape.ndim:
        if len(shape) != len(sizes):
            raise InvalidArgumentError(f"shape has {len(shape)} sizes, the ragged tensor has {len(sizes)} axes")
        sizes = [found if wanted < 0 else int(wanted) for wanted, found in zip(shape, sizes, strict=True)]
    result = np.empty(sizes, values.dtype)
    result[...] = default_value
    is_inside = np.ones(len(values), bool)
    for column, size in zip(columns, sizes, strict=False):
        is_inside &= column[: len(values)] < size
    result[tuple(column[is_inside] for column in columns)] = values[is_inside]
    return result


def _nested_splits(tensors, types):
    nested, first = [], None
    for tensor, kind in zip(tensors, types, strict=True):
        if kind == "FIRST_DIM_SIZE":
            first = int(tensor)
        elif kind == "ROW_SPLITS":
            nested.append(tensor)
        elif kind == "ROW_LENGTHS":
            nested.append(_splits(tensor, tensor.dtype))
        elif kind == "VALUE_ROWIDS":
            rows = first if not nested else int(nested[-1][-1])
            nested.append(_splits(np.bincount(tensor, minlength=rows), tensor.dtype))
        else:
            raise UnsupportedError(f"row_partition_types {kind!r} is not supported")
    return nested


class RaggedRows:
    """A ragged tensor, or a plain one if there are no splits, as the one element of a variant."""

    def __init__(self, nested_splits: list[np.ndarray], values: np.ndarray):
        self.nested_splits = nested_splits
        self.values = values


@lower("RaggedTensorToVariant", host=True)
def ragged_tensor_to_variant(rt_nested_splits, rt_dense_values, *, batched_input):
    """The whole as one variant, or if `batched_input` each row as one, [rows]."""
    if not batched_input:
        whole = np.empty((), object)
        whole[()] = RaggedRows(list(rt_nested_splits), rt_dense_values)
        return whole
    rows = np.empty(len(rt_nested_splits[0]) - 1, object)
    for row in range(len(rows)):
        start, stop = (int(n) for n in rt_nested_splits[0][row : row + 2])
        inner = []
        for splits in rt_nested_splits[1:]:
            own = splits[start : stop + 1]
            start, stop = int(own[0]), int(own[-1])
            inner.append(own - own[0])
        rows[row] = RaggedRows(inner, rt_dense_values[start:stop])
    return rows


@lower("RaggedTensorFromVariant", host=True)
def ragged_tensor_from_variant(encoded_ragged, *, input_ragged_rank, output_ragged_rank, Tvalues, Tsplits=dtypes.int64):
    """The ragged tensor of all the variants; the dimensions of their array become its outermost ones."""
    batch = encoded_ragged.shape
    rank = output_ragged_rank - len(batch) if input_ragged_rank < 0 else input_ragged_rank
    if rank + len(batch) != output_ragged_rank or rank < 0:
        raise InvalidArgumentError(
            f"output_ragged_rank must be equal to input_ragged_rank + encoded_ragged.dims(); output_ragged_rank: "
            f"{output_ragged_rank}, input_ragged_rank: {input_ragged_rank}, encoded_ragged.dims(): {len(batch)}."
        )
    items = [item for item in encoded_ragged.ravel() if isinstance(item, RaggedRows)]
    if len(items) != encoded_ragged.size or any(len(item.nested_splits) != rank for item in items):
        raise InvalidArgumentError(f"Encoded input RaggedTensorVariants must have {rank} ragged dimensions each")
    if any(item.values.dtype != Tvalues.numpy for item in items):
        raise InvalidArgumentError(f"Expected values of type {Tvalues}, the variants hold others")
    if not batch:
        return [splits.astype(Tsplits.numpy) for splits in items[0].nested_splits], items[0].values
    if not items:
        raise InvalidArgumentError("There must be at least one variant to make a ragged tensor of")
    nested = [_splits(np.full(int(np.prod(batch[:i])), batch[i]), Tsplits.numpy) for i in range(1, len(batch))]
    # How many rows, or values, each variant has; then how long each row is, level by level.
    nested.append(_splits([_rows(item) for item in items], Tsplits.numpy))
    for level in range(rank):
        lengths = np.concatenate([np.diff(item.nested_splits[level]) for item in items])
        nested.append(_splits(lengths, Tsplits.numpy))
    return nested, np.concatenate([item.values for item in items])


def _rows(item: RaggedRows) -> int:
    return len(item.nested_splits[0]) - 1 if item.nested_splits else len(item.values)
