"""A graph seen from afar: who feeds whom, which parts only serve training and saving, and what depends on what.

It looks at names, ops and edges of the nodes, in a few passes over the whole file; nothing is decoded, built or compiled, so
that 60,000 nodes take about a second. Facts about what a node depends on are bits of an integer per node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mgjax.function import GraphFunction
from mgjax.lowering import FORWARDING_KINDS, VARIABLE_KINDS

_READS_SHAPE_ONLY = frozenset({"Shape", "ShapeN", "Rank", "Size", "ZerosLike", "OnesLike", "VariableShape"})
_GRADIENT_PART = re.compile(r"(^|/)(gradients(_\d+)?|[^/]+_grad(_\d+)?)(/|$)")
_GRADIENT_OF = re.compile(r"(?:^|/)gradients(?:_\d+)?/(.+?)_grad(?:_\d+)?/")
_SUMMARY_OP = re.compile(r"Summary(V2)?$")
_ENTERS = frozenset({"Enter", "RefEnter"})
_EXITS = frozenset({"Exit", "RefExit"})
_MOST_ROUNDS = 50


class Survey:
    """The nodes of a graph by number, in the file's order, and their edges.

    Attributes:
        names, ops: of each node.
        number: from name to number.
        inputs: the nodes whose tensors a node takes.
        control: the nodes that it waits for.
        consumers: the nodes that take a tensor of it.
        waiters: the nodes that wait for it.
    """

    def __init__(self, function: GraphFunction):
        nodes = list(function.graph.nodes.values())
        self._writing = {op for op, lowering in function.lowerings.items() if lowering.writes}
        self.names = [node.name for node in nodes]
        self.ops = [node.op for node in nodes]
        self.number = {name: i for i, name in enumerate(self.names)}
        self.inputs: list[list[int]] = []
        self.control: list[list[int]] = []
        self.consumers: list[list[int]] = [[] for _ in nodes]
        self.waiters: list[list[int]] = [[] for _ in nodes]
        for i, node in enumerate(nodes):
            data: list[int] = []
            control: list[int] = []
            for text in node.input:
                is_control = text.startswith("^")
                source = self.number.get(text[1:] if is_control else text)
                if source is None:
                    source = self.number.get(text.rpartition(":")[0])
                if source is None:
                    continue
                (control if is_control else data).append(source)
                (self.waiters if is_control else self.consumers)[source].append(i)
            self.inputs.append(data)
            self.control.append(control)

    def __len__(self) -> int:
        return len(self.names)

    def is_gradient(self, i: int) -> bool:
        """Whether the node lies where `tf.gradients` puts its nodes."""
        return _GRADIENT_PART.search(self.names[i]) is not None

    def differentiated(self) -> set[str]:
        """The names of the nodes that a gradient was taken through: that of `a/b` is computed under `gradients/a/b_grad`."""
        return {match[1] for name in self.names if (match := _GRADIENT_OF.search(name)) is not None}

    def is_summary(self, i: int) -> bool:
        return _SUMMARY_OP.search(self.ops[i]) is not None

    def reads_shape(self, i: int) -> bool:
        """Whether the node looks at its operands' shapes alone."""
        return self.ops[i] in _READS_SHAPE_ONLY

    def writes(self, i: int) -> bool:
        """Whether the node changes variables."""
        return self.ops[i] in self._writing

    def bits(self, of: Mapping[int, int], *, through_shapes: bool = True, through_control: bool = True) -> list[int]:
        """For each node the bits of all nodes that it depends on, its own included.

        Args:
            of: from node to its own bits.
            through_shapes: whether what only looks at the shape of a tensor depends on it.
            through_control: whether what waits for a node depends on it.
        """
        found = [of.get(i, 0) for i in range(len(self))]
        sources = self.inputs
        if through_control:
            sources = [data + control for data, control in zip(self.inputs, self.control, strict=True)]
        if not through_shapes:
            sources = [[] if op in _READS_SHAPE_ONLY else data for op, data in zip(self.ops, sources, strict=True)]
        # Files are nearly in order; a round more for each edge that runs backwards on a path, such as those of loops.
        for _ in range(_MOST_ROUNDS):
            is_same = True
            for i, before in enumerate(sources):
                bits = found[i]
                for source in before:
                    bits |= found[source]
                if bits != found[i]:
                    found[i] = bits
                    is_same = False
            if is_same:
                break
        return found

    def updating(self) -> set[int]:
        """The nodes that write variables, and those whose results nothing but such nodes takes."""
        found = {i for i in range(len(self)) if self.writes(i)}
        stack = list(found)
        while stack:
            for source in self.inputs[stack.pop()]:
                if source not in found and all(user in found for user in self.consumers[source]):
                    found.add(source)
                    stack.append(source)
        return found

    def inside_loops(self) -> set[int]:
        """The nodes of loop bodies and conditions, which nobody can fetch."""
        found: set[int] = set()
        stack = [i for i, op in enumerate(self.ops) if op in _ENTERS]
        while stack:
            i = stack.pop()
            if i not in found and self.ops[i] not in _EXITS:
                found.add(i)
                stack.extend(self.consumers[i])
        return found

    def ancestors(self, of: Iterable[int]) -> set[int]:
        """All nodes that these depend on, themselves included."""
        return self._reach(of, (self.inputs, self.control))

    def descendants(self, of: Iterable[int]) -> set[int]:
        """All nodes that depend on these, themselves included."""
        return self._reach(of, (self.consumers, self.waiters))

    def _reach(self, start: Iterable[int], edges: tuple[list[list[int]], list[list[int]]]) -> set[int]:
        found = set(start)
        stack = list(found)
        while stack:
            i = stack.pop()
            for following in edges:
                for j in following[i]:
                    if j not in found:
                        found.add(j)
                        stack.append(j)
        return found

    def variable_of(self, i: int) -> int | None:
        """The node of the variable whose reference, handle or value the node hands on; None if it is none."""
        for _ in range(100):
            if self.ops[i] in VARIABLE_KINDS:
                return i
            if not self.inputs[i] or (self.ops[i] not in FORWARDING_KINDS and self.ops[i] != "ReadVariableOp"):
                return None
            i = self.inputs[i][0]
        return None
