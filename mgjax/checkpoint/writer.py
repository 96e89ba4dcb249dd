"""Writing V2 checkpoints, byte for byte as TensorFlow 1.15 does; `bundle` and `table` say how they look."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from mgjax import dtypes
from mgjax.checkpoint.bundle import data_path
from mgjax.checkpoint.checksum import crc32c, crc32c_of_each, mask
from mgjax.checkpoint.replace import NewFiles, replace_bundle
from mgjax.checkpoint.slices import WHOLE, Slice, bounds_of, encode_key, encode_name, format_slice, sizes_of
from mgjax.checkpoint.strings import encode_strings
from mgjax.checkpoint.table import TableWriter
from mgjax.proto.checkpoint_pb2 import BundleEntryProto, BundleHeaderProto, TensorSliceProto

_GATHERED = 1 << 16  # bytes up to which tensors are gathered before they are written
_FLUSHED = 1 << 20  # bytes of gathered tensors that are written at once


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor to be written.

    Attributes:
        name: under which it is stored.
        value: an array, or what `np.asarray` makes one of; strings are objects (`bytes`, or `str` in UTF-8).
        full_shape: for a piece of a partitioned tensor, that tensor's shape; else None.
        extents: for a piece, where it lies: (start, length) a dimension, length -1 for all of it; else None.
        dtype: where the array does not tell (quantized types).
    """

    name: str
    value: Any
    full_shape: tuple[int, ...] | None = None
    extents: Slice | None = None
    dtype: dtypes.DType | None = None


def write(
    prefix: str | os.PathLike[str],
    tensors: Mapping[str, Any] | Iterable[Tensor | tuple[Any, ...]],
    *,
    shards: int = 1,
) -> None:
    """Writes a V2 checkpoint, in place of one of that name.

    At any moment, also after a crash, there is the old checkpoint or the new one. Values become arrays one at a time,
    when it is their turn, so that an iterable may make them as they are asked for.

    Args:
        prefix: path of the checkpoint, without `.index`. Its folder is made if only that is missing.
        tensors: what to write, in the order in which the data is to lie: values by name, or `Tensor`s or tuples of
            their
            first fields.
        shards: number of data files; each tensor goes to the one that has least.

    Raises:
        ValueError: a name twice, a value that has no TensorFlow type, a piece that does not fit its place.
        OSError: the files cannot be written, for example because the disk is full.
    """
    prefix = os.fspath(prefix)
    folder = os.path.dirname(prefix)
    if folder and not os.path.isdir(folder):
        os.mkdir(folder)
    items = tensors.items() if isinstance(tensors, Mapping) else tensors
    paths = [data_path(prefix, shard, shards) for shard in range(shards)]
    with NewFiles() as files:
        data = [_DataFile(files.create(path), shard) for shard, path in enumerate(paths)]
        entries: dict[bytes, BundleEntryProto] = {}
        for item in items:
            tensor = item if isinstance(item, Tensor) else Tensor(*item)
            smallest = min(data, key=lambda file: file.size) if shards > 1 else data[0]
            try:
                _add(entries, smallest, tensor)
            except ValueError as error:
                raise ValueError(f"cannot save {tensor.name!r}: {error}") from error
        for path, file in zip(paths, data, strict=True):
            file.flush()
            files.finish(path)
        index = f"{prefix}.index"
        _write_index(files.create(index), entries, shards)
        files.finish(index)
        replace_bundle(prefix, files, paths)


def _add(entries: dict[bytes, BundleEntryProto], file: _DataFile, tensor: Tensor) -> None:
    if tensor.name[:1] in ("", "\0"):
        raise ValueError("a name must begin with something else than a zero byte")
    key = encode_name(tensor.name)
    array = np.asarray(tensor.value, order="C")
    dtype = _dtype_of(array, tensor.dtype)
    if not _is_piece(tensor, array.shape):
        if key in entries:
            raise ValueError(f"Adding duplicate key: {tensor.name}")
        entries[key] = file.add(array, dtype)
        return
    assert tensor.full_shape is not None and tensor.extents is not None
    shape, extents = tuple(tensor.full_shape), tuple(tensor.extents)
    whole = entries.setdefault(key, _entry(dtype, shape))
    if not whole.slices and (whole.size or whole.crc32c):
        raise ValueError(f"Adding duplicate key: {tensor.name}, whole and as a piece")
    if (whole.dtype, tuple(dim.size for dim in whole.shape.dim)) != (dtype.number, shape):
        raise ValueError(f"a piece of {dtype}{list(shape)}, where another was of another type or shape")
    piece_key = encode_key(tensor.name, extents)
    if piece_key in entries:
        raise ValueError(f"Adding duplicate key: {tensor.name}, slice {format_slice(extents)!r}")
    whole.slices.append(_slice_to_proto(extents))
    entries[piece_key] = file.add(array, dtype)


def _is_piece(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether it is stored as a piece. One that is all of its tensor is stored as that."""
    if tensor.full_shape is None or tensor.extents is None:
        return False
    if sizes_of(bounds_of(tensor.extents, tensor.full_shape)) != shape:
        raise ValueError(
            "Slice in shape_and_slice specification does not match the shape of the tensor to  save: "
            f"{list(tensor.full_shape)} {format_slice(tensor.extents)}, tensor: {list(shape)}"
        )
    return shape != tuple(tensor.full_shape)


def _dtype_of(array: np.ndarray, declared: dtypes.DType | None) -> dtypes.DType:
    found = dtypes.from_numpy(array.dtype.newbyteorder("="))
    if declared is None or declared is found:
        return found
    if declared.numpy != found.numpy:
        raise ValueError(f"the value is {array.dtype}, not {declared}")
    return declared


def _entry(dtype: dtypes.DType, shape: tuple[int, ...]) -> BundleEntryProto:
    entry = BundleEntryProto(dtype=dtype.number)  # type: ignore[arg-type]
    entry.shape.SetInParent()
    add = entry.shape.dim.add
    for size in shape:
        add(size=size)
    return entry


class _DataFile:
    """One data file. Small tensors are gathered, so that there are few writes and their checksums are taken
    together."""

    def __init__(self, file: BinaryIO, shard: int):
        self._file = file
        self._shard = shard
        self.size = 0
        self._gathered = bytearray()
        self._awaiting: list[BundleEntryProto] = []  # their checksums, in the order in which they were gathered

    def add(self, array: np.ndarray, dtype: dtypes.DType) -> BundleEntryProto:
        entry = _entry(dtype, array.shape)
        entry.shard_id = self._shard
        entry.offset = self.size
        if dtype is dtypes.string:
            data, crc = encode_strings(_as_bytes(array))
            self.flush()
            self._file.write(data)
            entry.crc32c = mask(crc)
            entry.size = len(data)
        else:
            entry.size = array.nbytes
            if not array.dtype.isnative:
                array = array.astype(array.dtype.newbyteorder("="))
            if array.nbytes <= _GATHERED:
                self._gathered += array.tobytes()
                self._awaiting.append(entry)
                if len(self._gathered) >= _FLUSHED:
                    self.flush()
            else:
                self.flush()
                entry.crc32c = mask(crc32c(array))
                self._file.write(array.reshape(-1).view(np.uint8).data)
        self.size += entry.size
        return entry

    def flush(self) -> None:
        """Writes what has been gathered."""
        gathered = np.frombuffer(bytes(self._gathered), np.uint8)
        if self._awaiting:
            first = self._awaiting[0].offset
            parts = [gathered[entry.offset - first : entry.offset - first + entry.size] for entry in self._awaiting]
            for entry, crc in zip(self._awaiting, crc32c_of_each(parts), strict=True):
                entry.crc32c = mask(crc)
        self._file.write(gathered.data)
        self._gathered.clear()
        self._awaiting.clear()


def _as_bytes(array: np.ndarray) -> list[bytes]:
    strings = []
    for value in array.reshape(-1).tolist():
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, bytes):
            raise ValueError(f"an element of type {type(value).__name__} where strings (bytes or str) are needed")
        strings.append(value)
    return strings


def _slice_to_proto(extents: Slice) -> TensorSliceProto:
    message = TensorSliceProto()
    for start, length in extents:
        extent = message.extent.add()
        if length != WHOLE:
            extent.start = start
            extent.length = length
    return message


def _write_index(file: BinaryIO, entries: Mapping[bytes, BundleEntryProto], shards: int) -> None:
    header = BundleHeaderProto(num_shards=shards)
    header.version.producer = 1
    table = TableWriter(file)
    table.add(b"", header.SerializeToString())
    for key in sorted(entries):
        table.add(key, entries[key].SerializeToString())
    table.finish()
