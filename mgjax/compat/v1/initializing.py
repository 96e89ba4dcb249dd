"""`tf.train.init_from_checkpoint`: variables whose initializers read a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mgjax.checkpoint import find
from mgjax.compat.v1.framework import get_default_graph
from mgjax.compat.v1.readers import NewCheckpointReader, load_checkpoint
from mgjax.compat.v1.saver_nodes import add_restore
from mgjax.compat.v1.states import latest_checkpoint
from mgjax.compat.v1.variables import Variable, global_variables


def init_from_checkpoint(ckpt_dir_or_file: str | os.PathLike[str], assignment_map: Mapping[str, Any]) -> None:
    """Gives variables of the default graph initializers that read a checkpoint, which the graph may then read.

    Args:
        ckpt_dir_or_file: a checkpoint, or a folder, whose latest one is meant.
        assignment_map: from tensor of the checkpoint to variable, the list of a partitioned variable's parts, or a
            variable's name; or from scope of the checkpoint to scope of the graph, both with `/` at their ends (`/` is all).

    Raises:
        ValueError: a name that the graph or the checkpoint lacks, or another shape.
    """
    given = os.fspath(ckpt_dir_or_file)
    reader = load_checkpoint(given)
    path = find(latest_checkpoint(given) or given) if os.path.isdir(given) else find(given)
    graph = get_default_graph()
    known = {variable.op.name: variable for variable in global_variables() if isinstance(variable, Variable)}
    for key, target in sorted(assignment_map.items()):
        for tensor, parts in _assignments(key, target, known, reader, given):
            _check_shape(tensor, parts, reader)
            for variable in parts:
                _set_initializer(variable, tensor, path)
    graph.allow(path)


def _assignments(
    key: str, target: Any, known: Mapping[str, Variable], reader: NewCheckpointReader, path: str
) -> list[tuple[str, list[Variable]]]:
    """(tensor of the checkpoint, variable or its parts) of one entry of the map."""
    if isinstance(target, Variable):
        return [(_present(key, reader, path), [target])]
    if isinstance(target, Sequence) and not isinstance(target, str):
        return [(_present(key, reader, path), _parts_of_one(list(target)))]
    parts = _named(target, known)
    if parts and not key.endswith("/"):
        return [(_present(key, reader, path), parts)]
    scope = target.rpartition("/")[0]
    if not key.endswith("/"):
        if "/" not in target or target.endswith("/"):
            raise ValueError(
                f"Assignment map with scope only name {scope} should map to scope only {key}. Should be 'scope/': 'other_scope/'."
            )
        raise ValueError(f"Variable {target} is not found in the graph")
    before = f"{scope}/" if scope else ""
    names = sorted({name.partition("/part_")[0] for name in known if name.startswith(before)})
    prefix = "" if key == "/" else key
    return [(_present(prefix + name[len(before) :], reader, path), _named(name, known)) for name in names]


def _present(tensor: str, reader: NewCheckpointReader, path: str) -> str:
    if not reader.has_tensor(tensor):
        raise ValueError(f"Tensor {tensor} is not found in {path} checkpoint")
    return tensor


def _named(name: str, known: Mapping[str, Variable]) -> list[Variable]:
    """The variable of a name, or the parts of the partitioned variable of that name."""
    if name in known:
        return [known[name]]
    parts: list[Variable] = []
    while f"{name}/part_{len(parts)}" in known:
        parts.append(known[f"{name}/part_{len(parts)}"])
    return parts


def _parts_of_one(parts: list[Variable]) -> list[Variable]:
    names = [part.save_slice_info.full_name if part.save_slice_info else part.op.name for part in parts]
    if len(set(names)) > 1:
        raise ValueError(
            f"Slices must all be from the same tensor: {names[0]} != {next(n for n in names if n != names[0])}"
        )
    return parts


def _check_shape(tensor: str, parts: Sequence[Variable], reader: NewCheckpointReader) -> None:
    found = reader.get_variable_to_shape_map()[tensor]
    part = parts[0].save_slice_info
    wanted = list(part.full_shape) if part is not None else parts[0].shape
    fits = found == wanted if part is not None else parts[0].shape.is_compatible_with(found)
    if not fits:
        raise ValueError(
            f"Shape of variable {parts[0].name} ({wanted}) doesn't match with shape of tensor {tensor} ({found}) from "
            "checkpoint reader."
        )


def _set_initializer(variable: Variable, tensor: str, path: str) -> None:
    graph = variable.graph
    with graph.control_dependencies(None), graph.name_scope(None):
        restored, assign = add_restore(graph, path, tensor, variable)
    variable.initializer = assign
    variable.initial_value = restored


__all__ = ["init_from_checkpoint"]
