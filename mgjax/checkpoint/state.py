"""The file named `checkpoint`: which checkpoints a folder holds and which is the latest, as text of a message."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf import text_format

from mgjax.checkpoint.files import join, read_file
from mgjax.checkpoint.replace import write_file
from mgjax.errors import ReadError
from mgjax.proto.checkpoint_pb2 import CheckpointState

FILENAME = "checkpoint"


@dataclass(frozen=True, slots=True)
class State:
    """What the file says, with paths joined to its folder.

    Attributes:
        latest: path of the latest checkpoint.
        paths: paths of all, oldest first.
        timestamps: when each was made, seconds since 1970; may be empty.
        last_preserved: when the last one to be kept for good was made, or None.
    """

    latest: str
    paths: tuple[str, ...]
    timestamps: tuple[float, ...] = ()
    last_preserved: float | None = None


def read_state(folder: str, latest_filename: str | None = None) -> State | None:
    """What the folder's `checkpoint` file says; None where there is none.

    Raises `ReadError` where the file is not what it should be, or names no checkpoint.
    """
    path = join(folder, latest_filename or FILENAME)
    try:
        text = read_file(path).decode()
        message = text_format.Parse(text, CheckpointState())
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, text_format.ParseError, IsADirectoryError) as error:
        raise ReadError(f"{path}: not the file in which a Saver lists its checkpoints: {error}") from error
    if not message.model_checkpoint_path:
        raise ReadError(f"{path}: names no checkpoint")
    preserved = message.last_preserved_timestamp
    return State(
        join(folder, message.model_checkpoint_path),
        tuple(join(folder, path) for path in message.all_model_checkpoint_paths),
        tuple(message.all_model_checkpoint_timestamps),
        preserved or None,
    )


def write_state(
    folder: str,
    latest: str,
    paths: Sequence[str] = (),
    *,
    latest_filename: str | None = None,
    timestamps: Sequence[float] = (),
    last_preserved: float | None = None,
    save_relative_paths: bool = False,
) -> None:
    """Writes the folder's `checkpoint` file, as a whole.

    Absolute paths stay so unless `save_relative_paths`; relative ones, given from the working directory, are written
    from the folder.

    Args:
        folder: where to write.
        latest: path of the latest checkpoint.
        paths: paths of all, oldest first; `latest` is added if it is not the last.
        latest_filename: another name than `checkpoint`.
        timestamps: when each of `paths` was made, seconds since 1970; none, or one for each.
        last_preserved: when the last one to be kept for good was made.
        save_relative_paths: whether to write absolute paths from the folder too.
    """
    paths = list(paths)
    if not paths or paths[-1] != latest:
        paths.append(latest)
    if timestamps and len(timestamps) != len(paths):
        raise ValueError(f"{len(timestamps)} timestamps for {len(paths)} checkpoints")

    def written(path: str) -> str:
        if os.path.isabs(path):
            return os.path.relpath(path, folder) if save_relative_paths else path
        return path if os.path.isabs(folder) else os.path.relpath(path, folder)

    target = os.path.join(folder, latest_filename or FILENAME)
    if target == latest:
        raise RuntimeError(
            f"Save path '{latest}' conflicts with path used for checkpoint state. Please use a different save path."
        )
    message = CheckpointState(
        model_checkpoint_path=written(latest),
        all_model_checkpoint_paths=[written(path) for path in paths],
        all_model_checkpoint_timestamps=timestamps,
        last_preserved_timestamp=last_preserved or 0.0,
    )
    write_file(target, text_format.MessageToString(message, as_utf8=False).encode())
