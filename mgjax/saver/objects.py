"""Host objects in checkpoints: a graph's own saver keeps a table, or an ensemble of trees, as several tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mgjax import checkpoint
from mgjax.dtypes import from_numpy, string
from mgjax.function import GraphFunction, State
from mgjax.metagraph import SavedObject


def missing_objects(opened: checkpoint.Checkpoint, objects: Sequence[SavedObject]) -> list[str]:
    """What a checkpoint lacks, a sentence for each tensor."""
    return [
        f"{key!r} is not in the checkpoint (for the {saved.kind} {saved.name!r})"
        for saved in objects
        for key in saved.keys
        if key not in opened
    ]


def restore_objects(
    function: GraphFunction, state: State, opened: checkpoint.Checkpoint, objects: Sequence[SavedObject]
) -> State:
    """The state with these objects as the checkpoint has them: what the graph's nodes do with the tensors that they restore."""
    if not objects:
        return state
    feeds: dict[str, Any] = {}
    for saved in objects:
        feeds.update((name, opened.read(key)) for name, key in zip(saved.restored, saved.keys, strict=True))
    return function(state, feeds, [function.operations[saved.importer] for saved in objects])[0]


def object_tensors(function: GraphFunction, state: State, objects: Sequence[SavedObject]) -> list[checkpoint.Tensor]:
    """The tensors that hold the objects of a state."""
    fetches = [name for saved in objects for name in saved.exported]
    keys = [key for saved in objects for key in saved.keys]
    _, arrays = function(state, {}, fetches) if fetches else (state, [])
    return [_tensor(key, np.asarray(array)) for key, array in zip(keys, arrays, strict=True)]


def _tensor(key: str, array: np.ndarray) -> checkpoint.Tensor:
    dtype = string if array.dtype.kind == "O" else from_numpy(array.dtype)
    return checkpoint.Tensor(key, array, None, None, dtype)
