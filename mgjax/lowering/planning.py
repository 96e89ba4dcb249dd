"""A plan: the operations of a block cut into *stages*.

A stage is a device program, compiled as a whole, and the host steps that follow it. An operation is in as early a stage as its
operands allow; a host step belongs to the stage before it. In a block that is run again and again, arithmetic of a few integers,
such as that of a loop's counter, comes first in its stage and is done by NumPy: a call of a device program takes longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mgjax.ir import Block, Operation, Value, walk
from mgjax.lowering.evaluate import Evaluator
from mgjax.lowering.printing import prints_in
from mgjax.passes import free_values

FEW = 8
"""Elements: arithmetic of so many integers NumPy does faster than a device program is called."""

_LIKE_ONES = 3
"""Operations of each kind: where there are as many, they are compiled sooner one by one than all together, as was measured."""


@dataclass(slots=True, eq=False)
class Stage:
    """A device program, what comes right before it, and the host steps after it.

    Attributes:
        light: operations that NumPy does before it, in order, and how.
        device: operations of the device program, in order.
        host: operations that run in Python after it, in order.
        takes: values from outside that the device program is given.
        gives: values that the device program hands on.
        prints: the operations of the device program that print, at any depth.
        is_repetitive: whether the device program has many operations of few kinds.
        compiled: the jitted device program for each set of known values and shapes.
        met: how often it met each set that it was not compiled for.
        latest: the one of these that it met last.
    """

    light: list[tuple[Operation, Callable[..., Any]]] = field(default_factory=list)
    device: list[Operation] = field(default_factory=list)
    host: list[Operation] = field(default_factory=list)
    takes: list[Value] = field(default_factory=list)
    gives: list[Value] = field(default_factory=list)
    prints: set[Operation] = field(default_factory=set)
    is_repetitive: bool = False
    compiled: dict[Any, Compiled] = field(default_factory=dict)
    met: dict[Any, int] = field(default_factory=dict)
    latest: Any = None


@dataclass(slots=True, eq=False)
class Compiled:
    """A device program for known values and shapes.

    Attributes:
        call: from the values that it takes to the values that it gives.
        takes: the values that it takes, but for those that are known.
        constants: small values that it gives and that tracing found to depend on shapes and known values alone.
        may_fail: whether it has a check; unknown, and so true, until it was traced.
        may_repeat: whether it prints, and may have to run again with more room.
    """

    call: Callable[..., Any]
    takes: list[Value]
    constants: dict[Value, Any]
    may_fail: bool = True
    may_repeat: bool = False


class Plan:
    """The stages of a block.

    Args:
        block: ordered operations.
        evaluator: knows where operations run.
        held: operations whose results are there before the first stage.
        embedded: those of them that each device program which takes them makes for itself.
        after: from an operation to values that it must know, and that an earlier stage computes.
        checked: whether the program tells what fails.
        light: operations that NumPy does.
    """

    def __init__(
        self,
        block: Block,
        evaluator: Evaluator,
        held: Mapping[Operation, Any],
        embedded: Mapping[Value, Operation],
        after: Mapping[Operation, Iterable[Value]],
        checked: bool,
        light: Mapping[Operation, Callable[..., Any]],
    ):
        self._block = block
        self._evaluator = evaluator
        self._is_host = evaluator.placement.is_host
        self._held = held
        self._embedded = embedded
        self._after = after
        self._checked = checked
        self._light = light

    def stages(self) -> list[Stage]:
        return self._filled(self._stage_of())

    def _stage_of(self) -> dict[Operation, int]:
        """The stage of each operation: as early as its operands allow. A host step belongs to the stage before it."""
        stage_of: dict[Operation, int] = {}
        available: dict[Value, int] = {}
        last_action = 0
        for operation in self._block.operations:
            if operation in self._held:
                continue
            values = operands_of(operation)
            stage = max((available.get(value, 0) for value in values), default=0)
            for value in self._after.get(operation, ()):
                producer = value.producer
                if producer in stage_of and not self._is_host(producer):
                    stage = max(stage, stage_of[producer] + 1)
            is_host = self._is_host(operation)
            if is_host:
                lowering = self._evaluator.lowerings.get(operation.kind)
                stage = max(stage, *(stage_of[before] for before in operation.control if before in stage_of), 0)
                if lowering is None or lowering.effect:
                    stage = last_action = max(stage, last_action)
            elif self._checked and any(map(self._asserts, _with_inner(operation))):
                # No host step that comes after an assertion acts before it has held.
                last_action = max(last_action, stage)
            stage_of[operation] = stage
            for value in operation.results:
                available[value] = stage + 1 if is_host else stage
        return self._with_the_rest_last(stage_of) if any(map(self._may_wait, stage_of)) else stage_of

    def _asserts(self, operation: Operation) -> bool:
        lowering = self._evaluator.lowerings.get(operation.kind)
        return lowering is not None and lowering.effect and bool(lowering.checks)

    def _may_wait(self, operation: Operation) -> bool:
        lowering = self._evaluator.lowerings.get(operation.kind)
        return lowering is not None and lowering.context and lowering.effect

    def _with_the_rest_last(self, stage_of: dict[Operation, int]) -> dict[Operation, int]:
        """The same, but what no host step needs comes in the last stage: variables are read and written after all waiting,
        during which other runs may change them."""
        needed: dict[Operation, None] = {}
        stack = [operation for operation in stage_of if self._is_host(operation)]
        stack += [value.producer for values in self._after.values() for value in values if value.producer in stage_of]
        while stack:
            operation = stack.pop()
            if operation in needed:
                continue
            needed[operation] = None
            stack += [value.producer for value in operands_of(operation) if value.producer in stage_of]
            stack += [before for before in operation.control if before in stage_of]
        last = max(stage_of.values(), default=0)
        if any(stage_of[operation] == last for operation in needed if self._is_host(operation)):
            last += 1  # a stage's host steps come after its device program
        return {operation: stage if operation in needed else last for operation, stage in stage_of.items()}

    def _filled(self, stage_of: dict[Operation, int]) -> list[Stage]:
        stages = [Stage() for _ in range(1 + max(stage_of.values(), default=0))]
        for operation, index in stage_of.items():
            stage = stages[index]
            if operation in self._light:
                stage.light.append((operation, self._light[operation]))
            else:
                (stage.host if self._is_host(operation) else stage.device).append(operation)
        wanted: dict[Value, None] = dict.fromkeys(self._block.results)
        for stage in reversed(stages):
            for operation in stage.host:
                wanted.update(dict.fromkeys(operands_of(operation)))
            made = {value: None for operation in stage.device for value in operation.results}
            stage.gives = [value for value in made if value in wanted]
            taken = {value: None for operation in stage.device for value in operands_of(operation)}
            stage.takes = [value for value in taken if value not in made and value not in self._embedded]
            stage.device[:0] = [self._embedded[value] for value in taken if value in self._embedded]
            stage.prints = prints_in(stage.device)
            kinds = [inner.kind for operation in stage.device for inner in _with_inner(operation)]
            stage.is_repetitive = len(kinds) >= _LIKE_ONES * len(set(kinds))
            wanted.update(dict.fromkeys(stage.takes))
        return stages


def light_operations(
    block: Block, evaluator: Evaluator, held: Mapping[Operation, Any], heavy: set[Operation]
) -> dict[Operation, Callable[..., Any]]:
    """The operations that NumPy does, and how: on few integers, which host steps, other such operations or the block's caller give.

    What depends on constants alone is not among them, so that it stays known while device programs are traced.

    Args:
        heavy: operations that were found to take more, or not to be done by NumPy.
    """
    is_host = evaluator.placement.is_host
    light: dict[Operation, Callable[..., Any]] = {}

    def is_at_hand(value: Value) -> bool:
        producer = value.producer
        return (
            producer is None
            or producer.block is not block
            or producer in light
            or producer in held
            or is_host(producer)
        )

    def varies(value: Value) -> bool:
        return (
            value.owner is block or value.producer in light or (value.producer is not None and is_host(value.producer))
        )

    for operation in block.operations:
        if operation.regions or operation in held or operation in heavy or is_host(operation):
            continue
        if (function := _numpy_function(operation, evaluator)) is None:
            continue
        if not all(map(_may_be_few_integers, (*operation.operands, *operation.results))):
            continue
        if any(map(varies, operation.operands)) and all(map(is_at_hand, operation.operands)):
            light[operation] = function
    return light


def _numpy_function(operation: Operation, evaluator: Evaluator) -> Callable[..., Any] | None:
    """What computes the one result of the operation from its operands, if nothing else is to be done for it."""
    lowering, op_def = evaluator.lowerings.get(operation.kind), evaluator.op_def(operation.kind)
    if (
        lowering is None
        or op_def is None
        or len(operation.results) != 1
        or lowering.statics
        or lowering.keywords != frozenset()
    ):
        return None
    if lowering.checks or lowering.effect or lowering.writes or lowering.optional or lowering.hidden:
        return None
    is_plain = not any(arg.number_attr or arg.type_list_attr for arg in op_def.inputs)
    return (lowering.numpy or lowering.function) if is_plain else None


def _may_be_few_integers(value: Value) -> bool:
    dtype, shape = value.type.dtype, value.type.shape
    if dtype is None or value.type.is_ref or not (dtype.is_integer or dtype.name == "bool"):
        return False
    return shape is None or None in shape or math.prod(n or 0 for n in shape) <= FEW


def operands_of(operation: Operation) -> list[Value]:
    """The values that the operation takes, and those that its regions capture."""
    if not operation.regions:
        return list(operation.operands)
    return [*operation.operands, *(value for region in operation.regions for value in free_values(region))]


def _with_inner(operation: Operation) -> Iterator[Operation]:
    """The operation and all that stand in its regions."""
    yield operation
    for region in operation.regions:
        yield from walk(region)
