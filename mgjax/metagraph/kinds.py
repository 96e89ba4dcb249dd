"""What kind of file some bytes are, for errors that tell people which file they have given."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError, Message

from mgjax.proto import graph_pb2, meta_graph_pb2

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of a table: of a V2 checkpoint's index, and of a V1 checkpoint."""

_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras saves weights and models"),
    (b"\x93NUMPY", "an array saved by NumPy"),
    (b"PK\x03\x04", "a zip archive (an .npz, .keras or PyTorch file, or a zipped folder)"),
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"\xfd7zXZ", "an xz file; unpack it first"),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, which stands for a file that was not downloaded (`git lfs pull`)",
    ),
    (b"model_checkpoint_path:", "a checkpoint state file, which names the latest checkpoint"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\x7fELF", "a program or library"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x00-\x7f\x80-\xff]")
_HTML = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)
_TEXT = re.compile(rb"(\xef\xbb\xbf)?[\s\x21-\x7e]{0,32}")
_OP_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.>/\-]*")


def describe_bytes(data: bytes) -> str | None:
    """What the bytes are, as a noun phrase; None where nothing gives it away."""
    if not data:
        return "empty"
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data.endswith(TABLE_MAGIC):
        return "a table of TensorFlow: the .index file of a checkpoint, or a checkpoint of the first format"
    if data[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if b"brain.Event:" in data[:64]:
        return "an events file (summaries for TensorBoard)"
    if _PICKLE.match(data) and data.rstrip().endswith(b"."):
        return "a Python pickle"
    if _HTML.match(data[:200]):
        return "a web page; perhaps the address that it was downloaded from is not that of the file itself"
    if not any(data):
        return f"{len(data)} bytes of zeros"
    return _describe_proto(data)


def _describe_proto(data: bytes) -> str | None:
    if is_saved_model(parse_or_none(meta_graph_pb2.SavedModel, data)):
        return "a SavedModel"
    if is_meta_graph(parse_or_none(meta_graph_pb2.MetaGraphDef, data)):
        return "a MetaGraphDef"
    if is_graph_def(parse_or_none(graph_pb2.GraphDef, data)):
        return "a GraphDef"
    return None


def is_text(data: bytes) -> bool:
    """Whether the bytes begin as text does, and have no zero."""
    start = data[:35]
    match = _TEXT.match(start)
    return match is not None and match.end() >= min(len(data), 32) and b"\0" not in data


def parse_or_none(message_class: Any, data: bytes) -> Any:
    """The message that the bytes hold, or None where they hold no message of that class."""
    try:
        return message_class.FromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):  # The last two come from protobuf's pure Python form.
        return None


# Almost any bytes are a message of any class if one is lucky, since unknown fields are skipped: a message is taken for what it says
# to be only if what it holds looks like it.


def is_saved_model(message: Message | None) -> bool:
    """Whether a SavedModel message holds what a SavedModel does."""
    return isinstance(message, meta_graph_pb2.SavedModel) and any(map(is_meta_graph, message.meta_graphs))


def is_meta_graph(message: Message | None) -> bool:
    """Whether a MetaGraphDef message holds what a MetaGraphDef does: a graph, if only an empty one."""
    return (
        isinstance(message, meta_graph_pb2.MetaGraphDef)
        and message.HasField("graph_def")
        and _has_plausible_nodes(message.graph_def.node)
    )


def is_graph_def(message: Message | None) -> bool:
    """Whether a GraphDef message holds what a GraphDef does."""
    return (
        isinstance(message, graph_pb2.GraphDef)
        and (len(message.node) > 0 or message.HasField("versions") or len(message.library.function) > 0)
        and _has_plausible_nodes(message.node)
    )


def _has_plausible_nodes(nodes: Iterable[graph_pb2.NodeDef]) -> bool:
    return all(_OP_NAME.fullmatch(node.op) for node in islice(nodes, 20))
