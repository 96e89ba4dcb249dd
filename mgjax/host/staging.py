"""Staging areas: elements that one run leaves for another, in order (`Stage`) or by key (`MapStage`)."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

import numpy as np

from mgjax.errors import InvalidArgumentError, ResourceExhaustedError
from mgjax.host.context import RunContext
from mgjax.ops import HostObject, lower


class StagingArea(HostObject):
    """Elements in the order in which they came, or by key; it changes in place.

    Attributes:
        capacity, memory_limit: how many elements, and bytes, there is room for; 0 for any number.
        elements: of an area without keys.
        complete: of one with keys, from key to the components, None for one that was taken.
        incomplete: from key to components of which some have not come yet (None).
    """

    def __init__(self, capacity: int, memory_limit: int):
        self.capacity = capacity
        self.memory_limit = memory_limit
        self.elements: deque[tuple[Any, ...]] = deque()
        self.complete: dict[int, list[Any]] = {}
        self.incomplete: dict[int, list[Any]] = {}

    def __repr__(self) -> str:
        return f"<staging area of {len(self)} elements>"

    def __len__(self) -> int:
        return len(self.elements) + len(self.complete)

    def wait_for_room(self, context: RunContext, components: list[np.ndarray]) -> None:
        wanted = _bytes_of(components)
        if self.memory_limit and wanted > self.memory_limit:
            raise ResourceExhaustedError(
                f"Attempted to insert tensors with combined size of '{wanted}' bytes into Staging Area with a memory "
                f"limit of '{self.memory_limit}'."
            )
        context.wait_until(
            lambda: (
                (not self.capacity or len(self) < self.capacity)
                and (not self.memory_limit or self._size() + wanted <= self.memory_limit)
            ),
            f"the staging area is full, with {len(self)} elements",
        )

    def _size(self) -> int:
        return sum(map(_bytes_of, [*self.elements, *self.complete.values(), *self.incomplete.values()]))

    def clear(self) -> None:
        self.elements.clear()
        self.complete.clear()
        self.incomplete.clear()


def _bytes_of(components: Any) -> int:
    return sum(array.nbytes for array in components if array is not None)


def _held(held, capacity, memory_limit):
    return held or StagingArea(capacity, memory_limit)


_TRAITS = {"keeps": "staging area", "context": True, "host": True, "effect": True}


@lower("Stage", **_TRAITS)
def stage(values, *, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    area.wait_for_room(context, values)
    area.elements.append(tuple(np.array(value) for value in values))
    context.notify()
    return area


@lower("Unstage", **_TRAITS)
def unstage(*, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    context.wait_until(lambda: len(area.elements) > 0, "the staging area is empty")
    element = area.elements.popleft()
    context.notify()
    return list(element), area


@lower("StagePeek", **_TRAITS)
def stage_peek(index, *, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    context.wait_until(
        lambda: len(area.elements) > index, f"element {index} of the staging area, which has {len(area.elements)}"
    )
    return list(area.elements[int(index)]), area


def _size(*, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    return np.array(len(area), np.int32), area


def _clear(*, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    area.clear()
    context.notify()
    return area


lower("StageSize", **_TRAITS)(_size)
lower("StageClear", **_TRAITS)(_clear)

# ---- by key


def _key(key: np.ndarray) -> int:
    if key.ndim:
        raise InvalidArgumentError(f"Key must be an int64 scalar, not of shape {list(key.shape)}")
    return int(key)


def _map_stage(key, indices, values, *, held, context, dtypes, capacity=0, memory_limit=0):
    """Components `indices` of the element `key`; it can be taken once all have come."""
    area = _held(held, capacity, memory_limit)
    places = indices.ravel().tolist()
    if any(a >= b for a, b in itertools.pairwise(places)):
        raise InvalidArgumentError("Indices are not strictly ordered")
    if len(places) != len(values):
        raise InvalidArgumentError(f"there are {len(values)} values and {len(places)} indices")
    number = _key(key)
    area.wait_for_room(context, values)
    components = area.incomplete.pop(number, None) or [None] * len(dtypes)
    area.incomplete[number] = components
    if len(values) == len(dtypes):
        places = range(len(dtypes))  # whatever they say: all of them, in order
    for place, value in zip(places, values, strict=True):
        _check_place(place, number, components)
        if components[place] is not None:
            raise InvalidArgumentError(
                f"The tensor for index '{place}' for key '{number}' was already initialized '{len(dtypes)}'."
            )
        if value.dtype != dtypes[place].numpy:
            raise InvalidArgumentError(
                f"component {place} is of {dtypes[place].name}; the value staged is {value.dtype}"
            )
        components[place] = np.array(value)
    if all(component is not None for component in components):
        del area.incomplete[number]
        area.complete.setdefault(number, components)
    context.notify()
    return area


def _check_place(place: int, key: int, components: list[Any]) -> None:
    if not 0 <= place < len(components):
        raise InvalidArgumentError(f"Index '{place}' for key '{key}' was out of bounds '{len(components)}'.")


def _components(area, number, indices, takes):
    components = area.complete[number]
    found = []
    for place in indices.ravel().tolist():
        _check_place(place, number, components)
        if components[place] is None:
            raise InvalidArgumentError(f"Tensor at index '{place}' for key '{number}' has already been removed.")
        found.append(components[place])
    if takes:
        for place in indices.ravel().tolist():
            components[place] = None
        if all(component is None for component in components):
            del area.complete[number]
    return found


def _wait_for_key(area, context, number):
    context.wait_until(lambda: number in area.complete, f"the staging area has no complete element of key {number}")


def _map_peek(key, indices, *, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    number = _key(key)
    _wait_for_key(area, context, number)
    return _components(area, number, indices, False), area


def _map_unstage(key, indices, *, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    number = _key(key)
    _wait_for_key(area, context, number)
    found = _components(area, number, indices, True)
    context.notify()
    return found, area


def _map_unstage_no_key(choose):
    def map_unstage_no_key(indices, *, held, context, capacity=0, memory_limit=0):
        area = _held(held, capacity, memory_limit)
        context.wait_until(lambda: len(area.complete) > 0, "the staging area has no complete element")
        number = choose(area.complete)
        found = _components(area, number, indices, True)
        context.notify()
        return np.array(number, np.int64), found, area

    return map_unstage_no_key


def _map_incomplete_size(*, held, context, capacity=0, memory_limit=0):
    area = _held(held, capacity, memory_limit)
    return np.array(len(area.incomplete), np.int32), area


for _prefix, _choose in (("Map", lambda keys: next(iter(keys))), ("OrderedMap", min)):
    lower(f"{_prefix}Stage", **_TRAITS)(_map_stage)
    lower(f"{_prefix}Peek", **_TRAITS)(_map_peek)
    lower(f"{_prefix}Unstage", **_TRAITS)(_map_unstage)
    lower(f"{_prefix}UnstageNoKey", **_TRAITS)(_map_unstage_no_key(_choose))
    lower(f"{_prefix}Size", **_TRAITS)(_size)
    lower(f"{_prefix}IncompleteSize", **_TRAITS)(_map_incomplete_size)
    lower(f"{_prefix}Clear", **_TRAITS)(_clear)
