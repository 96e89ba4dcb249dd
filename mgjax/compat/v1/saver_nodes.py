"""The nodes that a Saver adds to a graph, as TensorFlow's adds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mgjax.compat.v1 import dtypes
from mgjax.compat.v1.framework import Graph, Operation, Tensor
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
) -> Any:
    """Adds the nodes that save and restore variables, and gives the SaverDef that names them."""
    entries = [(key, variable) for key in sorted(variables) for variable in variables[key]]
    keys = [key for key, _ in entries]
    slices = [variable.save_slice_info.spec if variable.save_slice_info else "" for _, variable in entries]
    kinds = tuple(variable.dtype for _, variable in entries)
    with graph.name_scope(name), graph.control_dependencies(None):
        default = graph.create_op("Const", [], _strings(filename), "filename/input").outputs[0]
        file = graph.create_op("PlaceholderWithDefault", [default], {"shape": ()}, "filename").outputs[0]
        prefix = graph.create_op("PlaceholderWithDefault", [file], {"shape": ()}, "Const").outputs[0]
        names = graph.create_op("Const", [], _strings(keys), "SaveV2/tensor_names").outputs[0]
        parts = graph.create_op("Const", [], _strings(slices), "SaveV2/shape_and_slices").outputs[0]
        values = [variable.value() if variable.is_resource else variable.handle for _, variable in entries]
        save = graph.create_op("SaveV2", [prefix, names, parts, values], {"dtypes": kinds}, "SaveV2")
        with graph.control_dependencies([save]):
            saved = graph.create_op("Identity", [prefix], {}, "control_dependency").outputs[0]
        names = graph.create_op("Const", [], _strings(keys), "RestoreV2/tensor_names").outputs[0]
        parts = graph.create_op("Const", [], _strings(slices), "RestoreV2/shape_and_slices").outputs[0]
        restored = graph.create_op("RestoreV2", [prefix, names, parts], {"dtypes": kinds}, "RestoreV2").outputs
        assigns = [
            _assign(graph, variable, value, reshape) for (_, variable), value in zip(entries, restored, strict=True)
        ]
        with graph.control_dependencies(assigns):
            restore = graph.create_op("NoOp", [], {}, "restore_all")
    return meta_graph_pb2.SaverDef(
        filename_tensor_name=prefix.name,
        save_tensor_name=saved.name,
        restore_op_name=restore.name,
        max_to_keep=max_to_keep,
        keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
        version=meta_graph_pb2.SaverDef.V2,
    )


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
