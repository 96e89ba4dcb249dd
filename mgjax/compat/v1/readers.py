"""What a checkpoint holds, as `tf.train` gives it."""

from __future__ import annotations

import os
from typing import Any

from mgjax import checkpoint
from mgjax.compat.v1 import dtypes
from mgjax.compat.v1.dtypes import DType
from mgjax.compat.v1.errors import NotFoundError, raised_as_tensorflow_does
from mgjax.compat.v1.states import latest_checkpoint


class NewCheckpointReader:
    """Reads the tensors of a checkpoint.

    Raises:
        NotFoundError: there is none of this prefix.
        DataLossError: it is damaged.
    """

    def __init__(self, filepattern: str | os.PathLike[str]):
        with raised_as_tensorflow_does():
            self._opened = checkpoint.open(os.fspath(filepattern))

    def has_tensor(self, name: str) -> bool:
        return name in self._opened

    def get_tensor(self, name: str) -> Any:
        """The value: an array, or a NumPy scalar. Raises `NotFoundError` where the checkpoint lacks it."""
        if name not in self._opened:
            raise NotFoundError(None, None, f"Key {name} not found in checkpoint")
        with raised_as_tensorflow_does():
            return self._opened.read(name)[()]

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(self._opened.shape(name)) for name in self._opened}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        return {name: dtypes.as_dtype(self._opened.dtype(name)) for name in self._opened}

    def debug_string(self) -> bytes:
        """A line for each tensor: name, dtype, shape."""
        lines = []
        for name in self._opened:
            shape = ",".join(map(str, self._opened.shape(name)))
            dtype = self._opened.dtype(name).name
            lines.append(f"{name} (DT_{_C_NAMES.get(dtype, dtype).upper()}) [{shape}]\n")
        return "".join(lines).encode()


_C_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
CheckpointReader = NewCheckpointReader


def load_checkpoint(ckpt_dir_or_file: str | os.PathLike[str]) -> NewCheckpointReader:
    """The reader of a checkpoint, or of a folder's latest one. Raises `ValueError` where a folder has none."""
    path = os.fspath(ckpt_dir_or_file)
    if os.path.isdir(path):
        latest = latest_checkpoint(path)
        if latest is None:
            raise ValueError(f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}")
        path = latest
    return NewCheckpointReader(path)


def load_variable(ckpt_dir_or_file: str | os.PathLike[str], name: str) -> Any:
    """The value of one tensor of a checkpoint."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: str | os.PathLike[str]) -> list[tuple[str, list[int]]]:
    """(name, shape) of all tensors of a checkpoint, by name."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())
