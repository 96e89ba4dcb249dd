"""Makes the lists that `TensorArray`s and `Stack`s hold SSA values, as `thread_variables` does with variables.

What makes such a list gives the list itself in the place of its handle; what changes one takes the present list in the
place of the handle, and gives the next one before its other results. A list changed in a loop is carried; one changed or
made in a branch is a result of it.

    func @main(%n: int32[], %x: float32[]) {         func @main(%n: int32[], %x: float32[]) {
      %s = StackV2(%n) : (resource[])                  %s = StackV2(%n) : (variant[])
      %push = StackPushV2(%s, %x) : (float32[])  ->    %push = StackPushV2(%s, %x) : (variant[], float32[])
      %pop = StackPopV2(%s) : (float32[])              %pop = StackPopV2(%push) : (variant[], float32[])
      return %pop                                      return %pop:1
    }                                                }

The list of gradients that `TensorArrayGradV3` names is one for each array and source, made where it is first asked for; if
that is in a loop, before the loop. A handle that is pushed on a stack, as gradients of nested loops do, stands for what
its list holds at the end of the round.

What is pushed on a stack that nothing pops from is only handed on, as TensorFlow's own optimizer has it: such a stack never
overflows.
"""

from __future__ import annotations

import numpy as np

from mgjax import dtypes
from mgjax.ir import Block, Function, Operation, TensorType, Value, walk, walk_blocks
from mgjax.passes.effects import Traits
from mgjax.passes.names import Names
from mgjax.passes.watch_arrays import Watched, watch

_LIST = TensorType(dtypes.variant, ())
_FLOW = TensorType(dtypes.float32, ())
_MAKERS = frozenset({"TensorArrayV3", "TensorArrayV2", "TensorArray", "StackV2", "Stack"})
_GRADIENTS = frozenset({"TensorArrayGradV3", "TensorArrayGradV2", "TensorArrayGrad", "TensorArrayGradWithShape"})
_PUSHES = frozenset({"StackPushV2", "StackPush"})
_POPS = frozenset({"StackPopV2", "StackPop"})
_PREFIXES = ("TensorArray", "Stack")

Key = Operation | tuple["Key", str]
"""What made the list: an operation; for gradients the key of the array and the source."""


def thread_arrays(function: Function, traits: Traits) -> None:
    """Replaces the handles of an ordered function; see the module's docstring.

    Raises:
        InvalidArgumentError: an array is used as it may not be (`mgjax.passes.watch_arrays`).
    """
    if any(operation.kind in _MAKERS for operation in walk(function.body)):
        threading = _Threading(function, traits)
        threading.watch(function.body)
        threading.run(function.body, {})


class _Threading:
    def __init__(self, function: Function, traits: Traits):
        self.traits = traits
        self.names = Names(function)
        self.keys: dict[Value, Key | None] = {}
        self.parameters: dict[Value, Value] = {}
        self.pushed: dict[Key | None, Value] = {}
        self.pops: dict[tuple[Block | None, Key | None], Operation] = {}
        for operation in walk(function.body):
            for region in operation.regions:
                self.parameters.update(zip(region.parameters, operation.operands, strict=False))
        for operation in walk(function.body):
            if operation.kind in _PUSHES and operation.operands[1].type.dtype is dtypes.resource:
                self.pushed.setdefault(self.key(operation.operands[0]), operation.operands[1])
        for operation in walk(function.body):
            for value in [*operation.operands, *operation.results]:
                self.key(value)
        self.taken_from = {self.key(op.operands[0]) for op in walk(function.body) if op.kind in _POPS}
        # A stack that lies on another is popped from under another key.
        self.taken_from |= {self.key(op.operands[1]) for op in walk(function.body) if op.kind in _PUSHES}

    def key(self, value: Value) -> Key | None:
        """Which list the value is a handle of."""
        trail: list[Value] = []
        sources: list[str] = []
        found: Key | None = None
        while True:
            if not sources and value in self.keys:
                found = self.keys[value]
                break
            if not sources:
                trail.append(value)
            operation = value.producer
            following: Value | None = None
            if operation is None:
                following = self.parameters.get(value)
            elif operation.kind in _MAKERS and value.index == 0:
                found = operation
            elif operation.kind in _GRADIENTS and value.index == 0:
                sources.append(str(operation.attributes.get("source", "")))
                following = operation.operands[0]
            elif operation.kind == "StackPopV2" and value.type.dtype is dtypes.resource:
                found = self.popped(operation)
            elif operation.kind == "while":
                following = operation.operands[value.index]
            elif operation.kind == "if":
                sides = [region.results[value.index] for region in operation.regions]
                following = next((v for v in sides if v.producer is None or v.producer.kind != "undefined"), None)
            elif self.traits.forwards(operation) and value.index < len(operation.operands):
                following = operation.operands[value.index]
            if following is None:
                break
            value = following
        if found is not None:
            for source in reversed(sources):
                found = (found, source)
        for passed in trail:
            self.keys[passed] = found
        return found

    def popped(self, operation: Operation) -> Operation:
        """Where the popped handle comes into the round: a gradient may push one array on several stacks, and pop it from each."""
        pushed = self.pushed.get(self.key(operation.operands[0]))
        key = None if pushed is None else self.key(pushed)
        if key is None:
            return operation
        block = operation.block
        while (block, key) not in self.pops and block is not None and isinstance(block.owner, Operation):
            block = block.owner.block
        if (block, key) not in self.pops:
            block = operation.block
        return self.pops.setdefault((block, key), operation)

    def maker(self, key: Key) -> Operation:
        while not isinstance(key, Operation):
            key = key[0]
        return key

    def may_be_popped(self, key: Key | None) -> bool:
        return key is None or key in self.taken_from

    def is_change(self, operation: Operation) -> bool:
        """Whether it changes the list that its first operand names."""
        return operation.kind.startswith(_PREFIXES) and bool(self.traits.effects(operation).writes)

    def used(self, block: Block, changed_only: bool) -> dict[Key, None]:
        """The lists from outside that the block changes, or asks for."""
        inside = set(walk(block))
        found: dict[Key, None] = {}
        for operation in walk(block):
            key = self.key(operation.operands[0]) if operation.operands and self.is_change(operation) else None
            if operation.kind in _GRADIENTS and not changed_only:
                key = self.keys.get(operation.results[0])
            if key is not None and self.maker(key) not in inside:
                found[key] = None
        return found

    def watch(self, block: Block) -> None:
        """Refuses wrong uses of arrays by what surely runs."""
        seen: dict[Key, Watched] = {}
        for operation in block.operations:
            for region in operation.regions:
                for changed in self.used(region, changed_only=True):
                    if changed in seen:
                        seen[changed].lose_sight()
            if operation.kind in _MAKERS and operation.kind.startswith("TensorArray"):
                seen[operation] = watch(operation)
            elif operation.operands and operation.kind.startswith("TensorArray"):
                key = self.key(operation.operands[0])
                if key in seen:
                    seen[key].see(operation)

    def run(self, block: Block, present: dict[Key, Value]) -> None:
        kept: list[Operation] = []
        late: list[Operation] = []
        for operation in list(block.operations):
            if operation.kind in ("if", "while"):
                kept += self.make_gradients(operation, present)
                self.drop_handles(operation)
                self.thread_if(operation, present) if operation.kind == "if" else self.thread_while(operation, present)
            elif operation.regions:
                # A function that is derived or mapped: the lists of its body are its own.
                for region in operation.regions:
                    self.run(region, dict(present))
            elif operation.kind in _MAKERS:
                operation.results[0].type = _LIST
                present[operation] = operation.results[0]
            elif operation.kind in _GRADIENTS:
                if not self.make_gradient(operation, present):
                    for flow in operation.results[1:]:
                        self.replace(flow, operation.operands[1], block)
                    operation.set_operands(())
                    continue
            elif operation.kind in _PUSHES and not self.may_be_popped(self.key(operation.operands[0])):
                self.replace(operation.result, operation.operands[1], block)
                operation.set_operands(())
                continue
            elif operation.operands and operation.kind.startswith(_PREFIXES):
                if operation.kind in _PUSHES and self.key(operation.operands[1]) is not None:
                    late.append(operation)
                    continue
                self.thread_plain(operation, present)
            elif self.traits.forwards(operation) and self.keys.get(operation.results[0]) is not None:
                operation.set_operands(())
                continue
            kept.append(operation)
        for operation in late:
            pushed = self.key(operation.operands[1])
            assert pushed is not None
            operation.set_operand(1, present[pushed])
            self.thread_plain(operation, present)
            kept.append(operation)
        block.set_operations(kept)

    def replace(self, old: Value, new: Value, block: Block) -> None:
        block.replace_value(old, new)
        for operation in block.operations:
            for region in operation.regions:
                for inner in walk_blocks(region):
                    inner.results = [new if value is old else value for value in inner.results]

    def thread_plain(self, operation: Operation, present: dict[Key, Value]) -> None:
        key = self.key(operation.operands[0])
        if key is None or key not in present:
            return  # refused later, by name: the handle comes from somewhere else
        operation.set_operand(0, present[key])
        if self.is_change(operation):
            present[key] = self.first_result(operation)
        popped = operation.results[-1] if operation.kind == "StackPopV2" else None
        if popped is not None and popped.type.dtype is dtypes.resource:
            popped.type = _LIST
            present[operation] = popped

    def first_result(self, operation: Operation) -> Value:
        value = operation.add_result(_LIST)
        operation.results = [value, *operation.results[:-1]]
        for index, result in enumerate(operation.results):
            result.index = index
        return value

    def make_gradient(self, operation: Operation, present: dict[Key, Value]) -> bool:
        """Makes the list of gradients, unless there is one."""
        key = self.keys[operation.results[0]]
        if key is None or isinstance(key, Operation) or key in present or key[0] not in present:
            return False
        operation.set_operand(0, present[key[0]])
        operation.results[0].type = _LIST
        present[key] = operation.results[0]
        return True

    def make_gradients(self, operation: Operation, present: dict[Key, Value]) -> list[Operation]:
        """Makes the lists of gradients that the regions ask for first."""
        made: list[Operation] = []
        for region in operation.regions:
            for key in self.used(region, changed_only=False):
                if isinstance(key, Operation) or key in present or key[0] not in present:
                    continue
                attributes = {"dtype": dtypes.float32, "value": np.zeros((), np.float32)}
                flow = Operation("Const", self.names.new(f"{operation.name}/flow"), (), attributes, [_FLOW])
                gradient = Operation(
                    "TensorArrayGradV3",
                    self.names.new(f"{operation.name}/{key[1]}"),
                    [present[key[0]], flow.result],
                    {"source": key[1]},
                    [_LIST, _FLOW],
                )
                present[key] = gradient.results[0]
                made += [flow, gradient]
        return made

    def drop_handles(self, operation: Operation) -> None:
        """Takes handles out of what a structured operation hands on: whoever uses one gets the list itself."""
        made = self.made_inside(operation)
        kept = [i for i, value in enumerate(operation.results) if self.keys.get(value) is None or value in made]
        if len(kept) == len(operation.results):
            return
        operation.results = [operation.results[i] for i in kept]
        for index, value in enumerate(operation.results):
            value.index = index
        for region in operation.regions:
            if operation.kind == "while":
                region.parameters = [region.parameters[i] for i in kept]
                for index, value in enumerate(region.parameters):
                    value.index = index
            if region.label != "cond":
                region.results = [region.results[i] for i in kept]
        if operation.kind == "while":
            operation.set_operands([operation.operands[i] for i in kept])

    def made_inside(self, operation: Operation) -> dict[Value, Key]:
        """The results that are handles of lists which a branch makes, one for each list."""
        if operation.kind != "if":
            return {}
        inside = {inner for region in operation.regions for inner in walk(region)}
        found: dict[Key, Value] = {}
        for value in operation.results:
            key = self.keys.get(value)
            if key is not None and self.maker(key) in inside:
                found.setdefault(key, value)
        return {value: key for key, value in found.items()}

    def changed(self, operation: Operation, present: dict[Key, Value]) -> list[Key]:
        found = {key: None for region in operation.regions for key in self.used(region, changed_only=True)}
        return [key for key in found if key in present]

    def thread_if(self, operation: Operation, present: dict[Key, Value]) -> None:
        changed = self.changed(operation, present)
        made = self.made_inside(operation)
        for region in operation.regions:
            inner = dict(present)
            self.run(region, inner)
            for value, key in made.items():
                # Whoever uses the handle outside gets the list as the branch leaves it.
                region.results[value.index] = inner.get(key, region.results[value.index])
                region.results[value.index].type = _LIST
            region.results.extend(inner[key] for key in changed)
        for value, key in made.items():
            value.type = _LIST
            present[key] = value
        for key in changed:
            present[key] = operation.add_result(_LIST)

    def thread_while(self, operation: Operation, present: dict[Key, Value]) -> None:
        changed = self.changed(operation, present)
        for key in changed:
            operation.add_operand(present[key])
        for region in operation.regions:
            inner = dict(present)
            for i, key in enumerate(changed):
                label = self.names.new(f"{operation.name}/{region.label}/list_{i}")
                inner[key] = region.add_parameter(_LIST, label)
            self.run(region, inner)
            if region.label == "body":
                region.results.extend(inner[key] for key in changed)
        for key in changed:
            present[key] = operation.add_result(_LIST)
