"""Lookup tables in checkpoints: a graph's own saver keeps the keys and the values of a mutable table as two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mgjax import checkpoint
from mgjax.dtypes import from_numpy, string
from mgjax.function import GraphFunction, State
from mgjax.metagraph import SavedTable


def missing_tables(opened: checkpoint.Checkpoint, tables: Sequence[SavedTable]) -> list[str]:
    """What a checkpoint lacks, a sentence for each tensor."""
    return [
        f"{key!r} is not in the checkpoint (for the table {table.table!r})"
        for table in tables
        for key in (table.keys, table.values)
        if key not in opened
    ]


def restore_tables(
    function: GraphFunction, state: State, opened: checkpoint.Checkpoint, tables: Sequence[SavedTable]
) -> State:
    """The state with these tables as the checkpoint has them: what the graph's nodes do with the tensors that they restore."""
    if not tables:
        return state
    feeds: dict[str, Any] = {}
    for table in tables:
        feeds[table.restored_keys] = opened.read(table.keys)
        feeds[table.restored_values] = opened.read(table.values)
    return function(state, feeds, [function.operations[table.importer] for table in tables])[0]


def table_tensors(function: GraphFunction, state: State, tables: Sequence[SavedTable]) -> list[checkpoint.Tensor]:
    """The tensors that hold the tables of a state."""
    fetches = [name for table in tables for name in (f"{table.exporter}:0", f"{table.exporter}:1")]
    keys = [key for table in tables for key in (table.keys, table.values)]
    _, arrays = function(state, {}, fetches) if fetches else (state, [])
    return [_tensor(key, np.asarray(array)) for key, array in zip(keys, arrays, strict=True)]


def _tensor(key: str, array: np.ndarray) -> checkpoint.Tensor:
    dtype = string if array.dtype.kind == "O" else from_numpy(array.dtype)
    return checkpoint.Tensor(key, array, None, None, dtype)
