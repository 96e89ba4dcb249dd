"""From the path that somebody has to the checkpoint that they mean."""

from __future__ import annotations

import contextlib
import glob
import os
import re

from mgjax.checkpoint import files, state
from mgjax.checkpoint.files import is_file, is_folder, open_source
from mgjax.checkpoint.replace import PREVIOUS
from mgjax.checkpoint.table import is_table
from mgjax.errors import MissingFileError, ReadError

_DATA_FILE = re.compile(r"\.data-\d{5}-of-\d{5}$")
_V1_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_SHARD_PATTERN = re.compile(r"-\?{5}-of-\d{5}$")
_SAVED_MODEL_VARIABLES = os.path.join("variables", "variables")
_SHOWN = 5
# What else people hold in their hands, by its first bytes.
_KINDS = (
    (b"\x89HDF\r\n", "an HDF5 file (Keras weights)"),
    (b"PK\x03\x04", "a zip archive (such as .npz or .keras)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80", "a Python pickle"),
)


def find(path: str | os.PathLike[str]) -> str:
    """The prefix that names the checkpoint which `path` belongs to.

    Understood are the prefix itself (`model-1000`); one of its files (`.index`, `.meta`, `.data-00000-of-00001`); a V1
    file, the pattern of a sharded one or one of its shards; a `checkpoint` file; and a folder: the latest checkpoint by
    its `checkpoint` file, else its newest, or the variables of a SavedModel.

    Raises:
        MissingFileError: nothing is there; the message says what is near.
        ReadError: something else is there; the message says what.
    """
    path = os.fspath(path)
    if _V1_SHARD.search(path) and paths_of_v1(path):
        return _V1_SHARD.sub("", path)
    for prefix in (path, re.sub(rf"\.index$|\.meta$|{_DATA_FILE.pattern}", "", path)):
        if is_file(f"{prefix}.index"):
            return prefix
        if not prefix.endswith(".index") and paths_of_v1(prefix):
            return prefix
    if is_folder(path):
        return _find_in_folder(path)
    if _DATA_FILE.search(path) or path.endswith(".index"):
        if is_file(path):
            missing = f"{_DATA_FILE.sub('', path)}.index"
            raise MissingFileError(
                f"{path} is one file of a checkpoint, whose index {missing} is missing{_nearby(path)}"
            )
    elif os.path.basename(path) == state.FILENAME and is_file(path):
        return _find_in_folder(os.path.dirname(path) or ".")
    elif path.endswith(".meta") and is_file(path):
        prefix = path.removesuffix(".meta")
        raise MissingFileError(
            f"{path} is a graph without values; those would be in {prefix}.index and {prefix}.data-00000-of-00001, "
            f"which are missing{_nearby(path)}"
        )
    elif is_file(path):
        raise ReadError(f"{path} is {_kind(path)}, not a checkpoint{_nearby(path)}")
    elif files.files_like(path, ".data-?????-of-?????"):
        raise MissingFileError(f"{path}.index is missing; the data beside it cannot be read without it{_nearby(path)}")
    raise MissingFileError(f"{path}: no such checkpoint{_nearby(path)}")


def latest_checkpoint(folder: str | os.PathLike[str], latest_filename: str | None = None) -> str | None:
    """Prefix of the latest checkpoint by the folder's `checkpoint` file; None where there is no such file or checkpoint.

    Where the file's path leads nowhere and the folder holds a checkpoint of that name (the folder has been moved), it
    is that one.
    """
    folder = os.fspath(folder)
    found = state.read_state(folder, latest_filename)
    if found is None:
        return None
    moved = files.join(folder, os.path.basename(found.latest))
    return next((prefix for prefix in (found.latest, moved) if exists(prefix)), None)


def exists(prefix: str) -> bool:
    """Whether a checkpoint goes by exactly this prefix (or V1 pattern)."""
    return is_file(f"{prefix}.index") or bool(paths_of_v1(prefix))


def remove(prefix: str | os.PathLike[str]) -> None:
    """Removes a checkpoint's files, the index first: what a crash leaves of it cannot be taken for a checkpoint.

    The graph beside it (`.meta`) stays. That there is no such checkpoint is no error.
    """
    prefix = os.fspath(prefix)
    data_files = glob.glob(f"{glob.escape(prefix)}.data-?????-of-?????")
    for path in (*paths_of_v1(prefix), f"{prefix}.index", *data_files):
        for name in (path, path + PREVIOUS):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)


def paths_of_v1(prefix: str) -> list[str]:
    """The files of the V1 checkpoint that goes by a path, a pattern, or the prefix of its shards; none if there is none."""
    if is_file(f"{prefix}.index"):
        return []
    if is_file(prefix):
        return [prefix] if _is_table_file(prefix) else []
    shards = _SHARD_PATTERN.search(prefix)
    if files.is_remote(prefix):
        paths = files.files_like(prefix[: shards.start()], shards[0]) if shards else []
    else:
        paths = glob.glob(prefix)
    paths = paths or files.files_like(prefix, "-?????-of-?????")
    return sorted(path for path in paths if not path.endswith(".meta") and is_file(path) and _is_table_file(path))


def _is_table_file(path: str) -> bool:
    return is_table(open_source(path))


def _find_in_folder(folder: str) -> str:
    latest = latest_checkpoint(folder)
    if latest is not None:
        return latest
    of_saved_model = files.join(folder, _SAVED_MODEL_VARIABLES)
    if is_file(f"{of_saved_model}.index"):
        return of_saved_model
    prefixes = _prefixes_in(folder)
    if prefixes:
        return max(prefixes, key=lambda prefix: (files.modified(_first_file(prefix)), prefix))
    raise MissingFileError(f"{folder} is a folder without a checkpoint: it holds {_contents(folder)}")


def _prefixes_in(folder: str) -> list[str]:
    """All checkpoints in a folder, sorted."""
    prefixes = set()
    for path in files.files_in(folder):
        if path.endswith(".index"):
            prefixes.add(path.removesuffix(".index"))
        elif not _DATA_FILE.search(path) and _is_table_file(path):
            prefixes.add(_V1_SHARD.sub("", path))
    return sorted(prefixes)


def _first_file(prefix: str) -> str:
    return f"{prefix}.index" if is_file(f"{prefix}.index") else paths_of_v1(prefix)[0]


def _nearby(path: str) -> str:
    """What a message says of the folder that `path` is in."""
    folder = os.path.dirname(path) or "."
    if not is_folder(folder):
        return f"; the folder {folder} does not exist"
    prefixes = _prefixes_in(folder)
    if prefixes:
        return f"; checkpoints in {folder}: {_some([os.path.basename(prefix) for prefix in prefixes])}"
    return f"; {folder} holds no checkpoint, but {_contents(folder)}"


def _contents(folder: str) -> str:
    inside = files.files_in(folder) if files.is_remote(folder) else sorted(os.listdir(folder))
    names = [os.path.basename(path) for path in inside]
    return _some(names) if names else "nothing"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _kind(path: str) -> str:
    start = open_source(path).read(0, 16)
    if not start:
        return "an empty file"
    name = os.path.basename(path)
    if name.startswith("events.out.tfevents"):
        return "a file of events for TensorBoard"
    if name == "saved_model.pb":
        return "the graph of a SavedModel (its values are in the folder 'variables' beside it)"
    if name.endswith((".pb", ".pbtxt")):
        return "a graph (whose values, if it is frozen, are in it)"
    return next((kind for magic, kind in _KINDS if start.startswith(magic)), f"a file that begins with {start!r}")
