"""The door by which graphs go out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from mgjax.checkpoint import write_file
from mgjax.metagraph import Graph, export, files, transform
from mgjax.proto import debug_pb2, meta_graph_pb2


def export_meta_graph(
    filename: str | os.PathLike[str] | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str] | None = None,
    as_text: bool = False,
    graph: Any = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    *,
    unbound_inputs_col_name: str | None = "unbound_inputs",
) -> meta_graph_pb2.MetaGraphDef:
    """A graph as a MetaGraphDef that TensorFlow 1.15 and 2.x import; nothing of an imported graph is lost.

    Args:
        filename: where to write it; it is only returned if None.
        meta_info_def: the MetaInfoDef to put in (its tags, its version of the graph), in place of the one that was imported.
        graph_def: the nodes and the library to export in place of `graph`'s.
        saver_def: the SaverDef to put in; `graph`'s own by default.
        collection_list: the keys of the collections that are wanted; all by default.
        as_text: whether to write text.
        graph: `fn`, as imported or as scoped.
        export_scope: only what is in this scope, its names without it. Inputs from outside of it are named in the collection
            `unbound_inputs_col_name`, and an import must map them.
        clear_devices: whether to leave out the devices of nodes.
        clear_extraneous_savers: whether to leave out the nodes and SaverDefs of all savers but that of the SaverDef.
        strip_default_attrs: whether to leave out attributes that have their default, which older readers may not know.
        save_debug_info: whether to write a GraphDebugInfo beside it, `.debug` in place of the ending. It names the nodes;
            where they were made is not known here.
        unbound_inputs_col_name: the collection of inputs from outside of the scope; None for none.

    Returns:
        The message.

    Raises:
        ValueError: neither `graph` nor `graph_def` is given, or the graph is larger than a message may be (2 GB).
        TypeError: an argument is no message of the kind that is wanted.
    """
    if graph is None and graph_def is None:
        raise ValueError("what is to be exported? give graph=fn, or graph_def=")
    if graph is not None and not (hasattr(graph, "graph") and hasattr(graph, "meta_graph")):
        raise TypeError(f"graph must be fn, as mgjax.import_meta_graph gives it, not {type(graph).__name__}")
    source = meta_graph_pb2.MetaGraphDef() if graph is None else graph.meta_graph
    if graph_def is None:
        indexed = graph.graph
    else:
        if not isinstance(graph_def, Message):
            raise TypeError(f"graph_def must be a GraphDef message, not {type(graph_def).__name__}")
        indexed = Graph(files.read_graph_def(graph_def), source.meta_info_def.stripped_op_list.op)
    if saver_def is None and source.HasField("saver_def"):
        saver_def = source.saver_def
        if export_scope:
            saver_def = transform.saver_in_scope(saver_def, export_scope)
    result = export(
        indexed,
        source,
        meta_info_def=_message("meta_info_def", meta_info_def, meta_graph_pb2.MetaGraphDef.MetaInfoDef),
        saver_def=_message("saver_def", saver_def, meta_graph_pb2.SaverDef),
        collection_list=collection_list,
        export_scope=export_scope,
        clear_devices=clear_devices,
        clear_extraneous_savers=clear_extraneous_savers,
        strip_default_attrs=strip_default_attrs,
        unbound_inputs_col_name=unbound_inputs_col_name,
    )
    if filename is not None:
        write_meta_graph(filename, result, as_text=as_text, save_debug_info=save_debug_info)
    return result


def _message(argument: str, given: Any, wanted: Any) -> Any:
    """The message given, as one of this package's; it may be TensorFlow's own."""
    if given is None or isinstance(given, wanted):
        return given
    if not isinstance(given, Message) or given.DESCRIPTOR.name != wanted.DESCRIPTOR.name:
        raise TypeError(f"{argument} must be a {wanted.DESCRIPTOR.name} message, not {type(given).__name__}")
    return wanted.FromString(given.SerializeToString())


def write_meta_graph(
    filename: str | os.PathLike[str], meta_graph: Any, *, as_text: bool = False, save_debug_info: bool = False
) -> None:
    """Writes a MetaGraphDef as a whole: at any moment there is the file that was there before, or the new one."""
    path = os.fspath(filename)
    write_file(path, _encoded(meta_graph, as_text))
    if save_debug_info:
        info = debug_pb2.GraphDebugInfo()
        for node in meta_graph.graph_def.node:
            info.traces[f"{node.name}@"].SetInParent()
        write_file(f"{os.path.splitext(path)[0]}.debug", _encoded(info, as_text))


def _encoded(message: Any, as_text: bool) -> bytes:
    if as_text:
        return text_format.MessageToString(message, as_utf8=False).encode()
    return message.SerializeToString(deterministic=True)
