"""Ragged tensors in variants, whole or row by row, as datasets carry them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops import HostObject, lower


class Ragged(HostObject):
    """A ragged tensor.

    Attributes:
        splits: for each ragged dimension, outermost first, where the rows begin, and where the last one ends.
        values: the values of all rows.
    """

    __slots__ = ("splits", "values")

    def __init__(self, splits: Sequence[np.ndarray], values: np.ndarray):
        self.splits = list(splits)
        self.values = values

    def __len__(self) -> int:
        return len(self.splits[0]) - 1 if self.splits else len(self.values)

    def rows(self) -> Iterator[Ragged]:
        """The rows, each with a ragged dimension less."""
        if not self.splits:
            yield from (Ragged([], row) for row in self.values)
            return
        outer, *inner = self.splits
        for start, stop in itertools.pairwise(outer):
            splits = []
            for each in inner:
                splits.append(each[start : stop + 1] - each[start])
                start, stop = each[start], each[stop]
            yield Ragged(splits, self.values[start:stop])


@lower("RaggedTensorToVariant", host=True)
def ragged_tensor_to_variant(rt_nested_splits, rt_dense_values, *, batched_input):
    """The ragged tensor in one variant, or a vector of variants with a row each."""
    whole = Ragged(rt_nested_splits, rt_dense_values)
    if not batched_input:
        return whole
    found = list(whole.rows())
    variants = np.empty(len(found), object)
    variants[:] = found
    return variants


@lower("RaggedTensorFromVariant", host=True)
def ragged_tensor_from_variant(encoded_ragged, *, input_ragged_rank, output_ragged_rank, Tvalues, Tsplits):
    """The ragged tensor of a variant, or of an array of variants, whose dimensions become its outermost ones."""
    shape = getattr(encoded_ragged, "shape", ())
    parts = list(encoded_ragged.ravel()) if shape else [encoded_ragged]
    rank = output_ragged_rank - len(shape) if input_ragged_rank < 0 else input_ragged_rank
    if rank + len(shape) != output_ragged_rank:
        raise InvalidArgumentError(
            "output_ragged_rank must be equal to input_ragged_rank + encoded_ragged.dims(); output_ragged_rank: "
            f"{output_ragged_rank}, input_ragged_rank: {input_ragged_rank}, encoded_ragged.dims(): {len(shape)}"
        )
    for part in parts:
        if not isinstance(part, Ragged) or len(part.splits) != rank or part.values.dtype != Tvalues.numpy:
            raise InvalidArgumentError(f"a variant does not hold a ragged tensor of ragged rank {rank} of {Tvalues}")
    splits = [np.arange(math.prod(shape[:i]) + 1) * shape[i] for i in range(1, len(shape))]
    if shape:
        splits.append(np.cumsum([0, *map(len, parts)]))
    for i in range(rank):
        rows = [part.splits[i] for part in parts]
        starts = np.cumsum([0, *(row[-1] for row in rows)])
        inside = [row[1:] + start for row, start in zip(rows, starts[:-1], strict=True)]
        splits.append(np.concatenate([[0], *inside]))
    values = np.concatenate([part.values for part in parts]) if shape and parts else _values(parts, Tvalues)
    return [each.astype(Tsplits.numpy) for each in splits], values


def _values(parts, dtype):
    return parts[0].values if parts else np.zeros(0, dtype.numpy)
