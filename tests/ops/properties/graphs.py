"""Calls as graphs: of ops on variables, and of those that newer TensorFlows run only in graphs of old versions.

An input that is a variable stands in a call as its value before, None where it is uninitialized; what comes out are the
values after of the variables that the op changes, in the order of the lowering, and then the op's outputs, where a
reference stands for its variable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import mgjax
from mgjax import dtypes, opdefs
from mgjax.dtypes import DType
from mgjax.opdefs import Arg, OpDef
from mgjax.ops import REGISTRY
from tests.ops.live import tf
from tests.ops.properties.kernels import op_def_of
from tests.ops.properties.processes import IN_1_15, SERVER, Unanswered
from tests.ops.properties.recipes import Call, value_type, variables_of

NEW, OLD = 134, 1
"""Versions of GraphDef; with the old one no op is refused as removed."""


def is_graph_call(op: str) -> bool:
    """Whether calls of the op are run as graphs."""
    op_def = op_def_of(op)
    return op_def is not None and (op_def.deprecation is not None or bool(variables_of(op)))


@dataclass
class Program:
    """A graph under construction, and how it is run.

    Attributes:
        graph: the GraphDef.
        setup: feeds and fetches of the run before the op's, which initializes variables.
        feeds, fetches: of the op's own run.
        after: what is fetched in the run after it.
        state: the variables' values before, by name.
    """

    graph: Any = field(default_factory=tf.GraphDef)
    setup: tuple[dict[str, np.ndarray], list[str]] = field(default_factory=lambda: ({}, []))
    feeds: dict[str, np.ndarray] = field(default_factory=dict)
    fetches: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    state: dict[str, np.ndarray] = field(default_factory=dict)

    def node(self, op: str, name: str, inputs: list[str], attrs: dict[str, Any], op_def: OpDef | None = None) -> str:
        node = self.graph.node.add(op=op, name=name, input=inputs)
        definition = op_def or op_def_of(op)
        for attr, value in attrs.items():
            set_attr(node.attr[attr], definition.attrs[attr].type, value)
        return name

    def placeholder(self, name: str, array: np.ndarray, dtype: DType) -> str:
        """A placeholder of any shape, so that no shape inference stands before the kernel."""
        self.feeds[f"{name}:0"] = array
        return self.node("Placeholder", name, [], {"dtype": dtype, "shape": None})

    def constant(self, name: str, array: np.ndarray, dtype: DType) -> str:
        return self.node("Const", name, [], {"dtype": dtype, "value": array})

    def variable(self, arg: Arg, value: np.ndarray | None, dtype: DType) -> str:
        """A variable of either kind that has the argument's name, and its initializer."""
        shape = None if value is None else value.shape
        attrs = {"dtype": dtype, "shape": shape, "shared_name": arg.name}
        self.node("VariableV2" if arg.is_ref else "VarHandleOp", arg.name, [], {**attrs, "container": ""})
        initial, start = f"{arg.name}/initial", f"{arg.name}/Assign"
        if value is not None:
            self.node("Placeholder", initial, [], {"dtype": dtype, "shape": shape})
            if arg.is_ref:
                attrs = {"T": dtype, "validate_shape": True, "use_locking": True}
                self.node("Assign", start, [arg.name, initial], attrs)
            else:
                self.node("AssignVariableOp", start, [arg.name, initial], {"dtype": dtype})
            self.setup[0][f"{initial}:0"] = value
            self.setup[1].append(start)
            self.state[arg.name] = value
        return arg.name

    def value_after(self, arg: Arg, dtype: DType) -> None:
        if not arg.is_ref:
            self.node("ReadVariableOp", f"{arg.name}/Read", [arg.name], {"dtype": dtype})
        self.after.append(f"{arg.name}:0" if arg.is_ref else f"{arg.name}/Read:0")


def set_attr(message: Any, kind: str, value: Any) -> None:
    """Sets an AttrValue of the type that the op definition names."""
    fields = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type"}
    if kind.startswith("list("):
        message.list.SetInParent()
        for x in value:
            if kind == "list(shape)":
                message.list.shape.append(tf.TensorShape(x).as_proto())
            else:
                getattr(message.list, fields[kind[5:-1]]).append(encoded_attr(x))
    elif kind == "shape":
        message.shape.CopyFrom(tf.TensorShape(value).as_proto())
    elif kind == "tensor":
        message.tensor.CopyFrom(tensor_of(value))
    else:
        setattr(message, fields[kind], encoded_attr(value))


def encoded_attr(value: Any) -> Any:
    if isinstance(value, DType):
        return value.number
    return value.encode() if isinstance(value, str) else value


def tensor_of(array: np.ndarray) -> Any:
    return tf.make_tensor_proto(array, tf.as_dtype(dtypes.from_numpy(array.dtype).number))


def program_of(call: Call, *, known: bool = False) -> Program:
    """The call as a graph of which the operation is named "op"; with `known` all its operands are constants."""
    op_def, lowering = op_def_of(call.op), REGISTRY[call.op]
    program = Program()
    program.graph.versions.producer = OLD if op_def.deprecation is not None else NEW
    held = {arg.name: arg for arg in variables_of(call.op)}
    dtype = value_type(call)
    edges = []
    for arg, types in zip(op_def.inputs, types_of(op_def, op_def.inputs, call.attrs), strict=True):
        value = call.inputs[arg.name]
        if arg.name in held:
            edges.append(program.variable(arg, value, types[0] if arg.is_ref else dtype))
            continue
        write = program.constant if known or arg.name in lowering.statics else program.placeholder
        for i, (array, type_) in enumerate(zip(value if arg.is_list else [value], types, strict=True)):
            edges.append(write(f"{arg.name}_{i}", array, type_))
    program.node(call.op, "op", edges, attrs_of_1_15(call) if IN_1_15 else call.attrs)
    count = sum(op_def.arg_sizes(op_def.outputs, call.attrs))
    program.fetches = [f"op:{i}" for i in range(count)] or ["op"]
    for name in lowering.writes:
        if call.inputs[name] is not None or name in lowering.overwrites:
            program.value_after(held[name], dtype)
    return program


def attrs_of_1_15(call: Call) -> dict[str, Any]:
    """The attrs that 1.15 knows. Raises `Unanswered` where another is not as ever."""
    op_def, known = op_def_of(call.op), opdefs.find(call.op)
    for name, value in call.attrs.items():
        if known is None or (name not in known.attrs and value != op_def.attrs[name].default):
            raise Unanswered(f"1.15 has no such op, or no attr {name}")
    return {name: value for name, value in call.attrs.items() if name in known.attrs}


def types_of(op_def: OpDef, args: tuple[Arg, ...], attrs: dict[str, Any]) -> list[list[DType]]:
    """For each argument the types of its tensors."""
    sizes = op_def.arg_sizes(args, attrs)
    flat = iter(op_def.input_types(attrs))
    return [[next(flat)[0] for _ in range(size)] for size in sizes]


def run(call: Call) -> list[np.ndarray]:
    """TensorFlow's results. Raises `Refused`."""
    program = program_of(call)
    steps = [(program.setup[0], program.setup[1]), (program.feeds, program.fetches), ({}, program.after)]
    types = {node.name: node.attr["dtype"].type for node in program.graph.node if node.op == "Placeholder"}
    packed = [({name: pack(array, types[name[:-2]]) for name, array in feeds.items()}, names) for feeds, names in steps]
    _, outputs, after = SERVER.answer(program.graph.SerializeToString(), packed)
    return [unpack(x) for x in after + outputs if x is not None]


def pack(array: np.ndarray, number: int) -> tuple[int, tuple[int, ...], Any]:
    return number, array.shape, list(array.ravel()) if array.dtype == object else array.tobytes()


def unpack(packed: tuple[int, tuple[int, ...], Any]) -> np.ndarray:
    number, shape, content = packed
    if isinstance(content, list):
        array = np.empty(len(content), object)
        array[:] = content
        return array.reshape(shape)
    return np.frombuffer(content, dtypes.from_number(number).numpy).reshape(shape)


def run_imported(call: Call) -> list[np.ndarray]:
    """The results of the imported graph."""
    program = program_of(call)
    fn = mgjax.import_graph_def(program.graph.SerializeToString())
    fetches = program.fetches if ":" in program.fetches[0] else [fn.operations["op"]]
    state, outputs = fn(program.state, program.feeds, fetches, errors="raise")
    after = [np.asarray(state[name.split(":")[0].split("/")[0]]) for name in program.after]
    return after + [np.asarray(x) for x in outputs if x is not None]
