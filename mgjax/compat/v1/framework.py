"""Graphs that can be built and imported into: `Graph`, `Operation`, `Tensor`, as scripts of TensorFlow 1 use them."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mgjax import dtypes, opdefs
from mgjax.compat.v1.tensor_shape import TensorShape
from mgjax.dtypes import DType
from mgjax.errors import UnknownNameError
from mgjax.function import GraphFunction
from mgjax.metagraph import Graph as IndexedGraph
from mgjax.metagraph import split_tensor_name
from mgjax.ops import REGISTRY
from mgjax.proto import meta_graph_pb2
from mgjax.proto.values import encode_attr

PRODUCER = 134
"""The GraphDef version that TensorFlow 1.15 writes."""

_VALID_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")


class GraphKeys:
    """The names of the collections that TensorFlow itself uses."""

    GLOBAL_VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    METRIC_VARIABLES = "metric_variables"
    MODEL_VARIABLES = "model_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    MOVING_AVERAGE_VARIABLES = "moving_average_variables"
    SUMMARIES = "summaries"
    QUEUE_RUNNERS = "queue_runners"
    TABLE_INITIALIZERS = "table_initializer"
    ASSET_FILEPATHS = "asset_filepaths"
    REGULARIZATION_LOSSES = "regularization_losses"
    SAVERS = "savers"
    SAVEABLE_OBJECTS = "saveable_objects"
    UPDATE_OPS = "update_ops"
    LOSSES = "losses"
    INIT_OP = "init_op"
    LOCAL_INIT_OP = "local_init_op"
    READY_OP = "ready_op"
    READY_FOR_LOCAL_INIT_OP = "ready_for_local_init_op"
    SUMMARY_OP = "summary_op"
    GLOBAL_STEP = "global_step"
    TRAIN_OP = "train_op"
    COND_CONTEXT = "cond_context"
    WHILE_CONTEXT = "while_context"


class Graph:
    """A graph under construction: nodes, collections, name scopes.

    Attributes:
        function: the graph as a pure function of state.
    """

    def __init__(self) -> None:
        self.meta_graph = meta_graph_pb2.MetaGraphDef()
        self.meta_graph.graph_def.versions.producer = PRODUCER
        self.index = IndexedGraph(self.meta_graph.graph_def)
        self.function = GraphFunction(self.index, self.meta_graph, REGISTRY)
        self.collections: dict[str, list[Any]] = {}
        self.seed: int | None = None
        self._lower_names: dict[str, int] = {}
        self._scope = ""
        self._controls: list[list[str]] = []
        self._device: list[str] = []
        self._operations: dict[str, Operation] = {}
        self._finalized = False

    # ---- names

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """`name` in the present scope, with `_1`, `_2`, ... behind it where it is taken; case does not distinguish."""
        name = f"{self._scope}/{name}" if self._scope else name
        lower = name.lower()
        count = self._lower_names.get(lower, 0)
        if mark_as_used:
            self._lower_names[lower] = count + 1
        if not count:
            return name
        while True:
            candidate = f"{name}_{count}"
            if candidate.lower() not in self._lower_names:
                break
            count += 1
        if mark_as_used:
            self._lower_names[lower] = count + 1
            self._lower_names[candidate.lower()] = 1
        return candidate

    def take_name(self, name: str) -> None:
        """Marks a name, and the scopes that it stands in, as used."""
        parts = name.split("/")
        for i in range(1, len(parts) + 1):
            lower = "/".join(parts[:i]).lower()
            self._lower_names[lower] = max(1, self._lower_names.get(lower, 0))

    @property
    def current_scope(self) -> str:
        """The present name scope, without a slash at its end."""
        return self._scope

    @contextlib.contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """A scope for the names of what is made inside; `None` or `""` is the outermost, a name with `/` behind it as is."""
        before = self._scope
        if not name:
            self._scope = ""
        elif name.endswith("/"):
            self._scope = name[:-1]
        else:
            self._scope = self.unique_name(name)
        try:
            yield f"{self._scope}/" if self._scope else ""
        finally:
            self._scope = before

    @contextlib.contextmanager
    def control_dependencies(self, inputs: Sequence[Any] | None) -> Iterator[None]:
        """What is made inside runs after `inputs`; None lifts all such dependencies."""
        before = self._controls
        names = [self.as_operation(element).name for element in inputs or ()]
        self._controls = [*before, names] if inputs is not None else []
        try:
            yield
        finally:
            self._controls = before

    @contextlib.contextmanager
    def device(self, name: Any) -> Iterator[None]:
        """The device string of what is made inside."""
        self._device.append(str(name or ""))
        try:
            yield
        finally:
            self._device.pop()

    # ---- nodes

    def create_op(
        self,
        op: str,
        inputs: Sequence[Any],
        attributes: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Operation:
        """Adds a node.

        Args:
            op: the op's name.
            inputs: one entry for each input of the OpDef: a tensor or what can be made one, a list for a list input.
            attributes: attrs by name; those that follow from the inputs need not be given.
            name: the node's name; the op's name by default.
        """
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        op_def = self.index.op_def(op)
        if op_def is None:
            raise ValueError(f"no op definition for {op!r}")
        given = dict(attributes or {})
        tensors = _as_inputs(self, op_def, inputs, given)
        node = self.meta_graph.graph_def.node.add(name=self._node_name(name or op), op=op)
        node.input.extend(_input_text(tensor.name) for tensor in tensors)
        controls = {name for names in self._controls for name in names}
        node.input.extend(f"^{control}" for control in sorted(controls))
        node.device = self._device[-1] if self._device else ""
        for attr in op_def.attrs.values():
            if attr.name not in given and not attr.has_default:
                raise ValueError(f"{op} {node.name!r} needs the attribute {attr.name!r}")
            node.attr[attr.name].CopyFrom(encode_attr(given.get(attr.name, attr.default), attr.type))
        self.index.extend([node])
        self.function.refresh()
        return self.get_operation_by_name(node.name)

    def _node_name(self, name: str) -> str:
        if name.endswith("/"):
            return name[:-1]
        if not _VALID_NAME.fullmatch(name):
            raise ValueError(f"'{name}' is not a valid scope name")
        return self.unique_name(name)

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of a name. Raises `KeyError` if the graph does not have it, `TypeError` if it is no text."""
        if not isinstance(name, str):
            raise TypeError(f"Operation names are strings (or similar), not {type(name).__name__}.")
        found = self._operations.get(name)
        if found is None:
            if name not in self.index.nodes:
                raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
            found = self._operations[name] = Operation(self, name)
        return found

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor `node:index`. Raises `KeyError` or `ValueError` as TensorFlow does."""
        if not isinstance(name, str):
            raise TypeError(f"Tensor names are strings (or similar), not {type(name).__name__}.")
        return self.as_graph_element(name, allow_operation=False)

    def get_operations(self) -> list[Operation]:
        """All operations, in the order in which they were added."""
        return [self.get_operation_by_name(name) for name in self.index.nodes]

    def as_graph_element(self, element: Any, allow_tensor: bool = True, allow_operation: bool = True) -> Any:
        """The tensor or operation that a name or an object stands for."""
        if hasattr(element, "_as_graph_element"):
            element = element._as_graph_element()
        if isinstance(element, (Tensor, Operation)):
            if element.graph is not self:
                raise ValueError(f"{type(element).__name__} {element} is not an element of this graph.")
            return element
        if not isinstance(element, str):
            kinds = " or ".join(["Tensor"] * allow_tensor + ["Operation"] * allow_operation)
            raise TypeError(f"Can not convert a {type(element).__name__} into a {kinds}.")
        if ":" in element and allow_tensor:
            name, index = split_tensor_name(element)
            if name not in self.index.nodes:
                raise KeyError(
                    f"The name {element!r} refers to a Tensor which does not exist. "
                    f"The operation, {name!r}, does not exist in the graph."
                )
            if name == element:
                raise ValueError(f"The name {element!r} looks a like a Tensor name, but is not a valid one.")
            operation = self.get_operation_by_name(name)
            if index >= len(operation.outputs):
                raise KeyError(
                    f"The name {element!r} refers to a Tensor which does not exist. "
                    f"The operation, {name!r}, exists but only has {len(operation.outputs)} outputs."
                )
            return operation.outputs[index]
        if ":" not in element and allow_operation:
            return self.get_operation_by_name(element)
        if ":" in element:
            raise ValueError(f"Name {element!r} appears to refer to a Tensor, not a Operation.")
        if element in self.index.nodes:
            raise ValueError(
                f"The name {element!r} refers to an Operation, not a Tensor. "
                'Tensor names must be of the form "<op_name>:<output_index>".'
            )
        raise ValueError(f'The name {element!r} looks like an (invalid) Operation name, not a Tensor. '
                         'Tensor names must be of the form "<op_name>:<output_index>".')  # fmt: skip

    def as_operation(self, element: Any) -> Operation:
        """The operation that an element is, or that makes it."""
        found = self.as_graph_element(element)
        return found.op if isinstance(found, Tensor) else found

    # ---- collections

    def add_to_collection(self, name: str, value: Any) -> None:
        self.collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        for name in [names] if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection_ref(self, name: str) -> list[Any]:
        return self.collections.setdefault(name, [])

    def get_collection(self, name: str, scope: str | None = None) -> list[Any]:
        """The values of a collection, those whose name matches the regular expression `scope` if it is given."""
        values = self.collections.get(name, [])
        if scope is None:
            return list(values)
        pattern = re.compile(scope)
        return [value for value in values if hasattr(value, "name") and pattern.match(value.name)]

    def get_all_collection_keys(self) -> list[str]:
        return [key for key in self.collections if isinstance(key, str)]

    def clear_collection(self, name: str) -> None:
        self.collections.pop(name, None)

    # ---- the rest

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """A copy of the graph as a GraphDef message."""
        copy = type(self.meta_graph.graph_def)()
        copy.CopyFrom(self.meta_graph.graph_def)
        return copy

    def finalize(self) -> None:
        """Makes the graph read-only."""
        self._finalized = True

    @property
    def finalized(self) -> bool:
        return self._finalized

    @property
    def version(self) -> int:
        """The number of nodes."""
        return len(self.index.nodes)

    @contextlib.contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Makes it the default graph of this thread."""
        _stack().append(self)
        try:
            yield self
        finally:
            _stack().pop()


class Operation:
    """A node of a graph."""

    def __init__(self, graph: Graph, name: str):
        self.graph = graph
        self.name = name
        self._outputs: list[Tensor] | None = None

    @property
    def node_def(self) -> Any:
        return self.graph.index.nodes[self.name]

    @property
    def type(self) -> str:
        """The op's name."""
        return self.node_def.op

    @property
    def device(self) -> str:
        return self.node_def.device

    @property
    def outputs(self) -> list[Tensor]:
        if self._outputs is None:
            types = self.graph.index.result_types(self.name) or []
            self._outputs = [Tensor(self, i, type.dtype, type.shape, type.is_ref) for i, type in enumerate(types)]
        return self._outputs

    @property
    def inputs(self) -> list[Tensor]:
        return [
            self.graph.as_graph_element("{}:{}".format(*split_tensor_name(text)))
            for text in self.node_def.input
            if not text.startswith("^")
        ]

    @property
    def control_inputs(self) -> list[Operation]:
        return [self.graph.get_operation_by_name(text[1:]) for text in self.node_def.input if text.startswith("^")]

    def values(self) -> tuple[Tensor, ...]:
        return tuple(self.outputs)

    def get_attr(self, name: str) -> Any:
        """An attribute's value. Raises `ValueError` if the node does not have it."""
        attributes = self.graph.index.attributes(self.name)
        if name not in attributes:
            raise ValueError(f"Operation {self.name!r} has no attr named {name!r}.")
        return attributes[name]

    def run(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> None:
        """Runs it in a session, the default one if none is given."""
        (session or _session()).run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"


class Tensor:
    """An output of an operation. Arithmetic on it adds nodes to its graph."""

    __array_priority__ = 100

    def __init__(self, op: Operation, index: int, dtype: DType | None, shape: Any, is_ref: bool = False):
        self.op = op
        self.value_index = index
        self.dtype = dtype
        self.is_ref = is_ref
        self._shape = TensorShape(shape)

    @property
    def graph(self) -> Graph:
        return self.op.graph

    @property
    def name(self) -> str:
        return f"{self.op.name}:{self.value_index}"

    @property
    def device(self) -> str:
        return self.op.device

    @property
    def shape(self) -> TensorShape:
        return self._shape

    def get_shape(self) -> TensorShape:
        return self._shape

    def set_shape(self, shape: Any) -> None:
        """Adds what is known of the shape."""
        self._shape = self._shape.merge_with(shape)

    def consumers(self) -> list[Operation]:
        """The operations that take it."""
        return [op for op in self.graph.get_operations() if any(tensor is self for tensor in op.inputs)]

    def eval(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> Any:
        """Its value in a session, the default one if none is given."""
        return (session or _session()).run(self, feed_dict)

    def __repr__(self) -> str:
        dtype = "unknown" if self.dtype is None else self.dtype.name
        return f"<tf.Tensor {self.name!r} shape={self._shape} dtype={dtype}>"

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Any:
        raise TypeError("Tensor objects are only iterable when eager execution is enabled.")

    def __bool__(self) -> bool:
        raise TypeError(
            "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead of `if t:` to test "
            "if a tensor is defined, and use TensorFlow ops such as tf.cond to execute subgraphs conditioned on a value."
        )


def _as_inputs(graph: Graph, op_def: opdefs.OpDef, inputs: Sequence[Any], attributes: dict[str, Any]) -> list[Tensor]:
    """The flat input tensors; sets the attributes that follow from them."""
    if len(inputs) != len(op_def.inputs):
        raise ValueError(f"{op_def.name} takes {len(op_def.inputs)} inputs, {len(inputs)} are given")
    flat: list[Tensor] = []
    # What is a tensor already says the types; plain values follow.
    order = sorted(range(len(inputs)), key=lambda i: not _has_tensor(inputs[i]))
    found: dict[int, list[Tensor]] = {}
    for i in order:
        arg, value = op_def.inputs[i], inputs[i]
        wanted = arg.dtype or attributes.get(arg.type_attr)
        if not (arg.number_attr or arg.type_list_attr):
            tensors = [convert_to_tensor(value, wanted, graph=graph, as_ref=arg.is_ref)]
        else:
            kinds = attributes.get(arg.type_list_attr) or [wanted] * len(value)
            known = next((item.dtype for item in value if isinstance(item, Tensor)), None)
            tensors = [
                convert_to_tensor(item, kind or (known if arg.number_attr else None), graph=graph)
                for item, kind in zip(value, kinds, strict=True)
            ]
        if arg.number_attr:
            attributes[arg.number_attr] = len(tensors)
        if arg.type_list_attr:
            attributes[arg.type_list_attr] = tuple(tensor.dtype for tensor in tensors)
        if arg.type_attr and tensors:
            attributes.setdefault(arg.type_attr, tensors[0].dtype)
        found[i] = tensors
    for i in range(len(inputs)):
        flat.extend(found[i])
    return flat


def _has_tensor(value: Any) -> bool:
    items = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(item, Tensor) or hasattr(item, "_as_graph_element") for item in items)


def _input_text(name: str) -> str:
    return name.removesuffix(":0")


def convert_to_tensor(
    value: Any, dtype: DType | None = None, name: str | None = None, graph: Graph | None = None, as_ref: bool = False
) -> Tensor:
    """The tensor that a value is, or a constant of it.

    Args:
        dtype: the dtype wanted; a tensor of another dtype is refused.
        as_ref: whether a variable is to give its reference rather than its value.
    """
    graph = graph or get_default_graph()
    if hasattr(value, "_as_reference"):
        value = value._as_reference() if as_ref else value._as_graph_element()
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype is not None and dtype != value.dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype {value.dtype.name}: {value!r}"
            )
        return value
    array = as_constant(value, dtype)
    given = {"dtype": dtype or dtypes.from_numpy(array.dtype), "value": array}
    return graph.create_op("Const", [], given, name or "Const").outputs[0]


def as_constant(value: Any, dtype: DType | None = None) -> np.ndarray:
    """A value as the array that TensorFlow makes a constant of: Python floats are float32, integers int32 where they fit."""
    if dtype is not None and dtype.numpy.kind != "O":
        return np.asarray(value, dtype.numpy)
    array = np.asarray(value)
    if array.dtype.kind in "SU":
        encoded = [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]
        strings = np.empty(len(encoded), object)
        strings[:] = encoded
        return strings.reshape(array.shape)
    if not hasattr(value, "dtype"):
        if array.dtype == np.float64:
            return array.astype(np.float32)
        if array.dtype == np.int64 and (array.size == 0 or np.abs(array).max() < 2**31):
            return array.astype(np.int32)
    return array


# ---- the default graph

_local = threading.local()
_global_default: list[Graph] = []


def _stack() -> list[Graph]:
    if not hasattr(_local, "graphs"):
        _local.graphs = []
    return _local.graphs


def get_default_graph() -> Graph:
    """The innermost graph made default in this thread, else the process's."""
    if _stack():
        return _stack()[-1]
    if not _global_default:
        _global_default.append(Graph())
    return _global_default[0]


def reset_default_graph() -> None:
    """Puts an empty graph in the place of the process's default one."""
    if _stack():
        raise AssertionError("Do not use tf.reset_default_graph() to clear nested graphs.")
    _global_default[:] = [Graph()]


def _session() -> Any:
    from mgjax.compat.v1.session import get_default_session

    session = get_default_session()
    if session is None:
        raise ValueError(
            "Cannot evaluate tensor using `eval()`: No default session is registered. "
            "Use `with sess.as_default()` or pass an explicit session to `eval(session=sess)`"
        )
    return session


__all__ = [
    "Graph",
    "GraphKeys",
    "Operation",
    "Tensor",
    "UnknownNameError",
    "convert_to_tensor",
    "get_default_graph",
    "reset_default_graph",
]
