"""Turns the frames of `Enter`, `Exit`, `NextIteration` and `LoopCond` into structured `while`s.

    graph @main(%x: float32[], %n: float32[]) {             graph @main(%x: float32[], %n: float32[]) {
      %x_in = Enter(%x) : (float32[])                         %cond = while(%x) : (float32[]) cond(%m: float32[]) {
      %n_in = Enter(%n) {is_constant = true} : (float32[])      %less = Less(%m, %n) : (bool[])
      %m = Merge(%x_in, %next) : (float32[], int32[])           return %less
      %less = Less(%m, %n_in) : (bool[])                      } body(%s: float32[]) {
      %cond = LoopCond(%less) : (bool[])               ->       %double = Add(%s, %s) : (float32[])
      %s = Switch(%m, %cond) : (float32[], float32[])           return %double
      %double = Add(%s:1, %s:1) : (float32[])                 }
      %next = NextIteration(%double) : (float32[])            return %cond
      %exit = Exit(%s) : (float32[])                        }
      return %exit
    }

A frame is found by structure: what `Enter`s of one name lead into, up to the `Exit`s; a loop is a `LoopCond` with the
`Switch`es that it steers and the `Merge`s before them. Inner loops come first.

Of a loop's operations, those after a `Switch` run once for each round, in the body. Those before run once more, to find
that the loop ends: they are the condition. What the body, or what comes after the loop, needs of them is copied there, so they
must be free of effects then. A value that every round hands on unchanged is not carried but captured, as constants are.

A frame that is no such loop stays as it is; the log says why.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mgjax import dtypes
from mgjax.ir import Block, Function, Operation, TensorType, Value, walk_blocks
from mgjax.passes.deadness import MERGES, SWITCHES, operands_of, sort
from mgjax.passes.effects import NO_EFFECTS, Traits
from mgjax.passes.functionalize_conds import is_movable
from mgjax.passes.names import Names

_log = logging.getLogger(__name__)
ENTERS = frozenset({"Enter", "RefEnter"})
EXITS = frozenset({"Exit", "RefExit"})
NEXT_ITERATIONS = frozenset({"NextIteration", "RefNextIteration"})
_BOOL = TensorType(dtypes.bool_, ())


def functionalize_loops(function: Function, traits: Traits) -> None:
    """Structures the loops of every block of a graph function."""
    if function.is_ordered:
        return
    names = Names(function)
    for block in list(walk_blocks(function.body)):
        if any(operation.kind in ENTERS for operation in block.operations):
            _Frames(block, traits, names).run()


class _Decline(Exception):
    """The frame is no loop of the known form."""


@dataclass(frozen=True, slots=True)
class _Frame:
    parent: _Frame | None
    name: str

    @property
    def depth(self) -> int:
        return 1 + (self.parent.depth if self.parent is not None else 0)


class _Frames:
    """The frames of one block. `frame` says in which one an operation runs; `Enter` runs outside, `Exit` inside."""

    def __init__(self, block: Block, traits: Traits, names: Names):
        self.block = block
        self.traits = traits
        self.names = names
        self.frame: dict[Operation, _Frame | None] = {}
        self.gone: dict[Operation, None] = {}
        self.waiting: dict[Operation, dict[Operation, None]] = defaultdict(dict)
        for operation in block.operations:
            for source in operation.control:
                self.waiting[source][operation] = None
        before = {operation: dict.fromkeys(self.sources(operation)) for operation in block.operations}
        for operation in sort(before):
            found = [self.frame_after(source) for source in before[operation]]
            self.frame[operation] = max(found, key=lambda frame: frame.depth if frame else 0, default=None)

    def sources(self, operation: Operation) -> Iterator[Operation]:
        """What it depends on within the block, but for what the round before hands over."""
        for value in operands_of(operation):
            producer = value.producer
            if producer is not None and producer.block is self.block and producer.kind not in NEXT_ITERATIONS:
                yield producer
        yield from operation.control

    def frame_after(self, operation: Operation) -> _Frame | None:
        """The frame in which the operation's results are."""
        frame = self.frame.get(operation)
        if operation.kind in ENTERS:
            return _Frame(frame, str(operation.attributes.get("frame_name", "")))
        if operation.kind in EXITS and frame is not None:
            return frame.parent
        return frame

    def run(self) -> None:
        inside: dict[_Frame, list[Operation]] = defaultdict(list)
        for operation, frame in self.frame.items():
            if frame is not None:
                inside[frame].append(operation)
        for frame in sorted(inside, key=lambda frame: -frame.depth):
            steering = [operation for operation in inside[frame] if operation.kind == "LoopCond"]
            for condition in steering:
                members = self.members(condition, inside[frame]) if len(steering) > 1 else inside[frame]
                try:
                    loop = _Loop(self, condition, members, is_alone=len(steering) == 1)
                except _Decline as reason:
                    _log.debug("the loop of %r is left as it is: %s", condition, reason)
                    continue
                operation = loop.build()
                for added in [operation, *loop.after]:
                    self.frame[added] = frame.parent
                    if frame.parent is not None:
                        inside[frame.parent].append(added)
        kept = [operation for operation in self.block.operations if operation.block is self.block]
        for operation in self.gone:
            operation.set_operands(())
        self.block.set_operations(operation for operation in kept if operation not in self.gone)

    def members(self, condition: Operation, operations: list[Operation]) -> list[Operation]:
        """The operations that one of several loops in a frame of one name needs."""
        inside = set(operations)
        switches = [user for user, index in condition.result.uses if user.kind in SWITCHES and index == 1]
        exits = {user for switch in switches for user, _ in switch.results[0].uses if user in inside}
        stack = [condition, *switches, *exits]
        found: set[Operation] = set()
        while stack:
            operation = stack.pop()
            if operation in found or operation not in inside:
                continue
            found.add(operation)
            stack.extend(value.producer for value in operands_of(operation) if value.producer is not None)
            stack.extend(operation.control)
        return [operation for operation in operations if operation in found]

    def replace_control(self, old: Operation, new: Operation) -> None:
        for operation in self.waiting.pop(old, {}):
            sources = dict.fromkeys(new if source is old else source for source in operation.control)
            operation.control = [source for source in sources if source is not operation]
            self.waiting[new][operation] = None


@dataclass(slots=True, eq=False)
class _Carried:
    """A loop variable: its `Merge`, what enters, what the round hands on, whether that is the same value."""

    merge: Operation
    enter: Operation
    next: Operation
    is_constant: bool = False


_BEFORE, _BODY, _AFTER = "cond", "body", "after"


class _Loop:
    """One loop. Nothing is changed before `build`, so that it can be declined."""

    def __init__(self, frames: _Frames, condition: Operation, members: list[Operation], is_alone: bool):
        self.frames = frames
        self.traits = frames.traits
        self.condition = condition
        self.members = dict.fromkeys(members)
        self.is_alone = is_alone
        self.after: list[Operation] = []
        self.switches = {
            user: None
            for user, index in condition.result.uses
            if user.kind in SWITCHES and index == 1 and user in self.members
        }
        self.carried = {merge: self.variable(merge) for merge in members if self.is_variable(merge)}
        self.part = self.find_parts(members)
        self.exits = [operation for operation in members if operation.kind in EXITS]
        self.check()
        self.first = self.needed_by_condition()
        self.copied = self.needed_besides()

    # What the loop consists of

    def is_variable(self, operation: Operation) -> bool:
        if operation.kind not in MERGES:
            return False
        return any(value.producer is not None and value.producer.kind in NEXT_ITERATIONS for value in operation.operands)

    def variable(self, merge: Operation) -> _Carried:
        producers = {value.producer.kind: value.producer for value in merge.operands if value.producer is not None}
        enter = next((producers[kind] for kind in ENTERS if kind in producers), None)
        following = next((producers[kind] for kind in NEXT_ITERATIONS if kind in producers), None)
        if enter is None or following is None or len(merge.operands) != 2:
            raise _Decline(f"{merge!r} does not join one Enter and one NextIteration")
        if merge.results[1].uses:
            raise _Decline(f"the value_index of {merge!r} is used")
        variable = _Carried(merge, enter, following)
        value = following.operands[0]
        while (producer := value.producer) is not None:
            is_same = producer.kind == "Identity" and not producer.operands[0].type.is_ref
            if not is_same and producer not in self.switches:
                break
            value = producer.operands[0]
        variable.is_constant = value is merge.results[0]
        return variable

    def find_parts(self, members: Iterable[Operation]) -> dict[Operation, str]:
        """The part that each operation belongs to: the condition, the body, or what comes after the last round."""
        part: dict[Operation, str] = {}
        order = sort({operation: self.within(operation) for operation in members})
        for operation in order:
            found = {_BEFORE}
            for value in operands_of(operation):
                producer = value.producer
                if producer in self.switches:
                    found.add(_BODY if value.index == 1 else _AFTER)
                elif producer is not None and producer in part and producer.kind not in NEXT_ITERATIONS:
                    found.add(part[producer])
            found.update(part[source] for source in operation.control if source in part)
            if operation in self.carried:
                found = {_BEFORE}
            if _BODY in found and _AFTER in found:
                raise _Decline(f"{operation!r} takes values of a round that runs and of one that does not")
            part[operation] = _BODY if _BODY in found else _AFTER if _AFTER in found else _BEFORE
        if len(part) < len(self.members):
            raise _Decline("its operations depend on one another in a circle")
        return part

    def within(self, operation: Operation) -> dict[Operation, None]:
        return {source: None for source in self.frames.sources(operation) if source in self.members}

    def check(self) -> None:
        if self.part[self.condition] != _BEFORE:
            raise _Decline("its condition depends on a Switch that it steers")
        for operation in self.members:
            if operation.kind in SWITCHES and operation in self.switches and self.part[operation] != _BEFORE:
                raise _Decline(f"{operation!r} takes what another Switch of the loop hands on")
            if operation.kind in MERGES and operation not in self.carried and self.part[operation] == _BEFORE:
                continue  # of a cond within the condition
            if operation.kind in NEXT_ITERATIONS and self.part[operation] == _AFTER:
                raise _Decline(f"{operation!r} hands on what only the last round has")
        for operation in self.members:
            for value in operands_of(operation):
                enter = value.producer
                if enter is not None and enter.kind in ENTERS and not enter.attributes.get("is_constant"):
                    if self.frames.frame_after(enter) == self.frames.frame[self.condition] and operation not in self.carried:
                        raise _Decline(f"{enter!r} is no constant, and {operation!r} takes it in the first round only")

    def is_dissolved(self, operation: Operation) -> bool:
        return (
            operation in self.switches
            or operation in self.carried
            or operation is self.condition
            or operation.kind in NEXT_ITERATIONS
            or operation.kind in EXITS
        )

    # What of the condition is needed where

    def needed_by_condition(self) -> dict[Operation, None]:
        """The operations before the Switches that belong to the condition: what decides it, and all effects."""
        stack = [self.condition]
        for operation, part in self.part.items():
            if part == _BEFORE and not self.is_dissolved(operation):
                if operation.regions or self.traits.effects(operation) != NO_EFFECTS:
                    stack.append(operation)
        return self.closure(stack)

    def needed_besides(self) -> dict[str, dict[Operation, None]]:
        """The operations before the Switches that the body, and what comes after, need a copy of."""
        found: dict[str, dict[Operation, None]] = {}
        for part in (_BODY, _AFTER):
            users = [operation for operation, place in self.part.items() if place == part]
            if part == _BODY:
                users += [variable.next for variable in self.carried.values() if not variable.is_constant]
            else:
                users += self.exits
            users += self.switches
            taken = [value.producer for user in users for value in operands_of(user)]
            found[part] = self.closure(
                operation for operation in taken if operation in self.part and self.part[operation] == _BEFORE
            )
            used = {value for user in users for value in operands_of(user) if user not in self.switches}
            reached = self.closure(
                producer
                for value in self.seen_through_switches(used)
                if (producer := value.producer) in self.part and self.part[producer] == _BEFORE
            )
            found[part] = reached
            for operation in reached:
                can_move = part == _BODY and operation not in self.first and self.is_alone
                if not can_move and not is_movable(operation, self.traits) and not self.traits.forwards(operation):
                    raise _Decline(f"{operation!r} has effects, and what it gives is needed outside the condition")
        return found

    def seen_through_switches(self, values: Iterable[Value]) -> Iterator[Value]:
        for value in values:
            while value.producer in self.switches:
                assert value.producer is not None
                value = value.producer.operands[0]
            yield value

    def closure(self, operations: Iterable[Operation | None]) -> dict[Operation, None]:
        """The operations, and those before the Switches that they need; without those that dissolve."""
        stack = [operation for operation in operations if operation is not None]
        found: dict[Operation, None] = {}
        seen: set[Operation] = set()
        while stack:
            operation = stack.pop()
            if operation in seen or operation not in self.part:
                continue
            seen.add(operation)
            if operation in self.carried or operation in self.switches or operation.kind in NEXT_ITERATIONS:
                continue
            if operation is not self.condition:
                found[operation] = None
            elif len(seen) > 1:
                continue
            stack.extend(value.producer for value in operands_of(operation) if value.producer is not None)
        place = {operation: i for i, operation in enumerate(self.part)}
        return dict.fromkeys(sorted(found, key=place.__getitem__))

    # Building

    def build(self) -> Operation:
        """The `while`, in the block in the place of the frame."""
        frames, names = self.frames, self.frames.names
        dissolved = [operation for operation in self.members if self.is_dissolved(operation)]
        enters = [variable.enter for variable in self.carried.values()]
        for operation in dissolved:
            names.free(operation.name)
        moving = [variable for variable in self.carried.values() if not variable.is_constant]
        loop = Operation("while", names.new(self.condition.name), device=self.condition.device)
        loop.operands_to_be = None if False else None  # type: ignore[attr-defined]
        return loop
