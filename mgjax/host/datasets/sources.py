"""Datasets that start a pipeline: tensors, their slices, ranges, random numbers, Python generators."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError, OutOfRangeError
from mgjax.host.datasets.dataset import (
    INFINITE,
    UNKNOWN,
    Captured,
    Dataset,
    Element,
    Place,
    description,
    scalar,
    seeds_of,
)
from mgjax.host.streams import Words
from mgjax.ops import HostObject, lower


@description
class Elements(Dataset):
    """Elements that are there: those of a `TensorDataset`, a window, a group."""

    elements: Sequence[Element]

    def iterate(self, place: Place) -> Iterator[Element]:
        return iter(self.elements)

    def cardinality(self) -> int:
        return len(self.elements)


@description
class Slices(Dataset):
    components: Sequence[Any]

    def iterate(self, place: Place) -> Iterator[Element]:
        return (tuple(row(component, i) for component in self.components) for i in range(self.cardinality()))

    def cardinality(self) -> int:
        return len(self.components[0])


def row(component: Any, i: int) -> Any:
    """One slice of a component: an array even where it is a scalar; of a vector of host objects, one of these."""
    slice_ = component[i, ...]
    is_object = slice_.dtype == object and slice_.ndim == 0 and isinstance(slice_.item(), HostObject)
    return slice_.item() if is_object else slice_


@description
class Range(Dataset):
    numbers: range
    dtype: np.dtype

    def iterate(self, place: Place) -> Iterator[Element]:
        return ((np.array(number, self.dtype),) for number in self.numbers)

    def cardinality(self) -> int:
        return len(self.numbers)


@description
class SparseSlices(Dataset):
    indices: np.ndarray
    values: np.ndarray
    dense_shape: np.ndarray

    def iterate(self, place: Place) -> Iterator[Element]:
        starts = np.searchsorted(self.indices[:, 0], np.arange(self.cardinality() + 1))
        rows = (slice(start, stop) for start, stop in itertools.pairwise(starts))
        return ((self.indices[r, 1:], self.values[r], self.dense_shape[1:]) for r in rows)

    def cardinality(self) -> int:
        return int(self.dense_shape[0])


@description
class Random(Dataset):
    """Words of the generator, as int64."""

    seeds: tuple[int, int]

    def iterate(self, place: Place) -> Iterator[Element]:
        words = Words(*self.seeds)
        return iter(lambda: (np.array(next(words), np.int64),), None)

    def cardinality(self) -> int:
        return INFINITE


@description
class Generator(Dataset):
    """What a function gives, call after call, until it raises `OutOfRangeError`."""

    start: Captured
    following: Captured
    finish: Captured

    def iterate(self, place: Place) -> Iterator[Element]:
        return _GeneratorIterator(self, place)

    def cardinality(self) -> int:
        return UNKNOWN


class _GeneratorIterator:
    def __init__(self, dataset: Generator, place: Place):
        self._start, self._following, self._finish = map(
            place.callable, (dataset.start, dataset.following, dataset.finish)
        )
        self._state: list[Any] | None = None
        self._ended = False

    def __iter__(self) -> _GeneratorIterator:
        return self

    def __next__(self) -> Element:
        if self._ended:
            raise StopIteration
        if self._state is None:
            self._state = self._start()
        try:
            return tuple(self._following(*self._state))
        except OutOfRangeError:
            self._ended = True
            self._finish(*self._state)
            raise StopIteration from None


@lower("TensorDataset", host=True)
def tensor_dataset(components):
    """One element: the components."""
    return Elements((tuple(components),))


@lower("TensorSliceDataset", host=True)
def tensor_slice_dataset(components):
    """One element for each slice along the components' first axis."""
    if any(np.ndim(component) == 0 for component in components):
        raise InvalidArgumentError("All components must be at least 1-dimensional")
    sizes = [len(component) for component in components]
    if len(set(sizes)) > 1:
        raise InvalidArgumentError(
            f"All components must have the same size in the 0th dimension; they have {', '.join(map(str, sizes))}"
        )
    return Slices(tuple(components))


@lower("RangeDataset", host=True)
def range_dataset(start, stop, step, *, output_types=(dtypes.int64,)):
    start, stop, step = scalar(start, "start"), scalar(stop, "stop"), scalar(step, "step")
    if step == 0:
        raise InvalidArgumentError("step must be a non-zero integer.")
    return Range(range(start, stop, step), output_types[0].numpy)


@lower("SparseTensorSliceDataset", host=True)
def sparse_tensor_slice_dataset(indices, values, dense_shape):
    """One sparse tensor for each slice along the first axis; the entries must come in the order of that axis."""
    if indices.ndim != 2 or values.ndim != 1 or dense_shape.ndim != 1:
        raise InvalidArgumentError("Input indices should be a matrix, values and shape vectors")
    if len(values) != len(indices) or indices.shape[1] != len(dense_shape):
        raise InvalidArgumentError(
            f"indices {list(indices.shape)}, values {list(values.shape)} and shape {list(dense_shape.shape)} do not fit"
        )
    rows = indices[:, 0] if len(dense_shape) else indices.ravel()
    if len(rows) and (np.any(np.diff(rows) < 0) or rows[0] < 0 or rows[-1] >= dense_shape[0]):
        raise InvalidArgumentError(
            "The SparseTensor must be ordered in the batch dimension; handling arbitrarily ordered input is not "
            "currently supported."
        )
    return SparseSlices(indices, values, dense_shape)


@lower("RandomDataset", "ExperimentalRandomDataset", host=True, draws=True)
def random_dataset(seed, seed2, *, generator):
    seeds, after = seeds_of(seed, seed2, generator)
    return Random(seeds), after


@lower("GeneratorDataset", host=True, calls=True)
def generator_dataset(
    init_func_other_args, next_func_other_args, finalize_func_other_args, *, init_func, next_func, finalize_func
):
    """Elements of a function of a state that another function makes, as `Dataset.from_generator` has them."""
    return Generator(
        Captured(init_func, init_func_other_args),
        Captured(next_func, next_func_other_args),
        Captured(finalize_func, finalize_func_other_args),
    )
