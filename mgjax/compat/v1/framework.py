"""Graphs that can be built and imported into: `Graph`, `Operation`, `Tensor`, as scripts of TensorFlow 1 use them."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mgjax import opdefs
from mgjax.compat.v1 import dtypes
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
_VALID_INNER_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")
_DEVICE_PART = re.compile(r"/(?:device:)?(job|replica|task|[A-Za-z]+)(?::([^/]*))?")


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
        self._collections: dict[str, list[Any]] = {}
        self.seed: int | None = None
        self._lower_names: dict[str, int] = {}
        self._scope = ""
        self._controls: list[_Controls] = []
        self._unfetchable: set[str] = set()
        self._unfeedable: set[str] = set()
        self._device: list[Any] = []
        self._operations: dict[str, Operation] = {}
        self._finalized = False

    def allow(self, files: Any = (), writing: Any = (), *, beside: Any = ()) -> None:
        """Lets the graph's nodes read files, write files, and read what lies beside a model (paths, or folders)."""
        self.function.files = self.function.files.also(files, writing, beside)

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
        """Marks a name as used. The scopes that it stands in are not, as in TensorFlow: they may be entered by their names."""
        self._lower_names.setdefault(name.lower(), 1)

    @property
    def current_scope(self) -> str:
        """The present name scope, without a slash at its end."""
        return self._scope

    def get_name_scope(self) -> str:
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
            if not (_VALID_INNER_NAME if before else _VALID_NAME).fullmatch(name):
                raise ValueError(f"'{name}' is not a valid scope name")
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
        self._controls = [*before, _Controls(names)] if inputs is not None else []
        try:
            yield
        finally:
            self._controls = before

    @contextlib.contextmanager
    def device(self, device_name_or_function: Any) -> Iterator[None]:
        """The device of what is made inside, merged with that around it; None is none; a function gives it by operation."""
        before = self._device
        self._device = [] if device_name_or_function is None else [*before, device_name_or_function]
        try:
            yield
        finally:
            self._device = before

    def _place(self, operation: Operation) -> str:
        parts: dict[str, str] = {}
        for device in self._device:
            text = device(operation) if callable(device) else device
            for kind, value in _DEVICE_PART.findall(str(text or "")):
                key = kind if kind in ("job", "replica", "task") else "device"
                parts[key] = value if key != "device" else f"{kind.upper()}:{value or '0'}"
        return "".join(f"/{key}:{parts[key]}" for key in ("job", "replica", "task", "device") if key in parts)

    # ---- what may be fed and fetched

    def is_feedable(self, tensor: Tensor) -> bool:
        return tensor.name not in self._unfeedable

    def is_fetchable(self, tensor_or_op: Any) -> bool:
        return getattr(tensor_or_op, "op", tensor_or_op).name not in self._unfetchable

    def prevent_feeding(self, tensor: Tensor) -> None:
        """From now on feeding the tensor is an error."""
        self._unfeedable.add(tensor.name)

    def prevent_fetching(self, op: Operation) -> None:
        """From now on fetching the operation or its tensors is an error."""
        self._unfetchable.add(op.name)

    def check_fetchable(self, element: Any) -> None:
        if not self.is_fetchable(element):
            name = getattr(element, "op", element).name
            raise ValueError(f"Operation {name!r} has been marked as not fetchable.")

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
        node.input.extend(f"^{control}" for control in self._controls_of(tensors))
        for attr in op_def.attrs.values():
            if attr.name not in given and not attr.has_default:
                raise ValueError(f"{op} {node.name!r} needs the attribute {attr.name!r}")
            node.attr[attr.name].CopyFrom(encode_attr(given.get(attr.name, attr.default), attr.type))
        if "_class" in given:
            node.attr["_class"].CopyFrom(encode_attr(given["_class"], "list(string)"))
        self.index.extend([node])
        self.function.refresh()
        operation = self.get_operation_by_name(node.name)
        if self._device:
            node.device = self._place(operation)
        for controls in self._controls:
            controls.made.add(node.name)
        return operation

    def _controls_of(self, tensors: Sequence[Tensor]) -> list[str]:
        """The control inputs that a new node needs: not those that it has as inputs, nor those that its inputs wait for."""
        sources = {tensor.op.name for tensor in tensors}
        names: set[str] = set()
        for controls in self._controls:
            if not sources & controls.made:
                names.update(name for name in controls.names if name not in sources)
        return sorted(names)

    def _node_name(self, name: str) -> str:
        if name.endswith("/"):
            return name[:-1]
        if not (_VALID_INNER_NAME if self._scope else _VALID_NAME).fullmatch(name):
            raise ValueError(f"'{name}' is not a valid node name")
        return self.unique_name(name)

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of a name. Raises `KeyError` if the graph does not have it, `TypeError` if it is no text."""
        if not isinstance(name, str):
            raise TypeError(f"Operation names are strings (or similar), not {type(name).__name__}.")
        found = self._operations.get(name)
        if found is None:
            if ":" in name:
                raise ValueError(f"Name {name!r} appears to refer to a Tensor, not a Operation.")
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
        kinds = " or ".join(["Tensor"] * allow_tensor + ["Operation"] * allow_operation)
        if isinstance(element, (Tensor, Operation)):
            if not (allow_tensor if isinstance(element, Tensor) else allow_operation):
                raise TypeError(f"Can not convert a {type(element).__name__} into a {kinds}.")
            if element.graph is not self:
                raise ValueError(f"{type(element).__name__} {element} is not an element of this graph.")
            return element
        if isinstance(element, bytes):
            element = element.decode()
        if not isinstance(element, str):
            raise TypeError(f"Can not convert a {type(element).__name__} into a {kinds}.")
        if ":" in element and allow_tensor:
            return self._tensor(element)
        if allow_operation:
            return self.get_operation_by_name(element)
        form = 'Tensor names must be of the form "<op_name>:<output_index>".'
        if element in self.index.nodes:
            raise ValueError(f"The name {element!r} refers to an Operation, not a Tensor. {form}")
        raise ValueError(f"The name {element!r} looks like an (invalid) Operation name, not a Tensor. {form}")

    def _tensor(self, name: str) -> Tensor:
        node, index = split_tensor_name(name)
        if node == name or ":" in node:
            raise ValueError(
                f"The name {name!r} looks a like a Tensor name, but is not a valid one. "
                'Tensor names must be of the form "<op_name>:<output_index>".'
            )
        absent = f"The name {name!r} refers to a Tensor which does not exist. The operation, {node!r}, "
        if node not in self.index.nodes:
            raise KeyError(f"{absent}does not exist in the graph.")
        outputs = self.get_operation_by_name(node).outputs
        if index >= len(outputs):
            raise KeyError(f"{absent}exists but only has {len(outputs)} outputs.")
        return outputs[index]

    def as_operation(self, element: Any) -> Operation:
        """The operation that an element is, or that makes it."""
        found = self.as_graph_element(element)
        return found.op if isinstance(found, Tensor) else found

    # ---- collections

    @property
    def collections(self) -> list[str]:
        """The keys of all collections."""
        return list(self._collections)

    def add_to_collection(self, name: str, value: Any) -> None:
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        for name in [names] if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection_ref(self, name: str) -> list[Any]:
        return self._collections.setdefault(name, [])

    def get_collection(self, name: str, scope: str | None = None) -> list[Any]:
        """The values of a collection, those whose name matches the regular expression `scope` if it is given."""
        values = self._collections.get(name, [])
        if scope is None:
            return list(values)
        pattern = re.compile(scope)
        return [value for value in values if hasattr(value, "name") and pattern.match(value.name)]

    def get_all_collection_keys(self) -> list[str]:
        return [key for key in self._collections if isinstance(key, str)]

    def clear_collection(self, name: str) -> None:
        self._collections.pop(name, None)

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


def _attribute(value: Any) -> Any:
    """What an AttrValue holds."""
    kind = value.WhichOneof("value")
    if kind == "list":
        filled = next((field.name for field, _ in value.list.ListFields()), None)
        items = getattr(value.list, filled) if filled else ()
        return [dtypes.as_dtype(item) for item in items] if filled == "type" else list(items)
    content = getattr(value, kind) if kind else None
    return dtypes.as_dtype(content) if kind == "type" else content


class _Controls:
    """A block of control dependencies: what must run first, and what was made inside."""

    def __init__(self, names: Sequence[str]):
        self.names = names
        self.made: set[str] = set()


def _canonical(text: str) -> str:
    return text if text.startswith("^") else "{}:{}".format(*split_tensor_name(text))


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
        """An attribute's value: Python's for numbers, `bytes`, a DType, else the message. Lists are lists.

        Raises:
            ValueError: the node does not have it.
        """
        attributes = self.graph.index.attributes(self.name)
        if name not in attributes:
            raise ValueError(f"Operation {self.name!r} has no attr named {name!r}.")
        if name in self.node_def.attr:
            return _attribute(self.node_def.attr[name])
        op_def = self.graph.index.op_def(self.type)
        assert op_def is not None
        return _attribute(encode_attr(attributes[name], op_def.attrs[name].type))

    def run(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> None:
        """Runs it in a session, the default one if none is given."""
        session_of(session, self.graph, "Cannot execute operation using `run()`", "run").run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"

    def __str__(self) -> str:
        return str(self.node_def)


class Tensor:
    """An output of an operation. Arithmetic on it adds nodes to its graph."""

    __array_priority__ = 100

    def __init__(self, op: Operation, index: int, dtype: DType | None, shape: Any, is_ref: bool = False):
        self.op = op
        self.value_index = index
        self.dtype = None if dtype is None else dtypes.as_dtype(dtype)
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
        nodes = self.graph.meta_graph.graph_def.node
        names = [node.name for node in nodes if any(_canonical(text) == self.name for text in node.input)]
        return [self.graph.get_operation_by_name(name) for name in names]

    def eval(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> Any:
        """Its value in a session, the default one if none is given."""
        return session_of(session, self.graph, "Cannot evaluate tensor using `eval()`", "eval").run(self, feed_dict)

    def __repr__(self) -> str:
        dtype = "unknown" if self.dtype is None else self.dtype.name
        return f"<tf.Tensor {self.name!r} shape={self._shape} dtype={dtype}>"

    def __str__(self) -> str:
        shape = "" if self._shape.ndims is None else f", shape={self._shape}"
        dtype = "" if self.dtype is None else f", dtype={self.dtype.name}"
        return f'Tensor("{self.name}"{shape}{dtype})'

    def __len__(self) -> int:
        raise TypeError(f"len is not well defined for symbolic Tensors. ({self.name}) Please call `x.shape` instead.")

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
    dtype = None if dtype is None else dtypes.as_dtype(dtype)
    if hasattr(value, "_as_reference"):
        value = value._as_reference() if as_ref else value._as_graph_element()
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype is not None and dtype != value.dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype {value.dtype.name}: {value!r}"
            )
        return value
    array = as_constant(value, dtype)
    given = {"dtype": dtype or dtypes.as_dtype(array.dtype), "value": array}
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
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared graph, exit the nesting "
            "and create a new graph."
        )
    _global_default[:] = [Graph()]


def session_of(session: Any, graph: Graph, refusal: str, method: str) -> Any:
    """The session given, or the default one. Raises `ValueError` where there is none, or it is of another graph."""
    from mgjax.compat.v1.session import get_default_session

    session = session or get_default_session()
    if session is None:
        raise ValueError(
            f"{refusal}: No default session is registered. "
            f"Use `with sess.as_default()` or pass an explicit session to `{method}(session=sess)`"
        )
    if session.graph is not graph:
        raise ValueError(f"{refusal}: the graph of what is wanted is different from the session's graph.")
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
