"""The `checkpoint` file and the checkpoints that it names, as `tf.train` gives them."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Sequence
from typing import Any

from google.protobuf import text_format

from mgjax import checkpoint
from mgjax.proto import checkpoint_pb2

_log = logging.getLogger(__name__)


def get_checkpoint_state(checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None) -> Any:
    """The CheckpointState of a folder, with paths joined to it; None where it has none, or one that cannot be read.

    Raises:
        ValueError: it names no checkpoint.
    """
    folder = os.fspath(checkpoint_dir)
    path = os.path.join(folder, latest_filename or "checkpoint")
    try:
        with open(path, "rb") as file:
            state = text_format.Parse(file.read().decode(), checkpoint_pb2.CheckpointState())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (UnicodeDecodeError, text_format.ParseError, IsADirectoryError) as error:
        _log.warning("%s: Checkpoint ignored: %s", path, error)
        return None
    if not state.model_checkpoint_path:
        raise ValueError(f"Invalid checkpoint state loaded from {folder}")
    state.model_checkpoint_path = os.path.join(folder, state.model_checkpoint_path)
    for i, listed in enumerate(state.all_model_checkpoint_paths):
        state.all_model_checkpoint_paths[i] = os.path.join(folder, listed)
    return state


def latest_checkpoint(checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None) -> str | None:
    """The prefix of the newest checkpoint that a folder's `checkpoint` file names, or None."""
    if get_checkpoint_state(checkpoint_dir, latest_filename) is None:
        return None
    return checkpoint.latest_checkpoint(os.fspath(checkpoint_dir), latest_filename or "checkpoint")


def checkpoint_exists(checkpoint_prefix: str | os.PathLike[str]) -> bool:
    """Whether a checkpoint goes by a prefix, which may be a pattern, or any file or folder, as TensorFlow tells it."""
    prefix = os.fspath(checkpoint_prefix)
    return bool(prefix) and bool(glob.glob(f"{prefix}.index") or checkpoint.exists(prefix) or glob.glob(prefix))


def get_checkpoint_mtimes(checkpoint_prefixes: Sequence[str]) -> list[float]:
    """When those of the checkpoints that are there were written, in seconds since 1970."""
    times = map(checkpoint.modification_time, checkpoint_prefixes)
    return [found for found in times if found is not None]


def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: Any = None, meta_graph_suffix: str = "meta"
) -> None:
    """Removes a checkpoint's files and its graph."""
    checkpoint.remove(checkpoint_prefix)
    meta = f"{checkpoint_prefix}.{meta_graph_suffix}"
    if os.path.exists(meta):
        os.remove(meta)


def update_checkpoint_state(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """Writes a folder's `checkpoint` file."""
    checkpoint.write_state(
        save_dir, model_checkpoint_path, all_model_checkpoint_paths or (), latest_filename=latest_filename,
        timestamps=all_model_checkpoint_timestamps or (), last_preserved=last_preserved_timestamp,
    )  # fmt: skip
