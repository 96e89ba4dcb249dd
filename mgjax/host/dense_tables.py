"""`MutableDenseHashTable`: a table with open addressing, whose buckets are what it exports, and what a checkpoint keeps.

A key goes into the bucket that its hash names, or one after it, at growing distances; when the buckets fill up, twice as many take
their place. Two keys are reserved: that of an empty bucket and that of a deleted one. All as in TensorFlow's
core/kernels/lookup_table_op.cc, so that buckets lie where TensorFlow puts them.
"""

from __future__ import annotations

import numpy as np

from mgjax.dtypes import DType
from mgjax.errors import InternalError, InvalidArgumentError, ResourceExhaustedError
from mgjax.host.hashing import hash64
from mgjax.host.tables import check_dtypes, held_table
from mgjax.ops import HostObject, lower
from mgjax.shapes import describe

_MOST_BUCKETS = 1 << 30
"""A file that asks for more is damaged, or means harm."""


class DenseTable(HostObject):
    """Keys and values in buckets; it is never changed.

    Attributes:
        key_dtype, value_dtype: of keys and values.
        key_shape, value_shape: of one key, a scalar or a vector, and of one value.
        reserved: the keys of an empty and of a deleted bucket, `[2, key size]`; the first version of the op has no deleted one.
        keys, values: the buckets, `[buckets, key size]` and `[buckets, *value shape]`, of values at least one dimension more.
        count: the number of entries.
        max_load: the part of the buckets that may be filled.
    """

    kind = "MutableDenseHashTable"
    __slots__ = (
        "count", "key_dtype", "key_shape", "keys", "max_load", "reserved", "value_dtype", "value_shape", "values",
    )  # fmt: skip

    def __init__(
        self,
        key_dtype: DType,
        value_dtype: DType,
        key_shape: tuple[int, ...],
        value_shape: tuple[int, ...],
        reserved: np.ndarray,
        buckets: int,
        max_load: float,
    ):
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self.key_shape = key_shape
        self.value_shape = value_shape
        self.reserved = reserved
        self.max_load = max_load
        self._clear(buckets)

    def _clear(self, buckets: int) -> None:
        self.keys = np.empty((buckets, self.reserved.shape[1]), self.key_dtype.numpy)
        self.keys[:] = self.reserved[0]
        shape = (buckets, *(self.value_shape or (1,)))
        self.values = np.zeros(shape, self.value_dtype.numpy)
        if self.values.dtype == object:
            self.values.fill(b"")
        self.count = 0

    def _copy(self) -> DenseTable:
        copy = object.__new__(DenseTable)
        for name in DenseTable.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.keys, copy.values = self.keys.copy(), self.values.copy()
        return copy

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<{self.kind} {self.key_dtype.name} -> {self.value_dtype.name}, {self.count} entries>"

    def find(self, keys: np.ndarray, default: np.ndarray) -> np.ndarray:
        """The values of the keys, `default` for those that are not there: keys' shape before a value's."""
        check_dtypes(self, keys, default)
        rows, leading = self._rows(keys)
        if default.shape != self.value_shape:
            raise InvalidArgumentError(
                f"Expected shape {describe(self.value_shape)} for default value, got {describe(default.shape)}"
            )
        places = self._places(rows)
        found = self.values[np.maximum(places, 0)].reshape(-1, *self.value_shape)
        found[places < 0] = default
        return found.reshape(leading + self.value_shape)

    def insert(self, keys: np.ndarray, values: np.ndarray) -> DenseTable:
        """The table with further entries, which replace those of the same keys."""
        check_dtypes(self, keys, values)
        rows, leading = self._rows(keys)
        if values.shape != leading + self.value_shape:
            raise InvalidArgumentError(
                f"Expected shape {describe(leading + self.value_shape)} for value, got {describe(values.shape)}"
            )
        self._refuse_reserved(rows)
        table = self._copy()
        table._make_room(len(rows))
        table._insert(rows, values.reshape(len(rows), *table.values.shape[1:]))
        return table

    def replace(self, keys: np.ndarray, values: np.ndarray) -> DenseTable:
        """The table with these buckets, as `export` gives them."""
        check_dtypes(self, keys, values)
        wanted = (*keys.shape[:1], *self.values.shape[1:])
        if keys.ndim != 2 or keys.shape[1:] != self.keys.shape[1:] or values.shape != wanted:
            raise InvalidArgumentError(
                f"Expected buckets of shapes {describe((None, *self.keys.shape[1:]))} and "
                f"{describe((None, *self.values.shape[1:]))}, got {describe(keys.shape)} and {describe(values.shape)}"
            )
        _check_buckets(len(keys), self.max_load)
        table = self._copy()
        table.keys, table.values = keys.copy(), values.copy()
        table.count = int(np.count_nonzero(~self._is_free(keys)))
        return table

    def remove(self, keys: np.ndarray) -> DenseTable:
        """The table without the entries of these keys."""
        check_dtypes(self, keys)
        rows, _ = self._rows(keys)
        table = self._copy()
        for place in dict.fromkeys(self._places(rows).tolist()):
            if place >= 0:
                table.keys[place] = self.reserved[-1]
                table.count -= 1
        return table

    def export(self) -> tuple[np.ndarray, np.ndarray]:
        """The keys and the values of all buckets."""
        return self.keys.copy(), self.values.copy()

    # ---- buckets

    def _rows(self, keys: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
        """The keys as rows, and the shape that they stand in."""
        count = len(self.key_shape)
        leading = keys.shape[: keys.ndim - count]
        if keys.ndim < count or keys.shape[len(leading) :] != self.key_shape:
            raise InvalidArgumentError(
                f"Expected key shape {describe(self.key_shape)}, got keys of {describe(keys.shape)}"
            )
        return keys.reshape(-1, self.reserved.shape[1]), leading

    def _is_free(self, keys: np.ndarray) -> np.ndarray:
        is_free = np.zeros(len(keys), bool)
        for reserved in self.reserved:
            is_free |= _equal(keys, reserved)
        return is_free

    def _refuse_reserved(self, rows: np.ndarray) -> None:
        for reserved, what in zip(self.reserved, ("empty_key", "deleted_key"), strict=False):
            if _equal(rows, reserved).any():
                raise InvalidArgumentError(f"Using the {what} as a table key is not allowed")

    def _places(self, rows: np.ndarray) -> np.ndarray:
        """The bucket of each key, -1 where there is none."""
        self._refuse_reserved(rows)
        mask = len(self.keys) - 1
        places = np.full(len(rows), -1, np.int64)
        left = np.arange(len(rows))
        buckets = (_hashes(rows) & np.uint64(mask)).astype(np.int64)
        for probes in range(1, len(self.keys) + 1):
            if not len(left):
                return places
            there = self.keys[buckets]
            is_found = _equal(there, rows[left])
            places[left[is_found]] = buckets[is_found]
            goes_on = ~is_found & ~_equal(there, self.reserved[0])
            left = left[goes_on]
            buckets = (buckets[goes_on] + probes) & mask
        if len(left):
            raise InternalError("Internal error in MutableDenseHashTable lookup")
        return places

    def _make_room(self, further: int) -> None:
        buckets = len(self.keys)
        while self.count + further > buckets * self.max_load:
            buckets *= 2
        if buckets > len(self.keys):
            is_taken = ~self._is_free(self.keys)
            keys, values = self.keys[is_taken], self.values[is_taken]
            self._clear(buckets)
            self._insert(keys, values)

    def _insert(self, rows: np.ndarray, values: np.ndarray) -> None:
        mask = len(self.keys) - 1
        hashes = (_hashes(rows) & np.uint64(mask)).tolist()
        free = [tuple(key) for key in self.reserved.tolist()]
        for key, value, bucket in zip(map(tuple, rows.tolist()), values, hashes, strict=True):
            for probes in range(1, len(self.keys) + 1):
                there = tuple(self.keys[bucket].tolist())
                is_free = there in free
                if is_free or there == key:
                    self.keys[bucket], self.values[bucket] = key, value
                    self.count += is_free
                    break
                bucket = (bucket + probes) & mask
            else:
                raise InternalError("Internal error in MutableDenseHashTable insert")


def _equal(keys: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.all(keys == other, axis=1)


def _hashes(rows: np.ndarray) -> np.ndarray:
    """uint64: of a number itself, of text TensorFlow's `Hash64`, of a vector those of its elements combined."""
    if rows.dtype == object:
        flat = np.array([hash64(text) for text in rows.ravel().tolist()], np.uint64)
        hashes = flat.reshape(rows.shape)
    else:
        hashes = rows.astype(np.int64).view(np.uint64).reshape(rows.shape)
    if rows.shape[1] == 1:
        return hashes[:, 0]
    combined = np.zeros(len(rows), np.uint64)
    for column in hashes.T:
        # core/lib/hash/hash.h, Hash64Combine
        mixed = column + np.uint64(0x9E3779B97F4A7800) + (combined << np.uint64(10)) + (combined >> np.uint64(4))
        combined = combined ^ mixed
    return combined


def _dense_table(held, key_dtype, value_dtype, value_shape, buckets, max_load, *reserved):
    _check_buckets(buckets, max_load)
    key_shape = reserved[0].shape
    if len(key_shape) > 1:
        raise InvalidArgumentError(f"Empty key must be a scalar or a vector, got shape {describe(key_shape)}")
    if any(key.shape != key_shape for key in reserved):
        raise InvalidArgumentError(
            f"Empty and deleted keys must have same shape, got shapes: {describe(key_shape)} and "
            f"{describe(reserved[1].shape)}"
        )
    keys = np.stack([key.reshape(-1) for key in reserved])
    if len(keys) > 1 and np.array_equal(keys[0], keys[1]):
        raise InvalidArgumentError("Empty and deleted keys cannot be equal")
    return held_table(held, DenseTable(key_dtype, value_dtype, key_shape, value_shape or (), keys, buckets, max_load))


def _check_buckets(buckets, max_load):
    if buckets < 4 or buckets & (buckets - 1):
        raise InvalidArgumentError(f"Number of buckets must be at least 4 and a power of 2, got: {buckets}")
    if buckets > _MOST_BUCKETS:
        raise ResourceExhaustedError(
            f"{buckets} buckets are wanted, more than the {_MOST_BUCKETS} that a table may have"
        )
    if not 0 < max_load < 1:
        raise InvalidArgumentError(f"max_load_factor must be between 0 and 1, got: {max_load:g}")


@lower("MutableDenseHashTable", makes="table", host=True)
def mutable_dense_hash_table(
    empty_key, *, held, key_dtype, value_dtype, value_shape=(), initial_num_buckets=131072, max_load_factor=0.8
):
    """The first version, without a key of deleted buckets."""
    return _dense_table(held, key_dtype, value_dtype, value_shape, initial_num_buckets, max_load_factor, empty_key)


@lower("MutableDenseHashTableV2", makes="table", host=True)
def mutable_dense_hash_table_v2(
    empty_key, deleted_key, *, held, key_dtype, value_dtype, value_shape=(), initial_num_buckets=131072,
    max_load_factor=0.8,
):  # fmt: skip
    return _dense_table(
        held, key_dtype, value_dtype, value_shape, initial_num_buckets, max_load_factor, empty_key, deleted_key
    )
