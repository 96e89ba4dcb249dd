"""Which nodes cannot be run, by the ops and the bodies of the functions that they call."""

from __future__ import annotations

from typing import Any

from mgjax.function import GraphFunction
from mgjax.inspect.interface import is_of_saver, saver_scope
from mgjax.inspect.survey import Survey
from mgjax.metagraph import Graph


def unsupported_ops(function: GraphFunction, survey: Survey) -> dict[str, list[int]]:
    """From each op that cannot be run to the nodes that are of it, or that call a function which holds it.

    The nodes with which the graph saves and restores itself are left out: `mgjax.Saver` does what they do.
    """
    scope = saver_scope(function)
    graph = function.graph
    of_functions = _unsupported_in_functions(function)
    found: dict[str, list[int]] = {}
    for i, op in enumerate(survey.ops):
        if is_of_saver(survey.names[i], scope):
            continue
        if op in graph.library:
            refused = of_functions[op]
        elif not function.supports(op):
            refused = {op: None}
        elif op in _CALLS:
            refused = {op: None for name in _called(graph.nodes[survey.names[i]]) for op in of_functions.get(name, ())}
        else:
            refused = {}
        for name in refused:
            found.setdefault(name, []).append(i)
    return found


_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile", "Case",
                    "StatelessCase", "For", "BatchFunction"})  # fmt: skip


def _called(node: Any) -> list[str]:
    """The library functions that a node names in its attributes."""
    names = []
    for value in node.attr.values():
        names += [value.func.name] if value.HasField("func") else [function.name for function in value.list.func]
    return names


def _unsupported_in_functions(function: GraphFunction) -> dict[str, dict[str, None]]:
    """For each library function the ops, its own and those of the functions it calls, that cannot be run."""
    graph: Graph = function.graph
    found: dict[str, dict[str, None]] = {}
    calls: dict[str, list[str]] = {}
    for name, definition in graph.library.items():
        nodes = definition.node_def
        found[name] = {n.op: None for n in nodes if n.op not in graph.library and not function.supports(n.op)}
        calls[name] = [
            callee for n in nodes for callee in ([n.op, *_called(n)] if n.attr or n.op in graph.library else ())
        ]
    is_same = False
    while not is_same:
        is_same = True
        for name, callees in calls.items():
            before = len(found[name])
            for callee in callees:
                found[name].update(found.get(callee, {}))
            is_same = is_same and len(found[name]) == before
    return found
