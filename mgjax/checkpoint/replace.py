"""Putting new files in the place of old ones so that a crash at any moment leaves the old or the new, whole.

One file is written under a temporary name, synchronized, and renamed. A V2 checkpoint is several files that must
change together, under names that the format fixes: `P.data-*` and `P.index`. So, where `P` exists already, its files
get a second name first:

    write the new files under temporary names
    link P.data-* to P.data-*.previous, then P.index to P.index.previous
    rename the new data files to P.data-*, then the new index to P.index
    remove P.index.previous, then P.data-*.previous

While `P.index` and `P.index.previous` are equal, the data files may be old or new, and the old ones are the
`.previous` where there is one. Readers look for that (`previous_suffix`), and the next save settles it. No temporary
name matches a pattern by which checkpoints are found.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import io
import mmap
import os
import secrets
import shutil
from collections.abc import Sequence
from typing import Any, BinaryIO

from mgjax.checkpoint.files import is_remote

PREVIOUS = ".previous"
_BUFFER_SIZE = 1 << 17  # bytes; larger pieces go straight to the file


def previous_suffix(prefix: str) -> str:
    """What the names of the files to read end in: nothing, or `PREVIOUS` after a replacement that was cut short."""
    if is_remote(prefix):
        return ""  # only local files are replaced
    return PREVIOUS if _is_unfinished(f"{prefix}.index") else ""


class NewFiles:
    """Files under temporary names beside their places; at the end of the `with` block, those not placed are removed."""

    def __init__(self) -> None:
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> NewFiles:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
            with contextlib.suppress(OSError):
                os.unlink(file.name)

    def create(self, path: str, *, is_large: bool = False) -> BinaryIO:
        """A new file, open for writing, that is to have its place at `path`; a large one passes the system's cache by."""
        name = f"{path}.tempstate{secrets.token_hex(8)}"
        if is_large:
            raw = open(name, "xb", buffering=0, opener=_open_direct)  # noqa: SIM115
            file: BinaryIO = io.BufferedWriter(DirectFile(raw), _BUFFER_SIZE)
        else:
            file = open(name, "xb", buffering=_BUFFER_SIZE)  # noqa: SIM115
        self._files[path] = file
        return file

    def adopt(self, path: str, existing: str) -> None:
        """Takes a finished file that is to have its place at `path`; it is removed where it does not get there."""
        file = self._files[path] = open(existing, "rb")  # noqa: SIM115
        file.close()

    def finish(self, path: str) -> None:
        """Makes what has been written durable."""
        file = self._files[path]
        file.flush()
        os.fsync(file.fileno())
        file.close()

    def place(self, path: str) -> None:
        """Renames the file that was finished to its place."""
        os.replace(self._files[path].name, path)
        del self._files[path]


_ALIGNMENT = 4096  # bytes; of memory, offset and size in what the device takes directly
_DIRECT_SIZE = 1 << 22


def _open_direct(path: str, flags: int) -> int:
    """A descriptor whose writes go to the device without the system's copy, where the file system has that."""
    with contextlib.suppress(OSError, AttributeError):
        return os.open(path, flags | os.O_DIRECT, 0o666)
    # It may have made the file before it refused.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, flags, 0o666)


class DirectFile(io.RawIOBase):
    """Writes a file in large aligned pieces; the last one, of any size, the usual way.

    What is written is made durable anyhow, so that the system's copy of it would only cost time and memory.
    """

    def __init__(self, raw: io.FileIO):
        self._raw = raw
        self._memory = memoryview(mmap.mmap(-1, _DIRECT_SIZE))  # which begins at a page
        self._filled = 0

    @property
    def name(self) -> str:
        return str(self._raw.name)

    def fileno(self) -> int:
        return self._raw.fileno()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        given = memoryview(data).cast("B")
        done = 0
        while done < len(given):
            size = min(len(given) - done, _DIRECT_SIZE - self._filled)
            self._memory[self._filled : self._filled + size] = given[done : done + size]
            self._filled += size
            done += size
            if self._filled == _DIRECT_SIZE:
                self._write_out()
        return done

    def flush(self) -> None:
        if self._filled:
            self._write_out()
        super().flush()

    def _write_out(self) -> None:
        """Writes what the memory holds; directly only a whole piece, and only where the device takes it."""
        size, self._filled = self._filled, 0
        if size % _ALIGNMENT:
            self._make_usual()
        written = 0
        while written < size:
            try:
                written += self._raw.write(self._memory[written:size]) or 0
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._make_usual()
                written += self._raw.write(self._memory[written:size]) or 0
            if written % _ALIGNMENT:
                self._make_usual()

    def _make_usual(self) -> None:
        if hasattr(os, "O_DIRECT"):
            import fcntl

            flags = fcntl.fcntl(self._raw, fcntl.F_GETFL)
            if flags & os.O_DIRECT:
                fcntl.fcntl(self._raw, fcntl.F_SETFL, flags & ~os.O_DIRECT)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._raw.close()


def write_file(path: str, data: bytes) -> None:
    """Writes a file as a whole: at any moment there is the old one or the new one."""
    with NewFiles() as files:
        files.create(path).write(data)
        files.finish(path)
        files.place(path)
    synchronize_folder(path)


def replace_bundle(prefix: str, files: NewFiles, data_paths: Sequence[str]) -> None:
    """Puts the finished files of a V2 checkpoint, `data_paths` and the index, in their places; undone if it fails."""
    index_path = f"{prefix}.index"
    try:
        _settle(prefix)
        if os.path.exists(index_path):
            for path in data_paths:
                if os.path.exists(path):
                    _link(path, path + PREVIOUS)
            synchronize_folder(prefix)
            _link(index_path, index_path + PREVIOUS)
            synchronize_folder(prefix)
        for path in data_paths:
            files.place(path)
        synchronize_folder(prefix)
        files.place(index_path)
        synchronize_folder(prefix)
    finally:
        _settle(prefix)


def _settle(prefix: str) -> None:
    """Ends a replacement: where the new index is not in place, the old data files are. Removes the second names."""
    index_path = f"{prefix}.index"
    second_names = glob.glob(f"{glob.escape(prefix)}.data-?????-of-?????{PREVIOUS}")
    if _is_unfinished(index_path):
        for name in second_names:
            os.replace(name, name.removesuffix(PREVIOUS))
        synchronize_folder(index_path)
    for name in (index_path + PREVIOUS, *second_names):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _is_unfinished(index_path: str) -> bool:
    try:
        with open(index_path + PREVIOUS, "rb") as previous, open(index_path, "rb") as current:
            return previous.read() == current.read()
    except FileNotFoundError:
        return False


def _link(path: str, second: str) -> None:
    try:
        os.link(path, second)
    except FileExistsError:
        os.unlink(second)
        os.link(path, second)
    except OSError:
        # Not every file system has links.
        shutil.copyfile(path, second)


def synchronize_folder(path: str) -> None:
    """Makes renames in the folder of `path` durable; only POSIX systems can."""
    if os.name == "posix":
        descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
