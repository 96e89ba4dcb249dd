"""What a session keeps between runs without variables: tensors by handle, sparse tensors by number, locks, the time."""

from __future__ import annotations

import time
import weakref
from typing import Any

import numpy as np

from mgjax.errors import InvalidArgumentError, ResourceExhaustedError
from mgjax.host.strings import as_bytes, strings
from mgjax.ops import HostObject, lower
from mgjax.shapes import describe

# ---- tensors by handle


class SessionTensors(HostObject):
    """Tensors of earlier runs by their handles; it changes in place."""

    def __init__(self) -> None:
        self.tensors: dict[bytes, np.ndarray] = {}
        self.count = 0

    def __repr__(self) -> str:
        return f"<{len(self.tensors)} tensors of the session>"

    def find(self, handle: np.ndarray) -> bytes:
        if handle.ndim or as_bytes(handle.item()) not in self.tensors:
            raise InvalidArgumentError(f"The tensor with handle '{handle}' is not in the session store.")
        return as_bytes(handle.item())


_STORE: dict[str, Any] = {"keeps": "session tensors", "host": True, "effect": True}


@lower("GetSessionHandle", **_STORE)
def get_session_handle(value, *, held):
    """A string by which later runs get the value."""
    store = held or SessionTensors()
    handle = b"SessionHandle;%d;/job:localhost/replica:0/task:0/device:CPU:0" % store.count
    store.count += 1
    store.tensors[handle] = np.array(value)
    return strings([handle], ()), store


@lower("GetSessionTensor", **_STORE)
def get_session_tensor(handle, *, held, dtype):
    store = held or SessionTensors()
    value = store.tensors[store.find(handle)]
    if value.dtype != dtype.numpy:
        raise InvalidArgumentError(f"the tensor of the session is {value.dtype}, and {dtype.name} is wanted")
    return value, store


@lower("DeleteSessionTensor", **_STORE)
def delete_session_tensor(handle, *, held):
    store = held or SessionTensors()
    del store.tensors[store.find(handle)]
    return store


# ---- sparse tensors by number


class SparseTensors(HostObject):
    """Sparse tensors (indices, values, dense shape) by their numbers, until they are taken; it changes in place."""

    def __init__(self) -> None:
        self.tensors: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.count = 0

    def __repr__(self) -> str:
        return f"<{len(self.tensors)} sparse tensors>"

    def add(self, indices: np.ndarray, values: np.ndarray, shape: np.ndarray) -> int:
        number = self.count
        self.count += 1
        self.tensors[number] = np.array(indices), np.array(values), np.array(shape)
        return number


_MOST_NUMBERS = 1 << 24
"""More tensors than this at once are asked for by a damaged shape, not by a batch."""

_MAP: dict[str, Any] = {"keeps": "sparse tensors", "host": True, "effect": True}


@lower("AddSparseToTensorsMap", **_MAP)
def add_sparse_to_tensors_map(sparse_indices, sparse_values, sparse_shape, *, held):
    _check_sparse(sparse_indices, sparse_values, sparse_shape)
    store = held or SparseTensors()
    return np.array(store.add(sparse_indices, sparse_values, sparse_shape), np.int64), store


@lower("AddManySparseToTensorsMap", **_MAP)
def add_many_sparse_to_tensors_map(sparse_indices, sparse_values, sparse_shape, *, held):
    """A number for each entry of the first axis."""
    _check_sparse(sparse_indices, sparse_values, sparse_shape)
    if len(sparse_shape) < 2:
        raise InvalidArgumentError(f"Rank of input SparseTensor should be > 1, but saw rank: {len(sparse_shape)}")
    store = held or SparseTensors()
    rows, size = sparse_indices[:, 0], int(sparse_shape[0])
    if len(rows) and (rows.min() < 0 or rows.max() >= size):
        raise InvalidArgumentError(f"sparse_indices: a row is out of range: the first dimension is {size}")
    if size > _MOST_NUMBERS:
        raise ResourceExhaustedError(f"{size} sparse tensors are too many")
    order = np.argsort(rows, kind="stable")
    bounds = np.searchsorted(rows[order], np.arange(size + 1))
    numbers = np.zeros(size, np.int64)
    # Those without entries get their numbers last, as in TensorFlow.
    for i in np.argsort(np.diff(bounds) == 0, kind="stable").tolist():
        part = order[bounds[i] : bounds[i + 1]]
        numbers[i] = store.add(sparse_indices[part, 1:], sparse_values[part], sparse_shape[1:])
    return numbers, store


def _check_sparse(indices, values, shape):
    if indices.ndim != 2:
        raise InvalidArgumentError(f"Input indices should be a matrix but received shape {describe(indices.shape)}")
    if values.ndim != 1:
        raise InvalidArgumentError(f"Input values should be a vector but received shape {describe(values.shape)}")
    if shape.ndim != 1:
        raise InvalidArgumentError(f"Input shape should be a vector but received shape {describe(shape.shape)}")
    if len(indices) != len(values) or indices.shape[1] != len(shape):
        raise InvalidArgumentError(
            f"indices of {describe(indices.shape)}, values of {describe(values.shape)} and a shape of {len(shape)} numbers "
            "are no sparse tensor"
        )


@lower("TakeManySparseFromTensorsMap", **_MAP)
def take_many_sparse_from_tensors_map(sparse_handles, *, held, dtype):
    """The tensors of these numbers as one, along a new first axis; they are gone from the store."""
    if sparse_handles.ndim != 1:
        raise InvalidArgumentError(
            f"sparse_handles should be a vector but received shape {describe(sparse_handles.shape)}"
        )
    store = held or SparseTensors()
    numbers = sparse_handles.tolist()
    for number in numbers:
        if number not in store.tensors:
            raise InvalidArgumentError(f"Unable to find SparseTensor: {number} in map")
    taken = [store.tensors[number] for number in numbers]
    ranks = {len(shape) for _, _, shape in taken}
    if len(ranks) != 1:
        raise InvalidArgumentError(f"Inconsistent rank across SparseTensors: {sorted(ranks)}")
    if any(values.dtype != dtype.numpy for _, values, _ in taken):
        raise InvalidArgumentError(f"a SparseTensor is of another dtype than {dtype.name}")
    for number in numbers:
        store.tensors.pop(number, None)
    rows = np.concatenate([np.full(len(values), i, np.int64) for i, (_, values, _) in enumerate(taken)])
    indices = np.concatenate([rows[:, None], np.concatenate([part for part, _, _ in taken])], axis=1)
    shape = np.max([shape for _, _, shape in taken], axis=0)
    return indices, np.concatenate([values for _, values, _ in taken]), np.array([len(taken), *shape], np.int64), store


# ---- locks, and the time


class Mutex(HostObject):
    """What one step at a time may have; it changes in place."""

    def __init__(self) -> None:
        self.hold: weakref.ref[MutexHold] | None = None

    def is_free(self) -> bool:
        return self.hold is None or self.hold() is None


class MutexHold(HostObject):
    """Having a mutex: until it is given back, or the run has ended and nothing refers to this any longer."""

    __slots__ = ("__weakref__", "mutex")

    def __init__(self, mutex: Mutex):
        self.mutex = mutex


@lower("MutexV2", makes="mutex", host=True)
def mutex(*, held):
    return held or Mutex()


@lower("MutexLock", reads=("mutex",), context=True, host=True, effect=True)
def mutex_lock(mutex, *, context):
    context.wait_until(mutex.is_free, "the mutex is locked")
    hold = MutexHold(mutex)
    mutex.hold = weakref.ref(hold)
    return hold


@lower("ConsumeMutexLock", context=True, host=True, effect=True)
def consume_mutex_lock(mutex_lock, *, context):
    mutex = mutex_lock.mutex
    if mutex.hold is not None and mutex.hold() is mutex_lock:
        mutex.hold = None
        context.notify()
    return ()


@lower("Timestamp", host=True, effect=True)
def timestamp():
    """Seconds since 1970."""
    return np.array(time.time(), np.float64)
