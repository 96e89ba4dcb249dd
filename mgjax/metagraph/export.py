"""A MetaGraphDef of a graph, for others to import: the whole of it or one scope, as `tf.train.export_meta_graph` makes it.

A graph that was imported is exported as the messages that it came from, so that what this package does not know passes
through. Names are handled as TensorFlow's Python does (python/framework/meta_graph.py): a node belongs to a scope if its name
begins with it, and an input from outside of the scope becomes `$unbound_inputs_NAME`, which an import must map.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from mgjax import opdefs
from mgjax.metagraph import transform
from mgjax.metagraph.graph import Graph
from mgjax.metagraph.transform import FRAME_OPS, NAMING_MESSAGES, without_scope
from mgjax.proto import graph_pb2, meta_graph_pb2
from mgjax.proto.values import decode_attr, encode_attr

WRITER = "1.15.5"
"""The version of TensorFlow that messages made here conform to."""

UNBOUND_PREFIX = "$unbound_inputs_"
SAVER_OPS = frozenset({
    "Save", "SaveSlices", "SaveSlice", "SaveV2", "LegacySave", "LegacySaveSlice",
    "Restore", "RestoreSlice", "RestoreV2", "LegacyRestore", "LegacyRestoreSlice",
})  # fmt: skip

_MAX_BYTES = 2**31
#: The field by whose name a message of a collection belongs to a scope.
_OWN_NAMES = ("variable_name", "queue_name", "context_name", "restore_op_name")


def export(
    graph: Graph,
    source: Any,
    *,
    meta_info_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str] | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    unbound_inputs_col_name: str | None = "unbound_inputs",
) -> meta_graph_pb2.MetaGraphDef:
    """A new MetaGraphDef of a graph.

    Args:
        graph: the nodes, the library and the definitions of the ops.
        source: a MetaGraphDef for what else belongs to the graph: collections, signatures, assets, who wrote it.
        meta_info_def: takes the place of `source`'s; what it leaves out is filled in.
        saver_def: the SaverDef to put in; none otherwise.
        collection_list: the keys of the collections that are wanted; all by default.
        export_scope: only what is in this scope, its names without it.
        clear_devices: whether to leave out the devices of nodes.
        clear_extraneous_savers: whether to leave out the nodes and the SaverDefs of all savers but `saver_def`'s.
        strip_default_attrs: whether to leave out attributes that have their default; else those left out are filled in.
        unbound_inputs_col_name: the collection to name inputs from outside of `export_scope` in.

    Raises:
        ValueError: the graph is larger than a message may be.
    """
    scope = (export_scope or "").rstrip("/")
    excluded = extraneous_saver_nodes(graph.graph_def, saver_def) if clear_extraneous_savers else frozenset()
    result = meta_graph_pb2.MetaGraphDef()
    unbound = _add_nodes(result.graph_def, graph.graph_def, scope, excluded)
    if clear_devices:
        transform.clear_devices(result.graph_def)
    functions = {function.signature.name: function for function in result.graph_def.library.function}
    change = _strip_defaults if strip_default_attrs else _fill_defaults
    for node in result.graph_def.node:
        if node.op not in functions:
            change(node, graph.op_def(node.op))
    if strip_default_attrs:
        for function in functions.values():
            for node in function.node_def:
                if node.op not in functions:
                    _strip_defaults(node, graph.op_def(node.op))
    _add_meta_info(result, graph, meta_info_def or source.meta_info_def, is_given=meta_info_def is not None)
    if strip_default_attrs:
        result.meta_info_def.stripped_default_attrs = True
    elif meta_info_def is None:
        result.meta_info_def.stripped_default_attrs = False
    if saver_def is not None:
        result.saver_def.CopyFrom(saver_def)
    _add_collections(result, source.collection_def, collection_list, scope, excluded)
    if clear_extraneous_savers and "savers" in result.collection_def:
        del result.collection_def["savers"]
        if saver_def is not None:
            result.collection_def["savers"].bytes_list.value.append(saver_def.SerializeToString())
    if unbound and unbound_inputs_col_name and (collection_list is None or unbound_inputs_col_name in collection_list):
        result.collection_def[unbound_inputs_col_name].CopyFrom(_bytes_list(unbound))
    _add_signatures(result, source, scope)
    for asset in source.asset_file_def:
        if asset.tensor_info.name.startswith(scope):
            copy = result.asset_file_def.add()
            copy.CopyFrom(asset)
            copy.tensor_info.name = without_scope(asset.tensor_info.name, scope)
    if source.HasField("object_graph_def") and not scope:
        result.object_graph_def.CopyFrom(source.object_graph_def)
    if result.graph_def.ByteSize() >= _MAX_BYTES:
        raise ValueError("GraphDef cannot be larger than 2GB.")
    return result


# Nodes


def _add_nodes(
    target: graph_pb2.GraphDef, source: graph_pb2.GraphDef, scope: str, excluded: Collection[str]
) -> list[str]:
    """Copies what belongs to the scope; the names of the inputs from outside of it, as often as they are used."""
    if not scope and not excluded:
        target.CopyFrom(source)
        return []
    unbound: list[str] = []
    for node in source.node:
        if node.name in excluded or not node.name.startswith((scope, UNBOUND_PREFIX)):
            continue
        copy = target.node.add()
        copy.CopyFrom(node)
        if scope:
            _take_out_of_scope(copy, scope, unbound)
    if source.HasField("library"):
        target.library.CopyFrom(source.library)
    target.versions.CopyFrom(source.versions)
    target.version = source.version
    return unbound


def _take_out_of_scope(node: graph_pb2.NodeDef, scope: str, unbound: list[str]) -> None:
    node.name = without_scope(node.name, scope)
    for i, text in enumerate(node.input):
        if text.lstrip("^").startswith(scope):
            node.input[i] = without_scope(text, scope)
        else:
            node.input[i] = f"^{UNBOUND_PREFIX}{text[1:]}" if text.startswith("^") else UNBOUND_PREFIX + text
            unbound.append(node.input[i])
    if "_class" in node.attr:
        places = [value.decode() for value in node.attr["_class"].list.s]
        inside = [without_scope(place, scope) for place in places if place.partition("@")[2].startswith(scope)]
        node.attr["_class"].list.SetInParent()
        node.attr["_class"].list.s[:] = [place.encode() for place in inside]
    if node.op in FRAME_OPS and "frame_name" in node.attr:
        node.attr["frame_name"].s = without_scope(node.attr["frame_name"].s.decode(), scope).encode()


def extraneous_saver_nodes(graph_def: graph_pb2.GraphDef, saver_def: Any) -> frozenset[str]:
    """The nodes in scopes of save and restore ops, other than the scopes of `saver_def`; that is, of other savers."""
    savers = {node.name for node in graph_def.node if node.op in SAVER_OPS}
    scopes = {scope + "/" for scope in {_scope_of(name) for name in savers} - savers}
    if saver_def is not None:
        scopes -= {_scope_of(name) + "/" for name in (saver_def.save_tensor_name, saver_def.restore_op_name)}
    inside = tuple(scopes)
    return frozenset(node.name for node in graph_def.node if node.name.startswith(inside))


def _scope_of(name: str) -> str:
    return name.partition(":")[0].rpartition("/")[0]


def _fill_defaults(node: graph_pb2.NodeDef, op_def: opdefs.OpDef | None) -> None:
    if op_def is not None:
        for attr in op_def.attrs.values():
            if attr.has_default and attr.name not in node.attr:
                node.attr[attr.name].CopyFrom(encode_attr(attr.default, attr.type))


def _strip_defaults(node: graph_pb2.NodeDef, op_def: opdefs.OpDef | None) -> None:
    for attr in op_def.attrs.values() if op_def is not None else ():
        if attr.has_default and attr.name in node.attr:
            value = node.attr[attr.name]
            # Two forms of one tensor are equal to TensorFlow too, which compares what they hold.
            if value == encode_attr(attr.default, attr.type) or _is_equal(value, attr.default):
                del node.attr[attr.name]


def _is_equal(value: graph_pb2.AttrValue, default: Any) -> bool:
    if not value.HasField("tensor"):
        return False
    found = decode_attr(value)
    return found.dtype == default.dtype and found.shape == default.shape and found.tobytes() == default.tobytes()


# What belongs to the graph


def _add_meta_info(result: Any, graph: Graph, given: Any, *, is_given: bool) -> None:
    info = result.meta_info_def
    info.CopyFrom(given)
    if is_given or not info.tensorflow_version:
        info.tensorflow_version = WRITER
    if not (is_given and info.stripped_op_list.op):
        info.ClearField("stripped_op_list")
        info.stripped_op_list.op.extend(graph.op_list(result.graph_def))


def _add_collections(
    result: Any,
    collections: Mapping[str, Any],
    wanted: Iterable[str] | None,
    scope: str,
    excluded: Collection[str],
) -> None:
    for key in collections if wanted is None else wanted:
        if key not in collections:
            continue
        collection = collections[key]
        if scope or excluded:
            collection = _part_of_collection(key, collection, scope, excluded)
        if collection is not None:
            result.collection_def[key].CopyFrom(collection)


def _part_of_collection(key: str, collection: Any, scope: str, excluded: Collection[str]) -> Any:
    """The entries that belong to the scope and are not excluded, without the scope; None where none does."""
    kind = collection.WhichOneof("kind")
    if kind == "node_list":
        names = [name for name in collection.node_list.value if name.startswith(scope) and name not in excluded]
        part = meta_graph_pb2.CollectionDef()
        part.node_list.value.extend(without_scope(name, scope) for name in names)
        return part if names else None
    if kind == "bytes_list" and key in NAMING_MESSAGES:
        values = [_entry_in_scope(key, value, scope, excluded) for value in collection.bytes_list.value]
        inside = [value for value in values if value is not None]
        part = meta_graph_pb2.CollectionDef()
        part.bytes_list.value.extend(inside)
        return part if inside else None
    return collection


def _entry_in_scope(key: str, value: bytes, scope: str, excluded: Collection[str]) -> bytes | None:
    try:
        message = NAMING_MESSAGES[key].FromString(value)
    except DecodeError:
        return value
    own = next((getattr(message, field) for field in _OWN_NAMES if hasattr(message, field)), "")
    if not own.startswith(scope) or own in excluded:
        return None
    if not scope:
        return value
    transform.rename_fields(message, _taking_out(scope))
    return message.SerializeToString(deterministic=True)


def _taking_out(scope: str) -> Callable[[str], str]:
    return lambda name: without_scope(name, scope)


def _add_signatures(result: Any, source: Any, scope: str) -> None:
    for key, signature in source.signature_def.items():
        infos = [*signature.inputs.values(), *signature.outputs.values()]
        if not all(info.name.startswith(scope) for info in infos if info.name):
            continue
        copy = result.signature_def[key]
        copy.CopyFrom(signature)
        for info in (*copy.inputs.values(), *copy.outputs.values()):
            if info.name:
                info.name = without_scope(info.name, scope)


def _bytes_list(texts: Sequence[str]) -> Any:
    collection = meta_graph_pb2.CollectionDef()
    collection.bytes_list.value.extend(text.encode() for text in texts)
    return collection
