"""Datasets that call functions: `map`, `filter`, `flat_map`, `interleave`, `scan`, `take_while`, groups by key, `reduce`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mgjax.errors import InvalidArgumentError, OutOfRangeError
from mgjax.host.datasets.dataset import (
    Captured,
    Dataset,
    Element,
    Place,
    Taking,
    dataset_of,
    description,
    new_pipeline,
    scalar,
    truth,
)
from mgjax.host.datasets.sources import Elements
from mgjax.ops import lower


@description
class Map(Dataset):
    input: Dataset
    f: Captured
    preserve_cardinality: bool = False

    def iterate(self, place: Place) -> Iterator[Element]:
        return _MapIterator(self.input.iterate(place.at("Map")), place.callable(self.f), self.preserve_cardinality)

    def cardinality(self) -> int:
        return self.input.cardinality()


class _MapIterator(Taking):
    def __init__(self, input: Iterator[Element], f: Callable[..., list[Any]], preserve_cardinality: bool):
        super().__init__(input)
        self._f = f
        self._preserves = preserve_cardinality

    def __next__(self) -> Element:
        element = next(self.input)
        try:
            return tuple(self._f(*element))
        except OutOfRangeError as error:
            raise _end_of(error, self._preserves) from error


def _end_of(error: OutOfRangeError, preserves: bool) -> Exception:
    """What an `OutOfRangeError` of a function means: the end, unless the dataset has as many elements as its input."""
    if preserves:
        return InvalidArgumentError(f"Function invocation produced OutOfRangeError: {error.message}")
    return StopIteration()


@lower("MapDataset", host=True, calls=True)
def map_dataset(input_dataset, other_arguments, *, f, preserve_cardinality=False):
    return Map(dataset_of(input_dataset), Captured(f, other_arguments), preserve_cardinality)


@lower("ParallelMapDataset", "ParallelMapDatasetV2", host=True, calls=True)
def parallel_map_dataset(input_dataset, other_arguments, num_parallel_calls, *, f, preserve_cardinality=False):
    """`map`; elements keep their order."""
    return Map(dataset_of(input_dataset), Captured(f, other_arguments), preserve_cardinality)


@description
class Filter(Dataset):
    input: Dataset
    predicate: Captured

    def iterate(self, place: Place) -> Iterator[Element]:
        return _FilterIterator(self.input.iterate(place.at("Filter")), place.callable(self.predicate))


class _FilterIterator(Taking):
    def __init__(self, input: Iterator[Element], predicate: Callable[..., list[Any]]):
        super().__init__(input)
        self._predicate = predicate

    def __next__(self) -> Element:
        while True:
            element = next(self.input)
            if truth(self._predicate(*element), "Filter predicate `f`"):
                return element


@lower("FilterDataset", host=True, calls=True)
def filter_dataset(input_dataset, other_arguments, *, predicate):
    return Filter(dataset_of(input_dataset), Captured(predicate, other_arguments))


@lower("ParallelFilterDataset", host=True, calls=True)
def parallel_filter_dataset(input_dataset, other_arguments, num_parallel_calls, *, predicate):
    """`filter`; elements keep their order."""
    return Filter(dataset_of(input_dataset), Captured(predicate, other_arguments))


@description
class TakeWhile(Dataset):
    input: Dataset
    predicate: Captured

    def iterate(self, place: Place) -> Iterator[Element]:
        return _TakeWhileIterator(self.input.iterate(place.at("TakeWhile")), place.callable(self.predicate))


class _TakeWhileIterator(Taking):
    def __init__(self, input: Iterator[Element], predicate: Callable[..., list[Any]]):
        super().__init__(input)
        self._predicate = predicate
        self._ended = False

    def __next__(self) -> Element:
        if self._ended:
            raise StopIteration
        element = next(self.input)
        if not truth(self._predicate(*element), "TakeWhile predicate `f`"):
            self._ended = True
            raise StopIteration
        return element


@lower("TakeWhileDataset", "ExperimentalTakeWhileDataset", host=True, calls=True)
def take_while_dataset(input_dataset, other_arguments, *, predicate):
    return TakeWhile(dataset_of(input_dataset), Captured(predicate, other_arguments))


@description
class FlatMap(Dataset):
    input: Dataset
    f: Captured

    def iterate(self, place: Place) -> Iterator[Element]:
        return _FlatMapIterator(self, place)


class _FlatMapIterator(Taking):
    def __init__(self, dataset: FlatMap, place: Place):
        super().__init__(dataset.input.iterate(place.at("FlatMap")))
        self._f = place.callable(dataset.f)
        self._place = place
        self._number = 0
        self._current: Iterator[Element] = iter(())

    def __next__(self) -> Element:
        while True:
            for element in self._current:
                return element
            dataset = dataset_of(*self._f(*next(self.input)))
            self._current = dataset.iterate(self._place.at("FlatMap", self._number))
            self._number += 1


@lower("FlatMapDataset", host=True, calls=True)
def flat_map_dataset(input_dataset, other_arguments, *, f):
    return FlatMap(dataset_of(input_dataset), Captured(f, other_arguments))


@description
class Interleave(Dataset):
    """Takes `block_length` elements in turn from `cycle_length` datasets that a function makes of elements."""

    input: Dataset
    f: Captured
    cycle_length: int
    block_length: int

    def iterate(self, place: Place) -> Iterator[Element]:
        return _InterleaveIterator(self, place)


class _InterleaveIterator(Taking):
    def __init__(self, dataset: Interleave, place: Place):
        super().__init__(dataset.input.iterate(place.at("Interleave")))
        self._f = place.callable(dataset.f)
        self._place = place
        self._block_length = dataset.block_length
        self._cycle_length = dataset.cycle_length
        self._open: dict[int, Iterator[Element]] = {}
        self._slot = 0
        self._taken = 0
        self._input_ended = False

    def __next__(self) -> Element:
        while not self._input_ended or self._open:
            iterator = self._open.get(self._slot)
            if iterator is None:
                if self._input_ended:
                    self._go_on()
                else:
                    self._fill_slot()
                continue
            for element in iterator:
                self._taken += 1
                if self._taken == self._block_length:
                    self._go_on()
                return element
            del self._open[self._slot]
            self._go_on()
        raise StopIteration

    def _go_on(self) -> None:
        self._taken = 0
        self._slot = (self._slot + 1) % self._cycle_length
        if self._input_ended and self._open:
            # Slots that stay empty are passed at once: a graph may ask for any number of them.
            self._slot = min((slot for slot in self._open if slot >= self._slot), default=min(self._open))

    def _fill_slot(self) -> None:
        try:
            element = next(self.input)
        except StopIteration:
            self._input_ended = True
            return
        dataset = dataset_of(*self._f(*element))
        self._open[self._slot] = dataset.iterate(self._place.at("Interleave", self._slot))


def _interleave(input_dataset, f, cycle_length, block_length):
    cycle, block = scalar(cycle_length, "cycle_length"), scalar(block_length, "block_length")
    if cycle == -1:  # to be tuned: TensorFlow takes the number of processors
        cycle = os.cpu_count() or 1
    if cycle <= 0:
        raise InvalidArgumentError("`cycle_length` must be > 0")
    if block <= 0:
        raise InvalidArgumentError("`block_length` must be > 0")
    return Interleave(dataset_of(input_dataset), f, cycle, block)


@lower("InterleaveDataset", host=True, calls=True)
def interleave_dataset(input_dataset, other_arguments, cycle_length, block_length, *, f):
    return _interleave(input_dataset, Captured(f, other_arguments), cycle_length, block_length)


@lower("ParallelInterleaveDataset", "ExperimentalParallelInterleaveDataset", host=True, calls=True)
def parallel_interleave_dataset(
    input_dataset,
    other_arguments,
    cycle_length,
    block_length,
    sloppy,
    buffer_output_elements,
    prefetch_input_elements,
    *,
    f,
):
    """`interleave`, always in the order that it has where `sloppy` is false."""
    return _interleave(input_dataset, Captured(f, other_arguments), cycle_length, block_length)


@lower("LegacyParallelInterleaveDatasetV2", host=True, calls=True)
def legacy_parallel_interleave_dataset_v2(
    input_dataset,
    other_arguments,
    cycle_length,
    block_length,
    buffer_output_elements,
    prefetch_input_elements,
    *,
    f,
):
    return _interleave(input_dataset, Captured(f, other_arguments), cycle_length, block_length)


@lower("ParallelInterleaveDatasetV2", "ParallelInterleaveDatasetV3", host=True, calls=True)
def parallel_interleave_dataset_v2(
    input_dataset, other_arguments, cycle_length, block_length, num_parallel_calls, *, f
):
    return _interleave(input_dataset, Captured(f, other_arguments), cycle_length, block_length)


@lower("ParallelInterleaveDatasetV4", host=True, calls=True)
def parallel_interleave_dataset_v4(
    input_dataset,
    other_arguments,
    cycle_length,
    block_length,
    buffer_output_elements,
    prefetch_input_elements,
    num_parallel_calls,
    *,
    f,
):
    return _interleave(input_dataset, Captured(f, other_arguments), cycle_length, block_length)


@description
class Scan(Dataset):
    """What a function makes of a state and each element; it also gives the next state."""

    input: Dataset
    initial_state: Sequence[Any]
    f: Captured
    preserve_cardinality: bool

    def iterate(self, place: Place) -> Iterator[Element]:
        return _ScanIterator(self, place)

    def cardinality(self) -> int:
        return self.input.cardinality()


class _ScanIterator(Taking):
    def __init__(self, dataset: Scan, place: Place):
        super().__init__(dataset.input.iterate(place.at("Scan")))
        self._f = place.callable(dataset.f)
        self._state = list(dataset.initial_state)
        self._preserves = dataset.preserve_cardinality

    def __next__(self) -> Element:
        element = next(self.input)
        try:
            results = self._f(*self._state, *element)
        except OutOfRangeError as error:
            raise _end_of(error, self._preserves) from error
        size = len(self._state)
        self._state = results[:size]
        return tuple(results[size:])


@lower("ScanDataset", "ExperimentalScanDataset", host=True, calls=True)
def scan_dataset(input_dataset, initial_state, other_arguments, *, f, preserve_cardinality=False):
    captured = Captured(f, other_arguments)
    return Scan(dataset_of(input_dataset), tuple(initial_state), captured, preserve_cardinality)


@description
class GroupByReducer(Dataset):
    """One element for each key, in the order of the keys: what functions make of the elements with that key."""

    input: Dataset
    key: Captured
    start: Captured
    reduce: Captured
    finish: Captured

    def iterate(self, place: Place) -> Iterator[Element]:
        return _GroupByReducerIterator(self, place)


class _GroupByReducerIterator(Taking):
    def __init__(self, dataset: GroupByReducer, place: Place):
        super().__init__(dataset.input.iterate(place.at("GroupByReducer")))
        self._key, self._start, self._reduce, self._finish = map(
            place.callable, (dataset.key, dataset.start, dataset.reduce, dataset.finish)
        )
        self._states: dict[int, list[Any]] = {}
        self._ended = False

    def __next__(self) -> Element:
        while not self._ended:
            try:
                element = next(self.input)
            except StopIteration:
                self._ended = True
                break
            key = _key_of(self._key(*element), "key_func")
            if key not in self._states:
                self._states[key] = self._start(np.array(key, np.int64))
            self._states[key] = self._reduce(*self._states[key], *element)
        if not self._states:
            raise StopIteration
        return tuple(self._finish(*self._states.pop(min(self._states))))


def _key_of(results: Sequence[Any], what: str) -> int:
    if len(results) != 1 or np.asarray(results[0]).dtype != np.int64 or np.asarray(results[0]).ndim:
        raise InvalidArgumentError(f"`{what}` must return a scalar int64.")
    return int(results[0])


@lower("GroupByReducerDataset", "ExperimentalGroupByReducerDataset", host=True, calls=True)
def group_by_reducer_dataset(
    input_dataset,
    key_func_other_arguments,
    init_func_other_arguments,
    reduce_func_other_arguments,
    finalize_func_other_arguments,
    *,
    key_func,
    init_func,
    reduce_func,
    finalize_func,
):
    return GroupByReducer(
        dataset_of(input_dataset),
        Captured(key_func, key_func_other_arguments),
        Captured(init_func, init_func_other_arguments),
        Captured(reduce_func, reduce_func_other_arguments),
        Captured(finalize_func, finalize_func_other_arguments),
    )


@description
class GroupByWindow(Dataset):
    """The elements of datasets that a function makes of a key and up to so many elements with that key."""

    input: Dataset
    key: Captured
    reduce: Captured
    window_size: Captured

    def iterate(self, place: Place) -> Iterator[Element]:
        return _GroupByWindowIterator(self, place)


class _GroupByWindowIterator(Taking):
    def __init__(self, dataset: GroupByWindow, place: Place):
        super().__init__(dataset.input.iterate(place.at("GroupByWindow")))
        self._place = place
        self._key, self._reduce, self._size = map(place.callable, (dataset.key, dataset.reduce, dataset.window_size))
        self._groups: dict[int, list[Element]] = {}
        self._sizes: dict[int, int] = {}
        self._current: Iterator[Element] = iter(())
        self._ended = False

    def __next__(self) -> Element:
        while True:
            for element in self._current:
                return element
            key = self._full_group()
            group = Elements(self._groups.pop(key))
            dataset = dataset_of(*self._reduce(np.array(key, np.int64), group))
            self._current = dataset.iterate(self._place.at("GroupByWindow", key))

    def _full_group(self) -> int:
        """The key of the next group to hand on: one that has reached its size or, at the end, the least one left."""
        while not self._ended:
            try:
                element = next(self.input)
            except StopIteration:
                self._ended = True
                break
            key = _key_of(self._key(*element), "key_func")
            if key not in self._groups:
                size = _key_of(self._size(np.array(key, np.int64)), "window_size_func")
                if size <= 0:
                    raise InvalidArgumentError(f"Window size must be greater than zero, but got {size}.")
                self._sizes[key] = size
            group = self._groups.setdefault(key, [])
            group.append(element)
            if len(group) == self._sizes[key]:
                return key
        if not self._groups:
            raise StopIteration
        return min(self._groups)


@lower("GroupByWindowDataset", "ExperimentalGroupByWindowDataset", host=True, calls=True)
def group_by_window_dataset(
    input_dataset,
    key_func_other_arguments,
    reduce_func_other_arguments,
    window_size_func_other_arguments,
    *,
    key_func,
    reduce_func,
    window_size_func,
):
    return GroupByWindow(
        dataset_of(input_dataset),
        Captured(key_func, key_func_other_arguments),
        Captured(reduce_func, reduce_func_other_arguments),
        Captured(window_size_func, window_size_func_other_arguments),
    )


@lower("ChooseFastestBranchDataset", host=True, calls=True, context=True, seeds_functions=True)
def choose_fastest_branch_dataset(
    input_dataset,
    ratio_numerator,
    ratio_denominator,
    other_arguments,
    *,
    branches,
    other_arguments_lengths,
    context,
    generator,
):
    """The dataset of the first branch: all branches make the same elements."""
    captured = Captured(branches[0], other_arguments[: other_arguments_lengths[0]])
    pipeline, after = new_pipeline(context, generator)
    call = Place(pipeline).callable(captured)
    return dataset_of(*call(dataset_of(input_dataset))), after


@lower("ReduceDataset", host=True, calls=True, context=True, seeds_functions=True)
def reduce_dataset(input_dataset, initial_state, other_arguments, *, f, context, generator):
    """The state after a function has taken it through all elements."""
    pipeline, after = new_pipeline(context, generator)
    place = Place(pipeline)
    call = place.callable(Captured(f, other_arguments))
    state = list(initial_state)
    for element in dataset_of(input_dataset).iterate(place.at("Reduce")):
        state = call(*state, *element)
    return state, after


@lower("DatasetToSingleElement", host=True, context=True, seeds_functions=True)
def dataset_to_single_element(dataset, *, context, generator):
    """The components of the only element."""
    pipeline, after = new_pipeline(context, generator)
    iterator = dataset_of(dataset).iterate(Place(pipeline, ("SingleElement",)))
    element = next(iterator, None)
    if element is None:
        raise InvalidArgumentError("Dataset was empty.")
    if next(iterator, None) is not None:
        raise InvalidArgumentError("Dataset had more than one element.")
    return list(element), after


@lower("DatasetCardinality", "ExperimentalDatasetCardinality", host=True)
def dataset_cardinality(input_dataset):
    """The number of elements; -1 for endless, -2 where it is not known."""
    return np.array(dataset_of(input_dataset).cardinality(), np.int64)
