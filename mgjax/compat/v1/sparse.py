"""Tensors that consist of several: sparse tensors and slices, as feeds and fetches."""

from __future__ import annotations

from typing import Any, NamedTuple


class SparseTensorValue(NamedTuple):
    """The value of a `SparseTensor`: int64[n, rank], [n], int64[rank]."""

    indices: Any
    values: Any
    dense_shape: Any


class IndexedSlicesValue(NamedTuple):
    """The value of an `IndexedSlices`."""

    values: Any
    indices: Any
    dense_shape: Any


class SparseTensor:
    """Three tensors that stand for one: the places of its elements, the elements, its shape."""

    def __init__(self, indices: Any, values: Any, dense_shape: Any):
        self.indices, self.values, self.dense_shape = indices, values, dense_shape

    @property
    def parts(self) -> tuple[Any, ...]:
        return SparseTensorValue(self.indices, self.values, self.dense_shape)


class IndexedSlices:
    """Rows of a tensor, and which rows they are."""

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None):
        self.values, self.indices, self.dense_shape = values, indices, dense_shape

    @property
    def parts(self) -> tuple[Any, ...]:
        if self.dense_shape is None:
            return (self.values, self.indices)
        return IndexedSlicesValue(self.values, self.indices, self.dense_shape)
