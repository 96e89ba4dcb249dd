"""The intermediate form as text, which `mgjax.ir.parser` reads back.

One operation a line: result name, kind, operands, and where there are any: control edges, attributes by name, device;
then the results' types, and the regions:

    graph @main(%x:0: float32[?,3]) targets [^train] {
      %w = VariableV2() {container = "", dtype = float32, shape = [3, 2]} : (ref float32[3,2])
      %logits = MatMul(%x:0, %w) [^init] {transpose_a = false} @"/gpu:0" : (float32[?,2])
      %switch = Switch(%logits, %p) {T = float32} : (float32[?,2], float32[?,2])
      %neg = Neg(%switch:1) : (float32[?,2])
      return %logits, %neg
    }

    func @square(%x: float32[]) {
      %positive = if(%p) : (float32[]) then() {
        return %x
      } else() {
        return %zero
      }
      return %positive
    }

`%a` is the first result of the operation `a`, `%a:1` its second; a block's parameter stands under its label. `graph`
begins a function in graph form, `func` an ordered one. Names that are not plain are quoted, `%"a b":1`; text from `#`
to the end of a line is a comment.

Attribute values: `3`, `-0.0`, `true`, `"text"`, `b"bytes"`, `float32` (a type), `[1, ?]` (a tuple; `?` is None, so that
shapes read as usual), `@f{T = float32}` (a function with its attributes), and arrays by type, shape and elements:
`int32[2]<3, 4>`, `float32[9,9]<splat 0.5>`, `string[]<"text">`, or their bytes, little-endian:
`float32[64]<0x0000803f...>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mgjax import dtypes
from mgjax.attributes import FunctionName
from mgjax.dtypes import DType
from mgjax.ir.module import Block, Function, Module, Operation, TensorType, Value

IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_.]*"
NAME = r"[A-Za-z0-9_.][A-Za-z0-9_./\\>-]*"
LONGEST_LIST = 16
"""Arrays of up to so many elements are written element by element."""

_identifier = re.compile(IDENTIFIER).fullmatch
_name = re.compile(NAME).fullmatch
_label = re.compile(rf"{NAME}(?::\d+)?").fullmatch


def print_module(module: Module) -> str:
    """The text of all functions, in the module's order."""
    return "\n".join(print_function(function) for function in module.functions.values())


def print_function(function: Function) -> str:
    """The text of one function, ending in a line break."""
    return _Printer().function(function)


def print_operation(operation: Operation) -> str:
    """The text of one operation and its regions, ending in a line break."""
    printer = _Printer()
    printer.operation(operation, "")
    return "".join(printer.out)


def print_attribute(value: Any) -> str:
    """The text of an attribute's value. Raises `TypeError` for an object that attributes do not hold."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)) and type(value) in (int, float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bytes):
        return "b" + json.dumps(value.decode("latin-1"))
    if isinstance(value, DType):
        return value.name
    if isinstance(value, tuple):
        return "[" + ", ".join(map(print_attribute, value)) + "]"
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, FunctionName):
        return f"@{_plain(_name, value.name)}" + (_attributes(value.attrs) if value.attrs else "")
    if isinstance(value, Mapping):
        return _attributes(value)
    raise TypeError(
        f"an attribute's value is of type {type(value).__name__}, which the intermediate form does not hold"
    )


def _plain(is_plain: Any, text: str) -> str:
    return text if is_plain(text) else json.dumps(text)


def _attributes(attributes: Mapping[str, Any]) -> str:
    pairs = sorted(attributes.items())
    return "{" + ", ".join(f"{_plain(_identifier, key)} = {print_attribute(value)}" for key, value in pairs) + "}"


def _array(array: np.ndarray) -> str:
    dtype = dtypes.from_numpy(array.dtype)
    return f"{dtype.name}[{','.join(map(str, array.shape))}]<{_elements(array, dtype)}>"


def _elements(array: np.ndarray, dtype: DType) -> str:
    # A scalar that was broadcast stays one element in the text, and takes no memory after it is read back.
    is_splat = array.size > 1 and all(
        step == 0 or size == 1 for step, size in zip(array.strides, array.shape, strict=True)
    )
    if is_splat:
        return "splat " + _elements(array[(slice(0, 1),) * array.ndim], dtype)
    if dtype is dtypes.string:
        return ", ".join(_string(element) for element in array.ravel().tolist())
    if array.size <= LONGEST_LIST:
        texts = _numbers(array)
        if texts is not None:
            return ", ".join(texts)
    return "0x" + np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes().hex()


def _string(element: Any) -> str:
    if not isinstance(element, bytes):
        raise TypeError(f"an element of a string array is of type {type(element).__name__}, not bytes")
    return json.dumps(element.decode("latin-1"))


def _numbers(array: np.ndarray) -> list[str] | None:
    """The elements as text, or None where text does not give them back bit by bit (payloads of NaN)."""
    if array.dtype.kind == "b":
        return ["true" if element else "false" for element in array.ravel().tolist()]
    if array.dtype.kind in "iu":
        return list(map(str, array.ravel().tolist()))
    if array.dtype.kind == "c":
        return None
    texts = [repr(float(str(element))) for element in array.ravel()]
    again = np.array(list(map(float, texts)), np.float64).astype(array.dtype)
    return texts if again.tobytes() == np.ascontiguousarray(array).tobytes() else None


class _Printer:
    """Collects the text of one function; keeps the texts of names and types, which come up again and again."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.names: dict[str, str] = {}
        self.types: dict[TensorType, str] = {}

    def name(self, name: str) -> str:
        text = self.names.get(name)
        if text is None:
            text = self.names[name] = _plain(_name, name)
        return text

    def value(self, value: Value) -> str:
        owner = value.owner
        if isinstance(owner, Block):
            return "%" + _plain(_label, value.label)
        return f"%{self.name(owner.name)}:{value.index}" if value.index else "%" + self.name(owner.name)

    def type(self, type: TensorType) -> str:
        text = self.types.get(type)
        if text is None:
            text = self.types[type] = str(type)
        return text

    def controls(self, operations: list[Operation]) -> str:
        return "[" + ", ".join("^" + self.name(operation.name) for operation in operations) + "]"

    def parameters(self, block: Block) -> str:
        return "(" + ", ".join(f"{self.value(value)}: {self.type(value.type)}" for value in block.parameters) + ")"

    def function(self, function: Function) -> str:
        form = "func" if function.is_ordered else "graph"
        head = f"{form} @{_plain(_name, function.name)}{self.parameters(function.body)}"
        if function.targets:
            head += f" targets {self.controls(function.targets)}"
        if function.attributes:
            head += f" attributes {_attributes(function.attributes)}"
        self.out.append(head + " {\n")
        self.block(function.body, "  ")
        self.out.append("}\n")
        return "".join(self.out)

    def block(self, block: Block, indent: str) -> None:
        for operation in block.operations:
            self.operation(operation, indent)
        results = ", ".join(map(self.value, block.results))
        self.out.append(f"{indent}return {results}\n" if results else f"{indent}return\n")

    def operation(self, operation: Operation, indent: str) -> None:
        line = f"{indent}%{self.name(operation.name)} = {_plain(_identifier, operation.kind)}"
        line += "(" + ", ".join(map(self.value, operation.operands)) + ")"
        if operation.control:
            line += " " + self.controls(operation.control)
        if operation.attributes:
            line += " " + _attributes(operation.attributes)
        if operation.device:
            line += " @" + json.dumps(operation.device)
        line += " : (" + ", ".join(self.type(result.type) for result in operation.results) + ")"
        self.out.append(line)
        for region in operation.regions:
            self.out.append(f" {_plain(_identifier, region.label)}{self.parameters(region)} {{\n")
            self.block(region, indent + "  ")
            self.out.append(indent + "}")
        self.out.append("\n")
