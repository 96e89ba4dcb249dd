"""Barriers: elements whose components come one by one, under a key, and that are taken once they are complete."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np

from mgjax.dtypes import DType
from mgjax.errors import CancelledError, InvalidArgumentError, OutOfRangeError
from mgjax.host.context import RunContext
from mgjax.host.queues import stacked
from mgjax.host.strings import strings
from mgjax.ops import HostObject, lower
from mgjax.shapes import Shape, describe, is_compatible

_FIRST = -(2**63)
"""The number of the first keys: later ones count up from it."""


class Barrier(HostObject):
    """Elements by key; it changes in place.

    Attributes:
        dtypes, shapes: of an element's components.
        name: its shared name, for errors.
        incomplete: from key to (its number, the components, None for one that has not come).
        ready: (number, key, components) of what can be taken, in the order of the numbers.
        is_closed: whether no new keys are taken.
        is_cancelled: whether nothing more is taken at all.
    """

    def __init__(self, dtypes: tuple[DType, ...], shapes: tuple[Shape, ...], name: str):
        self.dtypes = dtypes
        self.shapes = shapes
        self.name = name
        self.incomplete: dict[bytes, tuple[int, list[Any]]] = {}
        self.ready: list[tuple[int, bytes, list[Any]]] = []
        self.is_closed = False
        self.is_cancelled = False
        self._next = _FIRST

    def __repr__(self) -> str:
        return f"<barrier {self.name!r}, {len(self.ready)} elements ready, {len(self.incomplete)} incomplete>"

    def insert(self, keys: list[bytes], values: np.ndarray, component: int) -> None:
        """Gives each key a value for one of its components."""
        if self.is_closed and (self.is_cancelled or (keys and not self.incomplete)):
            raise CancelledError(
                f"Barrier {self.name} is closed.  Pending enqueues cancelled: {int(self.is_cancelled)}.  Number of new "
                f"insertions: {len(keys)}.  Number of incomplete keys: {len(self.incomplete)}."
            )
        # Keys that come together have one number.
        present, self._next = self._next, self._next + any(key not in self.incomplete for key in keys)
        for key, value in zip(keys, values, strict=True):
            if key not in self.incomplete:
                if self.is_closed:
                    raise CancelledError(
                        f"Barrier {self.name} is closed, but attempted to insert a brand new key: "
                        f"{key.decode(errors='replace')}."
                    )
                self.incomplete[key] = present, [None] * len(self.dtypes)
            number, components = self.incomplete[key]
            if components[component] is not None:
                raise InvalidArgumentError(
                    f"Key {key.decode(errors='replace')} already has a value for component {component} in barrier "
                    f"{self.name}"
                )
            components[component] = value
            if all(part is not None for part in components):
                del self.incomplete[key]
                bisect.insort(self.ready, (number, key, components), key=lambda element: element[0])

    def take(self, context: RunContext, count: int, small: bool) -> list[tuple[int, bytes, list[Any]]]:
        """The first complete elements; `small`: fewer will do once the barrier is closed."""

        def wanted() -> int:
            return min(count, len(self.ready)) if self.is_closed and small else count

        def is_hopeless() -> bool:
            there = len(self.ready) + (0 if small else len(self.incomplete))
            return self.is_closed and there < max(wanted(), 1)

        context.wait_until(
            lambda: is_hopeless() or len(self.ready) >= wanted(),
            f"{count} elements of the barrier are wanted, and {len(self.ready)} are complete",
        )
        if is_hopeless():
            there = len(self.ready) + (0 if small else len(self.incomplete))
            raise OutOfRangeError(
                f"Barrier '{self.name}' is closed and has insufficient elements (requested {wanted()}, total size {there})"
            )
        number = wanted()
        taken, self.ready = self.ready[:number], self.ready[number:]
        return taken

    def close(self, cancel: bool) -> None:
        if self.is_closed and (self.is_cancelled or not cancel):
            raise CancelledError(f"Barrier '{self.name}' is already closed.")
        self.is_closed = True
        self.is_cancelled = cancel
        if cancel:
            self.incomplete.clear()


@lower("Barrier", makes="barrier", host=True)
def barrier(*, held, component_types, shapes=(), capacity=-1, shared_name=""):
    if capacity != -1:
        raise InvalidArgumentError(
            f"Barrier only accepts capacity=-1.  Feed the inputs to your Barrier through a queue; {capacity}"
        )
    if shapes and len(shapes) != len(component_types):
        raise InvalidArgumentError("All of the component shapes must be specified")
    if any(shape is None or None in shape or 0 in shape for shape in shapes):
        raise InvalidArgumentError("Every component shape must be fully defined, and hold elements")
    made = Barrier(tuple(component_types), tuple(shapes) or ((),) * len(component_types), shared_name)
    if held is None:
        return made
    if (held.dtypes, held.shapes) != (made.dtypes, made.shapes):
        raise InvalidArgumentError(f"Shared barrier '{shared_name}' has other component types or shapes")
    return held


_TRAITS: dict[str, Any] = {"reads": ("handle",), "host": True, "effect": True}


@lower("BarrierInsertMany", context=True, **_TRAITS)
def barrier_insert_many(handle, keys, values, *, context, component_index):
    if not 0 <= component_index < len(handle.dtypes):
        raise InvalidArgumentError(
            f"The component ID is out of range {component_index} > num_components ({len(handle.dtypes)})"
        )
    wanted = handle.dtypes[component_index]
    if values.dtype != wanted.numpy:
        raise InvalidArgumentError(f"Component {component_index} is of {wanted.name}, the values are {values.dtype}")
    if keys.ndim != 1 or values.shape[:1] != keys.shape:
        raise InvalidArgumentError(f"there are {len(keys)} keys, and values of {describe(values.shape)}")
    shape = handle.shapes[component_index]
    if not is_compatible(shape, values.shape[1:]):
        raise InvalidArgumentError(
            f"Shape mismatch in tuple component {component_index}. Expected {describe(shape)}, got "
            f"{describe(values.shape[1:])}"
        )
    # Copies, each an array of its own: of strings too, where an element would be the string itself.
    rows = [values[i : i + 1].reshape(values.shape[1:]).copy() for i in range(len(values))]
    try:
        handle.insert(keys.tolist(), rows, component_index)
    finally:
        context.notify()
    return ()


@lower("BarrierTakeMany", context=True, **_TRAITS)
def barrier_take_many(
    handle, num_elements, *,
    context, component_types, allow_small_batch=False, wait_for_incomplete=False, timeout_ms=-1,
):  # fmt: skip
    """`wait_for_incomplete` plays no part, as in TensorFlow."""
    if timeout_ms != -1:
        raise InvalidArgumentError("Timeout not supported yet.")
    if tuple(component_types) != handle.dtypes:
        raise InvalidArgumentError("the barrier's components are of other types")
    count = int(num_elements)
    if count < 0:
        raise InvalidArgumentError(f"num_elements must be at least 0, not {count}")
    taken = handle.take(context, count, allow_small_batch)
    indices = np.array([number for number, _, _ in taken], np.int64)
    columns = zip(*(components for _, _, components in taken), strict=True) if taken else [()] * len(handle.dtypes)
    values = [stacked(list(x), *form) for x, *form in zip(columns, handle.dtypes, handle.shapes, strict=True)]
    return indices, strings([key for _, key, _ in taken]), values


@lower("BarrierClose", context=True, **_TRAITS)
def barrier_close(handle, *, context, cancel_pending_enqueues=False):
    handle.close(cancel_pending_enqueues)
    context.notify()
    return ()


@lower("BarrierReadySize", **_TRAITS)
def barrier_ready_size(handle):
    return np.array(len(handle.ready), np.int32)


@lower("BarrierIncompleteSize", **_TRAITS)
def barrier_incomplete_size(handle):
    return np.array(len(handle.incomplete), np.int32)
