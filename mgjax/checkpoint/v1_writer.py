"""Writing V1 checkpoints, byte for byte as TensorFlow does; `v1` and `table` say how they look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mgjax import dtypes
from mgjax.checkpoint import wire
from mgjax.checkpoint.replace import NewFiles, synchronize_folder
from mgjax.checkpoint.slices import Slice, encode_key, encode_name, format_slice, whole_slice
from mgjax.checkpoint.table import TableWriter
from mgjax.checkpoint.tensors import Tensor, prepare, slice_to_proto, strings_of
from mgjax.checkpoint.v1 import FIXED_FIELDS, STRING_FIELD, VARINT_FIELDS
from mgjax.errors import UnsupportedError
from mgjax.proto.checkpoint_pb2 import SavedSlice, SavedSliceMeta, SavedTensorSlices

#: What TensorFlow has no form for in this format.
_NOT_SAVED = ("bfloat16", "uint32", "uint64")


def write_v1(prefix: str, tensors: Iterable[Tensor], shards: int | None) -> str:
    """Writes a V1 checkpoint, in place of one of that name, each file as a whole.

    Args:
        prefix: the path of the file, or the prefix of its shards.
        tensors: what to write.
        shards: how many files, whose names say so; None for one under the name itself.

    Returns:
        The path by which it goes: `prefix`, or the pattern of its shards.
    """
    tables = [_NewTable() for _ in range(shards or 1)]
    for tensor in tensors:
        table = tables[tensor.shard] if tensor.shard is not None else min(tables, key=lambda table: table.size)
        table.add(tensor)
    paths = [prefix if shards is None else f"{prefix}-{i:05d}-of-{shards:05d}" for i in range(shards or 1)]
    with NewFiles() as files:
        for path, table in zip(paths, tables, strict=True):
            table.write(files.create(path))
            files.finish(path)
        for path in paths:
            files.place(path)
    synchronize_folder(prefix)
    return prefix if shards is None else f"{prefix}-?????-of-{shards:05d}"


class _NewTable:
    """The entries of one file.

    Attributes:
        size: how many bytes of values it has.
    """

    def __init__(self) -> None:
        self.size = 0
        self._metas: dict[str, SavedSliceMeta] = {}
        self._entries: dict[bytes, bytes] = {}

    def add(self, tensor: Tensor) -> None:
        try:
            dtype, array = prepare(tensor)
            shape = array.shape if tensor.full_shape is None else tuple(tensor.full_shape)
            extents = whole_slice(len(shape)) if tensor.extents is None else tensor.extents
            key = encode_key(tensor.name, extents)
            if key in self._entries:
                raise ValueError(f"Adding duplicate key: {tensor.name}, slice {format_slice(extents)!r}")
            self._add_meta(tensor.name, dtype, shape, extents)
            value = _encode(array, dtype)
        except ValueError as error:
            raise ValueError(f"cannot save {tensor.name!r}: {error}") from error
        saved = SavedSlice(name=tensor.name, slice=slice_to_proto(extents)).SerializeToString()
        saved += wire.encode_field(3, value)
        self._entries[key] = wire.encode_field(2, saved)
        self.size += len(value)

    def _add_meta(self, name: str, dtype: dtypes.DType, shape: Sequence[int], extents: Slice) -> None:
        meta = self._metas.get(name)
        if meta is None:
            meta = self._metas[name] = SavedSliceMeta(name=name, type=dtype.number)  # type: ignore[arg-type]
            meta.shape.SetInParent()
            for size in shape:
                meta.shape.dim.add(size=size)
        elif meta.type != dtype.number or [dim.size for dim in meta.shape.dim] != list(shape):
            raise ValueError(f"a piece of {list(shape)}, where another was of another type or shape")
        meta.slice.append(slice_to_proto(extents))

    def write(self, file: object) -> None:
        header = SavedTensorSlices()
        header.meta.tensor.extend(self._metas[name] for name in sorted(self._metas, key=encode_name))
        header.meta.versions.producer = 1
        table = TableWriter(file)  # type: ignore[arg-type]
        table.add(b"", header.SerializeToString())
        for key in sorted(self._entries):
            table.add(key, self._entries[key])
        table.finish()


def _encode(array: np.ndarray, dtype: dtypes.DType) -> bytes:
    """The elements as the repeated field of a TensorProto."""
    if dtype.name in _NOT_SAVED:
        raise UnsupportedError(f"Saving data type {dtype} not yet supported in a V1 checkpoint; write a V2 checkpoint")
    if dtype is dtypes.string:
        return b"".join(wire.encode_field(STRING_FIELD, string) for string in strings_of(array))
    if not array.size:
        return b""
    if dtype.name in FIXED_FIELDS:
        number, layout = FIXED_FIELDS[dtype.name]
        return wire.encode_field(number, array.astype(layout, copy=False).tobytes())
    bits = array.reshape(-1)
    numbers = bits.view(np.uint16) if dtype.is_floating else bits.astype(np.int64).view(np.uint64)
    return wire.encode_field(VARINT_FIELDS[dtype.name], wire.encode_varints(numbers))
