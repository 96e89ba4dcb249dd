"""Writing checkpoints: V2, byte for byte as TensorFlow 1.15 does (`bundle` and `table` say how they look), and V1."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np

from mgjax import dtypes
from mgjax.checkpoint.bundle import data_path
from mgjax.checkpoint.checksum import crc32c_of_each, mask
from mgjax.checkpoint.replace import NewFiles, replace_bundle
from mgjax.checkpoint.slices import encode_key, encode_name, format_slice
from mgjax.checkpoint.strings import encode_strings
from mgjax.checkpoint.table import TableWriter
from mgjax.checkpoint.tensors import Tensor, prepare, slice_to_proto, strings_of
from mgjax.checkpoint.v1_writer import write_v1
from mgjax.checkpoint.wire import encode_varint
from mgjax.proto.checkpoint_pb2 import BundleEntryProto, BundleHeaderProto

_COPIED = 1 << 12  # bytes up to which a copy costs less than a view


def write(
    prefix: str | os.PathLike[str],
    tensors: Mapping[str, Any] | Iterable[tuple[Any, ...]],
    *,
    shards: int | None = None,
    version: int = 2,
) -> str:
    """Writes a checkpoint, in place of one of that name.

    At any moment, also after a crash, there is the old checkpoint or the new one (of a V1 checkpoint in several files,
    each file is). Values become arrays one at a time, when it is their turn, so that an iterable may make them as they are
    asked for.

    Args:
        prefix: path of the checkpoint, without `.index`. Its folder is made if only that is missing.
        tensors: what to write, in the order in which the data is to lie: values by name, or `Tensor`s, or tuples of
            their first fields.
        shards: number of data files; a tensor that does not say where goes to the one that has least. None for one, which
            V1 calls by the prefix itself.
        version: of the format, 1 or 2. TensorFlow 1.15 and 2.x read both.

    Returns:
        The path by which the checkpoint goes: `prefix`, or the pattern `prefix-?????-of-00002` of V1 shards.

    Raises:
        ValueError: a name twice, a value that has no TensorFlow type, a piece that does not fit its place.
        UnsupportedError: a type that V1 has no form for.
        OSError: the files cannot be written, for example because the disk is full.
    """
    prefix = os.fspath(prefix)
    folder = os.path.dirname(prefix)
    if folder and not os.path.isdir(folder):
        os.mkdir(folder)
    items = tensors.items() if isinstance(tensors, Mapping) else tensors
    given = (Tensor(*item) for item in items)  # type: ignore[misc]
    if version == 1:
        return write_v1(prefix, given, shards)
    if version != 2:
        raise ValueError(f"checkpoints are written in version 1 or 2, not {version!r}")
    paths = [data_path(prefix, shard, shards or 1) for shard in range(shards or 1)]
    with NewFiles() as files:
        bundle = _NewBundle([files.create(path, is_large=True) for path in paths])
        bundle.add_all(given)
        for path in paths:
            files.finish(path)
        index = f"{prefix}.index"
        bundle.write_index(files.create(index))
        files.finish(index)
        replace_bundle(prefix, files, paths)
    return prefix


def written_path(prefix: str, shards: int | None, version: int) -> str:
    """The path by which a checkpoint goes that `write` writes with these arguments."""
    return f"{prefix}-?????-of-{shards:05d}" if version == 1 and shards is not None else prefix


class _NewBundle:
    """What has been written to the data files, and the entries that say so."""

    def __init__(self, files: Sequence[BinaryIO]):
        self._files = files
        self._sizes = [0] * len(files)
        # Serialized entries by key; those of partitioned tensors, which only list pieces, grow until the end.
        self._entries: dict[bytes, bytes] = {}
        self._partitioned: dict[bytes, BundleEntryProto] = {}

    def add_all(self, tensors: Iterable[Tensor]) -> None:
        """Writes tensors to the data files, one at a time."""
        unsealed: list[tuple[bytes, bytes]] = []

        def written() -> Iterator[bytes | np.ndarray]:
            for tensor in tensors:
                try:
                    key, entry, data = self._add(tensor)
                except ValueError as error:
                    raise ValueError(f"cannot save {tensor.name!r}: {error}") from error
                if data is not None:
                    unsealed.append((key, entry))
                    yield data

        # Checksums of small tensors are taken together, so they come when all has been written.
        crcs = crc32c_of_each(written())
        entries, pack = self._entries, _CHECKSUM.pack
        for (key, entry), crc in zip(unsealed, crcs, strict=True):
            entries[key] = entry + pack(_CHECKSUM_TAG, mask(crc))

    def _add(self, tensor: Tensor) -> tuple[bytes, bytes, bytes | np.ndarray | None]:
        """Writes a tensor; its key, its entry, and the bytes of which the checksum is yet to be taken."""
        dtype, array = prepare(tensor)
        key = self._place(tensor, dtype, array.shape)
        data: bytes | np.ndarray
        if dtype is dtypes.string:
            data, crc = encode_strings(strings_of(array))
        else:
            data = array.tobytes() if array.nbytes <= _COPIED else array.reshape(-1).view(np.uint8)
        sizes, shard = self._sizes, tensor.shard
        if shard is None:
            shard = 0 if len(sizes) == 1 else min(range(len(sizes)), key=sizes.__getitem__)
        size = len(data)
        entry = _typed(dtype.number, array.shape)
        if shard:
            entry += b"\x18" + encode_varint(shard)
        if sizes[shard]:
            entry += b"\x20" + encode_varint(sizes[shard])
        if size:
            entry += b"\x28" + encode_varint(size)
        self._files[shard].write(data)  # type: ignore[arg-type]
        sizes[shard] += size
        if dtype is dtypes.string:
            self._entries[key] = entry + _CHECKSUM.pack(_CHECKSUM_TAG, mask(crc))
            return key, entry, None
        self._entries[key] = b""
        return key, entry, data

    def _place(self, tensor: Tensor, dtype: dtypes.DType, shape: tuple[int, ...]) -> bytes:
        """The key of the entry; that of a piece is also listed in the whole tensor's entry."""
        name, _, full_shape, extents, _, _ = tensor
        if name[:1] in ("", "\0"):
            raise ValueError("a name must begin with something else than a zero byte")
        key = encode_name(name)
        if full_shape is None or extents is None or shape == tuple(full_shape):
            if key in self._entries or key in self._partitioned:
                raise ValueError(f"Adding duplicate key: {name}")
            return key
        if key in self._entries:
            raise ValueError(f"Adding duplicate key: {name}, whole and as a piece")
        whole = _typed(dtype.number, tuple(full_shape))
        listed = self._partitioned.get(key)
        if listed is None:
            listed = self._partitioned[key] = BundleEntryProto.FromString(whole)
        elif _typed(listed.dtype, tuple(dim.size for dim in listed.shape.dim)) != whole:
            raise ValueError(f"a piece of {list(full_shape)}, where another was of another type or shape")
        piece_key = encode_key(name, extents)
        if piece_key in self._entries:
            raise ValueError(f"Adding duplicate key: {name}, slice {format_slice(extents)!r}")
        listed.slices.append(slice_to_proto(extents))
        return piece_key

    def write_index(self, file: BinaryIO) -> None:
        header = BundleHeaderProto(num_shards=len(self._files))
        header.version.producer = 1
        entries = self._entries | {key: entry.SerializeToString() for key, entry in self._partitioned.items()}
        table = TableWriter(file)
        table.add(b"", header.SerializeToString())
        for key in sorted(entries):
            table.add(key, entries[key])
        table.finish()


# The last field of an entry: fixed32 crc32c.
_CHECKSUM = struct.Struct("<BI")
_CHECKSUM_TAG = 0x35


@lru_cache(maxsize=4096)
def _typed(number: int, shape: tuple[int, ...]) -> bytes:
    """The beginning of an entry: the data type's number and the shape."""
    entry = BundleEntryProto(dtype=number)  # type: ignore[arg-type]
    entry.shape.SetInParent()
    for size in shape:
        entry.shape.dim.add(size=size)
    return entry.SerializeToString()
