"""An imported graph, indexed by name; nodes are resolved against their OpDefs only when somebody asks.

Importing costs one pass over the nodes' names. Attributes, types and inputs are decoded for the nodes that a fetch
needs, so a part of the graph that is unknown, unsupported or broken disturbs nobody who does not fetch it: what is wrong
with a node is found when it is built (`mgjax.metagraph.build`), and kept as its problem.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from mgjax import opdefs
from mgjax.errors import UnknownNameError
from mgjax.ir import TensorType
from mgjax.proto import graph_pb2
from mgjax.proto.values import decode_attr
from mgjax.shapes import Shape

OUTPUT_SHAPES = "_output_shapes"


class Graph:
    """The nodes of a GraphDef and its library.

    Attributes:
        graph_def: the message; nodes in the file's order.
        nodes: from name to NodeDef; of two nodes of one name the first.
        order: from name to the node's place in the file.
        library: from name to FunctionDef.
        gradients: from a function's name to that of the function which is its gradient, where the library says so.
        producer: the version of the GraphDef's writer (`versions.producer`), 0 where it is not said.
        duplicates: names that more than one node has.
    """

    def __init__(self, graph_def: graph_pb2.GraphDef, op_list: Iterable[Any] = ()):
        self.graph_def = graph_def
        self.nodes: dict[str, graph_pb2.NodeDef] = {}
        self.order: dict[str, int] = {}
        self.duplicates: list[str] = []
        self.library = {function.signature.name: function for function in graph_def.library.function}
        self.gradients = {entry.function_name: entry.gradient_func for entry in graph_def.library.gradient}
        self.producer = graph_def.versions.producer
        self._embedded = {message.name: message for message in op_list}
        self._op_defs: dict[str, opdefs.OpDef | None] = {}
        self._attributes: dict[str, dict[str, Any]] = {}
        self.extend(graph_def.node)

    def extend(self, nodes: Iterable[graph_pb2.NodeDef]) -> None:
        """Takes further nodes into the index; they must already stand in `graph_def`."""
        for node in nodes:
            name = node.name
            if name in self.nodes:
                self.duplicates.append(name)
            else:
                self.order[name] = len(self.order)
                self.nodes[name] = node

    def add_op_defs(self, op_list: Iterable[Any]) -> None:
        """Takes the op definitions of a further file; those already known stay."""
        for message in op_list:
            self._embedded.setdefault(message.name, message)

    def op_def(self, op: str) -> opdefs.OpDef | None:
        """The op's definition: the file's own, else that of TensorFlow 1.15, else that of 2.x; None if nobody has it."""
        if op not in self._op_defs:
            message = self._embedded.get(op)
            if message is None and op in self.library:
                message = self.library[op].signature
            self._op_defs[op] = opdefs.from_proto(message) if message is not None else opdefs.find(op)
        return self._op_defs[op]

    def op_list(self, graph_def: graph_pb2.GraphDef | None = None) -> list[Any]:
        """The definitions of all ops that the nodes and the library use, as messages, sorted by name.

        Args:
            graph_def: the nodes and the library; the graph's own by default.
        """
        graph_def = self.graph_def if graph_def is None else graph_def
        library = graph_def.library.function
        used = {node.op for node in graph_def.node}
        used.update(node.op for function in library for node in function.node_def)
        used.difference_update(function.signature.name for function in library)
        definitions = ((op, self.op_def(op)) for op in sorted(used))
        return [self._embedded.get(op) or opdefs.to_proto(op_def) for op, op_def in definitions if op_def is not None]

    def attributes(self, name: str) -> dict[str, Any]:
        """The node's attributes, decoded, with the OpDef's defaults where the file leaves one out.

        Raises `ValueError` where a value cannot be decoded.
        """
        attributes = self._attributes.get(name)
        if attributes is None:
            attributes = self._attributes[name] = decode_attributes(self.nodes[name], self.op_def(self.nodes[name].op))
        return attributes

    def result_types(self, name: str) -> list[TensorType] | None:
        """The types of a node's outputs with what the file says of their shapes; None if its op is not known."""
        node = self.nodes[name]
        return result_types(node.op, self.op_def(node.op), self.attributes(name), self.producer)

    def tensor_type(self, tensor: str) -> TensorType:
        """The type of `name:index`. Raises `UnknownNameError` if there is no such tensor."""
        name, index = split_tensor_name(tensor)
        if name not in self.nodes:
            raise UnknownNameError(f"the graph has no tensor {tensor!r}{nearest(name, self.nodes)}")
        types = self.result_types(name)
        if types is None:
            return TensorType(None)
        if index >= len(types):
            count = f"{len(types)} output{'s' * (len(types) != 1)}" if types else "no output"
            raise UnknownNameError(f"the graph has no tensor {tensor!r}: {self.nodes[name].op} {name!r} has {count}")
        return types[index]


def decode_attributes(node: graph_pb2.NodeDef, op_def: opdefs.OpDef | None) -> dict[str, Any]:
    """The attributes of a NodeDef as Python values, completed by the OpDef's defaults."""
    attributes = {key: decode_attr(value) for key, value in node.attr.items()}
    if op_def is not None:
        for attr in op_def.attrs.values():
            if attr.has_default and attr.name not in attributes:
                attributes[attr.name] = attr.default
    return attributes


def result_types(
    op: str, op_def: opdefs.OpDef | None, attributes: Mapping[str, Any], producer: int = 0
) -> list[TensorType] | None:
    """The types of the outputs of an op with these attributes; None where there is no OpDef."""
    if op_def is None:
        return None
    dtypes = op_def.output_types(attributes)
    shapes: tuple[Shape, ...] = attributes.get(OUTPUT_SHAPES, ())
    if len(shapes) != len(dtypes):
        shapes = (None,) * len(dtypes)
        if len(dtypes) == 1:
            shapes = (declared_shape(op, attributes, producer),)
    return [TensorType(dtype, shape, is_ref) for (dtype, is_ref), shape in zip(dtypes, shapes, strict=True)]


def declared_shape(op: str, attributes: Mapping[str, Any], producer: int) -> Shape:
    """The static shape that the attributes of a source (a placeholder, variable or constant) give to its output."""
    if op == "Const":
        value = attributes.get("value")
        return getattr(value, "shape", None)  # which a damaged node's lacks
    if op == "VarHandleOp":
        return ()
    shape = attributes.get("shape")
    if not isinstance(shape, tuple):
        return None
    # Until GraphDef version 21 a placeholder's scalar shape meant "unknown" (core/ops/array_ops.cc, Placeholder).
    if op == "Placeholder" and shape == () and producer <= 21:
        return None
    return shape if op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "VariableV2", "Variable") else None


def split_tensor_name(tensor: str) -> tuple[str, int]:
    """`"a/b:1"` -> `("a/b", 1)`; a name without a number is output 0."""
    name, colon, index = tensor.rpartition(":")
    if colon and index.isdecimal():
        return name, int(index)
    return tensor, 0


def nearest(name: str, names: Iterable[str]) -> str:
    """`"; the nearest names are ..."`, or nothing where no name is near."""
    found = difflib.get_close_matches(name, _plausible(name, names), n=3, cutoff=0.6)
    return f"; the nearest names are {', '.join(map(repr, found))}" if found else ""


def _plausible(name: str, names: Iterable[str]) -> list[str]:
    """Names of similar length, at most some thousands: close matching costs much per name."""
    size = len(name)
    return [other for other in names if abs(len(other) - size) <= max(2, size // 2)][:5000]
