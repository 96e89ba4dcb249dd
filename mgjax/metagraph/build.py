"""From an indexed graph to the intermediate form: the part of it that a set of fetches needs."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from mgjax.ir import Block, Function, Operation, TensorType, Value
from mgjax.metagraph.graph import OUTPUT_SHAPES, Graph, decode_attributes, result_types, split_tensor_name
from mgjax.proto import graph_pb2

PROBLEM = "mgjax.problem"
"""The attribute that says why an operation cannot be run though its op may be known (a missing input, a bad attribute)."""


MAX_OUTPUTS = 1 << 20
"""More outputs than this, of one node, are taken for damage."""


def build_function(
    graph: Graph, feeds: Sequence[str] = (), fetches: Sequence[str] = (), targets: Sequence[str] = ()
) -> Function:
    """The graph function that computes `fetches` from `feeds`.

    Args:
        graph: where the names are found.
        feeds: tensors (`name:index`) that are given: the block's parameters, in this order. What only they need is left out.
        fetches: tensors that are wanted: the block's results.
        targets: names of nodes that must run.

    Returns:
        A function in graph form. An operation that cannot be understood is there all the same, with the attribute
        `PROBLEM`; an input that the graph lacks is an operation of kind "?" .
    """
    fed = set(feeds)
    roots = [split_tensor_name(fetch)[0] for fetch in fetches if fetch not in fed]
    needed = _needed_nodes(graph, fed, roots + list(targets))
    return _connect(graph, sorted(needed, key=graph.order.__getitem__), feeds, fetches, targets)


def build_whole(graph: Graph) -> Function:
    """The graph function of all nodes, without feeds and fetches; its operations stand in the file's order."""
    return _connect(graph, list(graph.nodes), (), (), ())


def _is_given(graph: Graph, name: str, fed: Container[str]) -> bool:
    """Whether a control edge from the node holds at once: it is a placeholder, and fed. Another node whose output is fed
    still runs for those who wait for it (core/graph/subgraph.cc, FeedInputs)."""
    return f"{name}:0" in fed and name in graph.nodes and graph.nodes[name].op in ("Placeholder", "PlaceholderV2")


def _needed_nodes(graph: Graph, fed: set[str], stack: list[str]) -> set[str]:
    needed: set[str] = set()
    nodes = graph.nodes
    while stack:
        name = stack.pop()
        if name in needed or name not in nodes:
            continue
        needed.add(name)
        for text in nodes[name].input:
            if text.startswith("^"):
                if not _is_given(graph, text[1:], fed):
                    stack.append(text[1:])
                continue
            producer, index = split_tensor_name(text)
            if f"{producer}:{index}" not in fed:
                stack.append(producer)
    return needed


def _connect(
    graph: Graph, names: Sequence[str], feeds: Sequence[str], fetches: Sequence[str], targets: Sequence[str]
) -> Function:
    block = Block()
    given = {feed: block.add_parameter(_feed_type(graph, feed), feed) for feed in feeds}
    operations: dict[str, Operation] = {}
    for name in names:
        operations[name] = block.append(build_operation(graph, graph.nodes[name]))

    def missing(name: str, wanted_by: str) -> Operation:
        reason = f"{wanted_by!r} takes it as input, but the graph has no such node"
        return block.append(Operation("?", name, attributes={PROBLEM: reason}))

    def value(text: str, wanted_by: str) -> Value:
        name, index = split_tensor_name(text)
        if (fed := given.get(f"{name}:{index}")) is not None:
            return fed
        operation = operations.get(name)
        if operation is None or index >= MAX_OUTPUTS:
            operation, index = missing(name, wanted_by), 0
            operations.setdefault(name, operation)
        if index >= len(operation.results):
            if not _lacks_op_def(graph, operation):
                operation.attributes.setdefault(
                    PROBLEM, f"{wanted_by!r} takes its output {index}, but it has {len(operation.results)}"
                )
            while len(operation.results) <= index:
                operation.add_result(TensorType(None))
        return operation.results[index]

    for name in names:
        operation = operations[name]
        for text in graph.nodes[name].input:
            if not text.startswith("^"):
                operation.add_operand(value(text, name))
                continue
            if _is_given(graph, text[1:], given):
                continue
            control = operations.get(text[1:])
            if control is None:
                control = operations[text[1:]] = missing(text[1:], name)
            operation.control.append(control)
        _check_operands(graph, operation)
    block.results = [value(fetch, fetch) for fetch in fetches]
    return Function("main", block, targets=[operations[name] for name in targets])


def _feed_type(graph: Graph, feed: str) -> TensorType:
    found = graph.tensor_type(feed)
    return TensorType(found.dtype, found.shape)


def build_operation(graph: Graph, node: graph_pb2.NodeDef) -> Operation:
    """The operation of one node, not yet connected; `PROBLEM` among its attributes says what is wrong with it."""
    op_def = graph.op_def(node.op)
    try:
        attributes = dict(decode_attributes(node, op_def))
        types = result_types(node.op, op_def, attributes, graph.producer)
    except (ValueError, KeyError, TypeError) as error:
        attributes, types = {PROBLEM: f"its attributes cannot be read: {error}"}, None
    attributes.pop(OUTPUT_SHAPES, None)
    return Operation(node.op, node.name, (), attributes, types or (), device=node.device)


def _lacks_op_def(graph: Graph, operation: Operation) -> bool:
    return operation.kind == "?" or graph.op_def(operation.kind) is None


def _check_operands(graph: Graph, operation: Operation) -> None:
    op_def = graph.op_def(operation.kind)
    if op_def is None or PROBLEM in operation.attributes:
        return
    try:
        wanted = sum(op_def.arg_sizes(op_def.inputs, operation.attributes))
    except (KeyError, TypeError) as error:
        operation.attributes[PROBLEM] = f"an attribute that says how many inputs it takes is missing: {error}"
        return
    if wanted != len(operation.operands):
        operation.attributes[PROBLEM] = f"{operation.kind} takes {wanted} inputs, it has {len(operation.operands)}"


def problem_of(operation: Operation) -> Any:
    """Why the operation cannot be run, or None."""
    return operation.attributes.get(PROBLEM)
