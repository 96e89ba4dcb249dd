"""Datasets that choose, repeat, join and hold elements without looking into them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from mgjax.errors import FailedPreconditionError, InvalidArgumentError, OpError, UnsupportedError
from mgjax.host.datasets.dataset import (
    INFINITE,
    SHUFFLE_AND_REPEAT_FUSION,
    UNKNOWN,
    Dataset,
    Element,
    Place,
    Taking,
    dataset_of,
    description,
    scalar,
    seeds_of,
)
from mgjax.host.datasets.shuffling import Shuffle
from mgjax.host.streams import Words
from mgjax.ops import HostObject, lower


@description
class Repeat(Dataset):
    input: Dataset
    count: int

    def iterate(self, place: Place) -> Iterator[Element]:
        if SHUFFLE_AND_REPEAT_FUSION in place.optimizations and isinstance(self.input, Shuffle):
            fused = self.input.repeated(self.count)
            if fused is not None:
                return fused.iterate(place)
        return _RepeatIterator(self, place)

    def cardinality(self) -> int:
        count = self.input.cardinality()
        if count == 0 or self.count == 0:
            return 0
        if self.count < 0:
            return INFINITE
        return count if count < 0 else count * self.count


class _RepeatIterator(Taking):
    def __init__(self, dataset: Repeat, place: Place):
        super().__init__(iter(()))
        self._dataset = dataset
        self._place = place.at("Repeat")
        self._begun = 0

    def __next__(self) -> Element:
        dataset = self._dataset
        is_fresh = False
        while True:
            for element in self.input:
                return element
            # An epoch without a single element ends what would go on for ever.
            if self._begun == dataset.count or (is_fresh and dataset.count < 0):
                raise StopIteration
            self.input = dataset.input.iterate(self._place)
            self._begun += 1
            is_fresh = True


@lower("RepeatDataset", host=True)
def repeat_dataset(input_dataset, count):
    """The elements again and again; for ever where `count` is negative."""
    return Repeat(dataset_of(input_dataset), scalar(count, "count"))


@description
class Take(Dataset):
    input: Dataset
    count: int

    def iterate(self, place: Place) -> Iterator[Element]:
        return _TakeIterator(self.input.iterate(place.at("Take")), self.count)

    def cardinality(self) -> int:
        count = self.input.cardinality()
        if self.count < 0 or count == UNKNOWN:
            return count
        return self.count if count == INFINITE else min(count, self.count)


class _TakeIterator(Taking):
    def __init__(self, input: Iterator[Element], count: int):
        super().__init__(input)
        self._left = count

    def __next__(self) -> Element:
        if self._left == 0:
            raise StopIteration
        element = next(self.input)
        self._left -= 1
        return element


@lower("TakeDataset", host=True)
def take_dataset(input_dataset, count):
    """The first elements; all where `count` is negative."""
    return Take(dataset_of(input_dataset), scalar(count, "count"))


@description
class Skip(Dataset):
    input: Dataset
    count: int

    def iterate(self, place: Place) -> Iterator[Element]:
        if self.count < 0:
            return iter(())
        return _SkipIterator(self.input.iterate(place.at("Skip")), self.count)

    def cardinality(self) -> int:
        count = self.input.cardinality()
        if self.count < 0:
            return 0
        return count if count < 0 else max(0, count - self.count)


class _SkipIterator(Taking):
    def __init__(self, input: Iterator[Element], count: int):
        super().__init__(input)
        self._left = count

    def __next__(self) -> Element:
        while self._left:
            next(self.input)
            self._left -= 1
        return next(self.input)


@lower("SkipDataset", host=True)
def skip_dataset(input_dataset, count):
    """All but the first elements; none where `count` is negative."""
    return Skip(dataset_of(input_dataset), scalar(count, "count"))


@description
class Shard(Dataset):
    input: Dataset
    num_shards: int
    index: int
    require_non_empty: bool

    def iterate(self, place: Place) -> Iterator[Element]:
        return _ShardIterator(self, place)

    def cardinality(self) -> int:
        count = self.input.cardinality()
        return count if count < 0 else count // self.num_shards + (self.index < count % self.num_shards)


class _ShardIterator(Taking):
    def __init__(self, dataset: Shard, place: Place):
        super().__init__(dataset.input.iterate(place.at("Shard")))
        self._dataset = dataset
        self._number = 0

    def __next__(self) -> Element:
        dataset = self._dataset
        while True:
            try:
                element = next(self.input)
            except StopIteration:
                if dataset.require_non_empty and self._number < dataset.num_shards:
                    raise InvalidArgumentError(
                        "There aren't enough elements in this dataset for each shard to have at least one element (# elems "
                        f"= {self._number}, # shards = {dataset.num_shards})."
                    ) from None
                raise
            number = self._number
            self._number += 1
            if number % dataset.num_shards == dataset.index:
                return element


@lower("ShardDataset", host=True)
def shard_dataset(input_dataset, num_shards, index, *, require_non_empty=False):
    """Every `num_shards`-th element, from the one at `index` on."""
    num_shards, index = scalar(num_shards, "num_shards"), scalar(index, "index")
    if num_shards <= 0:
        raise InvalidArgumentError(f"Number of shards must be greater than zero (currently num_shards = {num_shards}).")
    if not 0 <= index < num_shards:
        raise InvalidArgumentError(
            f"Index must be between 0 and {num_shards - 1} (currently index = {index}, num_shards = {num_shards})."
        )
    return Shard(dataset_of(input_dataset), num_shards, index, require_non_empty)


@description
class Concatenate(Dataset):
    inputs: tuple[Dataset, Dataset]

    def iterate(self, place: Place) -> Iterator[Element]:
        return _ConcatenateIterator(self, place)

    def cardinality(self) -> int:
        counts = [dataset.cardinality() for dataset in self.inputs]
        if INFINITE in counts:
            return INFINITE
        return UNKNOWN if UNKNOWN in counts else sum(counts)


class _ConcatenateIterator(Taking):
    def __init__(self, dataset: Concatenate, place: Place):
        super().__init__(dataset.inputs[0].iterate(place.at("Concatenate", 0)))
        self._second: Dataset | None = dataset.inputs[1]
        self._place = place.at("Concatenate", 1)

    def __next__(self) -> Element:
        for element in self.input:
            return element
        if self._second is not None:
            self.input, self._second = self._second.iterate(self._place), None
        return next(self.input)


@lower("ConcatenateDataset", host=True)
def concatenate_dataset(input_dataset, another_dataset):
    return Concatenate((dataset_of(input_dataset), dataset_of(another_dataset)))


@description
class Zip(Dataset):
    inputs: Sequence[Dataset]

    def iterate(self, place: Place) -> Iterator[Element]:
        return _ZipIterator([dataset.iterate(place.at("Zip", i)) for i, dataset in enumerate(self.inputs)])

    def cardinality(self) -> int:
        counts = [dataset.cardinality() for dataset in self.inputs]
        if UNKNOWN in counts:
            return UNKNOWN
        return min((count for count in counts if count >= 0), default=INFINITE)


class _ZipIterator:
    def __init__(self, inputs: list[Iterator[Element]]):
        self._inputs = inputs
        self._ended = False

    def __iter__(self) -> _ZipIterator:
        return self

    def __next__(self) -> Element:
        if self._ended:
            raise StopIteration
        components: list[Any] = []
        for iterator in self._inputs:
            try:
                components.extend(next(iterator))
            except StopIteration:
                self._ended = True
                raise
        return tuple(components)


@lower("ZipDataset", host=True)
def zip_dataset(input_datasets):
    """Elements with the components of an element of each dataset; as many as the shortest has."""
    return Zip([dataset_of(dataset) for dataset in input_datasets])


class MemoryCache(HostObject):
    """The elements of one whole pass through a dataset; None until there was one."""

    __slots__ = ("__weakref__", "elements")

    def __init__(self) -> None:
        self.elements: list[Element] | None = None


@description
class Cache(Dataset):
    """Keeps the elements in memory once they were gone through to the end: in `cache`, or in what belongs to the place."""

    input: Dataset
    cache: MemoryCache | None

    def iterate(self, place: Place) -> Iterator[Element]:
        cache = self.cache or place.left("MemoryCache", MemoryCache)
        if cache.elements is not None:
            return iter(cache.elements)
        return _CachingIterator(self.input.iterate(place.at("Cache")), cache)

    def cardinality(self) -> int:
        return self.input.cardinality()


class _CachingIterator(Taking):
    def __init__(self, input: Iterator[Element], cache: MemoryCache):
        super().__init__(input)
        self._cache = cache
        self._elements: list[Element] = []

    def __next__(self) -> Element:
        try:
            element = next(self.input)
        except StopIteration:
            if self._cache.elements is None:
                self._cache.elements = self._elements
            raise
        self._elements.append(element)
        return element


def _refuse_file(filename):
    if scalar(filename, "filename"):
        raise UnsupportedError(
            "caches in files are not supported: feed another filename (an empty one keeps the elements in memory), or "
            "feed what the iterator gives"
        )


@lower("CacheDataset", host=True)
def cache_dataset(input_dataset, filename):
    _refuse_file(filename)
    return Cache(dataset_of(input_dataset), None)


@lower("CacheDatasetV2", host=True)
def cache_dataset_v2(input_dataset, filename, cache):
    _refuse_file(filename)
    return Cache(dataset_of(input_dataset), cache if isinstance(cache, MemoryCache) else None)


@description
class DirectedInterleave(Dataset):
    """Takes the next element from the dataset whose number a selector gives; numbers of datasets at their end are passed."""

    selector: Dataset
    inputs: Sequence[Dataset]
    stops_early: bool

    def iterate(self, place: Place) -> Iterator[Element]:
        return _DirectedInterleaveIterator(self, place)


class _DirectedInterleaveIterator(Taking):
    def __init__(self, dataset: DirectedInterleave, place: Place):
        super().__init__(dataset.selector.iterate(place.at("DirectedInterleave", "selector")))
        inputs = enumerate(dataset.inputs)
        self._open = {i: input.iterate(place.at("DirectedInterleave", i)) for i, input in inputs}
        self._size = len(self._open)
        self._stops_early = dataset.stops_early

    def __next__(self) -> Element:
        while self._open:
            number = int(next(self.input)[0])
            if not 0 <= number < self._size:
                raise InvalidArgumentError(f"Selector index out of range: {number} >= {self._size}")
            for element in self._open.get(number, ()):
                return element
            self._open.pop(number, None)
            if self._stops_early:
                self._open.clear()
        raise StopIteration


@lower("DirectedInterleaveDataset", "ExperimentalDirectedInterleaveDataset", host=True)
def directed_interleave_dataset(selector_input_dataset, data_input_datasets, *, stop_on_empty_dataset=False):
    inputs = [dataset_of(dataset) for dataset in data_input_datasets]
    return DirectedInterleave(dataset_of(selector_input_dataset), inputs, stop_on_empty_dataset)


@description
class Sample(Dataset):
    """Keeps each element with the probability `rate`."""

    input: Dataset
    rate: float
    seeds: tuple[int, int]

    def iterate(self, place: Place) -> Iterator[Element]:
        return _SampleIterator(self, place)


class _SampleIterator(Taking):
    def __init__(self, dataset: Sample, place: Place):
        super().__init__(dataset.input.iterate(place.at("Sampling")))
        self._rate = dataset.rate
        self._words = Words(*dataset.seeds)

    def __next__(self) -> Element:
        while True:
            element = next(self.input)
            # The float32 in [0, 1) whose mantissa are the word's low 23 bits.
            if (next(self._words) & 0x7FFFFF) / 2**23 < self._rate:
                return element


@lower("SamplingDataset", host=True, draws=True)
def sampling_dataset(input_dataset, rate, seed, seed2, *, generator):
    seeds, after = seeds_of(seed, seed2, generator)
    return Sample(dataset_of(input_dataset), scalar(rate, "rate"), seeds), after


@description
class Unique(Dataset):
    input: Dataset

    def iterate(self, place: Place) -> Iterator[Element]:
        return _UniqueIterator(self.input.iterate(place.at("Unique")))


class _UniqueIterator(Taking):
    def __init__(self, input: Iterator[Element]):
        super().__init__(input)
        self._seen: set[Any] = set()

    def __next__(self) -> Element:
        while True:
            element = next(self.input)
            key = tuple((array.shape, tuple(array.ravel().tolist())) for array in element)
            if key not in self._seen:
                self._seen.add(key)
                return element


@lower("UniqueDataset", "ExperimentalUniqueDataset", host=True)
def unique_dataset(input_dataset):
    """Each element where it first occurs."""
    return Unique(dataset_of(input_dataset))


@description
class IgnoreErrors(Dataset):
    """Passes over elements that cannot be made."""

    input: Dataset

    def iterate(self, place: Place) -> Iterator[Element]:
        return _IgnoreErrorsIterator(self.input.iterate(place.at("IgnoreErrors")))

    def cardinality(self) -> int:
        return self.input.cardinality()


class _IgnoreErrorsIterator(Taking):
    def __next__(self) -> Element:
        while True:
            try:
                return next(self.input)
            except OpError:
                continue


@lower("IgnoreErrorsDataset", "ExperimentalIgnoreErrorsDataset", host=True)
def ignore_errors_dataset(input_dataset):
    return IgnoreErrors(dataset_of(input_dataset))


@description
class Sleep(Dataset):
    input: Dataset
    seconds: float

    def iterate(self, place: Place) -> Iterator[Element]:
        return _SleepIterator(self.input.iterate(place.at("Sleep")), self.seconds)

    def cardinality(self) -> int:
        return self.input.cardinality()


class _SleepIterator(Taking):
    def __init__(self, input: Iterator[Element], seconds: float):
        super().__init__(input)
        self._seconds = seconds

    def __next__(self) -> Element:
        time.sleep(self._seconds)
        return next(self.input)


@lower("SleepDataset", "ExperimentalSleepDataset", host=True)
def sleep_dataset(input_dataset, sleep_microseconds):
    """Each element after a pause."""
    return Sleep(dataset_of(input_dataset), scalar(sleep_microseconds, "sleep_microseconds") / 1e6)


@description
class AssertCardinality(Dataset):
    """Fails at its end, or where there is an element too many, unless it has so many elements."""

    input: Dataset
    count: int

    def iterate(self, place: Place) -> Iterator[Element]:
        return _AssertCardinalityIterator(self.input.iterate(place.at("AssertCardinality")), self.count)

    def cardinality(self) -> int:
        return self.count


class _AssertCardinalityIterator(Taking):
    def __init__(self, input: Iterator[Element], count: int):
        super().__init__(input)
        self._count = count
        self._given = 0

    def __next__(self) -> Element:
        try:
            element = next(self.input)
        except StopIteration:
            if self._count not in (UNKNOWN, self._given):
                raise FailedPreconditionError(
                    f"Input dataset was expected to contain {_elements(self._count)} but contained only "
                    f"{_elements(self._given)}."
                ) from None
            raise
        self._given += 1
        if 0 <= self._count < self._given:
            raise FailedPreconditionError(
                f"Input dataset was expected to contain {_elements(self._count)} but contained at least "
                f"{_elements(self._given)}."
            )
        return element


def _elements(count: int) -> str:
    return "an infinite number of elements" if count == INFINITE else f"{count} element{'s' * (count != 1)}"


@lower("AssertCardinalityDataset", host=True)
def assert_cardinality_dataset(input_dataset, cardinality):
    return AssertCardinality(dataset_of(input_dataset), scalar(cardinality, "cardinality"))
