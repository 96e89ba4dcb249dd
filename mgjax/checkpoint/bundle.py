"""V2 checkpoints, called bundles: a table `PREFIX.index` and data files `PREFIX.data-00000-of-00001`.

The table has a header under the empty key, an entry for each tensor under its name, and for each piece of a
partitioned tensor an entry under an encoded key; the tensor's own entry then only lists its pieces. An entry says in
which data file the bytes are, from where on, how many, and their masked CRC-32C. Elements lie in row-major order
without alignment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from mgjax import dtypes
from mgjax.checkpoint.checksum import crc32c, crc32c_of_concatenation, crc32c_of_each, mask, unmask
from mgjax.checkpoint.files import Source, is_file, open_source
from mgjax.checkpoint.slices import WHOLE, Slice, bounds_of, decode_name, encode_key, encode_name, sizes_of
from mgjax.checkpoint.strings import decode_strings
from mgjax.checkpoint.table import Table
from mgjax.errors import ReadError, UnsupportedError
from mgjax.proto.checkpoint_pb2 import BundleEntryProto, BundleHeaderProto, TensorSliceProto

_VERSION = 1  # of the format; a header may ask for a newer reader
_MOST_DIMENSIONS = 64  # of a NumPy array
_MOST_ELEMENTS = 2**58
_OUT_OF_RANGE = 11


class Entry(NamedTuple):
    """How a tensor is stored (a tuple, as there are many).

    Attributes:
        key: in the index.
        dtype: its data type.
        shape: its full shape.
        pieces: the slices that it is stored as; empty for one that is stored whole.
        shard: number of the data file.
        offset: of its bytes in that file.
        size: of its bytes.
        checksum: their masked CRC-32C.
    """

    key: bytes
    dtype: dtypes.DType
    shape: tuple[int, ...]
    pieces: tuple[Slice, ...]
    shard: int
    offset: int
    size: int
    checksum: int


class Bundle:
    """An open V2 checkpoint.

    Args:
        prefix: its path without `.index`.
        suffix: what follows the names of the files to read, where such files are (see `mgjax.checkpoint.replace`).

    Attributes:
        shard_count: the number of its data files.
        is_big_endian: whether numbers have their highest byte first.
    """

    def __init__(self, prefix: str, suffix: str = ""):
        self._prefix = prefix
        self._suffix = suffix
        self._index = open_source(f"{prefix}.index{suffix}")
        self._values = dict(Table(self._index))
        self._shards: dict[int, Source] = {}
        self._entries: dict[bytes, Entry] = {}
        header = self._header()
        self.shard_count = header.num_shards
        self.is_big_endian = header.endianness == BundleHeaderProto.BIG

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

    def __str__(self) -> str:
        return self._prefix

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and serialized entries, of pieces too, in the order of the keys."""
        return ((key, value) for key, value in self._values.items() if key)

    def names(self) -> list[str]:
        """The names of all tensors, in the order of their bytes."""
        # Keys of pieces begin with a zero byte; the header's key is empty.
        return [decode_name(key) for key in self._values if key[:1] > b"\0"]

    def stored(self, name: str) -> Entry | None:
        """How the tensor `name` is stored; None if there is no such tensor."""
        return self._entry(encode_name(name)) if name else None

    def read_whole(self, names: Sequence[str], verify: bool) -> list[np.ndarray]:
        """Tensors that are stored whole, as views of the mapped files where elements can be used as they lie."""
        # What is asked for is there.
        entries: list[Entry] = [self._entry(encode_name(name)) for name in names]  # type: ignore[misc]
        wanted: dict[int, list[tuple[int, int]]] = {}
        for entry in entries:
            wanted.setdefault(entry.shard, []).append((entry.offset, entry.size))
        for shard, ranges in wanted.items():
            self._shard(shard).expect(ranges)
        arrays = [self._array(entry, verify) for entry in entries]
        if verify:
            self._verify([entry for entry in entries if entry.dtype is not dtypes.string])
        for shard in wanted:
            self._shard(shard).expect(())
        return arrays

    def read_rows(self, name: str, start: int, stop: int) -> np.ndarray | None:
        """Rows of a tensor that is stored whole, unverified; of a remote file nothing else is read. None for strings."""
        entry = self._entry(encode_name(name))
        assert entry is not None
        self._check_end(entry)
        row = math.prod(entry.shape[1:]) * entry.dtype.itemsize
        if not entry.dtype.is_numeric or not entry.shape or row * entry.shape[0] != entry.size:
            return None
        shape = (stop - start, *entry.shape[1:])
        array = self._shard(entry.shard).array(entry.dtype.numpy, shape, entry.offset + start * row)
        return _swapped(array) if self.is_big_endian and entry.dtype.itemsize > 1 else array

    def read_piece(self, name: str, piece: Slice, verify: bool) -> np.ndarray:
        """One of the pieces that the tensor `name` is stored as."""
        whole = self._entry(encode_name(name))
        entry = self._entry(encode_key(name, piece))
        assert whole is not None
        if entry is None:
            raise ReadError(f"{self._index}: {name!r} lists a piece {piece} that is not there")
        shape = sizes_of(bounds_of(piece, whole.shape))
        if entry.dtype is not whole.dtype or entry.shape != shape:
            raise ReadError(
                f"{self._index}: piece {piece} of {name!r} is {entry.dtype}{list(entry.shape)}; "
                f"it should be {whole.dtype}{list(shape)}"
            )
        array = self._array(entry, verify)
        if verify and entry.dtype is not dtypes.string:
            self._verify([entry])
        return array

    def _entry(self, key: bytes) -> Entry | None:
        entry = self._entries.get(key)
        if entry is None and key in self._values:
            entry = self._entries[key] = self._parse_entry(key, self._values[key])
        return entry

    def _parse_entry(self, key: bytes, value: bytes) -> Entry:
        try:
            message = BundleEntryProto.FromString(value)
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
        shard, offset, size = message.shard_id, message.offset, message.size
        if offset < 0 or size < 0 or not 0 <= shard < self.shard_count:
            raise ReadError(
                f"{self._index}: {_describe(key)} is said to be {size} bytes at {offset} "
                f"of data file {shard} of {self.shard_count}"
            )
        pieces = tuple(map(slice_from_proto, message.slices)) if message.slices else ()
        return Entry(key, dtype, shape, pieces, shard, offset, size, message.crc32c)

    def _shard(self, number: int) -> Source:
        source = self._shards.get(number)
        if source is None:
            path = data_path(self._prefix, number, self.shard_count)
            if self._suffix and is_file(path + self._suffix):
                path += self._suffix
            source = self._shards[number] = open_source(path)
        return source

    def _where(self, entry: Entry) -> str:
        source = self._shards.get(entry.shard, f"data file {entry.shard}")
        return (
            f"{source}: {_describe(entry.key)} ({entry.dtype}{list(entry.shape)}, {entry.size} bytes at {entry.offset})"
        )

    def _array(self, entry: Entry, verify: bool) -> np.ndarray:
        """The elements of an entry, of which only strings are verified here."""
        source = self._check_end(entry)
        _, dtype, shape, _, _, offset, size, _ = entry
        if dtype.numpy.hasobject:
            return self._objects(entry, source.view(offset, size), verify)
        try:
            array = source.array(dtype.numpy, shape, offset)
        except (TypeError, ValueError) as error:
            # NumPy says so where the file ends before the array does.
            raise ReadError(f"{self._where(entry)}: its type and shape need other bytes: {error}") from error
        if array.nbytes != size:
            raise ReadError(f"{self._where(entry)}: its type and shape need {array.nbytes} bytes")
        return _swapped(array) if self.is_big_endian and dtype.itemsize > 1 else array

    def _check_end(self, entry: Entry) -> Source:
        """The entry's file, if that is long enough."""
        source = self._shards.get(entry.shard) or self._shard(entry.shard)
        if entry.offset + entry.size > source.size:
            error = ReadError(
                f"{self._where(entry)}: the file ends at {source.size}; it is truncated or of another checkpoint"
            )
            error.code = _OUT_OF_RANGE
            raise error
        return source

    def _verify(self, entries: Sequence[Entry]) -> None:
        """Compares entries with their checksums; those that lie one behind the other all at once, unless that fails."""
        for run in _runs(sorted(entries, key=_place)):
            first = run[0]
            source = self._shard(first.shard)
            found = crc32c(source.view(first.offset, run[-1].offset + run[-1].size - first.offset))
            expected = [unmask(entry.checksum) for entry in run]
            if found == crc32c_of_concatenation(expected, [entry.size for entry in run]):
                continue
            views = [source.view(entry.offset, entry.size) for entry in run]
            for entry, crc, right in zip(run, crc32c_of_each(views), expected, strict=True):
                if crc != right:
                    raise ReadError(self._mismatch(entry, crc))

    def _mismatch(self, entry: Entry, crc: int) -> str:
        return (
            f"{self._where(entry)}: Checksum does not match: stored {entry.checksum} vs. "
            f"calculated on the restored bytes {mask(crc)}; the file is damaged"
        )

    def _objects(self, entry: Entry, data: np.ndarray, verify: bool) -> np.ndarray:
        if entry.dtype is not dtypes.string:
            raise UnsupportedError(f"{self._where(entry)}: tensors of type {entry.dtype} cannot be read")
        try:
            strings, crc = decode_strings(data, math.prod(entry.shape), big_endian=self.is_big_endian)
        except ReadError as error:
            raise ReadError(f"{self._where(entry)}: {error}") from error
        if verify and len(data) and mask(crc) != entry.checksum:
            raise ReadError(self._mismatch(entry, crc))
        return strings_to_array(strings, entry.shape)


def _place(entry: Entry) -> tuple[int, int, int]:
    return entry.shard, entry.offset, entry.size


def _runs(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cuts entries, sorted by place, where one does not begin at the end of the one before it."""
    run: list[Entry] = []
    for entry in entries:
        if run and (entry.shard, entry.offset) != (run[-1].shard, run[-1].offset + run[-1].size):
            yield run
            run = []
        run.append(entry)
    if run:
        yield run


def data_path(prefix: str, shard: int, shard_count: int) -> str:
    """The path of a data file."""
    return f"{prefix}.data-{shard:05d}-of-{shard_count:05d}"


def is_usable_shape(shape: tuple[int, ...]) -> bool:
    """Whether NumPy has arrays of that shape; it counts bytes even where a dimension is empty."""
    if len(shape) > _MOST_DIMENSIONS or min(shape, default=0) < 0:
        return False
    return math.prod(shape if 0 not in shape else [size or 1 for size in shape]) < _MOST_ELEMENTS


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
