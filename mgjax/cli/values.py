"""Values on the command line: literals, and arrays in files."""

from __future__ import annotations

import ast
import zipfile
from typing import Any

import numpy as np

from mgjax.errors import FeedError, MissingFileError, ReadError
from mgjax.function import Tensor

_WORDS = {"true": True, "false": False, "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def read_value(text: str, tensor: Tensor) -> Any:
    """The value that `text` stands for.

    Args:
        text: a Python literal (`3`, `[[1, 2]]`, `"text"`), `true`, `false`, `nan`, `inf`; `@FILE.npy`; `@FILE.npz:KEY`. For
            a tensor of strings text that is no literal is the string itself.
        tensor: what is fed.

    Raises:
        FeedError: it is no literal. `MissingFileError`, `ReadError`: there is no such file, or it holds no array.
    """
    if text.startswith("@"):
        return _read_array(text[1:])
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if tensor.dtype is not None and tensor.dtype.name == "string":
            return text
    raise FeedError(
        f"the value for {tensor.name!r}, {text!r}, is no literal; write 3, true, [[1, 2], [3, 4]] or @FILE.npy"
    )


def _read_array(path: str) -> np.ndarray:
    archive, colon, key = path.rpartition(":")
    if colon and archive.endswith(".npz"):
        path = archive
    else:
        key = ""
    try:
        loaded = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise MissingFileError(f"'{path}' does not exist; wanted: an array saved by NumPy") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ReadError(f"'{path}' holds no array saved by NumPy: {error}") from None
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        names = list(loaded.files)
        if not key and len(names) == 1:
            key = names[0]
        if key not in names:
            raise ReadError(
                f"'{path}' holds the arrays {', '.join(names)}; say which, as in @{path}:{names[0] if names else 'x'}"
            )
        try:
            return loaded[key]
        except (ValueError, zipfile.BadZipFile) as error:
            raise ReadError(f"'{path}', {key!r}: {error}") from None
