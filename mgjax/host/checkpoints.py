"""The ops with which a graph saves and restores itself; only on paths that the user of the graph has allowed.

An allowed path may be a folder, or a checkpoint's prefix, which then allows the files that begin with it.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from mgjax import checkpoint
from mgjax.dtypes import DType
from mgjax.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    MissingFileError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ReadError,
    RestoreError,
    UnimplementedError,
    UnsupportedError,
)
from mgjax.host.context import RunContext
from mgjax.ops import lower

_OUT_OF_RANGE = 11


@lower("SaveV2", context=True, effect=True, host=True)
def save_v2(prefix, tensor_names, shape_and_slices, tensors, *, context, dtypes):
    """Writes a V2 checkpoint of the tensors, whole or as the pieces that `shape_and_slices` says ("" is whole)."""
    _save(context, prefix, tensor_names, tensors, dtypes, 2, shape_and_slices)
    return ()


@lower("SaveSlices", context=True, effect=True, host=True)
def save_slices(filename, tensor_names, shapes_and_slices, data, *, context, T):
    """Writes a V1 checkpoint in one file, of whole tensors and pieces."""
    _save(context, filename, tensor_names, data, T, 1, shapes_and_slices)
    return ()


@lower("Save", context=True, effect=True, host=True)
def save(filename, tensor_names, data, *, context, T):
    """Writes a V1 checkpoint in one file, of whole tensors."""
    _save(context, filename, tensor_names, data, T, 1, None)
    return ()


@lower("RestoreV2", context=True, host=True)
def restore_v2(prefix, tensor_names, shape_and_slices, *, context, dtypes):
    """Reads tensors, or pieces of them, from a checkpoint of either format."""
    opened = _opened(context, _text(prefix))
    names, specs = _texts(tensor_names), _texts(shape_and_slices)
    if not len(names) == len(specs) == len(dtypes):
        raise InvalidArgumentError(
            f"tensor_names, shape_and_slices and dtypes must be of one length, not {len(names)}, {len(specs)}, {len(dtypes)}"
        )
    with _raised_as_tensorflow_does():
        return ([_restored(opened, *wanted) for wanted in zip(names, specs, dtypes, strict=True)],)


@lower("RestoreSlice", context=True, host=True)
def restore_slice(file_pattern, tensor_name, shape_and_slice, *, context, dt, preferred_shard=-1):
    """Reads a piece of a tensor from a checkpoint of either format; the shard in which to look first plays no part."""
    del preferred_shard
    opened = _opened(context, _text(file_pattern))
    with _raised_as_tensorflow_does():
        return _restored(opened, _text(tensor_name), _text(shape_and_slice), dt)


@lower("Restore", context=True, host=True)
def restore(file_pattern, tensor_name, *, context, dt, preferred_shard=-1):
    """Reads a tensor from a checkpoint of either format."""
    return restore_slice(file_pattern, tensor_name, b"", context=context, dt=dt, preferred_shard=preferred_shard)


@lower("MergeV2Checkpoints", context=True, effect=True, host=True)
def merge_v2_checkpoints(checkpoint_prefixes, destination_prefix, *, context, delete_old_dirs=True):
    """Makes one V2 checkpoint of several, and removes the folders that they were in if those are then empty."""
    prefixes, destination = _texts(checkpoint_prefixes), _text(destination_prefix)
    for prefix in (*prefixes, destination):
        _check(context, prefix, writing=True)
    with _raised_as_tensorflow_does():
        checkpoint.merge(prefixes, destination)
    if delete_old_dirs:
        for folder in {os.path.dirname(prefix) for prefix in prefixes} - {os.path.dirname(destination)}:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    return ()


@lower("ShardedFilename", host=True)
def sharded_filename(basename, shard, num_shards):
    """The name of one shard: `basename-00000-of-00002`."""
    return np.array(_bytes(basename) + b"-%05d-of-%05d" % (int(shard), int(num_shards)), object)


@lower("ShardedFilespec", host=True)
def sharded_filespec(basename, num_shards):
    """The pattern of all shards: `basename-?????-of-00002`."""
    return np.array(_bytes(basename) + b"-?????-of-%05d" % int(num_shards), object)


def _save(context: RunContext, prefix: Any, names: Any, values: Any, dtypes: Any, version: int, specs: Any) -> None:
    path = _text(prefix)
    _check(context, path, writing=True)
    names = _texts(names)
    parts = [""] * len(names) if specs is None else _texts(specs)
    if not len(names) == len(parts) == len(values):
        raise InvalidArgumentError(f"{len(names)} names and {len(parts)} slices for {len(values)} tensors")
    with _raised_as_tensorflow_does():
        tensors = [
            checkpoint.Tensor(name, value, *(_place(part) or (None, None)), dtype)
            for name, value, part, dtype in zip(names, values, parts, dtypes, strict=True)
        ]
        checkpoint.write(path, tensors, version=version)


def _restored(opened: checkpoint.Checkpoint, name: str, spec: str, dtype: DType) -> np.ndarray:
    if name not in opened:
        raise NotFoundError(f"Key {name} not found in checkpoint")
    found = opened.dtype(name)
    if found.numpy != dtype.numpy:
        raise InvalidArgumentError(
            f"tensor_name = {name}; expected dtype {_c_name(dtype)} does not equal original dtype {_c_name(found)}"
        )
    place = _place(spec)
    if place is None:
        return opened.read(name)
    if place[0] != opened.shape(name):
        wanted, stored = (f"[{','.join(map(str, shape))}]" for shape in (place[0], opened.shape(name)))
        raise InvalidArgumentError(
            f"tensor_name = {name}; shape in shape_and_slice spec {wanted} does not match the shape stored in checkpoint: {stored}"
        )
    return opened.read(name, place[1])


def _place(spec: str) -> Any:
    try:
        return checkpoint.parse_shape_and_slice(spec)
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from error


def _opened(context: RunContext, path: str) -> checkpoint.Checkpoint:
    _check(context, path, writing=False)
    if not checkpoint.exists(path):
        raise NotFoundError(f"Unsuccessful TensorSliceReader constructor: Failed to find any matching files for {path}")
    with _raised_as_tensorflow_does():
        return checkpoint.Checkpoint(path)


def _check(context: RunContext, prefix: str, *, writing: bool) -> None:
    """Raises `PermissionDeniedError` where the prefix, or a file that begins with it, may not be read or written."""
    files = context.files
    may = files.may_write if writing else files.may_read
    folder = os.path.realpath(os.path.dirname(prefix) or ".")
    present = [
        path for path in (prefix, *glob.glob(f"{glob.escape(prefix)}.*"), *glob.glob(prefix)) if "\0" not in path
    ]
    for path in present:
        # Where only the prefix is allowed, so is what lies beside it under its name, but not what a link there leads to.
        is_beside = may(prefix) and os.path.dirname(os.path.realpath(path)) == folder
        if not (may(path) or is_beside):
            break
    else:
        if present:
            return
    verb, option = ("write", "allow_writing") if writing else ("read", "allow_files")
    raise PermissionDeniedError(
        f"the graph wants to {verb} the checkpoint {prefix!r}, which it may not: allow its folder with {option}=[...] where "
        "the graph is imported, or use the saver, which needs no such leave"
    )


@contextlib.contextmanager
def _raised_as_tensorflow_does() -> Iterator[None]:
    try:
        yield
    except MissingFileError as error:
        raise NotFoundError(str(error)) from error
    except ReadError as error:
        raise (OutOfRangeError if error.code == _OUT_OF_RANGE else DataLossError)(str(error)) from error
    except UnsupportedError as error:
        raise UnimplementedError(str(error)) from error
    except (RestoreError, ValueError) as error:
        raise InvalidArgumentError(str(error)) from error
    except FileNotFoundError as error:
        raise NotFoundError(f"{error.filename}; {error.strerror}") from error
    except PermissionError as error:
        raise PermissionDeniedError(f"{error.filename}; {error.strerror}") from error
    except OSError as error:
        raise FailedPreconditionError(f"{error.filename}; {error.strerror}") from error


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes(np.asarray(value, object).item())


def _text(value: Any) -> str:
    return os.fsdecode(_bytes(value))


def _texts(values: Any) -> list[str]:
    return [os.fsdecode(value) for value in np.asarray(values, object).ravel().tolist()]


def _c_name(dtype: DType) -> str:
    return {"float32": "float", "float64": "double", "float16": "half"}.get(dtype.name, dtype.name)
