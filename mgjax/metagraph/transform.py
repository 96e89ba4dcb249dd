"""What an import does to a graph before it is indexed: devices, names, inputs that are mapped elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from mgjax.metagraph.collections import VARIABLE_COLLECTIONS
from mgjax.metagraph.graph import split_tensor_name
from mgjax.proto import control_flow_pb2, graph_pb2, meta_graph_pb2, queue_runner_pb2, variable_pb2

FRAME_OPS = frozenset({"Enter", "RefEnter"})


def clear_devices(graph_def: graph_pb2.GraphDef) -> None:
    """Removes the device of every node, in place; nodes of library functions keep theirs, as in TensorFlow."""
    for node in graph_def.node:
        node.device = ""


def rename_nodes(graph_def: graph_pb2.GraphDef, rename: Callable[[str], str], scope: str) -> None:
    """Gives every node a new name, in place, wherever the graph speaks of it: inputs, `_class`, loop frames.

    Args:
        rename: from a node's name to its new one.
        scope: put before the names of loop frames; empty to leave them.
    """
    for node in graph_def.node:
        node.name = rename(node.name)
        for i, text in enumerate(node.input):
            node.input[i] = _renamed_input(text, rename)
        if "_class" in node.attr:
            values = node.attr["_class"].list.s
            for i, value in enumerate(values):
                if value.startswith(b"loc:@"):
                    values[i] = b"loc:@" + rename(value[5:].decode()).encode()
        if scope and node.op in FRAME_OPS and "frame_name" in node.attr:
            node.attr["frame_name"].s = f"{scope}/".encode() + node.attr["frame_name"].s


def _renamed_input(text: str, rename: Callable[[str], str]) -> str:
    if text.startswith("^"):
        return "^" + rename(text[1:])
    name, colon, index = text.rpartition(":")
    return f"{rename(name)}:{index}" if colon else rename(text)


def map_inputs(graph_def: graph_pb2.GraphDef, mapping: Mapping[str, str]) -> list[str]:
    """Makes every node that takes a mapped tensor take another, in place; the mapped nodes stay.

    Args:
        mapping: from tensor (`name:index`, or `name` for output 0; `^name` for a control input) to tensor.

    Returns:
        The keys of `mapping` that no node uses.
    """
    wanted = {_canonical(key): (key, value) for key, value in mapping.items()}
    used: set[str] = set()
    for node in graph_def.node:
        for i, text in enumerate(node.input):
            found = wanted.get(_canonical(text))
            if found is not None:
                node.input[i] = found[1]
                used.add(found[0])
    return [key for key in mapping if key not in used]


def _canonical(text: str) -> str:
    return text if text.startswith("^") else "{}:{}".format(*split_tensor_name(text))


def put_in_scope(meta_graph: Any, scope: str) -> None:
    """Puts a scope before every name of a MetaGraphDef, in place: nodes, collections, saver, signatures.

    Function names in the library keep theirs, and so do `shared_name` and `container`, as in TensorFlow.
    """

    def rename(text: str) -> str:
        return scoped(text, scope)

    rename_nodes(meta_graph.graph_def, rename, scope)
    for key, collection in meta_graph.collection_def.items():
        kind = collection.WhichOneof("kind")
        if kind == "node_list":
            _replace_all(collection.node_list.value, rename)
        elif kind == "bytes_list":
            _replace_all(collection.bytes_list.value, functools.partial(_scoped_bytes, key, rename=rename))
    if meta_graph.HasField("saver_def"):
        rename_saver(meta_graph.saver_def, rename)
    for signature in meta_graph.signature_def.values():
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            if info.name:
                info.name = rename(info.name)


def _replace_all(values: Any, change: Callable[[Any], Any]) -> None:
    for i, value in enumerate(values):
        values[i] = change(value)


def _scoped_bytes(key: str, value: bytes, rename: Callable[[str], str]) -> bytes:
    """A collection's entry under a scope: a known message with its names changed, else a plain string with it before."""
    from google.protobuf.message import DecodeError

    if key not in NAMING_MESSAGES:
        return rename(value.decode()).encode() if _is_text(value) else value
    try:
        message = NAMING_MESSAGES[key].FromString(value)
    except DecodeError:
        return value
    rename_fields(message, rename)
    return message.SerializeToString()


def _is_text(value: bytes) -> bool:
    try:
        return value.decode().isprintable()
    except UnicodeDecodeError:
        return False


def rename_saver(saver_def: Any, rename: Callable[[str], str]) -> None:
    """Gives the names in a SaverDef new ones, in place."""
    saver_def.filename_tensor_name = rename(saver_def.filename_tensor_name)
    saver_def.save_tensor_name = rename(saver_def.save_tensor_name)
    saver_def.restore_op_name = rename(saver_def.restore_op_name)


def rename_fields(message: Any, rename: Callable[[str], str]) -> None:
    """Gives every name in a message of a collection new ones, in place: all fields that `NAME_FIELDS` lists."""
    for field, value in message.ListFields():
        if field.name in NAME_FIELDS:
            if isinstance(value, str):
                setattr(message, field.name, rename(value))
            else:
                _replace_all(value, rename)
        elif field.name == "external_values":
            renamed = {rename(k): rename(v) for k, v in value.items()}
            value.clear()
            value.update(renamed)
        elif field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                rename_fields(inner, rename)


NAMING_MESSAGES: dict[str, Any] = {
    **dict.fromkeys(VARIABLE_COLLECTIONS, variable_pb2.VariableDef),
    "queue_runners": queue_runner_pb2.QueueRunnerDef,
    "while_context": control_flow_pb2.WhileContextDef,
    "cond_context": control_flow_pb2.CondContextDef,
    "savers": meta_graph_pb2.SaverDef,
}
"""The collections whose entries are serialized messages that hold names of nodes."""

NAME_FIELDS = frozenset(
    {
        "variable_name", "initializer_name", "snapshot_name", "initial_value_name", "full_name",
        "queue_name", "enqueue_op_name", "close_op_name", "cancel_op_name",
        "context_name", "pred_name", "pivot_name", "pivot_for_pred_name", "pivot_for_body_name", "loop_exit_names",
        "loop_enter_names", "maximum_iterations_name", "values",
        "filename_tensor_name", "save_tensor_name", "restore_op_name",
    }
)  # fmt: skip
"""The fields of those messages that hold names; `full_name` is a partitioned variable's own."""


def scoped(text: str, scope: str) -> str:
    """A name, tensor name, `^name` or `loc:@name` with the scope before it."""
    if not scope or not text:
        return text
    for prefix in ("^", "loc:@"):
        if text.startswith(prefix):
            return f"{prefix}{scope}/{text[len(prefix) :]}"
    return f"{scope}/{text}"


def without_scope(name: str, scope: str) -> str:
    """A name, tensor name, `^name` or `loc:@name` without the scope before it; as it is where it is not in the scope."""
    if scope:
        for prefix in ("", "^", "loc:@"):
            if name.startswith(f"{prefix}{scope}/"):
                return prefix + name[len(prefix) + len(scope) :].lstrip("/")
    return name


def saver_in_scope(saver_def: Any, export_scope: str | None) -> Any:
    """A copy of a SaverDef with its names without the scope; None where it does not stand in it."""
    scope = (export_scope or "").rstrip("/")
    copy = meta_graph_pb2.SaverDef()
    copy.CopyFrom(saver_def)
    names = (copy.filename_tensor_name, copy.save_tensor_name, copy.restore_op_name)
    if not all(name.startswith(scope) for name in names):
        return None
    rename_saver(copy, lambda name: without_scope(name, scope))
    return copy
