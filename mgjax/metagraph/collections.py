"""The collections of a MetaGraphDef, as plain values.

A `CollectionDef` holds names of nodes, numbers, or strings of bytes; whether the bytes are serialized messages is known only by the
collection's key. Files in the wild have collections that TensorFlow itself cannot decode; here an entry that is
not what its key promises stays as it is, with a note, and never stops an import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mgjax.metagraph.kinds import parse_or_none
from mgjax.proto import control_flow_pb2, meta_graph_pb2, queue_runner_pb2, variable_pb2

VARIABLE_COLLECTIONS = (
    "trainable_variables",
    "variables",
    "local_variables",
    "model_variables",
    "moving_average_variables",
    "metric_variables",
    "global_step",
)
"""The keys of collections of variables, in the order in which the first to hold a variable describes it."""

_NO_TRAINABLE_BEFORE = (1, 9)
"""Writers older than this version of TensorFlow left `VariableDef.trainable` out."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a partitioned variable a variable is.

    Attributes:
        full_name: the name of the whole, which is its key in checkpoints.
        full_shape: the shape of the whole.
        offset, shape: where the part begins along each axis, and its size.
    """

    full_name: str
    full_shape: tuple[int, ...]
    offset: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as a collection describes it; names are of tensors (`w:0`) and operations (`w/Assign`) of the graph.

    Attributes:
        name: the variable's reference or handle.
        initializer: the operation that initializes it.
        snapshot: the tensor that reads it.
        initial_value: the tensor that it is initialized with, or "" in files older than TensorFlow 1.4.
        is_resource: whether `name` is a handle (VarHandleOp) and not a reference.
        trainable: whether optimizers train it.
        synchronization, aggregation: TensorFlow's enumerations, as numbers.
        slice: which part of a partitioned variable it is, or None.
    """

    name: str
    initializer: str
    snapshot: str
    initial_value: str
    is_resource: bool
    trainable: bool
    synchronization: int
    aggregation: int
    slice: Slice | None


@dataclass(frozen=True, slots=True)
class QueueRunner:
    """The operations that threads run to fill a queue.

    Attributes:
        queue: the queue's handle.
        enqueue_ops: one thread runs each of these again and again.
        close_op, cancel_op: what closes the queue, at the end and when stopped.
        closed_exceptions: codes of the errors that mean that the queue was closed (`mgjax.errors`); none: out of range.
    """

    queue: str
    enqueue_ops: tuple[str, ...]
    close_op: str
    cancel_op: str
    closed_exceptions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the graph reads.

    Attributes:
        tensor: the tensor that holds its path.
        filename: the file's name in the SavedModel's folder `assets` (or `assets.extra`).
    """

    tensor: str
    filename: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A message of a kind that this package does not know: its type's address and its bytes."""

    type_url: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Collection:
    """The values under one key.

    Attributes:
        key: the collection's name.
        kind: "node_list", "bytes_list", "int64_list", "float_list", "any_list", or "" where the file gives no values.
        values: names (str) of nodes or tensors; bytes; int; float; or what the entries describe: `Variable`,
            `QueueRunner`, `Asset`, `Packed`, and the messages `WhileContextDef`, `CondContextDef`, `SaverDef`. An entry
            that could not be decoded is bytes.
        notes: what is odd about the collection, a sentence each.
    """

    key: str
    kind: str
    values: tuple[Any, ...]
    notes: tuple[str, ...] = ()


def decode_collections(meta_graph: Any) -> dict[str, Collection]:
    """The collections of a MetaGraphDef, by key: the trainable variables first, the rest in the order of their keys."""
    has_trainable = _knows_trainable(meta_graph.meta_info_def.tensorflow_version)
    definitions = meta_graph.collection_def
    keys = sorted(definitions, key=lambda key: (key != "trainable_variables", key))
    return {key: decode_collection(key, definitions[key], has_trainable=has_trainable) for key in keys}


def decode_collection(key: str, definition: Any, *, has_trainable: bool = True) -> Collection:
    """The values of one CollectionDef.

    `has_trainable` says whether its writer filled in `VariableDef.trainable`; where not, the trainable variables are those in the
    collection of that name.
    """
    kind = definition.WhichOneof("kind")
    notes: list[str] = []
    if kind is None:
        return Collection(key, "", (), (f"collection '{key}' says nothing of what it holds",))
    entries = getattr(definition, kind).value
    if kind == "any_list":
        return Collection(key, kind, tuple(_unpacked(entry, notes) for entry in entries), tuple(notes))
    decoder = _DECODERS.get(key)
    if decoder is None:
        return Collection(key, kind, tuple(entries))
    if kind != "bytes_list":
        notes.append(
            f"collection '{key}' should hold {decoder.message_class.DESCRIPTOR.name} messages and holds a {kind}, "
            "as very old files do"
        )
        return Collection(key, kind, tuple(entries), tuple(notes))
    values = []
    for index, entry in enumerate(entries):
        value = decoder(entry)
        if value is None:
            name = decoder.message_class.DESCRIPTOR.name
            notes.append(
                f"entry {index} of collection '{key}' is no {name}; its {len(entry)} bytes are kept as they are"
            )
            values.append(entry)
            continue
        if isinstance(value, variable_pb2.VariableDef):
            trainable = value.trainable if has_trainable else key == "trainable_variables"
            value = variable_of(value, trainable=trainable)
        values.append(value)
    return Collection(key, kind, tuple(values), tuple(notes))


def variables_of(collections: Mapping[str, Collection]) -> dict[str, Variable]:
    """All variables that collections describe, by name; one that several hold, as the first in `VARIABLE_COLLECTIONS` has it."""
    found: dict[str, Variable] = {}
    for key in VARIABLE_COLLECTIONS:
        for value in collections[key].values if key in collections else ():
            if isinstance(value, Variable):
                found.setdefault(value.name, value)
    return found


def variable_of(message: Any, *, trainable: bool) -> Variable:
    """The variable that a VariableDef describes."""
    part = message.save_slice_info_def
    return Variable(
        name=message.variable_name,
        initializer=message.initializer_name,
        snapshot=message.snapshot_name,
        initial_value=message.initial_value_name,
        is_resource=message.is_resource,
        trainable=trainable,
        synchronization=message.synchronization,
        aggregation=message.aggregation,
        slice=Slice(part.full_name, tuple(part.full_shape), tuple(part.var_offset), tuple(part.var_shape))
        if message.HasField("save_slice_info_def")
        else None,
    )


def _knows_trainable(version: str) -> bool:
    match = re.match(r"(\d+)\.(\d+)", version)
    return match is None or (int(match[1]), int(match[2])) >= _NO_TRAINABLE_BEFORE


@dataclass(frozen=True, slots=True)
class _Decoder:
    """Decodes entries that are messages of one class.

    Attributes:
        message_class: the class.
        name_field: the field without which it cannot be meant.
        convert: from the message to the value.
    """

    message_class: Any
    name_field: str
    convert: Callable[[Any], Any] = lambda message: message

    def __call__(self, entry: bytes) -> Any:
        """The value, or None where the bytes are no such message."""
        message = parse_or_none(self.message_class, entry)
        if message is None:
            return None
        return self.convert(message) if getattr(message, self.name_field) else None


def _queue_runner(message: queue_runner_pb2.QueueRunnerDef) -> QueueRunner:
    return QueueRunner(
        queue=message.queue_name,
        enqueue_ops=tuple(message.enqueue_op_name),
        close_op=message.close_op_name,
        cancel_op=message.cancel_op_name,
        closed_exceptions=tuple(message.queue_closed_exception_types),
    )


def _asset(message: meta_graph_pb2.AssetFileDef) -> Asset:
    return Asset(message.tensor_info.name, message.filename)


_VARIABLE = _Decoder(variable_pb2.VariableDef, "variable_name")
_QUEUE_RUNNER = _Decoder(queue_runner_pb2.QueueRunnerDef, "queue_name", _queue_runner)
_WHILE_CONTEXT = _Decoder(control_flow_pb2.WhileContextDef, "context_name")
_COND_CONTEXT = _Decoder(control_flow_pb2.CondContextDef, "context_name")
_SAVER = _Decoder(meta_graph_pb2.SaverDef, "save_tensor_name")
_ASSET = _Decoder(meta_graph_pb2.AssetFileDef, "filename", _asset)

_DECODERS = dict.fromkeys(VARIABLE_COLLECTIONS, _VARIABLE) | {
    "queue_runners": _QUEUE_RUNNER,
    "while_context": _WHILE_CONTEXT,
    "cond_context": _COND_CONTEXT,
    "savers": _SAVER,
}


def _unpacked(entry: Any, notes: list[str]) -> Any:
    name = entry.type_url.rpartition("/")[2].rpartition(".")[2]
    if name != "AssetFileDef":
        return Packed(entry.type_url, entry.value)
    value = _ASSET(entry.value)
    if value is None:
        notes.append(f"an entry of the type {entry.type_url} is no AssetFileDef; its {len(entry.value)} bytes are kept")
        return Packed(entry.type_url, entry.value)
    return value
