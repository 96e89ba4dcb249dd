"""Writing V2 checkpoints, byte for byte as TensorFlow 1.15 does; `bundle` and `table` say how they look."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mgjax import dtypes
from mgjax.checkpoint.bundle import data_path
from mgjax.checkpoint.checksum import crc32c_of_each, mask
from mgjax.checkpoint.replace import NewFiles, replace_bundle
from mgjax.checkpoint.slices import WHOLE, Slice, bounds_of, encode_key, encode_name, format_slice, sizes_of
from mgjax.checkpoint.strings import encode_strings
from mgjax.checkpoint.table import TableWriter
from mgjax.proto.checkpoint_pb2 import BundleEntryProto, BundleHeaderProto, TensorSliceProto

_COPIED = 1 << 12  # bytes up to which a copy costs less than a view


class Tensor(NamedTuple):
    """A tensor to be written (a tuple, as there are many).

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
    tensors: Mapping[str, Any] | Iterable[tuple[Any, ...]],
    *,
    shards: int = 1,
) -> None:
    """Writes a V2 checkpoint, in place of one of that name.

    At any moment, also after a crash, there is the old checkpoint or the new one. Values become arrays one at a time, when
    it is their turn, so that an iterable may make them as they are asked for.

    Args:
        prefix: path of the checkpoint, without `.index`. Its folder is made if only that is missing.
        tensors: what to write, in the order in which the data is to lie: values by name, or `Tensor`s, or tuples of
            their first fields.
        shards: number of data files; each tensor goes to the one that has least.

    Raises:
        ValueError: a name twice, a value that has no TensorFlow type, a piece that does not fit its place.
        OSError: the files cannot be written, for example because the disk is full.
    """
    prefix = os.fspath(prefix)
    folder = os.path.dirname(prefix)
    if folder and not os.path.isdir(folder):
        os.mkdir(folder)
    paths = [data_path(prefix, shard, shards) for shard in range(shards)]
    with NewFiles() as files:
        bundle = _NewBundle([files.create(path) for path in paths])
        bundle.add_all(tensors.items() if isinstance(tensors, Mapping) else tensors)
        for path in paths:
            files.finish(path)
        index = f"{prefix}.index"
        bundle.write_index(files.create(index))
        files.finish(index)
        replace_bundle(prefix, files, paths)


class _NewBundle:
    """What has been written to the data files, and the entries that say so."""

    def __init__(self, files: Sequence[BinaryIO]):
        self._files = files
        self._sizes = [0] * len(files)
        self._entries: dict[bytes, BundleEntryProto] = {}
        self._partitioned: set[bytes] = set()  # keys of entries that only list pieces

    def add_all(self, tensors: Iterable[tuple[Any, ...]]) -> None:
        """Writes tensors to the data files, one at a time."""
        unsealed: list[BundleEntryProto] = []

        def written() -> Iterator[bytes | np.ndarray]:
            for item in tensors:
                tensor = Tensor(*item)
                try:
                    entry, data = self._add(tensor)
                except ValueError as error:
                    raise ValueError(f"cannot save {tensor.name!r}: {error}") from error
                if data is not None:
                    unsealed.append(entry)
                    yield data

        # Checksums of small tensors are taken together, so they come when all has been written.
        crcs = crc32c_of_each(written())
        for entry, crc in zip(unsealed, crcs, strict=True):
            entry.crc32c = mask(crc)

    def _add(self, tensor: Tensor) -> tuple[BundleEntryProto, bytes | np.ndarray | None]:
        """Writes a tensor; its entry, and the bytes of which the checksum is yet to be taken."""
        array = np.asarray(tensor.value, order="C")
        dtype = _dtype_of(array.dtype) if tensor.dtype is None else _declared(tensor.dtype, array.dtype)
        entry = _entry(dtype, array.shape)
        self._place(tensor, entry, array.shape)

        data: bytes | np.ndarray
        if dtype is dtypes.string:
            data, crc = encode_strings(_strings(array))
            entry.crc32c = mask(crc)
        else:
            if not array.dtype.isnative:
                array = array.astype(array.dtype.newbyteorder("="))
            data = array.tobytes() if array.nbytes <= _COPIED else array.reshape(-1).view(np.uint8)
        shard = min(range(len(self._files)), key=self._sizes.__getitem__) if len(self._files) > 1 else 0
        entry.shard_id = shard
        entry.offset = self._sizes[shard]
        entry.size = size = len(data)
        self._files[shard].write(data)  # type: ignore[arg-type]
        self._sizes[shard] += size
        return entry, None if dtype is dtypes.string else data

    def _place(self, tensor: Tensor, entry: BundleEntryProto, shape: tuple[int, ...]) -> None:
        """Puts the entry under its key; that of a piece is also listed in the whole tensor's entry."""
        name, _, full_shape, extents, _ = tensor
        if name[:1] in ("", "\0"):
            raise ValueError("a name must begin with something else than a zero byte")
        key = encode_name(name)
        if full_shape is None or extents is None or _is_whole(shape, full_shape, extents):
            if key in self._entries:
                raise ValueError(f"Adding duplicate key: {name}")
            self._entries[key] = entry
            return
        whole = _entry(dtypes.from_number(entry.dtype), full_shape)
        listed = self._entries.setdefault(key, whole)
        if listed is whole:
            self._partitioned.add(key)
        elif key not in self._partitioned:
            raise ValueError(f"Adding duplicate key: {name}, whole and as a piece")
        elif (listed.dtype, listed.shape) != (whole.dtype, whole.shape):
            raise ValueError(f"a piece of {list(full_shape)}, where another was of another type or shape")
        piece_key = encode_key(name, extents)
        if piece_key in self._entries:
            raise ValueError(f"Adding duplicate key: {name}, slice {format_slice(extents)!r}")
        listed.slices.append(_slice_to_proto(extents))
        self._entries[piece_key] = entry

    def write_index(self, file: BinaryIO) -> None:
        header = BundleHeaderProto(num_shards=len(self._files))
        header.version.producer = 1
        table = TableWriter(file)
        table.add(b"", header.SerializeToString())
        for key in sorted(self._entries):
            table.add(key, self._entries[key].SerializeToString())
        table.finish()


def _is_whole(shape: tuple[int, ...], full_shape: tuple[int, ...], extents: Slice) -> bool:
    """Whether a piece is all of its tensor, and stored as that. Raises `ValueError` where it does not fit its place."""
    if sizes_of(bounds_of(extents, full_shape)) != shape:
        raise ValueError(
            "Slice in shape_and_slice specification does not match the shape of the tensor to  save: "
            f"{list(full_shape)} {format_slice(extents)}, tensor: {list(shape)}"
        )
    return shape == tuple(full_shape)


@cache
def _dtype_of(numpy: np.dtype) -> dtypes.DType:
    return dtypes.from_numpy(numpy.newbyteorder("="))


def _declared(dtype: dtypes.DType, numpy: np.dtype) -> dtypes.DType:
    if dtype.numpy != _dtype_of(numpy).numpy:
        raise ValueError(f"the value is {numpy}, not {dtype}")
    return dtype


def _entry(dtype: dtypes.DType, shape: Sequence[int]) -> BundleEntryProto:
    entry = BundleEntryProto(dtype=dtype.number)  # type: ignore[arg-type]
    entry.shape.SetInParent()
    add = entry.shape.dim.add
    for size in shape:
        add(size=size)
    return entry


def _strings(array: np.ndarray) -> list[bytes]:
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
