"""Lookup tables. A table is a value: what changes one makes another, and leaves the old as it was.

`HashTable` is empty until it is initialized, and then stays as it is; `MutableHashTable` is there from the beginning. What
they hold comes out in the order in which it came in, where TensorFlow's order is that of its hash map.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mgjax.dtypes import DType
from mgjax.errors import AbortedError, FailedPreconditionError, InvalidArgumentError, UnimplementedError
from mgjax.ops import HostObject, lower
from mgjax.shapes import describe

_STATIC, _MUTABLE = "HashTable", "MutableHashTable"


class Table(HostObject):
    """Keys and the values that they stand for.

    Attributes:
        kind: "HashTable" or "MutableHashTable".
        key_dtype, value_dtype: of keys and values.
        value_shape: of one value.
        entries: from key, a Python number or bytes, to value, a Python scalar for a scalar; None before a `HashTable` is
            initialized.
    """

    __slots__ = ("entries", "key_dtype", "kind", "value_dtype", "value_shape")

    def __init__(
        self,
        kind: str,
        key_dtype: DType,
        value_dtype: DType,
        value_shape: tuple[int, ...] = (),
        entries: dict[Any, Any] | None = None,
    ):
        self.kind = kind
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self.value_shape = value_shape
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries or ())

    def __repr__(self) -> str:
        size = "not initialized" if self.entries is None else f"{len(self.entries)} entries"
        return f"<{self.kind} {self.key_dtype.name} -> {self.value_dtype.name}, {size}>"

    def with_entries(self, entries: dict[Any, Any]) -> Table:
        return Table(self.kind, self.key_dtype, self.value_dtype, self.value_shape, entries)

    def find(self, keys: np.ndarray, default: np.ndarray) -> np.ndarray:
        """The values of the keys, `default` for those that are not there: keys' shape before a value's."""
        if self.entries is None:
            raise FailedPreconditionError("Table not initialized.")
        check_dtypes(self, keys, default)
        if default.shape != self.value_shape:
            raise InvalidArgumentError(
                f"Expected shape {describe(self.value_shape)} for default value, got {describe(default.shape)}"
            )
        missing = default.item() if not self.value_shape else default
        found = [self.entries.get(key, missing) for key in keys.ravel().tolist()]
        return self._values(found, keys.shape)

    def insert(self, keys: np.ndarray, values: np.ndarray) -> Table:
        """The table with further entries, which replace those of the same keys."""
        self._check_mutable("Insert")
        return self.with_entries({**(self.entries or {}), **dict(self._pairs(keys, values))})

    def replace(self, keys: np.ndarray, values: np.ndarray) -> Table:
        """The table with these entries alone; a `HashTable` is initialized by it."""
        if self.kind == _STATIC:
            return self.initialize(keys, values)
        return self.with_entries(dict(self._pairs(keys, values)))

    def remove(self, keys: np.ndarray) -> Table:
        """The table without the entries of these keys."""
        self._check_mutable("Remove")
        check_dtypes(self, keys)
        entries = dict(self.entries or {})
        for key in keys.ravel().tolist():
            entries.pop(key, None)
        return self.with_entries(entries)

    def initialize(self, keys: np.ndarray, values: np.ndarray) -> Table:
        """A `HashTable` with its entries.

        Raises:
            FailedPreconditionError: a key that stands for two values, or a table that has another number of entries already.
        """
        if self.kind != _STATIC:
            raise InvalidArgumentError(f"Table is not initializable: it is a {self.kind}")
        pairs = list(self._pairs(keys, values))
        if self.entries is not None:
            # As TensorFlow does, only the numbers of entries are compared (core/kernels/lookup_util.cc).
            if len(pairs) != len(self.entries):
                raise FailedPreconditionError("Table was already initialized with different data.")
            return self
        entries: dict[Any, Any] = {}
        for key, value in pairs:
            if not _same(entries.setdefault(key, value), value):
                raise FailedPreconditionError(
                    f"HashTable has different value for same key. Key {_text(key)} has {_text(entries[key])} and "
                    f"trying to add value {_text(value)}"
                )
        return self.with_entries(entries)

    def export(self) -> tuple[np.ndarray, np.ndarray]:
        """All keys and all values."""
        if self.entries is None:
            raise AbortedError("HashTable is not initialized.")
        size = (len(self.entries),)
        return _array(list(self.entries), self.key_dtype, size), self._values(list(self.entries.values()), size)

    def _check_mutable(self, what: str) -> None:
        if self.kind == _STATIC:
            raise UnimplementedError(f"{what} not supported by InitializableLookupTable implementations")

    def _pairs(self, keys: np.ndarray, values: np.ndarray) -> Iterable[tuple[Any, Any]]:
        check_dtypes(self, keys, values)
        wanted = keys.shape + self.value_shape
        if values.shape != wanted:
            raise InvalidArgumentError(f"Expected shape {describe(wanted)} for value, got {describe(values.shape)}")
        if not self.value_shape:
            return zip(keys.ravel().tolist(), values.ravel().tolist(), strict=True)
        # A view would keep the whole batch alive, and change with it.
        rows = values.reshape(-1, *self.value_shape).copy()
        return zip(keys.ravel().tolist(), rows, strict=True)

    def _values(self, values: list[Any], leading: tuple[int, ...]) -> np.ndarray:
        if not self.value_shape:
            return _array(values, self.value_dtype, leading)
        stacked = np.empty((len(values), *self.value_shape), self.value_dtype.numpy)
        for i, value in enumerate(values):
            stacked[i] = value
        return stacked.reshape(leading + self.value_shape)


def _array(items: list[Any], dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(items), dtype.numpy)
    array[:] = items
    return array.reshape(shape)


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def check_dtypes(table: Any, keys: np.ndarray, values: np.ndarray | None = None) -> None:
    """Raises `InvalidArgumentError` where keys or values are of another dtype than the table's."""
    wanted = table.key_dtype, table.value_dtype
    found = keys.dtype, wanted[1].numpy if values is None else values.dtype
    if found != (wanted[0].numpy, wanted[1].numpy):
        names = ["string" if dtype.kind == "O" else str(dtype) for dtype in found]
        raise InvalidArgumentError(
            f"Signature mismatch, have: {names[0]}->{names[1]} expected: {wanted[0].name}->{wanted[1].name}"
        )


# ---- handles


def held_table(held: Any, table: Any) -> Any:
    """The table that the handle stands for already, if it is of the same kind; the new one where there is none."""
    if held is None:
        return table
    if type(held) is not type(table) or held.kind != table.kind:
        raise InvalidArgumentError(f"the handle stands for {held!r} already, which is no {table.kind}")
    if (held.key_dtype, held.value_dtype) != (table.key_dtype, table.value_dtype):
        raise InvalidArgumentError(
            f"Conflicting key/value dtypes {table.key_dtype.name}->{table.value_dtype.name} with "
            f"{held.key_dtype.name}-{held.value_dtype.name} for table"
        )
    return held


@lower("HashTable", "HashTableV2", makes="table", host=True)
def hash_table(*, held, key_dtype, value_dtype):
    return held_table(held, Table(_STATIC, key_dtype, value_dtype))


@lower("MutableHashTable", "MutableHashTableV2", makes="table", host=True)
def mutable_hash_table(*, held, key_dtype, value_dtype):
    return held_table(held, Table(_MUTABLE, key_dtype, value_dtype, entries={}))


@lower("MutableHashTableOfTensors", "MutableHashTableOfTensorsV2", makes="table", host=True)
def mutable_hash_table_of_tensors(*, held, key_dtype, value_dtype, value_shape=()):
    if value_shape is None or len(value_shape) != 1 or value_shape[0] is None:
        raise InvalidArgumentError(f"Default value must be a vector, got shape {describe(value_shape)}")
    return held_table(held, Table(_MUTABLE, key_dtype, value_dtype, value_shape, {}))


# ---- what is done with them


@lower("LookupTableFind", "LookupTableFindV2", reads=("table_handle",), host=True)
def lookup_table_find(table_handle, keys, default_value):
    return table_handle.find(keys, default_value)


@lower("LookupTableSize", "LookupTableSizeV2", reads=("table_handle",), host=True)
def lookup_table_size(table_handle):
    return np.array(len(table_handle), np.int64)


@lower("LookupTableExport", "LookupTableExportV2", reads=("table_handle",), host=True)
def lookup_table_export(table_handle):
    return table_handle.export()


@lower("LookupTableInsert", "LookupTableInsertV2", updates=("table_handle",), host=True)
def lookup_table_insert(table_handle, keys, values):
    return table_handle.insert(keys, values)


@lower("LookupTableImport", "LookupTableImportV2", updates=("table_handle",), host=True)
def lookup_table_import(table_handle, keys, values):
    return table_handle.replace(keys, values)


@lower("LookupTableRemoveV2", updates=("table_handle",), host=True)
def lookup_table_remove(table_handle, keys):
    return table_handle.remove(keys)


@lower("InitializeTable", "InitializeTableV2", updates=("table_handle",), host=True)
def initialize_table(table_handle, keys, values):
    if keys.ndim != 1:
        raise InvalidArgumentError(f"Keys must be a vector, but received shape{describe(keys.shape)}")
    if values.ndim != 1:
        raise InvalidArgumentError(f"Values must be a vector, but received shape{describe(values.shape)}")
    if keys.shape != values.shape:
        raise InvalidArgumentError(f"Keys and values must have the same size {keys.size} vs {values.size}")
    return table_handle.initialize(keys, values)
