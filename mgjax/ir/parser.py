"""Reads the text form of the intermediate form; `mgjax.ir.printer` describes it.

Names may be used before their definition (a graph has no order), so functions are read in two steps: all operations
with the names of what they take, then the names are looked up. Whether the result obeys the rules is the verifier's
question.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import numpy as np

from mgjax import dtypes
from mgjax.attributes import FunctionName
from mgjax.errors import ReadError
from mgjax.ir.module import Block, Function, Module, Operation, TensorType, Value
from mgjax.ir.printer import IDENTIFIER, NAME

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_TOKEN = re.compile(
    rf"""(?P<skip>(?:[ \t\r\n]+|\#[^\n]*)+)
    |(?P<value>%(?:{NAME}|{_STRING})(?::\d+)?)
    |(?P<control>\^(?:{NAME}|{_STRING}))
    |(?P<at>@(?:{NAME}|{_STRING}))
    |(?P<string>b?{_STRING})
    |(?P<hex>0x[0-9a-f]*)
    |(?P<number>-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf\b|nan\b))
    |(?P<identifier>{IDENTIFIER})
    |(?P<mark>[()\[\]{{}}<>=:,?*])""",
    re.VERBOSE | re.ASCII,
)
_END = ("end", "the end of the text", 0)
_CONSTANTS = {"true": True, "false": False}


def parse_module(text: str) -> Module:
    """The module that a text describes. Raises `ReadError`, with line and column, for anything else."""
    parser, module = _Parser(text), Module()
    while parser.token is not _END:
        name, position = parser.token[1], parser.token[2]
        function = parser.function()
        if function.name in module.functions:
            parser.fail(f"a second function '{function.name}'", name, position)
        module.add(function)
    return module


def parse_function(text: str) -> Function:
    """The one function that a text describes. Raises `ReadError`, with line and column, for anything else."""
    parser = _Parser(text)
    function = parser.function()
    if parser.token is not _END:
        parser.expected("the end of the text")
    return function


class _Parser:
    """One token ahead. Operands and control edges are kept as names until the end of their function."""

    def __init__(self, text: str):
        self.text = text
        self.position = 0
        self.token = ("start", "", 0)
        self.types: dict[str, TensorType] = {}
        self.advance()

    # Tokens

    def advance(self) -> str:
        """Steps over the token; its text."""
        old = self.token[1]
        match = _TOKEN.match(self.text, self.position)
        if match is not None and match.lastgroup == "skip":
            self.position = match.end()
            match = _TOKEN.match(self.text, self.position)
        if match is None:
            if self.position < len(self.text):
                self.fail("a character that begins no word of the text form", self.text[self.position], self.position)
            self.token = _END
        else:
            self.token = (str(match.lastgroup), match.group(), self.position)
            self.position = match.end()
        return old

    def fail(self, what: str, found: str, position: int) -> NoReturn:
        line = self.text.count("\n", 0, position) + 1
        column = position - (self.text.rfind("\n", 0, position) + 1) + 1
        raise ReadError(f"line {line}, column {column}: {what}: {found[:60]}")

    def expected(self, wanted: str) -> NoReturn:
        position = len(self.text) if self.token is _END else self.token[2]
        self.fail(f"{wanted} was expected, found", self.token[1], position)

    def take(self, mark: str) -> None:
        if self.token[1] != mark or self.token[0] == "string":
            self.expected(f"'{mark}'")
        self.advance()

    def has(self, mark: str) -> bool:
        """Steps over the token if it is this one."""
        if self.token[1] != mark or self.token[0] == "string":
            return False
        self.advance()
        return True

    def kind(self, kind: str, wanted: str) -> str:
        if self.token[0] != kind:
            self.expected(wanted)
        return self.advance()

    def word(self, wanted: str) -> str:
        """An identifier, quoted where it is not plain."""
        if self.token[0] == "string" and self.token[1][0] == '"':
            return self.unquote(self.advance())
        return self.kind("identifier", wanted)

    def unquote(self, text: str) -> str:
        if text[:1] != '"':
            return text
        try:
            return json.loads(text)
        except ValueError:
            self.fail("a string with an escape that JSON does not have", text, self.position - len(text))

    def reference(self, text: str) -> str:
        """The name in `%a:1`, `%"a b":1` or `^a`."""
        text = text[1:]
        if text[0] != '"':
            return text
        end = text.rindex('"') + 1
        return self.unquote(text[:end]) + text[end:]

    # Functions

    def function(self) -> Function:
        if self.token[1] not in ("graph", "func"):
            self.expected("'graph' or 'func'")
        is_ordered = self.advance() == "func"
        name = self.unquote(self.kind("at", "the function's name")[1:])
        # The operands, control edges and block results to look up, with their places in the text.
        self.values: dict[str, Value] = {}
        self.operations: dict[str, Operation] = {}
        self.labels: dict[str, Value] = {}
        self.open_operands: list[tuple[Operation, list[tuple[str, int]]]] = []
        self.open_controls: list[tuple[list[Operation], list[tuple[str, int]]]] = []
        self.open_results: list[tuple[Block, list[tuple[str, int]]]] = []
        function = Function(name, Block(), is_ordered)
        self.parameters(function.body)
        if self.has("targets"):
            self.open_controls.append((function.targets, self.controls()))
        if self.has("attributes"):
            function.attributes = self.attributes()
        self.block(function.body)
        self.link()
        return function

    def link(self) -> None:
        for operation, names in self.open_operands:
            for name, position in names:
                operation.add_operand(self.find(name, position))
        for operations, names in self.open_controls:
            for name, position in names:
                if name not in self.operations:
                    self.fail("no operation has this name", name, position)
                operations.append(self.operations[name])
        for block, names in self.open_results:
            block.results = [self.find(name, position) for name, position in names]

    def find(self, name: str, position: int) -> Value:
        value = self.labels.get(name)
        if value is not None:
            return value
        operation, index = self.operations.get(name), "0"
        if operation is None and ":" in name:
            name, index = name.rsplit(":", 1)
            operation = self.operations.get(name)
        if operation is None:
            self.fail("no value has this name", name, position)
        if int(index) >= len(operation.results):
            self.fail(f"'{name}' has {len(operation.results)} results, this one is wanted", index, position)
        return operation.results[int(index)]

    def references(self, kind: str, end: str) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        while not self.has(end):
            if found:
                self.take(",")
            position = self.token[2]
            found.append((self.reference(self.kind(kind, "%name" if kind == "value" else "^name")), position))
        return found

    def controls(self) -> list[tuple[str, int]]:
        self.take("[")
        return self.references("control", "]")

    def parameters(self, block: Block) -> None:
        self.take("(")
        while not self.has(")"):
            if block.parameters:
                self.take(",")
            position = self.token[2]
            label = self.reference(self.kind("value", "%name"))
            self.take(":")
            if label in self.labels:
                self.fail("a second parameter of the name", label, position)
            self.labels[label] = block.add_parameter(self.type(), label)

    def block(self, block: Block) -> None:
        self.take("{")
        while not self.has("return"):
            block.append(self.operation())
        names: list[tuple[str, int]] = []
        while not self.has("}"):
            if names:
                self.take(",")
            position = self.token[2]
            names.append((self.reference(self.kind("value", "%name")), position))
        self.open_results.append((block, names))

    def operation(self) -> Operation:
        position = self.token[2]
        name = self.reference(self.kind("value", "an operation or 'return'"))
        self.take("=")
        operation = Operation(self.word("an op's name"), name)
        if name in self.operations:
            self.fail("a second operation of the name", name, position)
        self.operations[name] = operation
        self.take("(")
        self.open_operands.append((operation, self.references("value", ")")))
        if self.token[1] == "[":
            self.open_controls.append((operation.control, self.controls()))
        if self.token[1] == "{":
            operation.attributes = self.attributes()
        if self.token[0] == "at":
            operation.device = self.unquote(self.advance()[1:])
        self.take(":")
        self.take("(")
        while not self.has(")"):
            if operation.results:
                self.take(",")
            operation.add_result(self.type())
        while self.token[0] in ("identifier", "string") and self.token[1] != "return":
            region = Block(self.word("a region's label"))
            self.parameters(region)
            self.block(region)
            operation.add_region(region)
        return operation

    def type(self) -> TensorType:
        # Types are few and come often, so that their whole text is looked up before it is taken apart.
        end = self.text.find("]", self.position)
        text = self.text[self.token[2] : end]
        found = self.types.get(text)
        if found is not None and self.token is not _END:
            self.position = end + 1
            self.advance()
            return found
        is_ref = self.has("ref")
        dtype = None if self.has("?") else self.dtype()
        self.take("[")
        if self.has("*"):
            self.take("]")
            result = TensorType(dtype, None, is_ref)
        else:
            shape: list[int | None] = []
            while not self.has("]"):
                if shape:
                    self.take(",")
                shape.append(None if self.has("?") else self.size())
            result = TensorType(dtype, tuple(shape), is_ref)
        self.types[text] = result
        return result

    def dtype(self) -> dtypes.DType:
        if self.token[1] not in dtypes.BY_NAME:
            self.expected("a data type")
        return dtypes.BY_NAME[self.advance()]

    def size(self) -> int:
        if not self.token[1].isdigit():
            self.expected("a size")
        return int(self.advance())

    # Attributes

    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.take("{")
        while not self.has("}"):
            if found:
                self.take(",")
            name = self.word("an attribute's name")
            self.take("=")
            found[name] = self.attribute()
        return found

    def attribute(self) -> Any:
        kind, text, _ = self.token
        if kind == "number":
            return self.number()
        if kind == "string":
            self.advance()
            return self.unquote(text[1:]).encode("latin-1") if text[0] == "b" else self.unquote(text)
        if kind == "at":
            name = self.unquote(self.advance()[1:])
            return FunctionName(name, self.attributes() if self.token[1] == "{" else {})
        if text == "{":
            return self.attributes()
        if text in _CONSTANTS:
            self.advance()
            return _CONSTANTS[text]
        if text in dtypes.BY_NAME:
            dtype = self.dtype()
            return self.array(dtype) if self.token[1] == "[" else dtype
        if self.has("?"):
            return None
        if not self.has("["):
            self.expected("an attribute's value")
        items: list[Any] = []
        while not self.has("]"):
            if items:
                self.take(",")
            items.append(self.attribute())
        return tuple(items)

    def number(self) -> int | float:
        text = self.advance()
        try:
            return int(text)
        except ValueError:
            return float(text)

    def array(self, dtype: dtypes.DType) -> np.ndarray:
        position = self.token[2]
        self.take("[")
        shape: list[int] = []
        while not self.has("]"):
            if shape:
                self.take(",")
            shape.append(self.size())
        self.take("<")
        is_splat = self.has("splat")
        if self.token[0] == "hex":
            data = bytes.fromhex(self.advance()[2:])
            if len(data) % dtype.itemsize:
                self.fail("the bytes are no whole number of elements", f"{len(data)} bytes", position)
            flat = np.frombuffer(data, dtype.numpy.newbyteorder("<")).astype(dtype.numpy)
            self.take(">")
        else:
            flat = self.elements(dtype)
        count = 1 if is_splat else int(np.prod(shape, dtype=np.int64))
        if flat.size != count:
            self.fail(f"an array of {count} elements has another number of them", str(flat.size), position)
        return np.broadcast_to(flat[0], shape) if is_splat else flat.reshape(shape)

    def elements(self, dtype: dtypes.DType) -> np.ndarray:
        items: list[Any] = []
        position = self.token[2]
        while not self.has(">"):
            if items:
                self.take(",")
            item = self.attribute()
            items.append(item.encode("latin-1") if isinstance(item, str) else item)
        if dtype is dtypes.string:
            flat = np.empty(len(items), object)
            flat[:] = items
            return flat
        try:
            return np.array(items, np.float64 if dtype.is_floating else dtype.numpy).astype(dtype.numpy)
        except (TypeError, ValueError, OverflowError) as error:
            self.fail(f"elements that are not {dtype.name}", str(error), position)
