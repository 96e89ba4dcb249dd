"""The files that a graph may open: only those that the user of the graph has allowed.

A graph names files itself (vocabularies, training data, `ReadFile`), and a graph from a stranger could name any. So a path
is opened only if it is one that the user gave, or lies below a folder that the user gave, after links are followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

from mgjax.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, PermissionDeniedError


@dataclass(frozen=True, slots=True)
class FileAccess:
    """Which files a graph may open.

    Attributes:
        readable: files, and folders with all below them, that may be read; real paths.
        writable: the same for those that may be written, which may be read too.
        beside: folders below which all but hidden files may be read: those that models lie in.
    """

    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @classmethod
    def of(cls, readable: Any = (), writable: Any = ()) -> FileAccess:
        """The access to paths given as text or path objects, one or several."""
        return cls(_real_paths(readable), _real_paths(writable))

    def also(self, readable: Any = (), writable: Any = (), beside: Any = ()) -> FileAccess:
        """The access to further paths."""
        return FileAccess(
            self.readable + _real_paths(readable),
            self.writable + _real_paths(writable),
            self.beside + _real_paths(beside),
        )

    def may_read(self, path: str) -> bool:
        return _lies_in(path, self.readable + self.writable) or (
            _lies_in(path, self.beside) and not any(_is_hidden(path, folder) for folder in self.beside)
        )

    def may_write(self, path: str) -> bool:
        return _lies_in(path, self.writable)

    def check_readable(self, path: str) -> None:
        """Raises `PermissionDeniedError` for a path that may not be read."""
        if not self.may_read(path):
            raise PermissionDeniedError(
                f"the graph wants to read {path!r}, which it may not: allow that file, or a folder above it, with "
                "allow_files=[...] where the graph is imported"
            )

    def open(self, path: str) -> IO[bytes]:
        """The file, open for reading.

        Raises:
            PermissionDeniedError: the user has not allowed it. `NotFoundError`: there is none.
        """
        self.check_readable(path)
        try:
            return open(path, "rb")
        except OSError as error:
            raise _as_tensorflow_says(path, error) from error

    def read(self, path: str) -> bytes:
        """The content of a file; errors are those of `open`."""
        with self.open(path) as file:
            try:
                return file.read()
            except OSError as error:
                raise _as_tensorflow_says(path, error) from error

    def write(self, path: str, content: bytes) -> None:
        """Writes a file, and the folders above it where they are missing.

        Raises:
            PermissionDeniedError: the user has not allowed it.
        """
        self._write(path, content, "wb")

    def append(self, path: str, content: bytes) -> None:
        """Adds to the end of a file; errors are those of `write`."""
        self._write(path, content, "ab")

    def _write(self, path: str, content: bytes, mode: str) -> None:
        if not self.may_write(path):
            raise PermissionDeniedError(
                f"the graph wants to write {path!r}, which it may not: allow that file, or a folder above it, with "
                "allow_writing=[...] where the graph is imported"
            )
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, mode) as file:
                file.write(content)
        except OSError as error:
            raise _as_tensorflow_says(path, error) from error


NO_FILES = FileAccess()


def _real_paths(paths: Any) -> tuple[str, ...]:
    if isinstance(paths, (str, bytes, os.PathLike)):
        paths = [paths]
    given: Iterable[Any] = paths
    return tuple(os.path.realpath(os.fsdecode(path)) for path in given)


def _lies_in(path: str, allowed: tuple[str, ...]) -> bool:
    # A path with a zero byte is none; TensorFlow's own file systems (`gs://`) are no local files.
    if "\0" in path or "://" in path:
        return False
    real = os.path.realpath(path)
    return any(real == place or real.startswith(os.path.join(place, "")) for place in allowed)


def _is_hidden(path: str, folder: str) -> bool:
    """Whether a file or folder on the way from `folder` to the path is hidden."""
    inner = os.path.relpath(os.path.realpath(path), folder)
    return not inner.startswith("..") and any(part.startswith(".") and part != "." for part in inner.split(os.sep))


def _as_tensorflow_says(path: str, error: OSError) -> Exception:
    text = f"{path}; {error.strerror}"
    if isinstance(error, FileNotFoundError):
        return NotFoundError(text)
    if isinstance(error, PermissionError):
        return PermissionDeniedError(text)
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        return FailedPreconditionError(text)
    return InvalidArgumentError(text)
