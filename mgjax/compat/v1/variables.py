"""Variables of a graph: made by `Variable(...)`, or found in an imported graph's collections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mgjax.compat.v1 import dtypes, framework
from mgjax.compat.v1.dtypes import DType
from mgjax.compat.v1.framework import Graph, GraphKeys, Operation, Tensor, convert_to_tensor, get_default_graph
from mgjax.compat.v1.tensor_shape import TensorShape
from mgjax.metagraph import transform
from mgjax.proto import variable_pb2
from mgjax.shapes import is_compatible


class SaveSliceInfo(NamedTuple):
    """Which part of a partitioned variable a variable is."""

    full_name: str
    full_shape: list[int]
    var_offset: list[int]
    var_shape: list[int]

    @property
    def spec(self) -> str:
        """The text by which a saver names the part: sizes of the whole, then start and length along each axis."""
        parts = ":".join(f"{start},{size}" for start, size in zip(self.var_offset, self.var_shape, strict=True))
        return " ".join([*map(str, self.full_shape), parts])


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
        self.save_slice_info: SaveSliceInfo | None = None
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
        definition = self._definition = _copy(definition)
        if import_scope:
            transform.rename_fields(definition, lambda name: transform.scoped(name, import_scope))

        def element(name: str) -> Any:
            return graph.as_graph_element(name)

        self._handle = element(definition.variable_name)
        self.initializer = element(definition.initializer_name) if definition.initializer_name else None
        self._snapshot = element(definition.snapshot_name) if definition.snapshot_name else self._handle
        self.initial_value = element(definition.initial_value_name) if definition.initial_value_name else None
        self.trainable = definition.trainable
        self.save_slice_info = None
        if definition.HasField("save_slice_info_def"):
            part = definition.save_slice_info_def
            self.save_slice_info = SaveSliceInfo(
                part.full_name, list(part.full_shape), list(part.var_offset), list(part.var_shape)
            )

    @property
    def op(self) -> Operation:
        return self._handle.op

    @property
    def name(self) -> str:
        return self._handle.name

    @property
    def dtype(self) -> DType:
        return dtypes.as_dtype(self.op.get_attr("dtype"))

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self.graph.index.attributes(self.op.name).get("shape"))

    def get_shape(self) -> TensorShape:
        return self.shape

    @property
    def device(self) -> str:
        return self.op.device

    @property
    def handle(self) -> Tensor:
        """The reference or the resource."""
        return self._handle

    @property
    def is_resource(self) -> bool:
        return self.op.type == "VarHandleOp"

    def value(self) -> Tensor:
        """The tensor that holds its last known value."""
        return self._snapshot

    def _set_save_slice_info(self, save_slice_info: SaveSliceInfo) -> None:
        self.save_slice_info = save_slice_info

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
        if op == "Assign" and not self.shape.is_compatible_with(tensor.shape):
            raise ValueError(f"Shapes {self.shape} of {self.name!r} and {tensor.shape} of the value are not compatible")
        if not self.is_resource:
            return self.graph.create_op(op, [self._handle, tensor], {}, name).outputs[0]
        update = self.graph.create_op(resource_op, [self._handle, tensor], {"dtype": self.dtype}, name)
        with self.graph.control_dependencies([update]):
            return self.read_value()

    def load(self, value: Any, session: Any = None) -> None:
        """Sets it in a session, the default one if none is given."""
        session = framework.session_of(session, self.graph, "Cannot load a variable", "load")
        array = np.asarray(value, self.dtype.numpy)
        if not is_compatible(self.shape.as_tuple(), array.shape):
            raise ValueError(
                f"Cannot feed value of shape {array.shape} for variable {self.name!r}, which has shape '{self.shape}'"
            )
        session.state = session.state.replace({self.graph.function.state_name(self.op.name): array})

    def eval(self, session: Any = None) -> Any:
        """Its value in a session, the default one if none is given."""
        return self._snapshot.eval(session=session)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Its VariableDef, without the scope `export_scope`; None where it does not stand in that scope."""
        if export_scope and not self.name.startswith(f"{export_scope}/"):
            return None
        if self._definition is not None:
            message = _copy(self._definition)
        else:
            message = variable_pb2.VariableDef(
                variable_name=self.name,
                initializer_name=self.initializer.name,
                snapshot_name=self._snapshot.name,
                initial_value_name=self.initial_value.name,
            )
        message.trainable = self.trainable
        if export_scope:
            transform.rename_fields(message, lambda name: name.removeprefix(f"{export_scope}/"))
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


def _copy(message: Any) -> Any:
    return variable_pb2.VariableDef.FromString(message.SerializeToString())


def assign(ref: Any, value: Any, validate_shape: bool | None = None, use_locking: Any = None, name: Any = None) -> Any:
    """Sets a variable; the tensor of its value after."""
    return ref.assign(value, name=name)


def assign_add(ref: Any, value: Any, use_locking: Any = None, name: str | None = None) -> Any:
    """Adds to a variable; the tensor of its value after."""
    return ref.assign_add(value, name=name)


def assign_sub(ref: Any, value: Any, use_locking: Any = None, name: str | None = None) -> Any:
    """Subtracts from a variable; the tensor of its value after."""
    return ref.assign_sub(value, name=name)


def is_variable_initialized(variable: Variable) -> Tensor:
    """A tensor that says whether a variable has a value."""
    op = "VarIsInitializedOp" if variable.is_resource else "IsVariableInitialized"
    return variable.graph.create_op(op, [variable.handle], {}, None).outputs[0]


def report_uninitialized_variables(
    var_list: Sequence[Any] | None = None, name: str = "report_uninitialized_variables"
) -> Tensor:
    """A tensor of the names of those variables that have no value; global and local ones if no list is given."""
    graph = get_default_graph()
    variables = [*global_variables(), *local_variables()] if var_list is None else list(var_list)
    with graph.name_scope(name):
        names = np.array([variable.op.name.encode() for variable in variables], object)
        given = {"dtype": dtypes.as_dtype("string"), "value": names}
        texts = graph.create_op("Const", [], given, "Const").outputs[0]
        if not variables:
            return texts
        known = graph.create_op("Pack", [[is_variable_initialized(v) for v in variables]], {}, "stack").outputs[0]
        unknown = graph.create_op("LogicalNot", [known], {}, "LogicalNot").outputs[0]
        places = graph.create_op("Where", [unknown], {}, "Where").outputs[0]
        flat = graph.create_op("Squeeze", [places], {"squeeze_dims": (1,)}, "Squeeze").outputs[0]
        return graph.create_op("GatherV2", [texts, flat, 0], {}, "GatherV2").outputs[0]


def variables_initializer(var_list: Sequence[Any], name: str = "init") -> Operation:
    """An operation that runs the initializers of the variables."""
    graph = get_default_graph()
    variables = [variable for variable in var_list if hasattr(variable, "initializer")]
    with graph.control_dependencies(
        [variable.initializer for variable in variables if variable.initializer is not None]
    ):
        return graph.create_op("NoOp", [], {}, name)


def global_variables_initializer() -> Operation:
    """An operation that initializes all global variables."""
    return variables_initializer(global_variables(), "init")


def local_variables_initializer() -> Operation:
    """An operation that initializes all local variables."""
    return variables_initializer(local_variables(), "init")


def tables_initializer(name: str = "init_all_tables") -> Operation:
    """An operation that fills all lookup tables."""
    graph = get_default_graph()
    with graph.control_dependencies(graph.get_collection(GraphKeys.TABLE_INITIALIZERS)):
        return graph.create_op("NoOp", [], {}, name)


def all_graph_variables(graph: Graph) -> list[Any]:
    """Global variables and saveable objects: what a Saver without a list saves."""
    return graph.get_collection(GraphKeys.GLOBAL_VARIABLES) + graph.get_collection(GraphKeys.SAVEABLE_OBJECTS)
