"""Importing into and exporting from a graph under construction, with TensorFlow 1's rules for names."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from mgjax import exporting
from mgjax.compat.v1.framework import Graph, Operation, Tensor, convert_to_tensor, get_default_graph
from mgjax.compat.v1.queue_runners import QueueRunner
from mgjax.compat.v1.saver import Saver
from mgjax.compat.v1.variables import Variable
from mgjax.importing import UNBOUND_INPUTS, check_unbound
from mgjax.metagraph import NAMING_MESSAGES, VARIABLE_COLLECTIONS, WRITER, files, split_tensor_name, transform
from mgjax.metagraph import Graph as IndexedGraph
from mgjax.proto import meta_graph_pb2


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    *,
    graph: Graph | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] | None = None,
    return_elements: Any = None,
    allow_files: Any = (),
    allow_writing: Any = (),
    py_functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Saver | None:
    """Adds a MetaGraphDef to the default graph, and its collections to the graph's.

    The graph may read the files beside and below the one that it came from, but for hidden ones.

    Args:
        allow_files, allow_writing, py_functions: as in `mgjax.import_meta_graph`.

    Returns:
        Its saver: that of its SaverDef; else a new one if the graph has variables; else None.
    """
    graph = graph or get_default_graph()
    with graph.as_default():
        meta_graph = meta_graph_pb2.MetaGraphDef()
        meta_graph.CopyFrom(files.read_meta_graph(meta_graph_or_file))
        graph.allow(allow_files, allow_writing)
        graph.function.python_functions.update(py_functions or {})
        if isinstance(meta_graph_or_file, (str, os.PathLike)):
            graph.allow(beside=os.path.dirname(os.path.abspath(os.fspath(meta_graph_or_file))))
        check_unbound(meta_graph, unbound_inputs_col_name, input_map or {})
        graph.index.add_op_defs(meta_graph.meta_info_def.stripped_op_list.op)
        if clear_devices:
            transform.clear_devices(meta_graph.graph_def)
        scope = _scope(graph, import_scope)
        _add_nodes(graph, meta_graph, scope, input_map or {})
        _add_collections(graph, meta_graph, scope, unbound_inputs_col_name, restore_collections_predicate)
        if meta_graph.HasField("saver_def"):
            return Saver(saver_def=_scoped_saver(meta_graph.saver_def, scope))
        # A saver is made for the variables of this import alone, and only if there are any.
        made = [value for value in graph.get_collection("variables", scope or None) if isinstance(value, Variable)]
        return Saver(list(dict.fromkeys(made)), name=f"{scope}/save" if import_scope else None) if made else None


def import_graph_def(
    graph_def: Any, input_map: Mapping[str, Any] | None = None, return_elements: Any = None, name: str | None = None
) -> list[Any] | None:
    """Adds a GraphDef to the default graph, under the scope `name` ("import" by default)."""
    if input_map is not None and not isinstance(input_map, Mapping):
        raise TypeError("input_map must be a dictionary mapping strings to Tensor objects.")
    graph = get_default_graph()
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.graph_def.CopyFrom(files.read_graph_def(graph_def))
    scope = _scope(graph, "import" if name is None else name) if name != "" else ""
    names = _add_nodes(graph, meta_graph, scope, input_map or {})
    if return_elements is None:
        return None
    return [_returned(graph, element, names) for element in return_elements]


def _returned(graph: Graph, element: str, names: Mapping[str, str]) -> Any:
    node, colon, index = element.partition(":")
    try:
        return graph.as_graph_element(f"{names[node]}{colon}{index}")
    except (KeyError, ValueError) as error:
        raise ValueError(f"Requested return tensor '{element}' not found in graph def") from error


def _scope(graph: Graph, import_scope: str | None) -> str:
    if import_scope:
        return graph.unique_name(import_scope.rstrip("/"))
    return graph.current_scope


def _add_nodes(graph: Graph, meta_graph: Any, scope: str, input_map: Mapping[str, Any]) -> dict[str, str]:
    """Adds the nodes; from their names in the file to those that they got."""
    graph_def = meta_graph.graph_def
    mapping = {key: _replacement(graph, value, scope) for key, value in input_map.items()}
    _check_types(graph, meta_graph, mapping)
    names = {node.name: transform.scoped(node.name, scope) for node in graph_def.node}
    taken = graph.index.nodes
    if any(name in taken for name in names.values()):
        wanted = set(names.values())
        for old, name in names.items():
            if name in taken:
                names[old] = _free_name(name, lambda candidate: candidate in taken or candidate in wanted)
                wanted.add(names[old])
    if any(old != new for old, new in names.items()):
        # An input that is no node of the file (it is mapped, or missing) comes into the scope all the same.
        transform.rename_nodes(graph_def, lambda name: names.get(name) or transform.scoped(name, scope), scope)
    if mapping:
        _map_inputs(graph_def, mapping, lambda name: names.get(name) or transform.scoped(name, scope))
    target = graph.meta_graph.graph_def
    first = len(target.node)
    target.node.extend(graph_def.node)
    known = {function.signature.name for function in target.library.function}
    target.library.function.extend(f for f in graph_def.library.function if f.signature.name not in known)
    target.library.gradient.extend(graph_def.library.gradient)
    graph.index.library.update({function.signature.name: function for function in target.library.function})
    graph.index.gradients.update({entry.function_name: entry.gradient_func for entry in target.library.gradient})
    if first == 0 and graph_def.versions.producer:
        graph.index.producer = graph_def.versions.producer
        target.versions.CopyFrom(graph_def.versions)
    graph.index.extend(target.node[first:])
    for name in names.values():
        graph.take_name(name)
    graph.function.refresh()
    return names


def _replacement(graph: Graph, value: Any, scope: str) -> Tensor:
    """The tensor of the graph that takes an input's place; what is no tensor becomes a constant, which needs a scope."""
    if isinstance(value, str) or hasattr(value, "graph"):
        found = graph.as_graph_element(value)
        return found.outputs[0] if isinstance(found, Operation) else found
    if not scope:
        raise ValueError(
            "tf.import_graph_def() requires a non-empty `name` if `input_map` contains non-Tensor values. "
            "Try calling tf.convert_to_tensor() on `input_map` values before calling tf.import_graph_def()."
        )
    with graph.name_scope(f"{scope}/_inputs/"):
        return convert_to_tensor(value, graph=graph)


def _check_types(graph: Graph, meta_graph: Any, mapping: Mapping[str, Tensor]) -> None:
    """Refuses a replacement of another dtype than the tensor of the file has."""
    if not mapping:
        return
    file = IndexedGraph(meta_graph.graph_def, meta_graph.meta_info_def.stripped_op_list.op)
    for key, tensor in mapping.items():
        node, index = split_tensor_name(key)
        types = file.result_types(node) if node in file.nodes else None
        wanted = types[index].dtype if types is not None and index < len(types) else None
        if wanted is not None and tensor.dtype is not None and tensor.dtype != wanted:
            raise ValueError(
                f"Input {key!r} was passed {tensor.dtype.name} from {tensor.name} incompatible with expected {wanted.name}."
            )


def _map_inputs(graph_def: Any, mapping: Mapping[str, Tensor], rename: Callable[[str], str]) -> None:
    renamed = {("^" + rename(key[1:]) if key.startswith("^") else _renamed(key, rename)): key for key in mapping}
    targets = {
        new: ("^" + mapping[key].op.name if key.startswith("^") else mapping[key].name) for new, key in renamed.items()
    }
    present = {node.name for node in graph_def.node}
    unused = transform.map_inputs(graph_def, targets)
    # A tensor of the file that nothing takes may be mapped.
    absent = [renamed[new] for new in unused if split_tensor_name(new)[0] not in present]
    if absent:
        shown = ", ".join(key if key.startswith("^") else "{}:{}".format(*split_tensor_name(key)) for key in absent)
        raise ValueError(f"Attempted to map inputs that were not found in graph_def: [{shown}]")


def _renamed(key: str, rename: Callable[[str], str]) -> str:
    name, index = split_tensor_name(key)
    return f"{rename(name)}:{index}"


def _free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    number = 1
    while is_taken(f"{name}_{number}"):
        number += 1
    return f"{name}_{number}"


def _scoped_saver(saver_def: Any, scope: str) -> Any:
    copy = meta_graph_pb2.SaverDef()
    copy.CopyFrom(saver_def)
    transform.rename_saver(copy, lambda name: transform.scoped(name, scope))
    return copy


def _add_collections(
    graph: Graph, meta_graph: Any, scope: str, unbound: str, predicate: Callable[[str], bool] | None
) -> None:
    made: dict[bytes, Variable] = {}
    # Older files do not say which variables are trainable: those in that collection are.
    says_trainable = _says_trainable(meta_graph.meta_info_def.tensorflow_version)
    keys = sorted(meta_graph.collection_def, key=lambda key: (key != "trainable_variables", key))
    for key in keys:
        if key == unbound or (predicate is not None and not predicate(key)):
            continue
        collection = meta_graph.collection_def[key]
        kind = collection.WhichOneof("kind")
        if kind is None:
            continue
        values = getattr(collection, kind).value
        if kind == "node_list":
            for name in values:
                element = _element(graph, transform.scoped(name, scope))
                if element is not None:
                    graph.add_to_collection(key, element)
        elif kind == "bytes_list" and key in NAMING_MESSAGES:
            for value in values:
                graph.add_to_collection(key, _from_bytes(key, value, scope, made, says_trainable))
        elif kind == "bytes_list" and scope:
            for value in values:
                graph.add_to_collection(key, _scoped_text(value, scope))
        else:
            for value in values:
                graph.add_to_collection(key, value)


def _says_trainable(version: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is None or (int(found[1]), int(found[2])) >= (1, 9)


def _scoped_text(value: bytes, scope: str) -> str | bytes:
    """A plain entry of a collection in a scope: a string, with the scope before it; bytes that are no text stay."""
    try:
        return transform.scoped(value.decode(), scope)
    except UnicodeDecodeError:
        return value


def _element(graph: Graph, name: str) -> Any:
    """The element of a name; None where the graph lacks it, so that one bad entry does not make the file unusable."""
    try:
        return graph.as_graph_element(name)
    except (KeyError, ValueError):
        return None


def _from_bytes(key: str, value: bytes, scope: str, made: dict[bytes, Variable], says_trainable: bool) -> Any:
    try:
        message = NAMING_MESSAGES[key].FromString(value)
    except DecodeError:
        return value
    if key in VARIABLE_COLLECTIONS:
        if value not in made:
            if not says_trainable:
                message.trainable = key == "trainable_variables"
            try:
                made[value] = Variable.from_proto(message, import_scope=scope or None)
            except (KeyError, ValueError):
                return value
        return made[value]
    transform.rename_fields(message, lambda name: transform.scoped(name, scope))
    if key == "queue_runners":
        try:
            return QueueRunner.from_proto(message)
        except (KeyError, ValueError):
            return message
    return Saver(saver_def=message) if key == "savers" and message.restore_op_name else message


def export_meta_graph(
    filename: str | os.PathLike[str] | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Sequence[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
) -> Any:
    """The default graph as a MetaGraphDef with its collections; written to `filename` if one is given.

    The arguments are those of `mgjax.export_meta_graph`, but for `graph`, which is one of this module's.
    """
    if graph is not None and not isinstance(graph, Graph):
        raise TypeError(f"graph must be of type Graph, not {type(graph)}")
    graph = graph or get_default_graph()
    source = meta_graph_pb2.MetaGraphDef()
    source.meta_info_def.tensorflow_version = WRITER
    for key in graph.get_all_collection_keys():
        values = graph.get_collection(key)
        if export_scope:
            # TensorFlow takes texts for names; bytes, as an import gives them, it leaves alone.
            values = [value for value in values if not isinstance(value, str) or value.startswith(export_scope)]
        _export_collection(source, key, values)
    result = exporting.export_meta_graph(
        None, meta_info_def, graph_def, saver_def, collection_list, as_text,
        SimpleNamespace(graph=graph.index, meta_graph=source), export_scope, clear_devices, clear_extraneous_savers,
        strip_default_attrs, unbound_inputs_col_name=unbound_inputs_col_name,
    )  # fmt: skip
    if unbound_inputs_col_name and (export_scope or clear_extraneous_savers or clear_devices):
        # TensorFlow leaves their names in the graph too.
        graph.clear_collection(unbound_inputs_col_name)
        for name in result.collection_def[unbound_inputs_col_name].bytes_list.value if export_scope else ():
            graph.add_to_collection(unbound_inputs_col_name, name.decode())
    if filename is not None:
        exporting.write_meta_graph(filename, result, as_text=as_text, save_debug_info=save_debug_info)
    return result


def _export_collection(meta_graph: Any, key: str, values: list[Any]) -> None:
    """Adds a collection; one that has no form in the file is left out, as TensorFlow leaves it out."""
    if not values:
        return
    first = values[0]
    collection = meta_graph_pb2.CollectionDef()
    try:
        if key in NAMING_MESSAGES:
            messages = (value.to_proto() if hasattr(value, "to_proto") else value for value in values)
            collection.bytes_list.value.extend(message.SerializeToString(deterministic=True) for message in messages)
        elif isinstance(first, (str, bytes)):
            collection.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
        elif isinstance(first, int):
            collection.int64_list.value.extend(map(operator.index, values))
        elif isinstance(first, float):
            collection.float_list.value.extend(values)
        elif isinstance(first, any_pb2.Any):
            collection.any_list.value.extend(values)
        else:
            collection.node_list.value.extend(value.name for value in values)
    except (TypeError, AttributeError, ValueError):
        return
    meta_graph.collection_def[key].CopyFrom(collection)
