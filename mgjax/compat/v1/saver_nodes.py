"""The nodes that a Saver adds to a graph, as TensorFlow's adds them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mgjax.compat.v1 import dtypes
from mgjax.compat.v1.framework import Graph, Operation, Tensor, convert_to_tensor
from mgjax.compat.v1.variables import Variable, all_graph_variables
from mgjax.proto import meta_graph_pb2


def by_key(var_list: Any, graph: Graph) -> dict[str, list[Variable]]:
    """The variables to save by their keys in the checkpoint; those of one key are parts of one.

    Args:
        var_list: variables, or a mapping from key to variable (or to the list of its parts); all of the graph's if None.
    """
    if var_list is None:
        var_list = all_graph_variables(graph)
    found: dict[str, list[Variable]] = {}
    if isinstance(var_list, Mapping):
        for key, value in var_list.items():
            found[_checked_key(key)] = [_variable(v) for v in (value if isinstance(value, (list, tuple)) else [value])]
        _refuse_twice(found)
        return found
    if not isinstance(var_list, Sequence):
        raise TypeError(f"Variables to save should be passed in a dict or a list: {var_list}")
    for value in var_list:
        variable = _variable(value)
        part = variable.save_slice_info
        key = part.full_name if part else variable.op.name
        if key in found and not (part and found[key][0].save_slice_info):
            raise ValueError(f"At least two variables have the same name: {key}")
        found.setdefault(key, []).append(variable)
    return found


def _checked_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(
            f"names_to_saveables must be a dict mapping string names to trackable operations. Name is not a string: {key}"
        )
    return key


def _variable(value: Any) -> Variable:
    """A variable, or that which the reference tensor of one stands for."""
    if isinstance(value, Variable):
        return value
    if isinstance(value, Tensor) and (value.is_ref or value.op.type == "VarHandleOp"):
        made = value.graph.get_collection("variables")
        found = next((variable for variable in made if getattr(variable, "handle", None) is value), None)
        if found is not None:
            return found
    raise TypeError(f"Variable to save is not a Variable: {value}")


def _refuse_twice(found: Mapping[str, Sequence[Variable]]) -> None:
    seen: dict[Variable, str] = {}
    for key in sorted(found):
        for variable in found[key]:
            if variable in seen:
                raise ValueError(f"The same saveable will be restored with two names: {key}")
            seen[variable] = key


def add_saver_nodes(
    graph: Graph,
    variables: Mapping[str, Sequence[Variable]],
    max_to_keep: int,
    keep_checkpoint_every_n_hours: float,
    *,
    reshape: bool,
    name: str,
    filename: str,
    sharded: bool = False,
    version: int = meta_graph_pb2.SaverDef.V2,
) -> Any:
    """Adds the nodes that save and restore variables, and gives the SaverDef that names them."""
    entries = [(key, variable) for key in sorted(variables) for variable in variables[key]]
    devices = sorted({variable.device for _, variable in entries})
    shards = [[entry for entry in entries if entry[1].device == device] for device in devices]
    with graph.name_scope(name), graph.control_dependencies(None):
        default = graph.create_op("Const", [], _strings(filename), "filename/input").outputs[0]
        file = graph.create_op("PlaceholderWithDefault", [default], {"shape": ()}, "filename").outputs[0]
        prefix = graph.create_op("PlaceholderWithDefault", [file], {"shape": ()}, "Const").outputs[0]
        if sharded:
            saved = _add_sharded_save(graph, prefix, shards, version)
            restores = [_add_restore(graph, prefix, shard, reshape, "restore_shard") for shard in shards]
            with graph.control_dependencies(restores):
                restore = graph.create_op("NoOp", [], {}, "restore_all")
        else:
            saved = _add_save(graph, prefix, entries, version)
            restore = _add_restore(graph, prefix, entries, reshape, "restore_all")
    return meta_graph_pb2.SaverDef(
        filename_tensor_name=prefix.name,
        save_tensor_name=saved.name,
        restore_op_name=restore.name,
        max_to_keep=max_to_keep,
        sharded=sharded,
        keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
        version=version,  # type: ignore[arg-type]
    )


Entries = Sequence[tuple[str, Variable]]


def _add_save(graph: Graph, prefix: Tensor, entries: Entries, version: int) -> Tensor:
    """Saves the variables under the name `prefix`, which it gives once that is done."""
    values = [variable.value() if variable.is_resource else variable.handle for _, variable in entries]
    kinds = tuple(variable.dtype for _, variable in entries)
    if version == meta_graph_pb2.SaverDef.V1:
        name = graph.unique_name("save", mark_as_used=False).rpartition("/")[2]
        names, parts = _add_names(graph, entries, name, "shapes_and_slices")
        save = graph.create_op("SaveSlices", [prefix, names, parts, values], {"T": kinds}, "save")
    else:
        name = graph.unique_name("SaveV2", mark_as_used=False).rpartition("/")[2]
        names, parts = _add_names(graph, entries, name, "shape_and_slices")
        save = graph.create_op("SaveV2", [prefix, names, parts, values], {"dtypes": kinds}, "SaveV2")
    with graph.control_dependencies([save]):
        return graph.create_op("Identity", [prefix], {}, "control_dependency").outputs[0]


def _add_sharded_save(graph: Graph, prefix: Tensor, shards: Sequence[Entries], version: int) -> Tensor:
    """Saves a file a device; of V2 each as a checkpoint in a temporary folder, of which one is made at the end."""
    is_v2 = version == meta_graph_pb2.SaverDef.V2
    target = prefix
    if is_v2:
        suffix = graph.create_op("Const", [], _strings(f"_temp_{uuid.uuid4().hex}/part"), "StringJoin/inputs_1")
        target = graph.create_op("StringJoin", [[prefix, suffix.outputs[0]]], {}, "StringJoin").outputs[0]
    count = convert_to_tensor(np.int32(len(shards)), name="num_shards", graph=graph)
    saved = []
    for number, entries in enumerate(shards):
        name = graph.unique_name("ShardedFilename", mark_as_used=False).rpartition("/")[2]
        shard = convert_to_tensor(np.int32(number), name=f"{name}/shard", graph=graph)
        file = graph.create_op("ShardedFilename", [target, shard, count], {}, "ShardedFilename").outputs[0]
        saved.append((file, _add_save(graph, file, entries, version)))
    with graph.control_dependencies([done for _, done in saved]):
        if not is_v2:
            return graph.create_op("ShardedFilespec", [prefix, count], {}, "ShardedFilespec").outputs[0]
        files = graph.create_op(
            "Pack", [[file for file, _ in saved]], {}, "MergeV2Checkpoints/checkpoint_prefixes"
        ).outputs[0]
        merge = graph.create_op("MergeV2Checkpoints", [files, prefix], {"delete_old_dirs": True}, "MergeV2Checkpoints")
    with graph.control_dependencies([merge]):
        return graph.create_op("Identity", [prefix], {}, "Identity").outputs[0]


def _add_restore(graph: Graph, prefix: Tensor, entries: Entries, reshape: bool, name: str) -> Operation:
    kinds = tuple(variable.dtype for _, variable in entries)
    restore = graph.unique_name("RestoreV2", mark_as_used=False).rpartition("/")[2]
    names, parts = _add_names(graph, entries, restore, "shape_and_slices")
    values = graph.create_op("RestoreV2", [prefix, names, parts], {"dtypes": kinds}, "RestoreV2").outputs
    assigns = [_assign(graph, variable, value, reshape) for (_, variable), value in zip(entries, values, strict=True)]
    with graph.control_dependencies(assigns):
        return graph.create_op("NoOp", [], {}, name)


def add_restore(graph: Graph, path: str, key: str, variable: Variable) -> tuple[Tensor, Operation]:
    """Nodes that read one tensor of a checkpoint, and assign it to a variable."""
    prefix = convert_to_tensor(path, name="checkpoint_initializer/prefix", graph=graph)
    names, parts = _add_names(graph, [(key, variable)], "checkpoint_initializer", "shape_and_slices")
    restore = graph.create_op(
        "RestoreV2", [prefix, names, parts], {"dtypes": (variable.dtype,)}, "checkpoint_initializer"
    )
    return restore.outputs[0], _assign(graph, variable, restore.outputs[0], False)


def _add_names(graph: Graph, entries: Entries, name: str, slices: str) -> tuple[Tensor, Tensor]:
    """The keys and the slices of the entries, as inputs of the node `name`."""
    keys = [key for key, _ in entries]
    parts = [variable.save_slice_info.spec if variable.save_slice_info else "" for _, variable in entries]
    names = graph.create_op("Const", [], _strings(keys), f"{name}/tensor_names").outputs[0]
    return names, graph.create_op("Const", [], _strings(parts), f"{name}/{slices}").outputs[0]


def _assign(graph: Graph, variable: Variable, value: Tensor, reshape: bool) -> Operation:
    shape = variable.shape
    if reshape and shape.is_fully_defined():
        value = graph.create_op("Reshape", [value, np.asarray(shape.as_list(), np.int32)], {}, "Reshape").outputs[0]
    if variable.is_resource:
        value = graph.create_op("Identity", [value], {}, "Identity").outputs[0]
        return graph.create_op(
            "AssignVariableOp", [variable.handle, value], {"dtype": variable.dtype}, "AssignVariableOp"
        )
    place = {"validate_shape": not reshape and shape.is_fully_defined(), "_class": (f"loc:@{variable.op.name}",)}
    return graph.create_op("Assign", [variable.handle, value], place, "Assign")


def _strings(texts: str | Sequence[str]) -> dict[str, Any]:
    """The attributes of a constant of strings."""
    array = np.asarray(texts, object)
    encoded = np.empty(array.shape, object)
    encoded[...] = [text.encode() for text in texts] if array.ndim else str(texts).encode()
    return {"dtype": dtypes.as_dtype("string"), "value": encoded}
