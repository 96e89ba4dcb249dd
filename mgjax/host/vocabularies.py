"""Tables and remappings that are read from files: vocabularies, a line for a word, and matrices of checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mgjax import checkpoint, dtypes
from mgjax.dtypes import DType
from mgjax.errors import (
    InternalError,
    InvalidArgumentError,
    MissingFileError,
    NotFoundError,
    OutOfRangeError,
    UnimplementedError,
    UnknownNameError,
)
from mgjax.host.context import RunContext
from mgjax.host.strings import parse_number
from mgjax.ops import lower

_LINE_NUMBER, _WHOLE_LINE = -1, -2


@lower(
    "InitializeTableFromTextFile", "InitializeTableFromTextFileV2", updates=("table_handle",), context=True, host=True
)
def initialize_table_from_text_file(
    table_handle, filename, *, context, key_index, value_index, vocab_size=-1, delimiter="\t"
):
    """The table with a file's entries: keys and values are columns, whole lines (-2) or the lines' numbers (-1)."""
    if len(_bytes(delimiter)) != 1:
        raise InvalidArgumentError("delimiter should be only 1 char")
    path = _path(filename)
    columns = [
        _Column("Key", key_index, table_handle.key_dtype),
        _Column("Value", value_index, table_handle.value_dtype),
    ]
    lines = _entries(context, path, vocab_size)
    rows = [tuple(column.value(path, i, line, _bytes(delimiter), columns) for column in columns) for i, line in lines]
    keys, values = (
        _filled([row[k] for row in rows], column.dtype) for k, column in enumerate(columns)
    )  # fmt: skip
    return table_handle.initialize(keys, values)


class _Column:
    """Where a table's keys or values stand in a line.

    Attributes:
        index: a column's number, or one of the two special ones.
        dtype: of the table.
    """

    def __init__(self, what: str, index: int, dtype: DType):
        self.index = index
        self.dtype = dtype
        wanted: tuple[DType, ...] = ()
        if index == _LINE_NUMBER:
            wanted = (dtypes.int64,)
        elif index == _WHOLE_LINE:
            wanted = (dtypes.string, dtypes.int64) if what == "Key" else (dtypes.string,)
        if wanted and dtype not in wanted:
            place = "line number" if index == _LINE_NUMBER else "whole line"
            raise InvalidArgumentError(
                f"{what} index for {place} requires table {what.lower()} dtype of {wanted[0].name}, got {dtype.name}"
            )

    def value(self, path: str, number: int, line: bytes, delimiter: bytes, columns: list[_Column]) -> Any:
        if self.index == _LINE_NUMBER:
            return number
        if self.index == _WHOLE_LINE:
            return self._converted(line, number)
        tokens = line.split(delimiter)
        last = max(column.index for column in columns)
        if last >= len(tokens):
            raise InvalidArgumentError(
                f"Invalid number of columns in {path} line {number} ({line.decode(errors='replace')}) : "
                f"expected {last} got {len(tokens)}"
            )
        return self._converted(tokens[self.index], number)

    def _converted(self, token: bytes, number: int) -> Any:
        if self.dtype is dtypes.string:
            return token
        if self.dtype.name not in ("int32", "int64", "float32", "float64"):
            raise InvalidArgumentError(f"Data type {self.dtype.name} not supported.")
        try:
            return parse_number(token, self.dtype.numpy)
        except InvalidArgumentError as error:
            field = token.decode(errors="replace")
            raise InvalidArgumentError(f"Field {field} in line {number} is not a valid {self.dtype.name}.") from error


def _entries(context: RunContext, path: str, vocab_size: int) -> Iterator[tuple[int, bytes]]:
    """The numbers and contents of the lines that count: the first `vocab_size`, or all for -1."""
    content = context.files.read(path)
    if not content:
        raise OutOfRangeError("Read less bytes than requested")
    if not vocab_size:
        raise OutOfRangeError(f"Finished reading 0 of lines from {path}")
    lines = _lines(content)
    if 0 <= len(lines) < vocab_size:
        raise InvalidArgumentError(f"Invalid vocab_size in {path}: expected {vocab_size} but got {len(lines)}")
    position = 0
    for number, line in enumerate(lines if vocab_size < 0 else lines[:vocab_size]):
        position += len(line) + 1
        if not line:
            raise InvalidArgumentError(f"Invalid content in {path}: empty line found at position {position}.")
        yield number, line


def _lines(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def _filled(items: list[Any], dtype: DType) -> np.ndarray:
    array = np.empty(len(items), dtype.numpy)
    array[:] = items
    return array


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _path(filename: np.ndarray) -> str:
    if filename.ndim:
        raise InvalidArgumentError(f"filename should be a single string, but got {list(filename.shape)}")
    return _bytes(filename.item()).decode(errors="surrogateescape")


@lower("GenerateVocabRemapping", context=True, host=True)
def generate_vocab_remapping(
    new_vocab_file, old_vocab_file, *, context, new_vocab_offset, num_new_vocab, old_vocab_size=-1
):
    """For each of the new words its number in the old file, -1 where that lacks it; and how many it has."""
    old: dict[bytes, int] = {}
    for number, line in _entries(context, _path(old_vocab_file), old_vocab_size):
        if old.setdefault(line, number) != number:
            raise InvalidArgumentError(
                f"HashTable has different value for same key. Key {line.decode(errors='replace')} has {old[line]} and "
                f"trying to add value {number}"
            )
    new = dict(_entries(context, _path(new_vocab_file), -1))
    if len(new) < new_vocab_offset + num_new_vocab:
        raise InvalidArgumentError(
            f"Unexpectedly found only {max(0, len(new) - new_vocab_offset)} lines past new_vocab_offset={new_vocab_offset}, "
            f"num_new_vocab={num_new_vocab}"
        )
    remapping = [old.get(new[i], -1) for i in range(new_vocab_offset, new_vocab_offset + num_new_vocab)]
    return np.array(remapping, np.int64), np.array(sum(i >= 0 for i in remapping), np.int32)


@lower("LoadAndRemapMatrix", context=True, host=True)
def load_and_remap_matrix(
    ckpt_path, old_tensor_name, row_remapping, col_remapping, initializing_values, *,
    context, num_rows, num_cols, max_rows_in_memory=-1,
):  # fmt: skip
    """A checkpoint's matrix with its rows and columns in another order; new ones take `initializing_values` in turn.

    `max_rows_in_memory`, how much is read at once, plays no part.
    """
    rows = _remapping(row_remapping, num_rows, "row_remapping")
    columns = _remapping(col_remapping, num_cols, "col_remapping") if len(col_remapping) else None
    path, name = _path(ckpt_path), _bytes(old_tensor_name.item()).decode(errors="replace")
    context.files.check_readable(path)
    old = _read_matrix(path, name)
    if columns is None and old.shape[1] != num_cols:
        raise InvalidArgumentError(
            f"Tensor {name} in checkpoint {path} has {old.shape[1]} columns, but num_cols is {num_cols} and there is no "
            "col_remapping"
        )
    for numbers, size, what in ((rows, old.shape[0], "row"), (columns, old.shape[1], "column")):
        if numbers is not None and np.any(numbers >= size):
            raise InternalError(f"{what} {numbers.max()} is wanted of tensor {name}, which has {size}")
    output = old[np.maximum(rows, 0)] if old.size else np.zeros((num_rows, old.shape[1]), np.float32)
    is_missing = np.broadcast_to((rows < 0)[:, None], (num_rows, num_cols))
    if columns is not None:
        output = output[:, np.maximum(columns, 0)] if old.size else np.zeros((num_rows, num_cols), np.float32)
        is_missing = is_missing | (columns < 0)[None, :]
    wanted = int(np.count_nonzero(is_missing))
    given = initializing_values.ravel()
    if len(given) < wanted:
        raise InvalidArgumentError(
            f"Tried to initialize value for {wanted} cells but only have {len(given)} values; some need to be initialized"
        )
    if len(given) > wanted:
        raise InvalidArgumentError(
            f"Passed in {len(given)} initializing_values, but only {wanted} were needed to fill missing elements"
        )
    output = np.array(output, np.float32)
    output[is_missing] = given
    return output


def _remapping(numbers: np.ndarray, length: int, what: str) -> np.ndarray:
    if numbers.shape != (length,):
        raise InvalidArgumentError(f"Size of {what} is {numbers.size} intead of being equal to {length}")
    present = numbers[numbers >= 0]
    unique, counts = np.unique(present, return_counts=True)
    for number in unique[counts > 1][:1]:
        places = np.flatnonzero(numbers == number)
        raise UnimplementedError(
            f"Old ID {number} is mapped to both new ID {places[0]} and {places[1]}, which is not currently supported"
        )
    return numbers


def _read_matrix(path: str, name: str) -> np.ndarray:
    try:
        matrix = checkpoint.open(path).read(name)
    except (MissingFileError, UnknownNameError) as error:
        raise NotFoundError(str(error)) from error
    if matrix.ndim != 2 or matrix.dtype != np.float32:
        raise InvalidArgumentError(
            f"Tensor {name} in checkpoint {path} is {matrix.dtype}{list(matrix.shape)}, not a float32 matrix"
        )
    return matrix
