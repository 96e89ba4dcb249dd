"""Datasets of batches and windows, and of what batches hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mgjax.errors import DataLossError, InvalidArgumentError, OpError, OutOfRangeError
from mgjax.host.datasets.dataset import (
    MAP_AND_BATCH_FUSION,
    Captured,
    Dataset,
    Element,
    Place,
    Taking,
    dataset_of,
    description,
    scalar,
    vector,
)
from mgjax.host.datasets.mapping import Map
from mgjax.host.datasets.sources import Elements, row
from mgjax.host.serialized_sparse import Boxed
from mgjax.ops import lower
from mgjax.shapes import describe


def stacked(elements: Sequence[Element]) -> Element:
    """A batch: each component stacked along a new first axis. Raises `InvalidArgumentError` where shapes differ."""
    return tuple(_stack(i, arrays) for i, arrays in enumerate(zip(*elements, strict=True)))


def _stack(number: int, arrays: Sequence[Any]) -> np.ndarray:
    if not all(isinstance(array, np.ndarray) for array in arrays):
        return objects(arrays)
    first = arrays[0].shape
    for i, array in enumerate(arrays):
        if array.shape != first:
            raise InvalidArgumentError(
                f"Cannot batch tensors with different shapes in component {number}. First element had shape "
                f"{describe(first)} and element {i} had shape {describe(array.shape)}."
            )
    return np.stack(arrays)


def sparse(*parts: np.ndarray) -> np.ndarray:
    """The three parts of a sparse tensor, each in a variant, as `DeserializeSparse` takes them."""
    return objects([Boxed(part) for part in parts])


def objects(values: Sequence[Any]) -> np.ndarray:
    """A vector of what variants hold."""
    array = np.empty(len(values), object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def batches(count: int, size: int, drop_remainder: bool) -> int:
    """How many batches so many elements make."""
    return count if count < 0 else (count if drop_remainder else count + size - 1) // size


@description
class Batch(Dataset):
    input: Dataset
    size: int
    drop_remainder: bool

    def iterate(self, place: Place) -> Iterator[Element]:
        if MAP_AND_BATCH_FUSION in place.optimizations and isinstance(self.input, Map):
            map = self.input
            fused = MapAndBatch(map.input, map.f, self.size, self.drop_remainder, map.preserve_cardinality)
            return fused.iterate(place)
        return _BatchIterator(self.input.iterate(place.at("Batch")), self.size, self.drop_remainder, stacked)

    def cardinality(self) -> int:
        return batches(self.input.cardinality(), self.size, self.drop_remainder)


class _BatchIterator(Taking):
    def __init__(
        self, input: Iterator[Element], size: int, drop_remainder: bool, join: Callable[[list[Element]], Element]
    ):
        super().__init__(input)
        self._size = size
        self._drops = drop_remainder
        self._join = join
        self._ended = False

    def __next__(self) -> Element:
        elements: list[Element] = []
        while not self._ended and len(elements) < self._size:
            try:
                elements.append(next(self.input))
            except StopIteration:
                self._ended = True
        if not elements or (self._drops and len(elements) < self._size):
            raise StopIteration
        return self._join(elements)


def _size(batch_size):
    size = scalar(batch_size, "batch_size")
    if size <= 0:
        raise InvalidArgumentError("Batch size must be greater than zero.")
    return size


@lower("BatchDataset", host=True)
def batch_dataset(input_dataset, batch_size):
    return Batch(dataset_of(input_dataset), _size(batch_size), False)


@lower("BatchDatasetV2", host=True)
def batch_dataset_v2(input_dataset, batch_size, drop_remainder):
    return Batch(dataset_of(input_dataset), _size(batch_size), bool(drop_remainder))


@lower("ParallelBatchDataset", host=True)
def parallel_batch_dataset(input_dataset, batch_size, num_parallel_calls, drop_remainder):
    return Batch(dataset_of(input_dataset), _size(batch_size), bool(drop_remainder))


@description
class MapAndBatch(Dataset):
    """Stacks what a function makes of some elements. If it fails for one of them, the whole batch is gone."""

    input: Dataset
    f: Captured
    size: int
    drop_remainder: bool
    preserve_cardinality: bool

    def iterate(self, place: Place) -> Iterator[Element]:
        return _MapAndBatchIterator(self, place)

    def cardinality(self) -> int:
        return batches(self.input.cardinality(), self.size, self.drop_remainder)


class _MapAndBatchIterator(Taking):
    def __init__(self, dataset: MapAndBatch, place: Place):
        super().__init__(dataset.input.iterate(place.at("MapAndBatch")))
        self._f = place.callable(dataset.f)
        self._dataset = dataset

    def __next__(self) -> Element:
        made: list[Element] = []
        failure: OpError | None = None
        for _ in range(self._dataset.size):
            try:
                made.append(tuple(self._f(*next(self.input))))
            except StopIteration:
                break
            except OutOfRangeError as error:
                if self._dataset.preserve_cardinality:
                    message = f"Function invocation produced OutOfRangeError: {error.message}"
                    failure = failure or InvalidArgumentError(message)
                    continue
                break
            except OpError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        if not made or (self._dataset.drop_remainder and len(made) < self._dataset.size):
            raise StopIteration
        return stacked(made)


@lower("MapAndBatchDataset", "ExperimentalMapAndBatchDataset", host=True, calls=True)
def map_and_batch_dataset(
    input_dataset, other_arguments, batch_size, num_parallel_calls, drop_remainder, *, f, preserve_cardinality=False
):
    captured = Captured(f, other_arguments)
    return MapAndBatch(
        dataset_of(input_dataset), captured, _size(batch_size), bool(drop_remainder), preserve_cardinality
    )


@description
class PaddedBatch(Dataset):
    input: Dataset
    size: int
    drop_remainder: bool
    shapes: Sequence[tuple[int, ...]]
    paddings: Sequence[Any]

    def iterate(self, place: Place) -> Iterator[Element]:
        return _BatchIterator(self.input.iterate(place.at("PaddedBatch")), self.size, self.drop_remainder, self._join)

    def cardinality(self) -> int:
        return batches(self.input.cardinality(), self.size, self.drop_remainder)

    def _join(self, elements: list[Element]) -> Element:
        columns = zip(zip(*elements, strict=True), self.shapes, self.paddings, strict=True)
        return tuple(_padded(i, *column) for i, column in enumerate(columns))


def _padded(number: int, arrays: Sequence[np.ndarray], wanted: Sequence[int], padding: Any) -> np.ndarray:
    """The arrays in a batch as large as wanted, or where that is -1 as the largest of them."""
    for array in arrays:
        if array.ndim != len(wanted):
            raise InvalidArgumentError(
                f"All elements in a batch must have the same rank as the padded shape for component{number}: expected "
                f"rank {len(wanted)} but got element with rank {array.ndim}"
            )
        if any(n > limit >= 0 for n, limit in zip(array.shape, wanted, strict=True)):
            raise DataLossError(
                f"Attempted to pad to a smaller size than the input element: {describe(array.shape)} in component "
                f"{number}, which is padded to {list(wanted)}"
            )
    largest = [max(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True)]
    shape = [n if limit < 0 else limit for n, limit in zip(largest, wanted, strict=True)]
    batch = np.full((len(arrays), *shape), np.asarray(padding).item(), arrays[0].dtype)
    for place, array in zip(batch, arrays, strict=True) if shape else ():
        place[tuple(map(slice, array.shape))] = array
    return batch if shape else np.stack(arrays)


def _padded_batch(input_dataset, batch_size, padded_shapes, padding_values, drop_remainder):
    shapes = [tuple(np.asarray(shape).tolist()) for shape in padded_shapes]
    for value in padding_values:
        scalar(value, "All padding values")
    return PaddedBatch(dataset_of(input_dataset), _size(batch_size), drop_remainder, shapes, list(padding_values))


@lower("PaddedBatchDataset", host=True)
def padded_batch_dataset(input_dataset, batch_size, padded_shapes, padding_values):
    return _padded_batch(input_dataset, batch_size, padded_shapes, padding_values, False)


@lower("PaddedBatchDatasetV2", host=True)
def padded_batch_dataset_v2(input_dataset, batch_size, padded_shapes, padding_values, drop_remainder):
    return _padded_batch(input_dataset, batch_size, padded_shapes, padding_values, bool(drop_remainder))


@description
class DenseToSparseBatch(Dataset):
    """Batches of dense tensors as sparse ones, each of the shape `row_shape` at most (-1: as large as the largest)."""

    input: Dataset
    size: int
    row_shape: tuple[int, ...]

    def iterate(self, place: Place) -> Iterator[Element]:
        return _BatchIterator(self.input.iterate(place.at("DenseToSparseBatch")), self.size, False, self._join)

    def cardinality(self) -> int:
        return batches(self.input.cardinality(), self.size, False)

    def _join(self, elements: list[Element]) -> Element:
        arrays = [element[0] for element in elements]
        shape = list(self.row_shape)
        for array in arrays:
            if array.ndim != len(shape):
                raise InvalidArgumentError(
                    f"Input element had shape ({describe(array.shape)}) that is incompatible with the row shape "
                    f"({list(self.row_shape)})."
                )
            for axis, n in enumerate(array.shape):
                if self.row_shape[axis] < 0:
                    shape[axis] = max(shape[axis], n, 0)
                elif n > self.row_shape[axis]:
                    raise DataLossError(
                        f"Input element had shape ({describe(array.shape)}) that is larger than the dense shape "
                        f"({list(self.row_shape)})."
                    )
        indices = np.concatenate(
            [
                np.column_stack([np.full(array.size, i, np.int64), np.argwhere(np.ones(array.shape, bool))])
                for i, array in enumerate(arrays)
            ]
        )
        values = np.concatenate([array.ravel() for array in arrays])
        return (sparse(indices, values, np.array([len(arrays), *shape], np.int64)),)


@lower("DenseToSparseBatchDataset", "ExperimentalDenseToSparseBatchDataset", host=True)
def dense_to_sparse_batch_dataset(input_dataset, batch_size, row_shape):
    return DenseToSparseBatch(dataset_of(input_dataset), _size(batch_size), tuple(np.asarray(row_shape).tolist()))


@description
class Unbatch(Dataset):
    input: Dataset

    def iterate(self, place: Place) -> Iterator[Element]:
        return _UnbatchIterator(self.input.iterate(place.at("Unbatch")))


class _UnbatchIterator(Taking):
    def __init__(self, input: Iterator[Element]):
        super().__init__(input)
        self._rows: Iterator[Element] = iter(())

    def __next__(self) -> Element:
        while True:
            for element in self._rows:
                return element
            batch = next(self.input)
            if any(np.ndim(component) == 0 for component in batch):
                raise InvalidArgumentError("Input element must have a non-scalar component to be unbatched.")
            for i, component in enumerate(batch):
                if len(component) != len(batch[0]):
                    raise InvalidArgumentError(
                        "Input element must have the same batch size in each component. Component 0 had size "
                        f"{len(batch[0])} but component {i} had size, {len(component)}."
                    )
            self._rows = iter([tuple(map(row, batch, [i] * len(batch))) for i in range(len(batch[0]))])


@lower("UnbatchDataset", "ExperimentalUnbatchDataset", host=True)
def unbatch_dataset(input_dataset):
    """One element for each slice of each element."""
    return Unbatch(dataset_of(input_dataset))


@description
class Rebatch(Dataset):
    """The rows of batches in batches of other sizes, one size after another, again and again."""

    input: Dataset
    sizes: Sequence[int]
    drop_remainder: bool

    def iterate(self, place: Place) -> Iterator[Element]:
        return _RebatchIterator(self, place)


class _RebatchIterator(Taking):
    def __init__(self, dataset: Rebatch, place: Place):
        super().__init__(_UnbatchIterator(dataset.input.iterate(place.at("Rebatch"))))
        self._dataset = dataset
        self._number = 0

    def __next__(self) -> Element:
        sizes = self._dataset.sizes
        size = sizes[self._number % len(sizes)]
        self._number += 1
        rows = list(itertools.islice(self.input, size))
        if (not rows and size) or (len(rows) < size and self._dataset.drop_remainder):
            raise StopIteration
        return stacked(rows)


@description
class Parts(Dataset):
    """Each batch in `count` parts, as large as it takes; the last ones may be smaller, or empty."""

    input: Dataset
    count: int

    def iterate(self, place: Place) -> Iterator[Element]:
        return _PartsIterator(self, place)

    def cardinality(self) -> int:
        count = self.input.cardinality()
        return count if count < 0 else count * self.count


class _PartsIterator(Taking):
    def __init__(self, dataset: Parts, place: Place):
        super().__init__(dataset.input.iterate(place.at("Rebatch")))
        self._count = dataset.count
        self._parts: Iterator[Element] = iter(())

    def __next__(self) -> Element:
        while True:
            for part in self._parts:
                return part
            batch = next(self.input)
            if any(np.ndim(component) == 0 or len(component) != len(batch[0]) for component in batch):
                raise InvalidArgumentError("Cannot rebatch an element whose components are no batches of one size.")
            size = -(-len(batch[0]) // self._count)
            cuts = (slice(i * size, (i + 1) * size) for i in range(self._count))
            self._parts = (tuple([component[cut] for component in batch]) for cut in cuts)


@lower("RebatchDataset", "ExperimentalRebatchDataset", host=True)
def rebatch_dataset(input_dataset, num_replicas):
    count = scalar(num_replicas, "num_replicas")
    if count <= 0:
        raise InvalidArgumentError("num_replicas must be greater than zero.")
    return Parts(dataset_of(input_dataset), count)


@lower("RebatchDatasetV2", host=True)
def rebatch_dataset_v2(input_dataset, batch_sizes, drop_remainder):
    sizes = vector(batch_sizes, "batch_sizes")
    if not sizes or any(size <= 0 for size in sizes):
        raise InvalidArgumentError("batch_sizes must be a non-empty vector of numbers greater than zero.")
    return Rebatch(dataset_of(input_dataset), sizes, bool(drop_remainder))


@description
class Window(Dataset):
    """Datasets of `size` elements, every `stride`-th one, each window `shift` elements after the one before."""

    input: Dataset
    size: int
    shift: int
    stride: int
    drop_remainder: bool
    join: Callable[[list[Element]], Element]

    def iterate(self, place: Place) -> Iterator[Element]:
        return _WindowIterator(self, place)

    def cardinality(self) -> int:
        count = self.input.cardinality()
        if count < 0:
            return count
        full = (self.size - 1) * self.stride + 1
        return max(0, (count - full) // self.shift + 1) if self.drop_remainder else -(-count // self.shift)


class _WindowIterator(Taking):
    def __init__(self, dataset: Window, place: Place):
        super().__init__(dataset.input.iterate(place.at("Window")))
        self._dataset = dataset
        # An element, or the error that stands in its place: it is raised by each window that takes it.
        self._buffer: list[Element | OpError] = []
        self._ended = False

    def _take(self) -> Element | OpError | None:
        try:
            return next(self.input)
        except OpError as error:
            return error
        except StopIteration:
            self._ended = True
            return None

    def __next__(self) -> Element:
        dataset = self._dataset
        target = (dataset.size - 1) * dataset.stride + 1
        while not self._ended and len(self._buffer) < target:
            taken = self._take()
            if taken is not None:
                self._buffer.append(taken)
        if not self._buffer or (dataset.drop_remainder and len(self._buffer) < target):
            raise StopIteration
        window = self._buffer[: target : dataset.stride]
        for _ in range(dataset.shift - len(self._buffer)):
            if self._ended:
                break
            self._take()
        del self._buffer[: dataset.shift]
        elements: list[Element] = []
        for element in window:
            if isinstance(element, OpError):
                raise element
            elements.append(element)
        return dataset.join(elements)


def _datasets(window: list[Element]) -> Element:
    return tuple(Elements([(component,) for component in column]) for column in zip(*window, strict=True))


def _window(input_dataset, size, shift, stride, drop_remainder, join, names):
    numbers = [scalar(number, name) for number, name in zip((size, shift, stride), names, strict=True)]
    for number, name in zip(numbers, names, strict=True):
        if number <= 0:
            raise InvalidArgumentError(f"{name} must be greater than zero.")
    return Window(dataset_of(input_dataset), *numbers, drop_remainder, join)


@lower("WindowDataset", host=True)
def window_dataset(input_dataset, size, shift, stride, drop_remainder):
    """Each component of an element is a dataset."""
    names = ("Window size", "Window shift", "Window stride")
    return _window(input_dataset, size, shift, stride, bool(drop_remainder), _datasets, names)


@lower("SlidingWindowDataset", "ExperimentalSlidingWindowDataset", host=True)
def sliding_window_dataset(input_dataset, window_size, window_shift, window_stride):
    """Full windows only, as batches."""
    names = ("window_size", "window_shift", "window_stride")
    return _window(input_dataset, window_size, window_shift, window_stride, True, stacked, names)
