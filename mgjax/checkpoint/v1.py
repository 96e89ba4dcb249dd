"""V1 checkpoints: every file is a table, in which every tensor is stored as slices.

Under the empty key is a `SavedTensorSlices` with the metadata of all tensors in the file; under each slice's encoded
key is one with its data, as the typed repeated field of a `TensorProto` that has neither type nor shape. A sharded
checkpoint is the union of its files, and goes by a pattern such as `model-?????-of-00002`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from mgjax import dtypes
from mgjax.checkpoint import wire
from mgjax.checkpoint.bundle import is_usable_shape, slice_from_proto, strings_to_array
from mgjax.checkpoint.files import open_source
from mgjax.checkpoint.slices import Slice, bounds_of, encode_key, format_slice, sizes_of, whole_slice
from mgjax.checkpoint.table import Table
from mgjax.errors import ReadError, UnsupportedError
from mgjax.proto.checkpoint_pb2 import SavedSliceMeta, SavedTensorSliceMeta, SavedTensorSlices

FIXED_FIELDS = {"float32": (5, "<f4"), "float64": (6, "<f8"), "complex64": (9, "<c8"), "complex128": (12, "<c16")}
VARINT_FIELDS = {
    "int32": 7, "int16": 7, "int8": 7, "uint8": 7, "uint16": 7, "qint8": 7, "quint8": 7, "qint16": 7, "quint16": 7, "qint32": 7,
    "int64": 10, "bool": 11, "float16": 13, "bfloat16": 13, "uint32": 16, "uint64": 17,
}  # fmt: skip
STRING_FIELD = 8
_DATA, _SLICE_DATA = 2, 3  # SavedTensorSlices.data, SavedSlice.data


class Stored(NamedTuple):
    """How a tensor is stored: its data type, its full shape, and the slices, empty for one that is stored whole."""

    dtype: dtypes.DType
    shape: tuple[int, ...]
    pieces: tuple[Slice, ...]


class TensorSliceFiles:
    """The open files of a V1 checkpoint."""

    def __init__(self, paths: Sequence[str]):
        self._paths = ", ".join(paths)
        self._tensors: dict[str, tuple[dtypes.DType, tuple[int, ...], dict[Slice, Table]]] = {}
        for path in paths:
            table = Table(open_source(path))
            for tensor in _metadata(table, path).tensor:
                self._add(tensor, table, path)

    def _add(self, tensor: SavedSliceMeta, table: Table, path: str) -> None:
        name = tensor.name
        try:
            dtype = dtypes.BY_NUMBER[tensor.type]
        except KeyError:
            raise UnsupportedError(
                f"{path}: {name!r} is of data type number {tensor.type}, which is not known here"
            ) from None
        shape = tuple(dim.size for dim in tensor.shape.dim)
        if tensor.shape.unknown_rank or not is_usable_shape(shape):
            raise ReadError(f"{path}: {name!r} has no usable shape: {list(shape[:8])}")
        known_dtype, known_shape, pieces = self._tensors.setdefault(name, (dtype, shape, {}))
        if (known_dtype, known_shape) != (dtype, shape):
            raise ReadError(
                f"{path}: {name!r} is {dtype}{list(shape)} here and {known_dtype}{list(known_shape)} in another file"
            )
        for message in tensor.slice:
            piece = slice_from_proto(message)
            if piece in pieces:
                raise ReadError(f"{path}: {name!r} has slice {format_slice(piece)!r} twice")
            pieces[piece] = table

    def names(self) -> list[str]:
        """The names of all tensors, sorted."""
        return sorted(self._tensors)

    def stored(self, name: str) -> Stored | None:
        """How the tensor `name` is stored; None if there is no such tensor."""
        if name not in self._tensors:
            return None
        dtype, shape, pieces = self._tensors[name]
        is_whole = list(pieces) == [whole_slice(len(shape))]
        return Stored(dtype, shape, () if is_whole else tuple(pieces))

    def read_whole(self, names: Sequence[str], verify: bool) -> list[np.ndarray]:
        """Tensors that are stored whole. The blocks of a table are always verified."""
        return [self.read_piece(name, whole_slice(len(self._tensors[name][1])), verify) for name in names]

    def read_rows(self, name: str, start: int, stop: int) -> np.ndarray | None:
        """None: a tensor's values lie within a block, which is read as a whole."""
        return None

    def read_piece(self, name: str, piece: Slice, verify: bool) -> np.ndarray:
        """One of the pieces that the tensor `name` is stored as."""
        del verify
        dtype, shape, pieces = self._tensors[name]
        if piece not in pieces:
            raise ReadError(f"{self._paths}: {name!r}, {dtype}{list(shape)}, is listed without data")
        table = pieces[piece]
        value = table.find(encode_key(name, piece))
        if value is None:
            raise ReadError(f"{table}: the data of {name!r}, slice {format_slice(piece)!r}, is not there")
        try:
            message = wire.submessage(wire.submessage(memoryview(value), _DATA), _SLICE_DATA)
            return _decode(message, dtype, sizes_of(bounds_of(piece, shape)))
        except ReadError as error:
            raise ReadError(f"{table}: {name!r}, slice {format_slice(piece)!r}: {error}") from error


def _metadata(table: Table, path: str) -> SavedTensorSliceMeta:
    value = table.find(b"")
    if value is None:
        raise ReadError(f"{path}: a table without the metadata of a checkpoint")
    try:
        meta = SavedTensorSlices.FromString(value).meta
    except DecodeError as error:
        raise ReadError(f"{path}: its metadata cannot be read: {error}") from error
    if meta.versions.min_consumer > 1:
        raise UnsupportedError(
            f"{path}: written for readers of version {meta.versions.min_consumer} on; this one has version 1"
        )
    return meta


def _decode(message: memoryview, dtype: dtypes.DType, shape: tuple[int, ...]) -> np.ndarray:
    count = math.prod(shape)
    if dtype.name in FIXED_FIELDS:
        number, layout = FIXED_FIELDS[dtype.name]
        part = np.dtype("<f4" if layout in ("<f4", "<c8") else "<f8")
        values = wire.packed_fixed(message, number, part)
        if dtype.is_complex and len(values) == 2 * count:
            values = values.view(layout)
    elif dtype.name in VARINT_FIELDS:
        values = _from_bits(wire.packed_varints(message, VARINT_FIELDS[dtype.name]), dtype)
    elif dtype is dtypes.string:
        values = strings_to_array(wire.byte_strings(message, STRING_FIELD), (-1,))
    else:
        raise UnsupportedError(f"tensors of type {dtype} cannot be read from a V1 checkpoint")
    if len(values) != count:
        raise ReadError(f"{len(values)} values for {dtype}{list(shape)}")
    return values.reshape(shape)


def _from_bits(bits: np.ndarray, dtype: dtypes.DType) -> np.ndarray:
    if dtype.is_floating:
        return bits.astype(np.uint16).view(dtype.numpy)
    return bits.astype(dtype.numpy)
