"""Iterators whose elements are dealt out in turn, one to each of several devices."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mgjax.errors import FailedPreconditionError, InvalidArgumentError, OpError, OutOfRangeError
from mgjax.host.datasets.dataset import Dataset, Element, Pipeline, Place, dataset_of, new_pipeline, scalar
from mgjax.host.datasets.iterators import named, number_of, string_handle_of
from mgjax.ops import HostObject, lower


class MultiDeviceIterator(HostObject):
    """What the handle of such an iterator stands for.

    Attributes:
        number: tells it from all others of this process.
        incarnation: how often it was initialized.
    """

    __slots__ = ("__weakref__", "_dealt", "_iterator", "_pipeline", "_waiting", "incarnation", "number")

    def __init__(self, devices: Sequence[Any]):
        self.number = number_of(self)
        self.incarnation = 0
        # For each device the elements that were dealt to it, or the errors that stand in their places.
        self._waiting: list[deque[Element | OpError]] = [deque() for _ in devices]
        self._dealt = 0
        self._pipeline = Pipeline()
        self._iterator: Iterator[Element] | None = None

    def start(self, dataset: Dataset, pipeline: Pipeline) -> int:
        """Begins anew with the dataset's first element; returns the number that readers must name."""
        self.incarnation += 1
        self._pipeline = pipeline
        self._iterator = dataset.iterate(Place(self._pipeline, ("MultiDeviceIterator",)))
        self._waiting = [deque() for _ in self._waiting]
        self._dealt = 0
        return self.incarnation

    def take(self, shard: int, incarnation: int, context: Any) -> Element:
        """The next element of a device. Raises `OutOfRangeError` at the end."""
        if self._iterator is None:
            raise FailedPreconditionError("The multi-device iterator has not been initialized.")
        if incarnation != self.incarnation:
            raise InvalidArgumentError(f"Invalid incarnation id: {incarnation}; the present one is {self.incarnation}")
        if not 0 <= shard < len(self._waiting):
            raise InvalidArgumentError(f"shard_num {shard} is not in [0, {len(self._waiting)})")
        self._pipeline.context = context
        while not self._waiting[shard]:
            try:
                dealt: Element | OpError = next(self._iterator)
            except StopIteration:
                raise OutOfRangeError("End of sequence") from None
            except OpError as error:
                dealt = error
            self._waiting[self._dealt % len(self._waiting)].append(dealt)
            self._dealt += 1
        taken = self._waiting[shard].popleft()
        if isinstance(taken, OpError):
            raise taken
        return taken


def _resource(handle: Any) -> MultiDeviceIterator:
    if not isinstance(handle, MultiDeviceIterator):
        raise InvalidArgumentError(f"the handle of a multi-device iterator is wanted, not {type(handle).__name__}")
    return handle


@lower("MultiDeviceIterator", host=True, makes="multi-device iterator")
def multi_device_iterator(*, devices, held):
    return held if held is not None else MultiDeviceIterator(devices)


@lower("AnonymousMultiDeviceIterator", host=True, effect=True)
def anonymous_multi_device_iterator(*, devices):
    """A new iterator each time it is run."""
    iterator = MultiDeviceIterator(devices)
    return iterator, iterator


@lower("DeleteMultiDeviceIterator", host=True, effect=True)
def delete_multi_device_iterator(multi_device_iterator, iterators, deleter):
    """Nothing: an iterator goes when nothing refers to it any more."""
    return ()


@lower(
    "MultiDeviceIteratorInit",
    host=True,
    effect=True,
    context=True,
    seeds_functions=True,
    reads=("multi_device_iterator",),
)
def multi_device_iterator_init(dataset, multi_device_iterator, max_buffer_size, *, context, generator):
    """Initializes the iterator with a dataset; returns the number of the initialization."""
    pipeline, after = new_pipeline(context, generator)
    return np.array(_resource(multi_device_iterator).start(dataset_of(dataset), pipeline), np.int64), after


@lower("MultiDeviceIteratorGetNextFromShard", host=True, effect=True, context=True, reads=("multi_device_iterator",))
def multi_device_iterator_get_next_from_shard(
    multi_device_iterator, shard_num, incarnation_id, *, output_types, context
):
    """The components of a device's next element. Raises `OutOfRangeError` at the end."""
    shard, incarnation = scalar(shard_num, "shard_num"), scalar(incarnation_id, "incarnation_id")
    return (list(_resource(multi_device_iterator).take(shard, incarnation, context)),)


@lower("MultiDeviceIteratorToStringHandle", host=True, reads=("multi_device_iterator",))
def multi_device_iterator_to_string_handle(multi_device_iterator):
    return string_handle_of(_resource(multi_device_iterator))


@lower("MultiDeviceIteratorFromStringHandle", host=True)
def multi_device_iterator_from_string_handle(string_handle):
    return _resource(named(string_handle))
