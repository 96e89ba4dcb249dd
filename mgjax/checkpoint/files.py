"""Where bytes come from: a local file, mapped into memory.

Everything that reads asks a `Source` for a range; a source of another kind (a remote file) needs the same few methods.
"""

from __future__ import annotations

import mmap
import os

import numpy as np

from mgjax.errors import MissingFileError, ReadError


class Source:
    """A file mapped into memory, read-only.

    The mapping lives as long as an array that shows it. A file must not be shortened in place while it is mapped (the
    system would end the process on access); what this package writes is always a new file under the old name.

    Attributes:
        path: where the file is, for messages.
        size: in bytes, when it was opened.
        buffer: the whole file.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            with open(path, "rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                # An empty file cannot be mapped.
                self.buffer: mmap.mmap | bytes = (
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""
                )
        except FileNotFoundError:
            raise MissingFileError(f"{path}: no such file") from None
        except IsADirectoryError:
            raise ReadError(f"{path}: a folder where a file is needed") from None
        if self.size:
            self.size = len(self.buffer)

    def __str__(self) -> str:
        return self.path

    def read(self, offset: int, size: int) -> bytes:
        """A copy of `size` bytes from `offset` on, fewer where the file ends."""
        return self.buffer[offset : offset + size]

    def view(self, offset: int, size: int) -> np.ndarray:
        """The bytes from `offset` on where they lie, uint8 [size], read-only."""
        return np.ndarray((size,), np.uint8, self.buffer, offset)
