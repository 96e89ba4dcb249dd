"""Shuffled datasets, in the order of TensorFlow 1.15's kernels for the same seeds (core/kernels/data/shuffle_dataset_op.cc)."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator

from mgjax.errors import InvalidArgumentError
from mgjax.host.datasets.dataset import (
    INFINITE,
    Dataset,
    Element,
    Place,
    dataset_of,
    description,
    scalar,
    seeds_of,
)
from mgjax.host.streams import Words
from mgjax.ops import HostObject, lower


class SeedGenerator(HostObject):
    """Seeds for one epoch after another."""

    __slots__ = ("__weakref__", "_words")

    def __init__(self, seed: int, seed2: int):
        self._words = Words(seed, seed2)

    def __next__(self) -> tuple[int, int]:
        return next(self._words), next(self._words)


@description
class Shuffle(Dataset):
    """Elements picked at random from a buffer that the input keeps full.

    Attributes:
        seeds: of the picks; or, where each epoch is to have an order of its own, of the epochs' seeds.
        generator: where the epochs' seeds come from, if the graph made it; else it belongs to the iterator's place.
        count: how often the input is gone through before the end; -1 for ever. Elements of an epoch come before those of the next.
    """

    input: Dataset
    buffer_size: int
    seeds: tuple[int, int]
    reshuffles: bool
    generator: SeedGenerator | None = None
    count: int = 1

    def iterate(self, place: Place) -> Iterator[Element]:
        seeds = self.seeds
        if self.reshuffles:
            generator = self.generator or place.left("RandomSeedGenerator", lambda: SeedGenerator(*self.seeds))
            seeds = next(generator)
        return _ShuffleIterator(self, place.at("Shuffle"), Words(*seeds))

    def cardinality(self) -> int:
        count = self.input.cardinality()
        if count == 0 or self.count == 0:
            return 0
        if self.count < 0:
            return INFINITE
        return count if count < 0 else count * self.count

    def repeated(self, count: int) -> Shuffle | None:
        """What TensorFlow makes of this and `repeat`: each epoch goes on in the stream of the first. None if it makes nothing."""
        if not self.reshuffles or self.generator is not None or self.count != 1:
            return None
        return Shuffle(self.input, self.buffer_size, self.seeds, False, None, count)


class _ShuffleIterator:
    def __init__(self, dataset: Shuffle, place: Place, words: Words):
        self._dataset = dataset
        self._place = place
        self._words = words
        self._input: Iterator[Element] | None = None
        self._epoch = 0
        self._is_first = True
        self._buffer: dict[int, Element] = {}
        self._held = 0
        # Each epoch has a stretch of the ring in which its elements lie: [start, end), counted without end.
        self._stretches: deque[list[int]] = deque([[0, 0]])

    def __iter__(self) -> _ShuffleIterator:
        return self

    def __next__(self) -> Element:
        dataset = self._dataset
        if self._is_first:
            self._input = dataset.input.iterate(self._place)
        while self._input is not None and self._held < dataset.buffer_size:
            element = self._next_input()
            if element is None:
                break
            stretch = self._stretches[-1]
            self._buffer[stretch[1] % dataset.buffer_size] = element
            stretch[1] += 1
            self._held += 1
        self._is_first = False
        if not self._held:
            raise StopIteration
        while self._stretches[0][0] == self._stretches[0][1]:
            self._stretches.popleft()
        return self._pick(self._stretches[0])

    def _next_input(self) -> Element | None:
        """The next element of this epoch or those that follow; None at the end of all."""
        while self._input is not None and self._epoch != self._dataset.count:
            element = next(self._input, None)
            if element is not None:
                self._is_first = False
                return element
            if self._is_first and self._dataset.count == -1:
                break  # an empty input, which would be repeated for ever
            self._epoch += 1
            end = self._stretches[-1][1]
            self._stretches.append([end, end])
            self._input = self._dataset.input.iterate(self._place)
        self._input = None
        return None

    def _pick(self, stretch: list[int]) -> Element:
        size = self._dataset.buffer_size
        start, end = stretch
        first = start % size
        chosen = (start + next(self._words) % (end - start)) % size
        element = self._buffer[chosen]
        self._buffer[chosen] = self._buffer[first]
        del self._buffer[first]
        stretch[0] += 1
        self._held -= 1
        return element


def _buffer_size(buffer_size):
    size = scalar(buffer_size, "buffer_size")
    if size <= 0:
        raise InvalidArgumentError("buffer_size must be greater than zero.")
    return size


@lower("ShuffleDataset", host=True, draws=True)
def shuffle_dataset(input_dataset, buffer_size, seed, seed2, *, reshuffle_each_iteration=True, generator):
    seeds, after = seeds_of(seed, seed2, generator)
    return Shuffle(dataset_of(input_dataset), _buffer_size(buffer_size), seeds, reshuffle_each_iteration), after


@lower("ShuffleDatasetV2", host=True)
def shuffle_dataset_v2(input_dataset, buffer_size, seed_generator):
    return Shuffle(dataset_of(input_dataset), _buffer_size(buffer_size), (0, 0), True, seed_generator)


@lower("ShuffleDatasetV3", host=True, draws=True)
def shuffle_dataset_v3(
    input_dataset, buffer_size, seed, seed2, seed_generator, *, reshuffle_each_iteration=True, generator
):
    dataset, after = shuffle_dataset(
        input_dataset, buffer_size, seed, seed2, reshuffle_each_iteration=reshuffle_each_iteration, generator=generator
    )
    return dataclasses.replace(dataset, generator=_of_epochs(seed_generator)), after


@lower("ShuffleAndRepeatDataset", host=True, draws=True)
def shuffle_and_repeat_dataset(input_dataset, buffer_size, seed, seed2, count, *, generator):
    count = scalar(count, "count")
    if count == 0 or count < -1:
        raise InvalidArgumentError("count must be greater than zero or equal to -1.")
    seeds, after = seeds_of(seed, seed2, generator)
    return Shuffle(dataset_of(input_dataset), _buffer_size(buffer_size), seeds, False, None, count), after


@lower("ShuffleAndRepeatDatasetV2", host=True, draws=True)
def shuffle_and_repeat_dataset_v2(
    input_dataset, buffer_size, seed, seed2, count, seed_generator, *, reshuffle_each_iteration=True, generator
):
    """`ShuffleAndRepeatDataset` whose stream's seeds come from a generator where each pass is to have an order of its own."""
    dataset, after = shuffle_and_repeat_dataset(input_dataset, buffer_size, seed, seed2, count, generator=generator)
    epochs = _of_epochs(seed_generator)
    return dataclasses.replace(dataset, reshuffles=reshuffle_each_iteration, generator=epochs), after


def _of_epochs(seed_generator):
    """The generator of epochs' seeds that a handle stands for, if it is one that is asked."""
    return seed_generator if isinstance(seed_generator, SeedGenerator) else None
