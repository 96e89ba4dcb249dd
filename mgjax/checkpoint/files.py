"""Where bytes come from: a local file, mapped into memory, or a remote one, of which ranges are read.

Everything that reads asks a `Source` for a range. Paths such as `gs://bucket/model-1000` go through the package `fsspec`
where that is installed; of those only what is asked for is read.
"""

from __future__ import annotations

import fnmatch
import glob
import mmap
import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from mgjax.errors import MissingFileError, ReadError, UnsupportedError


class Source(Protocol):
    """A file, open for reading.

    Attributes:
        size: in bytes, when it was opened.
    """

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """A copy of `size` bytes from `offset` on, fewer where the file ends."""

    def array(self, dtype: np.dtype, shape: tuple[int, ...], offset: int) -> np.ndarray:
        """The elements that begin at `offset`, read-only. Raises `ValueError` where the file ends before they do."""

    def view(self, offset: int, size: int) -> np.ndarray:
        """The bytes from `offset` on, uint8 [size], read-only."""

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Tells which ranges, (offset, size), are wanted next, so that they are read together; empty: no longer."""


def open_source(path: str) -> Source:
    """The file of a path.

    Raises:
        MissingFileError: there is none.
        ReadError: it is a folder.
        UnsupportedError: it is remote, and what reads such files is not installed.
    """
    return _RemoteFile(path) if is_remote(path) else _MappedFile(path)


class _MappedFile:
    """A file mapped into memory.

    The mapping lives as long as an array that shows it. A file must not be shortened in place while it is mapped (the
    system would end the process on access); what this package writes is always a new file under the old name.
    """

    def __init__(self, path: str):
        self._path = path
        try:
            with open(path, "rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                # An empty file cannot be mapped.
                self._buffer: mmap.mmap | bytes = (
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""
                )
        except FileNotFoundError:
            raise MissingFileError(f"{path}: no such file") from None
        except IsADirectoryError:
            raise ReadError(f"{path}: a folder where a file is needed") from None
        if self.size:
            self.size = len(self._buffer)

    def __str__(self) -> str:
        return self._path

    def read(self, offset: int, size: int) -> bytes:
        return self._buffer[offset : offset + size]

    def array(self, dtype: np.dtype, shape: tuple[int, ...], offset: int) -> np.ndarray:
        return np.ndarray(shape, dtype, self._buffer, offset)

    def view(self, offset: int, size: int) -> np.ndarray:
        return np.ndarray((size,), np.uint8, self._buffer, offset)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        pass


_GAP = 1 << 12  # bytes between two ranges up to which they are read as one


class _RemoteFile:
    """A file that `fsspec` reads."""

    def __init__(self, path: str):
        self._path = path
        self._system, self._inner = _system_of(path)
        try:
            about = self._system.info(self._inner)
        except FileNotFoundError:
            raise MissingFileError(f"{path}: no such file") from None
        if about.get("type") == "directory":
            raise ReadError(f"{path}: a folder where a file is needed")
        self.size = int(about["size"])
        self._held: list[tuple[int, bytes]] = []

    def __str__(self) -> str:
        return self._path

    def read(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.size)
        if end <= offset:
            return b""
        for start, held in self._held:
            if start <= offset and end <= start + len(held):
                return held[offset - start : end - start]
        return self._system.cat_file(self._inner, start=offset, end=end)

    def array(self, dtype: np.dtype, shape: tuple[int, ...], offset: int) -> np.ndarray:
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if offset + size > self.size:
            raise ValueError(f"{size} bytes at {offset} of {self.size}")
        return np.frombuffer(self.read(offset, size), dtype).reshape(shape)

    def view(self, offset: int, size: int) -> np.ndarray:
        return np.frombuffer(self.read(offset, size), np.uint8)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        merged: list[list[int]] = []
        for offset, size in sorted(ranges):
            end = min(offset + size, self.size)
            if merged and offset <= merged[-1][1] + _GAP:
                merged[-1][1] = max(merged[-1][1], end)
            elif size:
                merged.append([offset, end])
        starts, ends = [start for start, _ in merged], [end for _, end in merged]
        found = self._system.cat_ranges([self._inner] * len(merged), starts, ends) if merged else []
        self._held = list(zip(starts, found, strict=True))


# Paths


def is_remote(path: str) -> bool:
    """Whether a path names a file of another machine or system: `gs://...`."""
    return "://" in path


def is_file(path: str) -> bool:
    """Whether there is a file of that path."""
    return _ask(path, "isfile") if is_remote(path) else os.path.isfile(path)


def is_folder(path: str) -> bool:
    """Whether there is a folder of that path."""
    return _ask(path, "isdir") if is_remote(path) else os.path.isdir(path)


def files_like(prefix: str, pattern: str) -> list[str]:
    """The paths, sorted, of which the first part is `prefix` as it is written and the rest fits the pattern."""
    if not is_remote(prefix):
        return sorted(glob.glob(glob.escape(prefix) + pattern))
    folder = prefix.rpartition("/")[0]
    if not is_remote(folder):
        return []  # the name of a whole bucket
    return [
        path for path in files_in(folder) if path.startswith(prefix) and fnmatch.fnmatch(path[len(prefix) :], pattern)
    ]


def files_in(folder: str) -> list[str]:
    """The paths of all files directly in a folder, sorted."""
    if not is_remote(folder):
        return sorted(entry.path for entry in os.scandir(folder) if entry.is_file())
    system, inner = _system_of(folder)
    try:
        found = system.ls(inner, detail=True)
    except FileNotFoundError:
        return []
    names = (about["name"].rpartition("/")[2] for about in found if about["type"] == "file")
    return sorted(f"{folder}/{name}" for name in names)


def read_file(path: str) -> bytes:
    """A file's content. Raises `FileNotFoundError` where there is none."""
    if is_remote(path):
        system, inner = _system_of(path)
        return system.cat_file(inner)
    with open(path, "rb") as file:
        return file.read()


def modified(path: str) -> float:
    """When a file was last written, in seconds since 1970; 0 where its system does not tell."""
    if not is_remote(path):
        return os.path.getmtime(path)
    system, inner = _system_of(path)
    try:
        return system.modified(inner).timestamp()
    except NotImplementedError:
        return 0.0


def join(folder: str, name: str) -> str:
    """The path of a file in a folder; a name that is a path of its own stays."""
    if is_remote(name):
        return name
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else os.path.join(folder, name)


def _ask(path: str, method: str) -> bool:
    system, inner = _system_of(path)
    asked: Callable[[str], bool] = getattr(system, method)
    return asked(inner)


def _system_of(path: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise UnsupportedError(f"{path}: remote files are read with fsspec: pip install 'mgjax[remote]'") from None
    try:
        return fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise UnsupportedError(f"{path}: {error}") from error
