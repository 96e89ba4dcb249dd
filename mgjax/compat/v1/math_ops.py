"""Functions that add arithmetic to the default graph, and the operators of tensors and variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mgjax.compat.v1 import dtypes
from mgjax.compat.v1.dtypes import DType
from mgjax.compat.v1.framework import Tensor, as_constant, convert_to_tensor, get_default_graph
from mgjax.compat.v1.tensor_shape import TensorShape
from mgjax.compat.v1.variables import Variable


def placeholder(dtype: DType, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor that must be fed."""
    attributes = {"dtype": dtypes.as_dtype(dtype), "shape": TensorShape(shape).as_tuple()}
    return get_default_graph().create_op("Placeholder", [], attributes, name).outputs[0]


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """A tensor that may be fed."""
    attributes = {"shape": TensorShape(shape).as_tuple()}
    return get_default_graph().create_op("PlaceholderWithDefault", [input], attributes, name).outputs[0]


def constant(value: Any, dtype: DType | None = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A constant; a scalar is spread over `shape` if one is given."""
    dtype = None if dtype is None else dtypes.as_dtype(dtype)
    array = as_constant(value, dtype)
    if shape is not None:
        array = array.reshape(shape) if array.size != 1 else np.broadcast_to(array.reshape(()), tuple(shape))
    attributes = {"dtype": dtype or dtypes.as_dtype(array.dtype), "value": array}
    return get_default_graph().create_op("Const", [], attributes, name).outputs[0]


def _binary(op: str, default_name: str) -> Callable[..., Tensor]:
    def function(x: Any, y: Any, name: str | None = None) -> Tensor:
        return get_default_graph().create_op(op, [x, y], {}, name or default_name).outputs[0]

    function.__name__ = default_name
    function.__doc__ = f"Adds the op `{op}` to the default graph."
    return function


def _unary(op: str, input_name: str, default_name: str) -> Callable[..., Tensor]:
    def function(x: Any, name: str | None = None) -> Tensor:
        return get_default_graph().create_op(op, [x], {}, name or default_name).outputs[0]

    function.__name__ = default_name
    function.__doc__ = f"Adds the op `{op}` to the default graph; its input is `{input_name}`."
    return function


add = _binary("Add", "Add")
subtract = _binary("Sub", "Sub")
multiply = _binary("Mul", "Mul")
divide = _binary("RealDiv", "truediv")
matmul = _binary("MatMul", "MatMul")
maximum = _binary("Maximum", "Maximum")
minimum = _binary("Minimum", "Minimum")
equal = _binary("Equal", "Equal")
less = _binary("Less", "Less")
greater = _binary("Greater", "Greater")
pow = _binary("Pow", "Pow")
negative = _unary("Neg", "x", "Neg")
square = _unary("Square", "x", "Square")
sqrt = _unary("Sqrt", "x", "Sqrt")
exp = _unary("Exp", "x", "Exp")
log = _unary("Log", "x", "Log")
tanh = _unary("Tanh", "x", "Tanh")
sigmoid = _unary("Sigmoid", "x", "Sigmoid")
identity = _unary("Identity", "input", "Identity")


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """The tensor's values in another dtype; the tensor itself where it has it."""
    tensor, wanted = convert_to_tensor(x), dtypes.as_dtype(dtype)
    if tensor.dtype == wanted:
        return tensor
    return get_default_graph().create_op("Cast", [tensor], {"DstT": wanted}, name or "Cast").outputs[0]


def no_op(name: str | None = None) -> Any:
    """An operation that does nothing."""
    return get_default_graph().create_op("NoOp", [], {}, name)


def group(*inputs: Any, name: str | None = None) -> Any:
    """An operation that is done when all inputs are."""
    flat = [item for value in inputs for item in (value if isinstance(value, (list, tuple)) else [value])]
    with get_default_graph().control_dependencies(flat):
        return no_op(name or "group_deps")


_OPERATORS = {
    "add": ("AddV2", "add"),
    "sub": ("Sub", "sub"),
    "mul": ("Mul", "mul"),
    "truediv": ("RealDiv", "truediv"),
    "floordiv": ("FloorDiv", "floordiv"),
    "mod": ("FloorMod", "mod"),
    "pow": ("Pow", "pow"),
    "matmul": ("MatMul", "matmul"),
    "lt": ("Less", "Less"),
    "le": ("LessEqual", "LessEqual"),
    "gt": ("Greater", "Greater"),
    "ge": ("GreaterEqual", "GreaterEqual"),
}
_REFLECTED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")


def _install_operators(cls: type) -> None:
    for name, (op, node) in _OPERATORS.items():
        binary = _binary(op, node)

        def operator(self: Any, other: Any, binary: Callable[..., Tensor] = binary) -> Tensor:
            return binary(self, other)

        def reflected(self: Any, other: Any, binary: Callable[..., Tensor] = binary) -> Tensor:
            return binary(other, self)

        setattr(cls, f"__{name}__", operator)
        if name in _REFLECTED:
            setattr(cls, f"__r{name}__", reflected)
    cls.__neg__ = lambda self: negative(self, "Neg")  # type: ignore[attr-defined, operator]


_install_operators(Tensor)
_install_operators(Variable)

__all__ = [name for name in dir() if not name.startswith("_")] + ["convert_to_tensor"]
