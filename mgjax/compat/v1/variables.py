"""Variables of a graph: made by `Variable(...)`, or found in an imported graph's collections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mgjax.compat.v1 import framework
from mgjax.compat.v1.framework import Graph, GraphKeys, Operation, Tensor, convert_to_tensor, get_default_graph
from mgjax.compat.v1.tensor_shape import TensorShape
from mgjax.dtypes import DType
from mgjax.proto import variable_pb2


class Variable:
    """A variable.

    Args:
        initial_value: a tensor, a value, or a function of no arguments that gives one.
        trainable: whether it joins the collection of trainable variables.
        collections: the collections that it joins; the global variables by default.
        name: its name; "Variable" by default.
        dtype: its dtype; the initial value's by default.
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool = True,
        collections: Sequence[str] | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: DType | None = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        **kwargs: Any,
    ):
        if variable_def is not None:
            self._from_def(variable_def, import_scope)
            return
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        graph = self.graph = get_default_graph()
        self.trainable = trainable
        self._definition = None
        scope = graph.unique_name(name or "Variable")
        with graph.control_dependencies(None), graph.name_scope(scope + "/"):
            value = initial_value() if callable(initial_value) else initial_value
            value = convert_to_tensor(value, dtype, name="initial_value")
            shape = value.shape.as_tuple() if validate_shape else None
            self._handle = graph.create_op(
                "VariableV2", [], {"shape": shape, "dtype": value.dtype}, f"{scope}/"
            ).outputs[0]
            self.initial_value: Any = value
            self.initializer: Any = graph.create_op(
                "Assign", [self._handle, value], {"validate_shape": validate_shape}, "Assign"
            )
            self._snapshot = graph.create_op("Identity", [self._handle], {}, "read").outputs[0]
        keys = list([GraphKeys.GLOBAL_VARIABLES] if collections is None else collections)
        if trainable and GraphKeys.TRAINABLE_VARIABLES not in keys:
            keys.append(GraphKeys.TRAINABLE_VARIABLES)
        graph.add_to_collections(keys, self)

    def _from_def(self, definition: Any, import_scope: str | None) -> None:
        graph = self.graph = get_default_graph()
        self._definition = definition

        def element(name: str) -> Any:
            return graph.as_graph_element(f"{import_scope}/{name}" if import_scope else name)

        self._handle = element(definition.variable_name)
        self.initializer = element(definition.initializer_name) if definition.initializer_name else None
        self._snapshot = element(definition.snapshot_name) if definition.snapshot_name else self._handle
        self.initial_value = element(definition.initial_value_name) if definition.initial_value_name else None
        self.trainable = definition.trainable

    @property
    def op(self) -> Operation:
        return self._handle.op

    @property
    def name(self) -> str:
        return self._handle.name

    @property
    def dtype(self) -> DType:
        dtype = self.op.get_attr("dtype")
        assert isinstance(dtype, DType)
        return dtype

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self.op.get_attr("shape"))

    def get_shape(self) -> TensorShape:
        return self.shape

    @property
    def device(self) -> str:
        return self.op.device

    @property
    def is_resource(self) -> bool:
        return self.op.type == "VarHandleOp"

    def value(self) -> Tensor:
        """The tensor that holds its last known value."""
        return self._snapshot

    def read_value(self) -> Tensor:
        """A new tensor that reads it."""
        if self.is_resource:
            return self.graph.create_op("ReadVariableOp", [self._handle], {"dtype": self.dtype}, "read").outputs[0]
        return self.graph.create_op("Identity", [self._handle], {}, "read").outputs[0]

    initialized_value = read_value

    def _as_graph_element(self) -> Tensor:
        return self._snapshot

    def _as_reference(self) -> Tensor:
        return self._handle

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """Sets it; the tensor of its value after."""
        return self._update("Assign", "AssignVariableOp", value, name)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Adds to it; the tensor of its value after."""
        return self._update("AssignAdd", "AssignAddVariableOp", delta, name)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Subtracts from it; the tensor of its value after."""
        return self._update("AssignSub", "AssignSubVariableOp", delta, name)

    def _update(self, op: str, resource_op: str, value: Any, name: str | None) -> Any:
        tensor = convert_to_tensor(value, self.dtype)
        if not self.is_resource:
            return self.graph.create_op(op, [self._handle, tensor], {}, name).outputs[0]
        update = self.graph.create_op(resource_op, [self._handle, tensor], {"dtype": self.dtype}, name)
        with self.graph.control_dependencies([update]):
            return self.read_value()

    def load(self, value: Any, session: Any = None) -> None:
        """Sets it in a session, the default one if none is given."""
        session = session or framework._session()
        session.state = session.state.replace({self.op.name: np.asarray(value, self.dtype.numpy)})

    def eval(self, session: Any = None) -> Any:
        """Its value in a session, the default one if none is given."""
        return self._snapshot.eval(session=session)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Its VariableDef."""
        if self._definition is not None:
            return self._definition
        message = variable_pb2.VariableDef(
            variable_name=self.name,
            initializer_name=self.initializer.name,
            snapshot_name=self._snapshot.name,
            initial_value_name=self.initial_value.name,
            trainable=self.trainable,
        )
        return message

    @classmethod
    def from_proto(cls, variable_def: Any, import_scope: str | None = None) -> Variable:
        """The variable that a VariableDef describes, in the default graph."""
        return cls(variable_def=variable_def, import_scope=import_scope)

    def __repr__(self) -> str:
        return f"<tf.Variable {self.name!r} shape={self.shape} dtype={self.dtype.name}>"

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Any:
        raise TypeError("'Variable' object is not iterable.")


def _collection(key: str) -> Callable[..., list[Any]]:
    def variables(scope: str | None = None) -> list[Any]:
        return get_default_graph().get_collection(key, scope)

    return variables


global_variables = _collection(GraphKeys.GLOBAL_VARIABLES)
local_variables = _collection(GraphKeys.LOCAL_VARIABLES)
trainable_variables = _collection(GraphKeys.TRAINABLE_VARIABLES)
model_variables = _collection(GraphKeys.MODEL_VARIABLES)
moving_average_variables = _collection(GraphKeys.MOVING_AVERAGE_VARIABLES)


def variables_initializer(var_list: Sequence[Any], name: str = "init") -> Operation:
    """An operation that runs the initializers of the variables."""
    graph = get_default_graph()
    with graph.control_dependencies(
        [variable.initializer for variable in var_list if variable.initializer is not None]
    ):
        return graph.create_op("NoOp", [], {}, name)


def global_variables_initializer() -> Operation:
    """An operation that initializes all global variables."""
    return variables_initializer(global_variables(), "init")


def local_variables_initializer() -> Operation:
    """An operation that initializes all local variables."""
    return variables_initializer(local_variables(), "init")


def all_graph_variables(graph: Graph) -> list[Any]:
    """Global variables and saveable objects: what a Saver without a list saves."""
    return graph.get_collection(GraphKeys.GLOBAL_VARIABLES) + graph.get_collection(GraphKeys.SAVEABLE_OBJECTS)
