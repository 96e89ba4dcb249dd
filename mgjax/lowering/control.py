"""Structured control flow as JAX's: `if` becomes `lax.cond`, `while` becomes `lax.while_loop`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.ir import Block, Operation
from mgjax.lowering.evaluate import Environment, Evaluator
from mgjax.ops import is_known


def evaluate_if(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Evaluates one branch where the predicate is known, else compiles a branch of which one side runs."""
    predicate = environment[operation.operands[0]]
    then, otherwise = operation.regions
    if is_known(predicate) or not isinstance(predicate, jax.core.Tracer):
        return evaluator.block(then if np.asarray(predicate) else otherwise, (), environment)

    def branch(block: Block) -> Any:
        return lambda: [_as_jax(array) for array in evaluator.block(block, (), environment)]

    return jax.lax.cond(predicate, branch(then), branch(otherwise))


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

    def goes_on(carried: Sequence[Any]) -> Any:
        arguments(condition, carried)
        evaluator.run(condition.operations, environment)
        return jnp.reshape(environment[condition.results[0]], ())

    def step(carried: Sequence[Any]) -> list[Any]:
        arguments(body, carried)
        evaluator.run(body.operations, environment)
        return [
            _as_jax(environment[result])
            for result, is_moving in zip(body.results, is_carried, strict=True)
            if is_moving
        ]

    start = [_as_jax(array) for array, is_moving in zip(initial, is_carried, strict=True) if is_moving]
    final = iter(jax.lax.while_loop(goes_on, step, start))
    return [next(final) if is_moving else array for array, is_moving in zip(initial, is_carried, strict=True)]


def _as_jax(array: Any) -> Any:
    return None if array is None else jnp.asarray(array)


CONTROL = {"if": evaluate_if, "while": evaluate_while}
