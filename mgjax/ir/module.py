"""The intermediate form: a module of functions, each a block of operations in static single assignment.

A `Module` holds `Function`s; a function has a `Block`; a block has parameters, operations in order, and results. An
operation takes `Value`s and makes `Value`s, has attributes (compile-time constants), and may own blocks of its own, its
regions: the branches of an `If`, the condition and the body of a `While`.

A function is in one of two forms. A *graph* is what was imported: the order of its operations means nothing, control
edges (`Operation.control`) and data edges (operands) give the order, and a loop of the old kind closes a cycle through
`NextIteration`. An *ordered* function is SSA proper: definitions come before their uses, effects happen in the order of
the block, and there are no control edges. Regions are always part of the function in whose form they stand.

Names are TensorFlow's: result `i` of the node `a/b` is the value `%a/b:i`, and `%a/b` is short for `%a/b:0`. A name
stands once in a function, regions included. Values and operations compare by identity, types and attributes by content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mgjax.dtypes import DType
from mgjax.shapes import Shape, describe


@dataclass(frozen=True, slots=True)
class TensorType:
    """A value's type: `float32[2,?]`; a reference to a variable's buffer is `ref float32[2,?]`; `?` is no dtype."""

    dtype: DType | None
    shape: Shape = None
    is_ref: bool = False

    def __str__(self) -> str:
        name = "?" if self.dtype is None else self.dtype.name
        return ("ref " if self.is_ref else "") + name + describe(self.shape)


class Value:
    """Defined once, by an operation or as a block's parameter.

    Attributes:
        type: its `TensorType`.
        owner: the operation that makes it, or the block whose parameter it is.
        index: its place among the owner's results or parameters.
        uses: the (operation, operand index) pairs that read it, in the order in which they came.
        label: the name of a block's parameter; empty for an operation's result.
    """

    __slots__ = ("index", "label", "owner", "type", "uses")

    def __init__(self, type: TensorType, owner: Operation | Block, index: int, label: str = ""):
        self.type = type
        self.owner = owner
        self.index = index
        self.label = label
        self.uses: dict[tuple[Operation, int], None] = {}

    @property
    def name(self) -> str:
        """TensorFlow's name of the tensor, `node:index`; a parameter's label."""
        return f"{self.owner.name}:{self.index}" if isinstance(self.owner, Operation) else self.label

    @property
    def producer(self) -> Operation | None:
        """The operation that makes it, or None for a block's parameter."""
        return self.owner if isinstance(self.owner, Operation) else None

    def replace_uses(self, other: Value) -> None:
        """Makes every operation that reads this value read `other`. Results of blocks are no uses: `Block.results`."""
        for operation, index in list(self.uses):
            operation.set_operand(index, other)

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


class Operation:
    """One step.

    Attributes:
        kind: the op's name, such as "MatMul".
        name: the node's name.
        attributes: compile-time constants, decoded to Python values.
        control: operations that must have run before; empty in an ordered function.
        regions: the blocks that it owns.
        device: the device string of the node, or "".
        results: the values that it makes.
        block: the block that it stands in.
    """

    __slots__ = ("_operands", "attributes", "block", "control", "device", "kind", "name", "regions", "results")

    def __init__(
        self,
        kind: str,
        name: str,
        operands: Iterable[Value] = (),
        attributes: dict[str, Any] | None = None,
        result_types: Iterable[TensorType] = (),
        *,
        control: Iterable[Operation] = (),
        regions: Iterable[Block] = (),
        device: str = "",
    ):
        self.kind = kind
        self.name = name
        self.attributes = {} if attributes is None else attributes
        self.control: list[Operation] = list(control)
        self.regions: list[Block] = []
        self.device = device
        self.block: Block | None = None
        self.results = [Value(type, self, i) for i, type in enumerate(result_types)]
        self._operands: list[Value] = []
        for value in operands:
            self.add_operand(value)
        for region in regions:
            self.add_region(region)

    @property
    def operands(self) -> Sequence[Value]:
        """The values that it takes; to change them use `set_operand`, `add_operand`, `set_operands`."""
        return self._operands

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value

    def add_operand(self, value: Value) -> None:
        value.uses[self, len(self._operands)] = None
        self._operands.append(value)

    def set_operand(self, index: int, value: Value) -> None:
        del self._operands[index].uses[self, index]
        self._operands[index] = value
        value.uses[self, index] = None

    def set_operands(self, values: Iterable[Value]) -> None:
        values = list(values)
        for index, value in enumerate(self._operands):
            del value.uses[self, index]
        self._operands = []
        for value in values:
            self.add_operand(value)

    def add_result(self, type: TensorType) -> Value:
        value = Value(type, self, len(self.results))
        self.results.append(value)
        return value

    def add_region(self, region: Block) -> None:
        region.owner = self
        self.regions.append(region)

    def __repr__(self) -> str:
        return f"{self.kind} '{self.name}'"


class Block:
    """Operations in order, with parameters and results.

    Attributes:
        parameters: the values that whoever runs the block gives.
        operations: in order.
        results: the values that the block hands back.
        owner: the operation or function that it belongs to.
        label: what the block is for its owner: "then", "else", "cond", "body"; empty for a function's.
    """

    __slots__ = ("label", "operations", "owner", "parameters", "results")

    def __init__(self, label: str = ""):
        self.label = label
        self.parameters: list[Value] = []
        self.operations: list[Operation] = []
        self.results: list[Value] = []
        self.owner: Operation | Function | None = None

    def add_parameter(self, type: TensorType, label: str) -> Value:
        value = Value(type, self, len(self.parameters), label)
        self.parameters.append(value)
        return value

    def append(self, operation: Operation) -> Operation:
        operation.block = self
        self.operations.append(operation)
        return operation

    def set_operations(self, operations: Iterable[Operation]) -> None:
        """Puts these operations in place of all that the block has."""
        self.operations = list(operations)
        for operation in self.operations:
            operation.block = self

    def replace_value(self, old: Value, new: Value) -> None:
        """Makes every user of `old`, and this block's results, take `new`."""
        old.replace_uses(new)
        self.results = [new if value is old else value for value in self.results]


@dataclass(slots=True, eq=False)
class Function:
    """A named callable part.

    Attributes:
        name: its name in the module.
        body: its block.
        is_ordered: whether it is in SSA order, without control edges (see the module's docstring).
        targets: operations that must run though no result comes from them (fetched operations); only in a graph.
        attributes: what else is known, such as a library function's own attributes.
    """

    name: str
    body: Block
    is_ordered: bool = False
    targets: list[Operation] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.body.owner = self


@dataclass(slots=True, eq=False)
class Module:
    """The whole: functions by name. `main` is the graph, the others are its library."""

    functions: dict[str, Function] = field(default_factory=dict)

    @property
    def main(self) -> Function:
        return self.functions["main"]

    def add(self, function: Function) -> Function:
        self.functions[function.name] = function
        return function


def walk_blocks(block: Block) -> Iterator[Block]:
    """The block and all blocks below it, outer ones first."""
    stack = [block]
    while stack:
        block = stack.pop()
        yield block
        stack.extend(region for operation in reversed(block.operations) for region in reversed(operation.regions))


def walk(block: Block) -> Iterator[Operation]:
    """All operations of the block and of the blocks below it."""
    for inner in walk_blocks(block):
        yield from inner.operations
