"""Library functions of a graph as functions of the intermediate form, one fresh copy each time one is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mgjax.attributes import FunctionName
from mgjax.errors import UnknownNameError
from mgjax.ir import Block, Function, Operation, TensorType, Value
from mgjax.metagraph.build import MAX_OUTPUTS, PROBLEM
from mgjax.metagraph.graph import OUTPUT_SHAPES, Graph, nearest, result_types
from mgjax.opdefs import OpDef
from mgjax.proto.values import Placeholder, decode_attr


def build_library_function(graph: Graph, name: str, attrs: Mapping[str, Any]) -> Function:
    """The graph function of a library function.

    Args:
        graph: whose library it is in.
        name: the function's name.
        attrs: values for the attributes that the function leaves open (`T = $T`).

    Returns:
        A function in graph form: the block's parameters are the arguments, its results the returned tensors, in the
        order of the signature; a list argument is one parameter for each of its tensors. Its targets are what must run though
        no result needs it: the nodes that the function's `control_ret` names, and all stateful ones.

    Raises:
        UnknownNameError: the library has no such function.
    """
    if name not in graph.library:
        raise UnknownNameError(f"the graph's library has no function {name!r}{nearest(name, graph.library)}")
    return _LibraryFunction(graph, name, attrs).build()


def library_nodes(graph: Graph, name: str, attrs: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, op and attributes of the nodes of a library function; a node whose attributes cannot be read has none.

    Args:
        graph, name, attrs: as for `build_library_function`.
    """
    function = _LibraryFunction(graph, name, attrs)
    for node in function.definition.node_def:
        try:
            attributes = function.attributes_of(node)
        except (ValueError, KeyError, TypeError):
            attributes = {}
        yield node.name, node.op, attributes


class _LibraryFunction:
    """One function being built; inputs name an argument, or `node:output argument:index`."""

    def __init__(self, graph: Graph, name: str, attrs: Mapping[str, Any]):
        self.graph = graph
        self.definition = graph.library[name]
        self.attrs = attrs
        self.block = Block()
        self.values: dict[str, list[Value]] = {}
        self.operations: dict[str, Operation] = {}
        self.problems: list[str] = []

    def build(self) -> Function:
        definition = self.definition
        signature = self.graph.op_def(definition.signature.name)
        assert signature is not None
        self._add_parameters(signature)
        for node in definition.node_def:
            self.operations[node.name] = self.block.append(self._operation(node))
        for node in definition.node_def:
            self._connect(node)
        for arg in signature.outputs:
            self.block.results.extend(self._lookup(definition.ret[arg.name], arg.name))
        targets = [self.operations[name] for name in definition.control_ret.values() if name in self.operations]
        targets += [operation for operation in self.operations.values() if self._is_stateful(operation)]
        self._prune(targets)
        return Function(definition.signature.name, self.block, targets=list(dict.fromkeys(targets)))

    def _prune(self, targets: Iterable[Operation]) -> None:
        """Takes out what no result and no target needs: TensorFlow does not run it, and so it may be what cannot run."""
        needed: dict[Operation, None] = {}
        waiting = [*targets, *(value.producer for value in self.block.results)]
        while waiting:
            operation = waiting.pop()
            if operation is not None and operation not in needed:
                needed[operation] = None
                waiting += [*operation.control, *(value.producer for value in operation.operands)]
        self.block.set_operations(operation for operation in self.block.operations if operation in needed)

    def _add_parameters(self, signature: OpDef) -> None:
        sizes = signature.arg_sizes(signature.inputs, self.attrs)
        for arg, size in zip(signature.inputs, sizes, strict=True):
            is_list = bool(arg.number_attr or arg.type_list_attr)
            dtypes = (
                self.attrs[arg.type_list_attr]
                if arg.type_list_attr
                else [arg.dtype or self.attrs.get(arg.type_attr)] * size
            )
            self.values[arg.name] = [
                self.block.add_parameter(
                    TensorType(dtype, None, arg.is_ref), f"{arg.name}:{i}" if is_list else arg.name
                )
                for i, dtype in enumerate(dtypes)
            ]

    def _operation(self, node: Any) -> Operation:
        op_def = self.graph.op_def(node.op)
        try:
            attributes = self.attributes_of(node)
            types = result_types(node.op, op_def, attributes, self.graph.producer) or []
        except (ValueError, KeyError, TypeError) as error:
            attributes, types = {PROBLEM: f"its attributes cannot be read: {error}"}, []
        attributes.pop(OUTPUT_SHAPES, None)
        return Operation(node.op, node.name, (), attributes, types, device=node.device)

    def attributes_of(self, node: Any) -> dict[str, Any]:
        """The attributes of one node. Raises `ValueError`, `KeyError` or `TypeError` where they cannot be read."""
        attributes = {key: self._filled(decode_attr(value)) for key, value in node.attr.items()}
        op_def = self.graph.op_def(node.op)
        if op_def is not None:
            for attr in op_def.attrs.values():
                if attr.has_default:
                    attributes.setdefault(attr.name, attr.default)
        return attributes

    def _filled(self, value: Any) -> Any:
        """An attribute's value with what the call gives in the place of the function's own attributes."""
        if isinstance(value, Placeholder):
            return self.attrs[value]
        if isinstance(value, FunctionName):
            return FunctionName(value.name, {key: self._filled(inner) for key, inner in value.attrs.items()})
        return value

    def _connect(self, node: Any) -> None:
        operation = self.operations[node.name]
        for text in node.input:
            if text.startswith("^"):
                control = self.operations.get(text[1:])
                if control is not None:
                    operation.control.append(control)
                continue
            for value in self._lookup(text, node.name):
                operation.add_operand(value)

    def _lookup(self, text: str, wanted_by: str) -> list[Value]:
        """The values of an input: a whole list argument gives several."""
        name, _, rest = text.partition(":")
        if name in self.values and name not in self.operations:
            given = self.values[name]
            if not rest:
                return given
            if rest.isdecimal() and int(rest) < len(given):
                return [given[int(rest)]]
            return [self._missing(text, wanted_by)]
        operation = self.operations.get(name)
        index = None if operation is None else self._output_index(operation, rest)
        if operation is None or index is None:
            return [self._missing(text, wanted_by)]
        while len(operation.results) <= index:
            operation.add_result(TensorType(None))
        return [operation.results[index]]

    def _missing(self, text: str, wanted_by: str) -> Value:
        """What stands for an input that is not there."""
        name = text.partition(":")[0]
        reason = f"{wanted_by!r} takes {text!r}, but the function has no such node or argument"
        operation = self.block.append(Operation("?", name, attributes={PROBLEM: reason}))
        self.operations.setdefault(name, operation)
        return operation.add_result(TensorType(None))

    def _output_index(self, operation: Operation, output: str) -> int | None:
        """The flat output of `output argument:index`; None where no node has as many."""
        arg_name, _, index = output.partition(":")
        if index and not (index.isdecimal() and int(index) < MAX_OUTPUTS):
            return None
        op_def = self.graph.op_def(operation.kind)
        start = 0
        if op_def is not None and PROBLEM not in operation.attributes:
            for arg, size in zip(op_def.outputs, op_def.arg_sizes(op_def.outputs, operation.attributes), strict=True):
                if arg.name == arg_name:
                    break
                start += size
        return start + (int(index) if index else 0)

    def _is_stateful(self, operation: Operation) -> bool:
        op_def = self.graph.op_def(operation.kind)
        return op_def is not None and op_def.is_stateful
