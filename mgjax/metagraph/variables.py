"""The variables of a graph, and how its own saver maps them to the tensors of a checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from mgjax.metagraph.graph import Graph, split_tensor_name

VARIABLE_OPS = frozenset({"VariableV2", "Variable", "VarHandleOp"})

_RESTORE_OPS = frozenset({"RestoreV2", "Restore", "RestoreSlice"})
_PASSING_OPS = frozenset({"Identity", "Reshape", "Cast", "RefIdentity"})


@dataclass(frozen=True, slots=True)
class Saved:
    """Where a saver keeps a variable.

    Attributes:
        variable: the name of the variable's node.
        key: the name of the tensor in the checkpoint.
        shape: the whole tensor's shape if the variable is a part of it, else None.
        extents: (start, length) of the part along each axis, length -1 for all of it; None for the whole.
        reshape: whether the saver gives the tensor the variable's shape (`Saver(reshape=True)`).
    """

    variable: str
    key: str
    shape: tuple[int, ...] | None = None
    extents: tuple[tuple[int, int], ...] | None = None
    reshape: bool = False


@dataclass(frozen=True, slots=True)
class SavedObject:
    """Where a saver keeps a host object.

    Attributes:
        kind: what it is, for messages.
        name: the node that makes the object's handle.
        importer: the node that makes the object from what was restored.
        restored: the tensors that the importer takes.
        exported: the tensors that hold the object, in the same order.
        keys: their names in the checkpoint.
    """

    kind: str
    name: str
    importer: str
    restored: tuple[str, ...]
    exported: tuple[str, ...]
    keys: tuple[str, ...]


#: From the op that makes an object from tensors to what it is, and to the op that gives those tensors.
_IMPORTERS = {
    "LookupTableImport": ("table", "LookupTableExport"),
    "LookupTableImportV2": ("table", "LookupTableExportV2"),
    "BoostedTreesDeserializeEnsemble": ("ensemble of trees", "BoostedTreesSerializeEnsemble"),
    "BoostedTreesQuantileStreamResourceDeserialize": (
        "quantile streams",
        "BoostedTreesQuantileStreamResourceGetBucketBoundaries",
    ),
}


def variable_nodes(graph: Graph) -> list[str]:
    """The names of all variable nodes, in the graph's order."""
    return [node.name for node in graph.graph_def.node if node.op in VARIABLE_OPS]


def variable_key(op: str, shared_name: str, name: str) -> str:
    """What variables that share one value have in common; their kinds do not mix."""
    return f"{op == 'VarHandleOp'}/{shared_name or name}"


def object_key(kind: str, container: str, shared_name: str, name: str) -> str:
    """What handles that stand for one host object (a table, a queue) have in common."""
    return f"{kind}/{container}/{shared_name or name}"


def names_by_key(graph: Graph, makers: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """From each `variable_key` or `object_key` to the name of the first node that has it, under which the value is held.

    It is the node's name, and not its `shared_name`, since an import into a scope leaves the latter without the scope.

    Args:
        makers: from op to the kind of the host objects whose handles it makes.
    """
    names: dict[str, str] = {}
    for name in variable_nodes(graph):
        names.setdefault(_key_of(graph, name), name)
    for name, kind in _object_nodes(graph, makers):
        names.setdefault(_object_key_of(graph, name, kind), name)
    return names


def object_names(graph: Graph, makers: Mapping[str, str]) -> dict[str, str]:
    """From each node that makes the handle of a host object to the name under which the object is held."""
    names = names_by_key(graph, makers)
    return {name: names[_object_key_of(graph, name, kind)] for name, kind in _object_nodes(graph, makers)}


def _object_nodes(graph: Graph, makers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(node.name, makers[node.op]) for node in graph.graph_def.node if node.op in makers]


def _object_key_of(graph: Graph, name: str, kind: str) -> str:
    node = graph.nodes[name]
    return object_key(kind, _text(node, "container"), _text(node, "shared_name"), name)


def state_names(graph: Graph) -> dict[str, str]:
    """From each variable node to the name under which its value is held.

    Resource variables of one `shared_name` share one value; it goes by the name of the first of their nodes.
    """
    names = names_by_key(graph)
    return {name: names[_key_of(graph, name)] for name in variable_nodes(graph)}


def _key_of(graph: Graph, name: str) -> str:
    node = graph.nodes[name]
    return variable_key(node.op, _text(node, "shared_name"), name)


def _text(node: Any, key: str) -> str:
    return node.attr[key].s.decode(errors="replace") if key in node.attr else ""


def saved_by(graph: Graph, restore_op: str) -> list[Saved] | None:
    """What the graph's own restore operation restores, or None where its nodes do not have the form that a Saver makes.

    The form: a NoOp with control inputs, down to `Assign(variable, value)` or `AssignVariableOp(variable, value)`, where
    `value` comes, through `Identity`, `Reshape` or `Cast`, from `RestoreV2(prefix, tensor_names, shape_and_slices)` or
    one of the older restore ops.
    """
    found: list[Saved] = []
    texts: dict[str, list[str] | None] = {}
    for node in _awaited(graph, restore_op, {"Assign", "AssignVariableOp"}):
        saved = _saved_by_assign(graph, node, texts)
        if saved is None:
            return None
        found.append(saved)
    return found or None


def objects_saved_by(graph: Graph, restore_op: str) -> list[SavedObject]:
    """The host objects that the graph's own restore operation restores: lookup tables, ensembles of trees and their buckets.

    The form, of a table: `LookupTableImportV2(table, keys, values)` of what a restore op gives, among what the operation waits
    for; and `LookupTableExportV2(table)`, which gives what is saved.
    """
    of_export = {export for _, export in _IMPORTERS.values()}
    exporters: dict[tuple[str, str], str] = {}
    for node in graph.graph_def.node:
        if node.op in of_export and node.input:
            exporters.setdefault((node.op, split_tensor_name(node.input[0])[0]), node.name)
    found: list[SavedObject] = []
    texts: dict[str, list[str] | None] = {}
    for node in _awaited(graph, restore_op, _IMPORTERS.keys()):
        kind, export = _IMPORTERS[node.op]
        data = [text for text in node.input if not text.startswith("^")]
        if len(data) < 2:  # a broken node, which imports like any other
            continue
        handle, *restored = data
        handle = split_tensor_name(handle)[0]
        keys = [_restored_key(graph, text, texts) for text in restored]
        exporter = exporters.get((export, handle))
        if exporter is not None and None not in keys:
            exported = tuple(f"{exporter}:{i}" for i in range(len(keys)))
            known = tuple(key for key in keys if key is not None)
            found.append(SavedObject(kind, handle, node.name, tuple(restored), exported, known))
    return found


def _awaited(graph: Graph, name: str, ops: Collection[str]) -> Iterator[Any]:
    """The nodes of the given ops that a node waits for, through control inputs alone; what those wait for is left out."""
    seen: set[str] = set()
    stack = [name.removesuffix(":0")]
    while stack:
        name = stack.pop()
        node = graph.nodes.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op in ops:
            yield node
        else:
            stack.extend(text[1:] for text in reversed(node.input) if text.startswith("^"))


def _restored_key(graph: Graph, text: str, texts: dict[str, list[str] | None]) -> str | None:
    """The tensor of the checkpoint that a tensor of the graph restores; None where it restores none."""
    source = _follow(graph, text, _RESTORE_OPS)
    if source is None:
        return None
    names = graph.nodes[source[0]].input[1]
    if names not in texts:
        texts[names] = _strings(graph, names)
    keys = texts[names]
    return keys[source[1]] if keys is not None and source[1] < len(keys) else None


def _saved_by_assign(graph: Graph, assign: Any, texts: dict[str, list[str] | None]) -> Saved | None:
    """What one assignment restores; `texts` keeps the constants that were read, since one names all the tensors."""
    data = [text for text in assign.input if not text.startswith("^")]
    if len(data) != 2:
        return None
    variable = _follow(graph, data[0], VARIABLE_OPS)
    source = _follow(graph, data[1], _RESTORE_OPS)
    if variable is None or source is None:
        return None
    restore, index = graph.nodes[source[0]], source[1]
    for text in restore.input[1:]:
        if text not in texts:
            texts[text] = _strings(graph, text)
    keys = texts[restore.input[1]]
    slices = texts[restore.input[2]] if len(restore.input) > 2 and restore.op != "Restore" else None
    if keys is None or index >= len(keys):
        return None
    shape, extents = parse_slice(slices[index]) if slices is not None and index < len(slices) else (None, None)
    return Saved(variable[0], keys[index], shape, extents, reshape="Reshape" in source[2])


def _follow(graph: Graph, text: str, wanted: frozenset[str]) -> tuple[str, int, set[str]] | None:
    """The node of a wanted op that the tensor comes from, its output, and the ops passed on the way."""
    passed: set[str] = set()
    for _ in range(100):
        name, index = split_tensor_name(text)
        node = graph.nodes.get(name)
        if node is None:
            return None
        if node.op in wanted:
            return name, index, passed
        if node.op not in _PASSING_OPS or not node.input:
            return None
        passed.add(node.op)
        text = node.input[0]
    return None


def _strings(graph: Graph, text: str) -> list[str] | None:
    """The strings of a constant."""
    name = split_tensor_name(text)[0]
    node = graph.nodes.get(name)
    if node is None or node.op != "Const":
        return None
    value = np.asarray(graph.attributes(name)["value"])
    if value.dtype != object:
        return None
    return [item.decode(errors="surrogateescape") for item in value.ravel().tolist()]


def parse_slice(text: str) -> tuple[tuple[int, ...] | None, tuple[tuple[int, int], ...] | None]:
    """A saver's `shape_and_slice`: `"4 2 0,2:0,2"` -> `((4, 2), ((0, 2), (0, 2)))`; empty text is the whole tensor."""
    if not text:
        return None, None
    *sizes, extents = text.split(" ")
    parts = [(0, -1) if part == "-" else tuple(int(n) for n in part.split(",")) for part in extents.split(":")]
    return tuple(int(n) for n in sizes), tuple((start, length) for start, length in parts)
