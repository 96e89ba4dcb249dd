"""Reading a checkpoint, whatever its format: what it holds, whole tensors, regions of tensors."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from mgjax.checkpoint.bundle import Bundle
from mgjax.checkpoint.paths import find, paths_of_v1
from mgjax.checkpoint.replace import previous_suffix
from mgjax.checkpoint.slices import (
    Bounds,
    Slice,
    bounds_of,
    covers,
    index_within,
    intersection,
    region_bounds,
    sizes_of,
)
from mgjax.checkpoint.v1 import TensorSliceFiles
from mgjax.dtypes import DType
from mgjax.errors import ReadError, RestoreError, UnknownNameError
from mgjax.shapes import describe

Region = str | slice | Sequence[slice | tuple[int, int]]


class _Stored(Protocol):
    """How a tensor is stored; `pieces` are the slices, empty for one that is stored whole."""

    @property
    def dtype(self) -> DType: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def pieces(self) -> tuple[Slice, ...]: ...


class _Files(Protocol):
    def names(self) -> list[str]: ...
    def stored(self, name: str) -> _Stored | None: ...
    def read_whole(self, names: Sequence[str], verify: bool) -> list[np.ndarray]: ...
    def read_piece(self, name: str, piece: Slice, verify: bool) -> np.ndarray: ...
    def read_rows(self, name: str, start: int, stop: int) -> np.ndarray | None: ...


class Checkpoint:
    """An open checkpoint; reads as a mapping from names to arrays.

    Arrays are read-only views of the mapped file wherever elements can be used as they lie (not strings, nor what is
    put together from pieces, nor V1 checkpoints' integers); they may be unaligned, and keep the file mapped.

    Attributes:
        prefix: the path that names the checkpoint.
        version: 1 or 2, of the format.
        verify: whether what is read is checked against its checksum.
    """

    def __init__(self, prefix: str, *, verify: bool = True):
        self.prefix = prefix
        self.verify = verify
        paths = paths_of_v1(prefix)
        self.version = 1 if paths else 2
        self._files: _Files = TensorSliceFiles(paths) if paths else open_bundle(prefix)

    def __repr__(self) -> str:
        return f"<Checkpoint {self.prefix!r}: {len(self)} tensors, format V{self.version}>"

    def names(self) -> list[str]:
        """The names of all tensors, in the order of their bytes."""
        return self._files.names()

    keys = names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._files.stored(name) is not None

    def __getitem__(self, name: str) -> np.ndarray:
        return self.read(name)

    def dtype(self, name: str) -> DType:
        """The data type of a tensor. Raises `UnknownNameError`."""
        return self._stored(name).dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """The full shape of a tensor. Raises `UnknownNameError`."""
        return self._stored(name).shape

    def pieces(self, name: str) -> tuple[Slice, ...]:
        """The slices that a partitioned tensor is stored as, (start, length or -1) a dimension; none for a whole one."""
        return self._stored(name).pieces

    def describe(self, names: Iterable[str] | None = None) -> str:
        """A line for each tensor (all, by default): name, type, bytes, pieces; and one for them all."""
        names = self.names() if names is None else list(names)
        rows = [[name, f"{self.dtype(name)}{describe(self.shape(name))}", self._how_stored(name)] for name in names]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        sizes = [self._size(name) for name in names]
        total = f"{sum(size or 0 for size in sizes):,} bytes" + (" and strings" if None in sizes else "")
        lines.append(f"{len(names)} tensors, {total}; {self.prefix}, format V{self.version}")
        return "\n".join(lines)

    def _size(self, name: str) -> int | None:
        """The bytes of a tensor's elements; None for strings."""
        dtype = self.dtype(name)
        return math.prod(self.shape(name)) * dtype.itemsize if dtype.itemsize else None

    def _how_stored(self, name: str) -> str:
        size, pieces = self._size(name), len(self.pieces(name))
        return (f"{size:,} bytes" if size is not None else "") + (f" in {pieces} pieces" if pieces else "")

    def read(self, name: str, region: Region | None = None, *, verify: bool | None = None) -> np.ndarray:
        """A tensor, or a region of it: `"0,50:-"`, (start, length) pairs, or Python slices.

        Args:
            name: the tensor.
            region: what of it is wanted; all by default.
            verify: whether to check it against its checksum; `self.verify` by default. The checksum is of the tensor, or
                of the piece that it is stored as, so that verifying a region reads more than the region.

        Raises:
            UnknownNameError: no tensor has that name.
            RestoreError: the region does not lie in the tensor, or pieces of it are missing.
            ReadError: the files are damaged.
        """
        stored = self._stored(name)
        verify = self.verify if verify is None else verify
        if region is None:
            if not stored.pieces:
                return self._files.read_whole([name], verify)[0]
            return self._put_together(name, stored, tuple((0, size) for size in stored.shape), verify)
        try:
            wanted = region_bounds(region, stored.shape)
        except ValueError as error:
            raise RestoreError(f"{self.prefix}: {name!r}: {error}") from error
        if stored.pieces:
            return self._put_together(name, stored, wanted, verify)
        if not verify and wanted:
            (start, stop), *rest = wanted
            rows = self._files.read_rows(name, start, stop)
            if rows is not None:
                return rows[(slice(None), *(slice(*bounds) for bounds in rest))]
        whole = self._files.read_whole([name], verify)[0]
        return whole[index_within(wanted, tuple((0, size) for size in stored.shape))]

    def read_all(self, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Many tensors (all, by default) by name; faster than one by one where they are small."""
        names = self.names() if names is None else list(names)
        whole = [name for name in names if not self._stored(name).pieces]
        arrays = dict(zip(whole, self._files.read_whole(whole, self.verify), strict=True))
        return (
            arrays
            if len(whole) == len(names)
            else {name: arrays[name] if name in arrays else self.read(name) for name in names}
        )

    def _stored(self, name: str) -> _Stored:
        stored = self._files.stored(name)
        if stored is None:
            near = difflib.get_close_matches(str(name), self.names(), n=3, cutoff=0.5)
            hint = f"nearest: {', '.join(map(repr, near))}" if near else f"it holds {len(self)} others"
            raise UnknownNameError(f"Key {name} not found in checkpoint {self.prefix} ({hint})")
        return stored

    def _put_together(self, name: str, stored: _Stored, wanted: Bounds, verify: bool) -> np.ndarray:
        try:
            bounds = {piece: bounds_of(piece, stored.shape) for piece in stored.pieces}
        except ValueError as error:
            raise ReadError(f"{self.prefix}: {name!r}: {error}") from error
        exact = next((piece for piece, found in bounds.items() if found == wanted), None)
        if exact is not None:
            return self._files.read_piece(name, exact, verify)
        common = {piece: part for piece, found in bounds.items() if (part := intersection(found, wanted))}
        arrays = {piece: self._files.read_piece(name, piece, verify) for piece in common}
        if not covers(list(common.values()), wanted):
            text = ":".join(f"{start},{stop - start}" for start, stop in wanted)
            raise RestoreError(
                f"{self.prefix}: Does not have sufficient slices for partitioned tensor {name} to restore in slice_spec: {text}; "
                f"it is {stored.dtype}{list(stored.shape)} in {len(bounds)} pieces"
            )
        result = np.empty(sizes_of(wanted), stored.dtype.numpy)
        for piece, part in common.items():
            result[index_within(part, wanted)] = arrays[piece][index_within(part, bounds[piece])]
        return result


def open_checkpoint(path: str, *, verify: bool = True) -> Checkpoint:
    """Opens a checkpoint for reading; `path` may be anything that `find` understands.

    Args:
        path: such as `model-1000`, one of its files, or the folder it is in.
        verify: whether to check what is read against its CRC-32C.

    Raises:
        MissingFileError: nothing is there, or one of the checkpoint's files is missing.
        ReadError: it is not a checkpoint, or damaged.
    """
    return Checkpoint(find(path), verify=verify)


def open_bundle(prefix: str) -> Bundle:
    """The V2 checkpoint, or what it was before a replacement of its files was cut short."""
    return Bundle(prefix, previous_suffix(prefix))
