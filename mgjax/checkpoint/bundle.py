"""V2 checkpoints, called bundles: a table `PREFIX.index` and data files `PREFIX.data-00000-of-00001`.

The table has a header under the empty key, an entry for each tensor under its name, and for each piece of a
partitioned tensor an entry under an encoded key; the tensor's own entry then only lists its pieces. An entry says in
which data file the bytes are, from where on, how many, and their masked CRC-32C. Elements lie in row-major order
without alignment.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError

from mgjax import dtypes
from mgjax.checkpoint.checksum import crc32c_of_each, mask
from mgjax.checkpoint.files import Source
from mgjax.checkpoint.slices import WHOLE, Slice, bounds_of, decode_name, encode_key, encode_name, sizes_of
from mgjax.checkpoint.strings import decode_strings
from mgjax.checkpoint.table import Table
from mgjax.errors import ReadError, UnsupportedError
from mgjax.proto.checkpoint_pb2 import BundleEntryProto, BundleHeaderProto, TensorSliceProto

_VERSION = 1  # of the format; a header may ask for a newer reader
_MOST_DIMENSIONS = 64  # of a NumPy array
_OUT_OF_RANGE = 11


@dataclass(frozen=True, slots=True)
class Stored:
    """How a tensor is stored.

    Attributes:
        dtype: its data type.
        shape: its full shape.
        pieces: the slices that it is stored as; empty for one that is stored whole.
    """

    dtype: dtypes.DType
    shape: tuple[int, ...]
    pieces: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    key: bytes
    dtype: dtypes.DType
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    pieces: tuple[Slice, ...]


class Bundle:
    """An open V2 checkpoint.

    Args:
        prefix: its path without `.index`.
        suffix: what follows the names of the files to read, where such files are (see `mgjax.checkpoint.replace`).
    """

    def __init__(self, prefix: str, suffix: str = ""):
        self._prefix = prefix
        self._suffix = suffix
        self._index = Source(f"{prefix}.index{suffix}")
        self._values = dict(Table(self._index))
        self._shards: dict[int, Source] = {}
        self._entries: dict[bytes, _Entry] = {}
        header = self._header()
        self._shard_count = header.num_shards
        self._is_big_endian = header.endianness == BundleHeaderProto.BIG

    def _header(self) -> BundleHeaderProto:
        if b"" not in self._values:
            raise ReadError(f"{self._index}: a table without the header of a checkpoint's index")
        try:
            header = BundleHeaderProto.FromString(self._values[b""])
        except DecodeError as error:
            raise ReadError(f"{self._index}: its header cannot be read: {error}") from error
        version = header.version
        if version.min_consumer > _VERSION or _VERSION in version.bad_consumers:
            raise UnsupportedError(
                f"{self._index}: written for readers of version {max(version.min_consumer, _VERSION + 1)} on; "
                f"this one has version {_VERSION}"
            )
        if version.producer < 0 or header.num_shards < 1:
            raise ReadError(f"{self._index}: a header of {header.num_shards} data files, version {version.producer}")
        return header

    def names(self) -> list[str]:
        """The names of all tensors, in the order of their bytes."""
        # Keys of pieces begin with a zero byte; the header's key is empty.
        return [decode_name(key) for key in self._values if key[:1] > b"\0"]

    def __contains__(self, name: str) -> bool:
        key = encode_name(name)
        return key in self._values and key != b""

    def stored(self, name: str) -> Stored:
        """How the tensor `name`, which must be there, is stored."""
        entry = self._entry(encode_name(name))
        return Stored(entry.dtype, entry.shape, entry.pieces)

    def read_whole(self, names: Sequence[str], verify: bool) -> list[np.ndarray]:
        """Tensors that are stored whole, as views of the mapped files where elements can be used as they lie."""
        entries = [self._entry(encode_name(name)) for name in names]
        if verify:
            self._verify([entry for entry in entries if entry.dtype.itemsize])
        return [self._array(entry, entry.shape, verify) for entry in entries]

    def read_piece(self, name: str, piece: Slice, verify: bool) -> np.ndarray:
        """One of the pieces that the tensor `name` is stored as."""
        whole = self._entry(encode_name(name))
        key = encode_key(name, piece)
        if key not in self._values:
            raise ReadError(f"{self._index}: {name!r} lists a piece {piece} that is not there")
        entry = self._entry(key)
        shape = sizes_of(bounds_of(piece, whole.shape))
        if entry.dtype is not whole.dtype or entry.shape != shape:
            raise ReadError(
                f"{self._index}: piece {piece} of {name!r} is {entry.dtype}{list(entry.shape)}; "
                f"it should be {whole.dtype}{list(shape)}"
            )
        if verify and entry.dtype.itemsize:
            self._verify([entry])
        return self._array(entry, shape, verify)

    def _entry(self, key: bytes) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._parse_entry(key)
        return entry

    def _parse_entry(self, key: bytes) -> _Entry:
        try:
            message = BundleEntryProto.FromString(self._values[key])
            dtype = dtypes.BY_NUMBER[message.dtype]
        except DecodeError as error:
            raise ReadError(f"{self._index}: the entry of {_describe(key)} cannot be read: {error}") from error
        except KeyError:
            raise UnsupportedError(
                f"{self._index}: {_describe(key)} is of data type number {message.dtype}, which is not known here"
            ) from None
        shape = tuple([dim.size for dim in message.shape.dim])
        if message.shape.unknown_rank or not is_usable_shape(shape):
            raise ReadError(f"{self._index}: {_describe(key)} has no usable shape: {list(shape[:8])}")
        if message.offset < 0 or message.size < 0 or not 0 <= message.shard_id < self._shard_count:
            raise ReadError(
                f"{self._index}: {_describe(key)} is said to be {message.size} bytes at {message.offset} "
                f"of data file {message.shard_id} of {self._shard_count}"
            )
        pieces = tuple(map(slice_from_proto, message.slices)) if message.slices else ()
        return _Entry(key, dtype, shape, message.shard_id, message.offset, message.size, message.crc32c, pieces)

    def _shard(self, number: int) -> Source:
        source = self._shards.get(number)
        if source is None:
            path = data_path(self._prefix, number, self._shard_count)
            if self._suffix and os.path.exists(path + self._suffix):
                path += self._suffix
            source = self._shards[number] = Source(path)
        return source

    def _where(self, entry: _Entry) -> str:
        source = self._shards.get(entry.shard, f"data file {entry.shard}")
        return (
            f"{source}: {_describe(entry.key)} ({entry.dtype}{list(entry.shape)}, {entry.size} bytes at {entry.offset})"
        )

    def _source_of(self, entry: _Entry) -> Source:
        """The data file of an entry, which is found to hold as many bytes as the entry's type and shape need."""
        if entry.dtype.itemsize and entry.size != math.prod(entry.shape) * entry.dtype.itemsize:
            raise ReadError(
                f"{self._where(entry)}: its type and shape need {math.prod(entry.shape) * entry.dtype.itemsize} bytes"
            )
        source = self._shard(entry.shard)
        if entry.offset + entry.size > source.size:
            error = ReadError(
                f"{self._where(entry)}: the file ends at {source.size}; it is truncated or of another checkpoint"
            )
            error.code = _OUT_OF_RANGE
            raise error
        return source

    def _verify(self, entries: Sequence[_Entry]) -> None:
        stored = [self._source_of(entry).view(entry.offset, entry.size) for entry in entries]
        for entry, crc in zip(entries, crc32c_of_each(stored), strict=True):
            if mask(crc) != entry.checksum:
                raise ReadError(self._mismatch(entry, crc))

    def _mismatch(self, entry: _Entry, crc: int) -> str:
        return (
            f"{self._where(entry)}: Checksum does not match: stored {entry.checksum} vs. "
            f"calculated on the restored bytes {mask(crc)}; the file is damaged"
        )

    def _array(self, entry: _Entry, shape: tuple[int, ...], verify: bool) -> np.ndarray:
        """The elements of an entry, whose checksum has been verified unless they are strings."""
        source = self._source_of(entry)
        if not entry.dtype.itemsize:
            return self._objects(entry, source.view(entry.offset, entry.size), verify)
        numpy = entry.dtype.numpy
        try:
            array = np.ndarray(shape, numpy, source.buffer, entry.offset)
        except ValueError as error:
            raise ReadError(f"{self._where(entry)}: no array has that shape: {error}") from error
        return _swapped(array) if self._is_big_endian and numpy.itemsize > 1 else array

    def _objects(self, entry: _Entry, data: np.ndarray, verify: bool) -> np.ndarray:
        if entry.dtype is not dtypes.string:
            raise UnsupportedError(f"{self._where(entry)}: tensors of type {entry.dtype} cannot be read")
        try:
            strings, crc = decode_strings(data, math.prod(entry.shape), big_endian=self._is_big_endian)
        except ReadError as error:
            raise ReadError(f"{self._where(entry)}: {error}") from error
        if verify and len(data) and mask(crc) != entry.checksum:
            raise ReadError(self._mismatch(entry, crc))
        return strings_to_array(strings, entry.shape)


def data_path(prefix: str, shard: int, shard_count: int) -> str:
    """The path of a data file."""
    return f"{prefix}.data-{shard:05d}-of-{shard_count:05d}"


def is_usable_shape(shape: tuple[int, ...]) -> bool:
    """Whether NumPy has arrays of that shape; it counts bytes even where a dimension is empty."""
    return len(shape) <= _MOST_DIMENSIONS and min(shape, default=0) >= 0 and math.prod(n or 1 for n in shape) < 2**58


def slice_from_proto(message: TensorSliceProto) -> Slice:
    """The slice that a message describes: an extent without a length is a whole dimension."""
    return tuple((extent.start, extent.length if extent.HasField("length") else WHOLE) for extent in message.extent)


def strings_to_array(strings: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """An array of objects; a plain `np.array` would pad the strings to one length."""
    array = np.empty(len(strings), object)
    array[:] = strings
    return array.reshape(shape)


def _describe(key: bytes) -> str:
    return f"a piece under key {key!r}" if key.startswith(b"\0") else repr(decode_name(key))


def _swapped(array: np.ndarray) -> np.ndarray:
    """A copy of an array of big-endian elements in the order of this machine."""
    part = array.dtype.itemsize // (2 if array.dtype.kind == "c" else 1)
    numbers = np.frombuffer(array.tobytes(), f">u{part}").astype(f"=u{part}")
    return numbers.view(array.dtype).reshape(array.shape)
