"""What the host runs because no device program can hold it: loops, branches, maps and functions that call themselves.

That is what has a host step in it, carries strings, changes a shape from round to round, or recurs as often as its values say.
Its blocks are run in stages (`mgjax.lowering.stages`), each planned once: their device parts are compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from mgjax.errors import UnsupportedError
from mgjax.ir import Block, Operation, Value
from mgjax.lowering.evaluate import Environment, Evaluator, NeedsHost, NeedsValue
from mgjax.lowering.flags import Flags, Sites
from mgjax.lowering.printing import prints_in
from mgjax.lowering.stages import FIRST_CAPACITY, MOST_VARIANTS, Stages, static_key
from mgjax.ops import ElementList, PieceList
from mgjax.passes import free_values

_HOST_KINDS = frozenset({"while", "if", "map"})
"""Operations with regions that the host can run in stages."""


class HostBlock:
    """A block that the host runs again and again.

    Args:
        block: a region, or the body of a function that calls itself.
    """

    def __init__(self, block: Block, evaluator: Evaluator, sites: Sites | None):
        self.captured = free_values(block)
        self._block = block
        self._evaluator = evaluator
        self._prints = prints_in(block.operations)
        self._sites = sites
        self._stages = Stages(block, evaluator, sites, is_repeated=True)
        # Of the captured values that are known: which operations asked, and which values they had.
        self._askers: dict[Value, list[Operation]] = {}
        self._seen: dict[Value, set[Any]] = {}

    def inner(self, environment: Environment) -> Environment:
        """What the block captures of the values around it."""
        captured = {value: environment[value] for value in self.captured if value in environment}
        self._watch(captured)
        flags = None if self._sites is None else Flags(self._sites)
        fixed = [value for value in captured if value in environment.fixed]
        return Environment(captured, flags, raises=environment.raises, fixed=fixed)

    def run(self, arguments: Sequence[Any], environment: Environment) -> list[Any]:
        """The block's results.

        Args:
            environment: what `inner` gave. It may be used for one round after another.
        """
        done: dict[Operation, Sequence[Any]] = {}
        if self._prints:
            self._evaluator.printer.begin(self._prints)
        while True:
            environment.update(zip(self._block.parameters, arguments, strict=True))
            try:
                return self._stages.attempt(environment, done)
            except NeedsValue as need:
                self._learn(need)
            except NeedsHost as need:
                self._move(need.operation, str(need))

    def _learn(self, need: NeedsValue) -> None:
        """Makes a plan in which the operation knows the value.

        What is captured becomes part of what is compiled. What changes from round to round does not: a device program for each
        round would take longer than the operation does by itself, outside of compiled code.
        """
        stages, operation, value = self._stages, need.operation, need.value
        with stages.lock:
            inputs = stages.inputs_of(value, self.captured)
            if inputs and all(value in self.captured for value in inputs):
                learned = [value for value in inputs if value not in stages.known and value not in self._seen]
                if learned:
                    for value in learned:
                        self._askers.setdefault(value, []).append(operation)
                    stages.know(learned)
                    return
            if self._can_leave(operation):
                self._move(operation, str(need))
            elif not stages.defines(value) or not stages.split(stages.outermost(operation), value):
                raise UnsupportedError(
                    f"{operation!r} needs {value.name!r} while it is compiled, and a loop computes it"
                ) from need

    def _can_leave(self, operation: Operation) -> bool:
        """Whether the host can run the operation by itself, and what stands around it in this block."""
        while operation.block is not self._block:
            owner = operation.block.owner if operation.block is not None else None
            if not isinstance(owner, Operation) or owner.kind not in _HOST_KINDS:
                return False
            operation = owner
        return True

    def _move(self, operation: Operation, reason: str) -> None:
        with self._stages.lock:
            if operation in self._evaluator.placement.on_host:
                raise UnsupportedError(reason)
            self._evaluator.placement.move(operation)
            self._stages.forget()

    def _watch(self, captured: dict[Value, Any]) -> None:
        """Takes captured values that prove to change out of what is compiled."""
        for value, askers in list(self._askers.items()):
            seen = self._seen.setdefault(value, set())
            seen.add(static_key(captured[value]))
            if len(seen) <= MOST_VARIANTS:
                continue
            del self._askers[value]
            if all(map(self._can_leave, askers)):
                for operation in askers:
                    self._evaluator.placement.move(operation)
                self._stages.unlearn(value)


def host_block(evaluator: Evaluator, block: Block, environment: Environment) -> HostBlock:
    """The block as the host runs it, made when it is first asked for."""
    sites = None if environment.flags is None else environment.flags.sites
    found = evaluator.host_blocks.get((block, sites))
    if found is None:
        found = evaluator.host_blocks[block, sites] = HostBlock(block, evaluator, sites)
    return found


def run_block(evaluator: Evaluator, block: Block, arguments: Sequence[Any], environment: Environment) -> list[Any]:
    """The results of a block that the host runs once: a side of a branch, a function's body."""
    runner = host_block(evaluator, block, environment)
    return runner.run(arguments, runner.inner(environment))


def run_loop(
    evaluator: Evaluator, operation: Operation, carried: Sequence[Any], environment: Environment
) -> Sequence[Any]:
    """The final values of what a loop carries, round by round."""
    condition, body = (host_block(evaluator, region, environment) for region in operation.regions)
    in_condition, in_body = condition.inner(environment), body.inner(environment)
    before = list(carried)
    carried = [_entered(array) for array in before]
    while bool(np.asarray(condition.run(carried, in_condition)[0]).reshape(())):
        carried = body.run(carried, in_body)
    return [_left(array, old) for array, old in zip(carried, before, strict=True)]


def _entered(array: Any) -> Any:
    """A list as the rounds take it: of a capacity that stays, so that they are compiled once."""
    if not isinstance(array, ElementList) or isinstance(array, PieceList) or array.is_fixed:
        return array
    # Nothing can be written to a list without any room, not even to find that there is too little.
    room = array.capacity or FIRST_CAPACITY
    return array.with_capacity(room).with_(length=jnp.asarray(array.length, np.int32), is_fixed=True)


def _left(array: Any, before: Any) -> Any:
    if not isinstance(array, ElementList) or not isinstance(before, ElementList) or before.is_fixed:
        return array
    return array.with_(length=int(array.length), is_fixed=False)
