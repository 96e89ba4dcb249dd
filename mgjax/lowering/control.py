"""Structured control flow as JAX's: `if` becomes `lax.cond`, `while` becomes `lax.while_loop`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ir import Block, Operation, Value
from mgjax.lowering.distinct import evaluate_bounded_unique
from mgjax.lowering.evaluate import Environment, Evaluator, NeedsValue
from mgjax.lowering.hits import evaluate_bounded_hits
from mgjax.ops import is_known


def evaluate_if(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Evaluates one branch where the predicate is known, else compiles a branch of which one side runs."""
    predicate = environment[operation.operands[0]]
    then, otherwise = operation.regions
    if is_known(predicate) or not isinstance(predicate, jax.core.Tracer):
        return evaluator.block(then if np.asarray(predicate) else otherwise, (), environment)

    wanted = [i for i, value in enumerate(operation.results) if value.uses or _is_result(value, operation.block)]

    def branch(block: Block) -> Callable[[], list[Any]]:
        def compute() -> list[Any]:
            arrays = evaluator.block(block, (), environment)
            return [_as_jax(arrays[i]) for i in wanted]

        return compute

    branches = [branch(then), branch(otherwise)]
    if any(_may_be_undefined(value) for region in operation.regions for value in region.results):
        branches = _filled(branches)
    try:
        arrays = dict(zip(wanted, jax.lax.cond(predicate, *branches), strict=True))
    except TypeError as error:
        if "equal output types" not in str(error):
            raise
        # The sides differ in shape: which one runs must be known to go on.
        raise NeedsValue(operation, operation.operands[0]) from error
    return [arrays.get(i) for i in range(len(operation.results))]


def _is_result(value: Value, block: Block | None) -> bool:
    return block is not None and any(value is result for result in block.results)


def _may_be_undefined(value: Value) -> bool:
    return value.producer is not None and value.producer.kind in ("undefined", "if")


def _filled(branches: list[Callable[[], list[Any]]]) -> list[Callable[[], list[Any]]]:
    """Branches of equal result types: where one gives nothing, it gives zeros of the other's type."""
    types = [jax.eval_shape(branch) for branch in branches]

    def filled(branch: Callable[[], list[Any]], other: list[Any]) -> Callable[[], list[Any]]:
        return lambda: [
            jnp.zeros(type.shape, type.dtype) if array is None and type is not None else array
            for array, type in zip(branch(), other, strict=True)
        ]

    return [filled(branches[0], types[1]), filled(branches[1], types[0])]


def evaluate_undefined(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Nothing: the value of what is not computed on this side of an `if`."""
    return [None]


def evaluate_alive(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The fetched value, once it is known that it is not dead."""
    predicates = zip(operation.operands[1:], operation.attributes["sides"], strict=True)
    is_alive = not operation.attributes["never"] and all(
        bool(evaluator.known(operation, value, environment[value], environment)) is side for value, side in predicates
    )
    if not is_alive:
        raise InvalidArgumentError(
            f"Retval[0] does not have value: {operation.attributes['tensor']!r} is on the side of a cond that did not run",
            operation.attributes["tensor"].rsplit(":", 1)[0],
        )
    return [environment[operation.operands[0]]]


def evaluate_while(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Compiles a loop; what the body hands back unchanged is not carried, and stays known where it is known."""
    condition, body = operation.regions
    initial = [environment[value] for value in operation.operands]
    is_carried = [result is not parameter for result, parameter in zip(body.results, body.parameters, strict=True)]
    for block in (condition, body):
        for parameter, array, carried in zip(block.parameters, initial, is_carried, strict=True):
            if not carried:
                environment[parameter] = array

    def arguments(block: Block, carried: Sequence[Any]) -> None:
        names = [p for p, is_moving in zip(block.parameters, is_carried, strict=True) if is_moving]
        environment.update(zip(names, carried, strict=True))

    def goes_on(carried: list[Any]) -> Any:
        arguments(condition, carried)
        evaluator.run(condition.operations, environment)
        return jnp.reshape(environment[condition.results[0]], ())

    def step(carried: list[Any]) -> list[Any]:
        arguments(body, carried)
        evaluator.run(body.operations, environment)
        return [
            _as_jax(environment[result])
            for result, is_moving in zip(body.results, is_carried, strict=True)
            if is_moving
        ]

    start = [_as_jax(array) for array, is_moving in zip(initial, is_carried, strict=True) if is_moving]
    final = iter(jax.lax.while_loop(goes_on, step, start))  # type: ignore[arg-type]
    return [next(final) if is_moving else array for array, is_moving in zip(initial, is_carried, strict=True)]


def _as_jax(array: Any) -> Any:
    return None if array is None else jnp.asarray(array)


CONTROL = {
    "if": evaluate_if,
    "while": evaluate_while,
    "undefined": evaluate_undefined,
    "alive": evaluate_alive,
    "bounded_unique": evaluate_bounded_unique,
    "bounded_accidental_hits": evaluate_bounded_hits,
}
