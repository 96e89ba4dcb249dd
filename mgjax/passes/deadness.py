"""When each operation of a graph with control flow of the old kind runs.

`Switch` hands its data to one of its two outputs; the other is dead. An operation with a dead operand, or with a
control edge from an operation that is dead, is dead, and so are all its results. `Merge` hands on the operand that is
alive.

So an operation runs under a *condition*: a conjunction of literals, each a predicate and the side that it must show.
`Switch` adds a literal, `Merge` takes one away. Literals stand in the order in which the graph nests them: all that a
predicate itself needs stands before it.

A predicate is named by its root: `Identity` and outer `Switch`es, through which a cond hands it on, are looked through,
so that all conds on one flag share it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mgjax.ir import Block, Operation, Value
from mgjax.passes.effects import free_values

SWITCHES = frozenset({"Switch", "RefSwitch"})
MERGES = frozenset({"Merge", "RefMerge"})
RUNS_WHEN_DEAD = "ControlTrigger"
"""It waits for its control edges, and runs whether or not they are dead."""


class Literal(NamedTuple):
    """The claim that the predicate is true, or that it is false."""

    predicate: Value
    side: bool


Condition = tuple[Literal, ...] | None
"""A conjunction of literals: `()` holds always, None never."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a `Merge` is: one value where the predicate is false, another where it is true.

    Attributes:
        predicate: the root of the predicate.
        values: the value for False and for True.
        positions: what the result `value_index` is in either case; None where the value comes from a further `Merge`,
            which knows.
    """

    predicate: Value
    values: tuple[Value, Value]
    positions: tuple[int | None, int | None]


class Deadness:
    """The conditions of a block's operations, given the literals that hold wherever the block runs.

    A `Merge` of more than two operands is replaced in the block by `Merge`s of two, so that each undoes one literal.

    Attributes:
        is_cyclic: whether a loop of the old kind is left, about which nothing can be said.
        order: the operations, definitions before uses.
        before: the operations of the block that each one depends on, by data and control edges.
        conditions: by operation.
        choices: what each `Merge` chooses between.
        forwarded: for a `Merge` of which only one operand can be alive: that operand's index.
        irregular: the `Merge`s that are neither, whose condition is no conjunction.
    """

    def __init__(self, block: Block, facts: frozenset[Literal] = frozenset()):
        self.block = block
        self.facts = facts
        self.before = {operation: _dependencies(operation, block) for operation in block.operations}
        self.order = sort(self.before)
        self.is_cyclic = len(self.order) < len(block.operations)
        self.conditions: dict[Operation, Condition] = {}
        self.choices: dict[Operation, Choice] = {}
        self.forwarded: dict[Operation, int] = {}
        self.irregular: dict[Operation, None] = {}
        self._conjunctions: dict[tuple[Condition, Condition], Condition] = {}
        self._roots: dict[Value, Value] = {}
        if not self.is_cyclic:
            for operation in list(self.order):
                self.conditions[operation] = self._condition(operation)
            self.order = sort(self.before)

    def of(self, value: Value) -> Condition:
        """When the value is alive."""
        operation = value.producer
        if operation is None or operation not in self.conditions:
            return ()
        condition = self.conditions[operation]
        if operation.kind in SWITCHES:
            literal = Literal(self.root(operation.operands[1]), value.index == 1)
            if literal in self.facts:
                return condition
            if Literal(literal.predicate, not literal.side) in self.facts:
                return None
            return self._both(condition, (literal,))
        return condition

    def root(self, value: Value) -> Value:
        """The value that this one hands on, seen through `Identity` and `Switch`."""
        if value not in self._roots:
            self._roots[value] = root_of(value)
        return self._roots[value]

    def _condition(self, operation: Operation) -> Condition:
        if operation.kind in MERGES:
            return self._merge(operation)
        condition: Condition = ()
        for value in operands_of(operation):
            condition = self._both(condition, self.of(value))
        if operation.kind != RUNS_WHEN_DEAD:
            for source in operation.control:
                condition = self._both(condition, self.conditions[source])
        return condition

    def _both(self, a: Condition, b: Condition) -> Condition:
        """The conjunction of two conditions."""
        if a is None or b is None:
            return None
        if not b or a == b:
            return a
        if not a:
            return b
        known = self._conjunctions.get((a, b), False)
        if known is False:
            known = self._conjunctions[a, b] = _conjunction(a, b) if len(a) >= len(b) else _conjunction(b, a)
        return known  # type: ignore[return-value]

    # Merges

    def _merge(self, merge: Operation) -> Condition:
        alive = [(i, condition) for i, value in enumerate(merge.operands) if (condition := self.of(value)) is not None]
        if not alive:
            return None
        common = tuple(literal for literal in alive[0][1] if all(literal in condition for _, condition in alive))
        rests = {i: tuple(x for x in condition if x not in common) for i, condition in alive}
        # Where several may be alive, the first to arrive is taken; an operand that is always alive is one outcome.
        always = [i for i, rest in rests.items() if not rest]
        if always:
            self.forwarded[merge] = always[0]
            return common
        plan = _plan(rests)
        if plan is None:
            self.irregular[merge] = None
        else:
            self._build(merge, plan, common)
        return common

    def _build(self, merge: Operation, plan: _Plan, condition: Condition) -> None:
        """Makes the merge, or further ones that it then chooses from, choices between two values."""
        # The plans are as deep as the conds are nested; the inner ones come later in the list.
        work = [(merge, plan, condition)]
        original, merge_type = list(merge.operands), merge.results[0].type
        index_type = merge.results[1].type
        while work:
            target, (predicate, sides), condition = work.pop()
            values: list[Value] = []
            positions: list[int | None] = []
            for side, part in zip((False, True), sides, strict=True):
                if isinstance(part, int):
                    values.append(original[part])
                    positions.append(part)
                    continue
                inner = Operation(merge.kind, f"{target.name}/{int(side)}", (), {}, [merge_type, index_type])
                inner.device = merge.device
                self.block.append(inner)
                inner_condition = self._both(condition, (Literal(predicate, side),))
                self.conditions[inner] = inner_condition
                work.append((inner, part, inner_condition))
                values.append(inner.results[0])
                positions.append(None)
            target.set_operands(values)
            self.choices[target] = Choice(predicate, (values[0], values[1]), (positions[0], positions[1]))
            self.before[target] = _dependencies(target, self.block)


def root_of(value: Value) -> Value:
    """The value that this one hands on, seen through `Identity` and `Switch`."""
    while (operation := value.producer) is not None:
        is_handed_on = operation.kind == "Identity" or operation.kind in SWITCHES
        # What a variable holds is read where it is read: a reference is a root.
        if not is_handed_on or operation.operands[0].type.is_ref:
            break
        value = operation.operands[0]
    return value


_Plan = tuple[Value, tuple["int | _Plan", "int | _Plan"]]
"""A predicate, and for either side the index of the operand that is alive then or a further plan."""


def _plan(rests: dict[int, tuple[Literal, ...]]) -> _Plan | None:
    """How to decide, one predicate at a time, which of the operands is alive; None where that is not a decision.

    Args:
        rests: what of each operand's condition is not common to all.
    """
    first = next(iter(rests.values()))
    for literal in first:
        predicate = literal.predicate
        groups: tuple[dict, dict] = ({}, {})
        for i, rest in rests.items():
            side = next((x.side for x in rest if x.predicate is predicate), None)
            if side is None:
                break
            groups[side][i] = tuple(x for x in rest if x.predicate is not predicate)
        else:
            sides = [_side(group) for group in groups]
            if sides[0] is not None and sides[1] is not None:
                return (predicate, (sides[0], sides[1]))
    return None


def _side(group: dict[int, tuple[Literal, ...]]) -> int | _Plan | None:
    certain = [i for i, rest in group.items() if not rest]
    if certain:
        return certain[0]
    return _plan(group) if group else None


def _conjunction(longer: tuple[Literal, ...], shorter: tuple[Literal, ...]) -> Condition:
    sides = {literal.predicate: literal.side for literal in longer}
    added = []
    for literal in shorter:
        side = sides.get(literal.predicate)
        if side is None:
            added.append(literal)
        elif side != literal.side:
            return None
    return (*longer, *added)


def operands_of(operation: Operation) -> Iterable[Value]:
    """All that the operation takes, what its regions capture included."""
    if not operation.regions:
        return operation.operands
    return [*operation.operands, *(value for region in operation.regions for value in free_values(region))]


def _dependencies(operation: Operation, block: Block) -> dict[Operation, None]:
    producers = (value.producer for value in operands_of(operation))
    found = {producer: None for producer in producers if producer is not None and producer.block is block}
    found.update(dict.fromkeys(operation.control))
    return found


def sort(before: dict[Operation, dict[Operation, None]]) -> list[Operation]:
    """The operations, definitions before uses; those on cycles, and what depends on them, are left out."""
    followers: dict[Operation, list[Operation]] = defaultdict(list)
    waits_for = {}
    for operation, sources in before.items():
        waits_for[operation] = len(sources)
        for source in sources:
            followers[source].append(operation)
    place = {operation: i for i, operation in enumerate(before)}
    ready = [(place[operation], operation) for operation, count in waits_for.items() if count == 0]
    order = []
    while ready:
        operation = heapq.heappop(ready)[1]
        order.append(operation)
        for follower in followers[operation]:
            waits_for[follower] -= 1
            if waits_for[follower] == 0:
                heapq.heappush(ready, (place[follower], follower))
    return order
