"""Datasets of what files hold: lines, TFRecords, records of one length, rows of CSV; and the names of files.

Only files that the user allowed are opened (`mgjax.host.files`). A damaged file ends with a `DataLossError`; the iterator
then goes on with the next file.
"""

from __future__ import annotations

import glob
import gzip
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np

from mgjax.checkpoint import masked_crc32c
from mgjax.errors import DataLossError, InvalidArgumentError
from mgjax.host.datasets.dataset import (
    Dataset,
    Element,
    Pipeline,
    Place,
    dataset_of,
    description,
    new_pipeline,
    scalar,
    vector,
)
from mgjax.host.files import FileAccess
from mgjax.host.parsing import decode_csv
from mgjax.host.strings import strings
from mgjax.ops import lower

_PIECE = 1 << 20
"""Bytes read at once, so that a forged length allocates no more than the file holds."""


class Stream:
    """A file's content, uncompressed, from its start.

    Args:
        path: for errors.
        compression: `b""`, `b"GZIP"` or `b"ZLIB"`.
    """

    def __init__(self, file: IO[bytes], path: str, compression: bytes):
        self.path = path
        self._file: Any = gzip.GzipFile(fileobj=file) if compression == b"GZIP" else file
        self._inflate = zlib.decompressobj() if compression == b"ZLIB" else None
        self._ready = b""
        self._start = 0
        self.offset = 0

    def read(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        while len(self._ready) - self._start < size:
            piece = self._piece()
            if not piece:
                break
            self._ready = self._ready[self._start :] + piece
            self._start = 0
        taken = self._ready[self._start : self._start + size]
        self._start += len(taken)
        self.offset += len(taken)
        return taken

    def line(self) -> bytes | None:
        """The next line without its end, or None at the end of the file. Carriage returns are left out, as TensorFlow does."""
        searched = self._start
        while (end := self._ready.find(b"\n", searched)) < 0:
            searched = len(self._ready) - self._start
            piece = self._piece()
            self._ready = self._ready[self._start :] + piece
            self._start = 0
            if not piece:
                end = len(self._ready)
                break
        is_last = end == len(self._ready)
        text = self._ready[self._start : end].replace(b"\r", b"")
        self._start = min(end + 1, len(self._ready))
        return None if is_last and not text else text

    def _piece(self) -> bytes:
        try:
            if self._inflate is None:
                return self._file.read(_PIECE)
            while not self._inflate.eof:
                given = self._inflate.unconsumed_tail or self._file.read(_PIECE)
                piece = self._inflate.decompress(given, _PIECE)
                if piece or not given:
                    return piece
            return b""
        except (OSError, EOFError, zlib.error) as error:
            raise DataLossError(f"{self.path}: {error}") from error


def read_records(stream: Stream) -> Iterator[bytes]:
    """The records of a TFRecord file. Raises `DataLossError` where one is cut off or a checksum is wrong."""
    while header := stream.read(12):
        start = stream.offset - len(header)
        if len(header) < 12:
            raise DataLossError(f"truncated record at {start} of {stream.path}")
        length, length_check = struct.unpack("<QI", header)
        if masked_crc32c(header[:8]) != length_check:
            raise DataLossError(f"corrupted record at {start} of {stream.path}")
        content, check = stream.read(length), stream.read(4)
        if len(content) < length or len(check) < 4:
            raise DataLossError(f"truncated record at {start} of {stream.path}")
        if masked_crc32c(content) != struct.unpack("<I", check)[0]:
            raise DataLossError(f"corrupted record at {start} of {stream.path}")
        yield content


def read_lines(stream: Stream) -> Iterator[bytes]:
    """The lines of a text."""
    while (line := stream.line()) is not None:
        yield line


@description
class Files(Dataset):
    """What one file after another holds.

    Attributes:
        names: paths.
        compression: as of `Stream`.
    """

    names: Sequence[bytes]
    compression: bytes

    def check(self, file: IO[bytes], path: str) -> None:
        """Raises an `OpError` for a file that is not to be read at all."""

    def read(self, stream: Stream) -> Iterator[Any]:
        """What a file's content holds."""
        raise NotImplementedError

    def element(self, found: Any) -> Element:
        return (strings([found], ()),)

    def iterate(self, place: Place) -> Iterator[Element]:
        return _FilesIterator(self, place.pipeline)


class _FilesIterator:
    def __init__(self, dataset: Files, pipeline: Pipeline):
        self._dataset = dataset
        self._pipeline = pipeline
        self._names = list(reversed(dataset.names))
        self._file: IO[bytes] | None = None
        self._found: Iterator[Any] = iter(())

    def __iter__(self) -> _FilesIterator:
        return self

    def __next__(self) -> Element:
        while True:
            try:
                for found in self._found:
                    return self._dataset.element(found)
            except DataLossError:
                self._close()
                raise
            self._close()
            if not self._names:
                raise StopIteration
            path = os.fsdecode(self._names[-1])
            # A file that cannot be read stays the next one, as in TensorFlow.
            self._file = self._pipeline.context.files.open(path)
            self._dataset.check(self._file, path)
            self._names.pop()
            self._found = iter(self._dataset.read(Stream(self._file, path, self._dataset.compression)))

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        self._found = iter(())
        if self._file is not None:
            self._file.close()
            self._file = None


def _compression(compression_type):
    compression = scalar(compression_type, "compression_type")
    if compression not in (b"", b"GZIP", b"ZLIB"):
        raise InvalidArgumentError(f"Unsupported compression_type: {compression.decode(errors='replace')}.")
    return compression


@description
class Records(Files):
    def read(self, stream: Stream) -> Iterator[bytes]:
        return read_records(stream)


@lower("TFRecordDataset", host=True)
def tf_record_dataset(filenames, compression_type, buffer_size):
    return Records(vector(filenames, "filenames"), _compression(compression_type))


@lower("TFRecordDatasetV2", host=True)
def tf_record_dataset_v2(filenames, compression_type, buffer_size, byte_offsets):
    """`TFRecordDataset`, where reading starts at the files' beginnings."""
    if np.any(byte_offsets):
        raise InvalidArgumentError("byte_offsets other than 0 are not supported")
    return Records(vector(filenames, "filenames"), _compression(compression_type))


@description
class Lines(Files):
    def read(self, stream: Stream) -> Iterator[bytes]:
        return read_lines(stream)


@lower("TextLineDataset", host=True)
def text_line_dataset(filenames, compression_type, buffer_size):
    return Lines(vector(filenames, "filenames"), _compression(compression_type))


@description
class FixedLengthRecords(Files):
    """Records of one length between a header and a footer."""

    header_bytes: int
    record_bytes: int
    footer_bytes: int

    def check(self, file: IO[bytes], path: str) -> None:
        size = os.fstat(file.fileno()).st_size - self.header_bytes - self.footer_bytes
        if not self.compression and size % self.record_bytes:
            raise InvalidArgumentError(self._misfit(path, size))

    def _misfit(self, path: str, body: int) -> str:
        return (
            f"Excluding the header ({self.header_bytes} bytes) and footer ({self.footer_bytes} bytes), input file {path!r} "
            f"has body length {body} bytes, which is not an exact multiple of the record length ({self.record_bytes} bytes)."
        )

    def read(self, stream: Stream) -> Iterator[bytes]:
        stream.read(self.header_bytes)
        ahead = stream.read(self.footer_bytes)
        while piece := stream.read(self.record_bytes):
            if len(piece) < self.record_bytes:
                body = stream.offset - self.header_bytes - self.footer_bytes
                raise DataLossError(self._misfit(stream.path, body))
            ahead += piece
            yield ahead[: self.record_bytes]
            ahead = ahead[self.record_bytes :]


def _fixed_length(filenames, compression, header_bytes, record_bytes, footer_bytes):
    sizes = [scalar(size, "a size in bytes") for size in (header_bytes, record_bytes, footer_bytes)]
    for size, name in zip(sizes, ("header_bytes", "record_bytes", "footer_bytes"), strict=True):
        if size < 0 or (size == 0 and name == "record_bytes"):
            raise InvalidArgumentError(f"`{name}` must be {'> 0' if name == 'record_bytes' else '>= 0'}")
    return FixedLengthRecords(vector(filenames, "filenames"), compression, *sizes)


@lower("FixedLengthRecordDataset", host=True)
def fixed_length_record_dataset(filenames, header_bytes, record_bytes, footer_bytes, buffer_size):
    return _fixed_length(filenames, b"", header_bytes, record_bytes, footer_bytes)


@lower("FixedLengthRecordDatasetV2", host=True)
def fixed_length_record_dataset_v2(filenames, header_bytes, record_bytes, footer_bytes, buffer_size, compression_type):
    return _fixed_length(filenames, _compression(compression_type), header_bytes, record_bytes, footer_bytes)


@description
class Rows(Files):
    """Rows of CSV files as a component for each column."""

    header: bool
    defaults: Sequence[np.ndarray]
    options: dict[str, Any]

    def read(self, stream: Stream) -> Iterator[bytes]:
        lines = read_lines(stream)
        if self.header:
            next(lines, None)
        for line in lines:
            # A quoted field may go on over several lines.
            while self.options["use_quote_delim"] and line.count(b'"') % 2:
                following = next(lines, None)
                if following is None:
                    break
                line += b"\n" + following
            yield line

    def element(self, found: bytes) -> Element:
        return tuple(decode_csv(strings([found], ()), self.defaults, **self.options))


@lower("CSVDataset", "ExperimentalCSVDataset", host=True)
def csv_dataset(
    filenames,
    compression_type,
    buffer_size,
    header,
    field_delim,
    use_quote_delim,
    na_value,
    select_cols,
    record_defaults,
):
    options = {
        "field_delim": scalar(field_delim, "field_delim"),
        "use_quote_delim": bool(use_quote_delim),
        "na_value": scalar(na_value, "na_value"),
        "select_cols": vector(select_cols, "select_cols"),
    }
    if len(options["field_delim"]) != 1:
        raise InvalidArgumentError("field_delim should be only 1 char")
    if options["select_cols"] != sorted(set(options["select_cols"])) or any(i < 0 for i in options["select_cols"]):
        raise InvalidArgumentError("select_cols should be strictly increasing indices >= 0")
    compression = _compression(compression_type)
    return Rows(vector(filenames, "filenames"), compression, bool(header), list(record_defaults), options)


@description
class MatchingFiles(Dataset):
    """The names of the files that fit one of the patterns, in order."""

    patterns: Sequence[bytes]

    def iterate(self, place: Place) -> Iterator[Element]:
        files: FileAccess = place.pipeline.context.files
        found: set[bytes] = set()
        for pattern in self.patterns:
            # Looking for names is reading the folder below which they are looked for.
            fixed = os.fsdecode(pattern.split(b"*")[0].split(b"?")[0].split(b"[")[0])
            files.check_readable(fixed if fixed == os.fsdecode(pattern) else os.path.dirname(fixed) or ".")
            found.update(path for path in glob.glob(pattern) if os.path.isfile(path))
        return iter([(strings([path], ()),) for path in sorted(found)])


@lower("MatchingFilesDataset", "ExperimentalMatchingFilesDataset", host=True)
def matching_files_dataset(patterns):
    return MatchingFiles(vector(patterns, "patterns"))


@lower("DatasetToTFRecord", "ExperimentalDatasetToTFRecord", host=True, effect=True, context=True, seeds_functions=True)
def dataset_to_tf_record(input_dataset, filename, compression_type, *, context, generator):
    """Writes a file of the elements, which must be strings."""
    compression = _compression(compression_type)
    pipeline, after = new_pipeline(context, generator)
    parts = []
    for element in dataset_of(input_dataset).iterate(Place(pipeline, ("ToTFRecord",))):
        content = scalar(element[0], "an element that is to be written")
        length = struct.pack("<Q", len(content))
        parts += [length, struct.pack("<I", masked_crc32c(length)), content, struct.pack("<I", masked_crc32c(content))]
    whole = b"".join(parts)
    if compression == b"GZIP":
        whole = gzip.compress(whole, mtime=0)
    elif compression == b"ZLIB":
        whole = zlib.compress(whole)
    context.files.write(os.fsdecode(scalar(filename, "filename")), whole)
    return after
